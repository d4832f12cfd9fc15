"""Observations made by hand, typed as their source says, for tests of what is concluded from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vmqlib import sources
from vmqlib.record.observation import Observation
from vmqlib.times import iso

__all__ = ["DS", "NOW", "chat", "document", "failed_look", "job", "look", "version"]

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DS = "f7c1bd87-4da5-4709-9471-3d60c8a70639"


def look(name: str, rows: Iterable[Mapping[str, Any]], **more: Any) -> Observation:
    """What was seen of a source; times may be datetimes. ``more`` overrides the observation's fields."""
    texts = [{k: iso(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
    source = sources.REGISTRY[name]
    return Observation(name, source.title, **{"frame": sources.frame(source, texts), "at": NOW} | more)


def failed_look(name: str) -> Observation:
    """A source that AWS refused."""
    return look(name, [], available=False, problem="AccessDenied.", hint="Grant it.", complete=False)


def job(status: str, start: datetime, *, ds: str = DS, minutes: float = 5, **more: Any) -> dict[str, Any]:
    """A row of ``sync-jobs``."""
    ended = None if status.startswith("SYNCING") else start + timedelta(minutes=minutes)
    return {
        "data_source_id": ds, "execution_id": f"job-{start:%d%H%M}", "status": status, "started_at": start,
        "ended_at": ended, **more,
    }  # fmt: skip


def document(key: str, status: str = "INDEXED", *, ds: str = DS) -> dict[str, Any]:
    """A row of ``documents``."""
    return {"data_source_id": ds, "document_id": f"s3://kb/{key}", "status": status}


def version(key: str, at: datetime, etag: str, order: int = 0, **more: Any) -> dict[str, Any]:
    """A row of ``versions``."""
    return {
        "key": key, "version_id": f"{key}@{at:%d%H%M%S}", "is_latest": order == 0, "is_delete_marker": False,
        "at": at, "size": 100, "etag": etag, "storage_class": "STANDARD", "order": order, **more,
    }  # fmt: skip


def chat(
    start: datetime,
    end: datetime,
    *,
    asked: float,
    no_answer: float = 0,
    blocked: float = 0,
    period: int = 3600,
) -> list[dict[str, Any]]:
    """Rows of ``metrics``: so many questions in every period of ``[start, end)``; a zero has no row, as on AWS."""
    counts = {"ChatMessages": asked, "ChatMessagesWithNoAnswer": no_answer, "BlockedChatMessages": blocked}
    steps = range(int((end - start).total_seconds()) // period)
    return [
        {
            "metric": name, "namespace": "AWS/QBusiness", "dimensions": "{}", "statistic": "Sum",
            "period_s": period, "at": start + timedelta(seconds=period * step), "value": value, "unit": "Count",
        }
        for name, value in counts.items() if value for step in steps
    ]  # fmt: skip
