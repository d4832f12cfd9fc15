"""Is every alarm there that is named: by the settings, and by composite alarms (``vmq doctor``)?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.blindness import others
from vmqlib.runbook.wiring.mends import best, command
from vmqlib.runbook.wiring.metrics import Looked, Published, published
from vmqlib.runbook.wiring.seen import Seen, cannot_tell, rows
from vmqlib.runbook.wiring.wiredalarm import WiredAlarm, wired_alarms
from vmqlib.sources.alarms import named

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["THERE", "alarms_there"]

THERE = "alarm exists"
_OWN = "VaultMesh/QBusiness"
# As the runbook's trigger conditions want them: one bad datapoint is enough; NoSync comes once a day.
_RULES: dict[str, dict[str, Any]] = {
    "SyncFailed": {"Statistic": "Sum", "Period": 300, "TreatMissingData": "notBreaching"},
    "NoSync": {"Statistic": "Maximum", "Period": 86_400, "TreatMissingData": "breaching"},
}


def alarms_there(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each alarm that the settings name, and one for each composite alarm. Pure."""
    if (unknown := cannot_tell(THERE, seen, "alarm-config")) is not None:
        return [unknown]
    alarms = wired_alarms(seen)
    there = {one.name: one for one in alarms}
    found = [
        CheckResult(THERE, True, f"{name} is {there[name].state}.", name, evidence=("alarm-config",))
        if name in there
        else _gone(name, seen, settings)
        for name in named(settings)
    ]
    return found + [_composite(one) for one in alarms if one.kind == "composite"]


def _gone(name: str, seen: Seen, settings: Settings) -> CheckResult:
    key = "no_sync" if name == settings.alarms.no_sync else "sync_failed"
    text = f"The settings name the alarm {name} (alarms.{key}), and there is none: nobody is paged."
    how = f"{command(_wanted(name, key, seen, settings), settings.region)}\nOr correct alarms.{key} in vmq.toml."
    return CheckResult(THERE, False, text, name, how, ("alarm-config",))


def _wanted(name: str, key: str, seen: Seen, settings: Settings) -> dict[str, Any]:
    metric = "NoSync" if key == "no_sync" else "SyncFailed"
    known: Sequence[Published] = [
        one for one in others(Looked("", metric), published(seen)) if one.namespace == _OWN
    ]
    found = best(known, settings)
    dimensions = found.dimensions if found else {"App": settings.app_id}
    live = [one["target"] for one in rows(seen, "alarm-actions") if one["confirmed"]]
    return {
        "AlarmName": name, "Namespace": _OWN, "MetricName": metric,
        "Dimensions": [{"Name": one, "Value": value} for one, value in dimensions.items()],
        "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "AlarmActions": [live[0] if live else "arn:aws:sns:REGION:ACCOUNT_ID:TOPIC"],
        **_RULES[metric],
    }  # fmt: skip


def _composite(alarm: WiredAlarm) -> CheckResult:
    gone = [name for name, state in alarm.children.items() if state is None]
    rule = " ".join(alarm.expressions)
    name = "composite alarm's alarms exist"
    if not gone:
        text = f"{alarm.name} stands over {', '.join(alarm.children) or 'no alarm'}: {rule}"
        return CheckResult(name, True, text, alarm.name, evidence=("alarm-config",))
    text = f"{alarm.name} stands over {', '.join(gone)}, which does not exist: {rule}"
    how = "Correct its rule: aws cloudwatch put-composite-alarm … --alarm-rule …"
    return CheckResult(name, False, text, alarm.name, how, ("alarm-config",))
