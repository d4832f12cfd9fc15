"""Schedules are switched off and put back (API: UpdateDataSource): announced, changed, read back, written down.

UpdateDataSource has no condition: between the look right before it and the request somebody else may still change the
schedule. The look is as close before as can be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmqlib.aws import aws_errors
from vmqlib.errors import AwsError, BadInput, DeadlinePassed, Unreachable, VmqError, WorldChanged
from vmqlib.record.journal import Entry
from vmqlib.runbook.approval import check_digest
from vmqlib.runbook.exclusive import exclusive
from vmqlib.runbook.patience import PASSING, Patience
from vmqlib.runbook.resync.readiness import DataSource, data_source
from vmqlib.runbook.rollback.ground import may_change
from vmqlib.runbook.stabilize.plan import ScheduleItem, SchedulePlan
from vmqlib.runbook.stabilize.story import ACTIONS, STEP, Change, story

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["Switched", "apply", "approve", "settle"]

_CALL = "qbusiness:UpdateDataSource"


@dataclass(frozen=True)
class Switched:
    """One schedule that was changed, and read back.

    Parameters
    ----------
    data_source_id, name:
        Whose.
    before, after:
        What it was, and what it is.
    found:
        True where it was so already, and only the journal did not know.
    """

    data_source_id: str
    name: str
    before: str
    after: str
    found: bool = False

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        if self.found:
            return f"The schedule of {self.name} is {self.after or 'off'} already."
        if not self.after:
            return f"The schedule of {self.name} is off; it was {self.before}."
        return f"The schedule of {self.name} is {self.after} again."


def approve(plan: SchedulePlan, given: str) -> None:
    """Whether an approval is one of this plan.

    Raises
    ------
    BadInput
        It is too short to name a plan.
    WorldChanged
        It is another plan's: something is not as it was when that one was looked at.
    """
    check_digest(
        given,
        plan.digest,
        changed="The plan is {now} now, not {seen}: something has changed since that was looked at.",
        hint=f"Look at it again: vmq schedule {plan.verb} {plan.incident_id}.",
    )


def apply(
    incident: Incident,
    plan: SchedulePlan,
    settings: Settings,
    *,
    digest: str,
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Switched, ...]:
    """Carries a plan out, data source by data source. Each is looked at once more right before.

    The journal has the old value before the request leaves. A process that is killed at any moment leaves either
    nothing, or a line whose outcome :func:`settle` finds out.

    Parameters
    ----------
    digest:
        The approval: the digest of the plan that was looked at, or its beginning (8 characters at least).
    patience:
        How long to go on while AWS throttles or cannot be reached.

    Raises
    ------
    BadInput
        The incident is closed; the plan is another's.
    WorldChanged
        The digest is another plan's; somebody changed a schedule since the plan: it was left alone.
    LockHeld
        Another process changes something in this incident.
    DeadlinePassed
        AWS accepted the change, and did not show it in time.
    AwsError
        AWS refuses, or cannot be reached. Where it is not known whether the change was made, here and after a deadline,
        the journal is left open there, and the next ``vmq schedule`` finds out.
    """
    aws = may_change(incident)
    if plan.incident_id != incident.id:
        raise BadInput(f"The plan is of {plan.incident_id}.", hint=f"Plan again, in {incident.id}.")
    approve(plan, digest)
    insist = patience or Patience(sleep=sleep)
    done: list[Switched] = []
    with exclusive(incident):
        _settle(incident, aws, settings, insist)
        if plan.changes:
            about = {"action": ACTIONS[plan.verb], "digest": plan.digest}
            incident.approved(STEP, f"Approved {plan.digest[:12]}: {plan.summary}", about)
        for item in plan.notes:
            if item.data_source_id in story(incident).off:
                _journal_done(incident, plan.verb, _data(item, plan, found=True))
            done.append(Switched(item.data_source_id, item.name, item.wanted, item.wanted, found=True))
        done.extend(_switch(incident, aws, settings, plan, item, insist) for item in plan.changes)
    if (refused := plan.refusal) is not None:
        raise refused
    return tuple(done)


def settle(
    incident: Incident, aws: Aws, settings: Settings, *, patience: Patience | None = None
) -> tuple[Switched, ...]:
    """Finds out what became of changes whose process died, and writes it into the journal. Changes nothing in AWS.

    Returns
    -------
    tuple of Switched
        Those that were made.

    Raises
    ------
    AwsError
        When a data source cannot be looked at: nothing is written about it then.
    LockHeld
        Another process changes something in this incident.
    """
    if not story(incident).pending:
        return ()
    with exclusive(incident):
        return _settle(incident, aws, settings, patience or Patience())


def _settle(incident: Incident, aws: Aws, settings: Settings, insist: Patience) -> tuple[Switched, ...]:
    found = []
    for source, change in story(incident).pending.items():
        seen = insist(lambda source=source: data_source(aws, settings, source))  # type: ignore[misc]
        if (made := _settled(incident, change, seen)) is not None:
            found.append(made)
    return tuple(found)


def _settled(incident: Incident, change: Change, seen: DataSource) -> Switched | None:
    data = {
        "action": ACTIONS[change.verb], "digest": change.digest, "item": change.data_source_id, "name": seen.name,
        "before": change.before, "after": change.after, "settled": True,
    }  # fmt: skip
    if seen.schedule == change.after:
        _journal_done(incident, change.verb, data)
        return Switched(change.data_source_id, seen.name, change.before, change.after, found=True)
    if seen.schedule == change.before:
        why = f"It was cut short before it was done: the schedule is {seen.schedule or 'off'}, as before."
    else:
        why = f"It was cut short, and somebody has set the schedule to {seen.schedule} since."
    incident.failed(STEP, f"{_what(change.verb, change.data_source_id)} {why}", {**data, "problem": why})
    return None


def _switch(
    incident: Incident, aws: Aws, settings: Settings, plan: SchedulePlan, item: ScheduleItem, insist: Patience
) -> Switched:
    """One of them: look, announce, change, read back."""
    source = item.data_source_id
    data = _data(item, plan)
    seen = insist(lambda: data_source(aws, settings, source))
    if seen.schedule != item.now:
        raise _changed(incident, plan, item, seen, data)
    announced = incident.applying(STEP, _what(plan.verb, item.name), data)
    if announced.data.model_dump()["before"] != item.now:
        # A mask that took a part of it for a secret: then the journal could not give it back.
        problem = "The journal cannot keep the schedule as it is."
        incident.failed(STEP, problem, {**data, "problem": problem})
        raise BadInput(problem, hint="Note it by hand, and change it in the Q Business console.")
    try:
        insist(lambda: _update(aws, settings, source, item.wanted))
    except Unreachable as error:
        # Perhaps it arrived: the data source tells. Where it cannot be asked, the journal stays open.
        if insist(lambda: data_source(aws, settings, source)).schedule != item.wanted:
            raise _failed(incident, error, data) from error
    except AwsError as error:
        raise _failed(incident, error, data) from error
    _read_back(incident, aws, settings, item, data, insist)
    _journal_done(incident, plan.verb, data)
    return Switched(source, item.name, item.now, item.wanted)


def _update(aws: Aws, settings: Settings, source: str, schedule: str) -> None:
    with aws_errors(_CALL, f"data source {source}"):
        aws.client("qbusiness").update_data_source(
            applicationId=settings.app_id,
            indexId=settings.index_id,
            dataSourceId=source,
            syncSchedule=schedule,
        )


class _NotYet(AwsError):
    """The data source does not show it yet."""


def _read_back(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    item: ScheduleItem,
    data: dict[str, Any],
    insist: Patience,
) -> None:
    """Looks whether it is so now; again, while the data source is UPDATING or does not show it yet."""
    source = item.data_source_id

    def look() -> DataSource:
        seen = data_source(aws, settings, source)
        if seen.status == "UPDATING" or seen.schedule == item.now:
            raise _NotYet(f"it is {seen.status}, and its schedule {seen.schedule or 'off'}")
        return seen

    try:
        seen = insist(look, on=(*PASSING, _NotYet))
    except _NotYet as error:
        raise DeadlinePassed(
            f"AWS accepted the change of {item.name}, and does not show it yet: {error.message}.",
            hint=f"Look again in a minute: vmq schedule show {incident.id}. The next vmq schedule command settles it.",
        ) from error
    if seen.schedule != item.wanted:
        why = f"It was read back as {seen.schedule or 'off'}: somebody else set it in the same moment."
        incident.failed(STEP, f"The schedule of {item.name}: {why}", {**data, "problem": why})
        raise WorldChanged(f"The schedule of {item.name}: {why}", hint="Agree with them, and plan again.")


def _changed(
    incident: Incident, plan: SchedulePlan, item: ScheduleItem, seen: DataSource, data: dict[str, Any]
) -> WorldChanged:
    why = f"it is {seen.schedule or 'off'} by now, and was {item.now or 'off'} in the plan"
    incident.failed(STEP, f"The schedule of {item.name} was left alone: {why}.", {**data, "problem": why})
    return WorldChanged(
        f"The schedule of {item.name} was left alone: {why}.",
        hint=f"Plan again: vmq schedule {plan.verb} {incident.id}.",
    )


def _failed(incident: Incident, error: VmqError, data: dict[str, Any]) -> VmqError:
    incident.failed(STEP, error.message, {**data, "problem": error.message, "hint": error.hint})
    return error


def _data(item: ScheduleItem, plan: SchedulePlan, *, found: bool = False) -> dict[str, Any]:
    return {
        "action": ACTIONS[plan.verb], "digest": plan.digest, "item": item.data_source_id, "name": item.name,
        "before": item.now, "after": item.wanted, **({"found": True} if found else {}),
    }  # fmt: skip


def _journal_done(incident: Incident, verb: str, data: dict[str, Any]) -> None:
    """That it is so, as it was read back; a restore undoes what had switched it off."""
    name = data["name"] or data["item"]
    if verb == "disable":
        summary = f"The schedule of {name} is off (read back); it was {data['before']}."
        incident.applied(STEP, summary, data)
        return
    off = story(incident).off.get(data["item"])
    summary = f"The schedule of {name} is {data['after'] or 'on demand'} again (read back)."
    entries = [Entry("applied", summary, STEP, data)]
    if off is not None:
        taken = {"action": ACTIONS["disable"], "digest": off.digest, "item": off.data_source_id}
        entries.append(Entry("undone", f"The switching off of {name}'s schedule is taken back.", STEP, taken))
    incident.append_many(entries)


def _what(verb: str, name: str) -> str:
    return f"Switch the schedule of {name} off." if verb == "disable" else f"Put the schedule of {name} back."
