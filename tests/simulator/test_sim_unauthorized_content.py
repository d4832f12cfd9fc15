"""What must not be shown is indexed, through plain boto3: which documents, since when, by whose change."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from vmqlib.simulator.server import LocalAws

AS_IT_IS, MENDED_IN_VAIN = 0, 3  # seeds
HOUSEKEEPING = ("_staging/", "audit/", "ci/")


@pytest.fixture(scope="module", params=[AS_IT_IS, MENDED_IN_VAIN])
def aws(request):
    with LocalAws("unauthorized-content", seed=request.param) as running:
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


def indexed(aws, client):
    """Document ids by key."""
    listed = every(
        client, "list_documents", "documentDetailList",
        applicationId=aws.env["APP_ID"], indexId=aws.env["INDEX_ID"], dataSourceIds=[aws.env["DS_ID"]],
    )  # fmt: skip
    return {item["documentId"].split("/", 3)[3]: item["documentId"] for item in listed}


def updates(aws, client):
    name = [{"AttributeKey": "EventName", "AttributeValue": "UpdateDataSource"}]
    return client.lookup_events(LookupAttributes=name)["Events"][::-1]


def test_the_truth_is_that_content_fires_and_nothing_else(aws):
    truth = aws.truth
    assert truth.fires == {"content"}
    assert truth.suspect == "aws-call:UpdateDataSource"
    assert truth.open_prefixes == ("security/",)
    assert set(truth.unwanted.values()) == {"housekeeping", "forbidden"}


def test_housekeeping_and_payroll_are_in_the_index(aws, client_of):
    keys = indexed(aws, client_of(aws, "qbusiness"))
    unwanted = {key for key in keys if key.startswith((*HOUSEKEEPING, "hr/"))}
    assert unwanted == set(aws.truth.unwanted)
    assert {key.split("/")[0] for key in unwanted} == {"_staging", "audit", "ci", "hr"}
    assert len(unwanted) > 300


def test_the_trail_says_who_took_the_exclusions_away(aws, client_of):
    truth = aws.truth
    events = updates(aws, client_of(aws, "cloudtrail"))
    assert len(events) == 1 + (aws.seed == MENDED_IN_VAIN)
    assert events[0]["Username"] == truth.who
    assert timedelta(0) < truth.since - events[0]["EventTime"] < timedelta(minutes=25)
    asked = json.loads(events[0]["CloudTrailEvent"])["requestParameters"]["configuration"]
    assert asked["additionalProperties"]["exclusionPrefixes"] == []
    now = client_of(aws, "qbusiness").get_data_source(**ids(aws))
    excluded = now["configuration"]["additionalProperties"]["exclusionPrefixes"]
    assert excluded == (["_staging/", "ci/", "audit/"] if aws.seed == MENDED_IN_VAIN else [])
    assert now["syncSchedule"].startswith("cron(")


def test_two_syncs_have_succeeded_since_and_the_first_one_brought_it(aws, client_of):
    truth, q = aws.truth, client_of(aws, "qbusiness")
    jobs = every(q, "list_data_source_sync_jobs", "history", **ids(aws))
    assert {job["status"] for job in jobs} == {"SUCCEEDED"}
    since = [job for job in jobs if job["endTime"] >= truth.since - timedelta(seconds=1)]
    assert len(since) == 2
    assert int(since[1]["metrics"]["documentsAdded"]) > 300
    assert jobs[2]["executionId"] == truth.last_good_execution_id
    group, stream = f"/aws/qbusiness/{aws.env['APP_ID']}", since[1]["executionId"]
    report = every(
        client_of(aws, "logs"), "filter_log_events", "events",
        logGroupName=group, logStreamNames=[f"SYNC_RUN_HISTORY_REPORT/{aws.env['DS_ID']}/{stream}"],
    )  # fmt: skip
    assert sum("/_staging/" in json.loads(event["message"])["DocumentId"] for event in report) > 250


def test_where_it_was_mended_in_vain_the_safeguard_kept_the_documents(aws, client_of):
    q = client_of(aws, "qbusiness")
    job = q.list_data_source_sync_jobs(**ids(aws))["history"][0]
    warnings = every(
        client_of(aws, "logs"), "filter_log_events", "events", logGroupName=f"/aws/qbusiness/{aws.env['APP_ID']}",
        logStreamNamePrefix=f"{aws.env['DS_ID']}/", filterPattern='{ $.ErrorCode = "DeletionProtection" }',
    )  # fmt: skip
    scanned = int(job["metrics"]["documentsScanned"])
    if aws.seed == MENDED_IN_VAIN:
        assert scanned < 320, "the sync went without the excluded prefixes"
        assert int(job["metrics"]["documentsDeleted"]) == 0
        assert len(warnings) == 1
    else:
        assert scanned > 600
        assert warnings == []


def test_the_acl_file_lost_the_rule_that_closed_security(aws, client_of):
    s3, bucket = client_of(aws, "s3"), aws.env["BUCKET_NAME"]
    found = s3.list_object_versions(Bucket=bucket, Prefix="acl.json")["Versions"]
    newest, before = (
        json.loads(s3.get_object(Bucket=bucket, Key="acl.json", VersionId=item["VersionId"])["Body"].read())
        for item in found[:2]
    )
    assert [rule["keyPrefix"] for rule in newest] == [f"s3://{bucket}/legal/"]
    assert [rule["keyPrefix"] for rule in before] == [f"s3://{bucket}/security/"]
    assert found[0]["LastModified"] < aws.truth.since
    q = client_of(aws, "qbusiness")
    access = q.check_document_access(
        applicationId=aws.env["APP_ID"], indexId=aws.env["INDEX_ID"], dataSourceId=aws.env["DS_ID"],
        userId="hugo.martin@vaultmesh.io", documentId=f"s3://{bucket}/security/threat-model-anchor.md",
    )  # fmt: skip
    assert access["hasAccess"]


def test_anybody_is_answered_from_payroll_and_somebody_was(aws, client_of):
    q, logs = client_of(aws, "qbusiness"), client_of(aws, "logs")
    answer = q.chat_sync(
        applicationId=aws.env["APP_ID"], userId="hugo.martin@vaultmesh.io",
        userMessage="What are the pay bands of the Search team?",
    )  # fmt: skip
    assert "/hr/payroll/" in answer["sourceAttributions"][0]["documentId"]
    events = every(
        logs, "filter_log_events", "events", logGroupName=f"/aws/qbusiness/{aws.env['APP_ID']}",
        logStreamNames=[f"EVENT_LOGS/{aws.env['APP_ID']}"], endTime=int(aws.truth.now.timestamp() * 1000),
        startTime=int(aws.truth.since.timestamp() * 1000),
    )  # fmt: skip
    said = [json.loads(event["message"]) for event in events]
    told = [line for line in said if "pay bands" in line["user_message"]]
    assert told
    assert not any(line["output_metrics_is_message_with_no_answer"] for line in told)


def test_no_alarm_says_anything(aws, client_of):
    alarms = client_of(aws, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["StateValue"] for alarm in alarms} == {"OK"}
