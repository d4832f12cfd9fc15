"""Two versions of an object side by side: signs beside the colours, so that grey paper says the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from vmqlib.runbook.contents import visible
from vmqlib.runbook.wording import many
from vmqlib.view.base import Html, Panel, View, guarded, join, plain, tag
from vmqlib.view.layout import Column, code, name, panel, size, table, when
from vmqlib.view.version_history import told

if TYPE_CHECKING:
    from vmqlib.runbook.contents import Content
    from vmqlib.runbook.linediff import DiffRow, Segment
    from vmqlib.runbook.versiondiff import VersionDiff

__all__ = ["version_diff"]

MOST_LINES = 150
"""Rows that are shown."""

LONGEST_LINE = 600
"""Characters of a line that are shown."""

_BEFORE_CHANGE = 80  # characters shown before the first change in a line that is cut

_GRID = (
    "border-collapse:collapse;table-layout:fixed;width:100%;min-width:40rem;margin:0.3em 0;font-size:85%;"
    "text-align:left;border:1px solid #bbb"
)
_HEAD = (
    "text-align:left;vertical-align:bottom;padding:0.3em 0.5em;border-bottom:2px solid #888;font-weight:600;"
    "white-space:normal;overflow-wrap:anywhere"
)
# Important, since the page of a record has wider cells for its tables: lines of a text belong together.
_TIGHT = "padding:0.06em 0.45em !important;border:0 !important;line-height:1.4;min-width:0"
_NUMBER = f"text-align:right;vertical-align:top;white-space:nowrap;font-family:monospace;{_TIGHT}"
_TEXT = (
    "text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;"
    f"font-family:monospace;{_TIGHT}"
)
_GAP = f"text-align:center;color:#555;background:#eeeeee;font-style:italic;{_TIGHT}"
_LOSS = ";background:#fde3dc;color:#111"
_GAIN = ";background:#dcefe6;color:#111"
_NONE = ";background:#f0f0f0;color:#111"
_SAME = ";background:#ffffff;color:#111"
_GONE = "text-decoration:line-through;font-weight:bold;background:#f4b9a7;color:#111"
_NEW = "text-decoration:underline;font-weight:bold;background:#a5d9c0;color:#111"


@guarded
def version_diff(diff: VersionDiff | Callable[[], VersionDiff]) -> View:
    """Two versions side by side: line numbers, a sign and a colour for what differs, long lines wrapped.

    Parameters
    ----------
    diff:
        ``history.diff(incident, key)``, or a function that gives it: when that fails, the section says so.
    """
    made = told("Versions compared", diff)
    if isinstance(made, Panel):
        return made
    notes = [tag("div", plain(visible(note), 600)) for note in made.notes]
    lead = join([name(visible(made.key)), ": ", plain(visible(made.finding), 600)])
    if made.lines is None or not made.lines.differs:
        shown = panel(lead, *notes, _sides(made.before, made.after))
        return Panel(shown.html, "\n".join(_words(made)), ok=made.readable)
    rows = list(islice(made.lines.rows(), MOST_LINES))
    rest = _rest(made, rows)
    head = tag(
        "tr",
        tag("th", "before: ", plain(visible(made.before.label), 300), colspan=2, scope="col", style=_HEAD),
        tag("th", "after: ", plain(visible(made.after.label), 300), colspan=2, scope="col", style=_HEAD),
    )
    grid = tag("table", _widths(), tag("thead", head), tag("tbody", *map(_row, rows)), style=_GRID)
    shown = panel(lead, *notes, grid, *rest)
    return Panel(shown.html, "\n".join(_words(made)))


def _widths() -> Html:
    """Line numbers as narrow as they can be, both texts of equal width."""
    return tag(
        "colgroup", *(tag("col", style=f"width:{width}") for width in ("3.6em", "50%", "3.6em", "50%"))
    )


def _row(row: DiffRow) -> Html:
    if row.kind == "gap":
        return tag("tr", tag("td", f"⋯ {many(row.skipped, 'equal line')} ⋯", colspan=4, style=_GAP))
    left = {"equal": ("", _SAME), "removed": ("−", _LOSS), "changed": ("−", _LOSS), "added": ("", _NONE)}
    right = {"equal": ("", _SAME), "removed": ("", _NONE), "changed": ("+", _GAIN), "added": ("+", _GAIN)}
    inside = row.kind == "changed"
    first = min(_first(row.left), _first(row.right)) if inside else 0
    return tag(
        "tr",
        *_cells(row.left_number, row.left, *left[row.kind], "del" if inside else "", first),
        *_cells(row.right_number, row.right, *right[row.kind], "ins" if inside else "", first),
    )


def _first(segments: Sequence[Segment]) -> int:
    """Where in a line the first change is; its end where there is none."""
    return sum(len(text) for text, _ in takewhile(lambda one: not one[1], segments))


def _cells(
    number: int | None, segments: Sequence[Segment], sign: str, colour: str, element: str, first: int
) -> tuple[Html, Html]:
    numbered = "" if number is None else f"{number:d} {sign}".strip()
    pieces, cut = _cut(segments, first)
    style = _GONE if element == "del" else _NEW
    parts: list[object] = [
        tag(element, text, style=style) if differs and element else text for text, differs in pieces
    ]
    if cut:
        parts.append(tag("em", f" … {many(cut, 'more character')}"))
    return tag("td", numbered, style=_NUMBER + colour), tag("td", *parts, style=_TEXT + colour)


def _cut(segments: Sequence[Segment], first: int) -> tuple[list[Segment], int]:
    """A long line from shortly before its first change on, and how many characters of it are not shown."""
    total = sum(len(text) for text, _ in segments)
    if total <= LONGEST_LINE:
        return list(segments), 0
    start = max(0, min(first, total) - _BEFORE_CHANGE)
    kept: list[Segment] = [("… ", False)] if start else []
    place, room = 0, LONGEST_LINE
    for text, differs in segments:
        piece = text[max(0, start - place) :][:room]
        place += len(text)
        room -= len(piece)
        if piece:
            kept.append((piece, differs))
    return kept, total - (LONGEST_LINE - room)


def _rest(made: VersionDiff, rows: Iterable[DiffRow]) -> list[Html]:
    """How many changed lines are not shown, and how to see them."""
    lost = made.removed - sum(row.kind in ("removed", "changed") for row in rows)
    won = made.added - sum(row.kind in ("added", "changed") for row in rows)
    if lost <= 0 and won <= 0:
        return []
    said = f"… {many(won, 'added line')} and {many(lost, 'removed line')} more. All of them: "
    return [tag("div", said, code(_command(made)), style="margin:0.2em 0")]


def _command(made: VersionDiff) -> str:
    one, other = made.before.version, made.after.version
    names = [each.version_id if each else "" for each in (one, other)]
    words = ["vmq", "versions", "--key", visible(made.key), "--diff", *(names if all(names) else [])]
    return shlex.join(words)


def _sides(before: Content, after: Content) -> Html:
    """What is known of both sides where there are no lines to show."""
    pairs: list[tuple[str, object, object]] = [
        ("version", before.label, after.label),
        ("size", size(before.size), size(after.size)),
        ("what it is", before.described, after.described),
        ("content type", before.content_type, after.content_type),
        ("ETag", before.version.etag if before.version else "", after.version.etag if after.version else ""),
        ("written", when(before.version and before.version.at), when(after.version and after.version.at)),
        (
            "storage class",
            before.version.storage_class if before.version else "",
            after.version.storage_class if after.version else "",
        ),
    ]
    rows = [
        (title, plain(visible(str(one)), 300), plain(visible(str(other)), 300)) for title, one, other in pairs
    ]
    return table([Column(""), Column("before"), Column("after")], [row for row in rows if row[1] or row[2]])


def _words(made: VersionDiff) -> list[str]:
    """The plain-text form: the finding, the notes, and the beginning of the unified diff."""
    lines = [f"{visible(made.key)}: {visible(made.finding)}", *map(visible, made.notes)]
    unified = list(islice(made.unified(), MOST_LINES + 1))
    lines += unified[:MOST_LINES]
    if len(unified) > MOST_LINES:
        lines.append(f"… All of it: {_command(made)}")
    return [line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 2] + " …" for line in lines]
