"""The connector's role may not read, through plain boto3: who changed it, what says so, and that it can be mended."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest

from vmqlib.simulator.server import LocalAws

ROLE, POLICY = "vaultmesh-qbusiness-s3", "read-knowledge-base"


@pytest.fixture(scope="module")
def aws():
    with LocalAws("role-denied") as running:
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


def decisions(aws, client, *actions):
    source = client.get_role(RoleName=ROLE)["Role"]["Arn"]
    found = client.simulate_principal_policy(
        PolicySourceArn=source, ActionNames=list(actions),
        ResourceArns=[f"arn:aws:s3:::{aws.env['BUCKET_NAME']}/phases-mirage.md"],
    )["EvaluationResults"]  # fmt: skip
    return [row["EvalDecision"] for row in found]


def test_the_truth_is_that_sync_failed_fires_and_a_policy_is_to_blame(aws):
    truth = aws.truth
    assert truth.fires == {"sync-failed"}
    assert truth.suspect == "aws-call:PutRolePolicy"
    assert len(truth.failed_execution_ids) == 3
    assert truth.broken == {}
    assert timedelta(hours=3) < truth.now - truth.since < timedelta(hours=6)


def test_every_sync_since_failed_in_awss_words_and_the_ones_before_were_good(aws, client_of):
    truth = aws.truth
    jobs = every(client_of(aws, "qbusiness"), "list_data_source_sync_jobs", "history", **ids(aws))[::-1]
    bad = jobs[-len(truth.failed_execution_ids) :]
    assert [job["executionId"] for job in bad] == list(truth.failed_execution_ids)
    assert {job["status"] for job in bad} == {"FAILED"}
    assert {job["status"] for job in jobs[: -len(bad)]} == {"SUCCEEDED"}
    assert jobs[-len(bad) - 1]["executionId"] == truth.last_good_execution_id
    for job in bad:
        assert job["error"]["errorCode"] == "InvalidRequest"
        assert job["dataSourceErrorCode"] == "AccessDenied"
        message = job["error"]["errorMessage"]
        assert f"assumed-role/{ROLE}/" in message
        assert "is not authorized to perform: s3:GetObject on resource" in message
        assert f"arn:aws:s3:::{aws.env['BUCKET_NAME']}/" in message
    assert abs(bad[0]["endTime"] - truth.since) < timedelta(seconds=1)


def test_the_trail_says_who_wrote_the_policy_and_what_it_was(aws, client_of):
    truth = aws.truth
    name = [{"AttributeKey": "EventName", "AttributeValue": "PutRolePolicy"}]
    # IAM is one for all regions, and CloudTrail has its events in us-east-1
    assert client_of(aws, "cloudtrail").lookup_events(LookupAttributes=name)["Events"] == []
    east = SimpleNamespace(env={**aws.env, "AWS_REGION": "us-east-1"})
    newest, first = client_of(east, "cloudtrail").lookup_events(LookupAttributes=name)["Events"]
    assert (newest["Username"], first["Username"]) == (truth.who, "vaultmesh-deploy")
    assert truth.last_good_sync_started_at < newest["EventTime"] < truth.since
    asked = json.loads(newest["CloudTrailEvent"])["requestParameters"]
    assert (asked["roleName"], asked["policyName"]) == (ROLE, POLICY)
    now = client_of(aws, "iam").get_role_policy(RoleName=ROLE, PolicyName=POLICY)["PolicyDocument"]
    assert json.loads(asked["policyDocument"]) == now


def test_the_policy_simulator_says_the_same(aws, client_of):
    (decision,) = decisions(aws, client_of(aws, "iam"), "s3:GetObject")
    assert decision in ("implicitDeny", "explicitDeny")


def test_the_alarm_is_on_and_what_was_indexed_still_answers(aws, client_of):
    cloudwatch = client_of(aws, "cloudwatch")
    alarms = {alarm["AlarmName"]: alarm for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert alarms["QBusinessSyncFailed"]["StateValue"] == "ALARM"
    assert alarms["QBusinessNoSync"]["StateValue"] == "OK"
    on_since = alarms["QBusinessSyncFailed"]["StateTransitionedTimestamp"]
    assert timedelta(0) < on_since - aws.truth.since < timedelta(minutes=10)
    answer = client_of(aws, "qbusiness").chat_sync(
        applicationId=aws.env["APP_ID"], userMessage="What is MIRAGE?"
    )
    assert answer["sourceAttributions"][0]["documentId"].endswith("/phases-mirage.md")


def test_the_log_of_the_connector_has_the_refusal_and_no_document(aws, client_of):
    events = every(
        client_of(aws, "logs"), "filter_log_events", "events",
        logGroupName=f"/aws/qbusiness/{aws.env['APP_ID']}", logStreamNamePrefix=f"{aws.env['DS_ID']}/",
        startTime=int(aws.truth.since.timestamp() * 1000) - 60_000, filterPattern='{ $.LogLevel = "Error" }',
    )  # fmt: skip
    lines = [json.loads(event["message"]) for event in events]
    assert {line["ErrorCode"] for line in lines} == {"AccessDenied"}
    assert [line["SyncJobId"] for line in lines] == list(aws.truth.failed_execution_ids)
    assert not any("DocumentId" in line for line in lines)


def test_the_policy_as_it_was_mends_it(aws, client_of):
    """Last in this file: it changes the account and moves the clock."""
    iam, q = client_of(aws, "iam"), client_of(aws, "qbusiness")
    document = iam.get_role_policy(RoleName=ROLE, PolicyName=POLICY)["PolicyDocument"]
    bucket = aws.env["BUCKET_NAME"]
    kept = [one for one in document["Statement"] if "s3:" not in json.dumps(one["Action"])]
    reading = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    iam.put_role_policy(
        RoleName=ROLE,
        PolicyName=POLICY,
        PolicyDocument=json.dumps({**document, "Statement": [reading, *kept]}),
    )
    assert decisions(aws, iam, "s3:GetObject") == ["allowed"]
    q.start_data_source_sync_job(**ids(aws))
    aws.world.advance_by(timedelta(minutes=1))
    assert q.list_data_source_sync_jobs(**ids(aws))["history"][0]["status"] == "SUCCEEDED"
    aws.world.advance_by(timedelta(minutes=20))
    (alarm,) = client_of(aws, "cloudwatch").describe_alarms(AlarmNames=["QBusinessSyncFailed"])[
        "MetricAlarms"
    ]
    assert alarm["StateValue"] == "OK"
