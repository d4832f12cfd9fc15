"""Sync jobs: started, stopped, listed, and how they go on as time passes.

A job is SYNCING while it crawls, SYNCING_INDEXING while it changes the index, then SUCCEEDED, INCOMPLETE
(some documents failed) or FAILED (the source cannot be crawled). Its counts grow as it goes. A CUSTOM data
source's job runs until it is stopped, which is how its connector says that it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from vmqlib.simulator.qbusiness.connector import S3Connector
from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.exceptions import Conflict, Validation
from vmqlib.simulator.qbusiness.failures import SourceFailed
from vmqlib.simulator.qbusiness.index import DocumentIndex
from vmqlib.simulator.qbusiness.jobs import SyncJob, Timeline
from vmqlib.simulator.qbusiness.logs import SYNC_JOB_LOGS
from vmqlib.simulator.qbusiness.metrics import AWS, VAULTMESH
from vmqlib.simulator.qbusiness.paging import page
from vmqlib.simulator.qbusiness.plan import Plan, Step, plan_sync
from vmqlib.simulator.qbusiness.report import (
    JobIds,
    connector_line,
    connector_stream,
    document_errors,
    report_events,
    report_stream,
)
from vmqlib.simulator.qbusiness.resources import Resource, Resources
from vmqlib.simulator.qbusiness.role import Role, find_role
from vmqlib.simulator.qbusiness.timing import aware, now

__all__ = ["Syncs"]

_COUNTED_AS = {"ADD": "Added", "MODIFY": "Modified", "DELETE": "Deleted"}


class Syncs:
    """All sync jobs of the account.

    Parameters
    ----------
    context:
        Shared with the other parts.
    resources:
        Where data sources are looked up.
    index_of:
        Gives the documents of an index id.
    """

    def __init__(
        self, context: Context, resources: Resources, index_of: Callable[[str], DocumentIndex]
    ) -> None:
        self._context = context
        self._resources = resources
        self._index_of = index_of
        self._jobs: dict[str, list[SyncJob]] = {}
        self._running: dict[str, tuple[Resource, SyncJob]] = {}

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The API operations that this part answers."""
        return {
            "StartDataSourceSyncJob": self._start_operation,
            "StopDataSourceSyncJob": self._stop_operation,
            "ListDataSourceSyncJobs": self._list_operation,
        }

    def jobs(self, data_source_id: str) -> list[SyncJob]:
        """The jobs of a data source, oldest first."""
        return self._jobs.get(data_source_id, [])

    def running(self, data_source_id: str) -> SyncJob | None:
        """The job that is running, if one is."""
        found = self._running.get(data_source_id)
        return found[1] if found else None

    def forget(self, data_source_id: str) -> None:
        """Drops the history of a data source that was deleted."""
        self._jobs.pop(data_source_id, None)

    def start(self, source: Resource, at: datetime, *, by_schedule: bool = False) -> SyncJob:
        """Starts a job at ``at``.

        Raises
        ------
        Conflict
            When one is running, or the data source is not ACTIVE.
        """
        source_id = source.resource_id
        if source_id in self._running:
            execution = self._running[source_id][1].execution_id
            raise Conflict(
                f"A sync job is already in progress for the data source {source_id} (execution {execution}).",
                source_id,
                "DATA_SOURCE",
            )
        if source.status != "ACTIVE":
            raise Conflict(
                f"The data source {source_id} is {source.status}; a sync needs it ACTIVE.",
                source_id,
                "DATA_SOURCE",
            )
        pace = self._context.pace
        job = SyncJob(
            execution_id=self._context.new_id(),
            started_at=at,
            crawls_at=at + pace.span(pace.base, self._context.dice()),
            by_schedule=by_schedule,
        )
        self._jobs.setdefault(source_id, []).append(job)
        self._running[source_id] = source, job
        self._log(source, at, "Info", "The sync job started.", SyncJobId=job.execution_id)
        return job

    def stop(self, source: Resource, at: datetime) -> None:
        """Stops the running job, if one is: it becomes STOPPING, then ABORTED (CUSTOM: it is done)."""
        job = self.running(source.resource_id)
        if job is None:
            return
        self.progress(at)
        if not job.is_running or job.status == "STOPPING":
            return
        pace = self._context.pace
        if _type(source) == "CUSTOM":
            self._follow(job, Plan((), ()), at)
            return
        job.status = "STOPPING"
        job.stops_at = at + pace.span(pace.stopping, self._context.dice())

    def next_event_at(self) -> datetime | None:
        """When a job's status next changes; None when none is running."""
        times = [moment for _, job in self._running.values() if (moment := job.next_event_at()) is not None]
        return min(times, default=None)

    def progress(self, until: datetime) -> None:
        """Lets every running job go on until ``until``."""
        for source, job in list(self._running.values()):
            while (due := job.next_event_at()) is not None and due <= until:
                self._change(source, job, due)
            self._count(source, job, until)

    def log_skipped(self, source: Resource, at: datetime) -> None:
        """Notes that a scheduled start found a job running."""
        self._log(source, at, "Warn", "The scheduled sync was skipped: a sync job is already in progress.")

    def _change(self, source: Resource, job: SyncJob, at: datetime) -> None:
        if job.stops_at is not None:
            self._end(source, job, at, "ABORTED")
        elif job.timeline is None:
            self._crawl(source, job, at)
        elif job.status == "SYNCING":
            self._count(source, job, at)
            job.status = "SYNCING_INDEXING"
        else:
            self._count(source, job, at)
            self._end(source, job, at, "INCOMPLETE" if job.counts["Failed"] else "SUCCEEDED")

    def _crawl(self, source: Resource, job: SyncJob, at: datetime) -> None:
        try:
            plan = self._plan(source, at)
        except SourceFailed as failed:
            job.error = failed.error_code, failed.message, failed.source_code
            self._log(
                source, at, "Error", failed.message, ErrorCode=failed.source_code, SyncJobId=job.execution_id
            )
            self._end(source, job, at, "FAILED")
            return
        if plan is None:
            job.crawls_at = datetime.max.replace(tzinfo=at.tzinfo)  # a CUSTOM connector says when it is done
            return
        if any(step.held_back for step in plan.gone):
            text = (
                f"The deletion protection threshold was exceeded: {len(plan.gone)} deletions beside "
                f"{len(plan.crawled)} documents found were skipped."
            )
            self._log(source, at, "Warn", text, ErrorCode="DeletionProtection", SyncJobId=job.execution_id)
        self._follow(job, plan, at)

    def _plan(self, source: Resource, at: datetime) -> Plan | None:
        kind = _type(source)
        if kind == "CUSTOM":
            return None
        role = self._role(source)
        if kind not in ("S3", "S3V2"):
            return Plan((), ())  # nothing behind the other connectors is simulated
        try:
            connector = S3Connector.read(source.settings["configuration"])
        except Validation as error:
            raise SourceFailed("InvalidRequest", error.message, "InvalidConfiguration") from error
        known = self._index_of(source.parents["indexId"]).of_source(source.resource_id)
        return plan_sync(connector, self._context.reader.acting_as(role), known, source.resource_id, at)

    def _role(self, source: Resource) -> Role:
        """The data source's role, assumed.

        Raises
        ------
        SourceFailed
            When it has none, there is no such role, or its trust policy does not trust Amazon Q Business.
        """
        context, arn = self._context, source.settings.get("roleArn")
        found = find_role(context.account_id, context.partition, context.region, arn) if arn else None
        if found is None or arn in context.denials.roles or not found.is_assumable(source.arn):
            why = "has no role" if not arn else f"cannot assume the role {arn}"
            raise SourceFailed(
                "InvalidRequest",
                f"The data source {why}. Check its IAM role and trust policy.",
                "AccessDenied",
            )
        return found

    def _follow(self, job: SyncJob, plan: Plan, at: datetime) -> None:
        pace, dice = self._context.pace, self._context.dice
        touched = sum(step.changes for step in plan.crawled + plan.gone)
        indexing = at + pace.span(pace.per_scanned * len(plan.crawled), dice())
        closing = indexing + pace.span(pace.per_indexed * touched, dice())
        job.plan = plan
        job.timeline = Timeline(at, indexing, closing, closing + pace.span(pace.closing, dice()))

    def _count(self, source: Resource, job: SyncJob, until: datetime) -> None:
        if job.plan is None or not job.is_running or job.stops_at is not None:
            return
        if job.plan.crawled:
            job.counts["Scanned"] = job.crawled_by(until)
        done = job.applied_by(until)
        if done > job.applied:
            index = self._index_of(source.parents["indexId"])
            for position in range(job.applied, done):
                self._apply(index, job, job.work[position], position)
            job.applied = done

    @staticmethod
    def _apply(index: DocumentIndex, job: SyncJob, step: Step, position: int) -> None:
        if step.failure is not None:
            job.counts["Failed"] += 1
        elif step.changes:
            job.counts[_COUNTED_AS[step.action]] += 1
        if not step.changes:
            return
        document = step.document
        if step.action == "DELETE":
            index.remove(document.data_source_id, document.document_id)
            return
        document.updated_at = job.time_of(position)
        if step.action == "ADD":
            document.created_at = document.updated_at
        index.put(document)

    def _end(self, source: Resource, job: SyncJob, at: datetime, status: str) -> None:
        del self._running[source.resource_id]
        job.status, job.ended_at = status, at
        self._write_logs(source, job, at)
        self._publish(source, job, at)
        job.plan = None

    def _write_logs(self, source: Resource, job: SyncJob, at: datetime) -> None:
        ids = self._ids(source)
        done = job.work[: job.applied]
        write = self._context.logs.write
        write(
            ids.application_id, SYNC_JOB_LOGS, report_stream(ids, job), report_events(ids, job, job.applied)
        )
        counts = ", ".join(
            f"{job.counts[name]} {name.lower()}"
            for name in ("Scanned", "Added", "Modified", "Deleted", "Failed")
        )
        level = "Info" if job.status == "SUCCEEDED" else "Warn"
        summary = connector_line(
            ids, level, f"The sync job ended with status {job.status}: {counts}.", SyncJobId=job.execution_id
        )
        lines = [*document_errors(ids, job, done), summary]
        write(ids.application_id, SYNC_JOB_LOGS, connector_stream(ids, at), [(at, line) for line in lines])

    def _publish(self, source: Resource, job: SyncJob, at: datetime) -> None:
        ids = self._ids(source)
        whole = {
            "ApplicationId": ids.application_id,
            "IndexId": ids.index_id,
            "DataSourceId": ids.data_source_id,
        }
        indexed = job.counts["Added"] + job.counts["Modified"]
        values = {"DocumentsIndexed": indexed, "DocumentsFailedToIndex": job.counts["Failed"]}
        self._context.metrics.put(AWS, values, whole, at)
        bad = job.status in ("FAILED", "INCOMPLETE")
        self._context.metrics.put(VAULTMESH, {"SyncFailed": float(bad)}, {"App": ids.application_id}, at)

    def _log(self, source: Resource, at: datetime, level: str, message: str, **more: str) -> None:
        ids = self._ids(source)
        line = connector_line(ids, level, message, **more)
        self._context.logs.write(ids.application_id, SYNC_JOB_LOGS, connector_stream(ids, at), [(at, line)])

    def _ids(self, source: Resource) -> JobIds:
        return JobIds(
            self._context.account_id,
            source.parents["applicationId"],
            source.parents["indexId"],
            source.resource_id,
        )

    def _start_operation(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"executionId": self.start(self._resources.get("DATA_SOURCE", params), now()).execution_id}

    def _stop_operation(self, params: dict[str, Any]) -> dict[str, Any]:
        self.stop(self._resources.get("DATA_SOURCE", params), now())
        return {}

    def _list_operation(self, params: dict[str, Any]) -> dict[str, Any]:
        source = self._resources.get("DATA_SOURCE", params)
        status = params.get("statusFilter")
        since, until = (
            aware(params[name]) if params.get(name) else None for name in ("startTime", "endTime")
        )
        jobs = [
            job.describe()
            for job in reversed(self.jobs(source.resource_id))
            if (status is None or job.status == status)
            and (since is None or job.started_at >= since)
            and (until is None or job.started_at <= until)
        ]
        found, more = page(jobs, params, default=10, scope=f"syncjobs/{source.resource_id}")
        return {"history": found, **more}


def _type(source: Resource) -> str:
    return str(source.settings.get("type", ""))
