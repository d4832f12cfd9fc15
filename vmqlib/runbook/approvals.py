"""What an opening may do beyond looking: a schedule is disabled, a rollback planned and carried out, where that was
approved beforehand.

Planning reads only. Nothing in AWS is changed by a step that ``approve`` does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput, Interrupted, VmqError, WorldChanged

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Applied, Plan, Verification
    from vmqlib.runbook.rollback.progress import Progress

__all__ = ["APPROVABLE", "PLANNED_FOR", "Remedy", "approved_steps", "remedy", "why_not_planned"]

APPROVABLE = {
    "schedule": "the connector's schedule is disabled when its failures are recurring",
    "rollback": "objects are put back to what they were at the last good sync",
}
"""Steps of the runbook that a run may carry out when told to, and what each does."""

PLANNED_FOR = frozenset({"sync-failed", "content"})
"""Triggers for which a rollback is planned: what is in the bucket may be the cause. A sync that never started, or a
guardrail that blocks too much, is not mended by other objects."""

_NOT_PLANNED = "not planned"


@dataclass(frozen=True)
class Remedy:
    """What came of the rollback, and of disabling the schedule, when an incident was opened.

    Parameters
    ----------
    plan:
        The plan; None where there is none.
    applied:
        How it was carried out; None where it was not.
    verification:
        How the bucket compares with the plan afterwards; None where nobody looked.
    problem:
        What stopped it: refused by AWS, interrupted, changed by somebody else. None when all went well.
    approved:
        Whether it was to be carried out.
    schedule:
        What was done about the schedule, in a sentence; empty where that was not approved.
    schedule_problem:
        What stopped it.
    """

    plan: Plan | None = None
    applied: Applied | None = None
    verification: Verification | None = None
    problem: VmqError | None = None
    approved: bool = False
    schedule: str = ""
    schedule_problem: VmqError | None = None

    @property
    def stopped(self) -> VmqError | None:
        """The error that a command is to end with: what was approved was not done, or does not hold."""
        return (self.problem if self.approved else None) or self.schedule_problem

    @property
    def outcome(self) -> str:
        """In one word: how the apply ended, ``planned``, or ``none``."""
        if self.applied is not None:
            return self.applied.ending
        return "planned" if self.plan is not None else "none"


def approved_steps(given: str | Iterable[Any]) -> tuple[str, ...]:
    """The steps that were approved: a list, or one text with commas between (what ``papermill -p`` can say).

    Raises
    ------
    BadInput
        When one of them is none that can be approved; it names those that can.
    """
    words = given.split(",") if isinstance(given, str) else list(given)
    steps = []
    for word in words:
        step = word.strip() if isinstance(word, str) else word
        if step == "":
            continue
        if step not in APPROVABLE:
            can = "; ".join(f"{name} ({what})" for name, what in APPROVABLE.items())
            raise BadInput(f"There is no step {step!r} to approve.", hint=f"What can be approved: {can}.")
        steps.append(step)
    return tuple(dict.fromkeys(steps))


def remedy(
    incident: Incident,
    approve: Collection[str] = (),
    *,
    again: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Remedy:
    """Plans the rollback to the last good sync and, where ``approve`` names it, applies and verifies it. Before that,
    where ``approve`` names it, disables the connector's schedule if its failures are recurring.

    Never raises for what it could not do: a rollback that cannot be planned must not cost the record. A rollback that
    this incident has had already, in whole or in part, is not begun again: that is for ``vmq rollback``.

    Parameters
    ----------
    approve:
        What :func:`approved_steps` gives.
    again:
        Whether to plan anew where there is a plan; else that one stays, and its digest with it.
    progress:
        Told in words what is being done.
    """
    if "schedule" not in approve:
        return _rolled_back(incident, approve, again=again, progress=progress)
    progress("looking at the schedule")
    said, problem = _stabilized(incident)
    done = _rolled_back(incident, approve, again=again, progress=progress)
    return replace(done, schedule=said, schedule_problem=problem)


def _stabilized(incident: Incident) -> tuple[str, VmqError | None]:
    """Disables the schedule when failures are recurring, once in an incident. What was done; what stopped it."""
    from vmqlib.runbook import resync, stabilize
    from vmqlib.runbook.rollback.ground import may_change
    from vmqlib.runbook.stabilize.story import STEP, story

    settings = incident.settings
    try:
        aws = may_change(incident)
        connector = resync.choose(settings, incident.identity.data_source_id)
        if connector.data_source_id in story(incident).ever:
            return "The schedule was disabled in this incident before; it was left as it is.", None
        jobs, report = incident.observed("sync-jobs"), incident.observed("document-report")
        if not jobs.available:
            raise BadInput(f"Whether failures are recurring is not known: {jobs.problem}", hint=jobs.hint)
        again = stabilize.recurring(
            jobs.frame,
            report.frame if report.available else None,
            settings.stabilize,
            connector.data_source_id,
        )
        if again is None:
            rule = settings.stabilize
            said = (
                f"The schedule was left as it is: not {rule.recurring_failures} of the last {rule.recurring_of} syncs "
                "failed with the same error."
            )
            incident.conclude(STEP, said, {"verdict": "not recurring"})
            return said, None
        incident.conclude(STEP, again.sentence, {"verdict": "recurring"})
        stabilize.settle(incident, aws, settings)
        plan = stabilize.plan_disable(incident, aws, settings, [connector])
        if (refused := plan.refusal) is not None:
            raise refused
        if not plan.changes:
            return f"The schedule was left as it is: {plan.items[0].why}", None
        done = stabilize.apply(incident, plan, settings, digest=plan.digest)
        incident.observe(["resources"], refresh=True, step=STEP)  # the record is to show what is there now
        return " ".join([again.sentence, *(one.sentence for one in done)]), None
    except VmqError as error:
        return "", error


def _rolled_back(
    incident: Incident, approve: Collection[str], *, again: bool, progress: Callable[[str], None]
) -> Remedy:
    from vmqlib.runbook import rollback

    approved = "rollback" in approve
    # Approved by name, it is planned whatever set the incident off; that it cannot be is then worth an error.
    if not approved and incident.identity.trigger not in PLANNED_FOR:
        return Remedy()
    try:
        before = rollback.status(incident)
        if before.applied is not None or (before.plan is not None and not again and not approved):
            return Remedy(before.plan, before.applied, before.verification)
        _known(incident)
        progress("planning the rollback")
        plan = rollback.plan(
            # Each version that would be copied costs a request: they are made where the copies are made, too.
            incident,
            inspect=approved,
            progress=lambda what, done, _: progress(f"planning the rollback: {what} {done:,}"),
        )
    except VmqError as error:
        incident.conclude("rollback", f"No rollback was planned: {error.message}", _why(error))
        return Remedy(problem=error, approved=approved)
    if not approved or not plan.changes:
        return Remedy(plan)
    problem = _carry_out(incident, plan, progress)
    progress("looking at the bucket again")
    incident.observe(["versions"], refresh=True, step="rollback")  # the record is to show what is there now
    after = rollback.status(incident)
    return Remedy(plan, after.applied, after.verification, problem, approved=True)


def _carry_out(incident: Incident, plan: Plan, progress: Callable[[str], None]) -> VmqError | None:
    """Applies and verifies; what stopped it. What was done is in the journal."""
    from vmqlib.runbook import rollback

    changed: VmqError | None = None
    try:
        try:
            rollback.apply(incident, plan, digest=plan.digest, progress=lambda now: progress(_words(now)))
        except WorldChanged as error:  # all else was done: worth a look
            changed = error
        progress("verifying the rollback")
        seen = rollback.verify(incident, plan)
    except VmqError as error:
        return changed or error
    except KeyboardInterrupt:
        return Interrupted("Interrupted.", hint=f"`vmq rollback resume {incident.id}` goes on.")
    if changed is None and not seen.ok:
        return WorldChanged(seen.sentence, hint=f"The differences: vmq rollback verify {incident.id}.")
    return changed


def _words(now: Progress) -> str:
    """``rolling back: 120 of 500, 80/s, 5 s left``."""
    parts = [f"{now.decided:,} of {now.total:,}", f"{now.rate:,.0f}/s"]
    if now.eta:
        parts.append(f"{now.eta:.0f} s left")
    if now.failed or now.changed:
        parts.append(f"{now.failed:,} failed, {now.changed:,} changed meanwhile")
    return f"rolling back: {', '.join(parts)}"


def why_not_planned(incident: Incident) -> str:
    """Why the rollback could not be planned the last time that it was tried; empty when it could, or nobody tried."""
    told = ""
    for event in incident.journal.events():
        if event.step == "rollback" and event.kind == "concluded":
            data = event.data.model_dump()
            failed = data.get("verdict") == _NOT_PLANNED
            told = f"{data.get('problem', '')} {data.get('hint', '')}".strip() if failed else ""
    return told


def _known(incident: Incident) -> None:
    """What tells the last good sync was looked at before: where that failed, it is not asked for once more."""
    jobs = incident.observed("sync-jobs")
    if not jobs.available:
        raise BadInput(
            f"The last good sync is not known: {jobs.problem}",
            hint=f"{jobs.hint} Or give a time: vmq rollback plan {incident.id} --to 6h.".strip(),
        )


def _why(error: VmqError) -> dict[str, str]:
    found = {
        "verdict": _NOT_PLANNED, "problem": error.message, "hint": error.hint, "error": type(error).__name__,
    }  # fmt: skip
    return found | {name: getattr(error, name) for name in ("operation", "code") if hasattr(error, name)}
