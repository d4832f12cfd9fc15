"""The lines of a dashboard's metric widgets, and why some show nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from vmqlib.awserrors import InvalidRequest
from vmqlib.errors import AwsError
from vmqlib.sources.base import Row, gather, moment
from vmqlib.sources.dashboardbody import MetricLine, Widget
from vmqlib.sources.dashboardqueries import Query, Request, requests
from vmqlib.sources.metriclookup import MetricNames
from vmqlib.sources.metrics import Answer, ask

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.times import Window

__all__ = ["Why", "read_lines"]

Why = Literal[
    "", "dimensions", "unknown metric", "no data", "refused", "partial", "invalid", "not asked", "not known"
]
"""Why a line shows nothing, or not all: see the column ``why`` of ``dashboard-data``."""

_SETS_KEPT = 20


@dataclass(frozen=True)
class _Line:
    """A line of a widget.

    Parameters
    ----------
    query:
        What was asked.
    answer:
        What was answered; None where it was not.
    why, problem:
        Why it shows nothing.
    elsewhere:
        Sets of dimensions under which its metric has data.
    """

    query: Query
    answer: Answer | None = None
    why: Why = ""
    problem: str = ""
    elsewhere: tuple[Mapping[str, str], ...] = ()


def read_lines(aws: Aws, widgets: Sequence[Widget], window: Window) -> tuple[list[Row], list[str]]:
    """The rows of ``dashboard-data`` for these widgets, and what could not be had.

    A widget that CloudWatch refuses has rows that say so; the others are read all the same.

    Raises
    ------
    AwsError
        ``cloudwatch:GetMetricData`` refused or not reached, for all of them.
    """
    here = [one for one in widgets if one.region in ("", aws.region)]
    parts = [_split(one, aws.region) for one in here]
    calls = requests([widget for widget, _ in parts if widget.lines], window, aws.clock.now())
    answers = gather([partial(_answers, aws, call) for call in calls])
    errors = [error for _, _, error in answers if error is not None]
    if errors and len(errors) == len(calls):
        raise errors[0]
    lines = [line for found, _, _ in answers for line in found] + [line for _, left in parts for line in left]
    lines.sort(key=lambda one: (one.query.widget, one.query.line.position))
    problems = [*(said for _, heard, _ in answers for said in heard), *(error.message for error in errors)]
    reasons = _Reasons(aws, here)
    explained = [reasons.of(line) for line in lines]
    problems += [
        *reasons.problems,
        *(f"{_named(one.query.line)}: {one.problem}" for one in explained if one.why == "partial"),
    ]
    return list(_rows(explained, window)), problems


def _split(widget: Widget, region: str) -> tuple[Widget, list[_Line]]:
    """The widget with the lines that can be asked for here, and the lines that cannot."""
    away = [line for line in widget.lines if line.region not in ("", region)]
    if not away:
        return widget, []
    why = f"its metric is in {away[0].region}: only {region} is asked"
    if any(line.expression for line in widget.lines):
        left = [line for line in widget.lines if line.visible]
        return replace(widget, lines=()), [
            _not_asked(widget, line, f"{away[0].label or away[0].name}: {why}") for line in left
        ]
    kept = tuple(line for line in widget.lines if line not in away)
    return replace(widget, lines=kept), [_not_asked(widget, line, why) for line in away if line.visible]


def _not_asked(widget: Widget, line: MetricLine, problem: str) -> _Line:
    return _Line(Query("", widget.number, line, line.period_s), why="not asked", problem=problem)


def _answers(aws: Aws, call: Request) -> tuple[list[_Line], list[str], AwsError | None]:
    """The lines of a call, what CloudWatch says about the whole, and why it could not be made."""
    shown = [query for query in call.queries if query.line.visible]
    try:
        asked = [query.parameters() for query in call.queries]
        answers, said = ask(aws, asked, call.start, call.end, "the dashboard's widgets")
    except InvalidRequest as error:
        alone = call.by_widget()
        if len(alone) == 1:
            return [_Line(query, why="invalid", problem=error.message) for query in shown], [], None
        parts = [_answers(aws, one) for one in alone]
        failed = next((why for _, _, why in parts if why is not None), None)
        return (
            [line for found, _, _ in parts for line in found],
            [one for _, heard, _ in parts for one in heard],
            failed,
        )
    except AwsError as error:
        return [_Line(query, why="refused", problem=error.message) for query in shown], [], error
    by_id: dict[str, list[Answer]] = {query.id: [] for query in shown}
    for answer in answers:
        by_id.setdefault(answer.id, []).append(answer)
    lines = [
        _answered(query, answer) for query in shown for answer in by_id[query.id] or [Answer(query.id, "")]
    ]
    return lines, said, None


def _answered(query: Query, answer: Answer) -> _Line:
    if answer.status == "Forbidden":
        return _Line(query, answer, "refused", f"CloudWatch refuses it: {answer.problem}")
    if answer.problem:
        return _Line(query, answer, "partial", f"not all of it was given: {answer.problem}")
    return _Line(query, answer)


def _named(line: MetricLine) -> str:
    return line.label or line.name or line.expression


class _Reasons:
    """Why lines without a value have none."""

    def __init__(self, aws: Aws, widgets: Iterable[Widget]) -> None:
        self._names = MetricNames(aws)
        self._widgets = {one.number: one for one in widgets}
        self.problems: list[str] = []

    def of(self, line: _Line) -> _Line:
        """The line, with the reason where it needs one."""
        if line.why or (line.answer and line.answer.points):
            return line
        try:
            return self._of_expression(line) if line.query.line.expression else self._of_metric(line)
        except AwsError as error:
            said = f"why it shows nothing is not known: {error.message}"
            if said not in self.problems:
                self.problems.append(said)
            return replace(line, why="not known", problem=said)

    def _of_metric(self, line: _Line) -> _Line:
        metric = line.query.line
        if metric.account_id:
            return replace(
                line, why="no data", problem=f"account {metric.account_id} has no value for it in the window"
            )
        why, problem, sets = self._reason(metric)
        return replace(line, why=why, problem=problem, elsewhere=sets)

    def _reason(self, metric: MetricLine) -> tuple[Why, str, tuple[Mapping[str, str], ...]]:
        known = self._names.known(metric.namespace, metric.name)
        if dict(metric.dimensions) in [dict(one) for one in known.sets]:
            return (
                "no data",
                "nothing was published in the window, though there was something in the last two weeks",
                (),
            )
        own = _told(metric.dimensions)
        if not known.complete:
            many = f"{metric.name} has more than {len(known.sets):,} sets of dimensions"
            return "not known", f"{many}: whether {own} is one was not read", ()
        if known.sets:
            said = f"{metric.name} has no value with {own}: it is published with {_others(known.sets)}"
            return "dimensions", said, known.sets[:_SETS_KEPT]
        alike = f"; {known.alike} is known there" if known.alike else ""
        said = f"nothing was published as {metric.namespace} {metric.name} in the last two weeks{alike}"
        return "unknown metric", said, ()

    def _of_expression(self, line: _Line) -> _Line:
        for metric in self._widgets[line.query.widget].lines:
            if metric.namespace and not metric.account_id:
                why, problem, sets = self._reason(metric)
                if why != "no data":
                    # The same names with other values: this one may just have been silent.
                    certain = why != "dimensions" or all(set(one) != set(metric.dimensions) for one in sets)
                    why = why if certain else "no data"
                    called = f"{metric.id} ({metric.name})" if metric.id else metric.name
                    return replace(line, why=why, problem=f"it may use {called}: {problem}", elsewhere=sets)
        return replace(line, why="no data", problem="the expression gives no value in the window")


def _told(dimensions: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(dimensions.items())) or "no dimensions"


def _others(sets: Sequence[Mapping[str, str]]) -> str:
    told = _told(sets[0])
    return told if len(sets) == 1 else f"{told} and {len(sets) - 1:,} other sets"


def _rows(lines: Iterable[_Line], window: Window) -> Iterator[Row]:
    number: dict[int, int] = {}
    for line in lines:
        widget, metric = line.query.widget, line.query.line
        turn = number[widget] = number.get(widget, 0) + 1
        yield {
            "widget": widget,
            "line": turn,
            "label": (line.answer.label if line.answer else "") or _named(metric),
            "metric": f"{metric.namespace} {metric.name}".strip(),
            "dimensions": json.dumps(dict(metric.dimensions), sort_keys=True),
            "expression": metric.expression,
            "statistic": metric.statistic,
            "period_s": line.query.period_s,
            "asked_s": metric.period_s,
            "axis": metric.axis,
            "since": moment(window.since),
            "until": moment(window.until),
            "why": line.why,
            "problem": line.problem,
            "elsewhere": json.dumps([dict(one) for one in line.elsewhere], sort_keys=True),
        }
        points = line.answer.points if line.answer else {}
        for at, value in sorted(points.items()):
            yield {"widget": widget, "line": turn, "at": moment(at), "value": float(value)}
