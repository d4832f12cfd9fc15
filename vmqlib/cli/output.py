"""How commands speak: tables or one JSON document on stdout, progress and notices on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import click

from vmqlib.errors import BadInput, Declined
from vmqlib.times import iso, show_time

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
    "say",
    "short_time",
    "table",
    "waiting",
    "yes_option",
]

_USUAL = 80

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
    """One line for people, on stderr: stdout stays for what pipes. Wrapped as :func:`say` does."""
    click.echo(_prose(text, _width(sys.stderr), 2), err=True)


def say(text: str, indent: int = 2) -> None:
    """Prose on stdout; wrapped where a table would be fitted (:func:`table`), with a command in it left whole.

    Parameters
    ----------
    indent:
        By how many blanks more than the first line those that follow are set in.
    """
    click.echo(_prose(text, _width(sys.stdout), indent))


def _prose(text: str, width: int, indent: int) -> str:
    if not width or len(text) <= width:
        return text
    from vmqlib.cli.columns import wrapped

    return wrapped(text, width, indent)


def short_time(moment: datetime) -> str:
    """A time in a column whose head says that it is UTC."""
    return show_time(moment).removesuffix(" UTC")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    numeric: Sequence[str] = (),
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> tuple[str, ...]:
    """A table on stdout: fitted to a terminal, or to ``COLUMNS`` where that is set; else, piped, on one line a row.
    Piped it is plain. Cells are data, not markup.

    Parameters
    ----------
    numeric, whole:
        As in :class:`vmqlib.cli.columns.Table`.
    spare:
        Columns that are left out where there is no room, the least needed first; that is told.

    Returns
    -------
    tuple
        What was left out.
    """
    from vmqlib.cli.columns import Table

    made = tuple(tuple(printable(cell) for cell in row) for row in rows)
    shown = Table(tuple(columns), made, title, tuple(numeric), tuple(whole))
    if not (width := _width(sys.stdout)):
        click.echo(shown.on_one_line(), nl=False)
        return ()
    text, left_out = shown.fitted(width, spare)
    head, rule, body = text.partition("\n\N{BOX DRAWINGS LIGHT HORIZONTAL}")
    click.echo(f"{click.style(head, bold=True)}{rule}{body}" if rule else text, nl=False)
    if left_out:
        notice(f"Left out at this width: {', '.join(left_out)}.")
    return left_out


def _width(stream: TextIO) -> int:
    """How wide what is shown may be: the terminal, or what ``COLUMNS`` says; 0 for as wide as it is."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    if not stream.isatty():
        return 0
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    return _USUAL


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


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """A line that moves on stderr while something takes its time, and is gone afterwards; silent where that is no
    terminal."""
    with progress_bar(transient=True) as bar:
        bar.add_task(words, total=None)
        yield
