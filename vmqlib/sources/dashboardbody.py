"""The grammar of a CloudWatch dashboard's body: widgets, and the shorthand of their metrics. Pure; AWS is not asked.

Dashboards are written by hand as often as by the console. What is wrong with one widget is said of that widget, and the
others are read all the same.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from vmqlib.times import parse_iso

__all__ = [
    "Axis",
    "BadBody",
    "Body",
    "MetricLine",
    "Moment",
    "Threshold",
    "Widget",
    "expand",
    "parse",
    "statistic",
]

Side = Literal["left", "right"]

_PERIOD = 300  # seconds, where a metric widget names none
_STATISTIC = "Average"
_FINE = (1, 5, 10, 20, 30)
_LONGEST = 455 * 86_400  # as long as CloudWatch keeps anything
_ID = re.compile(r"[a-z][A-Za-z0-9_]{0,254}")
_STATISTICS = {
    "avg": "Average",
    "average": "Average",
    "max": "Maximum",
    "maximum": "Maximum",
    "min": "Minimum",
    "minimum": "Minimum",
    "n": "SampleCount",
    "samplecount": "SampleCount",
    "sum": "Sum",
}
_MOST_DIMENSIONS = 30
_MOST_LINES = 500  # a call of GetMetricData
_DRAWN_ELSEWHERE = {
    "log": "a log query is not run here: it is charged by what it scans, and may read what users asked",
    "explorer": "an explorer widget finds its metrics by tags, in the console only",
    "custom": "a custom widget is drawn by a Lambda function, which is not called",
}


class BadBody(ValueError):
    """The body, or a part of it, is not what CloudWatch's grammar says. The message says what."""


@dataclass(frozen=True)
class MetricLine:
    """One entry of a widget's ``metrics``: a metric or an expression.

    Parameters
    ----------
    position:
        Which entry, from 1.
    namespace, name, dimensions:
        The metric; empty for an expression.
    expression:
        Metric math, SEARCH or a Metrics Insights query; empty for a metric.
    id:
        What expressions call it; empty when it has none.
    statistic:
        ``Sum``, ``Average``, ``p99`` …; empty for an expression.
    period_s:
        Seconds.
    label:
        What the legend says; empty: CloudWatch words it.
    visible:
        False: it is only there for expressions.
    axis:
        Which y axis.
    region, account_id:
        Where it is, when that is elsewhere.
    """

    position: int
    namespace: str = ""
    name: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    expression: str = ""
    id: str = ""
    statistic: str = ""
    period_s: int = _PERIOD
    label: str = ""
    visible: bool = True
    axis: Side = "left"
    region: str = ""
    account_id: str = ""


@dataclass(frozen=True)
class Threshold:
    """A horizontal annotation.

    Parameters
    ----------
    value:
        Where it is.
    until:
        The other edge of a band; None for a line.
    label:
        Its words.
    axis:
        Which y axis.
    """

    value: float
    until: float | None = None
    label: str = ""
    axis: Side = "left"


@dataclass(frozen=True)
class Moment:
    """A vertical annotation.

    Parameters
    ----------
    at:
        When, UTC.
    until:
        The end of a span; None for a moment.
    label:
        Its words.
    """

    at: datetime
    until: datetime | None = None
    label: str = ""


@dataclass(frozen=True)
class Axis:
    """A y axis.

    Parameters
    ----------
    low, high:
        Its ends; None where the data decide.
    label:
        Its words.
    """

    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Widget:
    """One widget.

    Parameters
    ----------
    number:
        Which one, from 1, in the order of the body.
    kind:
        ``metric``, ``alarm``, ``text``, ``log``, ``explorer``, ``custom`` …
    title:
        As the dashboard has it; may be empty.
    view:
        Of a metric widget: ``timeSeries``, ``singleValue``, ``gauge``, ``bar``, ``pie``, ``table``.
    stacked:
        Whether its lines are stacked.
    region:
        Where its metrics are; empty: where the dashboard is.
    whole_range:
        Whether its values stand for the whole time range and not for the newest period.
    lines:
        Its metrics.
    thresholds, moments:
        Its annotations.
    axes:
        Its y axes, by side.
    alarms:
        ARNs: of an alarm widget, or of the one alarm that a metric widget shows.
    markdown:
        Of a text widget.
    problem:
        What is wrong with it, or why it cannot be drawn; empty when it can.
    note:
        What is drawn otherwise than on the dashboard.
    """

    number: int
    kind: str = ""
    title: str = ""
    view: str = ""
    stacked: bool = False
    region: str = ""
    whole_range: bool = False
    lines: tuple[MetricLine, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    moments: tuple[Moment, ...] = ()
    axes: Mapping[str, Axis] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    markdown: str = ""
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Body:
    """A dashboard.

    Parameters
    ----------
    widgets:
        In the order of the body.
    variables:
        The names of its variables: a reader can choose values for them in the console.
    """

    widgets: tuple[Widget, ...]
    variables: tuple[str, ...] = ()


def parse(text: str) -> Body:
    """Reads a ``DashboardBody``.

    Raises
    ------
    BadBody
        When it is no dashboard at all. A widget that is wrong says so in its ``problem``.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the dashboard's body is not JSON: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("widgets"), list):
        raise BadBody("the dashboard's body has no list of widgets")
    variables = body.get("variables")
    names = [
        str(one.get("label") or one.get("id") or one.get("property") or one.get("pattern") or "unnamed")
        for one in (variables if isinstance(variables, list) else [])
        if isinstance(one, dict)
    ]
    return Body(tuple(_widget(n, given) for n, given in enumerate(body["widgets"], 1)), tuple(names))


def _widget(number: int, given: object) -> Widget:
    widget = Widget(number)
    try:
        one = _object(given, "the widget")
        widget = replace(widget, kind=_text(one.get("type"), "type") or "without a type")
        properties = _object(one.get("properties", {}), "properties")
        widget = replace(widget, title=_text(properties.get("title"), "title"))
        return _filled(widget, properties)
    except BadBody as error:
        return replace(widget, problem=str(error))


def _filled(widget: Widget, properties: Mapping[str, Any]) -> Widget:
    match widget.kind:
        case "metric":
            return _metric_widget(widget, properties)
        case "alarm":
            arns = _texts(properties.get("alarms", []), "alarms")
            return replace(widget, alarms=arns, problem="" if arns else "it names no alarm")
        case "text":
            return replace(widget, markdown=_text(properties.get("markdown"), "markdown"))
        case "log":
            query = _text(properties.get("query"), "query")
            return replace(widget, markdown=query, problem=_DRAWN_ELSEWHERE["log"])
    reason = _DRAWN_ELSEWHERE.get(widget.kind, f"widgets of type {widget.kind!r} are not known here")
    return replace(widget, problem=reason)


def _metric_widget(widget: Widget, properties: Mapping[str, Any]) -> Widget:
    view = _text(properties.get("view"), "view") or "timeSeries"
    widget = replace(
        widget,
        view=view,
        stacked=properties.get("stacked") is True,
        region=_text(properties.get("region"), "region"),
        whole_range=properties.get("setPeriodToTimeRange") is True and view != "timeSeries",
    )
    statistic_ = statistic(_text(properties.get("stat"), "stat") or _STATISTIC)
    period = _period(properties.get("period"), _PERIOD)
    account = _text(properties.get("accountId"), "accountId")
    entries = expand(properties.get("metrics", []))
    lines = tuple(
        _line(position, fields, options, statistic_, period, account)
        for position, (fields, options) in enumerate(entries, 1)
    )
    ids = [line.id for line in lines if line.id]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise BadBody(f"two of its metrics have the id {twice[0]!r}")
    annotations = _object(properties.get("annotations", {}), "annotations")
    alarms = _texts(annotations.get("alarms", []), "annotations.alarms")
    if len(lines) > _MOST_LINES:
        raise BadBody(f"it has {len(lines):,} metrics, more than the {_MOST_LINES} that a graph can show")
    if lines and not any(line.visible for line in lines):
        raise BadBody("none of its metrics is visible")
    own = [name for name in ("start", "end") if properties.get(name)]
    return replace(
        widget,
        lines=lines,
        alarms=alarms,
        thresholds=tuple(_threshold(one) for one in _list(annotations.get("horizontal"), "annotations.horizontal")),
        moments=tuple(_moment(one) for one in _list(annotations.get("vertical"), "annotations.vertical")),
        axes={
            side: _axis(given, side)
            for side, given in _object(properties.get("yAxis", {}), "yAxis").items()
            if side in ("left", "right")
        },
        problem="" if lines or alarms else "it names no metric",
        note="it has a time range of its own, which is not kept here" if own else "",
    )  # fmt: skip


def expand(metrics: object) -> list[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """A widget's ``metrics`` written out: the fields of each entry (namespace, name, then names and values of
    dimensions), and its options.

    ``.`` stands for what the metric before has in the same place, and ``...`` for as many of its places as are missing:
    ``["...", "b"]`` is the metric before with another last value, ``["...", {"stat": "p90"}]`` the same with another
    statistic. Expressions are no metric to refer to. There is no other shorthand.

    Raises
    ------
    BadBody
        Naming the entry, and what is wrong with it.
    """
    found: list[tuple[tuple[str, ...], Mapping[str, Any]]] = []
    before: tuple[str, ...] = ()
    for position, entry in enumerate(_list(metrics, "metrics"), 1):
        given = list(_list(entry, f"metric {position}"))
        options = given.pop() if given and isinstance(given[-1], dict) else {}
        wrong = [one for one in given if not isinstance(one, str)]
        if wrong:
            raise BadBody(f"metric {position} has {_shown(wrong[0])} where text belongs")
        fields = _written_out([_whole(one) for one in given], before, position)
        before = fields or before
        found.append((fields, options))
    return found


def _written_out(given: Sequence[str], before: Sequence[str], position: int) -> tuple[str, ...]:
    if "..." in given:
        place = given.index("...")
        missing = len(before) - len(given) + 1
        if not before or missing < 0:
            raise BadBody(f"metric {position}: there is no metric before it that `...` could stand for")
        given = [*given[:place], *(["."] * missing), *given[place + 1 :]]
    if any(one == "." and place >= len(before) for place, one in enumerate(given)):
        raise BadBody(f"metric {position}: there is nothing in the metric before it that `.` could stand for")
    return tuple(before[place] if one == "." else one for place, one in enumerate(given))


def _line(
    position: int, fields: Sequence[str], options: Mapping[str, Any], stat: str, period: int, account: str
) -> MetricLine:
    where = f"metric {position}"
    name = _text(options.get("id"), f"{where}: id")
    if name and not _ID.fullmatch(name):
        raise BadBody(f"{where}: the id {_shown(name)} does not begin with a small letter, or is no word")
    line = MetricLine(
        position,
        id=name,
        period_s=_period(options.get("period"), period),
        label=_text(options.get("label"), f"{where}: label"),
        visible=options.get("visible") is not False,
        axis="right" if options.get("yAxis") == "right" else "left",
        region=_text(options.get("region"), f"{where}: region"),
        account_id=_text(options.get("accountId"), f"{where}: accountId") or account,
    )
    expression = _text(options.get("expression"), f"{where}: expression")
    if expression and not fields:
        return replace(line, expression=expression)
    if expression:
        raise BadBody(f"{where} is a metric and an expression at once")
    if len(fields) < 2 or len(fields) % 2 or not all(fields):
        raise BadBody(
            f"{where} is not a namespace, a name, and pairs of dimension and value: {_shown(list(fields))}"
        )
    pairs = dict(zip(fields[2::2], fields[3::2], strict=True))
    if len(pairs) < (len(fields) - 2) // 2 or len(pairs) > _MOST_DIMENSIONS:
        raise BadBody(f"{where} names a dimension twice, or more than {_MOST_DIMENSIONS}")
    own = statistic(_text(options.get("stat"), f"{where}: stat") or stat)
    return replace(line, namespace=fields[0], name=fields[1], dimensions=pairs, statistic=own)


def statistic(name: str) -> str:
    """A statistic as GetMetricData calls it: ``AVG`` is ``Average``; percentiles and trimmed ones as they are."""
    return _STATISTICS.get(name.replace(" ", "").lower(), name)


def _period(value: object, default: int) -> int:
    if value is None or value == "auto":
        return default
    number = _number(value, "period")
    if not 1 <= number <= _LONGEST or number != int(number) or (number not in _FINE and number % 60):
        raise BadBody(f"the period {_shown(value)} is not 1, 5, 10, 20, 30 or a multiple of 60 seconds")
    return int(number)


def _threshold(given: object) -> Threshold:
    edges = [
        _object(one, "annotations.horizontal") for one in (given if isinstance(given, list) else [given])
    ]
    if not 1 <= len(edges) <= 2:
        raise BadBody("a band of annotations.horizontal does not have two edges")
    values = [_number(edge.get("value"), "the value of annotations.horizontal") for edge in edges]
    label = next((text for edge in edges if (text := _text(edge.get("label"), "label"))), "")
    axis: Side = "right" if edges[0].get("yAxis") == "right" else "left"
    return Threshold(values[0], values[1] if len(values) > 1 else None, label, axis)


def _moment(given: object) -> Moment:
    edges = [_object(one, "annotations.vertical") for one in (given if isinstance(given, list) else [given])]
    if not 1 <= len(edges) <= 2:
        raise BadBody("a band of annotations.vertical does not have two edges")
    times = [_time(edge.get("value")) for edge in edges]
    label = next((text for edge in edges if (text := _text(edge.get("label"), "label"))), "")
    return Moment(times[0], times[1] if len(times) > 1 else None, label)


def _time(value: object) -> datetime:
    try:
        return parse_iso(_text(value, "the value of annotations.vertical"))
    except (ValueError, OverflowError) as error:
        raise BadBody(f"the value {_shown(value)} of annotations.vertical is not a time") from error


def _axis(given: object, side: str) -> Axis:
    one = _object(given, f"yAxis.{side}")
    low, high = (
        None if one.get(end) is None else _number(one[end], f"yAxis.{side}.{end}") for end in ("min", "max")
    )
    return Axis(low, high, _text(one.get("label"), f"yAxis.{side}.label"))


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadBody(f"{what} is {_shown(value)}, not an object")
    return value


def _list(value: object, what: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadBody(f"{what} is {_shown(value)}, not a list")
    return value


def _texts(value: object, what: str) -> tuple[str, ...]:
    return tuple(_text(one, what) for one in _list(value, what))


def _text(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadBody(f"{what} is {_shown(value)}, not text")
    return _whole(value)


def _whole(text: str) -> str:
    """Without halves of characters, which JSON can write and no request can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e308:
        raise BadBody(f"{what} is {_shown(value)}, not a number")
    return float(value)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:58] + " …"
