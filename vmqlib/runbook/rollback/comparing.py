"""One key after a rollback: is it what was planned? Pure; nothing is asked here."""

from __future__ import annotations

from collections.abc import Sequence

from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.outcome import OWN, Outcome
from vmqlib.runbook.rollback.results import Difference

__all__ = ["ITSELF", "SOMEBODY", "compare", "found", "outside", "planned"]

_NOTHING = Entry()
SOMEBODY = "changed by somebody else"
ITSELF = "changed by this incident itself"


def compare(item: Item, entries: Sequence[Entry], outcome: Outcome | None) -> Difference | None:
    """How a key differs from what was planned for it; ``None`` where it does not.

    What counts is what can be read. Content is compared with the target's, and with what the copy itself returned: a
    copy may have another ETag than its source (KMS, multipart).

    Parameters
    ----------
    item:
        COPY, UNDELETE, DELETE or SKIP.
    entries:
        The key's versions and markers now, newest first.
    outcome:
        What became of the item; ``None`` when nobody has tried, or nobody knows.
    """
    now = entries[0] if entries else _NOTHING
    carried_out = outcome is not None and outcome.result in {"done", "found"}
    if carried_out and outcome is not None and outcome.version_id:
        ids = [entry.version_id for entry in entries]
        place = ids.index(outcome.version_id) if outcome.version_id in ids else -1
        if place == 0:
            return _ours(item, entries, outcome)
        if _fits(now, item):
            return None
        if place > 0:
            return _difference(item, SOMEBODY, now, "It was written after the rollback had restored it.")
        gone = f"Version {outcome.version_id}, which the rollback had made, is not there any more."
        return _difference(item, "missing", now, gone)
    if now.version_id == item.current.version_id and item.action != "SKIP":
        said = outcome.problem if outcome is not None and outcome.problem else "It is as it was before."
        return _difference(item, "not applied", now, said)
    if _fits(now, item) or (item.action == "SKIP" and _is_same(now, item.current)):
        return None
    if outcome is not None and outcome.code == OWN and now.version_id == outcome.version_id:
        return _difference(item, "not applied", now, outcome.problem)
    if not now.version_id and item.target.there:
        return _difference(item, "missing", now, "No version of it is left.")
    return _difference(item, SOMEBODY, now, "It was changed after the plan was made, and left alone.")


def _ours(item: Item, entries: Sequence[Entry], outcome: Outcome) -> Difference | None:
    """The newest version is the one that we made: has it the planned content, and does it lie on what was planned?"""
    now, below = entries[0], entries[1] if len(entries) > 1 else _NOTHING
    if not (_fits(now, item) or _as_returned(now, item, outcome)):
        return _difference(item, "other content", now, "The new version is not what was to be restored.")
    if item.current.version_id and below.version_id and below.version_id != item.current.version_id:
        said = f"Version {below.version_id} was written after the plan was made; the rollback's lies on top of it."
        return _difference(item, "changed in between", below, said)
    return None


def _is_same(now: Entry, planned: Entry) -> bool:
    """Whether it is the version that was found to be right. A null version's id says nothing."""
    return now.version_id == planned.version_id != "null"


def _fits(now: Entry, item: Item) -> bool:
    target = item.target
    if not target.there:
        return not now.there
    return now.there and now.size == target.size and now.etag == target.etag


def _as_returned(now: Entry, item: Item, outcome: Outcome) -> bool:
    """A copy with another ETag than its source, but the one that S3 gave it when it was made."""
    known = not outcome.etag or now.etag == outcome.etag
    return item.target.there and now.there and now.size == item.target.size and known


def outside(key: str, now: Entry) -> Difference:
    """A key that was not in the plan, and changed since it was made."""
    said = "It was as it should be when the plan was made, or not there at all."
    return Difference(key, SOMEBODY, "as it was", found(now), now.at, said)


def _difference(item: Item, problem: str, now: Entry, detail: str) -> Difference:
    return Difference(item.key, problem, planned(item), found(now), now.at, detail)


def planned(item: Item) -> str:
    """What was to be there, in a word: a version's id, or ``gone``."""
    return item.target.version_id if item.target.there else "gone"


def found(now: Entry) -> str:
    """What is there, in a word: a version's id, ``deleted`` or ``nothing``."""
    if now.is_delete_marker:
        return f"deleted ({now.version_id})"
    return now.version_id or "nothing"
