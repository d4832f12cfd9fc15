"""The state of an incident: a fold over its journal, never stored beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from vmqlib.record.events import (
    Applied,
    Closed,
    Event,
    Failed,
    Noted,
    Notified,
    Observed,
    Opened,
    Phase,
    PhaseName,
    Severity,
    SeverityName,
    Undone,
)

__all__ = [
    "STAKEHOLDERS",
    "UPDATE_EVERY",
    "Action",
    "Closing",
    "Look",
    "Reopening",
    "State",
    "Stretches",
    "Update",
    "fold",
    "open_for",
]

UPDATE_EVERY = timedelta(minutes=30)
"""Runbook, step 5: post updates every 30 minutes."""

STAKEHOLDERS = "stakeholders"
"""The message by which stakeholders are told (runbook, step 5), as in :class:`~vmqlib.record.events.NotifiedData`."""

# "" is what the first version of the journal's format said of every message.
_CADENCE = frozenset({"", "acknowledged", "update", "severity", "resolved"})
_MAILS = ("ses", "smtp")
_OVER = "resolved"

Stretches = tuple[tuple[datetime, datetime | None], ...]
"""From when to when an incident was open, oldest first; ``None`` while it is."""


def open_for(stretches: Stretches, now: datetime) -> timedelta:
    """How long it was open until ``now``; the time between a closing and a reopening is none of it."""
    return sum(((end or now) - begun for begun, end in stretches), timedelta())


@dataclass(frozen=True)
class Action:
    """A change that was made.

    Parameters
    ----------
    seq:
        Its event's number.
    at:
        When.
    step, summary, actor:
        As in its event.
    action, digest, item:
        What kind of change; the digest of its plan, and which item of it, or ``""``.
    undone:
        Whether it was taken back later.
    """

    seq: int
    at: datetime
    step: str
    summary: str
    actor: str
    action: str = ""
    digest: str = ""
    item: str = ""
    undone: bool = False


@dataclass(frozen=True)
class Update:
    """A message that went out.

    Parameters
    ----------
    at:
        When it was sent.
    summary:
        As in its event.
    channel:
        Where to.
    message, reference, via, thread, permalink, domain, fallback, next_update_at:
        As in its event.
    """

    at: datetime
    channel: str
    summary: str
    message: str = ""
    reference: str = ""
    via: str = ""
    thread: str = ""
    permalink: str = ""
    domain: str = ""
    fallback: bool = False
    next_update_at: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the updates of the runbook's cadence: it reached the channel, and said how things
        stand. A mail to stakeholders, a security notice or what went another way is not."""
        return not self.fallback and self.message in _CADENCE

    @property
    def by_mail(self) -> bool:
        """Whether it was a mail."""
        return self.via in _MAILS


@dataclass(frozen=True)
class Closing:
    """The closing words (runbook: "Record timeline, impact, and remediation").

    Parameters
    ----------
    at:
        When.
    by:
        The user who closed it.
    impact, cause, remediation, outcome, customers:
        As in its event; ``""`` for what was not said.
    """

    at: datetime
    by: str
    impact: str = ""
    cause: str = ""
    remediation: str = ""
    outcome: str = ""
    customers: str = ""


@dataclass(frozen=True)
class Reopening:
    """A closed incident went on.

    Parameters
    ----------
    at, reason:
        As in its event.
    by:
        The user who reopened it.
    """

    at: datetime
    by: str
    reason: str = ""


@dataclass(frozen=True)
class Look:
    """The last looks at one source.

    Parameters
    ----------
    seen:
        The last that succeeded, or ``None``.
    failed:
        The failure after it, or ``None`` when the last look succeeded.
    """

    seen: Observed | None = None
    failed: Failed | None = None


@dataclass(frozen=True)
class State:
    """Where an incident stands.

    Parameters
    ----------
    severity, phase:
        As last set.
    severity_reason:
        Why it is that severe; empty while it is as it was opened.
    severity_set:
        When a person changed it, oldest first.
    opened_at, closed_at, acknowledged_at, last_event_at:
        Times, UTC; ``None`` for what has not happened.
    seen_at:
        When AWS was asked last, by the newest evidence; a closed incident's stays what it was at the closing. ``None``
        while nothing was seen.
    settings:
        The settings that it is judged by (:mod:`vmqlib.record.keptsettings`): of its opening, or of the look before
        which they had changed. Empty where none are kept.
    acknowledged_by:
        Who took the incident.
    closing:
        Who closed it, and the closing words; ``None`` while it is open.
    applied:
        Changes that were made, oldest first.
    updates:
        Messages that went out, oldest first.
    looks:
        The last looks at each source, by its name.
    events:
        How many events the journal has.
    update_every:
        The cadence of updates.
    closings:
        Every closing, oldest first; the last of them is ``closing``, unless it was reopened since.
    reopenings:
        Every reopening, oldest first.
    """

    severity: SeverityName = "SEV2"
    severity_reason: str = ""
    severity_set: tuple[datetime, ...] = ()
    phase: PhaseName = "open"
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    closed_at: datetime | None = None
    closing: Closing | None = None
    last_event_at: datetime | None = None
    seen_at: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    applied: tuple[Action, ...] = ()
    updates: tuple[Update, ...] = ()
    looks: Mapping[str, Look] = field(default_factory=lambda: MappingProxyType({}))
    events: int = 0
    update_every: timedelta = UPDATE_EVERY
    closings: tuple[Closing, ...] = ()
    reopenings: tuple[Reopening, ...] = ()

    @property
    def time_to_acknowledge(self) -> timedelta | None:
        """From the opening to the acknowledgement; ``None`` while nobody has acknowledged."""
        if self.acknowledged_at is None or self.opened_at is None:
            return None
        return self.acknowledged_at - self.opened_at

    @property
    def stretches(self) -> Stretches:
        """From when to when it was open: once, or again after each reopening; ``None`` while it is."""
        if self.opened_at is None:
            return ()
        begins = [self.opened_at, *(one.at for one in self.reopenings)]
        return tuple(zip_longest(begins, (one.at for one in self.closings)))

    def open_for(self, now: datetime) -> timedelta:
        """How long it was open until ``now``; the time between a closing and a reopening is none of it."""
        return open_for(self.stretches, now)

    def open_beyond(self, after: timedelta) -> datetime | None:
        """The moment at which it had been open for ``after``; ``None`` where it was closed before that."""
        left = after
        for begun, end in self.stretches:
            if end is None or end - begun >= left:
                return begun + left
            left -= end - begun
        return None

    def said_over(self, at: datetime, *, by_mail: bool) -> bool:
        """Whether the last that was said by ``at``, in the channel or by mail to stakeholders, is that it is over."""
        said = [one for one in self._said(by_mail) if one.at <= at]
        return bool(said) and said[-1].message == _OVER

    def reopened(self, *, by_mail: bool) -> Reopening | None:
        """The reopening that has to be told: in the channel, or by mail to stakeholders, it is believed to be over."""
        if not self.reopenings:
            return None
        last = self.reopenings[-1]
        since = any(one.at > last.at for one in self._said(by_mail))
        return last if not since and self.said_over(last.at, by_mail=by_mail) else None

    def _said(self, by_mail: bool) -> list[Update]:
        """What was said of how it stands in the channel, or by mail to stakeholders."""
        return [
            one
            for one in self.updates
            if one.by_mail == by_mail and (one.counts or (one.message == STAKEHOLDERS and not one.fallback))
        ]

    @property
    def next_update_due(self) -> datetime | None:
        """When people are to be told next: when the last update said that the next one comes; where it did not say, the
        cadence after it, or after the opening or the reopening, whichever was last; at once when a person changed the
        severity since then, or reopened what the channel believes to be over; ``None`` while the incident is closed."""
        if self.closed_at or self.opened_at is None:
            return None
        if again := self.reopened(by_mail=False):
            return again.at
        begun = max([self.opened_at, *(one.at for one in self.reopenings[-1:])])
        last = max(
            (one for one in reversed(self.updates) if one.counts), key=lambda one: one.at, default=None
        )
        if last is not None and last.at >= begun:
            begun, due = last.at, self.next_after(last)
        else:
            due = begun + self.update_every
        return min((due, *(at for at in self.severity_set if at > begun)))

    def next_after(self, update: Update) -> datetime:
        """When the update after that one is due: when it said so itself, else the cadence later."""
        return update.next_update_at or update.at + self.update_every

    def stakeholders_due(self, after: timedelta) -> datetime | None:
        """When stakeholders are to be told by e-mail: when it was open for ``after`` (runbook, step 5), and at once
        when it was reopened and they believe that it is over; ``None`` once they were told, or it is closed."""
        if self.closed_at:
            return None
        if again := self.reopened(by_mail=True):
            return again.at
        told = any(one.message == STAKEHOLDERS for one in self.updates)
        return None if told else self.open_beyond(after)


def fold(events: Iterable[Event], start: State | None = None) -> State:
    """What ``events`` make of ``start`` (nothing yet, by default). Pure, and linear in the number of events."""
    draft = _Draft(start or State())
    for event in events:
        draft.take(event)
    return draft.state()


class _Draft:
    """A state that is being made. Collections grow in place: a rollback journals thousands of items."""

    def __init__(self, start: State) -> None:
        self._start = start
        self._set: dict[str, Any] = {}
        self._events = start.events
        self._acknowledged = start.acknowledged_at is not None
        self._closed = start.closed_at is not None
        self._seen_at = start.seen_at
        self._closings = list(start.closings)
        self._reopenings = list(start.reopenings)
        self._applied = list(start.applied)
        self._updates = list(start.updates)
        self._severity_set = list(start.severity_set)
        self._looks = dict(start.looks)
        # Where the changes that stand are in `applied`: by plan, then by item.
        self._standing: dict[str, dict[str, list[int]]] = {}
        for place, action in enumerate(self._applied):
            if not action.undone:
                self._stands(place, action)

    def state(self) -> State:
        return replace(
            self._start,
            **self._set,
            events=self._events,
            seen_at=self._seen_at,
            applied=tuple(self._applied),
            updates=tuple(self._updates),
            severity_set=tuple(self._severity_set),
            looks=MappingProxyType(self._looks),
            closings=tuple(self._closings),
            reopenings=tuple(self._reopenings),
        )

    def take(self, event: Event) -> None:
        self._events += 1
        self._set["last_event_at"] = event.at
        match event:
            case Opened():
                self._set |= {"opened_at": event.at, "severity": event.data.severity}
                self._settings(event.data.settings)
            case Noted() if event.data.settings:
                self._settings(event.data.settings)
            case Severity():
                self._set |= {"severity": event.data.severity, "severity_reason": event.data.reason}
                # One that a person confirmed is no news to anybody.
                if not event.data.by_rule and event.data.severity != event.data.previous:
                    self._severity_set.append(event.at)
            case Phase():
                self._phase(event)
            case Closed():
                words = event.data
                closing = Closing(
                    event.at, event.actor.user, words.impact, words.cause, words.remediation, words.outcome,
                    words.customers,
                )  # fmt: skip
                self._closings.append(closing)
                self._closed = True
                self._set |= {"phase": "closed", "closed_at": event.at, "closing": closing}
            case Notified():
                told = event.data
                self._updates.append(
                    Update(
                        told.sent_at or event.at, told.channel, event.summary, told.message, told.reference, told.via,
                        told.thread, told.permalink, told.domain, told.fallback, told.next_update_at,
                    )
                )  # fmt: skip
            case Applied():
                self._apply(event)
            case Undone():
                self._undo(event)
            case Observed() | Failed():
                self._look(event)

    def _look(self, event: Observed | Failed) -> None:
        name = event.data.source
        if isinstance(event, Observed):
            self._looks[name] = Look(seen=event)
            if not self._closed:
                times = [one.at for one in event.evidence] + ([self._seen_at] if self._seen_at else [])
                self._seen_at = max(times, default=None)
        elif name:
            self._looks[name] = Look(seen=self._looks.get(name, Look()).seen, failed=event)

    def _settings(self, kept: Mapping[str, Any]) -> None:
        self._set["settings"] = MappingProxyType(dict(kept))
        if isinstance(minutes := kept.get("update_minutes"), int):
            self._set["update_every"] = timedelta(minutes=minutes)

    def _phase(self, event: Phase) -> None:
        """Another phase; the first one after a closing is the reopening."""
        self._set["phase"] = event.data.phase
        if self._closed and event.data.phase != "closed":
            self._closed = False
            self._reopenings.append(Reopening(event.at, event.actor.user, event.data.reason))
            self._set |= {"closed_at": None, "closing": None}
        if event.data.acknowledged and not self._acknowledged:
            self._acknowledged = True
            self._set |= {
                "acknowledged_at": event.at,
                "acknowledged_by": event.data.by or event.actor.user,
            }

    def _stands(self, place: int, action: Action) -> None:
        plan = self._standing.setdefault(_plan(action.digest, action.action), {})
        plan.setdefault(action.item, []).append(place)

    def _apply(self, event: Applied) -> None:
        data, actor = event.data, str(event.actor)
        action = Action(
            event.seq, event.at, event.step, event.summary, actor, data.action, data.digest, data.item
        )
        self._stands(len(self._applied), action)
        self._applied.append(action)

    def _undo(self, event: Undone) -> None:
        """An undoing names the plan by its digest, or without one the kind of action; and perhaps one item of it."""
        plan = _plan(event.data.digest, event.data.action)
        if event.data.item:
            places = self._standing.get(plan, {}).get(event.data.item, [])[-1:]
            del self._standing.get(plan, {}).get(event.data.item, [])[-1:]
        else:
            places = [place for items in self._standing.pop(plan, {}).values() for place in items]
        for place in places:
            self._applied[place] = replace(self._applied[place], undone=True)


def _plan(digest: str, action: str) -> str:
    return f"digest {digest}" if digest else f"action {action}"
