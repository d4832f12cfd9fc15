"""Waiting for several sync jobs at once, one of each data source."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as first_of
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from vmqlib.aws import Aws
from vmqlib.errors import CheckFailed, Interrupted, VmqError
from vmqlib.runbook.resync.jobs import SyncJob
from vmqlib.runbook.resync.waiting import Trouble, wait
from vmqlib.settings import Settings
from vmqlib.sources.crew import Crew

__all__ = ["Ended", "Watch", "wait_all"]

_TICK = 0.5  # seconds until Ctrl-C is noticed


class Watch(Protocol):
    """What is told of the waiting. Called from several threads."""

    def progress(self, data_source_id: str, job: SyncJob) -> None:
        """After a look."""

    def trouble(self, data_source_id: str, trouble: Trouble) -> None:
        """After one that did not succeed."""

    def ended(self, data_source_id: str, ended: Ended) -> None:
        """Nothing more comes of that one. Called in the main thread."""


@dataclass(frozen=True)
class Ended:
    """How the waiting for one job ended.

    Parameters
    ----------
    data_source_id:
        Its data source.
    job:
        The job, ended; ``None`` where that was not seen.
    error:
        Why not.
    """

    data_source_id: str
    job: SyncJob | None = None
    error: VmqError | None = None

    @property
    def exit_code(self) -> int:
        """0 for SUCCEEDED, 1 for every other end, else the error's own."""
        if self.error is not None:
            return self.error.exit_code
        return 0 if self.job is not None and self.job.succeeded else CheckFailed.exit_code


def wait_all(
    aws: Aws,
    settings: Settings,
    jobs: Mapping[str, str],
    *,
    deadline: timedelta,
    watch: Watch,
    sleep: Callable[[float], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Sequence[Ended]:
    """:func:`wait` for all of them, each in a thread of its own. One that fails leaves the others alone.

    Parameters
    ----------
    jobs:
        Execution ids by data source; an empty one means the newest job.
    sleep:
        Instead of waiting for real: for tests.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C: the threads are told to end, and the jobs are left alone.
    """
    stop = threading.Event()

    def pause(seconds: float) -> None:
        if sleep is not None:
            sleep(seconds)
        if stop.wait(0 if sleep is not None else seconds):
            raise Interrupted("Stopped waiting.")

    def one(source: str, execution: str) -> Ended:
        try:
            job = wait(
                aws, settings, source, execution, deadline=deadline, sleep=pause, monotonic=monotonic,
                progress=lambda job: watch.progress(source, job),
                trouble=lambda trouble: watch.trouble(source, trouble),
            )  # fmt: skip
        except VmqError as error:
            return Ended(source, error=error)
        return Ended(source, job)

    with Crew(max(1, len(jobs)), "vmq-wait") as pool:
        running: dict[Future[Ended], str] = {
            pool.submit(one, source, execution): source for source, execution in jobs.items()
        }
        found: dict[str, Ended] = {}
        try:
            while running:
                done, _ = first_of(running, timeout=_TICK, return_when=FIRST_COMPLETED)
                for each in done:
                    source = running.pop(each)
                    found[source] = each.result()
                    watch.ended(source, found[source])
        finally:
            stop.set()
    return [found[source] for source in jobs]
