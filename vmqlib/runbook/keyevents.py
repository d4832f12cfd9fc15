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

__all__ = ["ENTERED", "key_events", "old_proofs"]

_PROOF = "sync proof"  # vmqlib.runbook.proof.keeping, which would read more than this needs

ENTERED = "entered"
"""Marks the note that an incident was entered into the operations runbook: it is not itself a part of what happened."""


def key_events(events: Iterable[Event]) -> Iterator[Event]:
    """What a reader of the incident's story wants to know: opening, acknowledgement, severity, changes and how they
    ended, the last proof, messages, remarks of people, closing and reopening. Remarks for the review are not among
    them."""
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
    """The numbers of all proofs but the last: every look proves anew, and only the last one is told of."""
    proofs = [one.seq for one in events if isinstance(one, Verified) and one.data.action == _PROOF]
    return frozenset(proofs[:-1])
