"""What is on its way through the apply engine, how fast it goes, and who asks S3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from vmqlib.runbook.rollback.items import Item
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.runbook.rollback.pacing import Rate, Workers

__all__ = ["NUDGE", "UNSENT", "Applier", "Job", "Look", "Pace"]

UNSENT = object()
"""Comes back for what was not sent."""

NUDGE = object()
"""In the queue: a handful is to be looked at, before anything else."""


class Applier(Protocol):
    """Who asks S3: :class:`vmqlib.runbook.rollback.objects.Objects`."""

    def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
        """One try of one item; ``in_doubt``: it may have been carried out already."""
        ...

    def still_planned(self, items: Sequence[Item]) -> AbstractSet[str]:
        """The keys whose current version is still the one in the plan."""
        ...


@dataclass(frozen=True)
class Pace:
    """How fast to go.

    Parameters
    ----------
    pool:
        How many workers send.
    rate:
        How many items a second; ``None``: as fast as it goes.
    handful:
        Items that are looked at, and whose intents are written, together.
    attempts:
        How often an item is tried in all.
    pause:
        Seconds before the next try, by tries so far and what S3 asked for.
    sleep:
        Waits for the rate; ``None``: until the run is to end.
    monotonic:
        A clock that never goes back, in seconds.
    """

    pool: Workers
    rate: Rate | None
    handful: int
    attempts: int
    pause: Callable[[int, float], float]
    sleep: Callable[[float], object] | None
    monotonic: Callable[[], float]


class Job:
    """An item on its way. ``in_doubt``: a request that nobody knows of may have been carried out; ``asked``: there was
    such a request at some time."""

    __slots__ = ("asked", "attempt", "in_doubt", "item", "number", "round")

    def __init__(self, number: int, item: Item, *, in_doubt: bool) -> None:
        self.number, self.item, self.in_doubt, self.asked = number, item, in_doubt, in_doubt
        self.attempt = self.round = 0


class Look:
    """A handful of items before their intents are written."""

    __slots__ = ("attempt", "jobs", "round")

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.attempt = self.round = 0
