"""How often the account's watcher of syncs looks: as ever unless a drill says so, and then its alarm clears at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.simulator.server import LocalAws

NOW = datetime(2026, 11, 23, 9, 2, tzinfo=UTC)
ALARM = "QBusinessSyncFailed"


def alarm(cloudwatch: Any) -> dict[str, Any]:
    found: dict[str, Any] = cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"][0]
    return found


def repaired(aws: LocalAws, client_of: Callable[..., Any]) -> datetime:
    """Takes the broken documents away, syncs, and returns when that sync ended."""
    s3, q = client_of(aws, "s3"), client_of(aws, "qbusiness")
    for key in aws.truth.broken:
        s3.put_object(Bucket=aws.env["BUCKET_NAME"], Key=key, Body=b"# Whole again\n")
        s3.delete_object(Bucket=aws.env["BUCKET_NAME"], Key=f"metadata/{key}.metadata.json")
    ids = {
        "applicationId": aws.env["APP_ID"], "indexId": aws.env["INDEX_ID"], "dataSourceId": aws.env["DS_ID"],
    }  # fmt: skip
    q.start_data_source_sync_job(**ids)
    for _ in range(60):
        aws.world.advance_by(timedelta(seconds=1))
        newest = q.list_data_source_sync_jobs(**ids)["history"][0]
        if newest.get("endTime"):
            assert newest["status"] == "SUCCEEDED"
            ended: datetime = newest["endTime"]
            return ended
    raise AssertionError("the sync does not end")


@pytest.mark.slow
@pytest.mark.parametrize(("every", "at_most"), [(10, 30), (30, 90)])
def test_the_alarm_clears_soon_after_a_good_sync(
    every: int, at_most: int, start_local_aws: Callable[..., LocalAws], client_of: Callable[..., Any]
) -> None:
    aws = start_local_aws("sync-failed", now=NOW, watch_every=timedelta(seconds=every))
    cloudwatch = client_of(aws, "cloudwatch")
    before = alarm(cloudwatch)
    assert (before["StateValue"], before["Period"]) == ("ALARM", every)
    # It rang once, and has been ringing since: nothing flutters between the looks of the watcher.
    changes = cloudwatch.describe_alarm_history(
        AlarmName=ALARM, HistoryItemType="StateUpdate", StartDate=NOW - timedelta(hours=8), EndDate=NOW
    )["AlarmHistoryItems"]
    assert len(changes) == 1
    assert (
        timedelta() <= before["StateTransitionedTimestamp"] - aws.truth.since <= timedelta(seconds=every + 10)
    )
    ended = repaired(aws, client_of)
    aws.world.advance_by(timedelta(seconds=at_most))
    after = alarm(cloudwatch)
    assert after["StateValue"] == "OK"
    assert after["StateTransitionedTimestamp"] - ended <= timedelta(seconds=at_most)


@pytest.mark.slow
def test_unless_told_otherwise_it_takes_its_minutes(
    start_local_aws: Callable[..., LocalAws], client_of: Callable[..., Any]
) -> None:
    aws = start_local_aws("sync-failed", now=NOW)
    cloudwatch = client_of(aws, "cloudwatch")
    assert alarm(cloudwatch)["Period"] == 300
    repaired(aws, client_of)
    aws.world.advance_by(timedelta(seconds=60))
    assert alarm(cloudwatch)["StateValue"] == "ALARM"
    aws.world.advance_by(timedelta(minutes=10))
    assert alarm(cloudwatch)["StateValue"] == "OK"
