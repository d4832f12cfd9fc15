"""What becomes of one key: its entries against the target. See :func:`vmqlib.runbook.rollback.planner.plan_items`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from vmqlib.runbook.rollback.items import NOTHING, Action, Ambiguous, Entry, Item, Target
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.sources.versionlisting import ObjectVersion

__all__ = ["KeyPlanner", "Moment", "switch_on"]

_NULL = "null"

_BY_ITSELF = "Decide for this key by itself: vmq versions --key shows what is there."


def switch_on(bucket: str) -> str:
    """The command that switches versioning on."""
    return f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"


class Moment:
    """A moment that LastModified times are compared with.

    Times are spans: without a fraction a whole second, with three digits a millisecond. Two spans that touch cannot be
    put in order, unless both are of a microsecond.

    Parameters
    ----------
    at:
        The moment.

    Attributes
    ----------
    begins:
        Every time below it (as :func:`vmqlib.times.iso` writes times) came before the moment for sure.
    """

    def __init__(self, at: datetime) -> None:
        self._text = iso(at)
        self._second, self._fraction = self._text[:19], self._text[20:26]
        self.begins = f"{self._second}.000000Z"

    def side(self, at: str) -> Literal[-1, 0, 1]:
        """-1: at the moment or before it; 1: after it; 0: nobody can tell."""
        if at[:19] == self._second:
            given, ours = at[20:26], self._fraction
            if given == "000000" or ours == "000000":
                return 0
            if given[:3] == ours[:3] and (given[3:] == "000" or ours[3:] == "000"):
                return 0
        return 1 if at > self._text else -1


@dataclass(frozen=True)
class KeyPlanner:
    """Decides for one key after the other.

    Parameters
    ----------
    target, ambiguous:
        As for :func:`vmqlib.runbook.rollback.planner.plan_items`.
    moment:
        The target's moment; ``None`` for the previous version of named keys.
    suspended:
        Whether versioning is suspended now.
    bucket:
        Its name, for the remedy.
    copies:
        Versions that are copies of others, by what made them: each with the one that it is a copy of.
    """

    target: Target
    ambiguous: Ambiguous
    moment: Moment | None
    suspended: bool
    bucket: str
    copies: Mapping[str, str]

    def item(
        self, entries: Sequence[ObjectVersion], current: ObjectVersion | None, document: bool
    ) -> Item | None:
        """The item of a key, ``None`` where nothing is to be done.

        Parameters
        ----------
        entries:
            All of the key's versions and markers, newest first.
        current:
            The one that is current; ``None`` where the listing has none.
        document:
            Whether the connector takes the key for a document.
        """
        if current is None:
            newest = entries[0]
            return Item(
                newest.key,
                "BLOCKED",
                _entry(newest),
                code="unknown",
                reason="The listing names no current version of this key: it changed while it was listed.",
                remedy="Plan again.",
                document=document,
            )
        if self.target.kind == "touch":
            return self._touched(current, document)
        if self.target.kind == "previous":
            return self._previous(entries, current, document)
        return self._as_of(entries, current, document)

    def _as_of(self, entries: Sequence[ObjectVersion], current: ObjectVersion, document: bool) -> Item | None:
        assert self.moment is not None
        side = self.moment.side
        after: list[ObjectVersion] = []
        unsure: list[ObjectVersion] = []
        before: ObjectVersion | None = None
        if entries[0] is not current:
            # The current one is dated earlier than another that it came after: its own time says nothing.
            if side(entries[0].at) != 1:
                return self._blocked(current, document, "unknown", _LATER, _BY_ITSELF)
            after.append(current)
        for entry in entries:
            if entry is current and after:
                continue
            where = side(entry.at)
            if where == -1:
                before = entry
                break
            (after if where else unsure).append(entry)
        if unsure and self.ambiguous == "exclude":
            after += unsure
            unsure = []
        if any(entry.version_id == _NULL for entry in after):
            return self._blocked(current, document, "unknown", _REPLACED, _BY_ITSELF)
        if not unsure:
            return self._towards(before, current, document)
        if self.ambiguous == "include" or _gone_anyway(unsure, before):
            return self._towards(unsure[0], current, document)
        return self._blocked(current, document, "ambiguous", _unsure(unsure[0].at), _DECIDE)

    def _previous(
        self, entries: Sequence[ObjectVersion], current: ObjectVersion, document: bool
    ) -> Item | None:
        if self.moment is not None:
            where = self.moment.side(max(current.at, entries[0].at))
            if where == 0 and self.ambiguous == "hold":
                return self._blocked(current, document, "ambiguous", _unsure(current.at), _DECIDE)
            if where == -1 or (where == 0 and self.ambiguous == "include"):
                return None
        older = (entry for entry in entries if entry is not current and not entry.is_delete_marker)
        found = next(older, None)
        if found is None:
            return self._blocked(current, document, "no-previous", _NO_PREVIOUS, _BY_ITSELF)
        return self._towards(found, current, document)

    def _touched(self, current: ObjectVersion, document: bool) -> Item:
        """The current version onto itself: the same content, and the connector takes it for changed."""
        if current.is_delete_marker:
            return self._blocked(current, document, "deleted", _DELETED, _BY_ITSELF)
        if self.suspended:
            remedy = f"Switch versioning on, then touch again: {switch_on(self.bucket)}"
            return self._blocked(current, document, "suspended", _SUSPENDED, remedy)
        now = _entry(current)
        return Item(current.key, "COPY", now, now, document=document)

    def _towards(self, found: ObjectVersion | None, current: ObjectVersion, document: bool) -> Item | None:
        """From what is there now to what was found for the target."""
        if found is current:
            return None
        code = reason = remedy = ""
        action: Action
        if found is None or found.is_delete_marker:
            if current.is_delete_marker:
                return None
            action = "DELETE"
        elif current.is_delete_marker:
            action = "UNDELETE"
        elif found.etag and found.etag == current.etag and found.size == current.size:
            action, reason = "SKIP", _SAME
        elif self._copied(found, current):
            action, reason = "SKIP", _COPIED
        else:
            action = "COPY"
        if self.suspended and action != "SKIP":
            action, code, reason = "BLOCKED", "suspended", _SUSPENDED
            remedy = f"Switch versioning on, then plan again: {switch_on(self.bucket)}"
        target = NOTHING if found is None else _entry(found)
        return Item(current.key, action, _entry(current), target, code, reason, remedy, document=document)

    def _copied(self, found: ObjectVersion, current: ObjectVersion) -> bool:
        """Whether the current version is a copy of that one, or both are of a third: what was written down when it was
        made says so where ETags do not (KMS, uploads in parts)."""
        if _NULL in (found.version_id, current.version_id) or current.version_id not in self.copies:
            return False
        origin = self.copies[current.version_id]
        return found.size == current.size and origin == self.copies.get(found.version_id, found.version_id)

    def _blocked(self, current: ObjectVersion, document: bool, code: str, reason: str, remedy: str) -> Item:
        return Item(
            current.key,
            "BLOCKED",
            _entry(current),
            code=code,
            reason=reason,
            remedy=remedy,
            document=document,
        )


def _gone_anyway(unsure: Sequence[ObjectVersion], before: ObjectVersion | None) -> bool:
    """Whether the key was gone whichever of these changes had been made by then. (A null marker may have replaced
    a version, so it proves nothing.)"""
    return (before is None or before.is_delete_marker) and all(
        entry.is_delete_marker and entry.version_id != _NULL for entry in unsure
    )


def _entry(found: ObjectVersion) -> Entry:
    if found.is_delete_marker:
        return Entry(found.version_id, found.at, is_delete_marker=True)
    return Entry(found.version_id, found.at, False, found.size, found.etag, found.storage_class)


_LATER = (
    "The current version carries an earlier time than an older one (a multipart upload may be dated by its start): "
    "when it came cannot be known."
)
_REPLACED = (
    "A null version or marker was written after the target, while versioning was not on: it may have replaced, for "
    "good, what was there."
)
_DECIDE = (
    "Plan again with --ambiguous include (it had been made by then) or --ambiguous exclude (it came after), "
    "for this key alone with --key."
)
_NO_PREVIOUS = "There is no version before the current one."
_DELETED = "It is deleted: there is nothing to look at again."
_SAME = "The same content, by ETag and size; metadata and tags were not compared."
_COPIED = "A copy of that very version, by the apply log."
_SUSPENDED = (
    "Versioning is suspended: a change would replace the null version for good, and could not be undone."
)


def _unsure(at: str) -> str:
    return f"Changed at {at[:10]} {at[11:19]} UTC, within the very second of the target: S3 does not say on which side."
