"""How our alarms are set up: what they look at, whom they tell, and all that it takes to put them again as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.sources import alarms
from vmqlib.sources.base import COUNT, FLAG, NUMBER, TEXT, TIME, Column, Reading, Row, Source, moment

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "looked_at", "read"]

_COLUMNS = {
    "name": Column(TEXT, "", "the alarm's name"),
    "kind": Column(TEXT, "", "metric, math or composite"),
    "state": Column(TEXT, "", "OK, ALARM or INSUFFICIENT_DATA"),
    "since": Column(TIME, "", "when it went into this state"),
    "metrics": Column(
        TEXT,
        "",
        "JSON: every metric that it looks at, with id, namespace, name, dimensions, period_s, account",
    ),
    "expressions": Column(
        TEXT, "", "JSON: its expressions; SEARCH and Metrics Insights find their metrics themselves"
    ),
    "threshold": Column(NUMBER, "the metric's", "the threshold"),
    "evaluation_periods": Column(COUNT, "periods", "EvaluationPeriods (N)"),
    "treat_missing_data": Column(TEXT, "", "missing, notBreaching, breaching or ignore"),
    "actions_enabled": Column(FLAG, "", "whether it tells anybody"),
    "actions": Column(TEXT, "", "JSON: state to the ARNs that are told of it"),
    "children": Column(
        TEXT, "", "JSON: a composite alarm's alarms with their state; null where there is none"
    ),
    "suppressor": Column(
        TEXT, "", "the alarm that holds a composite alarm's actions back (ActionsSuppressor)"
    ),
    "definition": Column(TEXT, "", "JSON: the parameters of PutMetricAlarm that make it as it is"),
}

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """The alarms of :func:`vmqlib.sources.alarms.describe`, one row each.

    Raises
    ------
    AwsError
        ``cloudwatch:DescribeAlarms`` refused or not reached.
    """
    found = alarms.describe(aws, settings)
    put = aws.client("cloudwatch").meta.service_model.operation_model("PutMetricAlarm").input_shape
    names = frozenset(put.members) if put is not None else frozenset()
    rows = [
        *(_plain(one, names) for one in found.plain),
        *(_composite(one, found.states) for one in found.composite),
    ]
    return Reading(
        source="alarm-config",
        call="cloudwatch:DescribeAlarms",
        parameters={"names": alarms.named(settings), "namespaces": sorted(alarms.NAMESPACES)},
        rows=sorted(rows, key=lambda row: str(row["name"])),
    )


SOURCE = Source("alarm-config", "How alarms are set up", read, _COLUMNS, order=("name",), routine=False)


def looked_at(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every metric that an alarm looks at, from ``DescribeAlarms``."""
    if alarm.get("MetricName"):
        return [_metric("", alarm, alarm.get("Period"), "")]
    return [
        _metric(
            one["Id"], one["MetricStat"]["Metric"], one["MetricStat"].get("Period"), one.get("AccountId", "")
        )
        for one in alarm.get("Metrics", [])
        if "MetricStat" in one
    ]


def _metric(name: str, metric: Mapping[str, Any], period: int | None, account: str) -> dict[str, Any]:
    return {
        "id": name,
        "namespace": metric.get("Namespace", ""),
        "name": metric.get("MetricName", ""),
        "dimensions": {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])},
        "period_s": period,
        "account": account,
    }


def _common(alarm: Mapping[str, Any]) -> dict[str, Any]:
    told = {state: list(alarm.get(name, [])) for state, name in _ACTIONS.items()}
    return {
        "name": alarm["AlarmName"],
        "state": alarm.get("StateValue", ""),
        "since": moment(alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")),
        "actions_enabled": alarm.get("ActionsEnabled"),
        "actions": json.dumps(told),
    }


def _plain(alarm: Mapping[str, Any], names: frozenset[str]) -> Row:
    # What is empty was not given; an empty description or list cannot always be put again.
    given = {name: value for name, value in alarm.items() if name in names and value not in ("", [], None)}
    return _common(alarm) | {
        "kind": "math" if alarm.get("Metrics") else "metric",
        "metrics": json.dumps(looked_at(alarm)),
        "expressions": json.dumps(
            [one["Expression"] for one in alarm.get("Metrics", []) if "Expression" in one]
        ),
        "threshold": alarm.get("Threshold"),
        "evaluation_periods": alarm.get("EvaluationPeriods"),
        "treat_missing_data": alarm.get("TreatMissingData") or "missing",
        "children": "{}",
        "suppressor": "",
        "definition": json.dumps(given, sort_keys=True, default=str),
    }


def _composite(alarm: Mapping[str, Any], states: Mapping[str, str]) -> Row:
    under = {name: states.get(name) for name in alarms.children(alarm.get("AlarmRule", ""))}
    return _common(alarm) | {
        "kind": "composite",
        "metrics": "[]",
        "expressions": json.dumps([alarm.get("AlarmRule", "")]),
        "children": json.dumps(under),
        "suppressor": alarm.get("ActionsSuppressor", ""),
        "definition": "{}",
    }
