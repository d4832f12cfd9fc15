"""Schedules: AWS's expressions, and syncs that start by them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from vmqlib.simulator.qbusiness.exceptions import Validation
from vmqlib.simulator.qbusiness.schedule import Schedule

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "firing"),
    [
        ("cron(0 3 * * ? *)", datetime(2026, 11, 3, 3, tzinfo=UTC)),
        ("cron(30 9 * * ? *)", datetime(2026, 11, 2, 9, 30, tzinfo=UTC)),
        ("cron(0/15 * * * ? *)", datetime(2026, 11, 2, 9, 15, tzinfo=UTC)),
        ("cron(0 3 ? * 1 *)", datetime(2026, 11, 8, 3, tzinfo=UTC)),  # 1 is Sunday
        ("cron(0 3 ? * SUN *)", datetime(2026, 11, 8, 3, tzinfo=UTC)),
        ("cron(0 3 ? * 2-6 *)", datetime(2026, 11, 3, 3, tzinfo=UTC)),
        ("cron(0 3 ? * MON-FRI *)", datetime(2026, 11, 3, 3, tzinfo=UTC)),
        ("cron(0 3 ? * 2#1 *)", datetime(2026, 12, 7, 3, tzinfo=UTC)),  # first Monday: today's is past
        ("cron(0 3 ? * 6L *)", datetime(2026, 11, 27, 3, tzinfo=UTC)),  # last Friday
        ("cron(0 3 L * ? *)", datetime(2026, 11, 30, 3, tzinfo=UTC)),
        ("cron(0 3 1 1 ? 2028)", datetime(2028, 1, 1, 3, tzinfo=UTC)),
        ("cron(0 3 1 1 ? 2027-2030)", datetime(2027, 1, 1, 3, tzinfo=UTC)),
        ("cron(0 3 * * ? 2025)", None),
        ("rate(1 hour)", MONDAY + timedelta(hours=1)),
        ("rate(12 hours)", MONDAY + timedelta(hours=12)),
        ("rate(1 day)", MONDAY + timedelta(days=1)),
        ("", None),
    ],
)
def test_next_firing(expression: str, firing: datetime | None) -> None:
    assert Schedule(expression).next_after(MONDAY) == firing


@pytest.mark.parametrize(
    "expression",
    [
        "daily",
        "cron(0 3 * * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(61 3 * * ? *)",
        "cron(0 3 * * ? soon)",
        "rate(0 days)",
        "rate(1 fortnight)",
    ],
)
def test_bad_expressions_are_refused(expression: str) -> None:
    with pytest.raises(Validation):
        Schedule(expression)


def test_a_schedule_starts_syncs_as_time_passes(account: Any) -> None:
    account.q.update_data_source(**account.ids, syncSchedule="cron(0 3 * * ? *)")
    account.put(a="# Alpha")
    account.pass_time(days=2, hours=20)
    history = account.q.list_data_source_sync_jobs(**account.ids)["history"]
    assert [job["startTime"] for job in history] == [
        datetime(2026, 11, day, 3, tzinfo=UTC) for day in (5, 4, 3)
    ]


def test_an_empty_schedule_is_on_demand_and_restoring_it_starts_again(account: Any) -> None:
    account.q.update_data_source(**account.ids, syncSchedule="rate(1 hour)")
    account.pass_time(hours=2)
    account.q.update_data_source(**account.ids, syncSchedule="")
    assert account.q.get_data_source(**account.ids)["syncSchedule"] == ""
    account.pass_time(days=1)
    assert len(account.backend.syncs.jobs(account.source)) == 2
    account.q.update_data_source(**account.ids, syncSchedule="rate(1 hour)")
    account.pass_time(hours=1)
    assert len(account.backend.syncs.jobs(account.source)) == 3


def test_an_update_that_leaves_the_schedule_alone_does_not_shift_it(account: Any) -> None:
    account.q.update_data_source(**account.ids, syncSchedule="rate(1 hour)")
    account.pass_time(minutes=50)
    account.q.update_data_source(**account.ids, description="the documents")
    account.pass_time(minutes=10)
    assert len(account.backend.syncs.jobs(account.source)) == 1


def test_a_firing_while_a_sync_runs_is_skipped_and_logged(account: Any) -> None:
    from vmqlib.simulator.qbusiness import Pace

    account.backend.pace = Pace(base=5400, jitter=0)
    account.q.update_data_source(**account.ids, syncSchedule="rate(1 hour)")
    account.pass_time(hours=3, minutes=1)  # starts at 1 h and runs until 2.5 h; skipped at 2 h; starts at 3 h
    assert len(account.backend.syncs.jobs(account.source)) == 2
    skipped = [line for line in account.events(f"{account.source}/") if "skipped" in line["Message"]]
    assert [line["LogLevel"] for line in skipped] == ["Warn"]


def test_bad_schedules_are_refused_by_the_api(account: Any) -> None:
    with pytest.raises(ClientError) as refused:
        account.q.update_data_source(**account.ids, syncSchedule="every day")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    created = account.q.create_data_source(
        applicationId=account.app, indexId=account.index, displayName="c", configuration={"type": "CUSTOM"}
    )
    with pytest.raises(ClientError) as refused:
        account.q.update_data_source(
            **{**account.ids, "dataSourceId": created["dataSourceId"]}, syncSchedule="rate(1 hour)"
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"
