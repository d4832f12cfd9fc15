"""Runbook step 1, *Acknowledge & Triage*: somebody takes the incident, and says how severe it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput
from vmqlib.runbook.severity import given_by_person

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident

__all__ = ["Acknowledged", "acknowledge", "set_severity"]

_LONGEST_NAME = 80


@dataclass(frozen=True)
class Acknowledged:
    """Who has an incident.

    Parameters
    ----------
    by, at:
        Who acknowledged first, and when.
    after:
        How long after the opening.
    first:
        Whether it was this call.
    event:
        What was written now; ``None`` where nothing was.
    """

    by: str
    at: datetime
    after: timedelta
    first: bool
    event: Event | None


def acknowledge(incident: Incident, name: str = "") -> Acknowledged:
    """Somebody takes the incident. The first one counts; another one is noted; the same one again writes nothing.

    Parameters
    ----------
    name:
        Who, where that is not the user of this machine.

    Raises
    ------
    BadInput
        When the name cannot be one.
    """
    who = " ".join(name.split()) or incident.actor().user
    if len(who) > _LONGEST_NAME or not who.isprintable() or (name and name.isspace()):
        raise BadInput(
            f"{name[:40]!r} cannot be a name.", hint=f"Give at most {_LONGEST_NAME} printable characters."
        )
    who = incident.redactor.text(who)  # as it will stand on the disk
    event = None
    if not (incident.state.acknowledged_at and _again(incident, who)):
        event = incident.acknowledge(by=who if name else "")
    state = incident.state
    assert state.acknowledged_at is not None
    assert state.opened_at is not None
    after = state.acknowledged_at - state.opened_at
    # Of two at once, the journal's order decides.
    first = event is not None and event.kind == "phase" and event.at == state.acknowledged_at
    return Acknowledged(state.acknowledged_by, state.acknowledged_at, after, first, event)


def _again(incident: Incident, who: str) -> bool:
    """Whether this person acknowledged before, as the first one or later."""
    return who == incident.state.acknowledged_by or any(
        event.kind == "noted" and getattr(event.data, "acknowledged_by", "") == who
        for event in incident.journal.events()
    )


def set_severity(incident: Incident, severity: str, reason: str) -> Event | None:
    """A person says how severe it is, or confirms it with a reason; from then on the rule does not change it.

    Returns
    -------
    Event or None
        What was written; ``None`` where it is that severe already, and nothing new is said of it.

    Raises
    ------
    BadInput
        When it would change without a reason, or there is no such severity.
    """
    words, state = " ".join(reason.split()), incident.state
    if severity == state.severity and (
        not words or (given_by_person(incident) and incident.redactor.text(words) == state.severity_reason)
    ):
        return None
    if not words:
        raise BadInput(
            f"Why {severity}? A change of severity needs a reason.",
            hint=f"`vmq severity {incident.id} {severity} --reason '…'`",
        )
    return incident.set_severity(severity, words)
