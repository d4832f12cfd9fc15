"""Sync jobs as they are now: listed, found, described; and which connector is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws, aws_errors
from vmqlib.errors import BadInput, ResourceMissing
from vmqlib.settings import Connector, Settings
from vmqlib.sources import syncjobs
from vmqlib.sources.syncjobs import RUNNING
from vmqlib.times import Window, duration, parse_iso, show_time

if TYPE_CHECKING:
    from mypy_boto3_qbusiness import QBusinessClient

__all__ = ["MEANING", "SyncJob", "choose", "choose_all", "describe", "find", "history", "latest", "listed"]

MEANING = {
    "SYNCING": "reading the source",
    "SYNCING_INDEXING": "writing the index",
    "STOPPING": "being stopped",
    "SUCCEEDED": "it came to its end, and no document failed",
    "INCOMPLETE": "the source was read, but some documents failed",
    "FAILED": "the sync failed as a whole: usually configuration or a permission",
    "ABORTED": "somebody stopped it",
}
"""All seven statuses of a sync job, for people (API: DataSourceSyncJobStatus)."""


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

    def took(self, now: datetime) -> timedelta:
        """From its start to its end; while it runs, to ``now`` (never less than nothing: clocks differ)."""
        return max(timedelta(), (self.ended_at or now) - self.started_at)


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


def choose_all(
    settings: Settings,
    data_source_ids: Sequence[str] = (),
    connectors: Sequence[str] = (),
    *,
    every: bool = False,
    default: str = "",
) -> tuple[Connector, ...]:
    """The connectors that are meant, each once.

    Parameters
    ----------
    data_source_ids, connectors:
        As for :func:`choose`, several.
    every:
        All connectors of the settings.
    default:
        The data source that is meant where none is named: an incident's.

    Raises
    ------
    BadInput
        As :func:`choose`; or when all and some were asked for at once.
    SettingsError
        As :func:`choose`.
    """
    if every and (data_source_ids or connectors):
        raise BadInput("--all and a named connector do not go together.", hint="Leave one of the two out.")
    if every:
        # An entry of vmq.toml may have no id yet: it is no data source that could be asked about.
        found = [each for each in settings.data_sources if each.data_source_id]
        if not found:
            settings.require("ds_id")
    else:
        found = [choose(settings, one) for one in data_source_ids]
        found += [choose(settings, connector=one) for one in connectors]
        found = found or [choose(settings, default)]
    return tuple({each.data_source_id: each for each in found}.values())


def latest(aws: Aws, settings: Settings, data_source_id: str) -> SyncJob | None:
    """The newest sync job, or None when there never was one."""
    return next(listed(aws, settings, data_source_id), None)


def history(aws: Aws, settings: Settings, data_source_id: str, window: Window) -> list[SyncJob]:
    """Every sync job that started within ``window``, newest first."""
    return list(listed(aws, settings, data_source_id, window))


def listed(
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    window: Window | None = None,
    *,
    client: QBusinessClient | None = None,
) -> Iterator[SyncJob]:
    """Jobs, newest first, a page of ten at a time: whoever needs the newest one asks for one page only.

    Parameters
    ----------
    client:
        Another client than the shared one.
    """
    paginator = (client or aws.client("qbusiness")).get_paginator("list_data_source_sync_jobs")
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


def find(
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    execution_id: str = "",
    *,
    client: QBusinessClient | None = None,
) -> SyncJob:
    """A sync job by its id; without one, the newest.

    Raises
    ------
    ResourceMissing
        When there is no such job.
    AwsError
        When AWS refuses, or cannot be reached.
    """
    for job in listed(aws, settings, data_source_id, client=client):
        if not execution_id or job.execution_id == execution_id:
            return job
    named = f"sync job {execution_id}" if execution_id else "sync job yet"
    raise ResourceMissing(
        f"Data source {data_source_id} has no {named}.",
        hint="`vmq sync history` lists the jobs; `vmq sync start` starts one.",
        operation="qbusiness:ListDataSourceSyncJobs",
    )


def describe(job: SyncJob, now: datetime, name: str = "") -> str:
    """One sentence on a job, for a terminal or a journal; ``name`` is the connector's."""
    counts = f"{job.added} added, {job.modified} modified, {job.deleted} deleted, {job.failed} failed"
    reason = f" {job.error_message}" if job.error_message else ""
    subject = f"The sync of {name}" if name else "The sync"
    ended = f"{subject} {'is' if job.running else 'ended as'} {job.status} after {duration(job.took(now))}"
    return f"{ended} (started {show_time(job.started_at)}): {counts}.{reason}"
