"""The facts that the rules of the next step may ask about, by name, with what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Final

from vmqlib.runbook.steprules import Fact, Value

__all__ = ["VOCABULARY", "Facts", "Rollback", "values_of"]


@dataclass(frozen=True)
class Rollback:
    """How far the rollback of an incident is (:class:`vmqlib.runbook.rollback.results.Status`).

    Parameters
    ----------
    state, command:
        As there.
    plan:
        What the newest plan does, in a sentence; empty where there is none.
    changes:
        Objects that it changes.
    left, failed, others, own:
        Of the newest apply: objects not come to, refused by AWS, left alone since somebody else, or this incident
        itself, had changed them.
    stale:
        Objects of a plan that waits, which this incident itself changed since.
    restored:
        Whether objects are restored now.
    synced:
        Whether a sync began since, and ended.
    """

    state: str = "none"
    command: str = ""
    plan: str = ""
    changes: int = 0
    left: int = 0
    failed: int = 0
    others: int = 0
    own: int = 0
    stale: int = 0
    restored: bool = False
    synced: bool = False


@dataclass(frozen=True)
class Facts:
    """What the next step depends on; :data:`VOCABULARY` says what each means. ``None`` means "not known": its evidence
    is missing."""

    incident_id: str
    data_source_id: str
    bucket: str
    closed: bool = False
    missing: tuple[str, ...] = ()
    last_status: str | None = None
    last_good_at: datetime | None = None
    refused: bool | None = None
    role_seen_at: datetime | None = None
    role_lacks: str | None = None
    throttled: bool | None = None
    failing: int | None = None
    changed: int | None = None
    failing_and_changed: int | None = None
    rollback: Rollback = Rollback()
    recovered: bool = False
    alarms: tuple[str, ...] = ()
    alarm_due: str | None = None
    hold: str | None = None
    hold_uri: str | None = None
    update_due: datetime | None = None
    stakeholders_due: datetime | None = None
    channel: str = "#ops-escalations"
    security: str = "security@vaultmesh.io"
    region: str = "eu-west-1"
    app_id: str | None = None
    index_id: str | None = None
    ops_repo: str | None = None
    about: tuple[str, ...] = ()
    opened_at: datetime | None = None
    acknowledged: bool | None = None
    severity: str | None = None
    severity_by_person: bool | None = None
    customers: str | None = None
    customers_why: str | None = None
    recurring_why: str | None = None
    suspect: str | None = None
    suspect_event_id: str | None = None
    suspect_region: str | None = None
    suspect_role: str | None = None
    suspect_policy: str | None = None
    logs_since: str = "4h"
    schedule: str | None = None
    schedule_emptied: str | None = None
    schedule_was: str | None = None
    schedule_was_why: str | None = None
    schedules_off: tuple[str, ...] = ()
    promotion: str | None = None
    promotion_at: datetime | None = None
    promoted_failing: int | None = None
    guardrail_at: datetime | None = None
    guardrail_who: str | None = None
    guardrail_what: str | None = None
    guardrail_loosened: bool = False
    commit: str | None = None
    commit_at: datetime | None = None
    commit_about: str | None = None
    content_why: str | None = None
    content_uri: str | None = None
    content_at: datetime | None = None
    exclude_why: str | None = None
    left_why: str | None = None
    acl_why: str | None = None
    acl_uri: str | None = None
    blind_why: str | None = None
    proof_state: str = "none"
    proof_failed: int = 0
    proof_stuck: int = 0
    told_resolved: bool = False
    validated: str = "none"
    validated_at: datetime | None = None
    over: bool = False


VOCABULARY: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        "incident_id": Fact("text", "the incident", always=True),
        "data_source": Fact("text", "its data source; ID where none is known", always=True),
        "bucket": Fact("text", "the bucket that its connector reads", always=True),
        "stage": Fact("text", "open, recovered (the newest sync since succeeded, or over) or closed", always=True),
        "about": Fact("texts", "triggers that fire, and the incident's own unless that is quiet", always=True),
        "opened_at": Fact("time", "when it was opened"),
        "missing": Fact("texts", "titles of the evidence that could not be had"),
        "channel": Fact("text", "where updates are posted", always=True),
        "security": Fact("text", "the security liaison", always=True),
        "region": Fact("text", "the AWS region", always=True),
        "app_id": Fact("text", "the application"),
        "index_id": Fact("text", "the index"),
        "ops_repo": Fact("text", "the folder of the ops repo on this machine"),
        "update_due": Fact("time", "when the next update must be posted"),
        "stakeholders_due": Fact("time", "when stakeholders must be told by e-mail, unless they were"),
        "acknowledged": Fact("flag", "whether somebody has acknowledged"),
        "severity": Fact("text", "SEV1, SEV2 or SEV3"),
        "severity_by_person": Fact("flag", "whether a person said how severe it is"),
        "customers": Fact("text", "hit, not-hit or unknown, by the settings' rule"),
        "customers_why": Fact("text", "why, in a sentence"),
        "last_status": Fact("text", "status of the newest sync job"),
        "last_good_at": Fact("time", "start of the last sync that succeeded before things went wrong"),
        "recurring_why": Fact("text", "how many of the last syncs failed for which same cause, by the settings' rule"),
        "schedules_off": Fact("texts", "schedules that this incident disabled and has not put back", always=True),
        "schedule": Fact("text", "the data source's sync schedule; empty where there is none"),
        "schedule_emptied": Fact("text", "the first suspect that touched it, where it is empty: call, by whom, when"),
        "schedule_was": Fact("text", "what it was before, by CloudTrail or by when syncs used to begin"),
        "schedule_was_why": Fact("text", "which of them says so"),
        "refused": Fact("flag", "whether the newest sync failed since the connector's role was refused something"),
        "role_seen_at": Fact("time", "when IAM was asked about the connector's role, since the newest sync began"),
        "role_lacks": Fact("text", "what it is refused, as was seen then"),
        "throttled": Fact("flag", "whether the newest sync, or most of its failing documents, failed by throttling"),
        "failing": Fact("count", "documents that failed in the newest sync"),
        "changed": Fact("count", "objects changed since the last good sync, and still changed"),
        "failing_and_changed": Fact("count", "failing documents that are, or whose metadata is, among the changed"),
        "promotion": Fact("text", "the promotion during which most of the failing documents were written"),
        "promotion_at": Fact("time", "when it was"),
        "promoted_failing": Fact("count", "failing documents that were written during it"),
        "all_promoted": Fact("flag", "whether that is all of the failing documents"),
        "alarms": Fact("texts", "alarms in state ALARM that can clear now"),
        "hold": Fact("text", "since when, by whom and why CI is told to start no syncs"),
        "hold_uri": Fact("text", "the note that says so, as s3://bucket/key"),
        "alarm_due": Fact("text", "which alarm is in ALARM until its next datapoint comes, and when that is"),
        "suspect": Fact("text", "the first AWS call that more than its time speaks against: its name, by whom, when"),
        "suspect_event_id": Fact("text", "its event in CloudTrail"),
        "suspect_region": Fact("text", "the region whose CloudTrail has it"),
        "suspect_role": Fact("text", "the role whose inline policy it wrote"),
        "suspect_policy": Fact("text", "that policy's name"),
        "logs_since": Fact("text", "since when to read logs: the first bad sync's start; 4h if unknown", always=True),
        "guardrail_at": Fact("time", "when the guardrails were last changed, as CloudTrail says"),
        "guardrail_who": Fact("text", "by whom"),
        "guardrail_what": Fact("text", "what was changed of them"),
        "guardrail_loosened": Fact("flag", "whether that only took something away, since it began", always=True),
        "commit": Fact("text", "the last commit in the ops repo that touches guardrails"),
        "commit_at": Fact("time", "when it was made"),
        "commit_about": Fact("text", "its author and subject"),
        "content_why": Fact("text", "which documents are indexed that must not be"),
        "content_uri": Fact("text", "the first that the setting `forbidden` names, as s3://bucket/key"),
        "exclude_why": Fact("text", "what the connector takes in and must not, and what leaves it out"),
        "left_why": Fact("text", "what the newest proof found in the index that must not be there, and what to do"),
        "acl_why": Fact("text", "what is wrong with the access control file, or open in it"),
        "content_at": Fact("time", "when what is unauthorized came in: start of the sync that took it in"),
        "acl_uri": Fact("text", "that file, as s3://bucket/key"),
        "blind_why": Fact("text", "which alarm never sees its metric, and why"),
        "rollback_state": Fact("text", "as vmq rollback says: none, planned, stale, applied …", always=True),
        "rollback_command": Fact("command", "what to type next of the rollback"),
        "rollback_plan": Fact("text", "what the newest plan does", always=True),
        "rollback_changes": Fact("count", "objects that it changes", always=True),
        "rollback_left": Fact("count", "objects that the newest apply has not come to", always=True),
        "rollback_failed": Fact("count", "objects that AWS refused to it", always=True),
        "rollback_others": Fact("count", "objects left alone, since somebody else had changed them", always=True),
        "rollback_own": Fact("count", "objects left alone, since this incident itself had changed them", always=True),
        "rollback_stale": Fact(
            "count", "objects of a plan that waits, which this incident itself changed since", always=True
        ),
        "rollback_restored": Fact("flag", "whether objects are restored now", always=True),
        "rollback_synced": Fact("flag", "whether a sync began since, and ended", always=True),
        "proof_state": Fact("text", "none (nothing since the last change), proved, failed, unknown", always=True),
        "proof_failed": Fact("count", "documents that failed, as the newest proof found", always=True),
        "proof_stuck": Fact("count", "those of them that were not read again, since they did not change", always=True),
        "validated": Fact("text", "none (or changed since), failed, passed: nothing keeps it open", always=True),
        "validated_at": Fact("time", "when that was looked at"),
        "over": Fact("flag", "whether a validation passed, and nothing that was seen since fires", always=True),
        "told_resolved": Fact("flag", "whether people were told since the closing that it is resolved", always=True),
    }
)  # fmt: skip
"""Every name that a rule may use."""


def values_of(known: Facts) -> dict[str, Value]:
    """The facts by the names of :data:`VOCABULARY`. Pure."""
    values: dict[str, Value] = {
        field.name: getattr(known, field.name) for field in fields(known) if field.name in VOCABULARY
    }
    made = known.rollback
    for field in fields(made):
        values[f"rollback_{field.name}"] = getattr(made, field.name)
    every = None
    if known.failing and known.promoted_failing is not None:
        every = known.promoted_failing >= known.failing
    return values | {
        "data_source": known.data_source_id or "ID",
        "stage": "closed" if known.closed else "recovered" if known.recovered or known.over else "open",
        "all_promoted": every,
    }
