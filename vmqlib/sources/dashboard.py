"""The CloudWatch dashboard as it is, and what its widgets show (runbook, steps 4 and 6).

Two sources: ``dashboard-widgets`` says what is on it (``cloudwatch:GetDashboard``), ``dashboard-data`` what its metric
widgets show (``cloudwatch:GetMetricData``), with the same metrics, statistics, periods and maths. A line that shows
nothing is looked up (``cloudwatch:ListMetrics``): CloudWatch takes each set of dimensions for a metric of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import ResourceMissing
from vmqlib.sources.base import COUNT, FLAG, NUMBER, TEXT, TIME, Column, Reading, Row, Source, moment
from vmqlib.sources.dashboardalarms import alarm_row, alarm_states, with_alarm
from vmqlib.sources.dashboardbody import BadBody, Body, Widget, parse
from vmqlib.sources.dashboardlines import read_lines

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["DATA", "REACH", "WIDGETS", "read_data", "read_widgets"]

REACH = timedelta(days=5)
"""How far back by itself: as far as 1,440 points of five minutes, the period that dashboards have by default."""

_WIDGET_COLUMNS = {
    "widget": Column(COUNT, "", "its number on the dashboard, from 1; NA: the row is about the dashboard"),
    "kind": Column(TEXT, "", "metric, alarm, text, log, explorer, custom …; dashboard"),
    "title": Column(TEXT, "", "as the dashboard has it; may be empty"),
    "view": Column(TEXT, "", "metric: timeSeries, singleValue, gauge, bar, pie, table"),
    "stacked": Column(FLAG, "", "metric: whether its lines are stacked"),
    "whole_range": Column(FLAG, "", "metric: whether a value stands for the whole window"),
    "region": Column(TEXT, "", "where its metrics are; empty: where the dashboard is"),
    "axes": Column(TEXT, "", "JSON text: left and right to low, high, label"),
    "thresholds": Column(TEXT, "", "JSON text: horizontal annotations: value, until, label, axis"),
    "moments": Column(TEXT, "", "JSON text: vertical annotations: at, until, label"),
    "alarms": Column(TEXT, "", "JSON text: its alarms: name, state, since, problem"),
    "text": Column(TEXT, "", "text: its Markdown; log: its query"),
    "problem": Column(TEXT, "", "what is wrong with it, or why it is not drawn"),
    "note": Column(TEXT, "", "what is drawn otherwise than on the dashboard"),
}

_DATA_COLUMNS = {
    "widget": Column(COUNT, "", "the number of the widget"),
    "line": Column(COUNT, "", "the line's number in the widget, from 1; a SEARCH gives several"),
    "at": Column(TIME, "", "start of the period of a value; NA in the row that describes the line"),
    "value": Column(NUMBER, "the metric's", "the value; NA in the row that describes the line"),
    "label": Column(TEXT, "", "line: its label, as CloudWatch words it"),
    "metric": Column(TEXT, "", "line: namespace and name; empty for an expression"),
    "dimensions": Column(TEXT, "", "line: JSON text: name to value"),
    "expression": Column(TEXT, "", "line: metric math, SEARCH or a query"),
    "statistic": Column(TEXT, "", "line: Sum, Average, p99 …; empty for an expression"),
    "period_s": Column(COUNT, "s", "line: the period that was read"),
    "asked_s": Column(COUNT, "s", "line: the period that the dashboard has"),
    "axis": Column(TEXT, "", "line: left or right"),
    "since": Column(TIME, "", "line: start of what was asked about"),
    "until": Column(TIME, "", "line: end of what was asked about"),
    "why": Column(
        TEXT, "",
        "line: why it shows nothing, or not all: dimensions, unknown metric, no data, refused, partial, invalid, "
        "not asked, not known; or empty",
    ),
    "problem": Column(TEXT, "", "line: the same in a sentence"),
    "elsewhere": Column(TEXT, "", "line: JSON text: sets of dimensions under which the metric has data"),
}  # fmt: skip


def read_widgets(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row a widget, in the dashboard's order, with the states of its alarms.

    Raises
    ------
    AwsError
        ``cloudwatch:GetDashboard`` refused or not reached, or there is no such dashboard.
    """
    body, problem = _body(aws, settings)
    rows: list[Row] = []
    if problem:
        rows.append({"kind": "dashboard", "problem": problem})
    if body.variables:
        said = f"its variables ({', '.join(body.variables)}) keep the values that stand in its widgets"
        rows.append({"kind": "dashboard", "note": said})
    states, refused = alarm_states(aws, [arn for widget in body.widgets for arn in widget.alarms])
    rows += [_widget_row(aws.region, widget, states, refused) for widget in body.widgets]
    stopped = "; ".join(one for one in (problem, refused) if one)
    return Reading(
        source="dashboard-widgets",
        call="cloudwatch:GetDashboard",
        parameters={"dashboard": settings.dashboard},
        rows=rows,
        complete=not stopped,
        stopped=stopped,
    )


def read_data(aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:
    """For each line of each metric widget a row that describes it, then a row for each of its values.

    Raises
    ------
    AwsError
        ``cloudwatch:GetDashboard`` or ``cloudwatch:GetMetricData`` refused or not reached; no such dashboard.
    """
    body, problem = _body(aws, settings)
    widgets = [one for one in body.widgets if one.kind == "metric" and not one.problem]
    states, refused = alarm_states(
        aws, [arn for widget in widgets if not widget.lines for arn in widget.alarms]
    )
    drawn = [with_alarm(widget, states) for widget in widgets]
    rows, missing = read_lines(aws, [one for one in drawn if one.lines], window)
    stopped = "; ".join(dict.fromkeys(one for one in (problem, refused, *missing) if one))
    return Reading(
        source="dashboard-data",
        call="cloudwatch:GetMetricData",
        parameters={
            "dashboard": settings.dashboard,
            "since": moment(window.since),
            "until": moment(window.until),
        },
        rows=rows,
        complete=not stopped,
        stopped=stopped,
    )


def _is_set(settings: Settings) -> bool:
    return bool(settings.dashboard)


WIDGETS = Source("dashboard-widgets", "Dashboard", read_widgets, _WIDGET_COLUMNS, wanted=_is_set)
DATA = Source("dashboard-data", "Dashboard's data", read_data, _DATA_COLUMNS, reach=REACH, wanted=_is_set)


def _body(aws: Aws, settings: Settings) -> tuple[Body, str]:
    """The dashboard, and what is wrong with it as a whole."""
    client = aws.client("cloudwatch")
    try:
        with aws_errors("cloudwatch:GetDashboard", f"dashboard {settings.dashboard}"):
            text = client.get_dashboard(DashboardName=settings.dashboard)["DashboardBody"]
    except ResourceMissing as error:
        raise ResourceMissing(
            f"There is no CloudWatch dashboard {settings.dashboard!r} in {aws.region}.",
            hint="Put it back, or set `dashboard` in vmq.toml to one that `aws cloudwatch list-dashboards` shows.",
            operation=error.operation,
            code=error.code,
        ) from error
    try:
        return parse(text), ""
    except BadBody as error:
        return Body(()), str(error)


def _widget_row(region: str, widget: Widget, states: Mapping[str, Mapping[str, Any]], refused: str) -> Row:
    elsewhere = widget.kind == "metric" and widget.region not in ("", region)
    away = f"its metrics are in {widget.region}: only {region} is asked" if elsewhere else ""
    alarms = [alarm_row(region, arn, states, refused) for arn in widget.alarms]
    lost = widget.kind == "metric" and not widget.lines and all(not one["state"] for one in alarms)
    without = (
        f"its alarm {alarms[0]['name']} cannot be shown: {alarms[0]['problem']}" if lost and alarms else ""
    )
    thresholds = with_alarm(widget, states).thresholds
    return {
        "widget": widget.number,
        "kind": widget.kind,
        "title": widget.title,
        "view": widget.view,
        "stacked": widget.stacked,
        "whole_range": widget.whole_range,
        "region": widget.region,
        "axes": json.dumps({side: asdict(axis) for side, axis in widget.axes.items()}),
        "thresholds": json.dumps([asdict(one) for one in thresholds]),
        "moments": json.dumps(
            [{"at": moment(m.at), "until": moment(m.until), "label": m.label} for m in widget.moments]
        ),
        "alarms": json.dumps(alarms),
        "text": widget.markdown,
        "problem": widget.problem or away or without,
        "note": widget.note,
    }
