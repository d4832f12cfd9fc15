"""Sync jobs of the data sources (runbook steps 1 and 4): ``qbusiness:ListDataSourceSyncJobs``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.sources.base import (
    COUNT,
    NUMBER,
    TEXT,
    TIME,
    Column,
    Reading,
    Row,
    Source,
    count,
    data_source_ids,
    gather_by_source,
    moment,
    not_asked,
)
from vmqlib.times import iso

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["RUNNING", "SOURCE", "TERMINAL", "last_good", "last_good_row", "read", "row"]

#: The statuses a job ends in, and the ones it has while it runs. There are no others (botocore's model).
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "INCOMPLETE", "ABORTED"})
RUNNING = frozenset({"SYNCING", "SYNCING_INDEXING", "STOPPING"})

_COLUMNS = {
    "data_source_id": Column(TEXT, "", "the data source"),
    "execution_id": Column(TEXT, "", "the job"),
    "status": Column(
        TEXT, "", "FAILED, SUCCEEDED, SYNCING, INCOMPLETE, STOPPING, ABORTED or SYNCING_INDEXING"
    ),
    "started_at": Column(TIME, "", "when it started"),
    "ended_at": Column(TIME, "", "when it ended; missing while it runs"),
    "duration_s": Column(NUMBER, "s", "from start to end; missing while it runs"),
    "added": Column(COUNT, "documents", "documentsAdded"),
    "modified": Column(COUNT, "documents", "documentsModified"),
    "deleted": Column(COUNT, "documents", "documentsDeleted"),
    "failed": Column(COUNT, "documents", "documentsFailed"),
    "scanned": Column(COUNT, "documents", "documentsScanned"),
    "error_code": Column(TEXT, "", "error.errorCode"),
    "error_message": Column(TEXT, "", "error.errorMessage"),
    "data_source_error_code": Column(TEXT, "", "dataSourceErrorCode, the connector's own"),
}


def read(aws: Aws, settings: Settings, _window: Window, *, data_source_id: str = "") -> Reading:
    """Every job that Q Business still lists, newest first. The window is not used: the last good sync, from
    which everything else is counted, may be older than it. One data source that cannot be seen leaves out its own jobs.

    Raises
    ------
    AwsError
        ``qbusiness:ListDataSourceSyncJobs`` refused or not reached, for every data source.
    SettingsError
        Where APP_ID, INDEX_ID or DS_ID is not set.
    """
    settings.require("app_id", "index_id")
    ids = data_source_ids(settings, data_source_id)
    rows, missing = gather_by_source(ids, partial(_jobs, aws, settings))
    rows.sort(key=lambda job: job["started_at"] or "", reverse=True)
    return Reading(
        source="sync-jobs",
        call="qbusiness:ListDataSourceSyncJobs",
        parameters={"applicationId": settings.app_id, "indexId": settings.index_id, "dataSourceIds": ids},
        rows=rows,
        complete=not missing,
        stopped="; ".join(missing.values()),
        missing=missing | not_asked(settings, ids),
    )


SOURCE = Source("sync-jobs", "Sync history", read, _COLUMNS, order=("-started_at",))


def _jobs(aws: Aws, settings: Settings, data_source_id: str) -> list[Row]:
    paginator = aws.client("qbusiness").get_paginator("list_data_source_sync_jobs")
    with aws_errors("qbusiness:ListDataSourceSyncJobs", f"data source {data_source_id}"):
        pages = paginator.paginate(
            applicationId=settings.app_id,
            indexId=settings.index_id,
            dataSourceId=data_source_id,
            PaginationConfig={"PageSize": 10},
        )
        return [row(data_source_id, job) for page in pages for job in page.get("history", [])]


def row(data_source_id: str, job: Mapping[str, Any]) -> Row:
    """One job of ``ListDataSourceSyncJobs`` as a row of this source."""
    started: datetime | None = job.get("startTime")
    ended: datetime | None = job.get("endTime")
    metrics = job.get("metrics") or {}
    error = job.get("error") or {}
    return {
        "data_source_id": data_source_id,
        "execution_id": job.get("executionId", ""),
        "status": job.get("status", ""),
        "started_at": moment(started),
        "ended_at": moment(ended),
        "duration_s": (ended - started).total_seconds() if started and ended else None,
        "added": count(metrics.get("documentsAdded")),
        "modified": count(metrics.get("documentsModified")),
        "deleted": count(metrics.get("documentsDeleted")),
        "failed": count(metrics.get("documentsFailed")),
        "scanned": count(metrics.get("documentsScanned")),
        "error_code": error.get("errorCode", ""),
        "error_message": error.get("errorMessage", ""),
        "data_source_error_code": job.get("dataSourceErrorCode", ""),
    }


def last_good(
    jobs: pd.DataFrame, before: datetime | None = None, *, data_source_id: str = ""
) -> pd.Series[Any] | None:
    """The newest job that SUCCEEDED, as a row of the frame; ``None`` where there is none.

    Parameters
    ----------
    jobs:
        A frame of this source.
    before:
        Only jobs that started before this moment.
    data_source_id:
        Only jobs of this data source.
    """
    good = jobs[jobs["status"] == "SUCCEEDED"]
    if data_source_id:
        good = good[good["data_source_id"] == data_source_id]
    if before is not None:
        good = good[good["started_at"] < before]
    good = good.dropna(subset=["started_at"]).sort_values("started_at", kind="stable")
    return None if good.empty else good.iloc[-1]


def last_good_row(
    rows: Iterable[Mapping[str, Any]],
    before: datetime,
    *,
    data_source_id: str = "",
    ended: bool = False,
) -> Row | None:
    """The same from an evidence file's rows, without a frame: who only asks this need not wait for pandas.

    Parameters
    ----------
    rows:
        Rows as :func:`row` gives them.
    before, data_source_id:
        As for :func:`last_good`.
    ended:
        Only jobs that had ended by ``before``, too.
    """
    moment = iso(before)
    good = [
        one
        for one in rows
        if one.get("status") == "SUCCEEDED"
        and one.get("started_at")
        and one["started_at"] < moment
        and data_source_id in ("", one.get("data_source_id"))
        and not (ended and one.get("ended_at") and one["ended_at"] > moment)
    ]
    return dict(max(good, key=lambda one: one["started_at"])) if good else None
