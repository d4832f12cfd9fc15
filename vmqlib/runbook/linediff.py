"""Two texts compared line by line: as a unified diff, and as rows side by side. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vmqlib.runbook.contents import visible

__all__ = ["CONTEXT", "MOST_LINES", "DiffRow", "LineDiff", "Segment"]

CONTEXT = 3
"""Equal lines shown around a change."""

MOST_LINES = 20_000
"""Texts with more lines are not compared line by line."""

_LONGEST_MARKED = 2_000  # characters of a line in which the changed words are looked for
_WORD = re.compile(r"\w+|\s+|[^\w\s]")

Segment = tuple[str, bool]
"""A piece of a line, and whether it differs from the other side."""


@dataclass(frozen=True)
class DiffRow:
    """One row of a side-by-side view.

    Parameters
    ----------
    kind:
        ``equal``; ``removed`` (left only); ``added`` (right only); ``changed`` (both); ``gap`` (equal lines left out).
    left_number, right_number:
        Line numbers from 1; ``None`` where that side has no line. For ``gap``: ``None``.
    left, right:
        The line in pieces, control characters made visible; empty where that side has none.
    skipped:
        For ``gap``: how many equal lines.
    """

    kind: Literal["equal", "removed", "added", "changed", "gap"]
    left_number: int | None = None
    right_number: int | None = None
    left: tuple[Segment, ...] = ()
    right: tuple[Segment, ...] = ()
    skipped: int = 0


_Opcode = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class LineDiff:
    """Two texts, compared.

    Parameters
    ----------
    left, right:
        Their lines, with their ends.
    opcodes:
        What became of which lines, as :meth:`difflib.SequenceMatcher.get_opcodes` tells it.
    """

    left: Sequence[str] = field(repr=False)
    right: Sequence[str] = field(repr=False)
    opcodes: tuple[_Opcode, ...] = field(repr=False)

    @classmethod
    def of(cls, before: str, after: str) -> LineDiff:
        """Compares two texts whose lines end with ``\\n``."""
        left, right = _lines(before), _lines(after)
        return cls(left, right, tuple(_opcodes(left, right)))

    @property
    def differs(self) -> bool:
        """Whether any line does."""
        return any(name != "equal" for name, *_ in self.opcodes)

    @property
    def added(self) -> int:
        """Lines that only ``after`` has."""
        return sum(j2 - j1 for name, _, _, j1, j2 in self.opcodes if name != "equal")

    @property
    def removed(self) -> int:
        """Lines that only ``before`` has."""
        return sum(i2 - i1 for name, i1, i2, _, _ in self.opcodes if name != "equal")

    def unified(self, context: int = CONTEXT) -> Iterator[str]:
        """The hunks of a unified diff, without line ends, control characters visible; nothing where no line differs."""
        left, right = self.left, self.right
        for group in _grouped(self.opcodes, context):
            (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
            yield f"@@ -{_range(i1, i2)} +{_range(j1, j2)} @@"
            for name, a1, a2, b1, b2 in group:
                if name == "equal":
                    yield from _marked(" ", left[a1:a2])
                    continue
                yield from _marked("-", left[a1:a2])
                yield from _marked("+", right[b1:b2])

    def rows(self, context: int = CONTEXT) -> Iterator[DiffRow]:
        """The rows of a side-by-side view: changed lines beside each other, with the words that differ told apart."""
        if not self.differs:
            return
        left, right = self.left, self.right
        done = 0
        for group in _grouped(self.opcodes, context):
            if group[0][1] > done:
                yield DiffRow("gap", skipped=group[0][1] - done)
            for name, i1, i2, j1, j2 in group:
                if name == "equal":
                    for k in range(i2 - i1):
                        shown = ((_shown(left[i1 + k]), False),)
                        yield DiffRow("equal", i1 + k + 1, j1 + k + 1, shown, shown)
                else:
                    yield from _changed(left, right, (i1, i2), (j1, j2))
            done = group[-1][2]
        if done < len(left):
            yield DiffRow("gap", skipped=len(left) - done)


def _lines(text: str) -> list[str]:
    """Lines with their ends: a last line without one differs from one with it."""
    return _ENDS.findall(text)


_ENDS = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines also splits at U+2028, form feeds and the like


def _opcodes(left: list[str], right: list[str]) -> Iterator[_Opcode]:
    """What became of which lines. What is equal at both ends is set aside first: most versions differ in few lines."""
    head = 0
    most = min(len(left), len(right))
    while head < most and left[head] == right[head]:
        head += 1
    tail = 0
    while tail < most - head and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    if head:
        yield "equal", 0, head, 0, head
    middle = difflib.SequenceMatcher(None, left[head : len(left) - tail], right[head : len(right) - tail])
    for name, i1, i2, j1, j2 in middle.get_opcodes():
        yield name, i1 + head, i2 + head, j1 + head, j2 + head
    if tail:
        yield "equal", len(left) - tail, len(left), len(right) - tail, len(right)


def _grouped(opcodes: Sequence[_Opcode], context: int) -> Iterator[list[_Opcode]]:
    """Changes with ``context`` equal lines around them; as difflib's own, for opcodes known already."""
    group: list[_Opcode] = []
    for place, (name, i1, i2, j1, j2) in enumerate(opcodes):
        if name != "equal":
            group.append((name, i1, i2, j1, j2))
            continue
        first, last = place == 0, place == len(opcodes) - 1
        length = i2 - i1
        if first or (group and not last and length > 2 * context) or last:
            if group:
                group.append(("equal", i1, min(i2, i1 + context), j1, min(j2, j1 + context)))
                yield group
                group = []
            if not last:
                group = [("equal", max(i1, i2 - context), i2, max(j1, j2 - context), j2)]
            continue
        group.append((name, i1, i2, j1, j2))
    if group and any(name != "equal" for name, *_ in group):
        yield group


def _range(start: int, stop: int) -> str:
    length = stop - start
    first = start + 1 if length else start
    return f"{first}" if length == 1 else f"{first},{length}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + _shown(line)
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _shown(line: str) -> str:
    return visible(line.removesuffix("\n"))


def _changed(
    left: Sequence[str], right: Sequence[str], before: tuple[int, int], after: tuple[int, int]
) -> Iterator[DiffRow]:
    (i1, i2), (j1, j2) = before, after
    pairs = min(i2 - i1, j2 - j1)
    for k in range(pairs):
        one, other = _words(left[i1 + k], right[j1 + k])
        yield DiffRow("changed", i1 + k + 1, j1 + k + 1, one, other)
    for number in range(i1 + pairs, i2):
        yield DiffRow("removed", left_number=number + 1, left=((_shown(left[number]), True),))
    for number in range(j1 + pairs, j2):
        yield DiffRow("added", right_number=number + 1, right=((_shown(right[number]), True),))


def _words(one: str, other: str) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Two lines in pieces: which words differ. Lines with little in common differ as a whole."""
    ended = "" if one.endswith("\n") == other.endswith("\n") else "⏎"
    a = _shown(one) + (ended if one.endswith("\n") else "")
    b = _shown(other) + (ended if other.endswith("\n") else "")
    if max(len(a), len(b)) > _LONGEST_MARKED:
        return _ends(a, b)
    left, right = _WORD.findall(a), _WORD.findall(b)
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < 0.35:
        return ((a, True),) if a else (), ((b, True),) if b else ()
    pieces: tuple[list[Segment], list[Segment]] = ([], [])
    for name, i1, i2, j1, j2 in matcher.get_opcodes():
        differs = name != "equal"
        for side, words in zip(pieces, (left[i1:i2], right[j1:j2]), strict=True):
            if words:
                side.append(("".join(words), differs))
    return tuple(pieces[0]), tuple(pieces[1])


def _ends(a: str, b: str) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Two long lines by what they share at both ends."""
    most = min(len(a), len(b))
    head = next((k for k in range(most) if a[k] != b[k]), most)
    tail = next((k for k in range(most - head) if a[-1 - k] != b[-1 - k]), most - head)

    def pieces(text: str) -> tuple[Segment, ...]:
        middle = text[head : len(text) - tail]
        parts = ((text[:head], False), (middle, True), (text[len(text) - tail :], False))
        return tuple(part for part in parts if part[0])

    return pieces(a), pieces(b)
