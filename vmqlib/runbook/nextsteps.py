"""What the runbook says to do next, with the exact command, from what was seen so far."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from vmqlib.sources.syncjobs import last_good
from vmqlib.sources.versions import changed_since
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["Facts", "NextStep", "facts", "next_steps", "plan_next"]


@dataclass(frozen=True)
class NextStep:
    """One thing to do.

    Parameters
    ----------
    step:
        The runbook's step.
    why:
        One sentence, from the evidence.
    command:
        What to type; empty where it is done by a person, not by a command.
    """

    step: str
    why: str
    command: str


@dataclass(frozen=True)
class Facts:
    """What the next step depends on. ``None`` means "not known": its evidence is missing.

    Parameters
    ----------
    incident_id, data_source_id, bucket:
        What it is about.
    closed:
        Whether the incident is closed.
    missing:
        Titles of the evidence that could not be had.
    last_status:
        Status of the newest sync job.
    last_good_at:
        Start of the last sync that succeeded before things went wrong.
    failing:
        Documents that failed in the newest syncs.
    changed:
        Keys in scope that changed since ``last_good_at`` and are still changed.
    failing_and_changed:
        How many of ``failing`` are among ``changed``.
    restored:
        Whether objects were restored within this incident.
    recovered:
        Whether the newest sync succeeded and began after the incident was opened.
    alarms:
        Names of alarms in state ALARM.
    update_due:
        When the next update must be posted (runbook step 5).
    channel:
        Where updates are posted.
    """

    incident_id: str
    data_source_id: str
    bucket: str
    closed: bool = False
    missing: tuple[str, ...] = ()
    last_status: str | None = None
    last_good_at: datetime | None = None
    failing: int | None = None
    changed: int | None = None
    failing_and_changed: int | None = None
    restored: bool = False
    recovered: bool = False
    alarms: tuple[str, ...] = ()
    update_due: datetime | None = None
    channel: str = "#ops-escalations"


def plan_next(known: Facts) -> tuple[NextStep, ...]:
    """The steps that remain, in the runbook's order. Pure."""
    identity = shlex.quote(known.incident_id)
    if known.closed:
        return (
            NextStep(
                "Post-incident review",
                "The record is complete: check that nobody changed it.",
                f"vmq verify {identity}",
            ),
            NextStep("Post-incident review", "Conduct a 30-minute retro within 5 business days.", ""),
        )
    steps: list[NextStep] = []
    if known.missing:
        names = ", ".join(known.missing)
        steps.append(
            NextStep(
                "1 Triage",
                f"Evidence is missing ({names}): mend its cause, then look again.",
                f"vmq render {identity} --refresh",
            )
        )
    if known.recovered:
        return (*steps, *_after_recovery(known, identity))
    return (
        *steps,
        *_stabilize(known),
        *_restore(known, identity),
        *_resync(known, identity),
        _communicate(known),
    )


def _stabilize(known: Facts) -> list[NextStep]:
    if known.last_status in (None, "SUCCEEDED") and not known.failing:
        return []
    source = shlex.quote(known.data_source_id or "ID")
    why = "The newest sync did not succeed" if known.failing is None else f"{known.failing} documents failed"
    return [
        NextStep(
            "2 Stabilize", f"{why}: capture the whole logs.", f"vmq logs --data-source {source} --since 4h"
        )
    ]


def _restore(known: Facts, identity: str) -> list[NextStep]:
    if known.restored or not known.changed or known.last_good_at is None or known.last_status == "SUCCEEDED":
        return []
    share = ""
    if known.failing:
        share = f"; {known.failing_and_changed or 0} of the {known.failing} failing documents are among them"
    why = (
        f"{known.changed} objects changed since the last good sync of {show_time(known.last_good_at)}{share}."
    )
    return [NextStep("3 Rollback via S3 versioning", why, f"python -m vmqlib.cli.restore {identity}")]


def _resync(known: Facts, identity: str) -> list[NextStep]:
    if known.last_status == "SUCCEEDED" and not known.alarms:
        return []
    source = shlex.quote(known.data_source_id or "ID")
    about = f"--data-source {source} --incident {identity}"
    command = f"vmq sync start {about} && vmq sync wait {about}"
    why = "The objects are restored: index them." if known.restored else "Once the cause is gone, sync again."
    return [NextStep("4 Force resync", why, command)]


def _communicate(known: Facts) -> NextStep:
    due = f" The next is due at {show_time(known.update_due)}." if known.update_due else ""
    return NextStep("5 Communicate", f"Post updates every 30 minutes in {known.channel}.{due}", "")


def _after_recovery(known: Facts, identity: str) -> list[NextStep]:
    steps = []
    if known.alarms:
        why = f"Still in ALARM: {', '.join(known.alarms)}. Look again until they reset."
        steps.append(NextStep("6 Validate & Close", why, f"vmq render {identity} --refresh"))
    why = "The newest sync succeeded. Ask the web experience a question that failed before, then close."
    command = f"vmq close {identity} --impact '…' --root-cause '…' --remediation '…'"
    return [_communicate(known), *steps, NextStep("6 Validate & Close", why, command)]


def facts(incident: Incident) -> Facts:
    """Reads off the incident what the next step depends on; what was not seen stays unknown."""
    identity, state = incident.identity, incident.state
    known = Facts(
        incident_id=incident.id,
        data_source_id=identity.data_source_id,
        bucket=incident.settings.connector(identity.data_source_id).bucket or incident.settings.bucket_name,
        closed=state.closed_at is not None,
        missing=tuple(seen.title for seen in incident.observations().values() if not seen.available),
        restored=any(
            event.step == "rollback" and event.kind == "applied" for event in incident.journal.events()
        ),
        update_due=state.next_update_due,
        channel=incident.settings.slack_channel,
    )
    alarms = incident.observed("alarms")
    if alarms.available:
        firing = alarms.frame.loc[alarms.frame["state"] == "ALARM", "name"]
        known = replace(known, alarms=tuple(firing))
    jobs = incident.observed("sync-jobs")
    if not jobs.available or jobs.frame.empty:
        return known
    newest = jobs.frame.sort_values("started_at").iloc[-1]
    good = last_good(jobs.frame, state.opened_at)
    known = replace(
        known,
        last_status=newest["status"],
        last_good_at=None if good is None else good["started_at"].to_pydatetime(),
        recovered=newest["status"] == "SUCCEEDED" and newest["started_at"] > state.opened_at,
    )
    return _with_documents(incident, known, newest["execution_id"])


def _with_documents(incident: Incident, known: Facts, execution_id: str) -> Facts:
    """Adds which documents failed in that sync, and which objects changed since the last good one."""
    report, listed = incident.observed("document-report"), incident.observed("versions")
    failing: set[str] | None = None
    if report.available:
        latest = report.frame[report.frame["execution_id"] == execution_id]
        failing = set(latest.loc[latest["status"] == "FAILED", "uri"])
        known = replace(known, failing=len(failing))
    if listed.available and known.last_good_at is not None:
        changed = changed_since(listed.frame, known.last_good_at)
        keys = set(changed.loc[~changed["same_content"], "key"])
        both = None if failing is None else sum(_touched(uri, keys) for uri in failing)
        known = replace(known, changed=len(keys), failing_and_changed=both)
    return known


def _touched(uri: str, changed: set[str]) -> bool:
    """Whether a document, or its metadata file (``<prefix>/<key>.metadata.json``), is among the changed keys."""
    key = unquote(uri.split("/", 3)[-1])
    return key in changed or any(each.endswith(f"{key}.metadata.json") for each in changed)


def next_steps(incident: Incident) -> tuple[NextStep, ...]:
    """What to do next in this incident, from its journal and evidence."""
    return plan_next(facts(incident))
