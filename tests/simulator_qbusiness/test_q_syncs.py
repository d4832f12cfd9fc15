"""Syncs of a real bucket: what they find, how they go on, how they end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_first_sync_indexes_every_document(account: Any) -> None:
    account.put(a="# A\nalpha", guides__b="# B\nbeta")
    job = account.sync()
    assert job["status"] == "SUCCEEDED"
    assert account.counts(job) == {"added": 2, "modified": 0, "deleted": 0, "failed": 0, "scanned": 2}
    assert account.statuses() == {"a.md": "INDEXED", "guides/b.md": "INDEXED"}
    statistics = account.q.get_index(applicationId=account.app, indexId=account.index)["indexStatistics"]
    assert statistics["textDocumentStatistics"]["indexedTextDocumentCount"] == 2
    assert statistics["textDocumentStatistics"]["indexedTextBytes"] == len("# A\nalpha# B\nbeta")


def test_next_sync_takes_only_what_changed(account: Any) -> None:
    account.put(a="# A", b="# B", c="# C", d="# D")
    account.sync()
    account.put(a="# A again", e="# E", d="# D")  # d is written again with the same content
    account.delete_key("b.md")
    job = account.sync()
    assert account.counts(job) == {"added": 1, "modified": 1, "deleted": 1, "failed": 0, "scanned": 4}
    assert account.statuses() == {
        "a.md": "UPDATED",
        "c.md": "INDEXED",
        "d.md": "INDEXED",
        "e.md": "INDEXED",
    }


def test_forced_crawl_takes_everything_anew(account: Any) -> None:
    account.put(a="# A", b="# B")
    account.sync()
    account.q.update_data_source(**account.ids, configuration=account.configuration(mode="FORCED_FULL_CRAWL"))
    assert account.counts(account.sync())["modified"] == 2


def test_status_and_counts_follow_simulated_time(account: Any) -> None:
    account.put(**{f"d{i}": f"# {i}" for i in range(10)})
    account.start()
    seen: list[tuple[str, int, int]] = []
    for _ in range(8):
        job = account.job()
        seen.append((job["status"], account.counts(job)["scanned"], account.counts(job)["added"]))
        account.pass_time(seconds=6)
    # crawls from 10 s to 20 s, indexes from 20 s to 40 s, ends at 43 s
    assert seen == [
        ("SYNCING", 0, 0),
        ("SYNCING", 0, 0),
        ("SYNCING", 2, 0),
        ("SYNCING", 8, 0),
        ("SYNCING_INDEXING", 10, 2),
        ("SYNCING_INDEXING", 10, 5),
        ("SYNCING_INDEXING", 10, 8),
        ("SYNCING_INDEXING", 10, 10),
    ]
    assert account.job()["status"] == "SUCCEEDED"
    assert account.job()["endTime"] == account.started + timedelta(seconds=43)


def test_a_request_alone_moves_the_world_on(account: Any) -> None:
    account.put(a="# A")
    account.start()
    account.clock.advance(timedelta(hours=1))  # nobody told the world
    assert account.job()["status"] == "SUCCEEDED"


def test_second_start_conflicts_until_the_first_ends(account: Any) -> None:
    account.start()
    with pytest.raises(ClientError) as refused:
        account.start()
    assert code(refused) == "ConflictException"
    assert refused.value.response["resourceId"] == account.source
    assert refused.value.response["resourceType"] == "DATA_SOURCE"
    account.pass_time(hours=1)
    account.start()


def test_start_on_an_inactive_source_conflicts(account: Any) -> None:
    account.backend.resources.get("DATA_SOURCE", account.ids).status = "FAILED"
    with pytest.raises(ClientError) as refused:
        account.start()
    assert code(refused) == "ConflictException"


def test_stop_aborts_and_keeps_what_was_indexed(account: Any) -> None:
    account.put(**{f"d{i}": f"# {i}" for i in range(10)})
    account.start()
    account.pass_time(seconds=31)
    account.q.stop_data_source_sync_job(**account.ids)
    assert account.job()["status"] == "STOPPING"
    account.pass_time(seconds=60)
    job = account.job()
    assert job["status"] == "ABORTED"
    assert account.counts(job)["added"] == 5 == len(account.statuses())
    assert len(account.events(f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}")) == 5
    account.q.stop_data_source_sync_job(**account.ids)  # nothing runs: nothing happens
    assert account.counts(account.sync())["added"] == 5


def test_jobs_are_listed_newest_first_in_pages(account: Any) -> None:
    started = [account.start() for _ in range(13) if account.pass_time(hours=1)]
    first = account.q.list_data_source_sync_jobs(**account.ids)
    assert len(first["history"]) == 10
    pages = account.q.get_paginator("list_data_source_sync_jobs").paginate(
        **account.ids, PaginationConfig={"PageSize": 4}
    )
    assert [job["executionId"] for page in pages for job in page["history"]] == started[::-1]
    with pytest.raises(ClientError) as refused:
        account.q.list_data_source_sync_jobs(**account.ids, maxResults=11)
    assert code(refused) == "ValidationException"
    with pytest.raises(ClientError) as refused:
        account.q.list_data_source_sync_jobs(**account.ids, nextToken="no such token")
    assert code(refused) == "ValidationException"


def test_jobs_are_filtered_by_status_and_time(account: Any) -> None:
    account.put(a="")
    account.sync()
    since = account.clock.now()
    account.put(a="# A")
    account.sync()
    listed = account.q.list_data_source_sync_jobs
    assert [job["status"] for job in listed(**account.ids, statusFilter="INCOMPLETE")["history"]] == [
        "INCOMPLETE"
    ]
    assert [job["status"] for job in listed(**account.ids, startTime=since)["history"]] == ["SUCCEEDED"]
    before = since - timedelta(seconds=1)
    assert [job["status"] for job in listed(**account.ids, endTime=before)["history"]] == ["INCOMPLETE"]


@pytest.mark.parametrize(
    ("options", "documents"),
    [
        ({}, {"a.md", "_staging/a.md", "audit/p.json", "guides/x/b.md", "guides/c.txt"}),
        (
            {"exclusionPrefixes": ["_staging/", "audit/"]},
            {"a.md", "guides/x/b.md", "guides/c.txt"},
        ),
        ({"inclusionPatterns": ["*.md"]}, {"a.md", "_staging/a.md", "guides/x/b.md"}),
        ({"inclusionPatterns": ["**/*.md"], "exclusionPatterns": ["_staging/**"]}, {"a.md", "guides/x/b.md"}),
        ({"inclusionPatterns": ["guides/*"]}, {"guides/c.txt"}),
        ({"inclusionPrefixes": ["guides/"], "exclusionPatterns": ["*.txt"]}, {"guides/x/b.md"}),
        ({"inclusionPrefixes": ["guides/"], "exclusionPrefixes": ["guides/"]}, set()),
    ],
)
def test_scope_is_what_the_configuration_says(
    account: Any, options: dict[str, Any], documents: set[str]
) -> None:
    for key in ("a.md", "_staging/a.md", "guides/x/b.md", "guides/c.txt"):
        account.put_key(key, "# Text")
    account.put_key("audit/p.json", '{"event": "promotion"}')
    account.put_key("guides/", "")
    account.q.update_data_source(**account.ids, configuration=account.configuration(**options))
    assert account.counts(account.sync())["scanned"] == len(documents)
    assert set(account.statuses()) == documents


def test_narrowing_the_scope_deletes_what_falls_out(account: Any) -> None:
    account.put(a="# A", b="# B")
    account.sync()
    account.q.update_data_source(
        **account.ids, configuration=account.configuration(exclusionPatterns=["b.md"])
    )
    assert account.counts(account.sync())["deleted"] == 1
    assert set(account.statuses()) == {"a.md"}


@pytest.mark.parametrize(("gone", "deleted"), [(3, 3), (4, 0)])
def test_deletion_safeguard_holds_deletions_back(account: Any, gone: int, deleted: int) -> None:
    """20 documents: 3 gone are 15 % of what was found and is to go, 4 are 20 %."""
    account.q.update_data_source(
        **account.ids, configuration=account.configuration(enableDeletionProtection="true")
    )
    account.put(**{f"d{i:02}": f"# {i}" for i in range(20)})
    account.sync()
    for i in range(gone):
        account.delete_key(f"d{i:02}.md")
    account.put(d19="# changed", new="# new")  # other changes sync all the same
    job = account.sync()
    assert account.counts(job) == {
        "added": 1,
        "modified": 1,
        "deleted": deleted,
        "failed": 0,
        "scanned": 21 - gone,
    }
    assert job["status"] == "SUCCEEDED"
    assert len(account.statuses()) == 21 - deleted
    if not deleted:
        report = account.events(f"SYNC_RUN_HISTORY_REPORT/{account.source}/{job['executionId']}")
        held = [event for event in report if event["CrawlAction"] == "DELETE"]
        assert {event["ConnectorDocumentStatus"]["Status"] for event in held} == {"SKIPPED"}
        assert any(
            event.get("ErrorCode") == "DeletionProtection" for event in account.events(f"{account.source}/")
        )


def test_safeguard_off_deletes_everything(account: Any) -> None:
    account.put(a="# A", b="# B")
    account.sync()
    account.delete_key("a.md")
    account.delete_key("b.md")
    assert account.counts(account.sync())["deleted"] == 2


def test_missing_bucket_fails_the_job(account: Any) -> None:
    account.q.update_data_source(**account.ids, configuration=account.configuration(bucket="no-such-bucket"))
    job = account.sync()
    assert job["status"] == "FAILED"
    assert job["error"]["errorCode"] == "ResourceNotFound"
    assert "no-such-bucket" in job["error"]["errorMessage"]
    assert job["dataSourceErrorCode"] == "NoSuchBucket"
    assert account.counts(job)["scanned"] == 0


def test_denied_bucket_and_role_fail_the_job(account: Any) -> None:
    account.put(a="# A")
    account.sync()
    account.backend.deny_read(account.bucket)
    assert account.sync()["status"] == "FAILED"
    account.backend.allow_read(account.bucket)
    account.backend.deny_role(account.role)
    job = account.sync()
    assert (job["status"], job["error"]["errorCode"]) == ("FAILED", "InvalidRequest")
    assert account.role in job["error"]["errorMessage"]
    assert account.statuses() == {"a.md": "INDEXED"}  # what was indexed stays
    account.backend.allow_role(account.role)
    assert account.sync()["status"] == "SUCCEEDED"


def test_source_without_a_role_fails_the_job(account: Any) -> None:
    created = account.q.create_data_source(
        applicationId=account.app,
        indexId=account.index,
        displayName="x",
        configuration=account.configuration(),
    )
    account.ids["dataSourceId"] = created["dataSourceId"]
    assert account.sync()["status"] == "FAILED"


@pytest.mark.parametrize(
    "acl",
    [None, "not json", "{}", '[{"keyPrefix": "a"}]', '[{"keyPrefix": "a", "aclEntries": [{"Name": "x"}]}]'],
)
def test_malformed_or_missing_acl_file_fails_the_job(account: Any, acl: str | None) -> None:
    configuration = account.configuration(aclConfigurationFilePath="acl.json")
    account.q.update_data_source(**account.ids, configuration=configuration)
    account.put(a="# A")
    if acl is not None:
        account.put_key("acl.json", acl)
    job = account.sync()
    if acl == "{}":  # an empty list of rules in all but name
        assert job["status"] == "SUCCEEDED"
    else:
        assert job["status"] == "FAILED"
        assert "acl.json" in job["error"]["errorMessage"]


def test_a_changed_acl_file_counts_as_modification(account: Any) -> None:
    configuration = account.configuration(aclConfigurationFilePath="acl.json")
    account.q.update_data_source(**account.ids, configuration=configuration)
    account.put(public__a="# A", secret__b="# B")
    account.put_key("acl.json", "[]")
    account.sync()
    entries = '[{"Name": "ann@example.com", "Type": "USER", "Access": "ALLOW"}]'
    account.put_key(
        "acl.json", f'[{{"keyPrefix": "s3://{account.bucket}/secret/", "aclEntries": {entries}}}]'
    )
    assert account.counts(account.sync()) == {
        "added": 0,
        "modified": 1,
        "deleted": 0,
        "failed": 0,
        "scanned": 2,
    }


def test_two_sources_of_an_index_keep_apart(account: Any) -> None:
    account.put(a="# A")
    account.sync()
    account.s3.create_bucket(
        Bucket="other-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    account.s3.put_object(Bucket="other-bucket", Key="z.md", Body="# Z")
    other = account.create_source("other", bucket="other-bucket")
    account.ids["dataSourceId"] = other
    assert account.counts(account.sync()) == {
        "added": 1,
        "modified": 0,
        "deleted": 0,
        "failed": 0,
        "scanned": 1,
    }
    assert account.statuses() == {"a.md": "INDEXED"}


def test_durations_follow_from_the_seed(account: Any) -> None:
    from vmqlib.simulator.qbusiness import Pace

    account.put(**{f"d{i}": f"# {i}" for i in range(5)})
    account.backend.pace = Pace()

    def took(seed: int) -> timedelta:
        account.backend.seed(seed)
        job = account.sync()
        span: timedelta = job["endTime"] - job["startTime"]
        return span

    account.sync()
    assert took(1) == took(1) != took(2)


def test_a_real_pace_takes_minutes(account: Any) -> None:
    from vmqlib.simulator.qbusiness import Pace

    account.backend.pace = Pace()
    account.put(**{f"d{i:03}": f"# {i}" for i in range(300)})
    job = account.sync()
    whole: datetime = job["endTime"]
    assert timedelta(minutes=2) < whole - job["startTime"] < timedelta(minutes=7)
