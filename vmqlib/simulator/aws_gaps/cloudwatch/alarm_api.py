"""The operations on alarms, as CloudWatch answers them.

API reference: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html and others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from moto.cloudwatch.exceptions import InvalidParameterCombination, ResourceNotFound, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult

from vmqlib.simulator.aws_gaps.cloudwatch.actions import act
from vmqlib.simulator.aws_gaps.cloudwatch.alarm_rules import COMPARISONS
from vmqlib.simulator.aws_gaps.cloudwatch.composite import BadRule, parse
from vmqlib.simulator.aws_gaps.cloudwatch.evaluation import catch_up, evaluate_composites, rule_of
from vmqlib.simulator.aws_gaps.cloudwatch.metrics import check_statistic
from vmqlib.simulator.aws_gaps.cloudwatch.state import (
    HistoryItem,
    change_state,
    record,
    state_of,
    transitioned_at,
)
from vmqlib.simulator.aws_gaps.gap import now, replace, to_aware

__all__ = ["install"]

_MISSING = ("missing", "ignore", "breaching", "notBreaching")
_KEPT = timedelta(days=30)
_UNCHECKED = "Unchecked: Initial alarm creation"
_Row = TypeVar("_Row")


class InvalidNextToken(ServiceException):
    """A NextToken that was never given."""

    code = "InvalidNextToken"

    def __init__(self) -> None:
        super().__init__("InvalidNextToken", "The next token specified is invalid.")


def _page(
    rows: Sequence[_Row], parameters: Mapping[str, Any], usual: int
) -> tuple[Sequence[_Row], str | None]:
    size = parameters.get("MaxRecords")
    size = usual if size is None else int(size)
    if not 1 <= size <= 100:
        raise ValidationError(
            f"1 validation error detected: Value '{size}' at 'maxRecords' failed to satisfy constraint: "
            "Member must be between 1 and 100"
        )
    token = str(parameters.get("NextToken") or "0")
    if not token.isdigit():
        raise InvalidNextToken
    start = int(token)
    end = start + size
    return rows[start:end], (str(end) if end < len(rows) else None)


# ---- describing


def _described(alarm: Alarm) -> dict[str, Any]:
    both = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.alarm_arn,
        "AlarmDescription": alarm.description,
        "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_timestamp,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": alarm.ok_actions or [],
        "AlarmActions": alarm.alarm_actions or [],
        "InsufficientDataActions": alarm.insufficient_data_actions or [],
        "StateValue": alarm.state_value,
        "StateReason": alarm.state_reason,
        "StateReasonData": alarm.state_reason_data if alarm.state_reason_data not in ("", "{}") else None,
        "StateUpdatedTimestamp": alarm.state_updated_timestamp,
        "StateTransitionedTimestamp": transitioned_at(alarm).replace(tzinfo=None),
    }
    if alarm.rule is not None:
        return both | {"AlarmRule": alarm.rule}
    return both | {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "Statistic": alarm.statistic,
        "ExtendedStatistic": alarm.extended_statistic,
        "Dimensions": [{"Name": one.name, "Value": one.value} for one in alarm.dimensions],
        "Period": alarm.period,
        "Unit": alarm.unit,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison_operator,
        "TreatMissingData": alarm.treat_missing_data,
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile,
    }


def _children(backend: CloudWatchBackend, name: str) -> tuple[str, ...]:
    alarm = backend.alarms.get(name)
    return parse(str(alarm.rule)).children if alarm is not None and alarm.rule is not None else ()


def _wanted(backend: CloudWatchBackend, asked: Mapping[str, Any]) -> Iterable[Alarm]:
    types = asked.get("AlarmTypes") or ["MetricAlarm"]
    names, prefix = asked.get("AlarmNames"), asked.get("AlarmNamePrefix")
    if names and prefix:
        raise InvalidParameterCombination("AlarmNames and AlarmNamePrefix cannot both be given.")
    tests: list[Callable[[Alarm], bool]] = [
        lambda alarm: ("MetricAlarm" if alarm.rule is None else "CompositeAlarm") in types
    ]
    if names:
        tests.append(lambda alarm: alarm.name in names)
    if prefix:
        tests.append(lambda alarm: alarm.name.startswith(prefix))
    if value := asked.get("StateValue"):
        tests.append(lambda alarm: alarm.state_value == value)
    if action := asked.get("ActionPrefix"):
        tests.append(lambda alarm: any(str(arn).startswith(action) for arn in alarm.alarm_actions or []))
    if parent := asked.get("ChildrenOfAlarmName"):
        children = _children(backend, parent)
        tests.append(lambda alarm: alarm.name in children)
    if child := asked.get("ParentsOfAlarmName"):
        tests.append(lambda alarm: child in _children(backend, alarm.name))
    found = [alarm for alarm in backend.alarms.values() if all(test(alarm) for test in tests)]
    return sorted(found, key=lambda alarm: (alarm.rule is None, alarm.name))


def describe_alarms(self: CloudWatchResponse) -> ActionResult:
    backend, asked = self.cloudwatch_backend, self._get_params()
    catch_up(backend, now())
    rows, token = _page(list(_wanted(backend, asked)), asked, usual=50)
    return ActionResult(
        {
            "MetricAlarms": [_described(alarm) for alarm in rows if alarm.rule is None],
            "CompositeAlarms": [_described(alarm) for alarm in rows if alarm.rule is not None],
            "NextToken": token,
        }
    )


def describe_alarms_for_metric(self: CloudWatchResponse) -> ActionResult:
    from vmqlib.simulator.aws_gaps.cloudwatch.metrics import MetricId
    from vmqlib.simulator.aws_gaps.cloudwatch.state import alarm_rule

    backend, asked = self.cloudwatch_backend, self._get_params()
    catch_up(backend, now())
    metric = MetricId.of(asked["Namespace"], asked["MetricName"], asked.get("Dimensions"))
    found = [a for a in backend.alarms.values() if a.rule is None and alarm_rule(a).metric == metric]
    return ActionResult({"MetricAlarms": [_described(alarm) for alarm in found]})


def describe_alarm_history(self: CloudWatchResponse) -> ActionResult:
    backend, asked = self.cloudwatch_backend, self._get_params()
    catch_up(backend, now())
    types = asked.get("AlarmTypes") or ["MetricAlarm"]
    oldest = now() - _KEPT
    start = max(to_aware(asked["StartDate"]), oldest) if asked.get("StartDate") else oldest
    end = to_aware(asked["EndDate"]) if asked.get("EndDate") else None
    items = [
        item
        for item in state_of(backend).history
        if asked.get("AlarmName") in (None, item.alarm)
        and asked.get("HistoryItemType") in (None, item.kind)
        and ("CompositeAlarm" if item.composite else "MetricAlarm") in types
        and start <= item.at
        and (end is None or item.at <= end)
    ]
    # Several things of one moment stay in the order in which they happened.
    items.sort(key=lambda item: item.at)
    if asked.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        items.reverse()
    rows, token = _page(items, asked, usual=100)
    return ActionResult({"AlarmHistoryItems": [_history_row(item) for item in rows], "NextToken": token})


def _history_row(item: HistoryItem) -> dict[str, Any]:
    return {
        "AlarmName": item.alarm,
        "AlarmType": "CompositeAlarm" if item.composite else "MetricAlarm",
        "Timestamp": item.at.replace(tzinfo=None),
        "HistoryItemType": item.kind,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }


# ---- putting, setting, deleting


def _check_alarm(asked: Mapping[str, Any]) -> None:
    for name in ("EvaluationPeriods", "ComparisonOperator"):
        if asked.get(name) is None:
            raise ValidationError(f"The parameter {name} is required.")
    if asked.get("Metrics") or asked.get("ThresholdMetricId"):
        raise ValidationError("The simulator evaluates no alarms on metric math or anomaly detection.")
    for name in ("MetricName", "Namespace", "Period", "Threshold"):
        if asked.get(name) is None:
            raise ValidationError(f"The parameter {name} is required.")
    statistics = [asked[name] for name in ("Statistic", "ExtendedStatistic") if asked.get(name)]
    if len(statistics) != 1:
        raise InvalidParameterCombination("Exactly one of Statistic and ExtendedStatistic must be given.")
    if not check_statistic(statistics[0]):
        raise ValidationError(f"The value {statistics[0]} for parameter ExtendedStatistic is not supported.")
    if asked["ComparisonOperator"] not in COMPARISONS:
        raise ValidationError(f"The simulator does not compare by {asked['ComparisonOperator']}.")
    if asked.get("TreatMissingData") not in (None, *_MISSING):
        raise ValidationError(f"Option {asked['TreatMissingData']} is not supported for TreatMissingData.")
    period, periods = int(asked["Period"]), int(asked["EvaluationPeriods"])
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise ValidationError("Period must be 10, 20, 30 or a multiple of 60")
    if periods < 1 or not 1 <= int(asked.get("DatapointsToAlarm") or periods) <= periods:
        raise ValidationError("DatapointsToAlarm must be at least 1 and at most EvaluationPeriods.")


def _put_metric_alarm(original: Callable[..., Any]) -> Callable[..., Any]:
    def put_metric_alarm(self: CloudWatchResponse) -> ActionResult:
        _check_alarm(self._get_params())
        answer: ActionResult = original(self)
        return answer

    return put_metric_alarm


def put_composite_alarm(self: CloudWatchResponse) -> ActionResult:
    asked = self._get_params()
    try:
        parse(asked["AlarmRule"])
    except BadRule as error:
        raise ValidationError(str(error)) from error
    nothing: Any = None
    self.cloudwatch_backend.put_metric_alarm(
        name=asked["AlarmName"],
        namespace=nothing,
        metric_name=nothing,
        comparison_operator=nothing,
        evaluation_periods=nothing,
        period=nothing,
        threshold=nothing,
        statistic=nothing,
        description=asked.get("AlarmDescription") or "",
        dimensions=[],
        alarm_actions=asked.get("AlarmActions") or [],
        ok_actions=asked.get("OKActions") or [],
        insufficient_data_actions=asked.get("InsufficientDataActions") or [],
        actions_enabled=asked.get("ActionsEnabled", True),
        rule=asked["AlarmRule"],
        tags=asked.get("Tags"),
    )
    return EmptyResult()


def _keep_alarm(original: Callable[..., Alarm]) -> Callable[..., Alarm]:
    """An alarm that is updated stays in its state; a new one begins without one."""

    def put_metric_alarm(self: CloudWatchBackend, *args: Any, **kwargs: Any) -> Alarm:
        at = now()
        catch_up(self, at)
        old = self.alarms.get(kwargs.get("name") or args[0])
        alarm = original(self, *args, **kwargs)
        state = state_of(self)
        if old is not None:
            for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp"):
                setattr(alarm, name, getattr(old, name))
            alarm.__dict__["state_transitioned_timestamp"] = transitioned_at(old).replace(tzinfo=None)
        else:
            alarm.state_value, alarm.state_reason = "INSUFFICIENT_DATA", _UNCHECKED
            state.evaluated[alarm.name] = int(at.timestamp())
        state.rules.pop(alarm.name, None)
        did, key = ("updated", "updatedAlarm") if old is not None else ("created", "createdAlarm")
        data = {"type": "Update" if old is not None else "Create", key: _configuration(alarm)}
        record(self, alarm, at, "ConfigurationUpdate", f'Alarm "{alarm.name}" {did}', data)
        if alarm.rule is None:
            _evaluate_soon(self, alarm, at)
        else:
            evaluate_composites(self, at)
        return alarm

    return put_metric_alarm


def _configuration(alarm: Alarm) -> dict[str, Any]:
    """The alarm as its history shows it: in lower camel case, without its state."""
    fields = {name: value for name, value in _described(alarm).items() if not name.startswith("State")}
    return {name[0].lower() + name[1:]: value for name, value in fields.items() if value is not None}


def _evaluate_soon(backend: CloudWatchBackend, alarm: Alarm, at: datetime) -> None:
    state_of(backend).pending[alarm.name] = rule_of(backend, alarm).next_evaluation(at.timestamp())


def set_state(
    self: CloudWatchBackend, alarm_name: str, reason: str, reason_data: str, state_value: str
) -> None:
    """SetAlarmState: for the time being. The next evaluation brings the alarm to what its metric says."""
    from moto.cloudwatch.exceptions import InvalidFormat

    if reason_data:
        try:
            json.loads(reason_data)
        except ValueError as error:
            raise InvalidFormat("StateReasonData is not JSON.") from error
    at = now()
    catch_up(self, at)
    alarm = self.alarms.get(alarm_name)
    if alarm is None:
        raise ResourceNotFound("The alarm does not exist.")
    if state_value not in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        raise ValidationError(
            f"1 validation error detected: Value '{state_value}' at 'stateValue' failed to satisfy constraint: "
            "Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
        )
    before = alarm.state_value
    if change_state(self, alarm, state_value, reason, reason_data or "", at):
        act(self, alarm, before, at)
    if alarm.rule is None:
        _evaluate_soon(self, alarm, at)
    evaluate_composites(self, at)


def _delete_alarms(original: Callable[..., None]) -> Callable[..., None]:
    def delete_alarms(self: CloudWatchBackend, alarm_names: list[str]) -> None:
        at, state = now(), state_of(self)
        catch_up(self, at)
        missing = [name for name in alarm_names if name not in self.alarms]
        if missing:
            raise ResourceNotFound(f"The alarm {missing[0]} does not exist.")
        for name in alarm_names:
            alarm = self.alarms[name]
            data = {"type": "Delete", "deletedAlarm": _configuration(alarm)}
            record(self, alarm, at, "ConfigurationUpdate", f'Alarm "{name}" deleted', data)
            for kept in (state.evaluated, state.pending, state.rules):
                kept.pop(name, None)
        original(self, alarm_names)
        evaluate_composites(self, at)

    return delete_alarms


def install() -> None:
    """Sets the operations on alarms on moto's CloudWatch."""
    replace(
        CloudWatchResponse,
        describe_alarms=describe_alarms,
        describe_alarms_for_metric=describe_alarms_for_metric,
        describe_alarm_history=describe_alarm_history,
        put_metric_alarm=_put_metric_alarm(CloudWatchResponse.put_metric_alarm),
        put_composite_alarm=put_composite_alarm,
    )
    replace(
        CloudWatchBackend,
        put_metric_alarm=_keep_alarm(CloudWatchBackend.put_metric_alarm),
        set_alarm_state=set_state,
        delete_alarms=_delete_alarms(CloudWatchBackend.delete_alarms),
    )
