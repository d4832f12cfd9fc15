"""The incident as a Gantt: what the response was at, and when; from what each step of the runbook did, as journaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from vmqlib.record.events import Closed, Concluded, Event, Failed, Noted, Observed, Phase
from vmqlib.runbook.retro.measures import Moments

__all__ = ["LANES", "Span", "spans"]

LANES = ("detect", "open", "triage", "stabilize", "rollback", "resync", "communicate", "validate")
"""What the response is at: detection, from the alarm to the opening, and then the runbook's steps."""

_LANE = {"guardrails": "stabilize", "schedule": "stabilize", "content": "stabilize"}
_LOOKING = frozenset({"triage", "validate"})
_TOGETHER = timedelta(minutes=5)


@dataclass(frozen=True)
class Span:
    """A time that the response was at something.

    Parameters
    ----------
    lane:
        One of :data:`LANES`, or the step of an event that is none of them.
    kind:
        ``wait``: until it was noticed, opened or acknowledged. ``phase``: from the step's first own action to its last.
        ``work``: those of its actions with less than five minutes between them, or about the same sync.
    start, end:
        From when to when, UTC.
    open:
        Whether it had not ended.
    entries:
        How many actions; 0 for waits.
    """

    lane: str
    kind: Literal["wait", "phase", "work"]
    start: datetime
    end: datetime
    open: bool = False
    entries: int = 0


@dataclass(frozen=True)
class _Action:
    """One entry of the journal: the lane, when, in which opening of the incident, and the sync that it is about."""

    lane: str
    at: datetime
    period: int
    subject: str


def spans(events: Sequence[Event], moments: Moments, until: datetime) -> tuple[Span, ...]:
    """Every span, by lane, oldest first. Pure.

    Parameters
    ----------
    moments:
        For the times before the opening, and until the acknowledgement.
    until:
        The end of what is told: the closing, or the journal's last entry.
    """
    own = list(_own(events))
    found = [*_waits(moments, until), *_phases(own), *_work(own)]
    order = {lane: number for number, lane in enumerate(LANES)}
    return tuple(
        sorted(found, key=lambda one: (order.get(one.lane, len(LANES)), one.lane, one.start, one.kind))
    )


def _waits(moments: Moments, until: datetime) -> Iterator[Span]:
    first, detected, opened = moments.first_bad.at, moments.detected.at, moments.opened.at
    if first and detected and first < detected:
        yield Span("detect", "wait", first, detected)
    if opened and moments.rang.at and moments.rang.at < opened:
        yield Span("open", "wait", moments.rang.at, opened)
    if opened:
        taken = moments.acknowledged.at
        yield Span("triage", "wait", opened, max(opened, taken or until), taken is None)


def _phases(own: Sequence[_Action]) -> Iterator[Span]:
    """Each step from its first to its last action; anew after a reopening."""
    found: dict[tuple[int, str], Span] = {}
    for one in own:
        before = found.get((one.period, one.lane))
        start, entries = (before.start, before.entries) if before else (one.at, 0)
        found[one.period, one.lane] = Span(one.lane, "phase", start, one.at, entries=entries + 1)
    yield from found.values()


def _work(own: Sequence[_Action]) -> Iterator[Span]:
    """Actions of a step that belong together: near each other, or about the same sync, which is waited for."""
    last: dict[str, Span] = {}
    about: dict[str, str] = {}
    done: list[Span] = []
    for one in own:
        lane, before = one.lane, last.get(one.lane)
        if before and (one.at - before.end < _TOGETHER or (one.subject and one.subject == about.get(lane))):
            last[lane] = Span(lane, "work", before.start, max(before.end, one.at), entries=before.entries + 1)
        else:
            if before:
                done.append(before)
            last[lane] = Span(lane, "work", one.at, one.at, entries=1)
        about[lane] = one.subject
    yield from done
    yield from last.values()


def _own(events: Sequence[Event]) -> Iterator[_Action]:
    """What each step did, while the incident was open. Looks are work where looking is the step's purpose; a plan
    changes nothing, and the opening makes one by itself."""
    closed, period = False, 0
    for event in events:
        if isinstance(event, Phase) and event.data.phase != "closed" and closed:
            closed, period = False, period + 1
        lane = _LANE.get(event.step, event.step)
        look = isinstance(event, Observed) or (isinstance(event, Failed) and bool(event.data.source))
        planned = isinstance(event, Concluded) and lane not in _LOOKING
        if lane and not (closed or isinstance(event, Noted) or planned or (look and lane not in _LOOKING)):
            subject = str(event.data.model_dump().get("execution_id") or "")
            yield _Action(lane, event.at, period, subject)
        closed = closed or isinstance(event, Closed)
