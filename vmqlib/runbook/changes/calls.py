"""AWS calls (CloudTrail) and commits as changes: what each touches, and in what words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from vmqlib.runbook.changes.model import Area, Call, Change, Kind
from vmqlib.runbook.guardrailchanges import guardrails_set

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = ["calls", "commits", "touched"]

_SHOWN = 3
_PERMISSIONS: Final = re.compile(
    r"(?:Policy|Policies|PolicyVersion|PermissionsBoundary|RolesFrom|RoleTo|PublicAccessBlock|Ownership)"
    r"|^(?:Delete|Create|Update)Role|Role(?:Description)?$|BucketAcl$|ObjectAcl$|Encryption$|^DisableKey$|"
    r"^ScheduleKeyDeletion$|Grant$"
)
"""Calls of IAM, S3 and KMS after which somebody may be refused."""
_HARMLESS: Final = re.compile(r"Tag|Description$|Logging|Notification|Metrics|Analytics")
_COMMIT_AREAS: Final[Mapping[str, frozenset[Area]]] = {
    "guardrails": frozenset({"guardrails"}),
    "connectors": frozenset({"connector"}),
    "docs": frozenset({"objects"}),
    "other": frozenset({"other"}),
}


def touched(event: str, service: str, parameters: Mapping[str, Any]) -> frozenset[Area]:
    """What a call touches. Of an UpdateDataSource whose parameters are not known, all that it may.

    Parameters
    ----------
    event, service:
        The operation, and ``qbusiness``, ``s3``, ``iam`` or ``kms``.
    parameters:
        What it was called with; empty where that is not known.
    """
    if service == "qbusiness":
        return _of_qbusiness(event, parameters)
    if _HARMLESS.search(event) or not _PERMISSIONS.search(event):
        return frozenset({"other"})
    return frozenset({"permissions"})


def _of_qbusiness(event: str, parameters: Mapping[str, Any]) -> frozenset[Area]:
    if "ChatControls" in event:
        return frozenset({"guardrails"})
    if event.endswith("DataSource"):
        if event != "UpdateDataSource" or not parameters:
            return frozenset({"connector", "schedule"})
        found: set[Area] = set()
        if "syncSchedule" in parameters:
            found.add("schedule")
        if parameters.keys() - {"syncSchedule", *_NAMES}:
            found.add("connector")
        return frozenset(found) or frozenset({"other"})
    if event.endswith(("Application", "Index", "Retriever")) and not _HARMLESS.search(event):
        return frozenset({"application"})
    return frozenset({"other"})


_NAMES = {"applicationId", "indexId", "dataSourceId", "clientToken", "displayName", "description"}


def calls(trail: Observation, names: Mapping[str, str]) -> Iterator[Change]:
    """One change for each event of the source ``trail`` that has a time.

    Parameters
    ----------
    names:
        What people call things, by id; those of an empty name are left out where a call names others, too.
    """
    for row in _rows(trail.frame):
        parameters = _read(row["parameters"])
        event, service = row["event"], row["service"]
        areas = touched(event, service, parameters)
        kind: Kind = "schedule" if areas == {"schedule"} else "aws-call"
        yield Change(
            at=row["at"],
            until=row["at"],
            kind=kind,
            what=_words(event, areas, row["parameters"], parameters),
            name=f"aws-call:{event}",
            who=row["user"],
            arn=row["user_arn"],
            where=_where(row["resource"], names),
            areas=areas,
            is_sure=event != "UpdateDataSource" or bool(parameters),
            target=row["resource"],
            outcome=row["error_code"],
            reference=row["event_id"],
            source="trail",
            evidence=trail.evidence,
            call=Call(event, service, row["user"], row["event_id"], row["parameters"]),
        )


def _where(resource: str, names: Mapping[str, str]) -> str:
    parts = [part.strip() for part in resource.split(",")]
    return ", ".join(filter(None, (names.get(part, part) for part in parts))) or resource


def _words(event: str, areas: frozenset[Area], text: str, parameters: Mapping[str, Any]) -> str:
    if "guardrails" in areas:
        said = guardrails_set(text)
        more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        return f"{event}: {', '.join(said[:_SHOWN])}{more}" if said else event
    parts = []
    if "schedule" in areas and "syncSchedule" in parameters:
        schedule = str(parameters["syncSchedule"] or "")
        parts.append(f"schedule set to {schedule}" if schedule else "schedule emptied")
    if "connector" in areas:
        names = sorted(parameters.keys() - {"syncSchedule", *_NAMES})
        parts.append(f"{', '.join(names[:_SHOWN])} set" if names else "")
    if policy := parameters.get("policyName") or parameters.get("policyArn"):
        parts.append(f"policy {policy}")
    said_parts = [part for part in parts if part]
    return f"{event}: {'; '.join(said_parts)}" if said_parts else event


def commits(seen: Observation) -> Iterator[Change]:
    """One change for each commit of the source ``commits``."""
    for row in _rows(seen.frame):
        paths = _listed(row["paths"])
        areas = _COMMIT_AREAS.get(row["area"], frozenset({"other"}))
        yield Change(
            at=row["at"],
            until=row["at"],
            kind="commit",
            what=f"commit {row['sha'][:8]}: {row['subject']}",
            name="commit",
            who=row["author"],
            where=", ".join(paths[:_SHOWN])
            + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""),
            count=int(row["path_count"]) if row["path_count"] else len(paths),
            keys=frozenset(paths),
            areas=areas,
            reference=row["sha"],
            source="commits",
            evidence=seen.evidence,
        )


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as text, with ``at`` as a datetime; those without a time are left out."""
    known = frame[frame["at"].notna()]
    names = [str(name) for name in known.columns]
    columns = [
        known[name].dt.to_pydatetime().tolist()
        if name == "at"
        else known[name].astype(object).where(known[name].notna(), "").tolist()
        for name in names
    ]
    for values in zip(*columns, strict=True):
        yield {name: value if name == "at" else str(value) for name, value in zip(names, values, strict=True)}


def _read(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _listed(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []
