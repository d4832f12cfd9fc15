"""Logs Insights queries: fields, display, filter, parse, sort, limit and stats, one after the other.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from vmqlib.simulator.aws_gaps.logs.conditions import BadQuery, compile_condition, number_of, regex_of

__all__ = ["Row", "run_query", "time_text"]

#: Field -> value.
Row = dict[str, Any]

_MOST_ROWS = 10_000
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|/(?:[^/\\\s]|\\.)(?:[^/\\]|\\.)*/')
_FIELD = re.compile(r"`[^`]+`|[@\w][\w.@\-]*")
_FUNCTION = re.compile(
    r"(\w+)\(\s*(\*|`[^`]+`|[@\w][\w.@\-]*)?\s*(?:,\s*([\d.]+)\s*)?\)(?:\s+as\s+([\w]+))?", re.IGNORECASE
)
_BIN = re.compile(r"bin\(\s*(\d+)\s*(ms|[smhdw])\w*\s*\)(?:\s+as\s+(\w+))?", re.IGNORECASE)
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def time_text(milliseconds: float) -> str:
    """A time as Insights shows it: ``2026-11-23 09:05:00.000``."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def run_query(text: str, rows: Iterable[Row], limit: int | None = None) -> list[Row]:
    """The result of a query, newest events first unless it sorts.

    Parameters
    ----------
    text:
        The query.
    rows:
        Events with ``@timestamp`` (milliseconds), ``@message``, ``@logStream``, ``@log`` and ``@ptr``. Fields of JSON
        messages are found as ``a.b``.
    limit:
        Most rows; None for what the query says, or 10,000.

    Raises
    ------
    BadQuery
        When it is none, or uses what is not understood here.
    """
    state = _Query(sorted(rows, key=lambda row: row["@timestamp"], reverse=True))
    for row in state.rows:
        _discover(row)
    for command in _split(text, "|"):
        name, _, rest = command.partition(" ")
        step = _STEPS.get(name.lower())
        if step is None:
            raise BadQuery(f"unexpected command {name!r}: the simulator has {', '.join(sorted(_STEPS))}")
        step(state, rest.strip())
    kept = state.rows[: min(limit or state.limit, _MOST_ROWS)]
    shown = state.shown or ["@timestamp", "@message"]
    return [_shown(row, shown, state.grouped) for row in kept]


class _Query:
    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.shown: list[str] = []
        self.limit = _MOST_ROWS
        self.grouped = False


def _shown(row: Row, fields: Sequence[str], grouped: bool) -> Row:
    found = {name: row[name] for name in fields if row.get(name) is not None}
    if "@timestamp" in found:
        found["@timestamp"] = time_text(found["@timestamp"])
    return found if grouped else {**found, "@ptr": row["@ptr"]}


def _discover(row: Row) -> None:
    """Adds the fields of a JSON message."""
    if not str(row["@message"]).lstrip().startswith("{"):
        return
    try:
        found = json.loads(row["@message"])
    except ValueError:
        return

    def flatten(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                flatten(f"{prefix}{name}.", inner)
        elif isinstance(value, list):
            for position, inner in enumerate(value):
                flatten(f"{prefix}{position}.", inner)
        else:
            row.setdefault(prefix[:-1], value)

    flatten("", found)


def _split(text: str, mark: str) -> list[str]:
    """Splits at ``mark`` outside of strings, regular expressions and parentheses; comments go."""
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    parts, depth, begin, at = [], 0, 0, 0
    while at < len(text):
        if match := _STRING.match(text, at):
            at = match.end()
            continue
        depth += (text[at] == "(") - (text[at] == ")")
        if text[at] == mark and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    parts.append(text[begin:].strip())
    return [part for part in parts if part]


def _names(text: str) -> list[str]:
    names = _split(text, ",")
    for name in names:
        if not _FIELD.fullmatch(name):
            raise BadQuery(f"unexpected symbol in {name!r}: only names of fields are understood here")
    return [name.strip("`") for name in names]


# ---- commands


def _fields(query: _Query, rest: str) -> None:
    query.shown += [name for name in _names(rest) if name not in query.shown]


def _display(query: _Query, rest: str) -> None:
    query.shown = _names(rest)


def _filter(query: _Query, rest: str) -> None:
    condition = compile_condition(rest)
    query.rows = [row for row in query.rows if condition(row)]


def _limit(query: _Query, rest: str) -> None:
    if not rest.isdigit() or not 1 <= int(rest) <= _MOST_ROWS:
        raise BadQuery(f"unexpected limit {rest!r}: from 1 to {_MOST_ROWS:,}")
    query.limit = int(rest)


def _sort(query: _Query, rest: str) -> None:
    for key in reversed(_split(rest, ",")):
        name, _, order = key.rpartition(" ")
        if order.lower() not in ("asc", "desc"):
            name, order = key, "asc"
        field = name.strip().strip("`")
        rows = [row for row in query.rows if row.get(field) is not None]
        rest_of_them = [row for row in query.rows if row.get(field) is None]
        rows.sort(key=lambda row: _sortable(row[field]), reverse=order.lower() == "desc")
        query.rows = rows + rest_of_them


def _sortable(value: Any) -> tuple[int, float, str]:
    number = number_of(value)
    return (0, number, "") if number is not None else (1, 0.0, str(value))


def _parse(query: _Query, rest: str) -> None:
    match = re.fullmatch(
        r"(?:([@\w][\w.@]*)\s+)?(\"[^\"]*\"|'[^']*'|/.+/)(?:\s+as\s+(.+))?", rest, re.IGNORECASE | re.DOTALL
    )
    if match is None:
        raise BadQuery(f"unexpected symbol in parse {rest!r}")
    field, pattern, names = match[1] or "@message", match[2], match[3]
    if pattern.startswith("/"):
        regex = regex_of(pattern[1:-1])
        aliases = list(regex.groupindex)
    else:
        aliases = _names(names or "")
        pieces = pattern[1:-1].split("*")
        if len(aliases) != len(pieces) - 1:
            raise BadQuery(f"parse {pattern} needs {len(pieces) - 1} names, not {len(aliases)}")
        groups = ["(.*?)"] * max(0, len(aliases) - 1) + ["(.*)" if pieces[-1] == "" else "(.*?)"]
        glob = "".join(re.escape(piece) + group for piece, group in zip(pieces, [*groups, ""], strict=False))
        regex = re.compile(glob, re.DOTALL)
    for row in query.rows:
        if found := regex.search(str(row.get(field, ""))):
            row.update(
                dict(zip(aliases, found.groups(), strict=False))
                if not regex.groupindex
                else found.groupdict()
            )


def _stats(query: _Query, rest: str) -> None:
    parts = re.split(r"\s+by\s+", rest, maxsplit=1, flags=re.IGNORECASE)
    measures = [_measure(part) for part in _split(parts[0], ",")]
    keys = [_key(part) for part in _split(parts[1], ",")] if len(parts) > 1 else []
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in query.rows:
        groups.setdefault(tuple(get(row) for _, get in keys), []).append(row)
    if not keys:
        groups = {(): query.rows}
    query.rows = [
        dict(zip((name for name, _ in keys), values, strict=True))
        | {name: get(rows) for name, get in measures}
        for values, rows in groups.items()
    ]
    query.shown = [name for name, _ in keys] + [name for name, _ in measures]
    query.grouped = True


def _key(text: str) -> tuple[str, Callable[[Row], Any]]:
    if match := _BIN.fullmatch(text):
        size = int(match[1]) * _UNIT_MS[match[2].lower()]
        return match[3] or text, lambda row: time_text(row["@timestamp"] // size * size)
    name = _names(text)[0]
    return name, lambda row: row.get(name)


def _measure(text: str) -> tuple[str, Callable[[list[Row]], Any]]:
    match = _FUNCTION.fullmatch(text)
    if match is None:
        raise BadQuery(f"unexpected symbol in stats {text!r}")
    function, field = match[1].lower(), (match[2] or "*").strip("`")
    name = match[4] or text

    def numbers(rows: list[Row]) -> list[float]:
        return [number for row in rows if (number := number_of(row.get(field))) is not None]

    simple: dict[str, Callable[[list[Row]], Any]] = {
        "count": lambda rows: sum(field == "*" or row.get(field) is not None for row in rows),
        "count_distinct": lambda rows: len({str(row[field]) for row in rows if row.get(field) is not None}),
        "sum": lambda rows: math.fsum(numbers(rows)),
        "avg": lambda rows: math.fsum(found) / len(found) if (found := numbers(rows)) else None,
        "min": lambda rows: min(numbers(rows), default=None),
        "max": lambda rows: max(numbers(rows), default=None),
        "latest": lambda rows: next((row[field] for row in rows if row.get(field) is not None), None),
        "earliest": lambda rows: next(
            (row[field] for row in reversed(rows) if row.get(field) is not None), None
        ),
    }
    if function == "pct" and match[3]:
        share = float(match[3]) / 100
        return name, lambda rows: _percentile(sorted(numbers(rows)), share)
    if function not in simple:
        raise BadQuery(f"unexpected function {match[1]!r}: the simulator has {', '.join(simple)} and pct")
    return name, simple[function]


def _percentile(values: list[float], share: float) -> float | None:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)] if values else None


_STEPS: dict[str, Callable[[_Query, str], None]] = {
    "fields": _fields,
    "display": _display,
    "filter": _filter,
    "limit": _limit,
    "sort": _sort,
    "parse": _parse,
    "stats": _stats,
}
