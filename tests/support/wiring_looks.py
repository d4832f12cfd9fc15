"""What the doctor's sources would have said, made by hand: alarms, metrics, targets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from support.looks import NOW

__all__ = ["APP", "SPACE", "TOPIC", "alarm", "metric", "target"]

APP = "0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9"
SPACE = "VaultMesh/QBusiness"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ops"


def alarm(
    name: str = "QBusinessSyncFailed",
    *,
    metric: str = "SyncFailed",
    dimensions: Mapping[str, str] | None = None,
    period: int = 300,
    periods: int = 1,
    treat: str = "notBreaching",
    told: tuple[str, ...] = (TOPIC,),
    **more: Any,
) -> dict[str, Any]:
    """A row of ``alarm-config``; ``more`` overrides its cells."""
    place = dict(dimensions or {})
    looked = {
        "id": "", "namespace": SPACE, "name": metric, "dimensions": place, "period_s": period, "account": "",
    }  # fmt: skip
    definition = {
        "AlarmName": name, "Namespace": SPACE, "MetricName": metric, "Period": period,
        "EvaluationPeriods": periods, "Threshold": 1.0, "Statistic": "Sum", "TreatMissingData": treat,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold", "ActionsEnabled": True, "AlarmActions": list(told),
        **({"Dimensions": [{"Name": key, "Value": value} for key, value in place.items()]} if place else {}),
    }  # fmt: skip
    return {
        "name": name, "kind": "metric", "state": "OK", "since": NOW, "metrics": json.dumps([looked]),
        "expressions": "[]", "threshold": 1.0, "evaluation_periods": periods, "treat_missing_data": treat,
        "actions_enabled": True, "actions": json.dumps({"ALARM": told}), "children": "{}", "suppressor": "",
        "definition": json.dumps(definition),
    } | more  # fmt: skip


def metric(
    name: str = "SyncFailed",
    dimensions: Mapping[str, str] | None = None,
    *,
    namespace: str = SPACE,
    periods: int | None = 14,
    gap: timedelta = timedelta(days=1),
    longest: timedelta | None = None,
    even: float = 1.0,
    last: datetime = NOW - timedelta(hours=2),
) -> dict[str, Any]:
    """A row of ``metric-names``."""
    row = {
        "namespace": namespace, "metric": name, "dimensions": json.dumps(dict(dimensions or {}), sort_keys=True),
        "listed": True, "periods": periods,
    }  # fmt: skip
    if not periods:
        return row
    return row | {
        "samples": periods, "period_s": 900, "first_at": NOW - timedelta(days=14), "last_at": last,
        "gap_s": gap.total_seconds() if periods > 1 else None,
        "longest_gap_s": (longest or gap).total_seconds() if periods > 1 else None,
        "even": even if periods > 1 else None,
    }  # fmt: skip


def target(
    name: str = "QBusinessSyncFailed", arn: str = TOPIC, *, state: str = "ALARM", **more: Any
) -> dict[str, Any]:
    """A row of ``alarm-actions``: a topic with one subscription that was confirmed."""
    return {
        "alarm": name, "on_state": state, "target": arn, "kind": arn.split(":")[2], "exists": True, "confirmed": 1,
        "pending": 0, "protocols": "email 1",
    } | more  # fmt: skip
