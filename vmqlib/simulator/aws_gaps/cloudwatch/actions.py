"""What an alarm does when its state changes: it tells SNS topics, and its history says so."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend

from vmqlib.simulator.aws_gaps.cloudwatch.alarm_rules import java_time
from vmqlib.simulator.aws_gaps.cloudwatch.state import record
from vmqlib.simulator.aws_gaps.gap import to_aware

__all__ = ["act"]

#: As CloudWatch names regions in messages; others go by their code.
_REGION_NAMES = {
    "eu-west-1": "EU (Ireland)",
    "us-east-1": "US East (N. Virginia)",
    "eu-central-1": "EU (Frankfurt)",
}


def act(backend: CloudWatchBackend, alarm: Alarm, before: str, at: datetime) -> None:
    """Carries out the actions of the state that the alarm has come into."""
    if not alarm.actions_enabled:
        return
    actions = {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }[alarm.state_value]
    for arn in actions or []:
        message = _message(backend, alarm, before, at)
        problem = _publish(backend, alarm, arn, json.dumps(message))
        did = "Failed to execute" if problem else "Successfully executed"
        data = {
            "actionState": "Failed" if problem else "Succeeded",
            "notificationResource": arn,
            "stateUpdateTimestamp": int(at.timestamp() * 1000),
            "publishedMessage": message,
            "error": problem or None,
        }
        record(backend, alarm, at, "Action", f"{did} action {arn}", data)


def _publish(backend: CloudWatchBackend, alarm: Alarm, arn: str, message: str) -> str:
    """Publishes to a topic and returns what went wrong, empty if nothing."""
    if ":sns:" not in arn:
        return "The simulator carries out no actions but those on SNS topics."
    from moto.core.exceptions import ServiceException
    from moto.sns.models import sns_backends
    from werkzeug.exceptions import HTTPException

    region = arn.split(":")[3]
    place = _REGION_NAMES.get(backend.region_name, backend.region_name)
    try:
        topics = sns_backends[backend.account_id][region]
        topics.publish(message, arn=arn, subject=f'{alarm.state_value}: "{alarm.name}" in {place}'[:100])
    except (ServiceException, HTTPException, KeyError) as error:
        return str(error) or type(error).__name__
    return ""


def _message(backend: CloudWatchBackend, alarm: Alarm, before: str, at: datetime) -> dict[str, Any]:
    """The notification, field by field as CloudWatch sends it."""
    message: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": backend.account_id,
        "AlarmConfigurationUpdatedTimestamp": java_time(
            to_aware(alarm.configuration_updated_timestamp).timestamp()
        ),
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": java_time(at.timestamp()),
        "Region": _REGION_NAMES.get(backend.region_name, backend.region_name),
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions or [],
        "AlarmActions": alarm.alarm_actions or [],
        "InsufficientDataActions": alarm.insufficient_data_actions or [],
    }
    if alarm.rule is not None:
        return message | {"AlarmRule": alarm.rule}
    simple = alarm.statistic is not None
    trigger = {
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "StatisticType": "Statistic" if simple else "ExtendedStatistic",
        "Statistic": alarm.statistic.upper() if simple else alarm.extended_statistic,
        "Unit": alarm.unit,
        "Dimensions": [{"value": one.value, "name": one.name} for one in alarm.dimensions],
        "Period": alarm.period,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm or alarm.evaluation_periods,
        "ComparisonOperator": alarm.comparison_operator,
        "Threshold": alarm.threshold,
        "TreatMissingData": alarm.treat_missing_data or "missing",
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile or "",
    }
    return message | {"Trigger": trigger}
