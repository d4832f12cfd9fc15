"""What is there now: a key's newest entries, and whether many keys are still what was planned for.

An ETag cannot tell a version from a later one of the same content; a version id can. Conditions of requests know only
ETags, so version ids are looked at before a batch is applied, and when a request was refused or got no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from vmqlib.errors import AwsError
from vmqlib.runbook.rollback.items import NOTHING, Entry, Item
from vmqlib.sources.versionpages import ObjectVersion, parse_page
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.s3 import S3

__all__ = ["is_same", "newest", "still_planned"]

_LISTING = "s3:ListObjectVersions"
_PAGE = 1000
_NEWEST = 12  # entries of one key that are read to decide about it
_WORTH = 12  # items that a page of a listing must settle to be cheaper than asking for each
_LONGEST_PAUSE = 1024  # items asked for one by one before a page is tried again


def is_same(there: Entry, planned: Entry) -> bool:
    """Whether an entry is the planned one. Null versions share an id: they are told apart by time and content."""
    if there.version_id != planned.version_id or there.is_delete_marker != planned.is_delete_marker:
        return False
    return there.version_id != "null" or (there.at[:19], there.etag) == (planned.at[:19], planned.etag)


def newest(s3: S3, key: str) -> tuple[Entry, ...]:
    """A key's newest entries, newest first; empty when it has none (s3:ListObjectVersions).

    Raises
    ------
    AwsError
        The bucket cannot be listed.
    """
    rows = [row for row in _page(s3, key, most=_NEWEST) if row[0] == key]
    # As facts go: by time, within a second the current one first, then as S3 lists them.
    rows.sort(key=lambda row: row[1], reverse=True)
    rows.sort(key=lambda row: row[2].at, reverse=True)
    return tuple(entry for _, _, entry in rows)


def still_planned(s3: S3, items: Sequence[Item], others: dict[str, Entry] | None = None) -> set[str]:
    """The keys of ``items`` whose current entry is the planned one.

    Pages of a listing where the items lie close together, a look at each where they do not. Reads only, one after the
    other: to be called from several threads at once with some of the items each.

    Parameters
    ----------
    others:
        Is given the current entry of every other key.

    Raises
    ------
    AwsError
        The bucket cannot be read.
    """
    planned = {item.key: item.current for item in items}
    keys = sorted(planned, key=lambda key: key.encode("utf-8", "surrogateescape"))
    prefix = _common(keys[0], keys[-1]) if keys else ""
    fine: set[str] = set()

    def judge(key: str, entry: Entry) -> None:
        if is_same(entry, planned[key]):
            fine.add(key)
        elif others is not None:
            others[key] = entry

    at, pause, single = 0, 0, 0
    while at < len(keys):
        # One by one, since a listing begins behind a key, never at one.
        judge(keys[at], _current(s3, keys[at]))
        at += 1
        single += 1
        if len(keys) - at < _WORTH or single <= pause:
            continue
        settled = _WORTH
        while settled >= _WORTH and at < len(keys):
            current, last = _currents(s3, prefix, keys[at - 1], _page_for(len(keys) - at))
            begun = at
            while at < len(keys) and (keys[at] in current or last is None or keys[at] < last):
                judge(keys[at], current.get(keys[at]) or _current(s3, keys[at]))
                at += 1
            settled = at - begun
        # Too few on that page: the keys lie far apart here, and pages are tried less and less often.
        pause, single = min(2 * pause + 2 * _WORTH, _LONGEST_PAUSE), 0
    return fine


def _common(one: str, other: str) -> str:
    length = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return one[:length] if length is not None else min(one, other, key=len)


def _page_for(items: int) -> int:
    """Entries of a page for so many items: a few versions of each, and not many more, since each one costs."""
    return min(_PAGE, 3 * items + 4 * _WORTH)


def _currents(s3: S3, prefix: str, behind: str, most: int) -> tuple[Mapping[str, Entry], str | None]:
    """The current entries of the keys on one page behind a key, and its last key (``None``: there are no more)."""
    rows = _page(s3, prefix, behind=behind, most=most)
    current = {key: entry for key, latest, entry in rows if latest}
    return current, (rows[-1][0] if len(rows) >= most else None)


def _current(s3: S3, key: str) -> Entry:
    """The current entry of a key, with as much as HEAD tells: the cheapest way to ask for one key."""
    try:
        answer = s3.send("HEAD", key)
    except AwsError:
        answer = None
    if answer is not None and (version_id := answer.headers.get("x-amz-version-id")):
        if answer.status == 200:
            return Entry(
                version_id=version_id,
                at=_at(answer.headers.get("last-modified", "")),
                size=int(answer.headers.get("content-length") or 0),
                etag=answer.headers.get("etag", "").strip('"'),
            )
        if (
            answer.status == 404
            and answer.headers.get("x-amz-delete-marker") == "true"
            and version_id != "null"
        ):
            return Entry(version_id=version_id, is_delete_marker=True)
    # No permission, the customer's own key, a server that does not say: the listing does.
    return next(iter(newest(s3, key)), NOTHING)


def _at(http_date: str) -> str:
    return iso(parsedate_to_datetime(http_date)) if http_date else ""


def _page(s3: S3, prefix: str, *, behind: str = "", most: int = _PAGE) -> list[tuple[str, bool, Entry]]:
    """One page of ListObjectVersions in its own order: key, whether it is the current entry, the entry."""
    query = {"versions": "", "encoding-type": "url", "max-keys": str(most), "prefix": prefix}
    if behind:
        query["key-marker"] = behind
    answer = s3.ask("GET", query=query, operation=_LISTING)
    return [(row.key, row.is_latest, _entry(row)) for row in parse_page(answer.body).entries]


def _entry(row: ObjectVersion) -> Entry:
    return Entry(row.version_id, row.at, row.is_delete_marker, row.size, row.etag, row.storage_class)
