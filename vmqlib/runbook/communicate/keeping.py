"""Keeps the cadence: sends what is due when it is due, until the incident is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from vmqlib.errors import Interrupted, VmqError, WorldChanged
from vmqlib.record.state import STAKEHOLDERS
from vmqlib.runbook.communicate.plan import MessagePlan, cadence, due_now, plan
from vmqlib.runbook.communicate.sending import Sent, one_at_a_time, reconcile, send
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.communicate.channels import Channels
    from vmqlib.runbook.communicate.receipts import Image

__all__ = ["LONGEST_PAUSE", "Told", "keep"]

LONGEST_PAUSE: Final = 20.0
"""Seconds between two looks at the journal: what others wrote (a message, a severity, the closing) is noticed then."""

_FIRST_BACKOFF, _LONGEST_BACKOFF = timedelta(minutes=1), timedelta(minutes=10)


@dataclass(frozen=True)
class Told:
    """Something that happened while the cadence was kept.

    Parameters
    ----------
    at:
        When.
    text:
        In a sentence.
    sent:
        What became of the messages; empty where none were due.
    again:
        Whether the clock is simply to be looked at again.
    """

    at: datetime
    text: str
    sent: tuple[Sent, ...] = ()
    again: bool = False


def keep(
    incident: Incident,
    channels: Callable[[], Channels],
    sleep: Callable[[float], object],
    *,
    image: Callable[[Channels], Image | None] = lambda _: None,
    refresh: Callable[[], None] = lambda: None,
    renew: Callable[[MessagePlan], None] = lambda _: None,
) -> Iterator[Told]:
    """Sends what is due, when it is due, and gives what happened. Ends when the incident is closed.

    A message that cannot be sent is tried again, after longer and longer pauses. One of which nobody knows whether it
    arrived, or for which no way is set up, is not, until the next one would be due.

    Parameters
    ----------
    channels:
        Opens the ways; called for each message, so that a token that was mended counts.
    sleep:
        Waits so many seconds.
    image:
        Makes the picture for the channel.
    refresh:
        Looks at AWS before each message; what it raises is told, and stops nothing.
    renew:
        Writes the record that goes with a mail anew before that is sent; it lets nothing stop that.

    Raises
    ------
    LockHeld
        When another process keeps this incident's cadence.
    KeyboardInterrupt
        When somebody pressed Ctrl-C; where that was while a channel was tried again, what became of it is given first.
    """
    pauses = {name: _Pause() for name in ("update", STAKEHOLDERS)}
    with one_at_a_time(incident.dir, ".watching.lock", "keeps this incident's cadence", patience=0):
        said = None
        while not incident.state.closed_at:
            now = incident.clock.now()
            times = {
                name: max(at, pauses[name].until or at) for name, at in _due_times(incident, now).items()
            }
            due = [name for name, at in times.items() if at <= now]
            if due:
                told = _once(incident, due, channels(), image, refresh, renew)
                yield told
                if any(one.stopped for one in told.sent):
                    raise KeyboardInterrupt
                for name in due:
                    pauses[name].after(told, name, incident)
                continue
            until = min(times.values())
            if until != said:
                said = until
                yield Told(now, f"Next at {show_time(until)}, in {duration(until - now)}.")
            sleep(min(LONGEST_PAUSE, max(0.5, (until - now).total_seconds())))
        yield Told(incident.clock.now(), f"{incident.id} is closed: nothing more is due.")


@dataclass
class _Pause:
    """How long one of the two is left alone: that mail fails must not hold up the channel.

    Parameters
    ----------
    failures:
        How often in a row it was not sent.
    until:
        Until when; ``None`` for now.
    """

    failures: int = 0
    until: datetime | None = None

    def after(self, told: Told, name: str, incident: Incident) -> None:
        """What became of it counts."""
        mine = [one for one in told.sent if _which(one.delivery.message.kind) == name]
        if told.again or (mine and all(one.ok for one in mine)):
            self.failures, self.until = 0, None
            return
        self.failures += 1
        wait = min(_FIRST_BACKOFF * 2 ** min(self.failures - 1, 10), _LONGEST_BACKOFF)
        if any(one.maybe or one.unset for one in mine):
            wait = incident.state.update_every
        self.until = incident.clock.now() + wait


def _which(kind: str) -> str:
    """Which of the two a message is."""
    return kind if kind == STAKEHOLDERS else "update"


def _due_times(incident: Incident, now: datetime) -> dict[str, datetime]:
    at = cadence(incident, now)
    slots = {"update": at.update, STAKEHOLDERS: at.stakeholders}
    return {name: slot.due_at for name, slot in slots.items() if slot is not None}


def _once(
    incident: Incident,
    due: Sequence[str],
    channels: Channels,
    image: Callable[[Channels], Image | None],
    refresh: Callable[[], None],
    renew: Callable[[MessagePlan], None],
) -> Told:
    try:
        refresh()
        trouble = ""
    except VmqError as error:
        trouble = f" It could not be looked at AWS before: {error.message}"
    try:
        if found := reconcile(incident, channels):
            trouble = f" {' '.join(found)}{trouble}"
        now = incident.clock.now()
        # What was found may have been what is due.
        still = {name for name, at in _due_times(incident, now).items() if at <= now and name in due}
        wanted = [one for one in due_now(incident) if _which(one) in still]
        if not wanted:
            return Told(incident.clock.now(), f"Nothing is due any more.{trouble}", again=True)
        made = plan(incident, wanted)
        renew(made)
        sent = send(incident, made, made.digest, channels, image=image(channels))
    except Interrupted as error:
        raise KeyboardInterrupt from error
    except WorldChanged:
        return Told(incident.clock.now(), "Somebody else sent one meanwhile.", again=True)
    except VmqError as error:
        return Told(incident.clock.now(), f"Not sent: {error.message} {error.hint}{trouble}")
    return Told(incident.clock.now(), " ".join(map(_words, sent)) + trouble, sent)


def _words(one: Sent) -> str:
    if one.receipt is not None:
        return f"{one.delivery.message.subject}: sent to {one.receipt.channel}."
    what = "perhaps sent" if one.maybe else "not sent"
    return f"{one.delivery.message.subject}: {what} to {one.delivery.where}. {one.problem} {' '.join(one.fallback)}"
