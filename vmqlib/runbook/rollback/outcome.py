"""What became of an item, and how to find out when nobody said: from the bucket's real state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from vmqlib.awserrors import InvalidRequest
from vmqlib.errors import ResourceMissing
from vmqlib.runbook.rollback import looking, properties
from vmqlib.runbook.rollback.items import NOTHING, Entry, Item
from vmqlib.runbook.rollback.multipart import head_of
from vmqlib.times import parse_iso, show_time

if TYPE_CHECKING:
    from vmqlib.s3 import S3

__all__ = ["OWN", "Outcome", "Result", "became", "by_somebody_else", "overtaken", "own_doing"]

OWN = "own"
"""The code of a ``changed`` item that this incident itself changed since: by a touch, an undo, another plan."""

_ITSELF, _LEFT = "It was changed since by this incident itself (", "), and was left alone."

Result = Literal["done", "found", "changed", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item.

    Parameters
    ----------
    result:
        ``done``: our request was answered. ``found``: it had been carried out already (a lost answer, a killed run).
        ``changed``: the key is not what was planned for; what was done to it since was left alone. ``failed``: refused
        for good.
    version_id, etag:
        Of the version or marker that is now on top; empty where that is not known.
    code:
        For ``changed``, :data:`OWN` where it was this incident's own doing. For ``failed``, for programs:
        ``archived``, ``sse-c``, ``no-permission``, ``missing``, else S3's own code.
    problem, hint:
        For people: what happened, what to do.
    """

    result: Result
    version_id: str = ""
    etag: str = ""
    code: str = ""
    problem: str = ""
    hint: str = ""


def became(s3: S3, item: Item, own: Mapping[str, str] = MappingProxyType({})) -> Outcome | None:
    """What the bucket says of an item: carried out already, changed meanwhile, or (``None``) as planned.

    Its own change is known by where it stands, directly on the planned current entry, and by the target's content:
    ETag and size. Where ETags are no MD5 of the content (KMS, uploads in parts), metadata and checksum stand in. A
    touch is known by its mark. A delete marker of somebody else's in that place counts as ours: what was planned is
    there.

    Parameters
    ----------
    own:
        See :func:`overtaken`.

    Raises
    ------
    AwsError
        The bucket cannot be read: so nothing is known of the item, and it stays in doubt.
    """
    entries = looking.newest(s3, item.key)
    top = entries[0] if entries else NOTHING
    if looking.is_same(top, item.current):
        return None
    below = entries[1] if len(entries) > 1 else NOTHING
    if looking.is_same(below, item.current) and _is_ours(s3, item, top):
        return Outcome("found", top.version_id, top.etag)
    return overtaken(top, own)


def _is_ours(s3: S3, item: Item, top: Entry) -> bool:
    if item.action == "DELETE" or top.is_delete_marker:
        return item.action == "DELETE" and top.is_delete_marker
    if top.size != item.target.size:
        return False
    if mark := properties.touch_mark(item.properties):
        try:  # of the same content anyway: the mark tells
            return head_of(s3, item.key, top.version_id).get(properties.TOUCHED) == mark
        except (InvalidRequest, ResourceMissing):
            return False
    if top.etag == item.target.etag:
        return True
    # Their ETags differ all the same where they are no MD5 of the content; then the rest decides.
    try:
        ours, theirs = (head_of(s3, item.key, one.version_id) for one in (item.target, top))
    except (InvalidRequest, ResourceMissing):  # a key of its writer's own (SSE-C); gone again
        return False
    by_content = (
        properties.etag_tells(item.target.etag)
        and properties.etag_tells(top.etag)
        and not properties.under_key(ours)
        and not properties.under_key(theirs)
    )
    return not by_content and properties.same_properties(ours, theirs)


def overtaken(top: Entry, own: Mapping[str, str]) -> Outcome:
    """``changed``: by this incident itself, or by somebody else.

    Parameters
    ----------
    top:
        What is on top now, and was not planned for.
    own:
        Versions and markers that this incident made, and by what
        (:func:`vmqlib.runbook.rollback.copied.makers`).
    """
    what = own.get(top.version_id, "")
    if not what:
        return by_somebody_else(top)
    return Outcome(
        "changed",
        top.version_id,
        top.etag,
        OWN,
        problem=f"{_ITSELF}{what}{_LEFT}",
        hint="Plan again.",
    )


def own_doing(problem: str) -> str:
    """By what this incident itself changed an item, from the outcome's ``problem``: ``upload of …``; else empty."""
    return problem[len(_ITSELF) : -len(_LEFT)] if problem.startswith(_ITSELF) else ""


def by_somebody_else(top: Entry) -> Outcome:
    """``changed``, with what is on top now that was not planned for."""
    if not top.version_id:
        problem, hint = "Every version of it was deleted for good meanwhile.", "Nothing of it is left."
        return Outcome("changed", problem=problem, hint=hint)
    done = "deleted" if top.is_delete_marker else "overwritten"
    when = f" at {show_time(parse_iso(top.at))}" if top.at else ""
    what = f"version {top.version_id}" + ("" if top.is_delete_marker else f", {top.size} bytes")
    return Outcome(
        "changed",
        top.version_id,
        top.etag,
        problem=f"It was {done} by somebody else{when} ({what}) and was left alone.",
        hint="Look at it (vmq versions), then plan again.",
    )
