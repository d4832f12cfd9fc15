"""What the runbook says to do next, with the exact command, from what was seen so far."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from vmqlib.sources.syncjobs import TERMINAL, last_good
from vmqlib.sources.versions import changed_since
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["Facts", "NextStep", "Rollback", "facts", "next_steps", "plan_next"]


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
    left, failed, others:
        Of the newest apply: objects not come to, refused by AWS, left alone since somebody else had changed them.
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
    restored: bool = False
    synced: bool = False


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
    rollback:
        How far the rollback is.
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
    rollback: Rollback = Rollback()
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
        *_rollback(known, identity),
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


def _rollback(known: Facts, identity: str) -> list[NextStep]:
    """Runbook step 3, from the state it is in: plan, apply, resume, verify, undo."""
    made = known.rollback
    if made.state == "none":
        return _plan_rollback(known, identity)
    why = {
        "planned": f"{made.plan} Read the plan, then apply it." if made.changes else "",
        "interrupted": f"The rollback was interrupted: {_objects(made.left)} to go.",
        "unfinished": "A rollback was begun and has not ended: it is under way, or it was killed.",
        "failed": f"AWS refused {_objects(made.failed)}: mend the cause, then go on.",
        "changed": f"{_objects(made.others)} changed by somebody else meanwhile, and left alone: agree with them.",
        "applied": "The rollback was applied: look whether it holds.",
        "differs": "The bucket is not as planned: read the differences, and agree with whoever made them.",
    }.get(made.state, "")
    steps = [_step3(why, made.command)] if why and made.command else []
    if made.restored and made.synced:
        why = "A sync has ended since the rollback and did not succeed. If the rollback was wrong, take it back."
        steps.append(_step3(why, f"vmq rollback undo {identity}"))
    return steps


def _plan_rollback(known: Facts, identity: str) -> list[NextStep]:
    if not known.changed or known.last_good_at is None or known.last_status == "SUCCEEDED":
        return []
    share = ""
    if known.failing:
        share = f"; {known.failing_and_changed or 0} of the {known.failing} failing documents are among them"
    why = f"{_objects(known.changed)} changed since the last good sync of {show_time(known.last_good_at)}{share}."
    return [_step3(why, f"vmq rollback plan {identity}")]


def _step3(why: str, command: str) -> NextStep:
    return NextStep("3 Rollback via S3 versioning", why, command)


def _objects(number: int) -> str:
    return f"{number:,} object{'' if number == 1 else 's'}"


def _resync(known: Facts, identity: str) -> list[NextStep]:
    if known.last_status == "SUCCEEDED" and not known.alarms:
        return []
    source = shlex.quote(known.data_source_id or "ID")
    about = f"--data-source {source} --incident {identity}"
    command = f"vmq sync start {about} && vmq sync wait {about}"
    why = (
        "The objects are restored: index them."
        if known.rollback.restored
        else "Once the cause is gone, sync again."
    )
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
        rollback=_how_far(incident),
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
    applied = [each.at for each in state.applied if each.step == "rollback"]
    over = applied and newest["started_at"] > applied[-1] and newest["status"] in TERMINAL
    known = replace(
        known,
        rollback=replace(known.rollback, synced=bool(over)),
        last_status=newest["status"],
        last_good_at=None if good is None else good["started_at"].to_pydatetime(),
        recovered=newest["status"] == "SUCCEEDED" and newest["started_at"] > state.opened_at,
    )
    return _with_documents(incident, known, newest["execution_id"])


def _how_far(incident: Incident) -> Rollback:
    from vmqlib.runbook import rollback

    now = rollback.status(incident)
    plan, last = now.plan, now.applied
    return Rollback(
        state=now.state,
        command=now.command,
        plan=plan.summary if plan else "",
        changes=plan.changes if plan else 0,
        left=last.left if last else 0,
        failed=last.failed if last else 0,
        others=last.changed if last else 0,
        restored=now.restored,
    )


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
