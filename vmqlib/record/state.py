"""The state of an incident: a fold over its journal, never stored beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from vmqlib.record.events import (
    Applied,
    Closed,
    Event,
    Failed,
    Notified,
    Observed,
    Opened,
    Phase,
    PhaseName,
    Severity,
    SeverityName,
    Undone,
)

__all__ = ["UPDATE_EVERY", "Action", "Look", "State", "Update", "fold"]

UPDATE_EVERY = timedelta(minutes=30)
"""Runbook, step 5: post updates every 30 minutes."""


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
    action, digest:
        What kind of change; the digest of its plan, or ``""``.
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
    undone: bool = False


@dataclass(frozen=True)
class Update:
    """A message that went out.

    Parameters
    ----------
    at, summary:
        As in its event.
    channel:
        Where to.
    """

    at: datetime
    channel: str
    summary: str


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
    opened_at, closed_at, acknowledged_at, last_event_at:
        Times, UTC; ``None`` for what has not happened.
    acknowledged_by:
        Who took the incident.
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
    """

    severity: SeverityName = "SEV2"
    phase: PhaseName = "open"
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    closed_at: datetime | None = None
    last_event_at: datetime | None = None
    applied: tuple[Action, ...] = ()
    updates: tuple[Update, ...] = ()
    looks: Mapping[str, Look] = field(default_factory=lambda: MappingProxyType({}))
    events: int = 0
    update_every: timedelta = UPDATE_EVERY

    @property
    def next_update_due(self) -> datetime | None:
        """When people are to be told next: the cadence after the last update, or after the opening; ``None``
        once the incident is closed."""
        if self.closed_at or self.opened_at is None:
            return None
        return (self.updates[-1].at if self.updates else self.opened_at) + self.update_every


def fold(events: Iterable[Event], start: State | None = None) -> State:
    """What ``events`` make of ``start`` (nothing yet, by default). Pure."""
    state = start or State()
    for event in events:
        state = _after(state, event)
    return state


def _after(state: State, event: Event) -> State:
    state = replace(state, last_event_at=event.at, events=state.events + 1)
    match event:
        case Opened():
            return replace(state, opened_at=event.at, severity=event.data.severity)
        case Severity():
            return replace(state, severity=event.data.severity)
        case Phase():
            state = replace(state, phase=event.data.phase)
            if event.data.acknowledged and state.acknowledged_at is None:
                return replace(state, acknowledged_at=event.at, acknowledged_by=event.actor.user)
            return state
        case Closed():
            return replace(state, phase="closed", closed_at=event.at)
        case Notified():
            return replace(
                state, updates=(*state.updates, Update(event.at, event.data.channel, event.summary))
            )
        case Applied():
            return replace(state, applied=(*state.applied, _action(event)))
        case Undone():
            return replace(state, applied=tuple(_undone(action, event) for action in state.applied))
        case Observed():
            return _looked(state, event.data.source, Look(seen=event))
        case Failed() if event.data.source:
            earlier = state.looks.get(event.data.source, Look())
            return _looked(state, event.data.source, Look(seen=earlier.seen, failed=event))
    return state


def _looked(state: State, source: str, look: Look) -> State:
    return replace(state, looks=MappingProxyType({**state.looks, source: look}))


def _action(event: Applied) -> Action:
    return Action(
        event.seq, event.at, event.step, event.summary, str(event.actor), event.data.action, event.data.digest
    )


def _undone(action: Action, event: Undone) -> Action:
    """An undoing names the plan by its digest; without one, the kind of action."""
    same = action.digest == event.data.digest if event.data.digest else action.action == event.data.action
    return replace(action, undone=True) if same else action
