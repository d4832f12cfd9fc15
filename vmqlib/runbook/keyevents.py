"""The events of a journal that tell what happened, without the looks and conclusions between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmqlib.record.events import (
    Applied,
    Closed,
    Event,
    Failed,
    Noted,
    Notified,
    Opened,
    Phase,
    Severity,
    Undone,
    Verified,
)

__all__ = ["ENTERED", "SWITCHED_OFF", "WAITING", "key_events", "old_proofs"]

# As vmqlib.runbook.proof.keeping, alarmwatch and stabilize.story call them: those would read more than this needs.
WAITING = ("sync proof", "watch alarms")
"""Verifications of what takes its time. One that came too early found nothing wrong: only the last one counts."""

SWITCHED_OFF = "disable schedule"
"""A change whose taking back is a part of it: the runbook's step 2 ends with the schedule as it was."""

ENTERED = "entered"
"""Marks the note that an incident was entered into the operations runbook: it is not itself a part of what happened."""


def key_events(events: Iterable[Event]) -> Iterator[Event]:
    """What a reader of the incident's story wants to know: opening, acknowledgement, severity, changes and how they
    ended, the last proof and watch of the alarms, messages, remarks of people, closing and reopening. Remarks
    for the review are not among them."""
    told = list(events)
    old = old_proofs(told)
    closed = False
    for event in told:
        if event.seq in old:
            continue
        match event:
            case Phase():
                if event.data.acknowledged or (closed and event.data.phase != "closed"):
                    yield event
                closed = closed and event.data.phase == "closed"
            case Undone() if event.data.action == SWITCHED_OFF:
                pass  # the schedule's being put back says so itself
            case Opened() | Severity() | Applied() | Undone() | Verified() | Notified() | Closed():
                closed = isinstance(event, Closed) or (closed and not isinstance(event, Opened))
                yield event
            case Failed():
                if not event.data.source:
                    yield event
            case Noted():
                about = event.data.model_dump()
                if not (event.data.torn or event.data.retro or about.get(ENTERED)):
                    yield event


def old_proofs(events: Iterable[Event]) -> frozenset[int]:
    """The numbers of all verifications of :data:`WAITING` but the last of each: every look proves anew, and only the
    last one is told of."""
    last: dict[str, int] = {}
    old: set[int] = set()
    for one in events:
        if isinstance(one, Verified) and one.data.action in WAITING:
            if one.data.action in last:
                old.add(last[one.data.action])
            last[one.data.action] = one.seq
    return frozenset(old)
