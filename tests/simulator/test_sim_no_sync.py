"""Three days without a sync, through plain boto3: who switched it off, what told of it, what people miss."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import pytest

from vmqlib.simulator.server import LocalAws

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def aws():
    with LocalAws("no-sync") as running:
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


def values(aws, client, namespace, name, dimension):
    """The metric's values of the last days with their times, oldest first."""
    found = client.get_metric_statistics(
        Namespace=namespace, MetricName=name, Dimensions=[{"Name": dimension, "Value": aws.env["APP_ID"]}],
        StartTime=aws.truth.now - 6 * DAY, EndTime=aws.truth.now, Period=3600, Statistics=["Sum"],
    )  # fmt: skip
    return sorted((point["Timestamp"], point["Sum"]) for point in found["Datapoints"])


def test_the_truth_is_that_no_sync_fires_and_nothing_else(aws):
    truth = aws.truth
    assert truth.fires == {"no-sync"}
    assert truth.suspect == "aws-call:UpdateDataSource"
    assert truth.failed_execution_ids == ()
    assert timedelta(days=2) < truth.now - truth.since < timedelta(days=3)


def test_the_last_sync_was_good_and_three_days_ago(aws, client_of):
    truth = aws.truth
    jobs = every(client_of(aws, "qbusiness"), "list_data_source_sync_jobs", "history", **ids(aws))
    assert {job["status"] for job in jobs} == {"SUCCEEDED"}
    assert jobs[0]["executionId"] == truth.last_good_execution_id
    assert abs(jobs[0]["endTime"] + DAY - truth.since) < timedelta(seconds=1)
    assert {(truth.now - job["startTime"]).days for job in jobs} == set(range(3, 21))


def test_the_schedule_is_empty_and_the_trail_says_who_emptied_it(aws, client_of):
    truth = aws.truth
    assert client_of(aws, "qbusiness").get_data_source(**ids(aws)).get("syncSchedule", "") == ""
    name = [{"AttributeKey": "EventName", "AttributeValue": "UpdateDataSource"}]
    (event,) = client_of(aws, "cloudtrail").lookup_events(LookupAttributes=name)["Events"]
    assert event["Username"] == truth.who
    assert json.loads(event["CloudTrailEvent"])["requestParameters"]["syncSchedule"] == ""
    assert truth.last_good_sync_started_at < event["EventTime"] < truth.last_good_sync_started_at + DAY / 2


def test_no_sync_is_published_daily_and_its_alarm_went_on(aws, client_of):
    truth, cloudwatch = aws.truth, client_of(aws, "cloudwatch")
    told = values(aws, cloudwatch, "VaultMesh/QBusiness", "NoSync", "App")
    assert [value for _, value in told] == [0, 0, 0, 0, 1, 1]
    assert {later - sooner for (sooner, _), (later, _) in pairwise(told)} == {DAY}
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert {name: alarm["StateValue"] for name, alarm in alarms.items()} == {
        "QBusinessNoSync": "ALARM",
        "QBusinessSyncFailed": "OK",
    }
    assert truth.since < alarms["QBusinessNoSync"]["StateTransitionedTimestamp"] < truth.since + DAY
    changes = every(
        cloudwatch, "describe_alarm_history", "AlarmHistoryItems",
        AlarmName="QBusinessNoSync", HistoryItemType="StateUpdate",
    )  # fmt: skip
    assert "from OK to ALARM" in changes[0]["HistorySummary"]
    assert sum("to ALARM" in change["HistorySummary"] for change in changes) == 1


def test_the_daily_audit_wrote_the_breach_down(aws, client_of):
    s3, bucket = client_of(aws, "s3"), aws.env["BUCKET_NAME"]
    keys = [
        item["Key"]
        for item in every(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix="audit/incidents/no-sync-")
    ]
    notes = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in sorted(keys)]
    assert [note["breach"] for note in notes[-4:]] == [False, False, True, True]
    assert notes[-1]["delta_seconds"] - notes[-2]["delta_seconds"] == DAY.total_seconds()
    assert keys[-1] == f"audit/incidents/no-sync-{notes[-1]['ts'].replace('-', '').replace(':', '')}.json"


def test_ci_says_why_it_started_no_sync_after_the_last_promotion(aws, client_of):
    s3, bucket = client_of(aws, "s3"), aws.env["BUCKET_NAME"]
    jobs = every(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix="ci/sync-jobs-")
    note = json.loads(s3.get_object(Bucket=bucket, Key=jobs[-1]["Key"])["Body"].read())
    hold = json.loads(s3.get_object(Bucket=bucket, Key="ci/hold.json")["Body"].read())
    assert "executionId" not in note
    assert note["skipped"] == hold["reason"]
    assert hold["by"] == aws.truth.who


def test_what_was_promoted_since_is_in_the_bucket_and_not_in_the_index(aws, client_of):
    truth, bucket = aws.truth, aws.env["BUCKET_NAME"]
    s3, q = client_of(aws, "s3"), client_of(aws, "qbusiness")
    listed = every(
        q, "list_documents", "documentDetailList",
        applicationId=aws.env["APP_ID"], indexId=aws.env["INDEX_ID"], dataSourceIds=[aws.env["DS_ID"]],
    )  # fmt: skip
    indexed = {item["documentId"].split("/", 3)[3] for item in listed}
    keys = {item["Key"] for item in every(s3, "list_objects_v2", "Contents", Bucket=bucket)}
    live = {key for key in keys if key.endswith(".md") and not key.startswith(("_staging/", "audit/", "ci/"))}
    assert live - indexed == set(truth.missing_keys)
    assert len(truth.missing_keys) == 8


def test_people_ask_for_the_new_pages_and_get_no_answer(aws, client_of):
    cloudwatch = client_of(aws, "cloudwatch")
    unanswered = values(aws, cloudwatch, "AWS/QBusiness", "ChatMessagesWithNoAnswer", "ApplicationId")
    today = sum(value for at, value in unanswered if at > aws.truth.now - timedelta(hours=8))
    before = sum(value for at, value in unanswered if at <= aws.truth.now - timedelta(hours=8))
    assert today >= 5
    assert today > before


def test_a_sync_brings_it_all_and_the_alarm_goes_off_within_a_day(aws, client_of):
    """Last in this file: it changes the account and moves the clock."""
    q = client_of(aws, "qbusiness")
    q.start_data_source_sync_job(**ids(aws))
    aws.world.advance_by(timedelta(minutes=1))
    job = q.list_data_source_sync_jobs(**ids(aws))["history"][0]
    assert job["status"] == "SUCCEEDED"
    assert int(job["metrics"]["documentsAdded"]) == len(aws.truth.missing_keys)
    assert int(job["metrics"]["documentsModified"]) > 10
    aws.world.advance_by(DAY)
    alarms = client_of(aws, "cloudwatch").describe_alarms(AlarmNames=["QBusinessNoSync"])["MetricAlarms"]
    assert alarms[0]["StateValue"] == "OK"
