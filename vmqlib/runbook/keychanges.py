"""What became of keys between two moments. Pure: rows in, facts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from vmqlib.runbook.keyhistory import Version, versions_of
from vmqlib.runbook.promoters import Promoted, Promoters
from vmqlib.times import iso

__all__ = ["Changes", "Happened", "KeyChange", "Since", "changed_keys", "key_change"]

Happened = Literal["rewritten", "deleted", "added", "restored", "came and went", "unchanged"]
"""``restored``: it was deleted then. ``came and went``: it was not there then and is not there now."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What became of a key between two moments.

    Parameters
    ----------
    key:
        Which.
    what:
        See :data:`Happened`.
    at:
        Its newest change by then, UTC.
    changes:
        Versions and markers written between the two moments.
    versions, markers:
        Versions and delete markers of it in all.
    then, now:
        What was there at the first moment and at the second; ``None``: it was never there.
    same_content:
        Whether both are there, of equal ETag and size.
    doubt:
        What cannot be told for certain; empty when nothing.
    promoted:
        The promotion of the newest change, as far as that can be told.
    """

    key: str
    what: Happened
    at: datetime
    changes: int
    versions: int
    markers: int
    then: Version | None
    now: Version
    same_content: bool = False
    doubt: str = ""
    promoted: Promoted | None = None


def key_change(key: str, versions: Sequence[Version], since: datetime, until: datetime) -> KeyChange | None:
    """What became of a key between ``since`` and ``until`` (UTC), as
    :func:`vmqlib.sources.versions.changed_between` says it for a frame; ``None`` when it was not there by ``until``.

    Parameters
    ----------
    versions:
        Its versions, newest first.
    """
    known = [one for one in versions if one.at <= until]
    if not known:
        return None
    now, then = known[0], next((one for one in known if one.at <= since), None)
    gone, was_gone = now.is_delete_marker, then is None or then.is_delete_marker
    what: Happened = "rewritten"
    if now is then:
        what = "unchanged"
    elif gone and was_gone:
        what = "came and went"
    elif gone:
        what = "deleted"
    elif then is None:
        what = "added"
    elif was_gone:
        what = "restored"
    same = then is not None and not gone and not was_gone and (now.etag, now.size) == (then.etag, then.size)
    markers = sum(one.is_delete_marker for one in versions)
    return KeyChange(
        key=key,
        what=what,
        at=now.at,
        changes=sum(one.at > since for one in known),
        versions=len(versions) - markers,
        markers=markers,
        then=then,
        now=now,
        same_content=same and bool(now.etag) and now is not then,
        doubt=_doubt(known, since),
    )


def _doubt(known: Sequence[Version], since: datetime) -> str:
    second = since.replace(microsecond=0)
    if any(one.at == second for one in known):
        return "changed within the very second that is compared with"
    if any(one.version_id == "null" and one.at > since for one in known):
        return "a null version since: what it replaced cannot be known"
    return ""


@dataclass(frozen=True)
class Since:
    """The moment to compare with.

    Parameters
    ----------
    at:
        UTC.
    why:
        What it is, for people: ``the last good sync``.
    never:
        Why it is not the start of a sync that succeeded; empty where it is, or where a time was given.
    """

    at: datetime
    why: str
    never: str = ""


@dataclass(frozen=True)
class Changes:
    """The keys that changed between two moments.

    Parameters
    ----------
    bucket, prefix, exclude:
        What was looked at.
    since:
        What it is compared with.
    until:
        The other moment, UTC.
    keys:
        The changed keys, newest change first; with ``every``, the others after them.
    listed:
        Versions and markers that were read.
    seen:
        Keys that were read.
    source:
        The AWS call, or the evidence file.
    problem:
        Why it is not known who promoted what; empty when it is.
    incomplete:
        Where and why the listing stopped; empty when it is whole.
    """

    bucket: str
    prefix: str
    exclude: tuple[str, ...]
    since: Since
    until: datetime
    keys: tuple[KeyChange, ...]
    listed: int
    seen: int
    source: str = ""
    problem: str = ""
    incomplete: str = ""


def changed_keys(
    rows: Iterable[Mapping[str, Any]],
    since: datetime,
    until: datetime,
    promoters: Promoters,
    *,
    every: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[tuple[KeyChange, ...], int, int]:
    """The changed keys, newest change first, then how many versions and markers, and how many keys were read. Memory
    grows with the keys that are returned.

    Parameters
    ----------
    rows:
        Rows of the source ``versions`` in S3's order.
    since, until:
        UTC.
    promoters:
        Who promoted when.
    every:
        Unchanged keys, too.
    progress:
        Told the number of rows from time to time.
    """
    listed = keys = told = 0
    found: list[KeyChange] = []
    writes: set[datetime] = set()
    # What is older can neither be a change nor tell where a promotion that matters began.
    floor = since - timedelta(hours=1)
    floor_text = iso(floor)
    for key, group in groupby(rows, key=itemgetter("key")):
        entries = list(group)
        listed, keys = listed + len(entries), keys + 1
        if listed - told >= 1000:
            progress(told := listed)
        newest = entries[0]["at"]
        if not every and newest < (floor_text if isinstance(newest, str) else floor):
            continue
        versions = versions_of(entries)
        writes.update(one.at for one in versions if one.at >= floor)
        change = key_change(key, versions, since, until)
        if change is not None and (every or change.changes):
            found.append(change)
    known = promoters.knowing([*promoters.writes, *writes])
    found = [replace(one, promoted=known.of(one.key, one.at)) if one.changes else one for one in found]
    found.sort(key=lambda one: one.key)
    found.sort(key=lambda one: (bool(one.changes), one.at), reverse=True)
    return tuple(found), listed, keys
