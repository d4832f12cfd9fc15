"""Runbook step 6, *Validate & Close*: it is over when every check says so. Then the last event, the entry in the
operations runbook, the invitation to the review, and the final record with its manifest.

    made = ready(incident)             validates, and says what is in the way
    close(incident, made, Words(…))    the last event, or refuses
    afterwards(incident)               entry, invitation, record; can be called again
    missing(incident)                  what of that is not there: whoever closed it was killed

Nothing of AWS is changed by any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

from vmqlib.errors import AwsError, BadInput, CheckFailed, VmqError, WorldChanged
from vmqlib.record import manifest
from vmqlib.record.checks import NOTEBOOK, PAGE, told_until
from vmqlib.record.incident import Incident
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.exclusive import exclusive
from vmqlib.runbook.opening import Record, write_record
from vmqlib.runbook.operationsrunbook import Entered, enter, entered
from vmqlib.runbook.retro import INVITATION, invitation
from vmqlib.runbook.retro.invitation import appointment, meeting
from vmqlib.runbook.stabilize.closing import no_schedule_left_off
from vmqlib.runbook.validation import SCHEDULE, Validation, in_the_way, validate

__all__ = ["Afterwards", "Part", "Ready", "Words", "afterwards", "close", "missing", "ready"]

Part = Literal["entry", "invitation", "record"]
"""What a closing leaves behind, beside the journal's last event."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Words:
    """What people say of an incident that is over (runbook: "Record timeline, impact, and remediation").

    Parameters
    ----------
    impact:
        Who and what was affected.
    cause:
        Why it happened.
    remediation:
        What was done about it.
    customers:
        Which customers were affected.
    """

    impact: str = ""
    cause: str = ""
    remediation: str = ""
    customers: str = ""


@dataclass(frozen=True)
class Ready:
    """Whether an incident can be closed.

    Parameters
    ----------
    validation:
        The checks, as they were made just now.
    held:
        Those in the way; where it was forced, it is closed all the same.
    refusal:
        Why it cannot be closed; ``None`` where it can.
    reason:
        Why it is closed although a check is in the way.
    note:
        What the journal is to say of a schedule that stays off; ``""`` for nothing.
    refusing:
        Those of ``held`` for which it is refused: all of them, or where it was forced, the schedule that is off.
    """

    validation: Validation
    held: tuple[CheckResult, ...] = ()
    refusal: VmqError | None = None
    reason: str = ""
    note: str = ""
    refusing: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Afterwards:
    """What was done once an incident was closed.

    Parameters
    ----------
    record:
        The final record; None where its run was stopped: it says by what.
    entered:
        Its entry in the operations runbook; None where it was not wanted, or refused.
    invitation:
        The invitation to the review; None where it was refused.
    problems:
        Why something was refused. The incident is closed all the same.
    """

    record: Record | None
    entered: Entered | None
    invitation: Path | None
    problems: tuple[VmqError, ...]


def ready(
    incident: Incident,
    *,
    force: bool = False,
    reason: str = "",
    schedule_off_reason: str = "",
    ask: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Ready:
    """Validates: gives what :func:`close` takes, with its refusal where something is in the way. Nothing is closed yet.

    Parameters
    ----------
    force, reason:
        Close although a check is in the way, and why.
    schedule_off_reason:
        Why a schedule stays off: that is not forced along with the rest.
    ask:
        Whether to ask the canary questions.
    progress:
        Told what is being looked at.

    Raises
    ------
    BadInput
        When it is closed already, was loaded offline, or is forced without a reason.
    """
    if incident.state.closed_at:
        raise BadInput(f"{incident.id} is closed already.", hint="Add what is missing with `vmq note`.")
    if force and not reason.strip():
        raise BadInput("--force needs --reason.", hint="Say why it is closed although it is not over.")
    note, left_off = "", None
    try:
        note = no_schedule_left_off(incident, schedule_off_reason)
    except CheckFailed as error:
        left_off = error  # what else is in the way is to be seen with it
    made = validate(incident, ask=ask, progress=progress)
    held = in_the_way(made, incident.identity.trigger)
    if left_off is not None and not any(check.name == SCHEDULE and check.ok is False for check in held):
        # That it is off is known from the journal, also where nobody can look.
        held = (
            *held,
            CheckResult(SCHEDULE, False, left_off.message, mend=f"vmq schedule restore {incident.id}"),
        )
    if schedule_off_reason.strip():
        off = [check for check in held if check.name == SCHEDULE]
        held = tuple(check for check in held if check.name != SCHEDULE)
        if off and not note:
            note = f"Closed with a schedule off: {_names(off)}. Reason: {schedule_off_reason.strip()}"
    refusing = tuple(check for check in held if check.name == SCHEDULE or not force)
    refusal = _refusal(incident, refusing) if refusing else None
    return Ready(made, held, refusal, reason.strip() if force else "", note, refusing)


def close(incident: Incident, made: Ready, words: Words | None = None) -> None:
    """Closes the incident. :func:`afterwards` writes what comes of that.

    Parameters
    ----------
    made:
        What :func:`ready` gave.
    words:
        What the record says of it.

    Raises
    ------
    CheckFailed, AwsError
        When a check is in the way, and it was not forced.
    WorldChanged
        When something was begun, changed or found wanting after it was validated.
    BadInput
        When it is closed already.
    LockHeld
        When another process changes something in this incident.
    """
    if made.refusal is not None:
        raise made.refusal
    with exclusive(incident):
        _nothing_since(incident, made.validation)
        if made.note and not incident.state.closed_at:
            incident.note(made.note, step="stabilize")
        incident.close(_outcome(made), **asdict(words or Words()))


def afterwards(incident: Incident, *, entry: bool = True) -> Afterwards:
    """Enters a closed incident into the operations runbook, writes the invitation to its review, and the final record.

    Each is written once, however often this is called; what is refused does not stop the rest.

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

    into = tried(enter) if entry else None
    invited = tried(invitation)
    record = tried(write_record)
    return Afterwards(record, into, invited, tuple(problems))


def missing(incident: Incident, *, entry: bool = True) -> tuple[Part, ...]:
    """What a closing should have left behind, and did not: whoever closed the incident was killed, or was refused.

    Parameters
    ----------
    entry:
        False does not look for the entry in the operations runbook.

    Raises
    ------
    BadInput
        When it is not closed.
    """
    if incident.state.closed_at is None:
        raise BadInput(f"{incident.id} is not closed.", hint=f"`vmq close {incident.id}` closes it.")
    found: list[Part] = []
    if entry and not entered(incident):
        found.append("entry")
    if not _invited(incident):
        found.append("invitation")
    if not _recorded(incident):
        found.append("record")
    return tuple(found)


def _invited(incident: Incident) -> bool:
    """Whether the invitation is sealed, and for the time that follows from this closing."""
    if not manifest.holds(incident.dir, incident.dir / INVITATION):
        return False
    try:
        return appointment(incident) == meeting(incident).start
    except VmqError:
        return False


def _recorded(incident: Incident) -> bool:
    """Whether notebook and page are sealed, and tell of the closing and of every message since."""
    if not all(manifest.holds(incident.dir, incident.dir / name) for name in (NOTEBOOK, PAGE)):
        return False
    told = told_until(incident.dir)
    return all(
        event.seq <= told for event in incident.journal.events() if event.kind in ("closed", "notified")
    )


def _nothing_since(incident: Incident, made: Validation) -> None:
    """What was validated is what is closed: a person may have taken their time over the words."""
    since = [
        event
        for event in incident.journal.events()
        if event.seq > made.seq
        and event.kind in ("applying", "applied", "undone")
        and event.step != "communicate"
    ]
    if since:
        raise WorldChanged(
            f"Not closed: after it was validated, {since[-1].summary.rstrip('.')}.",
            hint=f"`vmq close {incident.id}` looks again.",
        )


def _outcome(made: Ready) -> str:
    """How it ended, in a sentence or two: what was in the way and why it was closed all the same; what nobody could
    tell."""
    forced = f"Forced: {made.reason.rstrip('.')}. In the way: {_names(made.held)}" if made.held else ""
    open_ends = [check for check in made.validation.unknown if check not in made.held]
    untold = f"Not known: {_names(open_ends)}" if open_ends else ""
    return ". ".join(part for part in (forced, untold) if part)


def _names(checks: tuple[CheckResult, ...] | list[CheckResult]) -> str:
    return "; ".join(f"{one.name}{f' ({one.subject})' if one.subject else ''}" for one in checks)


def _refusal(incident: Incident, held: tuple[CheckResult, ...]) -> VmqError:
    """How much is in the way: what was found of each, and how to mend it, is in the checks."""
    off = any(one.name == SCHEDULE for one in held)
    others = any(one.name != SCHEDULE for one in held)
    words = " ".join(["--force --reason …"] * others + ["--schedule-off-reason …"] * off)
    despite = (
        f"`vmq close {incident.id} {words}` closes it all the same."
        if others
        else f"`vmq close {incident.id} {words}` says why it stays off."
    )
    hint = f"`vmq validate {incident.id}` looks again, and shows the whole of each.\n{despite}"
    number = (
        f"1 check is in the way: {_names(held)}" if len(held) == 1 else f"{len(held)} checks are in the way"
    )
    message = f"Not closed: {number}."
    if all(one.ok is None for one in held) and incident.observed("sync-jobs").problem:
        return AwsError(message, hint=hint)
    return CheckFailed(message, hint=hint)
