"""Throttled on both sides, through plain boto3: syncs fail for other documents each time, and nothing changed."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from vmqlib.simulator.server import LocalAws


@pytest.fixture(scope="module")
def rules():
    return []


@pytest.fixture(scope="module")
def aws(rules):
    """What callers meet is taken out, and put back in the tests that are about it."""
    with LocalAws("throttled") as running:
        rules.extend(running.faults.rules)
        running.faults.clear()
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


@pytest.fixture(scope="module")
def lines(aws):
    """The connector's lines about documents that failed, by execution id."""
    import boto3

    e = aws.env
    logs = boto3.client(
        "logs", endpoint_url=aws.url, region_name=e["AWS_REGION"],
        aws_access_key_id=e["AWS_ACCESS_KEY_ID"], aws_secret_access_key=e["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    found = {}
    for event in every(
        logs, "filter_log_events", "events", logGroupName=f"/aws/qbusiness/{e['APP_ID']}",
        logStreamNamePrefix=f"{e['DS_ID']}/", startTime=int((aws.truth.now - timedelta(hours=8)).timestamp() * 1000),
        filterPattern='{ $.LogLevel = "Error" }',
    ):  # fmt: skip
        line = json.loads(event["message"])
        found.setdefault(line["SyncJobId"], []).append(line)
    return found


def test_the_truth_is_that_sync_failed_fires_and_nothing_is_to_blame(aws):
    truth = aws.truth
    assert truth.fires == {"sync-failed"}
    assert (truth.suspect, truth.who, truth.promotion_at) == ("", "", None)
    assert len(truth.failed_execution_ids) == 2
    assert timedelta(hours=1) < truth.now - truth.since < timedelta(minutes=70)


def test_syncs_of_the_last_hours_are_incomplete_with_good_ones_between(aws, client_of):
    jobs = every(client_of(aws, "qbusiness"), "list_data_source_sync_jobs", "history", **ids(aws))[::-1]
    recent = [job for job in jobs if aws.truth.now - job["startTime"] < timedelta(hours=8)]
    assert [job["status"] for job in recent] == [
        "INCOMPLETE", "SUCCEEDED", "INCOMPLETE", "SUCCEEDED", "INCOMPLETE", "INCOMPLETE",
    ]  # fmt: skip
    assert {job["status"] for job in jobs[: -len(recent)]} == {"SUCCEEDED"}
    assert [job["executionId"] for job in recent[-2:]] == list(aws.truth.failed_execution_ids)
    for job in recent:
        counts = {name: int(value) for name, value in job["metrics"].items()}
        assert (0 < counts["documentsFailed"] < 60) == (job["status"] == "INCOMPLETE")
        assert counts["documentsAdded"] == counts["documentsModified"] == counts["documentsDeleted"] == 0


def test_each_sync_fails_for_other_documents_and_the_reason_is_throttling(aws, lines):
    assert len(lines) == 4
    sets = [frozenset(line["DocumentId"] for line in found) for found in lines.values()]
    assert all(sets)
    assert not frozenset.intersection(*sets)
    assert len(frozenset.union(*sets)) > max(map(len, sets)) * 2
    assert {line["ErrorCode"] for found in lines.values() for line in found} == {"SlowDown"}
    assert all("throttled" in line["Message"] for found in lines.values() for line in found)


def test_the_index_keeps_what_it_has(aws, client_of, lines):
    listed = every(
        client_of(aws, "qbusiness"), "list_documents", "documentDetailList",
        applicationId=aws.env["APP_ID"], indexId=aws.env["INDEX_ID"], dataSourceIds=[aws.env["DS_ID"]],
    )  # fmt: skip
    assert {item["status"] for item in listed} <= {"INDEXED", "UPDATED"}
    missed = {line["DocumentId"] for found in lines.values() for line in found}
    assert missed < {item["documentId"] for item in listed}


def test_nothing_changed_since_the_last_good_sync_before_it_began(aws, client_of):
    begin = aws.truth.now - timedelta(hours=8)
    s3 = client_of(aws, "s3")
    housekeeping = ("audit/", "ci/")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=aws.env["BUCKET_NAME"]):
        for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
            assert item["LastModified"] < begin or item["Key"].startswith(housekeeping)
    for region in ("eu-west-1", "us-east-1"):
        view = SimpleNamespace(env={**aws.env, "AWS_REGION": region})
        assert client_of(view, "cloudtrail").lookup_events(StartTime=begin)["Events"] == []


def test_the_alarm_went_on_and_off(aws, client_of):
    changes = every(
        client_of(aws, "cloudwatch"), "describe_alarm_history", "AlarmHistoryItems",
        AlarmName="QBusinessSyncFailed", HistoryItemType="StateUpdate",
        StartDate=aws.truth.now - timedelta(hours=8), EndDate=aws.truth.now,
    )  # fmt: skip
    assert [change["HistorySummary"].rsplit(" ", 1)[-1] for change in changes] == [
        "ALARM", "OK", "ALARM", "OK", "ALARM",
    ]  # fmt: skip


def test_a_share_of_what_reads_is_throttled_and_nothing_else(aws, rules, client_of):
    calls = {
        "cloudwatch": lambda client: client.describe_alarms(),
        "logs": lambda client: client.describe_log_groups(),
        "cloudtrail": lambda client: client.lookup_events(MaxResults=1),
        "qbusiness": lambda client: client.list_applications(),
        "s3": lambda client: client.head_bucket(Bucket=aws.env["BUCKET_NAME"]),
        "sns": lambda client: client.list_topics(),
    }
    for rule in rules:
        aws.faults.put(rule)
    try:
        met = {name: refusals(client_of(aws, name), call) for name, call in calls.items()}
    finally:
        aws.faults.clear()
    assert met.pop("s3") == met.pop("sns") == []
    for service, found in met.items():
        assert 1 <= len(found) <= 20, service
        status = 429 if service == "qbusiness" else 400
        code = "Throttling" if service == "cloudwatch" else "ThrottlingException"
        assert set(found) == {(status, code, "Rate exceeded")}


def refusals(client, call):
    """Status, code and message of those of thirty calls that were refused."""
    found = []
    for _ in range(30):
        try:
            call(client)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            found.append((status, error.response["Error"]["Code"], error.response["Error"]["Message"]))
    return found


def test_the_same_seed_throttles_the_same_calls(rules):
    from vmqlib.simulator.faults import Faults
    from vmqlib.simulator.protocols import Call

    call = Call("logs", "FilterLogEvents", "POST", "/", "json")

    def drawn():
        faults = Faults(0)
        for rule in rules:
            faults.put(rule)
        return [faults.take(call) is not None for _ in range(100)]

    first = drawn()
    assert first == drawn()
    assert 3 < sum(first) < 45


def test_when_s3_answers_again_a_sync_is_good(aws, client_of):
    """Last in this file: it changes the account and moves the clock."""
    from vmqlib.simulator.qbusiness.models import qbusiness_backends

    qbusiness_backends[aws.env["ACCOUNT_ID"]][aws.env["REGION"]].slow_down(aws.env["BUCKET_NAME"], 0)
    q = client_of(aws, "qbusiness")
    q.start_data_source_sync_job(**ids(aws))
    aws.world.advance_by(timedelta(minutes=1))
    assert q.list_data_source_sync_jobs(**ids(aws))["history"][0]["status"] == "SUCCEEDED"
    aws.world.advance_by(timedelta(minutes=20))
    (alarm,) = client_of(aws, "cloudwatch").describe_alarms(AlarmNames=["QBusinessSyncFailed"])[
        "MetricAlarms"
    ]
    assert alarm["StateValue"] == "OK"
