"""Management events: what is one, who did it, and how long it can be looked up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.simulator.aws_gaps.cloudtrail import acting_as, record_event
from vmqlib.simulator.aws_gaps.cloudtrail.recording import is_management_write


@pytest.mark.parametrize(
    ("service", "operation", "wanted"),
    [
        ("qbusiness", "UpdateDataSource", True),
        ("qbusiness", "UpdateChatControlsConfiguration", True),
        ("qbusiness", "DeleteIndex", True),
        ("qbusiness", "StartDataSourceSyncJob", False),
        ("qbusiness", "BatchDeleteDocument", False),
        ("qbusiness", "ListDocuments", False),
        ("qbusiness", "ChatSync", False),
        ("s3", "PutBucketVersioning", True),
        ("s3", "DeleteObjects", False),
        ("logs", "PutLogEvents", False),
        ("logs", "PutRetentionPolicy", True),
        ("cloudwatch", "PutMetricData", False),
        ("cloudwatch", "SetAlarmState", True),
        ("iam", "AttachRolePolicy", True),
        ("kms", "ScheduleKeyDeletion", True),
        ("kms", "Encrypt", False),
    ],
)
def test_what_is_recorded(service: str, operation: str, wanted: bool) -> None:
    assert is_management_write(service, operation) is wanted


def test_who_did_it_and_no_secrets(aws_with_gaps: Any) -> None:
    iam, trail = aws_with_gaps.client("iam"), aws_with_gaps.client("cloudtrail")
    with acting_as("ci-deploy"):
        aws_with_gaps.client("logs").create_log_group(logGroupName="/by/ci")
        iam.create_user(UserName="u")
        iam.create_login_profile(UserName="u", Password="correct horse")
    attribute = {"AttributeKey": "Username", "AttributeValue": "ci-deploy"}
    events = trail.lookup_events(LookupAttributes=[attribute])["Events"]
    assert [event["EventName"] for event in events] == ["CreateLogGroup"]
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    elsewhere = boto3.client("cloudtrail", region_name="us-east-1", **keys)
    records = [event["CloudTrailEvent"] for event in elsewhere.lookup_events()["Events"]]
    assert len(records) == 2
    assert "correct horse" not in "".join(records)


def test_events_of_the_past_for_ninety_days(aws_with_gaps: Any) -> None:
    now = datetime.now(UTC)
    for days in (1, 89, 91):
        record_event(
            aws_with_gaps.account,
            aws_with_gaps.region,
            "UpdateDataSource",
            "qbusiness.amazonaws.com",
            "someone",
            now - timedelta(days=days),
            {"dataSourceId": f"d-{days}"},
            [("AWS::QBusiness::DataSource", f"d-{days}")],
            error=("AccessDeniedException", "no") if days == 1 else None,
        )
    events = aws_with_gaps.client("cloudtrail").lookup_events()["Events"]
    assert [event["Resources"][0]["ResourceName"] for event in events] == ["d-1", "d-89"]
    assert json.loads(events[0]["CloudTrailEvent"])["errorCode"] == "AccessDeniedException"
    assert events[0]["EventTime"] == (now - timedelta(days=1)).replace(microsecond=0)
