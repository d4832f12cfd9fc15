"""A sync job: its state, its counts and its timeline. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from vmqlib.simulator.qbusiness.plan import Plan, Step

__all__ = ["TERMINAL", "SyncJob", "Timeline"]

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "INCOMPLETE", "ABORTED"})
_METRICS = ("Added", "Modified", "Deleted", "Failed", "Scanned")


@dataclass(frozen=True)
class Timeline:
    """When the parts of a job happen, all UTC.

    Parameters
    ----------
    crawling:
        The first document is about to be crawled.
    indexing:
        The last document is crawled: SYNCING becomes SYNCING_INDEXING.
    closing:
        The last document is indexed.
    ended:
        The final status.
    """

    crawling: datetime
    indexing: datetime
    closing: datetime
    ended: datetime


@dataclass(eq=False)
class SyncJob:
    """One run of a data source.

    Parameters
    ----------
    execution_id:
        Its id.
    started_at:
        UTC.
    crawls_at:
        When the bucket is read.
    by_schedule:
        Whether the schedule started it.
    status:
        The API's DataSourceSyncJobStatus.
    ended_at:
        When it reached a final status, UTC.
    error:
        (errorCode, errorMessage, dataSourceErrorCode) of a FAILED job.
    plan:
        What it does, once the bucket is read and until it has ended.
    timeline:
        When; None as long as there is no plan.
    stops_at:
        When a STOPPING job will be ABORTED.
    counts:
        The documents counted so far by metric name.
    applied:
        How many steps of the plan are done.
    """

    execution_id: str
    started_at: datetime
    crawls_at: datetime
    by_schedule: bool = False
    status: str = "SYNCING"
    ended_at: datetime | None = None
    error: tuple[str, str, str] | None = None
    plan: Plan | None = None
    timeline: Timeline | None = None
    stops_at: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)
    applied: int = 0

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status not in TERMINAL

    @property
    def work(self) -> tuple[Step, ...]:
        """What is applied while indexing."""
        return self.plan.work if self.plan else ()

    def next_event_at(self) -> datetime | None:
        """When its status next changes by itself; None for never."""
        if not self.is_running:
            return None
        if self.stops_at is not None:
            return self.stops_at
        if self.timeline is None:
            return self.crawls_at
        return self.timeline.indexing if self.status == "SYNCING" else self.timeline.ended

    def crawled_by(self, now: datetime) -> int:
        """How many documents are crawled at ``now``."""
        if self.plan is None or self.timeline is None:
            return 0
        return _share(len(self.plan.crawled), self.timeline.crawling, self.timeline.indexing, now)

    def applied_by(self, now: datetime) -> int:
        """How many steps are applied at ``now``."""
        if self.timeline is None:
            return 0
        return _share(len(self.work), self.timeline.indexing, self.timeline.closing, now)

    def time_of(self, position: int) -> datetime:
        """When the step at ``position`` of :attr:`work` is applied."""
        if self.timeline is None:
            return self.started_at
        span = self.timeline.closing - self.timeline.indexing
        return self.timeline.indexing + span * ((position + 1) / len(self.work))

    def describe(self) -> dict[str, Any]:
        """As ListDataSourceSyncJobs gives it. The metrics are strings."""
        job: dict[str, Any] = {
            "executionId": self.execution_id,
            "startTime": self.started_at,
            "status": self.status,
            "metrics": {f"documents{name}": str(self.counts[name]) for name in _METRICS},
        }
        if self.ended_at is not None:
            job["endTime"] = self.ended_at
        if self.error is not None:
            code, message, source_code = self.error
            job["error"] = {"errorCode": code, "errorMessage": message[:2048]}
            job["dataSourceErrorCode"] = source_code
        return job


def _share(total: int, begin: datetime, end: datetime, now: datetime) -> int:
    if now >= end:
        return total
    if now <= begin or end - begin <= timedelta():
        return 0
    return int(total * ((now - begin) / (end - begin)))
