"""The healthy account through plain boto3: three weeks of routine, and all quiet."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest

from vmqlib.simulator.server import LocalAws


@pytest.fixture(scope="module")
def aws():
    with LocalAws("healthy", seed=1) as running:
        yield running


def every(client, operation, member, **parameters):
    return [
        row for page in client.get_paginator(operation).paginate(**parameters) for row in page.get(member, [])
    ]


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


def total(client, aws, name, days, period=86400):
    found = client.get_metric_statistics(
        Namespace="AWS/QBusiness", MetricName=name, Dimensions=[{"Name": "ApplicationId", "Value": aws.env["APP_ID"]}],
        StartTime=aws.truth.now - timedelta(days=days), EndTime=aws.truth.now, Period=period, Statistics=["Sum"],
    )  # fmt: skip
    return sum(point["Sum"] for point in found["Datapoints"])


def test_every_sync_of_three_weeks_succeeded_at_least_one_a_day(aws, client_of):
    jobs = every(client_of(aws, "qbusiness"), "list_data_source_sync_jobs", "history", **ids(aws))
    assert {job["status"] for job in jobs} == {"SUCCEEDED"}
    days = {(aws.truth.now - job["startTime"]).days for job in jobs}
    assert days >= set(range(20))
    assert len(jobs) > 25
    assert jobs[0]["executionId"] == aws.truth.last_good_execution_id
    assert all(
        timedelta(minutes=1) < job["endTime"] - job["startTime"] < timedelta(minutes=8) for job in jobs
    )
    assert sum(int(job["metrics"]["documentsModified"]) for job in jobs) > 200


def test_the_index_holds_what_the_bucket_holds(aws, client_of):
    s3, q = client_of(aws, "s3"), client_of(aws, "qbusiness")
    keys = {item["Key"] for item in every(s3, "list_objects_v2", "Contents", Bucket=aws.env["BUCKET_NAME"])}
    documents = {key for key in keys if key.endswith(".md") and not key.startswith("_staging/")}
    assert 280 <= len(documents) <= 320
    assert {f"_staging/{key}" for key in documents} <= keys
    listed = every(
        q, "list_documents", "documentDetailList",
        applicationId=aws.env["APP_ID"], indexId=aws.env["INDEX_ID"], dataSourceIds=[aws.env["DS_ID"]],
    )  # fmt: skip
    assert {item["documentId"].split("/", 3)[3] for item in listed} == documents
    assert {item["status"] for item in listed} <= {"INDEXED", "UPDATED"}


def test_documents_have_versions_and_promotions_have_records(aws, client_of):
    s3 = client_of(aws, "s3")
    bucket = aws.env["BUCKET_NAME"]
    versions, markers = [], []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions += page.get("Versions", [])
        markers += page.get("DeleteMarkers", [])
    live = Counter(item["Key"] for item in versions if item["Key"].endswith(".md") and item["Key"][0] != "_")
    assert sum(count >= 3 for count in live.values()) > 60
    assert [item["Key"] for item in markers if not item["Key"].startswith("_staging/")]
    records = sorted(item["Key"] for item in versions if item["Key"].startswith("audit/promotions/"))
    assert 5 <= len(records) <= 10
    record = json.loads(s3.get_object(Bucket=bucket, Key=records[-1])["Body"].read())
    assert set(record) == {"event", "ts", "ci_sha", "dr_exec_id", "source_staging_prefix", "performed_by"}
    assert records[-1] == f"audit/promotions/promotion-{record['ts'].replace('-', '').replace(':', '')}.json"
    assert len({item["LastModified"].date() for item in versions}) > 15
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    truth = {item["Key"]: item["VersionId"] for item in versions if item["IsLatest"]}
    assert {key: truth[key] for key in aws.truth.good_versions} == dict(aws.truth.good_versions)


def test_alarms_are_ok_and_always_were(aws, client_of):
    cloudwatch = client_of(aws, "cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms} == {
        "QBusinessSyncFailed": "OK",
        "QBusinessNoSync": "OK",
    }
    history = every(cloudwatch, "describe_alarm_history", "AlarmHistoryItems", HistoryItemType="StateUpdate")
    assert not [item for item in history if "to ALARM" in item["HistorySummary"]]
    for alarm in alarms:  # wired to the metric that is really published
        listed = cloudwatch.list_metrics(
            Namespace=alarm["Namespace"], MetricName=alarm["MetricName"], Dimensions=alarm["Dimensions"]
        )
        assert len(listed["Metrics"]) == 1


def test_people_ask_and_get_answers(aws, client_of):
    cloudwatch, logs = client_of(aws, "cloudwatch"), client_of(aws, "logs")
    asked, unanswered = (
        total(cloudwatch, aws, name, 14) for name in ("ChatMessages", "ChatMessagesWithNoAnswer")
    )
    assert asked > 80
    assert unanswered < asked * 0.2
    group = f"/aws/qbusiness/{aws.env['APP_ID']}"
    messages = every(
        logs, "filter_log_events", "events", logGroupName=group, logStreamNamePrefix="EVENT_LOGS"
    )
    said = [json.loads(event["message"]) for event in messages]
    assert len(said) >= asked
    assert all(line["user_email"].endswith("@vaultmesh.io") for line in said)


def test_the_canary_question_is_answered_from_its_document_and_the_password_is_blocked(aws, client_of):
    q = client_of(aws, "qbusiness")
    answer = q.chat_sync(applicationId=aws.env["APP_ID"], userMessage="What is MIRAGE?")
    assert answer["sourceAttributions"][0]["documentId"].endswith("/phases-mirage.md")
    blocked = q.chat_sync(applicationId=aws.env["APP_ID"], userMessage="what is the password")
    assert blocked["sourceAttributions"] == []
    assert "does not talk about that" in blocked["systemMessage"]


def test_the_account_around_it_is_there(aws, client_of):
    caller = client_of(aws, "sts").get_caller_identity()
    assert (caller["Account"], caller["Arn"]) == ("123456789012", "arn:aws:iam::123456789012:user/on-call")
    topics = client_of(aws, "sns").list_subscriptions()["Subscriptions"]
    assert {topic["Protocol"] for topic in topics} == {"sqs", "email"}
    assert client_of(aws, "kms").describe_key(KeyId=aws.env["KMS_KEY_ID"])["KeyMetadata"]["Enabled"]
    body = client_of(aws, "cloudwatch").get_dashboard(DashboardName="VaultMesh-QBusiness")["DashboardBody"]
    assert aws.env["APP_ID"] in body
    logs = client_of(aws, "logs")
    sources = {source["logType"] for source in logs.describe_delivery_sources()["deliverySources"]}
    assert sources == {"SYNC_JOB_LOGS", "EVENT_LOGS"}
    assert len(logs.describe_deliveries()["deliveries"]) == 2
    source = client_of(aws, "qbusiness").get_data_source(**ids(aws))
    assert source["syncSchedule"].startswith("cron(")
    assert source["status"] == "ACTIVE"


def test_the_trail_says_who_set_it_up_and_who_changed_it_since(aws, client_of):
    trail = client_of(aws, "cloudtrail")
    name = [{"AttributeKey": "EventName", "AttributeValue": "UpdateChatControlsConfiguration"}]
    events = trail.lookup_events(LookupAttributes=name)["Events"]
    assert [event["Username"] for event in events] == ["priya.nair", "vaultmesh-deploy"]
    assert timedelta(days=12) < aws.truth.now - events[0]["EventTime"] < timedelta(days=13)
    q = client_of(aws, "qbusiness")
    controls = q.get_chat_controls_configuration(applicationId=aws.env["APP_ID"])
    assert controls["blockedPhrases"]["blockedPhrases"] == ["password", "private key", "salary"]


def test_nothing_of_any_incident_is_there(aws, client_of):
    truth, q = aws.truth, client_of(aws, "qbusiness")
    assert (truth.fires, truth.since, truth.findings, truth.suspect) == (frozenset(), None, frozenset(), "")
    cloudwatch = client_of(aws, "cloudwatch")
    for name in ("NoSync", "SyncFailed"):
        told = cloudwatch.get_metric_statistics(
            Namespace="VaultMesh/QBusiness", MetricName=name, Dimensions=[{"Name": "App", "Value": aws.env["APP_ID"]}],
            StartTime=truth.begins_at, EndTime=truth.now, Period=86400, Statistics=["Maximum"],
        )["Datapoints"]  # fmt: skip
        assert len(told) > 15
        assert {point["Maximum"] for point in told} == {0}
    assert total(cloudwatch, aws, "BlockedChatMessages", 1) < 5
    configuration = q.get_data_source(**ids(aws))["configuration"]["additionalProperties"]
    assert configuration["exclusionPrefixes"] == ["_staging/", "ci/", "audit/"]
    s3 = client_of(aws, "s3")
    acl = json.loads(s3.get_object(Bucket=aws.env["BUCKET_NAME"], Key="acl.json")["Body"].read())
    assert [rule["keyPrefix"] for rule in acl] == [f"s3://{aws.env['BUCKET_NAME']}/security/"]
    name = [{"AttributeKey": "EventName", "AttributeValue": "UpdateDataSource"}]
    assert client_of(aws, "cloudtrail").lookup_events(LookupAttributes=name)["Events"] == []


def test_the_next_day_brings_the_next_sync_and_nothing_else_goes_wrong(aws, client_of):
    """Last in this file: it moves the clock."""
    q = client_of(aws, "qbusiness")
    before = len(every(q, "list_data_source_sync_jobs", "history", **ids(aws)))
    aws.world.advance_by(timedelta(hours=24))
    jobs = every(q, "list_data_source_sync_jobs", "history", **ids(aws))
    assert len(jobs) == before + 1
    assert jobs[0]["status"] == "SUCCEEDED"
    alarms = client_of(aws, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["StateValue"] for alarm in alarms} == {"OK"}
