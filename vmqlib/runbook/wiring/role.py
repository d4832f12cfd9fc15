"""May the connector's role read its bucket (``vmq doctor``)? As ``iam:SimulatePrincipalPolicy`` says."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.seen import Row, Seen, cannot_tell, rows

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["READS", "role"]

READS = "connector's role may read"
_EVIDENCE = ("role-access",)
_NOT_WEIGHED = "The policies of the bucket and of the key are not weighed by the simulation."


def role(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each data source, or for each action that it is refused. Pure."""
    if (unknown := cannot_tell(READS, seen, "role-access")) is not None:
        return [unknown]
    found = rows(seen, "role-access")
    ids = dict.fromkeys(one["data_source_id"] for one in found)
    return [
        result
        for each in ids
        for result in _of_source(each, [one for one in found if one["data_source_id"] == each], settings)
    ]


def _of_source(data_source_id: str, mine: Sequence[Row], settings: Settings) -> list[CheckResult]:
    called = settings.connector(data_source_id).name
    unseen = [one for one in mine if one["problem"]]
    if unseen:
        one = unseen[0]
        return [
            CheckResult(
                READS, None, f"{called}: {one['problem']}", data_source_id, one["hint"] or "", _EVIDENCE
            )
        ]
    refused = [one for one in mine if one["decision"] != "allowed"]
    if not refused:
        allowed = ", ".join(dict.fromkeys(str(one["action"]) for one in mine))
        text = f"{called}: {_short(mine)} is allowed {allowed}. {_NOT_WEIGHED}"
        return [CheckResult(READS, True, text, data_source_id, evidence=_EVIDENCE)]
    return [
        _refused(called, data_source_id, [one for one in refused if one["action"] == action])
        for action in dict.fromkeys(one["action"] for one in refused)
    ]


def _refused(called: str, data_source_id: str, mine: Sequence[Row]) -> CheckResult:
    one = mine[0]
    action, on = one["action"], ", ".join(str(each["resource"]) for each in mine)
    text = f"{called}: {_short(mine)} is refused {action} on {on} ({one['decision']})"
    if one["policies"]:
        text += f", by {one['policies']}"
    if one["missing_context"]:
        text += f"; the statement asks about {one['missing_context']}"
    if one["decision"] != "explicitDeny" and one["missing_context"]:
        text += ", which was not given: whether a sync brings it, cannot be told from here."
        return CheckResult(READS, None, f"{text} {_NOT_WEIGHED}", data_source_id, _mend(mine), _EVIDENCE)
    return CheckResult(READS, False, f"{text}. Syncs fail with that.", data_source_id, _mend(mine), _EVIDENCE)


def _mend(mine: Sequence[Row]) -> str:
    one = mine[0]
    name = str(one["role"]).rsplit("/", 1)[-1]
    look = (
        f"aws iam list-role-policies --role-name {shlex.quote(name)}\n"
        f"aws iam list-attached-role-policies --role-name {shlex.quote(name)}"
    )
    if one["decision"] == "explicitDeny":
        return f"Take the role out of the statement that denies {one['action']}, or narrow it. To find it:\n{look}"
    resources = [str(each["resource"]) for each in mine]
    whole = next((each for each in resources if each.count("/") == 1 and each.endswith("/*")), "")
    statement = {"Effect": "Allow", "Action": one["action"], "Resource": whole or resources}
    return (
        "Add to the role's policy (put-role-policy replaces the whole document: keep the rest):\n"
        f"{json.dumps(statement, indent=2)}\nTo find it:\n{look}"
    )


def _short(mine: Sequence[Row]) -> str:
    return f"the role {str(mine[0]['role']).rsplit('/', 1)[-1]}"
