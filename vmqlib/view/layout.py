"""Tables, chips and lists of the record: how a panel of text is put together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.times import duration, show_time
from vmqlib.view.base import Html, Panel, caption, evidence_name, join, plain, tag
from vmqlib.view.findings import moment

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = [
    "MOST_ROWS",
    "Column",
    "ago",
    "chip",
    "code",
    "count",
    "facts",
    "line",
    "name",
    "panel",
    "place",
    "records",
    "short",
    "size",
    "small",
    "stacked",
    "table",
    "when",
    "who",
]

MOST_ROWS = 50
"""Rows that a table shows; the evidence file has all."""

LONGEST_CELL = 300

_BREAKS = re.compile(r"(?<=[/_])(?=[^/_])|(?=\.metadata\.json$)")
_HOST = re.compile(r"^[a-z0-9+]+://[^/]+/")
_ARN = re.compile(r"arn:aws[a-z-]*:[^\s)]*[:/]([^\s)/]+)")

_TABLE = "border-collapse:collapse;font-size:90%;margin:0.3em 0;text-align:left"
_HEAD = (
    "text-align:left;vertical-align:bottom;border-bottom:2px solid #888;padding:0.2em 0.7em 0.2em 0;"
    "white-space:nowrap"
)
# Not "anywhere": that lets a table squeeze the column to one letter, and "backup.md" ends as "backup.m" and "d".
_KEY = "overflow-wrap:break-word"
_CELL = "text-align:left;vertical-align:top"
_NUMBER = "text-align:right;vertical-align:top;white-space:nowrap"
_CODE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;background:#f2f2f2;color:#111;padding:0.1em 0.35em;"
    "border:1px solid #ccc"
)
_CHIP = "padding:0.1em 0.55em;border:1px solid #555;font-weight:bold;white-space:nowrap"
_NAME = "text-align:left;padding:0.1em 1em 0.1em 0;vertical-align:top;white-space:nowrap;font-weight:normal;color:#555"
_SMALL = "color:#666;font-size:82%;margin:0.2em 0"

CHIPS = {
    "SEV1": ("#A03000", "#ffffff"),
    "SEV2": ("#E69F00", "#111111"),
    "SEV3": ("#BFE5D8", "#111111"),
    "ALARM": ("#A03000", "#ffffff"),
    "FAILED": ("#A03000", "#ffffff"),
    "deleted": ("#A03000", "#ffffff"),
    "failed": ("#A03000", "#ffffff"),
    "INCOMPLETE": ("#E69F00", "#111111"),
    "still changed": ("#E69F00", "#111111"),
    "changed since": ("#E69F00", "#111111"),
    "back": ("#BFE5D8", "#111111"),
    "rewritten": ("#E69F00", "#111111"),
    "SUCCEEDED": ("#BFE5D8", "#111111"),
    "OK": ("#BFE5D8", "#111111"),
    "closed": ("#BFE5D8", "#111111"),
    "firing": ("#A03000", "#ffffff"),
    "unknown": ("#E69F00", "#111111"),
    "quiet": ("#BFE5D8", "#111111"),
    "fail": ("#A03000", "#ffffff"),
    "cannot tell": ("#E69F00", "#111111"),
    "pass": ("#BFE5D8", "#111111"),
    "indexed": ("#BFE5D8", "#111111"),
    "gone": ("#BFE5D8", "#111111"),
    "held back": ("#A03000", "#ffffff"),
    "still indexed": ("#A03000", "#ffffff"),
    "not synced": ("#E69F00", "#111111"),
    "succeeded": ("#BFE5D8", "#111111"),
    "timed out": ("#A03000", "#ffffff"),
    "interrupted": ("#E69F00", "#111111"),
    "never sent": ("#A03000", "#ffffff"),
    "blind": ("#A03000", "#ffffff"),
    "late": ("#E69F00", "#111111"),
    "not known": ("#E69F00", "#111111"),
    "in time": ("#BFE5D8", "#111111"),
    "saw it": ("#BFE5D8", "#111111"),
}
"""Background and text colour of words that are worth seeing first. The word is always there, too."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    title:
        Its heading.
    show:
        Makes a value into text or markup; text is escaped afterwards.
    right:
        Aligned right: numbers.
    """

    title: str
    show: Callable[[Any], object] = plain
    right: bool = False


def when(value: Any) -> str:
    """A time as text: ``2026-11-23 09:12:05 UTC``; empty where it is missing."""
    stamp = moment(value)
    return show_time(stamp) if stamp else ""


def ago(value: Any, now: datetime) -> str:
    """A time with its distance from ``now``: ``2026-11-23 09:12:05 UTC (12 min ago)``."""
    stamp = moment(value)
    if stamp is None:
        return ""
    span = now - stamp
    return (
        f"{show_time(stamp)} ({duration(span)} ago)"
        if span >= timedelta(0)
        else f"{show_time(stamp)} (in {duration(-span)})"
    )


def size(value: Any) -> str:
    """Bytes for people: ``1.4 MiB``."""
    if plain(value) == "":
        return ""
    number = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def count(value: Any) -> str:
    """A whole number with thousands apart."""
    text = plain(value)
    return f"{int(value):,}" if text else ""


def chip(value: object) -> Html:
    """A word on a coloured ground."""
    word = plain(value, 40)
    background, colour = CHIPS.get(word, ("#e4e4e4", "#111111"))
    return tag("span", word, style=f"background:{background};color:{colour};{_CHIP}")


def small(words: str) -> Html:
    """A remark below a table: what is left out, where it came from."""
    return tag("div", words, style=_SMALL)


def code(value: object) -> Html:
    """Something to type, set apart so that it is easily copied."""
    return tag("code", plain(value, 2000), style=_CODE)


def name(value: object) -> Html:
    """A key, an id, a file: in the type of code. A line ends after a slash or a dash, and within a name only where that
    alone fills the line."""
    text = plain(value, 400)
    shown = text if len(text) <= 90 else "…" + text[-88:]
    return tag("code", _breakable(shown), style=_KEY, title=text if shown != text else None)


def _breakable(key: str) -> Html:
    """A key that may also end a line after a slash or an underscore, and before what makes it a metadata file."""
    first, *rest = _BREAKS.split(key)
    return join([first, *(join([Html("<wbr>"), part]) for part in rest)])


def short(value: Any) -> Html:
    """A time for a column that says UTC: ``2026-11-23 09:12:05``, on one line."""
    return tag("span", when(value).removesuffix(" UTC"), style="white-space:nowrap")


def place(value: object) -> Html:
    """A document's URI by its key alone: scheme, host and bucket are the same for all. The whole shows on pointing."""
    text = plain(value, 1024)
    key = _HOST.sub("", text)
    shown = key if len(key) <= 90 else "…" + key[-88:]
    return tag("code", _breakable(shown), style=_KEY, title=text)


def who(value: object) -> Html:
    """An actor by the last part of its ARN; the whole shows on pointing."""
    text = plain(value, 400)
    return tag("span", _ARN.sub(r"\1", text), title=text or None)


def stacked(parts: Sequence[object]) -> Html:
    """Values below each other in one cell."""
    return join([tag("div", part, style="white-space:nowrap") for part in parts])


def table(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Html:
    """A table with a head. Cells are shown by their column and cut at 300 characters."""
    head = tag("tr", *(tag("th", column.title, style=_HEAD, scope="col") for column in columns))
    body = (
        tag("tr", *(_cell(column, value) for column, value in zip(columns, row, strict=True))) for row in rows
    )
    return tag("table", tag("thead", head), tag("tbody", *body), style=_TABLE)


def _cell(column: Column, value: Any) -> Html:
    shown = column.show(value)
    text = shown if isinstance(shown, Html) else plain(shown, LONGEST_CELL)
    return tag("td", text, style=_NUMBER if column.right else _CELL)


def records(frame: pd.DataFrame, names: Sequence[str]) -> list[list[Any]]:
    """The rows of a frame as lists, in the order of ``names``; columns that are not there are empty."""
    import pandas as pd

    columns = [frame[name].tolist() if name in frame else [pd.NA] * len(frame) for name in names]
    return [list(row) for row in zip(*columns, strict=True)]


def facts(pairs: Sequence[tuple[str, object]]) -> Html:
    """Names and values, one pair a line; pairs without a value are left out."""
    rows = (
        tag(
            "tr",
            tag("th", key, style=_NAME, scope="row"),
            tag("td", value, style="text-align:left;padding:0.1em 0;vertical-align:top"),
        )
        for key, value in pairs
        if (value.markup if isinstance(value, Html) else value)
    )
    return tag("table", tag("tbody", *rows), style="border-collapse:collapse;margin:0.3em 0")


def panel(
    lead: object,
    *parts: Html,
    seen: Sequence[Observation | None] = (),
    left_out: int = 0,
    text: Sequence[str] = (),
) -> Panel:
    """A panel: its finding first, then its parts, then what is left out and where the data came from.

    Parameters
    ----------
    lead:
        The finding in one sentence.
    seen:
        Where it came from.
    left_out:
        Rows that are not shown.
    text:
        Lines of the plain-text form, after the finding.
    """
    rest = more(left_out, next((one for one in seen if one is not None), None))
    source = caption(*seen)
    notes = [small(line) for line in (rest, source) if line]
    html = join([tag("div", tag("strong", lead), style="margin:0.3em 0"), *parts, *notes])
    words = [
        plain_lead(lead),
        *(plain(line, 400) for line in text),
        *(line for line in (rest, source) if line),
    ]
    return Panel(html, "\n".join(words))


def plain_lead(lead: object) -> str:
    """The finding without markup."""
    return plain(lead, 1000) if not isinstance(lead, Html) else ""


def more(left_out: int, seen: Observation | None) -> str:
    """How many rows are not shown, and which file has them."""
    if left_out <= 0:
        return ""
    file = evidence_name(seen) if seen is not None and seen.evidence is not None else ""
    return f"… {left_out:,} more" + (f" in evidence file {file}" if file else "")


def line(values: Mapping[str, object] | Sequence[object]) -> str:
    """A row of the plain-text form."""
    parts = values.values() if isinstance(values, Mapping) else values
    return " | ".join(" ".join(plain(part, 160).split()) for part in parts)
