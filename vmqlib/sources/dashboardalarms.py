"""Alarms that a dashboard shows: their states, and the metrics of an alarm that a metric widget names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources.base import moment
from vmqlib.sources.dashboardbody import MetricLine, Threshold, Widget

if TYPE_CHECKING:
    from vmqlib.aws import Aws

__all__ = ["alarm_row", "alarm_states", "with_alarm"]

_ALARMS_A_CALL = 100


def alarm_states(aws: Aws, arns: Sequence[str]) -> tuple[dict[str, Mapping[str, Any]], str]:
    """The alarms of this region among these, by ARN; and why they could not be seen."""
    names = list(dict.fromkeys(_alarm_name(arn) for arn in arns if _region(arn) == aws.region))
    found: dict[str, Mapping[str, Any]] = {}
    client = aws.client("cloudwatch")
    try:
        for first in range(0, len(names), _ALARMS_A_CALL):
            with aws_errors("cloudwatch:DescribeAlarms", "the dashboard's alarms"):
                page = client.describe_alarms(
                    AlarmNames=names[first : first + _ALARMS_A_CALL],
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                    MaxRecords=_ALARMS_A_CALL,
                )
            found |= {one["AlarmArn"]: one for one in (*page["MetricAlarms"], *page["CompositeAlarms"])}
    except AwsError as error:
        return found, error.message
    return found, ""


def _region(arn: str) -> str:
    return (arn.split(":") + [""] * 4)[3]


def _alarm_name(arn: str) -> str:
    return arn.split(":", 6)[-1]


def alarm_row(region: str, arn: str, states: Mapping[str, Mapping[str, Any]], refused: str) -> dict[str, Any]:
    alarm = states.get(arn)
    if alarm is None:
        elsewhere = _region(arn) != region
        why = f"it is in {_region(arn) or 'no region'}: only {region} is asked" if elsewhere else ""
        return {"name": _alarm_name(arn), "state": "", "problem": why or refused or "there is no such alarm"}
    since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    state = str(alarm.get("StateValue", ""))
    return {"name": alarm["AlarmName"], "state": state, "since": moment(since), "problem": ""}


def with_alarm(widget: Widget, states: Mapping[str, Mapping[str, Any]]) -> Widget:
    """A metric widget that names an alarm and no metric shows the alarm's metrics and its threshold."""
    alarm = next((states[arn] for arn in widget.alarms if arn in states), None)
    if widget.lines or alarm is None:
        return widget
    queries = alarm.get("Metrics") or [{"MetricStat": {
        "Metric": {"Namespace": alarm.get("Namespace", ""), "MetricName": alarm.get("MetricName", ""),
                   "Dimensions": alarm.get("Dimensions", [])},
        "Period": alarm.get("Period", 300), "Stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic", ""),
    }}]  # fmt: skip
    lines = tuple(_alarm_line(n, query) for n, query in enumerate(queries, 1))
    return replace(widget, lines=lines, thresholds=_alarm_threshold(alarm))


def _alarm_threshold(alarm: Mapping[str, Any]) -> tuple[Threshold, ...]:
    value = alarm.get("Threshold")
    return () if value is None else (Threshold(float(value), label=str(alarm["AlarmName"])),)


def _alarm_line(position: int, query: Mapping[str, Any]) -> MetricLine:
    line = MetricLine(
        position, id=query.get("Id", ""), label=query.get("Label", ""), visible=query.get("ReturnData") is not False,
        expression=query.get("Expression", ""), period_s=int(query.get("Period") or 300),
    )  # fmt: skip
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        pairs = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
        return replace(
            line, namespace=metric.get("Namespace", ""), name=metric.get("MetricName", ""), dimensions=pairs,
            statistic=stat["Stat"], period_s=int(stat["Period"]),
        )  # fmt: skip
    return line
