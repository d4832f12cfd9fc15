"""How long a sync usually takes: from past jobs of the same data source. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from statistics import median, quantiles

from vmqlib.runbook.resync.jobs import SyncJob
from vmqlib.times import duration

__all__ = ["MOST_RUNS", "Estimate", "estimate"]

MOST_RUNS = 20
"""How many past jobs are looked at: the index grows, and what a sync took long ago says little."""

_WHOLE = frozenset({"SUCCEEDED", "INCOMPLETE"})  # what failed or was stopped ended early
_ENOUGH = 4  # for quartiles


@dataclass(frozen=True)
class Estimate:
    """What past jobs took.

    Parameters
    ----------
    runs:
        How many there were.
    median:
        Half of them took less.
    low, high:
        Their quartiles; with fewer than four, the shortest and the longest.
    """

    runs: int
    median: timedelta
    low: timedelta
    high: timedelta

    @property
    def usual(self) -> str:
        """``usually 6 to 9 min``."""
        if self.runs == 1:
            return f"{duration(self.median)} the last time"
        return f"usually {_range(self.low, self.high)}"

    def sentence(self, elapsed: timedelta) -> str:
        """``usually 6 to 9 min; 3 min so far``, and what may be left."""
        left = self.median - elapsed
        if elapsed > self.high and self.runs > 1:
            rest = ", longer than usual"
        elif left > timedelta():
            rest = f", about {duration(_rounded(left))} left"
        else:
            rest = ""
        return f"{self.usual}; {duration(elapsed)} so far{rest}"


def estimate(jobs: Iterable[SyncJob]) -> Estimate | None:
    """From past jobs, newest first; ``None`` where none of them ran to its end."""
    took = [
        (job.ended_at - job.started_at).total_seconds()
        for job in islice(jobs, MOST_RUNS)
        if job.status in _WHOLE and job.ended_at is not None
    ]
    if not took:
        return None
    low, high = min(took), max(took)
    if len(took) >= _ENOUGH:
        low, _, high = quantiles(took, n=4, method="inclusive")
    return Estimate(
        len(took), timedelta(seconds=median(took)), timedelta(seconds=low), timedelta(seconds=high)
    )


def _range(low: timedelta, high: timedelta) -> str:
    """``6 to 9 min``: one unit, the one that fits the longer span."""
    unit, name = (60, "min") if high >= timedelta(minutes=2) else (1, "s")
    first, last = (round(span.total_seconds() / unit) for span in (low, high))
    return f"{last} {name}" if first == last else f"{first} to {last} {name}"


def _rounded(span: timedelta) -> timedelta:
    """To whole minutes from two minutes on: nobody knows it better than that."""
    seconds = span.total_seconds()
    return timedelta(seconds=round(seconds / 60) * 60 if seconds >= 120 else max(1, round(seconds)))
