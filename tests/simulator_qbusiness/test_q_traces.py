"""What a sync leaves behind in CloudWatch Logs and metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


def test_report_has_one_event_per_document_with_the_documented_fields(account: Any) -> None:
    account.put(a="# Alpha", b="# Beta")
    account.sync()
    account.put(b="# Beta changed", c="")
    account.delete_key("a.md")
    job = account.sync()
    stream = f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}"
    events = {event["DocumentId"].rsplit("/", 1)[-1]: event for event in account.events(stream)}
    assert {key: event["CrawlAction"] for key, event in events.items()} == {
        "a.md": "DELETE",
        "b.md": "MODIFY",
        "c.md": "ADD",
    }
    event = events["b.md"]
    assert event["DocumentTitle"] == "Beta changed"
    assert event["SourceUri"] == f"https://{account.bucket}.s3.amazonaws.com/b.md"
    assert {event[name]["Status"] for name in ("CrawlStatus", "SyncStatus", "IndexStatus")} == {"SUCCESS"}
    assert json.loads(event["Acl"]) == []
    metadata = {one["key"]: one["value"] for one in json.loads(event["Metadata"])}
    assert metadata["s3_document_id"] == {"stringValue": "b.md"}
    assert len(event["HashedDocumentId"]) == 64
    assert (event["ApplicationId"], event["DataSourceId"]) == (account.app, account.source)


def test_unmodified_documents_are_skipped(account: Any) -> None:
    account.put(a="# Alpha")
    account.sync()
    job = account.sync()
    (event,) = account.events(f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}")
    assert event["CrawlAction"] == "UNMODIFIED"
    assert event["ConnectorDocumentStatus"] == {"Status": "SKIPPED"}


def test_connector_log_names_failing_documents(account: Any) -> None:
    account.put(a="", b="# Beta")
    account.sync()
    lines = account.events(f"{account.source}/")
    (error,) = [line for line in lines if line["LogLevel"] == "Error"]
    assert error["ErrorCode"] == "EmptyDocument"
    assert error["DocumentId"] == f"s3://{account.bucket}/a.md"
    assert [line["LogLevel"] for line in lines] == ["Info", "Error", "Warn"]


def test_report_events_are_dated_within_the_job_and_readable_through_the_api(account: Any) -> None:
    account.put(**{f"d{i}": f"# {i}" for i in range(5)})
    job = account.sync()
    stream = f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}"
    events = account.logs.get_log_events(
        logGroupName=f"/aws/qbusiness/{account.app}", logStreamName=stream, startFromHead=True
    )["events"]
    times = [datetime.fromtimestamp(event["timestamp"] / 1000, UTC) for event in events]
    assert len(times) == 5
    assert times == sorted(times)
    assert job["startTime"] < times[0] < times[-1] < job["endTime"]


@pytest.mark.parametrize(
    ("delivered", "streams"), [((), False), (("EVENT_LOGS",), False), (("SYNC_JOB_LOGS",), True)]
)
def test_nothing_is_logged_without_a_delivery(
    account: Any, delivered: tuple[str, ...], streams: bool
) -> None:
    account.backend.deliver_logs(account.app, *delivered)
    account.put(a="# Alpha")
    account.sync()
    assert bool(account.events("")) is streams


def test_real_deliveries_decide_once_there_are_any(account: Any) -> None:
    from moto.logs.models import DeliverySource, logs_backends

    backend = logs_backends["123456789012"]["eu-west-1"]
    arn = f"arn:aws:qbusiness:eu-west-1:123456789012:application/{account.app}"
    backend.delivery_sources["sync"] = DeliverySource(
        "123456789012", "eu-west-1", "sync", arn, "SYNC_JOB_LOGS", {}
    )
    account.put(a="# Alpha")
    account.sync()
    assert account.events("") == []  # a source alone delivers nothing
    group = f"/aws/qbusiness/{account.app}"
    account.logs.create_log_group(logGroupName=group)
    target = account.logs.put_delivery_destination(
        name="group",
        deliveryDestinationConfiguration={
            "destinationResourceArn": f"arn:aws:logs:eu-west-1:123456789012:log-group:{group}:*"
        },
    )["deliveryDestination"]["arn"]
    delivery = account.logs.create_delivery(deliverySourceName="sync", deliveryDestinationArn=target)
    account.sync()
    written = len(account.events(""))
    assert written
    account.q.chat_sync(applicationId=account.app, userMessage="What is alpha?")
    assert account.events("EVENT_LOGS") == []
    account.logs.delete_delivery(id=delivery["delivery"]["id"])
    account.sync()
    assert len(account.events("")) == written


def test_metrics_of_a_sync(account: Any) -> None:
    account.put(a="# Alpha", b="# Beta", c="")
    end = account.sync()["endTime"].replace(tzinfo=None)
    whole = {"ApplicationId": account.app, "IndexId": account.index, "DataSourceId": account.source}
    assert account.metric("AWS/QBusiness", "DocumentsIndexed", **whole) == [(end, 2)]
    assert account.metric("AWS/QBusiness", "DocumentsFailedToIndex", **whole) == [(end, 1)]
    assert account.metric("VaultMesh/QBusiness", "SyncFailed", App=account.app) == [(end, 1)]


def test_sync_failed_tells_every_outcome(account: Any) -> None:
    account.put(a="# Alpha")
    account.sync()
    account.backend.deny_read(account.bucket)
    account.sync()
    account.backend.allow_read(account.bucket)
    account.start()
    account.q.stop_data_source_sync_job(**account.ids)
    account.pass_time(hours=1)
    values = [value for _, value in account.metric("VaultMesh/QBusiness", "SyncFailed", App=account.app)]
    assert values == [0, 1, 0]  # SUCCEEDED, FAILED, ABORTED


def test_document_count_every_quarter_of_an_hour(account: Any) -> None:
    account.put(a="# Alpha", b="# Beta")
    account.pass_time(minutes=20)
    account.start()
    account.pass_time(minutes=30)
    whole = {"ApplicationId": account.app, "IndexId": account.index, "DataSourceId": account.source}
    at = account.started.replace(tzinfo=None)
    quarters = [(at + timedelta(minutes=minutes), count) for minutes, count in ((15, 0), (30, 2), (45, 2))]
    assert account.metric("AWS/QBusiness", "DocumentCount", **whole) == quarters


def test_no_sync_once_a_day(account: Any) -> None:
    account.put(a="# Alpha")
    account.sync()  # 9:00 on the 2nd
    account.pass_time(days=3)
    values = account.metric("VaultMesh/QBusiness", "NoSync", App=account.app)
    assert values == [
        (datetime(2026, 11, 3, 6), 0),  # noqa: DTZ001 - moto keeps naive UTC
        (datetime(2026, 11, 4, 6), 1),  # noqa: DTZ001
        (datetime(2026, 11, 5, 6), 1),  # noqa: DTZ001
    ]


@pytest.mark.slow
def test_three_weeks_of_history(account: Any) -> None:
    """21 daily syncs of 300 documents, 6,300 report events, 2,016 quarters of an hour."""
    from moto.s3.models import s3_backends

    store = s3_backends["123456789012"]["aws"]
    for i in range(300):
        store.put_object(
            account.bucket, f"d{i:03}.md", (f"# Document {i}\n" + "words in rows " * 60).encode()
        )
    account.q.update_data_source(**account.ids, syncSchedule="cron(0 3 * * ? *)")
    account.pass_time(days=21)
    assert len(account.backend.syncs.jobs(account.source)) == 21
    assert len(account.events("SYNC_RUN_HISTORY_REPORT/")) == 21 * 300
