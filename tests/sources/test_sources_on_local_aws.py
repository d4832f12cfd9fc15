"""Every source against the local AWS after a bad promotion: what an incident sees."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.git_repos import Repo

from vmqlib.aws import Aws
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY, alarms, documents, frame, metrics, syncjobs, versions
from vmqlib.sources.logs import LogQuery, capture
from vmqlib.sources.metrics import Metric, period_s, read_metrics
from vmqlib.sources.ownquestions import Trace
from vmqlib.times import SystemClock, Window

Look = Callable[[str], pd.DataFrame]


@pytest.fixture
def aws(sync_failed_aws: Any, point_at: Callable[[Any], None]) -> Iterator[Aws]:
    point_at(sync_failed_aws)
    aws = Aws(Settings.load())
    yield aws
    aws.close()


@pytest.fixture
def weeks() -> Window:
    now = SystemClock().now()
    return Window(now - timedelta(days=22), now)


@pytest.fixture
def look(aws: Aws, weeks: Window) -> Look:
    def read(name: str) -> pd.DataFrame:
        reading = REGISTRY[name].read(aws, aws.settings, weeks)
        table = frame(REGISTRY[name], reading.rows)
        assert reading.outcome() == (True, "")
        assert reading.source == name
        json.dumps(reading.parameters)
        return table

    return read


@pytest.mark.parametrize("name", list(REGISTRY))
def test_a_source_has_rows_json_can_hold(aws: Aws, weeks: Window, name: str, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "ops")
    repo.commit("A word for MIRAGE", {"docs/phases-mirage.md": "MIRAGE"}, weeks.until)
    settings = Settings.load(ops_repo=repo.folder, read_conversations=True)
    Trace(settings).asking(weeks.until, "What is MIRAGE?")
    reading = REGISTRY[name].read(aws, settings, weeks, data_source_id=settings.ds_id)
    rows = list(reading.rows)
    assert rows
    json.dumps(rows)
    assert set().union(*rows) <= set(REGISTRY[name].columns)


def test_the_failing_syncs(look: Look) -> None:
    jobs = look("sync-jobs")
    assert jobs["started_at"].is_monotonic_decreasing
    good = syncjobs.last_good(jobs)
    assert good is not None
    since = jobs[jobs["started_at"] > good["started_at"]]
    assert set(since["status"]) <= {"INCOMPLETE", "FAILED"}
    assert (jobs["failed"] <= jobs["scanned"]).all()


def test_the_alarm_and_its_history(look: Look) -> None:
    table = look("alarms").set_index("name")
    failed = table.loc["QBusinessSyncFailed"]
    assert (failed["state"], failed["namespace"], failed["statistic"]) == (
        "ALARM",
        "VaultMesh/QBusiness",
        "Sum",
    )
    assert (failed["period_s"], failed["threshold"]) == (300, 1.0)
    history = look("alarm-history")
    mine = history[history["name"] == "QBusinessSyncFailed"]
    assert mine["at"].is_monotonic_increasing
    assert mine.iloc[-1]["new_state"] == "ALARM"
    assert mine.iloc[-1]["at"] == failed["since"]
    # Every change starts from the state in which the one before ended.
    assert mine["old_state"].tolist()[1:] == mine["new_state"].tolist()[:-1]


def test_an_alarm_that_the_settings_name_and_nobody_made(look: Look) -> None:
    settings = Settings.load(alarms={"sync_failed": "QBusinessSyncFailed", "no_sync": "Gone"})
    assert alarms.missing(look("alarms"), settings) == ["Gone"]


def test_metrics_have_no_row_where_there_was_no_data(aws: Aws, look: Look, weeks: Window) -> None:
    table = look("metrics")
    assert table.groupby(["metric", "dimensions"]).size().max() <= 1440
    chats = table[table["metric"] == "ChatMessages"]
    periods = weeks.length / timedelta(seconds=int(chats["period_s"].iloc[0]))
    assert 0 < len(chats) < periods
    assert table[table["metric"] == "SyncFailed"]["value"].max() >= 1
    assert set(table["metric"]) >= {"DocumentsIndexed", "DocumentCount", "NoSync"}
    assert json.loads(chats["dimensions"].iloc[0]) == {"ApplicationId": aws.settings.app_id}


def test_the_last_day_of_sync_failed_is_there_in_five_minutes_and_only_once(
    look: Look, weeks: Window
) -> None:
    mine = look("metrics").query("metric == 'SyncFailed'").sort_values("at")
    fine = mine[mine["period_s"] == 300]
    assert weeks.until - fine["at"].min() <= timedelta(hours=25)
    assert (mine[mine["period_s"] > 300]["at"] + timedelta(hours=1)).max() <= fine["at"].min()
    assert mine["at"].is_unique


def test_more_metrics_than_one_call_takes(aws: Aws, weeks: Window) -> None:
    real = metrics.wanted(aws.settings)
    many = [Metric("AWS/QBusiness", f"Nothing{n}", {}) for n in range(700)] + real
    reading = read_metrics(aws, many, weeks)
    assert {row["metric"] for row in reading.rows} >= {"ChatMessages", "SyncFailed"}
    assert reading.outcome() == (True, "")


def test_what_changed_since_the_last_good_sync_is_the_promotion(look: Look) -> None:
    jobs, table, promotions = look("sync-jobs"), look("versions"), look("promotions")
    good = syncjobs.last_good(jobs)
    assert good is not None
    changed = versions.changed_since(table, good["started_at"])
    assert set(changed["action"]) == {"rewritten", "deleted"}
    assert not table["key"].str.startswith(("_staging/", "audit/", "ci/")).any()
    assert (promotions["problem"] == "").all()
    assert promotions["at"].is_monotonic_increasing
    assert abs(changed["current_at"].min() - promotions["at"].iloc[-1]) < timedelta(hours=1)
    before = versions.state_at(table, good["started_at"])
    assert len(before) == versions.bucket_summary(table).objects + int((changed["action"] == "deleted").sum())


def test_the_failing_documents_are_those_of_the_report(look: Look) -> None:
    jobs = look("sync-jobs")
    failing = documents.failing(look("document-report"))
    assert failing["still_failing"].sum() == jobs["failed"].iloc[0]
    assert (failing["first_seen"] <= failing["last_seen"]).all()
    assert (look("connector-log")["level"] == "Error").any()


def test_a_capture_has_what_the_sources_have(aws: Aws, weeks: Window, look: Look, tmp_path: Path) -> None:
    query = LogQuery.of_data_source(aws.settings, aws.settings.ds_id, weeks, conversation=True)
    found = capture(aws, aws.settings, query, tmp_path, str)
    assert found.complete
    counts = {part.name: part.events for part in found.parts}
    report = look("document-report")
    assert counts["document-report"] == len(report)
    assert counts["conversation-log"] > 0
    with gzip.open(tmp_path / "document-report.jsonl.gz", "rt") as file:
        times = [json.loads(line)["at"] for line in file]
    assert times == sorted(times)
    assert sum(one.documents for one in found.failures) == documents.failing(report)["documents"].sum()


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begun_days_ago", "length", "period"),
    [
        (0.1, timedelta(hours=2), 300),
        (5, timedelta(days=5), 300),
        (6, timedelta(days=6), 900),
        (15, timedelta(days=15), 900),
        (22, timedelta(days=22), 3600),
        (20, timedelta(hours=1), 300),
        (70, timedelta(hours=1), 3600),
        (90, timedelta(days=90), 21_600),
        (450, timedelta(days=450), 86_400),
    ],
)
def test_a_period_that_can_be_drawn_and_is_still_kept(
    begun_days_ago: float, length: timedelta, period: int
) -> None:
    since = NOW - timedelta(days=begun_days_ago)
    assert period_s(Window(since, since + length), NOW) == period
    assert length.total_seconds() / period <= 1440
