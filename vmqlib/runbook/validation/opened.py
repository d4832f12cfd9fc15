"""What the access control file leaves open that it had closed: the rule of the trigger ``content``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.triggers.content import content
from vmqlib.runbook.validation.names import ACL
from vmqlib.sources.acl import current

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.settings import Settings

__all__ = ["SOURCES", "by_access_control"]

SOURCES: Final = ("acl", "documents", "resources", "versions", "sync-jobs")
"""What it reads."""

_KEPT = ("acl", "documents")


def by_access_control(
    seen: Mapping[str, Observation],
    settings: Settings,
    data_source_id: str,
    now: datetime,
    *,
    trigger: str,
    incident_id: str,
) -> list[CheckResult]:
    """Whether the file has every rule that it had, of the connector in question. None where it reads no file.

    Parameters
    ----------
    seen:
        Observations of :data:`SOURCES`, looked at just now.
    trigger:
        What the incident is about. That a folder was opened fails where it is about content; elsewhere it may be meant,
        and that nobody can see from here.
    """
    connector = settings.connector(data_source_id)
    if not connector.bucket:
        return []
    acl = seen["acl"]
    if not acl.available or acl.problem:
        return [CheckResult(ACL, None, acl.problem, mend=acl.hint, evidence=_KEPT)]
    frame = current(acl.frame)
    mine = frame[frame["data_source_id"].eq(data_source_id)]
    if mine["problem"].fillna("").str.contains("names no access control file").any():
        return []
    verdict, _ = content(seen, settings.model_copy(update={"connectors": (connector,)}), now)
    told = [one for one in verdict.reasons if one.source == "acl"]
    mend = (
        "Put the rule back into the file, or agree with security that it is meant; then sync: "
        f"vmq sync start --incident {incident_id} && vmq sync wait --incident {incident_id}"
    )
    if lost := [one.text for one in told if one.says == "firing"]:
        ok = False if trigger == "content" else None
        return [CheckResult(ACL, ok, " ".join(lost), connector.name, mend, _KEPT)]
    unknown = [one for one in verdict.reasons if one.says == "unknown" and one.source in _KEPT]
    if unknown:
        return [CheckResult(ACL, None, unknown[0].text, connector.name, "", _KEPT)]
    text = f"It lost no rule of the last days below which documents are indexed. {' '.join(one.text for one in told)}"
    return [CheckResult(ACL, True, text, connector.name, "", _KEPT)]
