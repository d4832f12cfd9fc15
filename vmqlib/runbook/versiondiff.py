"""Two versions of a key compared: line by line where both are text, else by size, type and ETag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.runbook.contents import LARGEST, Content, fetch, visible
from vmqlib.runbook.keyhistory import KeyHistory, Pick
from vmqlib.runbook.linediff import CONTEXT, MOST_LINES, LineDiff
from vmqlib.runbook.wording import many
from vmqlib.times import show_time

if TYPE_CHECKING:
    from datetime import datetime

    from vmqlib.aws import Aws
    from vmqlib.record.redaction import Redactor

__all__ = ["VersionDiff", "compare", "compare_contents"]


@dataclass(frozen=True)
class VersionDiff:
    """Two versions of a key, compared.

    Parameters
    ----------
    bucket, key:
        Which object.
    before, after:
        The two sides.
    finding:
        The result in one sentence.
    notes:
        What else there is to say, a sentence each.
    lines:
        The comparison line by line; ``None`` where there are no lines to compare.
    """

    bucket: str
    key: str
    before: Content
    after: Content
    finding: str
    notes: tuple[str, ...] = ()
    lines: LineDiff | None = None

    @property
    def readable(self) -> bool:
        """Whether both sides could be looked at: neither archived, nor denied, nor encrypted with a customer's key."""
        return "unreadable" not in (self.before.state, self.after.state)

    @property
    def added(self) -> int:
        """Lines that only ``after`` has."""
        return self.lines.added if self.lines else 0

    @property
    def removed(self) -> int:
        """Lines that only ``before`` has."""
        return self.lines.removed if self.lines else 0

    def unified(self, context: int = CONTEXT) -> Iterator[str]:
        """The lines of a unified diff, without line ends; secrets masked, control characters visible. Nothing where
        there are no lines to compare, or none differs."""
        if self.lines is None or not self.lines.differs:
            return
        yield f"--- {visible(self.key)}  {visible(self.before.label)}"
        yield f"+++ {visible(self.key)}  {visible(self.after.label)}"
        yield from self.lines.unified(context)

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "bucket": self.bucket,
            "key": self.key,
            "before": _side(self.before),
            "after": _side(self.after),
            "finding": self.finding,
            "notes": list(self.notes),
            "added": self.added,
            "removed": self.removed,
            "unified": list(self.unified()),
        }


def compare(
    aws: Aws,
    history: KeyHistory,
    redactor: Redactor,
    before: str = "previous",
    after: str = "current",
    *,
    last_good: datetime | None = None,
    largest: int = LARGEST,
) -> VersionDiff:
    """Reads two versions of a key and compares them.

    Parameters
    ----------
    history:
        The key's history.
    redactor:
        Masks secrets before anything is compared or shown.
    before, after:
        As :meth:`vmqlib.runbook.keyhistory.KeyHistory.pick` takes them.
    last_good:
        The start of the last good sync, where one of them is ``last-good``.
    largest:
        Bytes; larger ones are compared by size and ETag.

    Raises
    ------
    BadInput
        When a name means no version, or several.
    AwsError
        AWS cannot be reached, or is throttling.
    """
    if (
        before == "previous"
        and history.previous is None
        and after == "current"
        and len(history.versions) == 1
    ):
        raise BadInput(
            f"{history.key!r} has one version only: there is nothing to compare it with.",
            hint="`vmq versions --key` shows it.",
        )
    picks = history.pick(before, last_good), history.pick(after, last_good)
    sides = [
        fetch(aws, history.bucket, history.key, pick.version, redactor, label=_label(pick), largest=largest)
        for pick in picks
    ]
    warnings = tuple(pick.warning for pick in picks if pick.warning)
    return compare_contents(history.bucket, history.key, *sides, notes=warnings)


def _label(pick: Pick) -> str:
    """``version 3Lg… of 2026-11-20 10:00:00 UTC (the current version)``."""
    if pick.version is None:
        return f"not there {pick.words}".strip()
    said = f"{pick.version.what} {pick.version.version_id} of {show_time(pick.version.at)}"
    return said + (f" ({pick.words})" if pick.words else "")


def compare_contents(
    bucket: str, key: str, before: Content, after: Content, *, notes: Sequence[str] = ()
) -> VersionDiff:
    """Two contents compared. Pure."""
    told = [*notes, *_notes(before, after)]
    states = {before.state, after.state}
    if before.version is not None and before.version == after.version:
        return VersionDiff(bucket, key, before, after, "Both are the same version.", tuple(told))
    if states <= {"text", "not there"} and "text" in states:
        return _compared_text(bucket, key, before, after, told)
    return VersionDiff(bucket, key, before, after, _without_lines(before, after), tuple(told))


def _compared_text(bucket: str, key: str, before: Content, after: Content, told: list[str]) -> VersionDiff:
    if max(before.text.count("\n"), after.text.count("\n")) > MOST_LINES:
        told.append(f"More than {MOST_LINES:,} lines are not compared line by line.")
        return VersionDiff(bucket, key, before, after, _without_lines(before, after), tuple(told))
    lines = LineDiff.of(before.text, after.text)
    return VersionDiff(bucket, key, before, after, _text_finding(before, after, lines), tuple(told), lines)


def _text_finding(before: Content, after: Content, made: LineDiff) -> str:
    if after.state == "not there":
        return f"Before, it was {before.described}; after, {after.problem}."
    if before.state == "not there":
        return f"Before, {before.problem}; after, it is {after.described}."
    if not made.differs:
        if before.digest == after.digest:
            return "The content is the same, byte by byte."
        return (
            "The texts are the same, but for what is masked or cannot be seen: line ends, encoding, secrets."
        )
    return f"{many(made.added, 'line')} added, {many(made.removed, 'line')} removed."


def _without_lines(before: Content, after: Content) -> str:
    if before.digest and before.digest == after.digest:
        return "The content is the same, byte by byte."
    return f"Before: {before.described}. After: {after.described}. {_verdict(before, after)}".strip()


def _verdict(before: Content, after: Content) -> str:
    """Whether the two differ, where their bytes were not compared or are not shown."""
    one, other = before.version, after.version
    if "not there" in (before.state, after.state) or one is None or other is None:
        return ""
    if one.size != other.size:
        return f"The size changed by {(other.size or 0) - (one.size or 0):+,} bytes."
    if before.digest and after.digest:
        return "The content differs."
    if one.etag == other.etag:
        return "Size and ETag are equal, so the content is."
    return "The size is equal, the ETag is not: other content, or the same in other parts or encrypted anew."


def _notes(before: Content, after: Content) -> Iterator[str]:
    if before.state == after.state == "text":
        if before.endings != after.endings and before.endings and after.endings:
            yield f"Line ends: {before.endings} before, {after.endings} after."
        if before.kind != after.kind and before.size and after.size:
            yield f"Encoding: {before.kind} before, {after.kind} after."
    if before.content_type != after.content_type and before.content_type and after.content_type:
        yield f"Content type: {before.content_type} before, {after.content_type} after."
    for packed, other, word in ((after, before, "after"), (before, after, "before")):
        if packed.unpacked and packed.unpacked == other.digest:
            yield f"The {word} one is the other, compressed with gzip: unpacked, it is the same byte by byte."
    for side, word in ((before, "Before"), (after, "After")):
        if side.masked:
            yield f"{word}: {many(side.masked, 'secret')} masked."
        if side.hint:
            yield f"{word}: {side.hint}"


def _side(content: Content) -> dict[str, Any]:
    version = content.version
    return {
        "label": content.label,
        "state": content.state,
        "version_id": version.version_id if version else None,
        "at": version.at if version else None,
        "size": content.size,
        "etag": version.etag if version else "",
        "content_type": content.content_type,
        "kind": content.kind,
        "sha256": content.digest,
        "code": content.code,
        "problem": content.problem,
        "hint": content.hint,
    }
