"""Sync jobs, documents and resources: every page, integers, and one thing that fails does not hide the others."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from support.stub_aws import Answer, Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, ResourceMissing, SettingsError
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY, documents, frame, resources, syncjobs
from vmqlib.sources.base import COUNT, NUMBER, TIME
from vmqlib.times import Window

START = 1_763_000_000
SECOND_SOURCE = "8d1f4a7c-3b2e-4f6a-8c5d-e0b1a2c3d4f5"


def execution(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012d}"


def job(number: int, status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
    metrics = {
        f"documents{name}": str(number) for name in ("Added", "Modified", "Deleted", "Failed", "Scanned")
    }
    return {
        "executionId": execution(number),
        "startTime": START + number * 3600,
        "endTime": START + number * 3600 + 90,
        "status": status,
        "metrics": metrics,
    } | more


def paged(member: str, items: list[Any], size: int) -> Any:
    def answer(asked: Asked) -> dict[str, Any]:
        start = int(asked.values.get("nextToken", 0))
        body: dict[str, Any] = {member: items[start : start + size]}
        return body | ({"nextToken": str(start + size)} if start + size < len(items) else {})

    return answer


def test_every_sync_job_newest_first(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["ListDataSourceSyncJobs"] = paged("history", [job(n) for n in range(43)], 10)
    reading = syncjobs.read(aws, settings, window)
    table = frame(syncjobs.SOURCE, reading.rows)
    assert table["execution_id"].tolist() == [execution(n) for n in reversed(range(43))]
    assert len(stub.asked) == 5
    assert table["added"].dtype == COUNT
    assert table["added"].tolist() == list(reversed(range(43)))
    assert table["started_at"].dtype == TIME
    assert table["duration_s"].dtype == NUMBER
    assert set(table["duration_s"]) == {90.0}


def test_a_job_that_runs_and_one_that_failed(
    stub: StubAws, aws: Aws, settings: Settings, window: Window
) -> None:
    running = job(2, "SYNCING", metrics={})
    del running["endTime"]
    failed = job(
        1,
        "FAILED",
        error={"errorCode": "InvalidRequest", "errorMessage": "no such bucket"},
        dataSourceErrorCode="S3-404",
    )
    stub.on["ListDataSourceSyncJobs"] = paged("history", [running, failed], 10)
    table = frame(syncjobs.SOURCE, syncjobs.read(aws, settings, window).rows)
    assert table.loc[0, ["ended_at", "duration_s", "added"]].isna().all()
    assert table.loc[1, ["error_code", "error_message", "data_source_error_code"]].tolist() == [
        "InvalidRequest",
        "no such bucket",
        "S3-404",
    ]


def test_all_connectors_or_the_one_that_is_named(stub: StubAws, aws: Aws, window: Window) -> None:
    settings = Settings.load(
        app_id=aws.settings.app_id,
        index_id=aws.settings.index_id,
        connectors=[
            {"name": "s3", "data_source_id": aws.settings.ds_id},
            {"name": "wiki", "data_source_id": SECOND_SOURCE},
        ],
    )
    stub.on["ListDataSourceSyncJobs"] = lambda asked: {"history": [job(len(asked.path.split(SECOND_SOURCE)))]}
    both = frame(syncjobs.SOURCE, syncjobs.read(aws, settings, window).rows)
    assert set(both["data_source_id"]) == {aws.settings.ds_id, SECOND_SOURCE}
    one = frame(syncjobs.SOURCE, syncjobs.read(aws, settings, window, data_source_id=SECOND_SOURCE).rows)
    assert set(one["data_source_id"]) == {SECOND_SOURCE}


def test_the_last_good_sync() -> None:
    statuses = ["FAILED", "INCOMPLETE", "SUCCEEDED", "SUCCEEDED", "ABORTED"]
    rows = [
        syncjobs.row(
            "d", job(n, s, startTime=pd.Timestamp(START + n * 3600, unit="s", tz="UTC"), endTime=None)
        )
        for n, s in zip(range(5, 0, -1), statuses, strict=True)
    ]
    table = frame(syncjobs.SOURCE, rows)
    newest = syncjobs.last_good(table)
    assert newest is not None
    assert newest["execution_id"] == execution(3)
    before = syncjobs.last_good(table, before=newest["started_at"])
    assert before is not None
    assert before["execution_id"] == execution(2)
    assert syncjobs.last_good(table, before=before["started_at"]) is None
    assert syncjobs.last_good(table, data_source_id="other") is None
    assert syncjobs.last_good(frame(syncjobs.SOURCE, [])) is None


def test_ids_that_are_not_set(aws: Aws, window: Window) -> None:
    with pytest.raises(SettingsError, match="APP_ID, INDEX_ID"):
        syncjobs.read(aws, Settings.load(), window)
    with pytest.raises(SettingsError, match="DS_ID"):
        syncjobs.read(aws, Settings.load(app_id=aws.settings.app_id, index_id=aws.settings.index_id), window)


def test_every_document(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    items = [
        {"documentId": f"s3://b/{n}.md", "status": "INDEXED", "createdAt": START, "updatedAt": START}
        for n in range(250)
    ]
    items[7] |= {"status": "FAILED", "error": {"errorCode": "InvalidRequest", "errorMessage": "empty"}}
    stub.on["ListDocuments"] = paged("documentDetailList", items, 100)
    table = frame(documents.SOURCE, documents.read(aws, settings, window).rows)
    assert len(table) == 250
    assert table.loc[7, ["status", "error_code", "error_message"]].tolist() == [
        "FAILED",
        "InvalidRequest",
        "empty",
    ]


def account(stub: StubAws, aws: Aws) -> None:
    ids = aws.settings
    stub.on |= {
        "GetApplication": lambda asked: {
            "applicationId": ids.app_id,
            "displayName": "assistant",
            "status": "ACTIVE",
        },
        "ListIndices": lambda asked: {"indices": [{"indexId": ids.index_id}]},
        "GetIndex": lambda asked: {
            "indexId": ids.index_id,
            "status": "ACTIVE",
            "indexStatistics": {
                "textDocumentStatistics": {"indexedTextDocumentCount": 298, "indexedTextBytes": 166_721}
            },
        },
        "ListRetrievers": lambda asked: {"retrievers": []},
        "ListWebExperiences": lambda asked: {"webExperiences": []},
        "ListDataSources": lambda asked: {"dataSources": [{"dataSourceId": SECOND_SOURCE}]},
        "GetDataSource": lambda asked: {
            "dataSourceId": asked.path.rsplit("/", 1)[-1],
            "status": "ACTIVE",
            "syncSchedule": "cron(0 3 * * ? *)",
            "configuration": {"type": "S3"},
        },
    }


def test_one_row_for_each_thing_even_those_the_settings_do_not_name(
    stub: StubAws, aws: Aws, settings: Settings, window: Window
) -> None:
    account(stub, aws)
    reading = resources.read(aws, settings, window)
    table = frame(resources.SOURCE, reading.rows)
    assert reading.outcome() == (True, "")
    assert table["kind"].tolist() == ["application", "index", "data-source", "data-source"]
    assert table["document_count"].tolist()[1] == 298
    assert table["id"].tolist()[2:] == [SECOND_SOURCE, settings.ds_id]
    assert table["sync_schedule"].tolist()[2] == "cron(0 3 * * ? *)"
    assert table["config"].tolist()[2] == '{"type": "S3"}'


def test_one_thing_that_cannot_be_read_does_not_hide_the_others(
    stub: StubAws, aws: Aws, settings: Settings, window: Window
) -> None:
    account(stub, aws)
    stub.on["GetIndex"] = lambda asked: error("AccessDeniedException", 403)
    stub.on["ListRetrievers"] = lambda asked: error("AccessDeniedException", 403)
    reading = resources.read(aws, settings, window)
    complete, stopped = reading.outcome()
    assert not complete
    assert "ListRetrievers" in stopped
    index = frame(resources.SOURCE, reading.rows).set_index("kind").loc["index"]
    assert "qbusiness:GetIndex" in index["error"]
    assert index["status"] == ""


def test_an_application_that_is_not_there(
    stub: StubAws, aws: Aws, settings: Settings, window: Window
) -> None:
    for operation in ("GetApplication", "GetIndex", "ListRetrievers", "ListWebExperiences"):
        stub.on[operation] = lambda asked: error("ResourceNotFoundException", 404)
    stub.on["ListDataSources"] = stub.on["GetDataSource"] = lambda asked: error(
        "ResourceNotFoundException", 404
    )
    with pytest.raises(ResourceMissing, match=f"Application {settings.app_id} does not exist"):
        resources.read(aws, settings, window)


def test_failures_of_a_report_grouped_by_error(window: Window) -> None:
    def report(minute: int, document: str, status: str, message: str = "") -> dict[str, Any]:
        return {
            "at": f"2026-11-23T10:{minute:02d}:00Z",
            "document_id": document,
            "uri": f"https://b/{document}",
            "status": status,
            "error_code": "E" if message else "",
            "message": message,
        }

    rows = [
        report(9, "a.md", "SUCCESS"),
        report(1, "a.md", "FAILED", "'a.md' is empty (0 bytes)"),
        report(2, "b.md", "FAILED", "'b.md' is empty (0 bytes)"),
        report(5, "b.md", "FAILED", "'b.md' is empty (0 bytes)"),
        report(3, "c.md", "FAILED"),
    ]
    table = documents.failing(frame(REGISTRY["document-report"], rows))
    assert table.loc[0, ["error", "documents", "reports", "still_failing"]].tolist() == [
        "E: <name> is empty (N bytes)",
        2,
        3,
        1,
    ]
    assert table.loc[0, "examples"] == "https://b/b.md\nhttps://b/a.md"
    assert str(table.loc[0, "first_seen"]) == "2026-11-23 10:01:00+00:00"
    assert str(table.loc[0, "last_seen"]) == "2026-11-23 10:05:00+00:00"
    assert table.loc[1, "error"] == "no reason given"
    nothing = documents.failing(frame(REGISTRY["document-report"], []))
    assert list(nothing.columns) == list(table.columns)
    assert nothing.dtypes.equals(table.iloc[:0].dtypes)


@pytest.mark.parametrize("name", list(REGISTRY))
def test_no_rows_give_an_empty_frame_with_typed_columns(name: str) -> None:
    table = frame(REGISTRY[name], [])
    assert {column: str(kind) for column, kind in table.dtypes.items()} == {
        column: spec.dtype for column, spec in REGISTRY[name].columns.items()
    }
    assert all(spec.meaning for spec in REGISTRY[name].columns.values())


def test_rows_with_missing_values() -> None:
    table = frame(REGISTRY["versions"], [{"key": "k"}, {"key": "l", "size": 2**53 + 1, "is_latest": True}])
    assert table["size"].tolist() == [pd.NA, 2**53 + 1]
    assert table["at"].isna().all()
    assert table["is_latest"].tolist() == [pd.NA, True]


def test_a_denied_look_is_raised(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["ListDocuments"] = lambda asked: Answer(*_denied())
    with pytest.raises(AccessDenied, match="qbusiness:ListDocuments"):
        documents.read(aws, settings, window)


def _denied() -> tuple[Any, int]:
    return error("AccessDeniedException").body, 403
