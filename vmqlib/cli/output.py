"""How commands speak: tables or one JSON document on stdout, progress and notices on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

import click

from vmqlib.errors import BadInput
from vmqlib.times import iso

__all__ = [
    "Bar",
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
    """A table on stdout: fitted to a terminal; when piped never cut, and plain. Cells are data, not markup."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 4000, highlight=False)
    made = Table(
        title=Text(title) if title else None,
        box=SIMPLE_HEAD if terminal else None,
        title_justify="left",
        pad_edge=False,
    )
    for name in columns:
        made.add_column(
            name, justify="right" if name in numeric else "left", overflow="fold", no_wrap=not terminal
        )
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    if terminal:
        console.print(made)
        return
    # rich fills every line up to the widest cell: blanks that grep, diff and a mail's reader would have to bear.
    with console.capture() as captured:
        console.print(made)
    click.echo("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), nl=False)


def printable(cell: object) -> str:
    """A value as text in which nothing steers the terminal: control characters from outside are replaced."""
    text = "" if cell is None or str(cell) in {"<NA>", "NaT", "nan"} else str(cell)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def confirm(question: str, *, yes: bool) -> None:
    """Asks before a change.

    Raises
    ------
    BadInput
        When there is no terminal to ask on and ``--yes`` was not given.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"Not asked: {question}", hint="There is no terminal to ask on. Add --yes to say yes.")
    click.confirm(question, abort=True, err=True)


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
