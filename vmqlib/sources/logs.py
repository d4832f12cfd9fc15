"""Logs of Q Business: the two that an incident observes, and the capture of everything (runbook step 2).

The capture itself is :func:`capture`; what it is asked for is a :class:`LogQuery`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError
from vmqlib.sources.base import TEXT, TIME, Column, Progress, Reading, Row, Source, data_source_ids, moment
from vmqlib.sources.logcapture import capture
from vmqlib.sources.logevents import Failure, fields
from vmqlib.sources.logpages import EventPages
from vmqlib.sources.logquery import (
    Capture,
    CaptureProgress,
    LogPart,
    LogQuery,
    PartResult,
    Span,
    span_of,
    time_of,
)

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = [
    "CONNECTOR_LOG",
    "DOCUMENT_REPORT",
    "Capture",
    "CaptureProgress",
    "Failure",
    "LogPart",
    "LogQuery",
    "PartResult",
    "capture",
    "default_out",
    "read_connector_log",
    "read_document_report",
]

_BOTH = {
    "at": Column(TIME, "", "the event's time"),
    "stream": Column(TEXT, "", "its log stream"),
    "event_id": Column(TEXT, "", "its id"),
    "level": Column(TEXT, "", "LogLevel"),
    "error_code": Column(TEXT, "", "ErrorCode"),
    "document_id": Column(TEXT, "", "DocumentId"),
    "uri": Column(TEXT, "", "SourceUri"),
    "status": Column(TEXT, "", "ConnectorDocumentStatus.Status: SUCCESS, FAILED or SKIPPED"),
    "message": Column(TEXT, "", "ErrorMsg or Message; the whole line where it is not JSON"),
    "execution_id": Column(TEXT, "", "the sync job"),
}
_REPORT = _BOTH | {
    "crawl_action": Column(TEXT, "", "CrawlAction: ADD, MODIFY, DELETE, UNMODIFIED"),
    "crawl_status": Column(TEXT, "", "CrawlStatus"),
    "sync_status": Column(TEXT, "", "SyncStatus"),
    "index_status": Column(TEXT, "", "IndexStatus"),
}


def read_connector_log(aws: Aws, settings: Settings, window: Window, *, data_source_id: str = "") -> Reading:
    """The connector's own lines (streams that begin with the data source's id) in the window.

    The rows are a generator that asks ``logs:FilterLogEvents`` page by page. Where AWS refuses before the first
    row it raises :class:`vmqlib.errors.AwsError`; after that it stops and the reading's outcome says so.

    Raises
    ------
    SettingsError
        Where APP_ID or DS_ID is not set.
    """
    ids = data_source_ids(settings, data_source_id)
    return _reading(aws, settings, window, "connector-log", _BOTH, ids)


def read_document_report(
    aws: Aws, settings: Settings, window: Window, *, data_source_id: str = ""
) -> Reading:
    """The document-level report (streams ``SYNC_RUN_HISTORY_REPORT/<data source>/<job>``) in the window.

    See :func:`read_connector_log` for how it is read.

    Raises
    ------
    SettingsError
        Where APP_ID or DS_ID is not set.
    """
    ids = [f"SYNC_RUN_HISTORY_REPORT/{one}/" for one in data_source_ids(settings, data_source_id)]
    return _reading(aws, settings, window, "document-report", _REPORT, ids)


CONNECTOR_LOG = Source("connector-log", "Connector log", read_connector_log, _BOTH, order=("at",))
DOCUMENT_REPORT = Source(
    "document-report", "Document-level report", read_document_report, _REPORT, order=("at",)
)


def _reading(
    aws: Aws,
    settings: Settings,
    window: Window,
    name: str,
    columns: Mapping[str, Column],
    prefixes: list[str],
) -> Reading:
    settings.require("app_id")
    progress = Progress()
    rows = _rows(aws, settings.log_group, prefixes, span_of(window), progress)
    return Reading(
        source=name,
        call="logs:FilterLogEvents",
        parameters={
            "logGroupName": settings.log_group,
            "logStreamNamePrefixes": prefixes,
            "since": moment(window.since),
            "until": moment(window.until),
        },
        rows=({name: row[name] for name in columns} for row in rows),
        progress=progress,
    )


def _rows(aws: Aws, group: str, prefixes: list[str], span: Span, progress: Progress) -> Iterator[Row]:
    pages = EventPages(aws)
    given = False
    for prefix in prefixes:
        before: set[str] = set()
        try:
            for page in pages.pages(group, span, prefix=prefix):
                # Two pages may overlap where many streams are read at once.
                ids = {event["eventId"] for event in page.events}
                for event in page.events:
                    if event["eventId"] not in before and event["logStreamName"].startswith(prefix):
                        given = True
                        yield _row(event)
                before = ids
        except AwsError as error:
            if not given:
                raise
            progress.stop(str(error))
            return


def _row(event: Mapping[str, Any]) -> Row:
    stream = event["logStreamName"]
    known = {"at": moment(time_of(int(event["timestamp"]))), "stream": stream, "event_id": event["eventId"]}
    return known | fields(event["message"], stream)


def default_out(root: Path, query: LogQuery) -> Path:
    """Where a capture goes when nobody says: ``root/<data source>/<window>``, or the folder of an unfinished one
    that this query takes up."""
    home = root / query.data_source_id
    for path in sorted(home.glob("*/.partial/query.json"), reverse=True):
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            identity = query.identity(known["region"], known["endpoint"])
            if query.continues(known, identity):
                return path.parent.parent
        except (OSError, ValueError, KeyError):
            continue
    window = query.window
    return home / f"{window.since:%Y%m%dT%H%M%SZ}--{window.until:%Y%m%dT%H%M%SZ}"
