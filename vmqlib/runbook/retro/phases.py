"""The incident as a Gantt: what the response was at, and when; from the journal's phases and its events' steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from vmqlib.record.events import Closed, Event, Noted, Phase
from vmqlib.runbook.retro.measures import Moments

__all__ = ["LANES", "Span", "spans"]

LANES = ("detect", "triage", "stabilize", "rollback", "resync", "communicate", "validate")
"""What the response is at: detection, and then the runbook's steps."""

_LANE = {"guardrails": "stabilize", "schedule": "stabilize", "content": "stabilize"}
_TOGETHER = timedelta(minutes=5)


@dataclass(frozen=True)
class Span:
    """A time that the response was at something.

    Parameters
    ----------
    lane:
        One of :data:`LANES`, or the step of an event that is none of them.
    kind:
        ``wait``: until it was noticed, or acknowledged. ``phase``: as the journal's phase says. ``work``: from the
        first to the last entry of that step, with less than five minutes between them or about the same sync.
    start, end:
        From when to when, UTC.
    open:
        Whether it had not ended.
    entries:
        How many entries of the journal; 0 for the other kinds.
    """

    lane: str
    kind: Literal["wait", "phase", "work"]
    start: datetime
    end: datetime
    open: bool = False
    entries: int = 0


def spans(events: Sequence[Event], moments: Moments, until: datetime) -> tuple[Span, ...]:
    """Every span, by lane, oldest first. Pure.

    Parameters
    ----------
    moments:
        For the times before the opening, and until the acknowledgement.
    until:
        The end of what is told: the closing, or the journal's last entry.
    """
    found = [*_waits(moments, until), *_phases(events, until), *_work(events)]
    order = {lane: number for number, lane in enumerate(LANES)}
    return tuple(
        sorted(found, key=lambda one: (order.get(one.lane, len(LANES)), one.lane, one.start, one.kind))
    )


def _waits(moments: Moments, until: datetime) -> Iterator[Span]:
    first, detected, opened = moments.first_bad.at, moments.detected.at, moments.opened.at
    if first and detected and first < detected:
        yield Span("detect", "wait", first, detected)
    if opened:
        taken = moments.acknowledged.at
        yield Span("triage", "wait", opened, max(opened, taken or until), taken is None)


def _phases(events: Sequence[Event], until: datetime) -> Iterator[Span]:
    """The phases as they were set; an acknowledgement that changes nothing goes on with the one before."""
    lane, start = "", until
    for event in events:
        if not isinstance(event, Phase | Closed):
            continue
        following = event.data.phase if isinstance(event, Phase) else "closed"
        if following == lane:
            continue
        if lane in LANES:
            yield Span(lane, "phase", start, event.at)
        lane, start = following, event.at
    if lane in LANES:
        yield Span(lane, "phase", start, max(start, until), open=True)


def _work(events: Sequence[Event]) -> Iterator[Span]:
    """Entries of a step that belong together: near each other, or about the same sync, which is waited for."""
    last: dict[str, Span] = {}
    about: dict[str, str] = {}
    done: list[Span] = []
    for event in _told(events):
        lane = _LANE.get(event.step, event.step)
        subject = _subject(event.data.model_dump())
        before = last.get(lane)
        if before and (event.at - before.end < _TOGETHER or (subject and subject == about.get(lane))):
            last[lane] = Span(
                lane, "work", before.start, max(before.end, event.at), entries=before.entries + 1
            )
        else:
            if before:
                done.append(before)
            last[lane] = Span(lane, "work", event.at, event.at, entries=1)
        about[lane] = subject
    yield from done
    yield from last.values()


def _told(events: Sequence[Event]) -> Iterator[Event]:
    """Entries that belong to a step, while the incident was open."""
    closed = False
    for event in events:
        if isinstance(event, Phase) and event.data.phase != "closed":
            closed = False
        if event.step and not closed and not isinstance(event, Noted):
            yield event
        if isinstance(event, Closed):
            closed = True


def _subject(data: Mapping[str, object]) -> str:
    return str(data.get("execution_id") or "")
