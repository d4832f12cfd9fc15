"""An alarm that cannot see, through plain boto3: syncs fail, it says OK, nobody would be told; and how it is mended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from vmqlib.simulator.server import LocalAws

PENDING = 1  # a seed with which somebody asked to be mailed and never confirmed
ALARM, SPACE = "QBusinessSyncFailed", "VaultMesh/QBusiness"


@pytest.fixture(scope="module")
def aws():
    with LocalAws("blind-alarm", seed=PENDING) as running:
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


@pytest.fixture
def alarm(aws, client_of):
    (found,) = client_of(aws, "cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    return found


def datapoints(aws, client, dimensions):
    return client.get_metric_statistics(
        Namespace=SPACE, MetricName="SyncFailed", Dimensions=dimensions,
        StartTime=aws.truth.now - timedelta(hours=12), EndTime=aws.truth.now, Period=300, Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip


def test_the_truth_is_that_sync_failed_fires_though_the_alarm_does_not(aws):
    truth = aws.truth
    assert truth.fires == {"sync-failed"}
    assert truth.findings == {"alarm-disagrees", "blind-alarm"}
    assert truth.suspect == "promotion"
    assert 8 <= len(truth.broken) <= 16
    assert len(truth.failed_execution_ids) == 3


def test_the_syncs_since_the_promotion_are_incomplete(aws, client_of):
    truth = aws.truth
    jobs = every(client_of(aws, "qbusiness"), "list_data_source_sync_jobs", "history", **ids(aws))[::-1]
    since = [job for job in jobs if job["startTime"] > truth.promotion_at]
    assert [job["executionId"] for job in since] == list(truth.failed_execution_ids)
    assert {job["status"] for job in since} == {"INCOMPLETE"}
    assert {int(job["metrics"]["documentsFailed"]) for job in since} == {len(truth.broken)}
    assert {job["status"] for job in jobs[: -len(since)]} == {"SUCCEEDED"}
    assert set(truth.broken) == set(truth.rewritten_keys)
    assert truth.deleted_keys == ()


def test_the_alarm_is_the_ops_repos_and_has_been_ok_all_along(aws, client_of, alarm):
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]) == (SPACE, "SyncFailed", [])
    assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Sum", 300, 1.0)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ActionsEnabled"]
    assert alarm["StateValue"] == "OK"
    changes = every(
        client_of(aws, "cloudwatch"), "describe_alarm_history", "AlarmHistoryItems",
        AlarmName=ALARM, HistoryItemType="StateUpdate",
    )  # fmt: skip
    assert [change["HistorySummary"] for change in changes] == ["Alarm updated from INSUFFICIENT_DATA to OK"]


def test_its_metric_has_never_had_a_datapoint_and_the_one_with_the_dimension_has(aws, client_of):
    cloudwatch = client_of(aws, "cloudwatch")
    app = [{"Name": "App", "Value": aws.env["APP_ID"]}]
    assert datapoints(aws, cloudwatch, []) == []
    told = datapoints(aws, cloudwatch, app)
    assert max(point["Sum"] for point in told) >= 1
    for recently in ({}, {"RecentlyActive": "PT3H"}):
        listed = every(
            cloudwatch, "list_metrics", "Metrics", Namespace=SPACE, MetricName="SyncFailed", **recently
        )
        assert [metric["Dimensions"] for metric in listed] == [app]


def test_its_action_reaches_nobody(aws, client_of, alarm):
    sns = client_of(aws, "sns")
    (topic,) = alarm["AlarmActions"]
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert attributes["SubscriptionsConfirmed"] == "0"
    assert attributes["SubscriptionsPending"] == "1"
    (asked,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (asked["Protocol"], asked["SubscriptionArn"]) == ("email", "PendingConfirmation")


def test_the_other_alarm_is_wired_well(aws, client_of):
    (other,) = client_of(aws, "cloudwatch").describe_alarms(AlarmNames=["QBusinessNoSync"])["MetricAlarms"]
    assert other["Dimensions"] == [{"Name": "App", "Value": aws.env["APP_ID"]}]
    (topic,) = other["AlarmActions"]
    attributes = client_of(aws, "sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (attributes["SubscriptionsConfirmed"], attributes["SubscriptionsPending"]) == ("2", "0")


def test_the_dimension_lets_it_see(aws, client_of):
    """Last in this file: it changes the account and moves the clock."""
    cloudwatch = client_of(aws, "cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    kept = (
        "AlarmName", "Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold",
        "ComparisonOperator", "TreatMissingData", "AlarmActions",
    )  # fmt: skip
    cloudwatch.put_metric_alarm(
        **{name: alarm[name] for name in kept}, Dimensions=[{"Name": "App", "Value": aws.env["APP_ID"]}]
    )
    aws.world.advance_by(timedelta(minutes=12))
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
