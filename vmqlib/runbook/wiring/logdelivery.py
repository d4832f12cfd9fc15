"""Are the logs delivered that the kit reads (``vmq doctor``)? New connectors log only after a delivery is set up."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.seen import Row, Seen, cannot_tell, rows
from vmqlib.sources.deliveries import CONVERSATION_LOGS, SYNC_LOGS

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["DELIVERED", "log_delivery"]

DELIVERED = "logs are delivered"
_EVIDENCE = ("log-deliveries",)


def log_delivery(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """The connector's logs, and the conversation log where the settings want it read. Pure."""
    types = [SYNC_LOGS, *([CONVERSATION_LOGS] if settings.read_conversations else [])]
    unknown = [one for log_type in types if (one := cannot_tell(DELIVERED, seen, "log-deliveries", log_type))]
    if unknown:
        return unknown
    stopped = "" if seen["log-deliveries"].complete else seen["log-deliveries"].stopped
    found = rows(seen, "log-deliveries")
    return [
        _delivered(log_type, [one for one in found if one["log_type"] == log_type], settings, stopped)
        for log_type in types
    ]


def _delivered(log_type: str, mine: Sequence[Row], settings: Settings, stopped: str) -> CheckResult:
    made = [one for one in mine if one["delivery"]]
    if not made:
        what = "is a delivery source without a delivery" if mine else "is no delivery"
        text = f"For {log_type} of the application there {what}: {_LOST[log_type]}"
        return CheckResult(DELIVERED, False, text, log_type, _set_up(log_type, mine, settings), _EVIDENCE)
    groups = [one["destination"] for one in made if one["destination_type"] == "CWL"]
    if not groups:
        kinds = ", ".join(dict.fromkeys(str(one["destination_type"]) for one in made))
        text = f"{log_type} is delivered to {kinds} alone, where the kit does not read: it needs a log group."
        return CheckResult(DELIVERED, False, text, log_type, _set_up(log_type, mine, settings), _EVIDENCE)
    names = [_group(arn) for arn in groups if arn]
    if not names:
        text = f"{log_type} is delivered to a log group; which one, could not be seen: {stopped}"
        return CheckResult(DELIVERED, None, text, log_type, stopped, _EVIDENCE)
    read = (settings.log_group, *settings.log_groups)
    if not set(names).intersection(read):
        text = f"{log_type} is delivered to {', '.join(names)}; the kit reads {settings.log_group}."
        listed = ", ".join(f'"{name}"' for name in names)
        how = (
            f"In vmq.toml: log_groups = [{listed}], so that `vmq logs` captures it; or deliver it to "
            f"{settings.log_group}."
        )
        return CheckResult(DELIVERED, False, text, log_type, how, _EVIDENCE)
    return CheckResult(
        DELIVERED, True, f"{log_type} is delivered to {', '.join(names)}.", log_type, evidence=_EVIDENCE
    )


_LOST = {
    SYNC_LOGS: "connector log and document-level report are not written (a connector from before deliveries logs "
    "all the same), and nobody can see which documents failed.",
    CONVERSATION_LOGS: "what users ask is not written, though the settings have read_conversations.",
}


def _group(arn: str) -> str:
    """The name of a log group: ``arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*``."""
    return arn.split(":log-group:", 1)[-1].removesuffix(":*")


def _set_up(log_type: str, mine: Sequence[Row], settings: Settings) -> str:
    """The commands, as AWS documents them: source, destination, delivery."""
    region, account = settings.region, settings.account_id or "ACCOUNT_ID"
    group, flag = settings.log_group, f"--region {shlex.quote(region)}"
    source = next((str(one["source"]) for one in mine), f"vaultmesh-{log_type.lower().replace('_', '-')}")
    application = f"arn:aws:qbusiness:{region}:{account}:application/{settings.app_id}"
    destination = "vaultmesh-qbusiness"
    configuration = shlex.quote(f"destinationResourceArn=arn:aws:logs:{region}:{account}:log-group:{group}")
    made = f"arn:aws:logs:{region}:{account}:delivery-destination:{destination}"
    name = shlex.quote(source)
    lines = [f"aws logs create-log-group {flag} --log-group-name {shlex.quote(group)}  # where there is none"]
    if not mine:
        what = f"--resource-arn {application} --log-type {log_type}"
        lines.append(f"aws logs put-delivery-source {flag} --name {name} {what}")
    to = f"--output-format json --delivery-destination-configuration {configuration}"
    lines.append(f"aws logs put-delivery-destination {flag} --name {destination} {to}")
    both = f"--delivery-source-name {name} --delivery-destination-arn {made}"
    lines.append(f"aws logs create-delivery {flag} {both}")
    return "\n".join(lines)
