"""Keeps the cadence: sends what is due when it is due, until the incident is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from vmqlib.errors import VmqError, WorldChanged
from vmqlib.runbook.communicate.plan import cadence, due_now, plan
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
    """

    at: datetime
    text: str
    sent: tuple[Sent, ...] = ()


def keep(
    incident: Incident,
    channels: Callable[[], Channels],
    sleep: Callable[[float], object],
    *,
    image: Callable[[Channels], Image | None] = lambda _: None,
    refresh: Callable[[], None] = lambda: None,
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

    Raises
    ------
    LockHeld
        When another process keeps this incident's cadence.
    """
    with one_at_a_time(incident.dir, ".watching.lock", "keeps this incident's cadence", patience=0):
        failures, not_before, said = 0, incident.clock.now(), None
        while not incident.state.closed_at:
            now = incident.clock.now()
            at = cadence(incident, now)
            if (at.update_due or at.stakeholders_due) and now >= not_before:
                told = _once(incident, channels(), image, refresh)
                yield told
                failures = failures + 1 if any(not one.ok for one in told.sent) or not told.sent else 0
                wait = (
                    min(_FIRST_BACKOFF * 2 ** min(failures - 1, 10), _LONGEST_BACKOFF)
                    if failures
                    else timedelta()
                )
                if any(one.maybe or one.unset for one in told.sent):
                    wait = incident.state.update_every
                not_before = incident.clock.now() + wait
                continue
            until = max(at.next_at or now, not_before)
            if until != said:
                said = until
                yield Told(now, f"Next at {show_time(until)}, in {duration(until - now)}.")
            sleep(min(LONGEST_PAUSE, max(0.5, (until - now).total_seconds())))
        yield Told(incident.clock.now(), f"{incident.id} is closed: nothing more is due.")


def _once(
    incident: Incident,
    channels: Channels,
    image: Callable[[Channels], Image | None],
    refresh: Callable[[], None],
) -> Told:
    try:
        refresh()
        trouble = ""
    except VmqError as error:
        trouble = f" It could not be looked at AWS before: {error.message}"
    try:
        found = reconcile(incident, channels)
        made = plan(incident, _due(incident))
        sent = send(incident, made, made.digest, channels, image=image(channels)) if made.deliveries else ()
    except WorldChanged:
        return Told(incident.clock.now(), "Somebody else sent one meanwhile.")
    except VmqError as error:
        return Told(incident.clock.now(), f"Not sent: {error.message} {error.hint}")
    words = " ".join([*found, *(_words(one) for one in sent)]) or made.summary
    return Told(incident.clock.now(), words + trouble, sent)


def _due(incident: Incident) -> tuple[str, ...]:
    """What is due, and no more: the e-mail to stakeholders alone where the channel was told in time."""
    at = cadence(incident)
    return tuple(one for one in due_now(incident) if at.update_due or one == "stakeholders")


def _words(one: Sent) -> str:
    if one.receipt is not None:
        return f"{one.delivery.message.subject}: sent to {one.receipt.channel}."
    return f"{one.problem} {' '.join(one.fallback)}"
