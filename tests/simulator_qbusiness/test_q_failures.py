"""Each documented reason why a document fails, and what becomes of it afterwards."""

from __future__ import annotations

from typing import Any

import pytest

GOOD = "# Title\nSome text."


def fail(account: Any, key: str, body: str | bytes) -> dict[str, Any]:
    """Syncs a bucket with one good document and ``key``, which must fail, and gives its report event."""
    account.put(good=GOOD)
    account.put_key(key, body)
    job = account.sync()
    assert job["status"] == "INCOMPLETE"
    assert "error" not in job
    assert account.counts(job) == {"added": 1, "modified": 0, "deleted": 0, "failed": 1, "scanned": 2}
    assert account.statuses() == {"good.md": "INDEXED", key: "FAILED"}
    report = account.events(f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}")
    (event,) = [one for one in report if one["ConnectorDocumentStatus"]["Status"] == "FAILED"]
    assert event["DocumentId"].endswith(key)
    return dict(event)


@pytest.mark.parametrize(
    ("key", "body", "code", "says"),
    [
        ("empty.md", b"", "EmptyDocument", "0 bytes"),
        ("blank.txt", b" \n\t ", "EmptyDocument", "no text"),
        ("latin.md", "caf\xe9".encode("latin-1"), "InvalidEncoding", "not valid UTF-8"),
        ("cut.json", b'{"a": [1, 2', "InvalidJson", "not valid JSON"),
        ("scan.pdf", b"no pdf at all", "CorruptDocument", "not a PDF"),
        ("sheet.xlsx", b"no archive", "CorruptDocument", "MS_EXCEL"),
        ("tool.exe", b"MZ", "UnsupportedContentType", ".exe"),
    ],
)
def test_unreadable_content_fails_while_indexing(
    account: Any, key: str, body: bytes, code: str, says: str
) -> None:
    event = fail(account, key, body)
    assert (event["CrawlStatus"], event["IndexStatus"]) == ({"Status": "SUCCESS"}, {"Status": "FAILED"})
    assert event["ErrorCode"] == code
    assert says in event["ErrorMsg"]
    listed = account.q.list_documents(applicationId=account.app, indexId=account.index)["documentDetailList"]
    (failed,) = [document for document in listed if document["status"] == "FAILED"]
    assert failed["error"]["errorCode"] == "InvalidRequest"
    assert failed["error"]["errorMessage"] == f"{code}: {event['ErrorMsg']}"


def test_too_large_fails_while_crawling(account: Any) -> None:
    account.q.update_data_source(
        **account.ids, configuration=account.configuration(maxFileSizeInMegaBytes="1")
    )
    event = fail(account, "big.md", b"x" * (1024 * 1024 + 1))
    assert event["CrawlStatus"] == {"Status": "FAILED"}
    assert event["SyncStatus"] == event["IndexStatus"] == {"Status": "SKIPPED"}
    assert event["ErrorCode"] == "DocumentTooLarge"


def test_fifty_megabytes_is_the_most_whatever_is_configured() -> None:
    from vmqlib.simulator.qbusiness.connector import S3Connector

    configuration = {
        "type": "S3",
        "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": "b"}},
    }
    assert S3Connector.read(configuration).max_bytes == 50 * 1024 * 1024
    configuration["additionalProperties"] = {"maxFileSizeInMegaBytes": "100"}  # type: ignore[assignment]
    assert S3Connector.read(configuration).max_bytes == 50 * 1024 * 1024


@pytest.mark.parametrize(
    "metadata", ["{", "[]", '{"Attributes": 1}', '{"AccessControlList": [{"Name": "x"}]}']
)
def test_malformed_metadata_fails_its_document(account: Any, metadata: str) -> None:
    account.put_key("bad.md.metadata.json", metadata)
    event = fail(account, "bad.md", GOOD)
    assert event["ErrorCode"] == "InvalidMetadata"
    assert "bad.md.metadata.json" in event["ErrorMsg"]


def test_metadata_under_a_prefix_of_their_own(account: Any) -> None:
    account.q.update_data_source(
        **account.ids, configuration=account.configuration(metadataFilesPrefix="meta/")
    )
    account.put_key("meta/guides/a.md.metadata.json", '{"Title": "Given title", "DocumentId": "doc-1"}')
    account.put(guides__a=GOOD)
    job = account.sync()
    assert account.counts(job)["scanned"] == 1
    assert account.statuses() == {"doc-1": "INDEXED"}
    account.put_key("meta/guides/a.md.metadata.json", '{"Title": "Another title", "DocumentId": "doc-1"}')
    assert account.counts(account.sync())["modified"] == 1  # changed metadata are a changed document


@pytest.mark.parametrize(
    ("reason", "code"), [("AccessDenied", "AccessDenied"), ("KMS.Disabled", "KMS.AccessDeniedException")]
)
def test_denied_reads_fail_and_are_tried_again(account: Any, reason: str, code: str) -> None:
    account.backend.deny_read(account.bucket, "secret/", reason)
    event = fail(account, "secret/a.md", GOOD)
    assert event["ErrorCode"] == code
    assert event["CrawlStatus"] == {"Status": "FAILED"}
    account.backend.allow_read(account.bucket, "secret/")
    job = account.sync()
    assert job["status"] == "SUCCEEDED"
    assert account.statuses()["secret/a.md"] == "UPDATED"


def test_archived_objects_fail(account: Any) -> None:
    account.s3.put_object(Bucket=account.bucket, Key="old.md", Body=GOOD, StorageClass="GLACIER")
    assert account.sync()["status"] == "INCOMPLETE"
    assert account.statuses() == {"old.md": "FAILED"}


def test_a_document_that_turns_bad_leaves_the_index_until_it_is_mended(account: Any) -> None:
    account.put(a="# Unicorn\nA unicorn handbook.")
    account.sync()
    account.put(a=b"\xff\xfe\xfa")
    job = account.sync()
    assert job["status"] == "INCOMPLETE"
    assert account.counts(job) == {"added": 0, "modified": 0, "deleted": 0, "failed": 1, "scanned": 1}
    assert account.statuses() == {"a.md": "FAILED"}
    statistics = account.q.get_index(applicationId=account.app, indexId=account.index)["indexStatistics"]
    assert statistics["textDocumentStatistics"] == {"indexedTextBytes": 0, "indexedTextDocumentCount": 0}
    account.put(a="# Unicorn\nMended.")
    assert account.counts(account.sync())["modified"] == 1
    assert account.statuses() == {"a.md": "UPDATED"}


def test_an_unchanged_failure_goes_on_counting_without_being_read(account: Any) -> None:
    account.put(a="")
    account.sync()
    job = account.sync()
    assert job["status"] == "INCOMPLETE"
    assert account.counts(job)["failed"] == 1
    report = account.events(f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}")
    assert [(event["CrawlAction"], event["ErrorCode"]) for event in report] == [
        ("UNMODIFIED", "EmptyDocument")
    ]


def test_a_failed_document_that_is_gone_is_gone(account: Any) -> None:
    account.put(a="")
    account.sync()
    account.delete_key("a.md")
    job = account.sync()
    assert (job["status"], account.counts(job)["deleted"]) == ("SUCCEEDED", 1)
    assert account.statuses() == {}
