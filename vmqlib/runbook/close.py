"""Runbook step 6, *Validate & Close*: is it over? Then the last event, the final record, and the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vmqlib.errors import AwsError, BadInput, CheckFailed, VmqError
from vmqlib.record.incident import Incident
from vmqlib.runbook.dashboard import SOURCES as DASHBOARD
from vmqlib.runbook.opening import Record, write_record
from vmqlib.runbook.operationsrunbook import Entered, enter
from vmqlib.runbook.retro import invitation
from vmqlib.runbook.stabilize.closing import no_schedule_left_off

__all__ = ["Afterwards", "Check", "afterwards", "close", "validate"]

_T = TypeVar("_T")
_FRESH = ("sync-jobs", "alarms")


@dataclass(frozen=True)
class Check:
    """One thing that must be so before an incident is closed.

    Parameters
    ----------
    name:
        What was checked.
    ok:
        Whether it is so; None when it cannot be told.
    finding:
        What was found, in a sentence.
    """

    name: str
    ok: bool | None
    finding: str


def validate(incident: Incident) -> tuple[Check, ...]:
    """Looks at AWS again, and says whether the newest sync succeeded and the alarms are quiet."""
    # The record is to show the dashboard as it is at the end, too.
    known = [
        name
        for name in DASHBOARD
        if name in incident.sources and incident.sources[name].wanted(incident.settings)
    ]
    seen = incident.observe([*_FRESH, *known], refresh=True)
    jobs, alarms = seen["sync-jobs"], seen["alarms"]
    checks: list[Check] = []
    # A problem beside older evidence means that it could not be seen now: what was true then says nothing.
    if not jobs.available or jobs.problem:
        checks.append(Check("newest sync", None, jobs.problem))
    elif jobs.frame.empty:
        checks.append(Check("newest sync", False, "There was no sync yet."))
    else:
        newest = jobs.frame.sort_values("started_at").iloc[-1]
        finding = f"The newest sync is {newest['status']}."
        checks.append(Check("newest sync", newest["status"] == "SUCCEEDED", finding))
    if not alarms.available or alarms.problem:
        checks.append(Check("alarms", None, alarms.problem))
    else:
        firing = list(alarms.frame.loc[alarms.frame["state"] == "ALARM", "name"])
        finding = f"In ALARM: {', '.join(firing)}." if firing else "No alarm is in ALARM."
        checks.append(Check("alarms", not firing, finding))
    return tuple(checks)


@dataclass(frozen=True)
class Afterwards:
    """What was done once an incident was closed.

    Parameters
    ----------
    entered:
        Its entry in the operations runbook; None where it was not wanted, or refused.
    invitation:
        The invitation to the review; None where it was refused.
    problems:
        Why something was refused. The incident is closed all the same.
    """

    entered: Entered | None
    invitation: Path | None
    problems: tuple[VmqError, ...]


def afterwards(incident: Incident, *, entry: bool = True) -> Afterwards:
    """Enters a closed incident into the operations runbook, and writes the invitation to its review.

    Parameters
    ----------
    entry:
        False leaves the operations runbook alone.
    """
    problems: list[VmqError] = []

    def tried(what: Callable[[Incident], _T]) -> _T | None:
        try:
            return what(incident)
        except VmqError as error:
            problems.append(error)
            return None

    return Afterwards(tried(enter) if entry else None, tried(invitation), tuple(problems))


def _refusal(check: Check) -> VmqError:
    if check.ok is None:
        return AwsError(
            f"Not closed, since it cannot be told whether it is over: {check.finding}",
            hint="Mend that and close again; or close all the same with --force --reason.",
        )
    return CheckFailed(
        f"Not closed: {check.finding}",
        hint="`vmq sync start` and `vmq sync wait`; or close all the same with --force --reason.",
    )


def close(
    incident: Incident,
    *,
    impact: str = "",
    root_cause: str = "",
    remediation: str = "",
    customers: str = "",
    force: bool = False,
    reason: str = "",
    schedule_off_reason: str = "",
) -> Record:
    """Closes the incident: validates, notes the end, writes the final record and the manifest.

    Parameters
    ----------
    impact, root_cause, remediation, customers:
        What the record says of them (runbook: "Record timeline, impact, and remediation").
    force, reason:
        Close although a check did not pass, and why.
    schedule_off_reason:
        Why a schedule stays off that this incident switched off.

    Raises
    ------
    CheckFailed
        When the newest sync did not succeed and it was not forced; when a schedule is still off without a reason.
    AwsError
        When that could not be seen, likewise.
    BadInput
        When it is closed already.
    """
    if incident.state.closed_at:
        raise BadInput(f"{incident.id} is closed already.", hint="Add what is missing with `vmq note`.")
    no_schedule_left_off(incident, schedule_off_reason)
    # A newest sync that failed means that nothing is over. An alarm needs minutes to reset after the mend, and a
    # blind one never does: that is said in the record, and does not hold the closing up.
    checks = validate(incident)
    for check in checks:
        verdict = {True: "pass", False: "fail", None: "cannot tell"}[check.ok]
        incident.conclude("validate", f"{check.name}: {check.finding}", {"verdict": verdict})
    failing = [check for check in checks if check.name == "newest sync" and check.ok is not True]
    if failing and not force:
        raise _refusal(failing[0])
    outcome = f"Forced: {reason}" if failing else ""
    incident.close(outcome, impact=impact, cause=root_cause, remediation=remediation, customers=customers)
    return write_record(incident)
