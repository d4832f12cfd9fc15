"""Where the rollback of an incident stands, from its journal and folder alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput, VmqError
from vmqlib.runbook.approval import SHORTEST_DIGEST
from vmqlib.runbook.rollback.purposes import PurposeName, command
from vmqlib.runbook.rollback.replanning import plan_again
from vmqlib.runbook.rollback.results import Applied, Status, Verification, leads_forward
from vmqlib.runbook.rollback.story import Planned, Story, folder, story

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.plan import Plan

__all__ = ["apply_named", "by_log", "planned", "read_plan", "status"]


def planned(incident: Incident, purpose: PurposeName = "rollback") -> Plan | None:
    """The newest plan that the journal names, read from disk; ``None`` where there is none. Works offline.

    Raises
    ------
    CorruptRecord
        When its file is not what it was.
    BadInput
        When its file is missing.
    """
    newest = story(incident, purpose).newest
    return None if newest is None else read_plan(incident, newest)


def read_plan(incident: Incident, told: Planned) -> Plan:
    """A plan's file; its digest is checked against the journal's.

    Raises
    ------
    CorruptRecord
        When it is another plan's, or was edited.
    """
    from vmqlib.errors import CorruptRecord
    from vmqlib.runbook.rollback import planfile

    path = folder(incident) / told.file
    read = planfile.read(path)
    if read.digest != told.digest:
        raise CorruptRecord(
            f"{path} is not the plan that the journal names: its digest is {read.digest[:12]}, not {told.digest[:12]}.",
            hint="Plan again: `vmq rollback plan`.",
        )
    return read


def apply_named(incident: Incident, told: Story, digest: str) -> Applied:
    """The apply of a plan that is named by its digest, or by the beginning of it.

    Raises
    ------
    BadInput
        No plan of that digest was applied in this incident.
    """
    seen = digest.strip().lower()
    if len(seen) < SHORTEST_DIGEST:
        raise BadInput(
            f"{digest!r} is too short to name a plan.",
            hint=f"Give at least {SHORTEST_DIGEST} characters of its digest.",
        )
    found = [one for one in told.applies.values() if one.digest.startswith(seen)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{one.digest[:12]}: {one.sentence}" for one in told.applies.values())
    raise BadInput(
        f"No plan {seen[:12]} was applied in {incident.id} as a {told.purpose.name}.",
        hint=f"Applied were {known}" if known else f"vmq show {incident.id}",
    )


def status(incident: Incident, purpose: PurposeName = "rollback") -> Status:
    """Where the rollback, or the touch of objects, stands. Asks AWS nothing, changes nothing, and does not fail for a
    plan that is gone."""
    told = story(incident, purpose)
    for digest, one in told.applies.items():
        if one.ending == "unfinished":
            told.applies[digest] = by_log(incident, one, told.plans.get(digest))
    newest, last = told.newest, told.last
    if newest is None:
        return Status()
    plan, problem = None, ""
    try:
        plan = read_plan(incident, newest)
    except VmqError as error:
        problem = error.message
    seen = None
    if last is not None and last.digest in told.verified:
        seen = read_verification(incident, told, last.digest)
    state = _state(told, newest, last, seen)
    stale = 0
    if state == "planned" and plan is not None and plan.changes:
        from vmqlib.runbook.rollback.staleness import overtaken_by_own  # it reads plans by this module

        stale = overtaken_by_own(incident, plan, plan.head.made_at)
        state = "stale" if stale else state
    return Status(
        state=state,
        plan=plan,
        applied=last,
        applies=tuple(told.applies.values()),
        verification=seen,
        problem=problem,
        command=_command(incident, purpose, state, plan, last),
        stale=stale,
    )


def by_log(incident: Incident, begun: Applied, planned: Planned | None) -> Applied:
    """An apply that has not ended, with what its log says was done so far: the journal has only its beginning."""
    from vmqlib.runbook.rollback import applylog

    path = folder(incident) / begun.log
    try:
        counts = applylog.read(path).counts if path.exists() else {}
        plan = read_plan(incident, planned) if planned is not None else None
    except VmqError:
        return replace(begun, counted=False)
    total = plan.changes if plan is not None else 0
    return replace(
        begun,
        done=counts.get("done", 0),
        found=counts.get("found", 0),
        changed=counts.get("changed", 0),
        failed=counts.get("failed", 0),
        unknown=counts.get("in-doubt", 0),
        left=max(0, total - sum(counts.values())),
    )


def read_verification(incident: Incident, told: Story, digest: str) -> Verification | None:
    """The newest look after that apply; ``None`` where its file cannot be read."""
    from vmqlib.runbook.rollback.differences import read

    try:
        return read(folder(incident) / told.verified[digest].file)
    except VmqError:
        return None


def _state(told: Story, newest: Planned, last: Applied | None, seen: Verification | None) -> str:
    if last is None:
        return "planned"
    if last.ending in {"unfinished", "interrupted"}:
        return last.ending
    if newest.digest not in told.applies:
        return "planned"  # a newer plan, which waits for its approval
    if last.ending == "failed":
        return "failed"
    if seen is not None and not seen.ok:
        return "differs"
    if last.ending == "changed":
        return "changed"
    if last.restored and not leads_forward(last, told.applies.values()):
        return "undone"
    return "applied" if seen is None else "verified"


def _command(
    incident: Incident, purpose: PurposeName, state: str, plan: Plan | None, last: Applied | None
) -> str:
    """What to type next in its step; empty when nothing remains of it."""
    if incident.state.closed_at:
        return ""
    plans = command(purpose, "plan", incident.id)
    if state == "planned":
        if plan is None:
            return plans
        applies = command(purpose, "apply", incident.id)
        return f"{applies} --digest {plan.digest[:12]}" if plan.changes else ""
    if state == "stale" and plan is not None:
        return incident.shown_by.text(
            plan_again(incident, plan.head)
        )  # it may name keys, and stands in records
    if state in {"unfinished", "interrupted", "failed"}:
        return command(purpose, "resume", incident.id)
    if state in {"changed", "differs"}:
        return "" if last is not None and last.kind == "undo" else plans
    return command(purpose, "verify", incident.id) if state == "applied" else ""
