"""The progress of sync jobs on stderr: a line for each on a terminal, else plain lines now and then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from vmqlib.cli.output import Bar, notice, printable, progress_bar
from vmqlib.runbook.resync import MEANING, Ended, Estimate, SyncJob, Trouble, Watch
from vmqlib.times import SystemClock, duration

__all__ = ["EVERY", "Lines", "watching"]

EVERY = timedelta(seconds=30)
"""How often a plain line comes while nothing changes: a log of CI is to show that it lives, and no more."""


def _counts(job: SyncJob) -> str:
    names = ("scanned", "added", "modified", "deleted", "failed")
    return ", ".join(f"{getattr(job, name)} {name}" for name in names)


def _short(job: SyncJob) -> str:
    """The counts that a line of a terminal has room for: scanned, failed, and the others where there are any."""
    names = ("scanned", "failed", "added", "modified", "deleted")
    return ", ".join(
        f"{count} {name}" for name in names if (count := getattr(job, name)) or name == "scanned"
    )


def _takes(job: SyncJob, usual: Estimate | None, now: datetime) -> str:
    elapsed = job.took(now)
    return (
        usual.sentence(elapsed)
        if usual is not None
        else f"{duration(elapsed)} so far, no past runs to compare"
    )


@dataclass
class Lines:
    """Plain lines: at every change of a status, and each half minute.

    Parameters
    ----------
    names:
        What each data source is called.
    usual:
        What past jobs of each took.
    say:
        Writes a line.
    now:
        Tells the time.
    """

    names: Mapping[str, str]
    usual: Mapping[str, Estimate | None]
    say: Callable[[str], None] = notice
    now: Callable[[], datetime] = SystemClock().now
    _said: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def progress(self, data_source_id: str, job: SyncJob) -> None:
        """After a look."""
        now = self.now()
        with self._lock:
            before = self._said.get(data_source_id)
            if before and before[0].startswith("trouble"):
                self.say(f"{self._name(data_source_id)}: AWS answers again")
                before = None
            if not self._due(before, job.status, now):
                return
            self._said[data_source_id] = job.status, now
            takes = f"; {_takes(job, self.usual.get(data_source_id), now)}" if job.running else ""
            said = f"{job.status}: {MEANING[job.status]}; {_counts(job)}{takes}"
            self.say(f"{self._name(data_source_id)}: {said}")

    def trouble(self, data_source_id: str, trouble: Trouble) -> None:
        """After one that did not succeed."""
        now = self.now()
        with self._lock:
            kind = f"trouble {type(trouble.error).__name__}"
            if self._due(self._said.get(data_source_id), kind, now):
                self._said[data_source_id] = kind, now
                self.say(f"{self._name(data_source_id)}: {trouble.sentence}")

    def ended(self, data_source_id: str, ended: Ended) -> None:
        """The end is told with all the others'."""

    @staticmethod
    def _due(before: tuple[str, datetime] | None, said: str, now: datetime) -> bool:
        return before is None or before[0] != said or now - before[1] >= EVERY

    def _name(self, data_source_id: str) -> str:
        return printable(self.names.get(data_source_id, data_source_id))


class _Bars:
    """A line of rich's display for each data source."""

    def __init__(self, bar: Bar, names: Mapping[str, str], usual: Mapping[str, Estimate | None]) -> None:
        self._bar, self._usual, self._now = bar, usual, SystemClock().now
        self._names = {source: printable(name) for source, name in names.items()}
        self._tasks: dict[str, Any] = {
            source: bar.add_task(name, total=None, counts="") for source, name in self._names.items()
        }

    def progress(self, data_source_id: str, job: SyncJob) -> None:
        now, usual = self._now(), self._usual.get(data_source_id)
        elapsed = job.took(now).total_seconds()
        total = usual.median.total_seconds() if usual is not None else None
        if not job.running:
            total = elapsed = elapsed or 1.0
        times = duration(job.took(now)) + (f" ({usual.usual})" if usual is not None else " (no past runs)")
        self._bar.update(
            self._tasks[data_source_id],
            description=f"{self._names[data_source_id]} {job.status}",
            total=total,
            completed=min(elapsed, total) if total is not None else 0,
            counts=f"{times}; {_short(job)}",
        )

    def trouble(self, data_source_id: str, trouble: Trouble) -> None:
        self._bar.update(self._tasks[data_source_id], counts=trouble.sentence)

    def ended(self, data_source_id: str, ended: Ended) -> None:
        if ended.error is not None:
            self._bar.update(self._tasks[data_source_id], counts=printable(ended.error.message))


@contextmanager
def watching(names: Mapping[str, str], usual: Mapping[str, Estimate | None]) -> Iterator[Watch]:
    """What shows the progress where stderr goes to."""
    if not sys.stderr.isatty():
        yield Lines(names, usual)
        return
    with progress_bar("{task.fields[counts]}", bar_width=10) as bar:
        yield _Bars(bar, names, usual)
