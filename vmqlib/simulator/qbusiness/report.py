"""A sync's log events: the document-level report and the connector's own lines. Pure.

Fields of the report: the record fields of the log type ``SYNC_JOB_LOGS``, and "document-level sync reports"
of the user guide: an unmodified document is SKIPPED in the later stages, a failed one names the stage.
``Acl`` and ``Metadata`` are JSON in a string, as the guide's queries search them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vmqlib.simulator.qbusiness.index import Document
from vmqlib.simulator.qbusiness.jobs import SyncJob
from vmqlib.simulator.qbusiness.plan import Step

__all__ = [
    "JobIds",
    "connector_line",
    "connector_stream",
    "document_errors",
    "report_events",
    "report_stream",
]

_STAGES = ("crawl", "sync", "index")
_HELD_BACK = "The deletion was skipped: the deletion protection threshold was exceeded."


@dataclass(frozen=True)
class JobIds:
    """Whose sync a log event is about.

    Parameters
    ----------
    account_id, application_id, index_id, data_source_id:
        The ids.
    """

    account_id: str
    application_id: str
    index_id: str
    data_source_id: str


def report_stream(ids: JobIds, job: SyncJob) -> str:
    """The stream of a job's document-level report."""
    return f"SYNC_RUN_HISTORY_REPORT/{ids.data_source_id}/{job.execution_id}"


def connector_stream(ids: JobIds, at: datetime) -> str:
    """The stream of the connector's own lines: one an hour."""
    return f"{ids.data_source_id}/{at:%Y-%m-%d-%H}"


def connector_line(ids: JobIds, level: str, message: str, **more: str) -> dict[str, Any]:
    """One line of the connector log; ``level`` is Info, Warn or Error."""
    line = {
        "LogLevel": level,
        "Message": message,
        "DataSourceId": ids.data_source_id,
        "IndexId": ids.index_id,
    }
    return {**line, **more}


def document_errors(ids: JobIds, job: SyncJob, done: Iterable[Step]) -> Iterator[dict[str, Any]]:
    """A connector line for each document that failed."""
    for step in done:
        if step.failure is not None:
            yield connector_line(
                ids,
                "Error",
                step.failure.message,
                ErrorCode=step.failure.code,
                DocumentId=step.document.document_id,
                SourceUri=step.document.uri,
                SyncJobId=job.execution_id,
            )


def report_events(ids: JobIds, job: SyncJob, done: int) -> list[tuple[datetime, dict[str, Any]]]:
    """The report's events for the first ``done`` steps of the job, each dated when it was applied."""
    return [(job.time_of(position), _event(ids, job, step)) for position, step in enumerate(job.work[:done])]


def _event(ids: JobIds, job: SyncJob, step: Step) -> dict[str, Any]:
    document = step.document
    crawl, sync, index, overall = _statuses(step)
    event: dict[str, Any] = {
        "LogLevel": "Error" if overall == "FAILED" else "Info",
        "AwsAccountId": ids.account_id,
        "ApplicationId": ids.application_id,
        "IndexId": ids.index_id,
        "DataSourceId": ids.data_source_id,
        "SyncJobId": job.execution_id,
        **_document(document),
        "CrawlAction": step.action,
        "CrawlStatus": {"Status": crawl},
        "SyncStatus": {"Status": sync},
        "IndexStatus": {"Status": index},
        "ConnectorDocumentStatus": {"Status": overall},
    }
    if step.failure is not None:
        event["ErrorCode"] = step.failure.code
        event["ErrorMsg"] = step.failure.message
    elif step.held_back:
        event["ErrorMsg"] = _HELD_BACK
    return event


def _statuses(step: Step) -> tuple[str, str, str, str]:
    if step.failure is not None:
        failed = _STAGES.index(step.failure.stage)
        crawl, sync, index = (
            "SUCCESS" if position < failed else "FAILED" if position == failed else "SKIPPED"
            for position in range(3)
        )
        return crawl, sync, index, "FAILED"
    if step.action == "UNMODIFIED" or step.held_back:
        return "SUCCESS", "SKIPPED", "SKIPPED", "SKIPPED"
    return "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS"


def _document(document: Document) -> dict[str, str]:
    if document.reported is None:
        document.reported = {
            "DocumentId": document.document_id,
            "DocumentTitle": document.title,
            "SourceUri": document.uri,
            "Acl": _acl(document),
            "Metadata": _metadata(document),
            "HashedDocumentId": hashlib.sha256(document.document_id.encode()).hexdigest(),
            "ContentType": document.content_type,
        }
    return document.reported


def _acl(document: Document) -> str:
    if not document.acl:
        return "[]"
    return json.dumps(
        [
            {
                "name": name,
                "globalName": name,
                "type": kind,
                "access": "ALLOWED" if access == "ALLOW" else "DENIED",
                "isFederated": False,
                "dataSourceId": document.data_source_id,
            }
            for name, kind, access in document.acl
        ]
    )


def _metadata(document: Document) -> str:
    fields = {"s3_document_id": document.key, "_source_uri": document.uri, **document.attributes}
    return json.dumps([{"key": name, "value": {"stringValue": str(value)}} for name, value in fields.items()])
