"""The CloudWatch dashboard as it was seen (runbook, steps 4 and 6): its widgets with their lines, from observations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.times import duration

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = ["SOURCES", "Dashboard", "Line", "Widget", "read_dashboard"]

SOURCES = ("dashboard-widgets", "dashboard-data")
"""What it is read from."""


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a metric widget.

    Parameters
    ----------
    label:
        As CloudWatch words it.
    metric, dimensions, expression:
        What it shows: a metric (namespace and name), or an expression.
    statistic:
        ``Sum``, ``p90`` …; empty for an expression.
    period_s, asked_s:
        Seconds that a value stands for: as read, and as the dashboard has it.
    axis:
        ``left`` or ``right``.
    why, problem:
        Why it shows nothing, or not all: see the columns of ``dashboard-data``.
    elsewhere:
        Sets of dimensions under which the metric has data.
    points:
        Its values by the start of their period (UTC), oldest first.
    """

    label: str
    metric: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    expression: str = ""
    statistic: str = ""
    period_s: int = 300
    asked_s: int = 300
    axis: str = "left"
    why: str = ""
    problem: str = ""
    elsewhere: tuple[Mapping[str, str], ...] = ()
    points: pd.Series[Any] | None = None

    @property
    def values(self) -> int:
        """How many values it has."""
        return 0 if self.points is None else len(self.points)

    @property
    def newest(self) -> tuple[datetime, float] | None:
        """The start of its newest period, and the value."""
        if self.points is None or not len(self.points):
            return None
        return self.points.index[-1].to_pydatetime(), float(self.points.iloc[-1])

    def age(self, at: datetime) -> timedelta | None:
        """How long ago its newest period ended; nothing at most while that still counts, ``None`` without a value."""
        newest = self.newest
        return None if newest is None else at - newest[0] - timedelta(seconds=self.period_s)

    def age_words(self, at: datetime) -> str:
        """The same for people; empty without a value."""
        age = self.age(at)
        return "" if age is None else duration(age) if age > timedelta() else "still counting"

    @property
    def key(self) -> tuple[str, ...]:
        """The same line of another look has the same. A SEARCH gives several, told apart by their labels."""
        dimensions = json.dumps(dict(self.dimensions), sort_keys=True)
        own = self.label if self.expression else ""
        return (self.metric, dimensions, self.expression, self.statistic, own)


@dataclass(frozen=True, eq=False)
class Widget:
    """One widget.

    Parameters
    ----------
    number:
        Its place on the dashboard, from 1.
    kind:
        ``metric``, ``alarm``, ``text``, ``log`` …
    title:
        As the dashboard has it, or what else it can be called.
    view:
        Of a metric widget: ``timeSeries``, ``singleValue`` …
    stacked, whole_range:
        Whether its lines are stacked; whether a value stands for the whole window.
    axes:
        ``left`` and ``right`` to ``low``, ``high``, ``label``.
    thresholds, moments:
        Its annotations: ``value``, ``until``, ``label``, ``axis``; ``at``, ``until``, ``label``.
    alarms:
        ``name``, ``state``, ``since``, ``problem`` each.
    text:
        Of a text widget its Markdown, of a log widget its query.
    problem, note:
        Why it cannot be drawn; what is drawn otherwise than there.
    lines:
        Of a metric widget.
    """

    number: int
    kind: str
    title: str
    view: str = ""
    stacked: bool = False
    whole_range: bool = False
    axes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    thresholds: tuple[Mapping[str, Any], ...] = ()
    moments: tuple[Mapping[str, Any], ...] = ()
    alarms: tuple[Mapping[str, Any], ...] = ()
    text: str = ""
    problem: str = ""
    note: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def blank(self) -> bool:
        """Whether it is a metric widget that shows nothing."""
        return self.kind == "metric" and not any(line.values for line in self.lines)


@dataclass(frozen=True, eq=False)
class Dashboard:
    """A dashboard as it was seen.

    Parameters
    ----------
    widgets:
        In its own order.
    problems, notes:
        What is wrong with it as a whole; what is drawn otherwise than there.
    at:
        When its data were read, UTC.
    since:
        From when on they were asked for.
    """

    widgets: tuple[Widget, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    at: datetime | None = None
    since: datetime | None = None

    def line(self, widget: Widget, line: Line) -> Line | None:
        """That line of the widget of that title, where there is one."""
        # Titles may be there twice: the one in the same place goes first.
        for one in sorted(self.widgets, key=lambda other: other.number != widget.number):
            if one.title == widget.title:
                found = next((other for other in one.lines if other.key == line.key), None)
                if found is not None:
                    return found
        return None


def read_dashboard(seen: Mapping[str, Observation]) -> Dashboard | None:
    """The dashboard, from the observations of :data:`SOURCES`; None where its widgets were not seen.

    Where only its data were not seen, its metric widgets have no lines.
    """
    listed, data = (seen.get(name) for name in SOURCES)
    if listed is None or not listed.available:
        return None
    usable = data is not None and data.available
    lines = _lines(data.frame) if usable and data is not None else {}
    rows = listed.frame.to_dict("records")
    whole = [row for row in rows if row["kind"] == "dashboard"]
    since = data.frame["since"].min() if usable and data is not None and len(data.frame) else None
    return Dashboard(
        tuple(_widget(row, lines) for row in rows if row["kind"] != "dashboard"),
        tuple(_text(row["problem"]) for row in whole if _text(row["problem"])),
        tuple(_text(row["note"]) for row in whole if _text(row["note"])),
        data.at if usable and data is not None else listed.at,
        since.to_pydatetime() if since is not None and since == since else None,  # noqa: PLR0124 - NaT is not itself
    )


def _lines(frame: pd.DataFrame) -> dict[int, list[Line]]:
    told = frame["at"].isna()
    points = frame[~told].groupby(["widget", "line"], sort=False)[["at", "value"]]
    values = {key: part.set_index("at")["value"].sort_index() for key, part in points}
    found: dict[int, list[Line]] = {}
    for row in frame[told].to_dict("records"):
        own = values.get((row["widget"], row["line"]))
        found.setdefault(int(row["widget"]), []).append(
            Line(
                label=_text(row["label"]),
                metric=_text(row["metric"]),
                dimensions=dict(_json(row["dimensions"], {})),
                expression=_text(row["expression"]),
                statistic=_text(row["statistic"]),
                period_s=_count(row["period_s"]),
                asked_s=_count(row["asked_s"]),
                axis=_text(row["axis"]) or "left",
                why=_text(row["why"]),
                problem=_text(row["problem"]),
                elsewhere=tuple(dict(one) for one in _objects(row["elsewhere"])),
                points=own,
            )
        )
    return {number: _told_apart(own) for number, own in found.items()}


def _told_apart(lines: list[Line]) -> list[Line]:
    """Lines of one widget that are labelled alike, with their statistic and dimensions in the label."""
    for tell in (lambda one: one.statistic, lambda one: " ".join(one.dimensions.values())):
        labels = [one.label for one in lines]
        lines = [
            replace(one, label=f"{one.label} {tell(one)}".strip()) if labels.count(one.label) > 1 else one
            for one in lines
        ]
    return lines


def _widget(row: Mapping[Any, Any], lines: Mapping[int, list[Line]]) -> Widget:
    number = _count(row["widget"])
    own = lines.get(number, [])
    return Widget(
        number=number,
        kind=_text(row["kind"]),
        title=_text(row["title"]) or _called(number, _text(row["kind"]), own),
        view=_text(row["view"]),
        stacked=row["stacked"] is True,
        whole_range=row["whole_range"] is True,
        axes={str(side): one for side, one in _json(row["axes"], {}).items() if isinstance(one, dict)},
        thresholds=tuple(_objects(row["thresholds"])),
        moments=tuple(_objects(row["moments"])),
        alarms=tuple(_objects(row["alarms"])),
        text=_text(row["text"]),
        problem=_text(row["problem"]),
        note=_text(row["note"]),
        lines=tuple(own),
    )


def _called(number: int, kind: str, lines: list[Line]) -> str:
    name = lines[0].label if lines else ""
    return f"{kind} widget {number}" + (f" ({name})" if name else "")


def _objects(text: object) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in _json(text, []) if isinstance(one, dict))


def _json(text: object, default: Any) -> Any:
    """What the text says. Where masking has hit it so that it is no JSON any more: nothing."""
    try:
        value = json.loads(_text(text) or "null")
    except ValueError:
        return default
    return value if isinstance(value, type(default)) else default


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == value else 0  # noqa: PLR0124 - NaN is not itself
