"""Sends what was approved, and writes down what became of it. What cannot be sent is left as a file, and said."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import string
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput, DeliveryFailed, LockHeld, VmqError, WorldChanged
from vmqlib.record.evidence import Question
from vmqlib.record.storage import storage_errors, write_atomically
from vmqlib.runbook.communicate.attaching import attachments
from vmqlib.runbook.communicate.documents import Document, source
from vmqlib.runbook.communicate.message import Message, instead
from vmqlib.runbook.communicate.plan import Delivery, MessagePlan, last_told
from vmqlib.runbook.communicate.receipts import Channel, Image, Outgoing, Receipt
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.record.events import Event, EvidenceRef
    from vmqlib.record.incident import Incident
    from vmqlib.record.state import Update
    from vmqlib.runbook.communicate.channels import Channels

__all__ = ["ACTION", "Sent", "by_hand", "draft", "one_at_a_time", "reconcile", "send"]

STEP = "communicate"
ACTION = "message"
_PATIENCE_S, _ROUND_S = 30.0, 0.2


@dataclass(frozen=True)
class Sent:
    """What became of one delivery.

    Parameters
    ----------
    delivery:
        What was to be sent where.
    receipt:
        What the receiver answered; ``None`` where it was not sent, or that is not known.
    problem, hint:
        Why not, and what to do.
    maybe:
        Whether it may have arrived all the same.
    fallback:
        What was done instead: where the text was left, and to whom it was mailed.
    unset:
        Whether there is no way to send it.
    stopped:
        Whether somebody pressed Ctrl-C while it waited to be tried again.
    """

    delivery: Delivery
    receipt: Receipt | None = None
    problem: str = ""
    hint: str = ""
    maybe: bool = False
    fallback: tuple[str, ...] = ()
    unset: bool = False
    stopped: bool = False

    @property
    def ok(self) -> bool:
        """Whether it arrived where it should."""
        return self.receipt is not None


def send(
    incident: Incident, made: MessagePlan, approval: str, channels: Channels, *, image: Image | None = None
) -> tuple[Sent, ...]:
    """Sends every message of the plan, each journaled before and after. One that fails does not stop the others.

    Parameters
    ----------
    approval:
        The plan's digest.
    channels:
        The ways.
    image:
        A picture for Slack.

    Raises
    ------
    BadInput
        When the approval is of another plan.
    WorldChanged
        When a message went out since the plan was made.
    LockHeld
        When somebody else is sending.
    StorageError, CorruptRecord
        When the journal cannot be written: then nothing is sent.
    """
    if approval != made.digest:
        raise BadInput(
            f"What was approved ({approval[:40]}) is not what would be sent ({made.digest}).",
            hint="Look at the preview again, and approve its digest.",
        )
    with one_at_a_time(incident.dir, ".sending.lock", "is sending messages of this incident"):
        if last_told(incident) != made.told:
            raise WorldChanged(
                "A message went out, or failed, since this one was prepared.",
                hint=f"`vmq show {incident.id}` shows it; run this again where it is still needed.",
            )
        return tuple(_deliver(incident, one, made.digest, channels, image) for one in made.deliveries)


def _deliver(
    incident: Incident, delivery: Delivery, approval: str, channels: Channels, image: Image | None
) -> Sent:
    slack = delivery.place == "slack"
    channel = channels.slack if slack else channels.mail(delivery.to)
    if channel is None:
        why = channels.why_no_slack if slack else channels.why_no_mail
        missing = DeliveryFailed(f"Not sent to {delivery.where}: {why}", hint=_SETUP, why=why)
        return replace(_not_sent(incident, delivery, "", missing, channels), unset=True)
    data, ref = _begun(incident, delivery, approval, channel, _marker())
    outgoing = Outgoing(
        message=delivery.message,
        marker=data["item"],
        whole=f"the whole of it is in {incident.id}, evidence file {ref.file}.",
        thread=_thread(incident, channel),
        image=image if slack else None,
        attachments=attachments(incident, delivery),
        at=incident.clock.now(),
    )
    try:
        receipt = channel.deliver(outgoing)
    except VmqError as error:
        return _not_sent(incident, delivery, data["item"], error, channels)
    _arrived(incident, delivery, data, receipt, ref)
    return Sent(delivery, receipt)


_SETUP = "docs/communicate.md says how to set it up."


def _marker() -> str:
    """A random name. Letters alone: digits might look like a card's number, and be masked in the journal."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))


def _begun(
    incident: Incident, delivery: Delivery, approval: str, channel: Channel, marker: str
) -> tuple[dict[str, Any], EvidenceRef]:
    """The text as it is sent is kept, and the intention is written down, before anything leaves."""
    message = delivery.message
    question = Question(
        name=f"message-{message.kind}",
        call=f"{channel.via}:send",
        at=incident.clock.now(),
        parameters={"to": list(delivery.to), "digest": approval},
        region=incident.identity.region,
        account=incident.identity.account,
        caller=incident.actor().caller,
    )
    row = {
        "kind": message.kind,
        "subject": message.subject,
        "text": message.text,
        "source": source(message.document),
    }
    ref = incident.evidence.add(question, [row], incident.redactor)
    data = {
        "action": ACTION,
        "message": message.kind,
        "digest": approval,
        "item": marker,
        "channel": channel.where,
        "via": channel.via,
    }
    if message.next_update_at is not None:
        data["next_update_at"] = iso(message.next_update_at)
    incident.applying(STEP, f"Send {message.kind} to {channel.where}.", data, [ref])
    return data, ref


def _arrived(
    incident: Incident, delivery: Delivery, data: dict[str, Any], receipt: Receipt, ref: EvidenceRef
) -> Event:
    told = {
        **data,
        "reference": receipt.reference,
        "thread": receipt.thread,
        "permalink": receipt.permalink,
        "domain": receipt.domain,
        "answer": receipt.answer,
        "subject": delivery.message.subject,
    }
    if receipt.remark:
        told["remark"] = receipt.remark
    remark = f" {receipt.remark}" if receipt.remark else ""
    what = f"{delivery.message.subject}: sent to {receipt.channel}.{remark}"
    return incident.notified(what, channel=receipt.channel, data=told, evidence=[ref])


def _not_sent(
    incident: Incident, delivery: Delivery, marker: str, error: VmqError, channels: Channels
) -> Sent:
    """The way out: a file to paste by hand, and for the channel a mail to the lead. Nothing here stops the work."""
    maybe = bool(getattr(error, "maybe", False))
    why = _why(error)
    path = _left_as_file(incident, delivery)
    done = [f"The text is in {path}: paste it by hand."]
    stands_in = delivery.place == "slack" and not maybe
    earlier = _mailed_before(incident, delivery.message) if stands_in else None
    data: dict[str, Any] = {
        "action": ACTION,
        "message": delivery.message.kind,
        "item": marker,
        "channel": delivery.where,
        "problem": error.message,
        "hint": error.hint,
        "error": type(error).__name__,
        "code": str(getattr(error, "code", "")),
        "maybe": maybe,
        "written": str(path.relative_to(incident.dir)),
        "news": delivery.message.news,
    }
    what = "may have been sent" if maybe else "was not sent"
    said = f"{delivery.message.kind} {what} to {delivery.where}: {why}"
    if earlier is not None:
        known = f"The same was mailed to {earlier.channel} at {earlier.at:%H:%M} UTC already"
        incident.failed(
            STEP, f"{said} {known}.", {**data, "mailed_to": earlier.channel, "mailed_at": iso(earlier.at)}
        )
        until = earlier.at + incident.state.update_every
        done.append(f"{known}; it is mailed again before {until:%H:%M} UTC only if it says something new.")
    else:
        incident.failed(STEP, said, data)
        if stands_in and (mailed := _mailed(incident, delivery, why, channels)):
            done.append(mailed)
    stopped = bool(getattr(error, "stopped", False))
    return Sent(delivery, None, why, error.hint, maybe, tuple(done), stopped=stopped)


def _why(error: VmqError) -> str:
    return str(getattr(error, "why", "") or error.message)


def _left_as_file(incident: Incident, delivery: Delivery) -> Path:
    folder = incident.dir / "messages"
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"{_slot(incident, delivery):%Y%m%dT%H%M%SZ}-{delivery.message.kind}-{delivery.place}.txt"
    text = f"To: {delivery.where}\n{source(delivery.message.document)}"
    write_atomically(path, text.encode("utf-8", "replace"))
    return path


def draft(incident: Incident, message: Message) -> Path:
    """A message that was written by hand and only looked at, left in the incident's folder: ``--text`` sends it."""
    folder = incident.dir / "messages"
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"draft-{message.kind}-{message.basis[:12]}.txt"
    write_atomically(path, source(message.document).encode("utf-8", "replace"))
    return path


def _slot(incident: Incident, delivery: Delivery) -> datetime:
    """When it was due, or now: however often it is tried, there is one file for it."""
    kind, now = delivery.message.kind, incident.clock.now()
    if kind == "stakeholders":
        due = incident.state.stakeholders_due(timedelta(hours=incident.judged_by.stakeholder_hours))
    elif kind in ("resolved", "retro"):
        due = incident.state.closed_at
    else:
        due = incident.state.next_update_due if kind in ("update", "severity") else None
    return due if due is not None and due < now else now


def _mailed_before(incident: Incident, message: Message) -> Update | None:
    """The mail that said the same in the channel's place, while the time is running for which that was said."""
    said = {
        event.at
        for event in incident.journal.events()
        if event.kind == "notified"
        and event.data.fallback
        and getattr(event.data, "news", "") == message.news
    }
    last = next((one for one in reversed(incident.state.updates) if one.fallback and one.at in said), None)
    told = next((one.at for one in reversed(incident.state.updates) if one.counts), None)
    if last is None or (told is not None and told >= last.at):
        return None
    return last if incident.clock.now() < last.at + incident.state.update_every else None


def _mailed(incident: Incident, delivery: Delivery, why: str, channels: Channels) -> str:
    """The same by e-mail to the knowledge ops lead, who is told that it belongs into the channel."""
    to = (incident.settings.contacts.knowledge_ops,)
    channel = channels.mail(to)
    if channel is None:
        return ""
    message = instead(delivery.message, delivery.where, why, incident.redactor.text)
    stand_in = Delivery(message, "mail", to)
    data, ref = _begun(incident, stand_in, "", channel, _marker())
    data |= {"fallback": True, "news": message.news}
    try:
        receipt = channel.deliver(
            Outgoing(message, data["item"], "", _thread(incident, channel), at=incident.clock.now())
        )
    except VmqError as error:
        more = {"problem": error.message, "hint": error.hint, "maybe": bool(getattr(error, "maybe", False))}
        incident.failed(STEP, f"Nor was it mailed to {channel.where}: {_why(error)}", {**data, **more})
        return f"Nor could it be mailed to {channel.where}: {_why(error)}"
    _arrived(incident, stand_in, data, receipt, ref)
    return f"It was mailed to {channel.where} instead."


def _thread(incident: Incident, channel: Channel) -> tuple[str, ...]:
    """What a message to that channel hangs on, from the journal."""
    before = [one for one in incident.state.updates if one.channel == channel.where and one.reference]
    if channel.via == "slack":
        return tuple(one.thread or one.reference for one in before if one.via == "slack")[:1]
    return tuple(f"{one.reference}@{one.domain}" for one in before if one.domain)


def by_hand(incident: Incident, kind: str, reference: str = "") -> Event:
    """A person says that they posted a message themselves. The clock takes their word.

    Parameters
    ----------
    kind:
        Which message.
    reference:
        Where it is: a link; may be empty.
    """
    channel = incident.settings.slack_channel
    told = {"message": kind, "via": "by hand", "permalink": reference.strip()}
    return incident.notified(
        f"{kind} was posted by hand, says {incident.actor().user}.", channel=channel, data=told
    )


def reconcile(incident: Incident, channels: Channels) -> tuple[str, ...]:
    """Looks for messages of which nobody knows whether they arrived: an answer was lost, or the process died while it
    sent. What is found is written down as sent, what is certainly not there as not sent.

    Returns
    -------
    tuple of str
        What was found out, or still is not known, a sentence each.
    """
    if not _pending(incident):
        return ()
    # What another process is sending right now has its end on record once the lock is free.
    with one_at_a_time(incident.dir, ".sending.lock", "is sending messages of this incident"):
        return tuple(_looked_for(incident, event, channels) for event in _pending(incident))


def _looked_for(incident: Incident, event: Event, channels: Channels) -> str:
    data = event.data.model_dump()
    what = f"{data['message']} of {event.at:%H:%M}"
    channel = channels.slack if data["via"] == "slack" else None
    if channel is None or channel.via != "slack":
        return f"Nobody knows whether {what} arrived in {data['channel']}: look there."
    nothing = Message("update", incident.id, Document("", ()), "")
    lost = Outgoing(nothing, data["item"], "", _thread(incident, channel), at=event.at)
    try:
        receipt = channel.find(lost)
    except DeliveryFailed as error:
        return f"Nobody knows whether {what} arrived in {channel.where}. {error.message} {error.hint}"
    if receipt is None:
        incident.conclude(
            STEP, f"{what} did not arrive in {channel.where}.", {"verdict": "not sent", "item": data["item"]}
        )
        return f"{what} did not arrive in {channel.where}; it is sent anew where it is due."
    told = {
        **data,
        "reference": receipt.reference,
        "thread": receipt.thread,
        "answer": receipt.answer,
        "sent_at": iso(event.at),
    }
    incident.notified(
        f"{what} did arrive in {channel.where}.", channel=channel.where, data=told, evidence=event.evidence
    )
    return f"{what} did arrive in {channel.where}."


def _pending(incident: Incident) -> Sequence[Event]:
    """Begun messages without a known end. A later one of the same kind that did arrive there takes their place."""
    begun: dict[str, Event] = {}
    for event in incident.journal.events():
        if event.step != STEP:
            continue
        if event.kind == "notified":
            told = event.data
            begun = {key: one for key, one in begun.items() if not _same(one, told.channel, told.message)}
        item = getattr(event.data, "item", "")
        if not item:
            continue
        if event.kind == "applying" and event.data.action == ACTION:
            begun[item] = event
        elif event.kind != "failed" or not getattr(event.data, "maybe", False):
            begun.pop(item, None)
    return tuple(begun.values())


def _same(event: Event, channel: str, message: str) -> bool:
    return (getattr(event.data, "channel", ""), getattr(event.data, "message", "")) == (channel, message)


@contextlib.contextmanager
def one_at_a_time(
    folder: Path,
    name: str,
    doing: str,
    *,
    patience: float = _PATIENCE_S,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[None]:
    """Within the block this process alone does something in the incident's folder. A hidden file is locked (flock): the
    lock dies with its process.

    Parameters
    ----------
    name:
        The file.
    doing:
        What the other one does, for the message.
    patience:
        Seconds to wait for it; 0 not at all.

    Raises
    ------
    LockHeld
        When the other one goes on.
    """
    path = folder / name
    with storage_errors(path, "lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise LockHeld(
                        f"Another vmq {doing}.", hint="Leave it to that one, or stop it (Ctrl-C) first."
                    ) from None
                sleep(_ROUND_S)
        yield
    finally:
        os.close(descriptor)
