"""Frames as the sources give them: three weeks of daily syncs, a bad promotion, five failing runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
PROMOTED = datetime(2026, 11, 18, 14, 2, 11, tzinfo=UTC)
DATA_SOURCE = "5f0e2d1c-0000-4000-8000-00000000d501"

COLUMNS: dict[str, dict[str, str]] = {
    "sync-jobs": {
        "data_source_id": "str", "execution_id": "str", "status": "str", "started_at": "time", "ended_at": "time",
        "duration_s": "float", "added": "int", "modified": "int", "deleted": "int", "failed": "int", "scanned": "int",
        "error_code": "str", "error_message": "str", "data_source_error_code": "str",
    },
    "alarms": {
        "name": "str", "state": "str", "since": "time", "updated_at": "time", "reason": "str", "namespace": "str",
        "metric": "str", "dimensions": "str", "statistic": "str", "period_s": "int", "threshold": "float",
        "comparison": "str", "evaluation_periods": "int", "datapoints_to_alarm": "int", "treat_missing_data": "str",
        "actions_enabled": "bool",
    },
    "alarm-history": {"name": "str", "at": "time", "old_state": "str", "new_state": "str", "reason": "str"},
    "metrics": {
        "metric": "str", "namespace": "str", "dimensions": "str", "statistic": "str", "period_s": "int", "at": "time",
        "value": "float", "unit": "str",
    },
    "documents": {
        "data_source_id": "str", "document_id": "str", "status": "str", "error_code": "str", "error_message": "str",
        "created_at": "time", "updated_at": "time",
    },
    "versions": {
        "key": "str", "version_id": "str", "is_latest": "bool", "is_delete_marker": "bool", "at": "time", "size": "int",
        "etag": "str", "storage_class": "str", "order": "int",
    },
    "promotions": {"at": "time", "ci_sha": "str", "performed_by": "str", "source_prefix": "str", "key": "str"},
    "resources": {
        "kind": "str", "id": "str", "name": "str", "status": "str", "document_count": "int", "indexed_bytes": "int",
        "sync_schedule": "str", "error": "str", "updated_at": "time", "config": "str",
    },
    "connector-log": {
        "at": "time", "stream": "str", "event_id": "str", "level": "str", "error_code": "str", "document_id": "str",
        "message": "str",
    },
    "document-report": {
        "at": "time", "stream": "str", "event_id": "str", "execution_id": "str", "document_id": "str", "uri": "str",
        "status": "str", "crawl_status": "str", "sync_status": "str", "index_status": "str", "message": "str",
    },
}  # fmt: skip

DTYPES = {"str": "str", "time": "datetime64[us, UTC]", "int": "Int64", "float": "Float64", "bool": "boolean"}


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows typed as the source's documented columns; missing columns are NA."""
    columns = COLUMNS[name]
    return pd.DataFrame(
        {c: pd.Series([row.get(c) for row in rows], dtype=DTYPES[kind]) for c, kind in columns.items()}
    )


@dataclass(frozen=True)
class Seen:
    """An observation, as views need it."""

    name: str
    frame: pd.DataFrame
    title: str = ""
    available: bool = True
    problem: str = ""
    hint: str = ""
    at: datetime | None = NOW
    complete: bool = True
    stopped: str = ""
    evidence: Any = field(default=None)


def seen(name: str, rows: list[dict[str, Any]], **more: Any) -> Seen:
    evidence = SimpleNamespace(file=f"evidence/{name}-0f3a5c7e9b1d.jsonl.gz", call=f"call:{name}", sha256="0f3a5c7e9b1d" * 5)
    return Seen(name, frame(name, rows), title=name.replace("-", " ").capitalize(), evidence=evidence, **more)


def day(number: int, hour: int = 2, minute: int = 0) -> datetime:
    return datetime(2026, 11, 3, hour, minute, tzinfo=UTC) + timedelta(days=number)


def sync_rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    rows = []
    for n in range(21):
        bad = n >= 16
        seconds = int(rng.integers(240, 420)) if not bad else int(rng.integers(40, 90))
        rows.append(
            {
                "data_source_id": DATA_SOURCE, "execution_id": f"exec-{n:04d}",
                "status": ("INCOMPLETE" if n == 16 else "FAILED") if bad else "SUCCEEDED",
                "started_at": day(n), "ended_at": day(n) + timedelta(seconds=seconds), "duration_s": float(seconds),
                "added": 420 if n == 0 else (0 if bad else int(rng.integers(0, 6))),
                "modified": 0 if n == 0 else (3 if bad else int(rng.integers(2, 25))),
                "deleted": 12 if n == 16 else (0 if bad else int(rng.integers(0, 3))),
                "failed": 140 if bad else 0, "scanned": 420,
                "error_code": "InvalidRequest" if n > 16 else None,
                "error_message": "Malformed access control list file acl.json at line 1" if n > 16 else None,
            }
        )  # fmt: skip
    return rows[::-1]


def alarm_history_rows() -> list[dict[str, Any]]:
    rows = [{"name": "QBusinessNoSync", "at": day(0, 0), "old_state": "INSUFFICIENT_DATA", "new_state": "OK", "reason": ""}]
    rows.append({"name": "QBusinessSyncFailed", "at": day(0, 1), "old_state": "INSUFFICIENT_DATA", "new_state": "OK", "reason": ""})
    for n in (17, 18, 19):
        rows.append({"name": "QBusinessSyncFailed", "at": day(n, 2, 5), "old_state": "OK", "new_state": "ALARM", "reason": "1 >= 1"})
        rows.append({"name": "QBusinessSyncFailed", "at": day(n, 2, 35), "old_state": "ALARM", "new_state": "OK", "reason": "no datapoints"})
    rows.append({"name": "QBusinessSyncFailed", "at": day(20, 2, 5), "old_state": "OK", "new_state": "ALARM", "reason": "1 >= 1"})
    rows.append({"name": "QBusinessNoSync", "at": day(20, 6, 0), "old_state": "OK", "new_state": "ALARM", "reason": "1 >= 1"})
    return sorted(rows, key=lambda row: row["at"])


def alarm_rows() -> list[dict[str, Any]]:
    common = {
        "namespace": "VaultMesh/QBusiness", "dimensions": '{"App": "a"}', "statistic": "Sum", "period_s": 300, "threshold": 1.0,
        "comparison": "GreaterThanOrEqualToThreshold", "evaluation_periods": 1, "treat_missing_data": "notBreaching",
        "actions_enabled": True, "reason": "Threshold Crossed: 1 datapoint [1.0] was >= 1.0",
    }  # fmt: skip
    return [
        {"name": "QBusinessSyncFailed", "state": "ALARM", "since": day(20, 2, 5), "metric": "SyncFailed", **common},
        {"name": "QBusinessNoSync", "state": "ALARM", "since": day(20, 6, 0), "metric": "NoSync", **common},
    ]


def metric_rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(11)
    rows = []
    for hour in range(int((NOW - day(0, 0)).total_seconds() // 3600)):
        at = day(0, 0) + timedelta(hours=hour)
        bad = at > PROMOTED + timedelta(hours=12)
        chats = int(rng.poisson(30 if 7 <= at.hour <= 18 else 4))
        none = int(rng.binomial(chats, 0.45 if bad else 0.04))
        values = {"ChatMessages": chats, "ChatMessagesWithNoAnswer": none, "BlockedChatMessages": int(rng.binomial(chats, 0.02))}
        if at.hour == 2:
            values |= {"DocumentsFailedToIndex": 140 if bad else 0, "DocumentCount": 280 if bad else 420}
        rows += [
            {"metric": m, "namespace": "AWS/QBusiness", "dimensions": "{}", "statistic": "Sum", "period_s": 3600, "at": at,
             "value": float(v), "unit": "Count"}
            for m, v in values.items()
        ]  # fmt: skip
    return rows


def document_rows() -> list[dict[str, Any]]:
    errors = ["The document is empty", "The file could not be parsed as UTF-8 text", "Malformed metadata file"]
    return [
        {
            "data_source_id": DATA_SOURCE, "document_id": f"s3://vaultmesh-knowledge-base/phases/doc-{n:03d}.md",
            "status": "FAILED" if n % 3 == 0 else "INDEXED",
            "error_code": "InvalidRequest" if n % 3 == 0 else None,
            "error_message": errors[(n // 3) % 7 % 3] if n % 3 == 0 else None,
            "created_at": day(0, 2), "updated_at": day(20 if n % 3 == 0 else n % 16, 2, 3),
        }
        for n in range(420)
    ]  # fmt: skip


def report_rows() -> list[dict[str, Any]]:
    return [
        {
            "at": day(run, 2, 1) + timedelta(seconds=n), "stream": f"SYNC_RUN_HISTORY_REPORT/{DATA_SOURCE}/exec-{run:04d}",
            "event_id": f"{run}-{n}", "execution_id": f"exec-{run:04d}", "status": "FAILED", "crawl_status": "SUCCESS",
            "sync_status": "SUCCESS", "index_status": "FAILED", "uri": row["document_id"], "document_id": row["document_id"],
            "message": row["error_message"],
        }
        for run in range(16, 21)
        for n, row in enumerate(r for r in document_rows() if r["status"] == "FAILED")
    ]  # fmt: skip


def log_rows() -> list[dict[str, Any]]:
    rows = []
    for run in range(14, 21):
        bad = run >= 16
        for n in range(30):
            level = "ERROR" if bad and n % 3 == 0 else ("WARN" if n % 11 == 0 else "INFO")
            rows.append(
                {
                    "at": day(run, 2, 0) + timedelta(seconds=n * 3), "stream": f"{DATA_SOURCE}/exec-{run:04d}", "level": level,
                    "event_id": f"e{run}-{n}", "error_code": "DOCUMENT_UNREADABLE" if level == "ERROR" else None,
                    "document_id": f"phases/doc-{n:03d}.md" if level == "ERROR" else None,
                    "message": "cannot read document" if level == "ERROR" else "crawled",
                }
            )  # fmt: skip
    return rows


def version_rows() -> list[dict[str, Any]]:
    rows = []
    for n in range(420):
        key, versions = f"phases/doc-{n:03d}.md", []
        versions.append((day(0, 1, n % 60), 2000 + n * 7, f"etag-{n}-0"))
        if n % 5 == 0:
            versions.append((day(n % 15, 12, 30), 2100 + n * 7, f"etag-{n}-1"))
        if n % 3 == 0:
            versions.append((PROMOTED + timedelta(seconds=n % 7), 120, f"etag-{n}-broken"))
        elif n % 35 == 1:
            versions.append((PROMOTED + timedelta(seconds=8), None, None))
        for order, (at, size, etag) in enumerate(reversed(versions)):
            rows.append(
                {
                    "key": key, "version_id": f"v{n:03d}{len(versions) - order}xQ9fLm2Rt", "is_latest": order == 0, "at": at,
                    "is_delete_marker": size is None, "size": size, "etag": etag, "storage_class": "STANDARD", "order": order,
                }
            )  # fmt: skip
    return rows


def promotion_rows() -> list[dict[str, Any]]:
    return [
        {"at": PROMOTED, "ci_sha": "9c1f2ab4de", "performed_by": "ci-deploy", "source_prefix": "_staging/",
         "key": "audit/promotions/promotion-20261118T140211Z.json"}
    ]  # fmt: skip


def resource_rows() -> list[dict[str, Any]]:
    return [
        {"kind": "application", "id": "app", "name": "vaultmesh", "status": "ACTIVE"},
        {"kind": "index", "id": "idx", "name": "knowledge", "status": "ACTIVE", "document_count": 280, "indexed_bytes": 913_408},
        {"kind": "data-source", "id": DATA_SOURCE, "name": "s3", "status": "ACTIVE", "sync_schedule": "cron(0 2 * * ? *)"},
    ]


ROWS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "sync-jobs": sync_rows, "alarms": alarm_rows, "alarm-history": alarm_history_rows, "metrics": metric_rows,
    "documents": document_rows, "document-report": report_rows, "connector-log": log_rows, "versions": version_rows,
    "promotions": promotion_rows, "resources": resource_rows,
}  # fmt: skip


@pytest.fixture(scope="session")
def looks() -> dict[str, Seen]:
    """One observation of each source: the sync-failed story, seen on 2026-11-23 09:30 UTC."""
    return {name: seen(name, rows()) for name, rows in ROWS.items()}
