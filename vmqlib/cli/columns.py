"""Tables and prose, fitted to a width: no word is broken, and no command.

A table's cells stand side by side where that reads well; else there is a line a row, with the rest below it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["Table", "wrapped"]

_SHORT: Final = 24  # a time, a status, a schedule: cells up to this length stay on one line
_GAP: Final = 2
_INDENT: Final = 2
_TOGETHER: Final = re.compile(  # commands, with backquotes or without, and times
    r"`[^`]+`|(?:^ *|(?<=: ))(?:vmq|make|aws) [^`;]+|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: UTC)?"
)
_HARD: Final = "\ue000"  # a blank that nothing wraps at; not printable, so that no text from outside has it


@dataclass(frozen=True)
class Table:
    """What a table shows.

    Parameters
    ----------
    columns:
        Their names.
    rows:
        Cells, as many in each as there are columns. They are data: no markup, no control characters.
    title:
        What stands above it.
    numeric:
        Columns that are set to the right.
    whole:
        Columns of what is there to be copied, such as keys: none of their cells is broken, even where it is longer
        than a line. The terminal wraps it then, and it is still one.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    numeric: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()

    def on_one_line(self) -> str:
        """Each row on a line, as long as it takes: for what reads it from a pipe."""
        return _framed(self, None)

    def fitted(self, width: int, spare: Sequence[str] = ()) -> tuple[str, tuple[str, ...]]:
        """The table in lines of that width, and the columns that were left out for it.

        Words, which may be ids, and commands are never broken. Where the columns leave no room for that, or take more
        lines than it takes to say the long cells below each row, that is done. Columns that hold nothing are left out
        in silence.

        Parameters
        ----------
        spare:
            Columns that may be left out, the least needed first.
        """
        if self._widths(width) == (natural := self._natural()):
            return _framed(self, natural), ()
        said = self._kept()._without([name for name, *cells in self._cells() if not any(cells)])
        for count in range(len(spare) + 1):
            some = said._without(spare[:count])
            if widths := some._widths(width):
                beside, below = _framed(some, widths), some._below(width)
                return min(beside, below, key=lambda text: text.count("\n")), tuple(spare[:count])
        return some._below(width), tuple(spare)

    def _kept(self) -> Table:
        """With blanks that nothing wraps at, where cells are not to be broken."""
        whole = [name in self.whole for name in self.columns]
        return replace(
            self,
            rows=tuple(
                tuple(
                    cell.replace(" ", _HARD) if as_it_is else _unbroken(cell)
                    for cell, as_it_is in zip(row, whole, strict=True)
                )
                for row in self.rows
            ),
        )

    def _without(self, names: Collection[str]) -> Table:
        kept = [place for place, name in enumerate(self.columns) if name not in names]
        return replace(
            self,
            columns=tuple(self.columns[place] for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in self.rows),
        )

    def _cells(self) -> list[tuple[str, ...]]:
        """Each column from its name down."""
        return [(name, *(row[place] for row in self.rows)) for place, name in enumerate(self.columns)]

    def _natural(self) -> list[int]:
        return [max(map(_width, cells)) for cells in self._cells()]

    def _widths(self, room: int) -> list[int]:
        """Of each column, the widest taken from first; empty where not all has room that must not break."""
        room -= _GAP * (len(self.columns) - 1)
        natural = self._natural()
        least = [max(map(_least, cells)) for cells in self._cells()]
        if sum(least) > room:
            return []
        while sum(natural) > room:
            shrinkable = (place for place, width in enumerate(natural) if width > least[place])
            natural[max(shrinkable, key=natural.__getitem__)] -= 1
        return natural

    def _below(self, width: int) -> str:
        """What fits stands in columns, in the table's order; the rest of each row below it, with its name. A single
        column that is left needs no name: its cells stand beside the others where they fit."""
        room, beside = width, list[int]()
        for place, most in enumerate(self._natural()):
            if most <= room:
                beside.append(place)
                room -= most + _GAP
        under = [place for place in range(len(self.columns)) if place not in beside]
        top = self._without([self.columns[place] for place in under])
        lines = _framed(top, top._natural()).splitlines() if beside else [self.title] * bool(self.title)
        told, rows = lines, [""] * len(self.rows)
        if beside:
            told, rows = lines[: -len(rows)], lines[-len(rows) :]
        single = bool(beside) and len(under) == 1
        if single:
            *told, head, rule = told
            start = width - room
            name, *cells = self._cells()[under[0]]
            fits = any(cell and start + _width(cell) <= width for cell in cells)
            heads = [*_set_in(head, name, start, width)] if fits else [head, f"{' ' * _INDENT}{name}"]
            told += [*heads, rule[:1] * max(len(rule), *map(_width, heads))]
        for row, line in zip(self.rows, rows, strict=True):
            if single:
                told += _set_in(line, row[under[0]], start, width)
                continue
            told += [line] * bool(line)
            told += _packed((f"{self.columns[place]}: {row[place]}" for place in under if row[place]), width)
        return "".join(f"{line}\n" for line in told).replace(_HARD, " ")


def _set_in(line: str, cell: str, start: int, width: int) -> Iterator[str]:
    """A line with a cell at its end where that fits, else with the cell below."""
    if cell and start + _width(cell) <= width:
        yield f"{line}{' ' * (start - _width(line))}{cell}"
        return
    if line:
        yield line
    yield from _packed([cell] * bool(cell), width)


def _packed(cells: Iterable[str], width: int) -> Iterator[str]:
    """Cells below their row, as many on a line as it takes; a long one is wrapped by words."""
    line, room, lead = "", width - _INDENT, " " * _INDENT
    for cell in cells:
        if line and len(line) + _GAP + len(cell) <= room:
            line += " " * _GAP + cell
            continue
        if line:
            yield lead + line
        line = cell
        if len(cell) > room:
            *before, line = _wrap(cell, room, lead)
            yield from (lead + one for one in before)
    if line:
        yield lead + line


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int, indent: int = _INDENT) -> str:
    """Prose in lines of that width; what begins with blanks goes on below its first word.

    Parameters
    ----------
    indent:
        By how many blanks more than the first line those that follow are set in.
    """
    lines = []
    for line in text.split("\n"):
        lead = len(line) - len(line.lstrip(" "))
        lines += _wrap(_unbroken(line), width, " " * (lead + indent)) or [""]
    return "\n".join(lines).replace(_HARD, " ")


def _wrap(text: str, width: int, lead: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=lead, break_long_words=False, break_on_hyphens=False
    )  # fmt: skip


def _unbroken(text: str) -> str:
    """A text whose commands and times nothing wraps."""
    return _TOGETHER.sub(lambda found: found[0].replace(" ", _HARD), text)


def _least(cell: str) -> int:
    """How wide a cell's column has to be."""
    return _width(cell) if len(cell) <= _SHORT else max(map(_width, cell.split()), default=0)


def _framed(made: Table, widths: Sequence[int] | None) -> str:
    """The table by rich: with a line below its head, or (without widths) each row on a line as long as it takes."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Framed
    from rich.text import Text

    framed = Framed(
        title=Text(made.title) if made.title else None,
        box=None if widths is None else SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        show_edge=widths is None,
        padding=(0, 1) if widths is None else (0, 1, 0, 0),
    )
    for place, name in enumerate(made.columns):
        framed.add_column(
            name,
            justify="right" if name in made.numeric else "left",
            no_wrap=widths is None,
            width=None if widths is None else widths[place],
        )
    for row in made.rows:
        framed.add_row(*map(Text, row))
    wide = 4000 if widths is None else sum(widths) + _GAP * len(widths)
    console = Console(width=wide, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(framed)
    # rich fills every line up to the widest cell: blanks that grep, diff and a mail's reader would have to bear.
    return "".join(f"{line.rstrip()}\n" for line in captured.get().replace(_HARD, " ").splitlines())
