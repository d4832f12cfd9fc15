"""What GetMetricData is asked so that a dashboard's widgets can be drawn. Pure; AWS is not asked.

Expressions go there as they are, and call metrics by the ids that the dashboard gives them. These are unique within a
widget only, and ``METRICS()`` means every metric of a call: a widget with an expression is asked for by itself. Widgets
of plain metrics share calls, under ids of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vmqlib.sources.dashboardbody import MetricLine, Widget
from vmqlib.sources.metrics import BATCH, fitted_period, floor_to
from vmqlib.times import Window

__all__ = ["Query", "Request", "requests"]

# The period of SEARCH('…', 'Sum', 300) and of what is like it: the last argument.
_INNER_PERIOD = re.compile(r",\s*(\d{1,8})\s*\)")
_DAY = 86_400


@dataclass(frozen=True)
class Query:
    """One MetricDataQuery.

    Parameters
    ----------
    id:
        Unique within its request.
    widget:
        The number of the widget that it is for.
    line:
        The widget's metric that it is for.
    period_s:
        The period that is asked for: the dashboard's, or a longer one where CloudWatch has no points of that any more.
    alone:
        Of an expression: whether there are no metrics beside it, whose period it has by itself.
    """

    id: str
    widget: int
    line: MetricLine
    period_s: int
    alone: bool = False

    def parameters(self) -> dict[str, Any]:
        """As the API takes it."""
        line = self.line
        asked: dict[str, Any] = {"Id": self.id, "ReturnData": line.visible}
        if line.expression:
            asked |= {"Expression": line.expression} | ({"Period": self.period_s} if self.alone else {})
        else:
            dimensions = [{"Name": name, "Value": value} for name, value in line.dimensions.items()]
            metric = {"Namespace": line.namespace, "MetricName": line.name, "Dimensions": dimensions}
            asked["MetricStat"] = {"Metric": metric, "Period": self.period_s, "Stat": line.statistic}
        if line.label:
            asked["Label"] = line.label
        if line.account_id:
            asked["AccountId"] = line.account_id
        return asked


@dataclass(frozen=True)
class Request:
    """One call of GetMetricData.

    Parameters
    ----------
    queries:
        At most 500.
    start, end:
        From (included) and to (not included), UTC.
    """

    queries: tuple[Query, ...]
    start: datetime
    end: datetime

    def by_widget(self) -> list[Request]:
        """The same, each widget by itself: so that one that CloudWatch refuses does not cost the others."""
        numbers = dict.fromkeys(query.widget for query in self.queries)
        return [
            Request(tuple(query for query in self.queries if query.widget == number), self.start, self.end)
            for number in numbers
        ]


def requests(widgets: Iterable[Widget], window: Window, now: datetime) -> list[Request]:
    """The calls that give every line of these widgets over the window."""
    found: list[Request] = []
    shared: dict[tuple[datetime, datetime, int], list[Query]] = {}
    for widget in widgets:
        if any(line.expression for line in widget.lines):
            found.append(_own(widget, window, now))
            continue
        for line in (line for line in widget.lines if line.visible):
            start, end, period = _span(widget, line, window, now)
            shared.setdefault((start, end, period), []).append(Query("", widget.number, line, period))
    for (start, end, _), queries in shared.items():
        for first in range(0, len(queries), BATCH):
            named = _named(queries[first : first + BATCH])
            found.append(Request(tuple(named), start, end))
    return found


def _named(queries: Sequence[Query]) -> Iterator[Query]:
    for number, query in enumerate(queries):
        yield Query(f"m{number}", query.widget, query.line, query.period_s)


def _own(widget: Widget, window: Window, now: datetime) -> Request:
    """A widget whose expressions call metrics by their ids: these stay, and the others get some that are free."""
    taken = {line.id for line in widget.lines}
    free = (
        name for number in range(1, len(widget.lines) + len(taken) + 2) if (name := f"q{number}") not in taken
    )
    spans = [_span(widget, line, window, now) for line in widget.lines]
    alone = all(line.expression for line in widget.lines)
    queries = tuple(
        Query(line.id or next(free), widget.number, line, period, alone)
        for line, (_, _, period) in zip(widget.lines, spans, strict=True)
    )
    inner = [int(text) for line in widget.lines for text in _INNER_PERIOD.findall(line.expression)]
    if widget.whole_range:
        return Request(queries, spans[0][0], spans[0][1])
    longest = max([*(query.period_s for query in queries), *inner])
    return Request(queries, floor_to(window.since, min(longest, _DAY)), window.until)


def _span(widget: Widget, line: MetricLine, window: Window, now: datetime) -> tuple[datetime, datetime, int]:
    """From, to, and the period of a line."""
    period = fitted_period(line.period_s, window, now)
    if not widget.whole_range:
        return floor_to(window.since, min(period, _DAY)), window.until, period
    # One value for the whole range: a period as long as it is.
    step = fitted_period(60, window, now)
    start = floor_to(window.since, step)
    whole = -(-(window.until - start).total_seconds() // step) * step
    end = datetime.fromtimestamp(start.timestamp() + whole, UTC)
    return start, end, int(whole)
