"""What is to be sent, to whom: shown first, sent only when it is approved by its digest."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from vmqlib.errors import BadInput
from vmqlib.record.canonical import canonical, digest
from vmqlib.record.state import STAKEHOLDERS, Reopening, State
from vmqlib.runbook.communicate.brief import brief
from vmqlib.runbook.communicate.clock import Cadence, clock
from vmqlib.runbook.communicate.message import Message, build, kind_of, rewrite
from vmqlib.runbook.communicate.receipts import Attachment

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["ATTACHED", "Delivery", "MessagePlan", "cadence", "due_now", "edited", "last_told", "plan"]

Place = Literal["slack", "mail"]

ATTACHED: Final = frozenset({"stakeholders", "security", "resolved", "retro"})
"""Messages that the record goes with."""

_SLACK = frozenset({"acknowledged", "update", "severity", "resolved", "retro"})


@dataclass(frozen=True)
class Delivery:
    """One message to one place.

    Parameters
    ----------
    message:
        What.
    place:
        ``slack`` or ``mail``.
    to:
        The channel, or addresses.
    attachments:
        Files for it, beside the record.
    """

    message: Message
    place: Place
    to: tuple[str, ...]
    attachments: tuple[Attachment, ...] = ()

    @property
    def where(self) -> str:
        """Where to, for people."""
        return ", ".join(self.to)


@dataclass(frozen=True)
class MessagePlan:
    """Messages to be sent. Making one sends nothing.

    Parameters
    ----------
    incident_id:
        Of which incident.
    deliveries:
        What is sent where, in order.
    warnings:
        What to know before.
    told:
        The number of the journal's last event about messages: what came after it was not looked at.
    """

    incident_id: str
    deliveries: tuple[Delivery, ...]
    warnings: tuple[str, ...] = ()
    told: int = 0

    @property
    def digest(self) -> str:
        """Of what is sent to whom. The time of the next update is not in it: it follows from when this is sent."""
        every = [
            {
                "basis": one.message.basis,
                "place": one.place,
                "to": list(one.to),
                "attachments": [digest(each.content) for each in one.attachments],
            }
            for one in self.deliveries
        ]
        return digest(canonical({"incident": self.incident_id, "deliveries": every}))[:12]

    @property
    def summary(self) -> str:
        """In a sentence."""
        told = [f"{one.message.kind} to {one.where}" for one in self.deliveries]
        return f"Sends {', '.join(told)}." if told else "Sends nothing."

    @property
    def text(self) -> str:
        """Every message as it will be sent."""
        parts = [
            f"To: {one.where}\nSubject: {one.message.subject}\n\n{one.message.text}\n"
            for one in self.deliveries
        ]
        return "\n".join(parts)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        notes = "".join(f"<li>{html.escape(one)}</li>" for one in self.warnings)
        head = f"<p><strong>{html.escape(self.summary)}</strong> Digest {self.digest}. Nothing was sent.</p>"
        style = "white-space:pre-wrap;border:1px solid #999;padding:0.6em"
        page = f"{head}<ul>{notes}</ul><pre style='{style}'>{html.escape(self.text)}</pre>"
        return {"text/html": page, "text/plain": f"{self.summary} Digest {self.digest}.\n{self.text}"}


def cadence(incident: Incident, now: datetime | None = None) -> Cadence:
    """The incident's clock; by default now."""
    after = timedelta(hours=incident.judged_by.stakeholder_hours)
    return clock(incident.state, now or incident.clock.now(), stakeholders_after=after)


def due_now(incident: Incident) -> tuple[str, ...]:
    """The messages that ``vmq update`` sends: the update (or the news of a severity that a person changed), and the
    e-mail to stakeholders where that is due."""
    state = incident.state
    told = next((one.at for one in reversed(state.updates) if one.counts), state.opened_at)
    news = any(told is None or at > told for at in state.severity_set)
    first = "severity" if news else "update"
    return (first, *((STAKEHOLDERS,) if cadence(incident).stakeholders_due else ()))


def plan(
    incident: Incident,
    kinds: str | Sequence[str],
    *,
    say: str = "",
    meeting_at: datetime | None = None,
    attachments: Iterable[Attachment] = (),
) -> MessagePlan:
    """What is to be sent, from the incident's folder alone. Sends nothing, and asks nobody anything.

    Parameters
    ----------
    kinds:
        Messages: :data:`vmqlib.runbook.communicate.message.KINDS`.
    say:
        What a person adds to each of them.
    meeting_at:
        When the review is, for its invitation.
    attachments:
        Files that go with the invitation's mail, beside the record: its .ics.

    Raises
    ------
    BadInput
        When there is no such message, or an incident that is closed is to have an update.
    SettingsError
        When a template was changed and is wrong.
    """
    names = [kind_of(one) for one in ([kinds] if isinstance(kinds, str) else kinds)]
    state, settings = incident.state, incident.settings
    if state.closed_at and (late := [one for one in names if one not in ("resolved", "retro", "security")]):
        raise BadInput(
            f"{incident.id} is closed: there is no {late[0]} to send.",
            hint=f"`vmq show {incident.id}` shows how it ended.",
        )
    told = last_told(incident)
    now = incident.clock.now()
    known = brief(
        incident,
        say=incident.redactor.text(say).strip(),
        next_update_at=now + state.update_every,
        meeting_at=meeting_at,
    )
    deliveries: list[Delivery] = []
    warnings: list[str] = []
    files = tuple(attachments)
    for kind in names:
        message = build(kind, replace(known, reopened=_unknown(state, kind)), incident.redactor.text)
        if kind in _SLACK:
            deliveries.append(Delivery(message, "slack", (settings.slack_channel,)))
        if to := _recipients(incident, kind):
            deliveries.append(Delivery(message, "mail", to, files if kind == "retro" else ()))
        elif kind == STAKEHOLDERS:
            warnings.append(
                "No stakeholders are named under [email] in vmq.toml: the knowledge ops lead is told."
            )
            deliveries.append(Delivery(message, "mail", (settings.contacts.knowledge_ops,)))
    if known.waiting:
        warnings.append(f"Waiting: {known.waiting[0]}")
    return MessagePlan(incident.id, tuple(deliveries), tuple(warnings), told)


def edited(made: MessagePlan, change: Callable[[Message], str], mask: Callable[[str], str]) -> MessagePlan:
    """The plan with each message as a person wrote it. A message that goes to several places is asked for once.

    Parameters
    ----------
    change:
        Gives the new text of a message.
    mask:
        Takes secrets out of it.
    """
    texts: dict[str, Message] = {}
    deliveries = []
    for one in made.deliveries:
        if one.message.kind not in texts:
            texts[one.message.kind] = rewrite(one.message, change(one.message), mask)
        deliveries.append(replace(one, message=texts[one.message.kind]))
    return replace(made, deliveries=tuple(deliveries))


def last_told(incident: Incident) -> int:
    """The number of the last event about messages; 0 where there is none."""
    return max((event.seq for event in incident.journal.events() if event.step == "communicate"), default=0)


def _unknown(state: State, kind: str) -> Reopening | None:
    """The reopening that whoever gets that message does not know of."""
    if state.closed_at or kind not in (*_SLACK, STAKEHOLDERS):
        return None
    return state.reopened(by_mail=kind == STAKEHOLDERS)


def _recipients(incident: Incident, kind: str) -> tuple[str, ...]:
    settings = incident.settings
    contacts, people = settings.contacts, settings.email.stakeholders
    if kind == STAKEHOLDERS:
        return people
    if kind == "security":
        return (contacts.security,)
    if kind == "retro":
        return tuple(dict.fromkeys((contacts.knowledge_ops, contacts.security)))
    # Whoever was told that it lasts is told that it is over.
    told = any(one.message == STAKEHOLDERS and not one.fallback for one in incident.state.updates)
    return people if kind == "resolved" and told else ()
