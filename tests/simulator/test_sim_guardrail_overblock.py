"""Guardrails that are far too wide, through plain boto3: what they are, who set them, whom they block."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from vmqlib.simulator.server import LocalAws

BY_PHRASES, BY_TOPIC = 0, 2  # seeds


@pytest.fixture(scope="module", params=[BY_PHRASES, BY_TOPIC])
def aws(request):
    with LocalAws("guardrail-overblock", seed=request.param) as running:
        yield running


def ids(aws):
    e = aws.env
    return {"applicationId": e["APP_ID"], "indexId": e["INDEX_ID"], "dataSourceId": e["DS_ID"]}


def said(aws, client):
    """The conversation log, oldest first: (when, line)."""
    group = f"/aws/qbusiness/{aws.env['APP_ID']}"
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, logStreamNames=[f"EVENT_LOGS/{aws.env['APP_ID']}"]
    )
    return sorted(
        ((event["timestamp"] / 1000, json.loads(event["message"])) for page in pages for event in page["events"]),
        key=lambda pair: pair[0],
    )  # fmt: skip


def blocked(lines):
    return [line for line in lines if line["output_metrics_is_message_blocked"]]


def test_the_truth_is_that_the_guardrail_fires_and_nothing_else(aws):
    truth = aws.truth
    assert truth.fires == {"guardrail"}
    assert truth.suspect == "aws-call:UpdateChatControlsConfiguration"
    assert timedelta(hours=3) <= truth.now - truth.since <= timedelta(hours=5)


def test_the_trail_says_who_changed_the_guardrails_and_what(aws, client_of):
    truth = aws.truth
    name = [{"AttributeKey": "EventName", "AttributeValue": "UpdateChatControlsConfiguration"}]
    events = client_of(aws, "cloudtrail").lookup_events(LookupAttributes=name)["Events"]
    assert len(events) == 3, "the account's set-up, one phrase days ago, and this"
    assert events[0]["Username"] == truth.who
    assert abs(events[0]["EventTime"] - truth.since) <= timedelta(seconds=1)
    asked = json.loads(events[0]["CloudTrailEvent"])["requestParameters"]
    controls = client_of(aws, "qbusiness").get_chat_controls_configuration(applicationId=aws.env["APP_ID"])
    phrases = controls["blockedPhrases"]["blockedPhrases"]
    topics = [topic["name"] for topic in controls["topicConfigurations"]]
    if aws.seed == BY_PHRASES:
        added = asked["blockedPhrasesConfigurationUpdate"]["blockedPhrasesToCreateOrUpdate"]
        assert set(phrases) == {"password", "private key", "salary", *added}
        assert "mirage" in added
        assert topics == []
    else:
        assert topics == [topic["name"] for topic in asked["topicConfigurationsToCreateOrUpdate"]]
        assert phrases == ["password", "private key", "salary"]


def test_the_canary_question_is_blocked_and_so_is_what_should_be(aws, client_of):
    q = client_of(aws, "qbusiness")
    for question in ("What is MIRAGE?", "what is the password"):
        answer = q.chat_sync(applicationId=aws.env["APP_ID"], userMessage=question)
        assert "does not talk about that" in answer["systemMessage"]
        assert answer["sourceAttributions"] == []


def test_blocked_messages_leap_far_above_the_weeks_before(aws, client_of):
    lines = said(aws, client_of(aws, "logs"))
    since = aws.truth.since.timestamp()
    before, after = ([line for at, line in lines if (at >= since) == is_after] for is_after in (False, True))
    assert len(blocked(after)) >= 8
    assert len(blocked(after)) / len(after) > 0.25
    assert len(blocked(before)) / len(before) < 0.08
    found = client_of(aws, "cloudwatch").get_metric_statistics(
        Namespace="AWS/QBusiness", MetricName="BlockedChatMessages",
        Dimensions=[{"Name": "ApplicationId", "Value": aws.env["APP_ID"]}],
        StartTime=aws.truth.since, EndTime=aws.truth.now + timedelta(minutes=5), Period=60, Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    measured = sum(point["Sum"] for point in found)
    assert abs(measured - len(blocked(after))) <= 2, (
        "the canary and the password may have been asked meanwhile"
    )


def test_everything_else_is_as_ever(aws, client_of):
    alarms = client_of(aws, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["StateValue"] for alarm in alarms} == {"OK"}
    job = client_of(aws, "qbusiness").list_data_source_sync_jobs(**ids(aws))["history"][0]
    assert job["status"] == "SUCCEEDED"
    assert aws.truth.now - job["endTime"] < timedelta(hours=2)


def test_taking_the_change_back_mends_it(aws, client_of):
    """Last in this file: it changes the account."""
    q = client_of(aws, "qbusiness")
    app = aws.env["APP_ID"]
    controls = q.get_chat_controls_configuration(applicationId=app)
    added = set(controls["blockedPhrases"]["blockedPhrases"]) - {"password", "private key", "salary"}
    q.update_chat_controls_configuration(
        applicationId=app,
        blockedPhrasesConfigurationUpdate={"blockedPhrasesToDelete": sorted(added)},
        topicConfigurationsToDelete=[
            {"name": topic["name"], "rules": topic["rules"]} for topic in controls["topicConfigurations"]
        ],
    )
    answer = q.chat_sync(applicationId=app, userMessage="What is MIRAGE?")
    assert answer["sourceAttributions"][0]["documentId"].endswith("/phases-mirage.md")
