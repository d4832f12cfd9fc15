"""What happens in the simulated account by itself as time passes, in the order in which it happens.

There are no background threads. Every request first brings the world up to the present: everything that fell
due since then happens, in time order, with the clock standing at each event's own time.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from vmqlib.simulator.clock import SimClock

__all__ = ["EventSource", "Script", "World"]

_ENOUGH = 1_000_000  # events in one advance: more means that a source does not move on


class EventSource(Protocol):
    """Something that acts by itself: syncs that progress, schedules, alarms, people."""

    def next_event_at(self) -> datetime | None:
        """When it next has something to do, timezone-aware; None for never, as things stand. Cheap."""
        ...

    def run_due(self, now: datetime) -> None:
        """Does everything that is due at ``now``; afterwards :meth:`next_event_at` is later than ``now``."""
        ...


class Script:
    """An event source of one-off actions at given times: what people and deployment do in a scenario."""

    def __init__(self) -> None:
        self._queue: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self._count = itertools.count()

    def at(self, moment: datetime, action: Callable[[datetime], object]) -> None:
        """Lets ``action`` happen at ``moment`` (timezone-aware). Ties happen in the order they were added."""
        heapq.heappush(self._queue, (moment, next(self._count), action))

    def next_event_at(self) -> datetime | None:
        return self._queue[0][0] if self._queue else None

    def run_due(self, now: datetime) -> None:
        while self._queue and self._queue[0][0] <= now:
            moment, _, action = heapq.heappop(self._queue)
            action(moment)


class World:
    """The simulated account's course of events.

    Parameters
    ----------
    clock:
        What it takes for "now".
    """

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.script = Script()
        self._sources: list[EventSource] = [self.script]

    def add(self, source: EventSource) -> None:
        """Lets ``source`` take part. At one moment, what earlier added sources do comes first."""
        with self.lock:
            self._sources.append(source)

    def next_event_at(self) -> datetime | None:
        """When the next thing happens by itself; None for never, as things stand."""
        times = [moment for source in self._sources if (moment := source.next_event_at()) is not None]
        return min(times, default=None)

    def advance(self, to: datetime) -> int:
        """Lets everything happen that is due until ``to`` (timezone-aware) and returns the number of moments.

        Raises
        ------
        RuntimeError
            When an event source keeps asking for moments that it does not use.
        """
        with self.lock:
            for steps in range(_ENOUGH):
                due = self._next_due(to)
                if due is None:
                    return steps
                moment, source = due
                with self.clock.at(moment):
                    source.run_due(moment)
            raise RuntimeError(f"{_ENOUGH} events and no end before {to}: an event source stands still.")

    def advance_by(self, span: timedelta) -> None:
        """Moves the clock forward by ``span`` and lets happen what falls due meanwhile."""
        self.advance(self.clock.advance(span))

    def _next_due(self, to: datetime) -> tuple[datetime, EventSource] | None:
        best: tuple[datetime, EventSource] | None = None
        for source in self._sources:
            moment = source.next_event_at()
            if moment is not None and moment <= to and (best is None or moment < best[0]):
                best = (moment, source)
        return best
