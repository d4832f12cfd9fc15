"""Frames as the sources give them: three weeks of daily syncs, a bad promotion, five failing runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vmqlib import sources
from vmqlib.record.events import EvidenceRef
from vmqlib.record.incident import Summary
from vmqlib.record.observation import Observation
from vmqlib.runbook.affected import affected
from vmqlib.runbook.changes import KINDS, Change, Sign, Unseen, WhatChanged, first_sign, rank, what_changed
from vmqlib.runbook.contents import Content
from vmqlib.runbook.findings import Finding
from vmqlib.runbook.keychanges import KeyChange, Since
from vmqlib.runbook.keyhistory import KeyHistory, Version
from vmqlib.runbook.promoters import Promoted, Promotion
from vmqlib.runbook.steprules import NextStep
from vmqlib.runbook.suspects import Suspect, Suspects
from vmqlib.runbook.triggers import Detection, Reason, Verdict, detect
from vmqlib.runbook.versiondiff import VersionDiff, compare_contents
from vmqlib.settings import Settings
from vmqlib.times import iso

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
PROMOTED = datetime(2026, 11, 18, 14, 2, 11, tzinfo=UTC)
DATA_SOURCE = "5f0e2d1c-0000-4000-8000-00000000d501"
IDS = {"app_id": "a" * 36, "index_id": "b" * 36, "ds_id": DATA_SOURCE, "bucket_name": "knowledge"}


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows typed as the source documents them."""
    texts = [{k: iso(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
    return sources.frame(sources.REGISTRY[name], texts)


def seen(name: str, rows: list[dict[str, Any]], **more: Any) -> Observation:
    """An observation of ``rows``, complete, with evidence; ``more`` overrides its fields."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = f"{name}-{digest[:12]}.jsonl.gz"
    ref = EvidenceRef(name=name, file=file, sha256=digest, rows=len(rows), bytes=1000 + len(rows), at=NOW)
    title = sources.REGISTRY[name].title
    return Observation(name, title, **{"frame": frame(name, rows), "at": NOW, "evidence": ref} | more)


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
                "data_source_id": DATA_SOURCE,
                "execution_id": f"exec-{n:04d}",
                "status": ("INCOMPLETE" if n == 16 else "FAILED") if bad else "SUCCEEDED",
                "started_at": day(n),
                "ended_at": day(n) + timedelta(seconds=seconds),
                "duration_s": float(seconds),
                "added": 420 if n == 0 else (0 if bad else int(rng.integers(0, 6))),
                "modified": 0 if n == 0 else (3 if bad else int(rng.integers(2, 25))),
                "deleted": 12 if n == 16 else (0 if bad else int(rng.integers(0, 3))),
                "failed": 140 if bad else 0,
                "scanned": 420,
                "error_code": "InvalidRequest" if n > 16 else None,
                "error_message": "Malformed access control list file acl.json at line 1" if n > 16 else None,
            }
        )
    return rows[::-1]


def alarm_history_rows() -> list[dict[str, Any]]:
    def change(name: str, at: datetime, old: str, new: str) -> dict[str, Any]:
        return {"name": f"QBusiness{name}", "at": at, "old_state": old, "new_state": new, "reason": "1 >= 1"}

    rows = [
        change("NoSync", day(0, 0), "INSUFFICIENT_DATA", "OK"),
        change("SyncFailed", day(0, 1), "INSUFFICIENT_DATA", "OK"),
    ]
    for n in (17, 18, 19):
        rows.append(change("SyncFailed", day(n, 2, 5), "OK", "ALARM"))
        rows.append(change("SyncFailed", day(n, 2, 35), "ALARM", "OK"))
    rows.append(change("SyncFailed", day(20, 2, 5), "OK", "ALARM"))
    rows.append(change("NoSync", day(20, 6, 0), "OK", "ALARM"))
    return sorted(rows, key=lambda row: row["at"])


def alarm_rows() -> list[dict[str, Any]]:
    common = {
        "namespace": "VaultMesh/QBusiness",
        "dimensions": '{"App": "a"}',
        "statistic": "Sum",
        "period_s": 300,
        "threshold": 1.0,
        "comparison": "GreaterThanOrEqualToThreshold",
        "evaluation_periods": 1,
        "treat_missing_data": "notBreaching",
        "actions_enabled": True,
        "reason": "Threshold Crossed: 1 datapoint [1.0] was >= 1.0",
    }
    return [
        {
            "name": "QBusinessSyncFailed",
            "state": "ALARM",
            "since": day(20, 2, 5),
            "metric": "SyncFailed",
            **common,
        },
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
        values = {
            "ChatMessages": chats,
            "ChatMessagesWithNoAnswer": none,
            "BlockedChatMessages": int(rng.binomial(chats, 0.02)),
        }
        if at.hour == 2:
            values |= {"DocumentsFailedToIndex": 140 if bad else 0, "DocumentCount": 280 if bad else 420}
        rows += [
            {
                "metric": m,
                "namespace": "AWS/QBusiness",
                "dimensions": "{}",
                "statistic": "Sum",
                "period_s": 3600,
                "at": at,
                "value": float(v),
                "unit": "Count",
            }
            for m, v in values.items()
        ]
    return rows


def document_rows() -> list[dict[str, Any]]:
    errors = [
        "The document is empty",
        "The file could not be parsed as UTF-8 text",
        "Malformed metadata file",
    ]
    return [
        {
            "data_source_id": DATA_SOURCE,
            "document_id": f"s3://vaultmesh-knowledge-base/phases/doc-{n:03d}.md",
            "status": "FAILED" if n % 3 == 0 else "INDEXED",
            "error_code": "InvalidRequest" if n % 3 == 0 else None,
            "error_message": errors[(n // 3) % 7 % 3] if n % 3 == 0 else None,
            "created_at": day(0, 2),
            "updated_at": day(20 if n % 3 == 0 else n % 16, 2, 3),
        }
        for n in range(420)
    ]


def report_rows() -> list[dict[str, Any]]:
    return [
        {
            "at": day(run, 2, 1) + timedelta(seconds=n),
            "stream": f"SYNC_RUN_HISTORY_REPORT/{DATA_SOURCE}/exec-{run:04d}",
            "event_id": f"{run}-{n}",
            "execution_id": f"exec-{run:04d}",
            "status": "FAILED",
            "crawl_status": "SUCCESS",
            "sync_status": "SUCCESS",
            "index_status": "FAILED",
            "uri": row["document_id"],
            "document_id": row["document_id"],
            "message": row["error_message"],
        }
        for run in range(16, 21)
        for n, row in enumerate(r for r in document_rows() if r["status"] == "FAILED")
    ]


def log_rows() -> list[dict[str, Any]]:
    rows = []
    for run in range(14, 21):
        bad = run >= 16
        for n in range(30):
            level = "ERROR" if bad and n % 3 == 0 else ("WARN" if n % 11 == 0 else "INFO")
            rows.append(
                {
                    "at": day(run, 2, 0) + timedelta(seconds=n * 3),
                    "stream": f"{DATA_SOURCE}/exec-{run:04d}",
                    "level": level,
                    "event_id": f"e{run}-{n}",
                    "error_code": "DOCUMENT_UNREADABLE" if level == "ERROR" else None,
                    "document_id": f"phases/doc-{n:03d}.md" if level == "ERROR" else None,
                    "message": "cannot read document" if level == "ERROR" else "crawled",
                }
            )
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
                    "key": key,
                    "version_id": f"v{n:03d}{len(versions) - order}xQ9fLm2Rt",
                    "is_latest": order == 0,
                    "at": at,
                    "is_delete_marker": size is None,
                    "size": size,
                    "etag": etag,
                    "storage_class": "STANDARD",
                    "order": order,
                }
            )
    return rows


def promotion_rows() -> list[dict[str, Any]]:
    return [
        {
            "at": PROMOTED,
            "ci_sha": "9c1f2ab4de",
            "performed_by": "ci-deploy",
            "source_prefix": "_staging/",
            "key": "audit/promotions/promotion-20261118T140211Z.json",
        }
    ]


def resource_rows() -> list[dict[str, Any]]:
    return [
        {"kind": "application", "id": "app", "name": "vaultmesh", "status": "ACTIVE"},
        {
            "kind": "index",
            "id": "idx",
            "name": "knowledge",
            "status": "ACTIVE",
            "document_count": 280,
            "indexed_bytes": 913_408,
        },
        {
            "kind": "data-source",
            "id": DATA_SOURCE,
            "name": "s3",
            "status": "ACTIVE",
            "sync_schedule": "cron(0 2 * * ? *)",
        },
    ]


def widget_rows() -> list[dict[str, Any]]:
    threshold = '[{"value": 1.0, "until": null, "label": "alarm", "axis": "left"}]'
    ringing = '[{"name": "QBusinessSyncFailed", "state": "ALARM"}]'
    common = {
        "kind": "metric",
        "view": "timeSeries",
        "stacked": False,
        "whole_range": False,
        "thresholds": threshold,
    }
    return [
        {"widget": 1, "title": "Sync failures", **common},
        {"widget": 2, "title": "All applications", **common},
        {"widget": 3, "title": "Index", **common, "view": "singleValue"},
        {"widget": 4, "kind": "text", "title": "", "text": "Ask in #ops-escalations"},
        {"widget": 5, "kind": "alarm", "title": "Alarms", "alarms": ringing},
        {"widget": 6, "kind": "log", "title": "Errors", "problem": "a log query is not run here"},
    ]  # fmt: skip


def dashboard_rows() -> list[dict[str, Any]]:
    def described(widget: int, line: int, label: str, **more: Any) -> dict[str, Any]:
        return {
            "widget": widget, "line": line, "label": label, "metric": f"VaultMesh/QBusiness {label}",
            "dimensions": '{"App": "a"}', "statistic": "Sum", "period_s": 300, "asked_s": 300, "axis": "left",
            "since": NOW - timedelta(days=5), "until": NOW, **more,
        }  # fmt: skip

    lines = [
        described(1, 1, "SyncFailed"), described(1, 2, "NoSync", axis="right"),
        described(2, 1, "SyncFailed", dimensions="{}", why="dimensions", elsewhere='[{"App": "a"}]',
                  problem="SyncFailed has no value with no dimensions: it is published with App=a"),
        described(3, 1, "DocumentCount", metric="AWS/QBusiness DocumentCount", statistic="Maximum"),
    ]  # fmt: skip
    points = [(1, 1, NOW - timedelta(minutes=5 * n), float(n < 40)) for n in range(60)]
    points += [(1, 2, NOW - timedelta(days=n, hours=1), 0.0) for n in range(5)]
    points += [(3, 1, NOW - timedelta(minutes=15 * n), 280.0) for n in range(1, 20)]
    return lines + [{"widget": w, "line": n, "at": at, "value": v} for w, n, at, v in points]


ROWS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "sync-jobs": sync_rows,
    "alarms": alarm_rows,
    "alarm-history": alarm_history_rows,
    "metrics": metric_rows,
    "dashboard-widgets": widget_rows,
    "dashboard-data": dashboard_rows,
    "documents": document_rows,
    "document-report": report_rows,
    "connector-log": log_rows,
    "versions": version_rows,
    "promotions": promotion_rows,
    "resources": resource_rows,
}


WHO = "on-call (arn:aws:iam::123456789012:user/on-call)"
EVENTS = [
    (0, day(20, 9, 10), "opened", "triage", WHO, "Opened INC-20261123-001."),
    (1, day(20, 9, 11), "observed", "triage", WHO, "Sync history: 21 rows."),
    (2, day(20, 9, 20), "applied", "rollback", WHO, "Restored 152 objects."),
    (3, day(20, 9, 25), "noted", "", WHO, "Told the editors."),
]


def timeline(events: list[tuple[Any, ...]]) -> pd.DataFrame:
    made = pd.DataFrame(events, columns=["seq", "at", "kind", "step", "actor", "summary"])
    return made.assign(at=pd.to_datetime(made["at"], utc=True).astype("datetime64[us, UTC]"))


def summary(**more: Any) -> Summary:
    values: dict[str, Any] = {
        "id": "INC-20261123-001",
        "title": "SyncFailed for more than 15 minutes",
        "trigger": "sync-failed",
        "region": "eu-west-1",
        "account": "123456789012",
        "data_source_id": DATA_SOURCE,
        "resources": {"app_id": "a"},
        "severity": "SEV2",
        "phase": "open",
        "opened_at": day(20, 9, 10),
        "acknowledged_at": None,
        "acknowledged_by": "",
        "closed_at": None,
        "last_event_at": day(20, 9, 25),
        "as_of": NOW,
        "seen_at": NOW,
        "open_for": timedelta(minutes=20),
        "next_update_due": day(20, 9, 40),
        "updates": 0,
        "actions": 1,
        "events": 4,
        "offline": False,
        "version": "0.1.0",
        "problems": (),
    }
    return Summary(**values | more)


def looked_at(**rows: list[dict[str, Any]]) -> dict[str, Observation]:
    """One observation of each source; ``rows`` (with underscores) replace those of a source."""
    given = {name.replace("_", "-"): value for name, value in rows.items()}
    return {name: seen(name, given.get(name, made())) for name, made in ROWS.items()}


def history_of(text: str) -> KeyHistory:
    """A key's history in which every text is ``text``."""
    promotion = Promotion(PROMOTED, PROMOTED, text, text, text, text, text)
    first = Version(text, day(1), size=7, etag=text, storage_class=text)
    now = Version(text + "2", PROMOTED, False, True, 9, text, text, Promoted("during", (promotion,)), text)
    return KeyHistory(text, text, (now, first), NOW, text, text, text)


def suspects_of(text: str) -> Suspects:
    """An incident's suspects in which every text is ``text``."""
    known = history_of(text)
    change = KeyChange(text, "rewritten", PROMOTED, 1, 2, 0, known.versions[1], known.versions[0], doubt=text)
    one = Suspect(change, known, text, text)
    return Suspects((one,), Since(day(1), text), NOW, 1, 1, text, incomplete=text)


def diff_of(text: str) -> VersionDiff:
    """Two texts compared, in which every text is ``text``."""
    known = history_of(text)
    before, after = (
        Content("text", text, version, text, text, f"same\n{text}{end}\n{text}\n", "LF", end, problem=text)
        for version, end in zip(known.versions, ("one", "two"), strict=True)
    )
    return compare_contents(text, text, before, after, notes=[text])


def told_of(looks: dict[str, Observation], text: str = "", **more: Any) -> SimpleNamespace:
    """An incident's answers, told from ``looks``; or where a ``text`` is given, such in which every text is that."""
    settings = Settings.load(**IDS)
    detection = detect(looks, settings, NOW)
    changed = what_changed(looks, settings, NOW)
    sign = first_sign(detection, looks, settings, trigger="sync-failed")
    steps: tuple[NextStep, ...] = (
        NextStep("3 Rollback", "152 objects.", "vmq rollback plan INC-20261123-001"),
    )
    if text:
        reason = Reason("firing", text, text, day(18))
        verdicts = (
            Verdict("content", "firing", day(18), "high", (reason,), text, text),
            Verdict("guardrail", "unknown", None, "low", (replace(reason, says="unknown"),)),
        )
        detection = Detection(NOW, verdicts, (Finding(text, "problem", text, text, text),))
        kinds: tuple[Any, ...] = tuple(KINDS)
        changes = tuple(
            Change(
                day(17, hour), day(17, hour, 9), kind, text, text, text, text, text, 3, frozenset({text}),
                frozenset({"objects", "connector"}), text, text if kind in ("sync", "alarm") else "", text, "versions",
            )
            for hour, kind in enumerate(kinds)
        )  # fmt: skip
        lost = (Unseen(text, text, text), Unseen(text, text, text, whole=False))
        changed = WhatChanged(day(0), NOW, changes, lost, (text,))
        sign = Sign(
            "content", day(18), timedelta(), day(18), day(1), "", text, text, frozenset({text}), (text,)
        )
        steps = (NextStep(text, text, text),)
    incident = SimpleNamespace(
        summary=lambda: summary(**more),
        settings=settings,
        judged_by=settings,
        identity=SimpleNamespace(severity="SEV2"),
        state=SimpleNamespace(severity="SEV2", severity_reason=text),
        journal=SimpleNamespace(events=list),
    )
    return SimpleNamespace(
        incident=incident,
        detection=detection,
        ended=None,
        affected=affected(looks, settings, NOW, detection),
        changed=changed,
        ranking=rank(changed.changes, sign),
        steps=steps,
    )


MARKS = [{"at": PROMOTED, "label": "promotion 9c1f2ab4", "kind": "promotion"}]


@pytest.fixture(scope="session")
def looks() -> dict[str, Observation]:
    """One observation of each source: the sync-failed story, seen on 2026-11-23 09:30 UTC."""
    return looked_at()


@pytest.fixture(scope="session")
def story() -> SimpleNamespace:
    """What the story is made of, for tests that change it."""
    return SimpleNamespace(
        now=NOW,
        promoted=PROMOTED,
        data_source=DATA_SOURCE,
        events=EVENTS,
        marks=MARKS,
        rows=ROWS,
        day=day,
        seen=seen,
        frame=frame,
        summary=summary,
        timeline=timeline,
        looked_at=looked_at,
        history_of=history_of,
        suspects_of=suspects_of,
        diff_of=diff_of,
        told=told_of,
    )
