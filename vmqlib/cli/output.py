"""How commands speak: tables or one JSON document on stdout, progress and notices on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import click

from vmqlib.errors import BadInput, Declined
from vmqlib.times import iso

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Bar",
    "Once",
    "as_json",
    "confirm",
    "json_option",
    "notice",
    "print_json",
    "printable",
    "progress_bar",
    "table",
    "yes_option",
]

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask: the answer is yes.")


def as_json(value: Any) -> Any:
    """What ``json`` cannot write by itself: times, paths, missing values of pandas."""
    if str(value) in {"<NA>", "NaT"}:
        return None
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def print_json(document: Any) -> None:
    """Writes the one JSON document of a ``--json`` call."""
    text = json.dumps(document, default=as_json, ensure_ascii=False, indent=2)
    # A key that is not UTF-8 has lone surrogates, which no encoding holds: they are written as JSON's own escapes.
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def notice(text: str) -> None:
    """One line for people, on stderr: stdout stays for what pipes."""
    click.echo(text, err=True)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", numeric: Sequence[str] = ()
) -> None:
    """A table on stdout: fitted to a terminal, or to ``COLUMNS`` where that is set; else, piped, on one line a row.
    Piped it is plain. Cells are data, not markup."""
    from rich.console import Console

    made = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _fitted(Console(highlight=False), columns, made, title, numeric)
        return
    asked = os.environ.get("COLUMNS", "")
    wide = int(asked) if asked.isdecimal() and int(asked) > 0 else 0
    console = Console(width=wide or 4000, highlight=False, color_system=None)
    # rich fills every line up to the widest cell: blanks that grep, diff and a mail's reader would have to bear.
    with console.capture() as captured:
        if wide:
            _fitted(console, columns, made, title, numeric)
        else:
            _side_by_side(console, columns, made, title, numeric, widths=None)
    click.echo("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), nl=False)


class Once:
    """Says a reason once: where a text ends as an earlier one did, it refers to that one instead.

    Parameters
    ----------
    shortest:
        Reasons shorter than this are said again: that takes less to read than looking them up.
    """

    def __init__(self, shortest: int = 40) -> None:
        self._shortest = shortest
        self._said: dict[str, str] = {}

    def __call__(self, text: str, where: str) -> str:
        """``text``; or its beginning, and that the rest is as above.

        Parameters
        ----------
        where:
            What a person finds this text by: what repeats it refers to that.
        """
        starts = [0, *(found.end() for found in re.finditer(": ", text))]
        tails = {at: text[at:].rstrip(".") for at in starts if len(text) - at >= self._shortest}
        told = next((at for at, tail in tails.items() if tail in self._said), None)
        said = text if told is None else f"{text[:told]}as above ({self._said[tails[told]]})."
        for tail in tails.values():
            self._said.setdefault(tail, where)
        return said


_SHORT: Final = 24  # a time, a status, a schedule: cells up to this length stay on one line
_WORD: Final = 36  # an id, a digest: words up to this length are not broken, so that they can be copied
_GAP: Final = 2


def _fitted(
    console: Console, columns: Sequence[str], rows: list[list[str]], title: str, numeric: Sequence[str]
) -> None:
    """Prose takes the folding. Where even that leaves no room for what must not break, each row is a block of lines."""
    cells = [[name, *(row[place] for row in rows)] for place, name in enumerate(columns)]
    natural = [max(map(len, column)) for column in cells]
    least = [max(map(_unbroken, column)) for column in cells]
    room = console.width - _GAP * (len(columns) - 1)
    if sum(least) <= room:
        _side_by_side(console, columns, rows, title, numeric, widths=_shrunk(natural, least, room))
    else:
        _stacked(console, columns, rows, title)


def _unbroken(cell: str) -> int:
    if len(cell) <= _SHORT:
        return len(cell)
    return max((min(len(word), _WORD) for word in cell.split()), default=0)


def _shrunk(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths, the widest taken from first."""
    widths = list(natural)
    while sum(widths) > room:
        place = max(
            (place for place, width in enumerate(widths) if width > least[place]), key=widths.__getitem__
        )
        widths[place] -= 1
    return widths


def _side_by_side(
    console: Console,
    columns: Sequence[str],
    rows: list[list[str]],
    title: str,
    numeric: Sequence[str],
    *,
    widths: Sequence[int] | None,
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(title) if title else None,
        box=None if widths is None else SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        show_edge=widths is None,
        padding=(0, 1) if widths is None else (0, 1, 0, 0),
    )
    for place, name in enumerate(columns):
        made.add_column(
            name,
            justify="right" if name in numeric else "left",
            overflow="fold",
            no_wrap=widths is None,
            width=None if widths is None else widths[place],
        )
    for row in rows:
        made.add_row(*map(Text, row))
    console.print(made)


def _stacked(console: Console, columns: Sequence[str], rows: list[list[str]], title: str) -> None:
    from rich.table import Table
    from rich.text import Text

    if title:
        console.print(Text(title, "italic"))
    for row in rows:
        made = Table.grid(padding=(0, _GAP, 0, 0))
        made.add_column(no_wrap=True, style="bold")
        made.add_column(overflow="fold")
        for name, cell in zip(columns, row, strict=True):
            if cell:
                made.add_row(Text(name), Text(cell))
        console.print(made)
        console.print()


def printable(cell: object) -> str:
    """A value as text in which nothing steers the terminal: control characters from outside are replaced."""
    text = "" if cell is None or str(cell) in {"<NA>", "NaT", "nan"} else str(cell)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def confirm(question: str, *, yes: bool, otherwise: str = "Nothing was done.") -> None:
    """Asks before a change.

    Parameters
    ----------
    otherwise:
        What is so where the answer is no, a sentence.

    Raises
    ------
    BadInput
        When there is no terminal to ask on and ``--yes`` was not given.
    Declined
        When the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"Not asked: {question}", hint="There is no terminal to ask on. Add --yes to say yes.")
    if not click.confirm(question, err=True):
        raise Declined(otherwise)


class Bar(Protocol):
    """What a command tells of its progress: rich's display, or nothing."""

    def add_task(self, description: str, *, total: float | None = ..., **fields: Any) -> Any:
        """A line of the display; returns what :meth:`update` is told."""

    def update(self, task: Any, /, **changes: Any) -> None:
        """Changes a line."""


class _Silent:
    def add_task(self, description: str, *, total: float | None = None, **fields: Any) -> Any:
        pass

    def update(self, task: Any, /, **changes: Any) -> None:
        pass


@contextmanager
def progress_bar(*columns: str, transient: bool = False, bar_width: int = 30) -> Iterator[Bar]:
    """A rich progress display on stderr; silent when that is no terminal, where rich is not even imported."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    parts = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=bar_width)]
    parts += [TextColumn(column) for column in columns] + [TimeElapsedColumn()]
    with Progress(*parts, console=console, transient=transient, disable=not console.is_terminal) as progress:
        yield cast("Bar", progress)


def pick(row: Mapping[str, Any], names: Sequence[str], show: Callable[[Any], object] = str) -> list[object]:
    """The named cells of a row, shown for people."""
    return [show(row[name]) for name in names]
