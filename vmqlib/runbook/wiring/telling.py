"""Does an alarm tell anybody (``vmq doctor``)? Actions that are on, and a target where somebody listens."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.mends import mend
from vmqlib.runbook.wiring.seen import Row, Seen, cannot_tell, rows
from vmqlib.runbook.wiring.wiredalarm import WiredAlarm, wired_alarms

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["TELLS", "telling"]

TELLS = "alarm tells somebody"
_EVIDENCE = ("alarm-config", "alarm-actions")
_TOPIC = "arn:aws:sns:REGION:ACCOUNT_ID:TOPIC"


def telling(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each alarm, composite ones too. Pure."""
    for source in _EVIDENCE:
        if (unknown := cannot_tell(TELLS, seen, source)) is not None:
            return [unknown]
    alarms = wired_alarms(seen)
    targets = rows(seen, "alarm-actions")
    own = {one.name: _tells(one, targets, settings) for one in alarms}
    return [_with_parents(one, alarms, own) for one in alarms]


def _with_parents(
    alarm: WiredAlarm, alarms: Sequence[WiredAlarm], own: Mapping[str, CheckResult]
) -> CheckResult:
    """An alarm whose own actions tell nobody may have a composite alarm over it that does."""
    mine = own[alarm.name]
    over = [one for one in alarms if alarm.name in one.children]
    if mine.ok is not True and (telling := [one.name for one in over if own[one.name].ok]):
        text = f"{mine.finding} But the composite alarm {telling[0]} over it tells somebody."
        return CheckResult(TELLS, True, text, alarm.name, evidence=_EVIDENCE)
    return mine


def _tells(alarm: WiredAlarm, targets: Sequence[Row], settings: Settings) -> CheckResult:
    region = shlex.quote(settings.region)
    mine = [one for one in targets if one["alarm"] == alarm.name and one["on_state"] == "ALARM"]
    if not alarm.told:
        text = f"{alarm.name} has no action for ALARM: nobody is told."
        return CheckResult(TELLS, False, text, alarm.name, _add_action(alarm, targets, settings), _EVIDENCE)
    if alarm.actions_enabled is False:
        text = f"The actions of {alarm.name} are switched off: nobody is told."
        how = f"aws cloudwatch enable-alarm-actions --region {region} --alarm-names {shlex.quote(alarm.name)}"
        return CheckResult(TELLS, False, text, alarm.name, how, _EVIDENCE)
    said = " ".join(map(_said, mine))
    if any(one["confirmed"] for one in mine):
        held = f" Its actions are held back while {alarm.suppressor} says so." if alarm.suppressor else ""
        return CheckResult(TELLS, True, f"{said}{held}", alarm.name, evidence=_EVIDENCE)
    unknown = [one for one in mine if one["exists"] is None]
    if unknown or not mine:
        hints = " ".join(dict.fromkeys(one["hint"] for one in unknown if one["hint"]))
        return CheckResult(TELLS, None, said or "Its targets were not seen.", alarm.name, hints, _EVIDENCE)
    how = "\n".join(dict.fromkeys(_subscribe(one, settings) for one in mine))
    return CheckResult(TELLS, False, f"{said} Nobody is told.", alarm.name, how, _EVIDENCE)


def _said(one: Row) -> str:
    where = one["target"]
    if one["kind"] != "sns":
        return f"{one['alarm']} acts on {where}: whether that works was not checked ({one['kind']}, not sns)."
    if one["problem"]:
        return (
            f"{one['alarm']} tells the topic {where}, whose subscriptions could not be seen: {one['problem']}"
        )
    if not one["exists"]:
        return f"{one['alarm']} tells the topic {where}, which does not exist."
    waits = f"; not confirmed yet: {one['pending']}" if one["pending"] else ""
    if not one["confirmed"]:
        return f"{one['alarm']} tells the topic {where}, to which nobody is subscribed{waits}."
    return (
        f"{one['alarm']} tells the topic {where}: {one['confirmed']} confirmed ({one['protocols']}){waits}."
    )


def _subscribe(one: Row, settings: Settings) -> str:
    arn = shlex.quote(one["target"])
    region = shlex.quote(one["target"].split(":")[3] or settings.region)
    mail = shlex.quote(settings.contacts.knowledge_ops)
    subscribe = f"aws sns subscribe --region {region} --topic-arn {arn} --protocol email --notification-endpoint {mail}"
    if not one["exists"]:
        name = shlex.quote(one["target"].rsplit(":", 1)[-1])
        return f"aws sns create-topic --region {region} --name {name}\n{subscribe}\nThen confirm the mail that comes."
    if one["pending"]:
        return f"Confirm the mail that was sent to the endpoint; a new one is sent by:\n{subscribe}"
    return f"{subscribe}\nThen confirm the mail that comes."


def _add_action(alarm: WiredAlarm, targets: Sequence[Row], settings: Settings) -> str:
    live = [one["target"] for one in targets if one["confirmed"] and one["on_state"] == "ALARM"]
    topic = live[0] if live else _TOPIC
    if alarm.kind == "composite":
        action = f"--alarm-actions {shlex.quote(topic)}"
        return f"Put the composite alarm {alarm.name} again as it is (put-composite-alarm), with {action}."
    after = {**alarm.definition, "AlarmActions": [topic], "ActionsEnabled": True}
    return mend(alarm.definition, after, settings)
