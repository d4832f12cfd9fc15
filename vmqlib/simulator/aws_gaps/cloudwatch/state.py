"""What is kept beside moto's CloudWatch backend: datapoints, alarm history, and how far alarms were evaluated."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend

from vmqlib.simulator.aws_gaps.cloudwatch.alarm_rules import AlarmRule
from vmqlib.simulator.aws_gaps.cloudwatch.metrics import MetricId, MetricStore
from vmqlib.simulator.aws_gaps.gap import to_aware, to_naive

__all__ = ["HistoryItem", "State", "alarm_rule", "change_state", "record", "state_of", "transitioned_at"]

_VERSION = {"version": "1.0"}


@dataclass(frozen=True)
class HistoryItem:
    """One entry of DescribeAlarmHistory.

    Parameters
    ----------
    alarm:
        The alarm's name.
    composite:
        Whether it is a composite alarm.
    at:
        When, timezone-aware.
    kind:
        ``StateUpdate``, ``ConfigurationUpdate`` or ``Action``.
    summary:
        One line for people.
    data:
        JSON.
    """

    alarm: str
    composite: bool
    at: datetime
    kind: str
    summary: str
    data: str


@dataclass
class State:
    """Ours of one account and region."""

    metrics: MetricStore = field(default_factory=MetricStore)
    #: Oldest first.
    history: list[HistoryItem] = field(default_factory=list)
    #: Alarm -> when it was last evaluated, seconds since 1970.
    evaluated: dict[str, int] = field(default_factory=dict)
    #: Alarm -> when it is to be evaluated whatever its metric does.
    pending: dict[str, int] = field(default_factory=dict)
    #: Alarm -> its rule, read once from moto's alarm.
    rules: dict[str, AlarmRule] = field(default_factory=dict)


def state_of(backend: CloudWatchBackend) -> State:
    """The state beside ``backend``. It goes when the backend is reset."""
    kept = backend.__dict__.setdefault("_vmq_state", None) or State()
    backend.__dict__["_vmq_state"] = kept
    return kept


def alarm_rule(alarm: Alarm) -> AlarmRule:
    """The rule of a metric alarm."""
    dimensions = [{"Name": one.name or "", "Value": one.value or ""} for one in alarm.dimensions]
    periods = int(alarm.evaluation_periods)
    return AlarmRule(
        metric=MetricId.of(alarm.namespace, alarm.metric_name, dimensions),
        statistic=alarm.statistic or alarm.extended_statistic or "Average",
        period=int(alarm.period),
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or periods),
        threshold=float(alarm.threshold),
        comparison=alarm.comparison_operator,
        treat_missing_data=alarm.treat_missing_data or "missing",
        unit=alarm.unit or "",
    )


def record(
    backend: CloudWatchBackend, alarm: Alarm, at: datetime, kind: str, summary: str, data: Any
) -> None:
    """Writes an entry of the alarm's history. ``data`` is what its JSON holds beside the version."""
    text = json.dumps({**_VERSION, **data}, separators=(",", ":"), default=str)
    item = HistoryItem(alarm.name, alarm.rule is not None, at, kind, summary, text)
    state_of(backend).history.append(item)


def change_state(
    backend: CloudWatchBackend, alarm: Alarm, value: str, reason: str, reason_data: str, at: datetime
) -> bool:
    """Puts an alarm into a state and records it. Returns whether that is another one than before."""
    before = alarm.state_value
    old = {"stateValue": before, "stateReason": alarm.state_reason}
    new: dict[str, Any] = {"stateValue": value, "stateReason": reason}
    if alarm.state_reason_data not in (None, "", "{}"):
        old["stateReasonData"] = json.loads(alarm.state_reason_data)
    if reason_data:
        new["stateReasonData"] = json.loads(reason_data)
    alarm.state_value, alarm.state_reason, alarm.state_reason_data = value, reason, reason_data
    alarm.state_updated_timestamp = to_naive(at)
    if value == before:
        return False
    alarm.__dict__["state_transitioned_timestamp"] = to_naive(at)
    summary = f"Alarm updated from {before} to {value}"
    record(backend, alarm, at, "StateUpdate", summary, {"oldState": old, "newState": new})
    return True


def transitioned_at(alarm: Alarm) -> datetime:
    """When the alarm came into the state it is in, timezone-aware."""
    moment: datetime = alarm.__dict__.get("state_transitioned_timestamp", alarm.state_updated_timestamp)
    return to_aware(moment).astimezone(UTC)
