"""The clock of runbook step 5, from the journal alone: an update every 30 minutes, stakeholders told beyond 2 hours.

Nothing is stored: whoever reads the same journal at the same time is told the same, after a restart as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from vmqlib.record.state import STAKEHOLDERS, State, Update

__all__ = ["TOLERANCE", "Cadence", "Outcome", "Slot", "clock"]

TOLERANCE: Final = timedelta(minutes=1)
"""An update is on time up to so long after it was due."""

Why = Literal["cadence", "severity", "reopened", "stakeholders"]
Outcome = Literal["in time", "late", "never sent"]


@dataclass(frozen=True)
class Slot:
    """A time at which people were, or are, to be told.

    Parameters
    ----------
    due_at:
        When.
    why:
        ``cadence`` (the time since the last update), ``severity`` (a person changed it), ``reopened`` (the channel
        believed that it was over), or ``stakeholders``.
    told:
        The message that was sent for it; ``None`` where none was.
    late:
        By how much that was, or is, after ``due_at``; zero up to :data:`TOLERANCE`.
    """

    due_at: datetime
    why: Why
    told: Update | None
    late: timedelta

    @property
    def kept(self) -> bool:
        """Whether it was told in time."""
        return self.told is not None and not self.late

    @property
    def sent(self) -> datetime | None:
        """When that message was sent; ``None`` where none was."""
        return self.told.at if self.told is not None else None

    @property
    def outcome(self) -> Outcome:
        """In words."""
        return "in time" if self.kept else "late" if self.told is not None else "never sent"


@dataclass(frozen=True)
class Cadence:
    """The clock at one moment.

    Parameters
    ----------
    now:
        The moment, UTC.
    past:
        Every time that is over, in the order in which people were told, or were not until the incident was closed.
    update:
        The next update; ``None`` once the incident is closed.
    stakeholders:
        The e-mail to stakeholders that is to come; ``None`` once it was sent, or the incident is closed.
    told:
        Every message that went out, oldest first.
    every:
        How often an update is due.
    longest:
        The longest time in which nothing was said in the channel, while the incident was open.
    """

    now: datetime
    past: tuple[Slot, ...]
    update: Slot | None
    stakeholders: Slot | None
    told: tuple[Update, ...] = ()
    every: timedelta = timedelta()
    longest: timedelta = timedelta()

    @property
    def updates(self) -> tuple[Slot, ...]:
        """The updates in the channel that were due or sent by now, oldest first: for whoever looks back."""
        waiting = (self.update,) if self.update is not None and self.update.late else ()
        return (*(one for one in self.past if one.why != "stakeholders"), *waiting)

    def count(self, outcome: Outcome) -> int:
        """How many of :attr:`updates` went so."""
        return sum(one.outcome == outcome for one in self.updates)

    @property
    def update_due(self) -> bool:
        """Whether an update is due now."""
        return self.update is not None and self.update.due_at <= self.now

    @property
    def stakeholders_due(self) -> bool:
        """Whether the e-mail to stakeholders is due now."""
        return self.stakeholders is not None and self.stakeholders.due_at <= self.now

    @property
    def next_at(self) -> datetime | None:
        """When the next of them is due, perhaps already; ``None`` once nothing is."""
        return min((one.due_at for one in (self.update, self.stakeholders) if one), default=None)

    @property
    def late(self) -> tuple[Slot, ...]:
        """What was told late, or not at all, or is late now."""
        return tuple(
            one for one in (*self.past, self.update, self.stakeholders) if one is not None and one.late
        )


def clock(state: State, now: datetime, *, stakeholders_after: timedelta) -> Cadence:
    """What is due, what was late. Pure.

    Parameters
    ----------
    state:
        The fold over the journal.
    now:
        The moment, UTC.
    stakeholders_after:
        How long after the opening stakeholders are told (``stakeholder_hours`` in the settings).
    """
    if state.opened_at is None:
        return Cadence(now, (), None, None)
    past = list(_updates(state))
    past += _mails(state, stakeholders_after)
    update = stakeholders = None
    if state.closed_at is None:
        at = state.next_update_due
        assert at is not None
        again = state.reopened(by_mail=False) is not None
        why: Why = "reopened" if again else "severity" if at in state.severity_set else "cadence"
        update = Slot(at, why, None, _late(at, now))
        if due := state.stakeholders_due(stakeholders_after):
            stakeholders = Slot(due, "stakeholders", None, _late(due, now))
    ordered = tuple(sorted(past, key=lambda one: one.told.at if one.told else one.due_at))
    longest = max(_silences(state, now))
    return Cadence(now, ordered, update, stakeholders, state.updates, state.update_every, longest)


def _updates(state: State) -> Iterator[Slot]:
    """Each update with when it was due; and the time after the last one, where the incident was closed beyond it."""
    for begun, closed in state.stretches:
        before, due = begun, begun + state.update_every
        again = begun != state.opened_at and state.said_over(begun, by_mail=False)
        for one in state.updates:
            if one.counts and begun <= one.at and (closed is None or one.at <= closed):
                if again and one.at == begun:
                    continue  # what said that it is over
                yield _slot(state, before, due, one.at, one, again=again)
                before, due, again = one.at, state.next_after(one), False
        if closed is not None:
            last = _slot(state, before, due, closed, None, again=again)
            if last.late:
                yield last


def _mails(state: State, after: timedelta) -> Iterator[Slot]:
    """The e-mails to stakeholders that were sent, or never: once it lasts, and again where it was reopened and they
    believed that it was over."""
    assert state.opened_at is not None
    mails = [one for one in state.updates if one.message == STAKEHOLDERS]
    lasts = state.open_beyond(after)
    if mails:
        due = lasts or state.opened_at + after
        yield Slot(due, "stakeholders", mails[0], _late(due, mails[0].at))
    elif lasts is not None and state.closed_at is not None and state.closed_at > lasts:
        yield Slot(lasts, "stakeholders", None, _late(lasts, state.closed_at))
    for begun, closed in state.stretches[1:]:
        if not state.said_over(begun, by_mail=True):
            continue
        told = next((one for one in mails if begun < one.at and (closed is None or one.at <= closed)), None)
        if told is not None:
            yield Slot(begun, "stakeholders", told, _late(begun, told.at))
        elif closed is not None and (late := _late(begun, closed)):
            yield Slot(begun, "stakeholders", None, late)


def _silences(state: State, now: datetime) -> Iterator[timedelta]:
    """How long nothing was said, each time."""
    for begun, closed in state.stretches:
        end = closed or max(now, begun)
        said = [one.at for one in state.updates if one.counts and begun <= one.at <= end]
        yield from (after - before for before, after in pairwise([begun, *said, end]))


def _slot(
    state: State, before: datetime, due: datetime, at: datetime, told: Update | None, *, again: bool
) -> Slot:
    """The time that an update at ``at`` is for, when people had been told at ``before``, and the next was ``due`` then;
    ``again``: it was reopened at ``before``, and they were to be told at once."""
    if again:
        return Slot(before, "reopened", told, _late(before, at))
    changed = min((when for when in state.severity_set if before < when < at), default=None)
    if changed is not None and changed < due:
        return Slot(changed, "severity", told, _late(changed, at))
    return Slot(due, "cadence", told, _late(due, at))


def _late(due: datetime, at: datetime) -> timedelta:
    span = at - due
    return span if span > TOLERANCE else timedelta()
