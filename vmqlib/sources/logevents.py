"""What one log event of Q Business says: the connector's lines and the document-level report.

Whether the report's stage statuses are nested (``{"CrawlStatus": {"Status": …}}``) or plain is not documented
beyond doubt: both are read. A line that is not JSON is a message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmqlib.sources.documents import error_kind

__all__ = ["Failure", "Failures", "fields"]

_LEVEL = re.compile(r"\b(ERROR|WARN(?:ING)?|INFO|DEBUG)\b")
_EXAMPLES = 5
_MOST_KINDS = 10_000
_MOST_DOCUMENTS = 200_000


def fields(message: str, stream: str = "") -> dict[str, str]:
    """The parts of an event's message that the log sources have columns for; ``""`` where it has none.

    Parameters
    ----------
    message:
        The event's message as CloudWatch Logs has it.
    stream:
        Its stream: the report's names the sync job.
    """
    content = _json(message)
    if content is None:
        level = _LEVEL.search(message)
        return _ROW | {"level": level[1].capitalize() if level else "", "message": message.rstrip()}
    row = {name: _first(content, keys) for name, keys in _KEYS.items()}
    parts = stream.split("/")
    if not row["execution_id"] and parts[0] == "SYNC_RUN_HISTORY_REPORT" and len(parts) > 2:
        row["execution_id"] = parts[2]
    return row


_KEYS = {
    "level": ("LogLevel", "logLevel", "level"),
    "error_code": ("ErrorCode", "errorCode"),
    "document_id": ("DocumentId", "documentId"),
    "uri": ("SourceUri", "SourceURI", "sourceUri"),
    "status": ("ConnectorDocumentStatus", "Status"),
    "crawl_action": ("CrawlAction",),
    "crawl_status": ("CrawlStatus",),
    "sync_status": ("SyncStatus",),
    "index_status": ("IndexStatus",),
    "message": ("ErrorMsg", "ErrorMessage", "Message", "message"),
    "execution_id": ("SyncJobId", "ExecutionId", "executionId"),
}
_ROW = dict.fromkeys(_KEYS, "")


def _json(message: str) -> Mapping[str, Any] | None:
    if not message.lstrip().startswith("{"):
        return None
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _first(content: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = content.get(key)
        if isinstance(value, Mapping):
            value = value.get("Status")
        if value not in (None, "", [], {}):
            return value if isinstance(value, str) else json.dumps(value)
    return ""


@dataclass(frozen=True)
class Failure:
    """Documents that failed for the same reason.

    Parameters
    ----------
    error:
        The reason, without what names one document.
    documents:
        How many documents.
    reports:
        How many failures were reported, over all syncs of the window.
    first_seen, last_seen:
        ISO 8601, UTC.
    examples:
        Some of the documents, the first seen first.
    """

    error: str
    documents: int
    reports: int
    first_seen: str
    last_seen: str
    examples: tuple[str, ...]


@dataclass
class _Group:
    first_seen: str
    last_seen: str = ""
    reports: int = 0
    names: set[int] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)


class Failures:
    """Groups failures as they pass by, oldest first, in bounded memory.

    Beyond 10,000 reasons, further ones are counted together; beyond 200,000 documents they are no longer told
    apart and ``documents`` is a lower bound.
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._known = 0

    def add(self, at: str, row: Mapping[str, str]) -> None:
        """Counts one event, given as :func:`fields` gives it, if it is a document's failure."""
        if row["status"] != "FAILED":
            return
        error = error_kind(row["error_code"], row["message"])
        if error not in self._groups and len(self._groups) >= _MOST_KINDS:
            error = "other errors"
        group = self._groups.setdefault(error, _Group(first_seen=at))
        group.reports += 1
        group.last_seen = at
        name = row["uri"] or row["document_id"]
        mark = hash(row["document_id"] or name)
        if mark not in group.names and self._known < _MOST_DOCUMENTS:
            group.names.add(mark)
            self._known += 1
            if len(group.examples) < _EXAMPLES:
                group.examples.append(name)

    def groups(self) -> tuple[Failure, ...]:
        """What was counted, most documents first."""
        found = [
            Failure(error, len(one.names), one.reports, one.first_seen, one.last_seen, tuple(one.examples))
            for error, one in self._groups.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.documents, -one.reports, one.error)))
