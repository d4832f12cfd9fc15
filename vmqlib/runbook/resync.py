"""Runbook step 4, *Force resync*: start a sync job, or join the one that runs, and wait for its end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws, aws_errors
from vmqlib.errors import AwsError, BadInput, DeadlinePassed, ResourceMissing
from vmqlib.settings import Connector, Settings
from vmqlib.sources import syncjobs
from vmqlib.sources.syncjobs import RUNNING
from vmqlib.times import Window, duration, parse_iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = [
    "MEANING",
    "Started",
    "SyncJob",
    "choose",
    "describe",
    "history",
    "journal_outcome",
    "journaled_start",
    "latest",
    "start",
    "wait",
]

MEANING = {
    "SYNCING": "reading the source",
    "SYNCING_INDEXING": "writing the index",
    "STOPPING": "being stopped",
    "SUCCEEDED": "the index holds what the source holds",
    "INCOMPLETE": "the source was read, but some documents failed",
    "FAILED": "the sync failed as a whole: usually configuration or a permission",
    "ABORTED": "somebody stopped it",
}
"""All seven statuses of a sync job, for people (API: DataSourceSyncJobStatus)."""

# Polling: quick at first, since an incremental sync of a few documents is short, then ever slower.
# ListDataSourceSyncJobs is throttled per account, and several people may be waiting at once: hence the jitter.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 1.0, 15.0, 1.4


@dataclass(frozen=True)
class Started:
    """How a start ended.

    Parameters
    ----------
    data_source_id:
        The data source.
    execution_id:
        The sync job that now runs.
    joined:
        True when it ran already, and this call started nothing.
    """

    data_source_id: str
    execution_id: str
    joined: bool


@dataclass(frozen=True)
class SyncJob:
    """One sync job (API: DataSourceSyncJob).

    Parameters
    ----------
    data_source_id, execution_id:
        What it is.
    status:
        One of :data:`MEANING`.
    started_at, ended_at:
        UTC; ``ended_at`` is None while it runs.
    added, modified, deleted, failed, scanned:
        Documents.
    error_code, error_message:
        Why it failed; empty when it did not say.
    """

    data_source_id: str
    execution_id: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    added: int
    modified: int
    deleted: int
    failed: int
    scanned: int
    error_code: str
    error_message: str

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status in RUNNING

    @property
    def succeeded(self) -> bool:
        """Whether the index now holds what the source holds. INCOMPLETE is not success."""
        return self.status == "SUCCEEDED"


def choose(settings: Settings, data_source_id: str = "", connector: str = "") -> Connector:
    """The connector that is meant: by id, by name in ``vmq.toml``, or the only one there is.

    Raises
    ------
    BadInput
        When a name is unknown, or several connectors are possible and none was named.
    SettingsError
        When no data source is set at all.
    """
    if data_source_id:
        return settings.connector(data_source_id)
    known = {each.name: each for each in settings.data_sources}
    if connector and connector not in known:
        raise BadInput(f"No connector is named {connector!r}.", hint=f"Connectors are: {', '.join(known)}.")
    if connector:
        return known[connector]
    if len(known) > 1:
        raise BadInput(
            "Several connectors are set up.",
            hint=f"Name one: --connector {'|'.join(known)}, or --data-source ID.",
        )
    (only,) = known.values()
    if not only.data_source_id:
        settings.require("ds_id")
    return only


def latest(aws: Aws, settings: Settings, data_source_id: str) -> SyncJob | None:
    """The newest sync job, or None when there never was one."""
    return next(_jobs(aws, settings, data_source_id), None)


def history(aws: Aws, settings: Settings, data_source_id: str, window: Window) -> list[SyncJob]:
    """Every sync job that started within ``window``, newest first."""
    return list(_jobs(aws, settings, data_source_id, window))


def start(aws: Aws, settings: Settings, data_source_id: str) -> Started:
    """Starts a sync job; if one runs already, says which (API: StartDataSourceSyncJob).

    A ConflictException can also mean that our own first request did start the job and only its answer was lost:
    either way the job that runs is looked up, never assumed.

    Raises
    ------
    AwsError
        When AWS refuses for any other reason.
    """
    client = aws.client("qbusiness")
    try:
        with aws_errors("qbusiness:StartDataSourceSyncJob", resource=data_source_id):
            answer = client.start_data_source_sync_job(
                applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=data_source_id
            )
    except AwsError as error:
        if error.code != "ConflictException":
            raise
        running = latest(aws, settings, data_source_id)
        if running is None or not running.running:
            raise
        return Started(data_source_id, running.execution_id, joined=True)
    return Started(data_source_id, answer["executionId"], joined=False)


def wait(
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    execution_id: str = "",
    *,
    deadline: timedelta = timedelta(hours=2),
    progress: Callable[[SyncJob], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> SyncJob:
    """Waits until a sync job has ended, and returns it. The job is left alone whatever happens here.

    Parameters
    ----------
    execution_id:
        The job; empty for the newest one.
    deadline:
        How long to wait.
    progress:
        Called with the job after every look.

    Raises
    ------
    DeadlinePassed
        When it still runs after ``deadline``.
    ResourceMissing
        When there is no such job.
    """
    rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
    until = monotonic() + deadline.total_seconds()
    pause = _FIRST_PAUSE
    while True:
        job = _find(aws, settings, data_source_id, execution_id)
        execution_id = job.execution_id
        progress(job)
        if not job.running:
            return job
        left = until - monotonic()
        if left <= 0:
            raise DeadlinePassed(
                f"Sync job {execution_id} is still {job.status} ({MEANING[job.status]}) after {duration(deadline)}.",
                hint="It goes on by itself. `vmq sync wait` waits again; `vmq sync history` shows what others took.",
            )
        sleep(min(left, pause * rng.uniform(0.8, 1.2)))
        pause = min(_LONGEST_PAUSE, pause * _GROWTH)


def _jobs(
    aws: Aws, settings: Settings, data_source_id: str, window: Window | None = None
) -> Iterator[SyncJob]:
    """Jobs, newest first, a page of ten at a time: whoever needs the newest one asks for one page only."""
    paginator = aws.client("qbusiness").get_paginator("list_data_source_sync_jobs")
    span = {} if window is None else {"startTime": window.since, "endTime": window.until}
    pages = iter(
        paginator.paginate(
            applicationId=settings.app_id,
            indexId=settings.index_id,
            dataSourceId=data_source_id,
            PaginationConfig={"PageSize": 10},
            **span,  # type: ignore[arg-type]
        )
    )
    while True:
        with aws_errors("qbusiness:ListDataSourceSyncJobs", resource=f"data source {data_source_id}"):
            page = next(pages, None)
        if page is None:
            return
        yield from (_job(syncjobs.row(data_source_id, item)) for item in page.get("history", []))


def _job(row: Mapping[str, Any]) -> SyncJob:
    counts = {name: row[name] or 0 for name in ("added", "modified", "deleted", "failed", "scanned")}
    return SyncJob(
        data_source_id=row["data_source_id"],
        execution_id=row["execution_id"],
        status=row["status"],
        started_at=parse_iso(row["started_at"]),
        ended_at=parse_iso(row["ended_at"]) if row["ended_at"] else None,
        error_code=row["error_code"],
        error_message=row["error_message"],
        **counts,
    )


def _find(aws: Aws, settings: Settings, data_source_id: str, execution_id: str) -> SyncJob:
    for job in _jobs(aws, settings, data_source_id):
        if not execution_id or job.execution_id == execution_id:
            return job
    named = f"sync job {execution_id}" if execution_id else "sync job yet"
    raise ResourceMissing(
        f"Data source {data_source_id} has no {named}.",
        hint="`vmq sync history` lists the jobs; `vmq sync start` starts one.",
        operation="qbusiness:ListDataSourceSyncJobs",
    )


def describe(job: SyncJob, now: datetime) -> str:
    """One sentence on a job, for a terminal or a journal."""
    took = duration((job.ended_at or now) - job.started_at)
    counts = f"{job.added} added, {job.modified} modified, {job.deleted} deleted, {job.failed} failed"
    reason = f" {job.error_message}" if job.error_message else ""
    return f"{job.status} after {took} (started {show_time(job.started_at)}): {counts}.{reason}"


def journaled_start(incident: Incident, aws: Aws, settings: Settings, data_source_id: str) -> Started:
    """:func:`start` with the intention and the outcome in the incident's journal."""
    data = {"action": "sync", "data_source_id": data_source_id}
    incident.applying("resync", f"Start a sync job of data source {data_source_id}.", data)
    try:
        started = start(aws, settings, data_source_id)
    except AwsError as error:
        incident.failed("resync", error.message, {**data, "problem": error.message, "hint": error.hint})
        raise
    verb = "Joined the running" if started.joined else "Started"
    incident.applied(
        "resync", f"{verb} sync job {started.execution_id}.", {**data, "execution_id": started.execution_id}
    )
    return started


def journal_outcome(incident: Incident, job: SyncJob) -> None:
    """Writes how a sync job ended into the incident's journal: verified when it succeeded, failed when not."""
    now = job.ended_at or incident.clock.now()
    data = {"action": "sync", "data_source_id": job.data_source_id, "execution_id": job.execution_id}
    if job.succeeded:
        incident.verified("resync", describe(job, now), data)
    else:
        incident.failed("resync", describe(job, now), data)
