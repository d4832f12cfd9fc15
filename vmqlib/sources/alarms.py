"""CloudWatch alarms and what they did (runbook, trigger conditions)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.sources.base import COUNT, FLAG, NUMBER, TEXT, TIME, Column, Reading, Row, Source, gather, moment

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = [
    "HISTORY",
    "NAMESPACES",
    "SOURCE",
    "Ours",
    "children",
    "describe",
    "missing",
    "named",
    "read",
    "read_history",
]

#: Alarms on these namespaces are ours even when the settings do not name them.
NAMESPACES = frozenset({"VaultMesh/QBusiness", "AWS/QBusiness"})

_SUMMARY = re.compile(r"updated from (\w+) to (\w+)", re.IGNORECASE)

_COLUMNS = {
    "name": Column(TEXT, "", "the alarm's name"),
    "state": Column(TEXT, "", "OK, ALARM or INSUFFICIENT_DATA"),
    "since": Column(TIME, "", "when it went into this state (StateTransitionedTimestamp)"),
    "updated_at": Column(TIME, "", "when its state was last written (StateUpdatedTimestamp)"),
    "reason": Column(TEXT, "", "StateReason"),
    "namespace": Column(TEXT, "", "of the metric; empty for a composite alarm"),
    "metric": Column(TEXT, "", "the metric; a composite alarm's rule"),
    "dimensions": Column(
        TEXT, "", "JSON text: name to value. CloudWatch matches a metric only by the very same set"
    ),
    "statistic": Column(TEXT, "", "Sum, Maximum, p90 …"),
    "period_s": Column(COUNT, "s", "length of one period"),
    "threshold": Column(NUMBER, "the metric's", "the threshold"),
    "comparison": Column(TEXT, "", "ComparisonOperator"),
    "evaluation_periods": Column(COUNT, "periods", "EvaluationPeriods (N)"),
    "datapoints_to_alarm": Column(COUNT, "periods", "DatapointsToAlarm (M); N where it is not set"),
    "treat_missing_data": Column(TEXT, "", "missing, notBreaching, breaching or ignore"),
    "actions_enabled": Column(FLAG, "", "whether it tells anybody"),
}

_HISTORY_COLUMNS = {
    "name": Column(TEXT, "", "the alarm's name"),
    "at": Column(TIME, "", "when its state changed"),
    "old_state": Column(TEXT, "", "the state before"),
    "new_state": Column(TEXT, "", "the state after"),
    "reason": Column(TEXT, "", "why, as CloudWatch says"),
}


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """The alarms that the settings name, those on our namespaces, and composite alarms over them, now.

    Raises
    ------
    AwsError
        ``cloudwatch:DescribeAlarms`` refused or not reached.
    """
    return Reading(
        source="alarms",
        call="cloudwatch:DescribeAlarms",
        parameters={"names": named(settings), "namespaces": sorted(NAMESPACES)},
        rows=_ours(aws, settings),
    )


def read_history(aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:
    """State changes of those alarms in the window, oldest first. CloudWatch keeps them for 30 days.

    Raises
    ------
    AwsError
        ``cloudwatch:DescribeAlarms`` or ``cloudwatch:DescribeAlarmHistory`` refused or not reached.
    """
    # A named alarm that is gone still has its history.
    names = list(dict.fromkeys([*named(settings), *(row["name"] for row in _ours(aws, settings))]))
    rows = [row for part in gather([partial(_changes, aws, name, window) for name in names]) for row in part]
    rows.sort(key=lambda row: row["at"] or "")
    return Reading(
        source="alarm-history",
        call="cloudwatch:DescribeAlarmHistory",
        parameters={"names": names, "since": moment(window.since), "until": moment(window.until)},
        rows=rows,
    )


SOURCE = Source("alarms", "Alarms", read, _COLUMNS, order=("name",))
HISTORY = Source("alarm-history", "Alarm history", read_history, _HISTORY_COLUMNS, order=("at",))


def missing(alarms: pd.DataFrame, settings: Settings) -> list[str]:
    """Alarms that the settings name and a frame of ``alarms`` does not have: nobody would have been paged."""
    there = set(alarms["name"])
    return [name for name in named(settings) if name not in there]


def named(settings: Settings) -> list[str]:
    """The alarms that the settings name."""
    return [name for name in (settings.alarms.sync_failed, settings.alarms.no_sync) if name]


@dataclass(frozen=True)
class Ours:
    """The account's alarms that concern the knowledge base, as CloudWatch describes them.

    Parameters
    ----------
    plain:
        Alarms on a metric or on metric math.
    composite:
        Alarms over alarms.
    states:
        The state of every alarm of the account, by name.
    """

    plain: tuple[Mapping[str, Any], ...]
    composite: tuple[Mapping[str, Any], ...]
    states: Mapping[str, str]


def describe(aws: Aws, settings: Settings) -> Ours:
    """The alarms that the settings name, those that look at one of our namespaces, and composite alarms over them.

    Raises
    ------
    AwsError
        ``cloudwatch:DescribeAlarms`` refused or not reached.
    """
    paginator = aws.client("cloudwatch").get_paginator("describe_alarms")
    plain: list[Mapping[str, Any]] = []
    composite: list[Mapping[str, Any]] = []
    with aws_errors("cloudwatch:DescribeAlarms", "the account's alarms"):
        for page in paginator.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"]):
            plain.extend(page.get("MetricAlarms", []))
            composite.extend(page.get("CompositeAlarms", []))
    known = set(named(settings))
    mine = [one for one in plain if one["AlarmName"] in known or NAMESPACES & _namespaces(one)]
    names = known | {one["AlarmName"] for one in mine}
    over: list[Mapping[str, Any]] = []
    # A composite alarm may stand over composite alarms.
    while more := [one for one in composite if one not in over and _concerns(one, names)]:
        over += more
        names |= {one["AlarmName"] for one in more}
    states = {one["AlarmName"]: one.get("StateValue", "") for one in (*plain, *composite)}
    return Ours(tuple(mine), tuple(over), states)


def children(rule: str) -> tuple[str, ...]:
    """The alarms that a composite alarm's rule speaks of, by name or by ARN."""
    quoted = re.findall(
        r"""(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]*)"|'([^']*)'|([^"')]+?))\s*\)""", rule
    )
    found = ("".join(parts).strip() for parts in quoted)
    return tuple(dict.fromkeys(part.rsplit(":alarm:", 1)[-1] for part in found if part))


def _ours(aws: Aws, settings: Settings) -> list[Row]:
    found = describe(aws, settings)
    rows = [*map(_metric_alarm, found.plain), *map(_composite, found.composite)]
    return sorted(rows, key=lambda row: str(row["name"]))


def _namespaces(alarm: Mapping[str, Any]) -> set[str]:
    """Of all the metrics that an alarm looks at."""
    math = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
    return {str(metric.get("Namespace", "")) for metric in (alarm, *math)}


def _concerns(composite: Mapping[str, Any], names: set[str]) -> bool:
    return composite["AlarmName"] in names or bool(
        names.intersection(children(composite.get("AlarmRule", "")))
    )


def _state(alarm: Mapping[str, Any]) -> dict[str, Any]:
    updated = alarm.get("StateUpdatedTimestamp")
    return {
        "name": alarm["AlarmName"],
        "state": alarm.get("StateValue", ""),
        "since": moment(alarm.get("StateTransitionedTimestamp") or updated),
        "updated_at": moment(updated),
        "reason": alarm.get("StateReason", ""),
        "actions_enabled": alarm.get("ActionsEnabled"),
    }


def _composite(alarm: Mapping[str, Any]) -> Row:
    return _state(alarm) | {"namespace": "", "metric": alarm.get("AlarmRule", ""), "dimensions": "{}"}


def _metric_alarm(alarm: Mapping[str, Any]) -> Row:
    metric: Mapping[str, Any] = alarm
    statistic: Mapping[str, Any] = alarm
    # An alarm on metric math lists its metrics; ours are recognised by the first one that is a metric.
    if math := [query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query]:
        metric, statistic = (
            math[0]["Metric"],
            {"Statistic": math[0].get("Stat"), "Period": math[0].get("Period")},
        )
    periods = alarm.get("EvaluationPeriods")
    return _state(alarm) | {
        "namespace": metric.get("Namespace", ""),
        "metric": metric.get("MetricName", ""),
        "dimensions": _dimensions(metric.get("Dimensions", [])),
        "statistic": statistic.get("Statistic") or alarm.get("ExtendedStatistic", ""),
        "period_s": statistic.get("Period"),
        "threshold": alarm.get("Threshold"),
        "comparison": alarm.get("ComparisonOperator", ""),
        "evaluation_periods": periods,
        "datapoints_to_alarm": alarm.get("DatapointsToAlarm", periods),
        "treat_missing_data": alarm.get("TreatMissingData") or "missing",
    }


def _dimensions(pairs: Sequence[Mapping[str, str]]) -> str:
    return json.dumps({pair["Name"]: pair["Value"] for pair in pairs}, sort_keys=True)


def _changes(aws: Aws, name: str, window: Window) -> list[Row]:
    paginator = aws.client("cloudwatch").get_paginator("describe_alarm_history")
    with aws_errors("cloudwatch:DescribeAlarmHistory", f"alarm {name}"):
        pages = paginator.paginate(
            AlarmName=name,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            HistoryItemType="StateUpdate",
            StartDate=window.since,
            EndDate=window.until,
            ScanBy="TimestampAscending",
        )
        return [_change(item) for page in pages for item in page.get("AlarmHistoryItems", [])]


def _change(item: Mapping[str, Any]) -> Row:
    try:
        data = json.loads(item.get("HistoryData") or "{}")
    except ValueError:
        data = {}
    said = _SUMMARY.search(item.get("HistorySummary", ""))
    old, new = data.get("oldState", {}), data.get("newState", {})
    return {
        "name": item.get("AlarmName", ""),
        "at": moment(item.get("Timestamp")),
        "old_state": old.get("stateValue") or (said[1] if said else ""),
        "new_state": new.get("stateValue") or (said[2] if said else ""),
        "reason": new.get("stateReason") or item.get("HistorySummary", ""),
    }
