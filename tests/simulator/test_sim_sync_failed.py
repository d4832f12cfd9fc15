"""The account after the bad promotion, through plain boto3: the story holds, and it can be mended."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest

from vmqlib.simulator.server import LocalAws

TERMINAL = {"SUCCEEDED", "FAILED", "INCOMPLETE", "ABORTED"}


@pytest.fixture(scope="module")
def aws():
    with LocalAws("sync-failed") as running:
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


def in_an_hour(aws, client, name):
    """The metric's sums of the hours before now, oldest first, by hours ago."""
    found = client.get_metric_statistics(
        Namespace="AWS/QBusiness", MetricName=name, Dimensions=[{"Name": "ApplicationId", "Value": aws.env["APP_ID"]}],
        StartTime=aws.truth.now - timedelta(days=10), EndTime=aws.truth.now, Period=3600, Statistics=["Sum"],
    )  # fmt: skip
    return {
        int((aws.truth.now - point["Timestamp"]) / timedelta(hours=1)): point["Sum"]
        for point in found["Datapoints"]
    }


def test_the_syncs_since_the_promotion_are_incomplete_and_the_ones_before_were_good(aws, client_of):
    truth = aws.truth
    jobs = every(client_of(aws, "qbusiness"), "list_data_source_sync_jobs", "history", **ids(aws))[::-1]
    since = [job for job in jobs if job["startTime"] > truth.promotion_at]
    assert [job["executionId"] for job in since] == list(truth.failed_execution_ids)
    assert len(since) >= 3
    assert {job["status"] for job in since} == {"INCOMPLETE"}
    assert {int(job["metrics"]["documentsFailed"]) for job in since} == {len(truth.broken)}
    assert int(since[0]["metrics"]["documentsDeleted"]) == len(truth.deleted_keys)
    before = jobs[: -len(since)]
    assert {job["status"] for job in before} == {"SUCCEEDED"}
    assert before[-1]["executionId"] == truth.last_good_execution_id
    assert before[-1]["startTime"] == truth.last_good_sync_started_at.replace(
        microsecond=before[-1]["startTime"].microsecond
    )
    assert truth.now - before[-1]["endTime"] < timedelta(hours=24), "no-sync is another incident"


def test_the_alarm_has_been_on_for_more_than_fifteen_minutes_and_somebody_was_told(aws, client_of):
    cloudwatch = client_of(aws, "cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    failed = alarms["QBusinessSyncFailed"]
    assert failed["StateValue"] == "ALARM"
    assert alarms["QBusinessNoSync"]["StateValue"] == "OK"
    on_for = aws.truth.now - failed["StateTransitionedTimestamp"]
    assert timedelta(minutes=15) < on_for < timedelta(minutes=100)
    changes = every(
        cloudwatch, "describe_alarm_history", "AlarmHistoryItems",
        AlarmName="QBusinessSyncFailed", HistoryItemType="StateUpdate",
    )  # fmt: skip
    assert "from OK to ALARM" in changes[0]["HistorySummary"]
    assert sum("to ALARM" in change["HistorySummary"] for change in changes) == 1
    sqs = client_of(aws, "sqs")
    queue = sqs.get_queue_url(QueueName="ops-escalations")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    told = json.loads(json.loads(message["Body"])["Message"])
    assert (told["AlarmName"], told["NewStateValue"]) == ("QBusinessSyncFailed", "ALARM")


def test_a_third_is_broken_by_one_cause_above_all_and_the_deletions_pass_the_safeguard(aws):
    truth = aws.truth
    documents = [key for key in truth.good_versions if key.endswith(".md")]
    assert 0.3 < len(truth.broken) / len(documents) < 0.36
    causes = Counter(truth.broken.values())
    assert len(causes) >= 3
    assert causes.most_common(1)[0][1] > len(truth.broken) * 0.6
    assert len(truth.deleted_keys) > 5
    assert 100 * len(truth.deleted_keys) / len(documents) < 15
    assert not set(truth.deleted_keys) & set(truth.broken)
    assert truth.broken_keys == tuple(sorted(truth.broken))


def test_the_bucket_shows_what_the_promotion_did(aws, client_of):
    truth, bucket = aws.truth, aws.env["BUCKET_NAME"]
    s3 = client_of(aws, "s3")
    written, deleted = set(), set()
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for kind, found in (("Versions", written), ("DeleteMarkers", deleted)):
            for item in page.get(kind, []):
                is_live = not item["Key"].startswith(("_staging/", "audit/", "ci/"))
                if is_live and item["LastModified"] >= truth.last_good_sync_started_at:
                    assert item["LastModified"] >= truth.promotion_at.replace(microsecond=0)
                    assert item["IsLatest"]
                    found.add(item["Key"])
    assert written == set(truth.rewritten_keys)
    assert deleted == set(truth.deleted_keys)
    record = json.loads(s3.get_object(Bucket=bucket, Key=truth.promotion_key)["Body"].read())
    assert record["ci_sha"] == truth.ci_sha
    assert record["ts"] == f"{truth.promotion_at:%Y-%m-%dT%H:%M:%SZ}"
    records = every(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix="audit/promotions/")
    assert records[-1]["Key"] == truth.promotion_key


def test_the_documents_and_the_logs_say_why(aws, client_of):
    truth = aws.truth
    listed = every(
        client_of(aws, "qbusiness"), "list_documents", "documentDetailList",
        applicationId=aws.env["APP_ID"], indexId=aws.env["INDEX_ID"], dataSourceIds=[aws.env["DS_ID"]],
    )  # fmt: skip
    failed = {item["documentId"].split("/", 3)[3] for item in listed if item["status"] == "FAILED"}
    assert failed == set(truth.broken)
    events = every(
        client_of(aws, "logs"), "filter_log_events", "events",
        logGroupName=f"/aws/qbusiness/{aws.env['APP_ID']}", logStreamNamePrefix=f"{aws.env['DS_ID']}/",
        startTime=int(truth.promotion_at.timestamp() * 1000), filterPattern='{ $.LogLevel = "Error" }',
    )  # fmt: skip
    codes = Counter()
    for event in events:
        line = json.loads(event["message"])
        if "DocumentId" in line:
            assert truth.broken[line["DocumentId"].split("/", 3)[3]] == line["ErrorCode"]
            codes[line["ErrorCode"]] += 1
    assert set(codes) == set(truth.broken.values())


def test_people_get_no_answers(aws, client_of):
    unanswered = in_an_hour(aws, client_of(aws, "cloudwatch"), "ChatMessagesWithNoAnswer")
    lately = sum(unanswered.get(hour, 0) for hour in (0, 1))
    usual = sum(count for hour, count in unanswered.items() if hour > 2) / (10 * 24) * 2
    assert lately >= 5
    assert lately > 5 * usual


def test_copying_the_good_versions_back_mends_it(aws, client_of):
    """Last in this file: it changes the account. What the runbook's steps 3, 4 and 6 come to."""
    truth, bucket = aws.truth, aws.env["BUCKET_NAME"]
    s3, q = client_of(aws, "s3"), client_of(aws, "qbusiness")
    for key in (*truth.rewritten_keys, *truth.deleted_keys):
        source = {"Bucket": bucket, "Key": key, "VersionId": truth.good_versions[key]}
        s3.copy_object(Bucket=bucket, Key=key, CopySource=source)
    aws.clock.set(aws.clock.now())  # at the real pace a slow look would miss one of the two
    started = q.start_data_source_sync_job(**ids(aws))["executionId"]
    seen = set()
    while (job := q.list_data_source_sync_jobs(**ids(aws))["history"][0])["status"] not in TERMINAL:
        seen.add(job["status"])
        aws.clock.advance(timedelta(milliseconds=300))
    assert (job["executionId"], job["status"]) == (started, "SUCCEEDED")
    assert seen == {"SYNCING", "SYNCING_INDEXING"}
    assert timedelta(seconds=3) < job["endTime"] - job["startTime"] < timedelta(seconds=9)
    assert int(job["metrics"]["documentsModified"]) == len(truth.broken)
    assert int(job["metrics"]["documentsAdded"]) == len(truth.deleted_keys)
    answer = q.chat_sync(applicationId=aws.env["APP_ID"], userMessage="What is MIRAGE?")
    assert answer["sourceAttributions"][0]["documentId"].endswith("/phases-mirage.md")
    aws.world.advance_by(timedelta(hours=3))
    cloudwatch = client_of(aws, "cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNames=["QBusinessSyncFailed"])["MetricAlarms"]
    assert alarms[0]["StateValue"] == "OK"
    assert alarms[0]["StateTransitionedTimestamp"] - job["endTime"] < timedelta(minutes=11)
