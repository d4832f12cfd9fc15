"""Runbook step 6, *Validate & Close*: it is over when every check says so. Then the last event, the entry in the
operations runbook, the invitation to the review, and the final record with its manifest.

    made = ready(incident)             validates, or refuses
    close(incident, made, Words(…))    the last event
    afterwards(incident)               entry, invitation, record; can be called again
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from vmqlib.errors import AwsError, BadInput, CheckFailed, VmqError
from vmqlib.record.incident import Incident
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.opening import Record, write_record
from vmqlib.runbook.operationsrunbook import Entered, enter
from vmqlib.runbook.retro import invitation
from vmqlib.runbook.stabilize.closing import no_schedule_left_off
from vmqlib.runbook.validation import SCHEDULE, Validation, validate
from vmqlib.runbook.validation.names import ESSENTIAL

__all__ = ["Afterwards", "Words", "afterwards", "close", "in_the_way", "ready"]

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
class Afterwards:
    """What was done once an incident was closed.

    Parameters
    ----------
    record:
        The final record.
    entered:
        Its entry in the operations runbook; None where it was not wanted, or refused.
    invitation:
        The invitation to the review; None where it was refused.
    problems:
        Why something was refused. The incident is closed all the same.
    """

    record: Record
    entered: Entered | None
    invitation: Path | None
    problems: tuple[VmqError, ...]


def in_the_way(made: Validation) -> tuple[CheckResult, ...]:
    """The checks that keep an incident open: those that failed, and of those that cannot be told the ones without which
    nobody knows whether it is over (:data:`~vmqlib.runbook.validation.names.ESSENTIAL`)."""
    return (*made.failing, *(check for check in made.unknown if check.name in ESSENTIAL))


def ready(
    incident: Incident,
    *,
    force: bool = False,
    reason: str = "",
    schedule_off_reason: str = "",
    ask: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Validates: gives what :func:`close` takes, or refuses. Nothing is closed yet.

    Parameters
    ----------
    force, reason:
        Close although a check is in the way, and why.
    schedule_off_reason:
        Why a schedule stays off that this incident switched off.
    ask:
        Whether to ask the canary questions.
    progress:
        Told what is being looked at.

    Raises
    ------
    CheckFailed
        When a check is in the way and it was not forced; when a schedule is still off without a reason.
    AwsError
        When it cannot be told because AWS could not be asked, likewise.
    BadInput
        When it is closed already, or forced without a reason.
    """
    if incident.state.closed_at:
        raise BadInput(f"{incident.id} is closed already.", hint="Add what is missing with `vmq note`.")
    if force and not reason.strip():
        raise BadInput("--force needs --reason.", hint="Say why it is closed although it is not over.")
    no_schedule_left_off(incident, schedule_off_reason)
    made = validate(incident, ask=ask, progress=progress)
    # A schedule that may stay off was spoken of above.
    held = [check for check in in_the_way(made) if check.name != SCHEDULE]
    if held and not force:
        raise _refusal(incident, held)
    return made


def close(incident: Incident, made: Validation, words: Words | None = None, *, reason: str = "") -> None:
    """Closes the incident. :func:`afterwards` writes what comes of that.

    Parameters
    ----------
    made:
        What :func:`ready` gave.
    words:
        What the record says of it.
    reason:
        Why it is closed all the same, where a check was in the way.

    Raises
    ------
    BadInput
        When it is closed already.
    """
    held = [check for check in in_the_way(made) if check.name != SCHEDULE]
    incident.close(_outcome(made, held, reason), **asdict(words or Words()))


def afterwards(incident: Incident, *, entry: bool = True) -> Afterwards:
    """Enters a closed incident into the operations runbook, writes the invitation to its review, and the final record.

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

    entered = tried(enter) if entry else None
    invited = tried(invitation)
    return Afterwards(write_record(incident), entered, invited, tuple(problems))


def _outcome(made: Validation, held: list[CheckResult], reason: str) -> str:
    """How it ended, in a sentence or two: what was in the way and why it was closed all the same; what nobody could
    tell."""
    forced = f"Forced: {reason.strip()}. In the way: {_names(held)}" if held else ""
    open_ends = [check for check in made.unknown if check not in held]
    untold = f"Not known: {_names(open_ends)}" if open_ends else ""
    return ". ".join(part for part in (forced, untold) if part)


def _names(checks: list[CheckResult]) -> str:
    return "; ".join(f"{one.name}{f' ({one.subject})' if one.subject else ''}" for one in checks)


def _refusal(incident: Incident, held: list[CheckResult]) -> VmqError:
    said = [
        f"{one.name}{f' ({one.subject})' if one.subject else ''}: {one.finding}"
        if one.ok is False
        else f"it cannot be told whether {one.name}{f' ({one.subject})' if one.subject else ''}: {one.finding}"
        for one in held
    ]
    mends = list(dict.fromkeys(one.mend for one in held if one.mend))
    way = f"{mends[0]}  " if len(mends) == 1 and "\n" not in mends[0] else ""
    hint = f"{way}`vmq validate {incident.id}` shows each; or close all the same with --force --reason."
    message = f"Not closed: {' '.join(one.rstrip('.') + '.' for one in said)}"
    if all(one.ok is None for one in held) and incident.observed("sync-jobs").problem:
        return AwsError(message, hint=hint)
    return CheckFailed(message, hint=hint)
