"""Waiting goes on through everything that passes, ends at once for what does not, and never touches the job."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.sync_rig import SyncRig

from vmqlib.errors import AccessDenied, AwsError, DeadlinePassed, Throttled, Unreachable
from vmqlib.runbook import resync
from vmqlib.sources.syncjobs import RUNNING

LIST = "ListDataSourceSyncJobs"


@pytest.fixture
def rig(local_aws: Any, point_at: Callable[[Any], None]) -> Iterator[SyncRig]:
    point_at(local_aws)
    rig = SyncRig(local_aws)
    rig.quiet()
    yield rig
    rig.quiet()


def wait(rig: SyncRig, execution: str = "", **more: Any) -> resync.SyncJob:
    options = {"sleep": rig.sleep, "monotonic": rig.monotonic, "rng": random.Random(1), **more}
    return resync.wait(rig.aws, rig.settings, rig.source, execution, **options)


def started(rig: SyncRig) -> str:
    return resync.start(rig.aws, rig.settings, rig.source).execution_id


class TestThroughTrouble:
    @pytest.mark.parametrize(
        "fault",
        [{"code": "ThrottlingException"}, {"status": 500}, {"status": 503}, {"reset": True}],
        ids=["throttled", "500", "503", "cut"],
    )
    def test_every_other_look_fails(self, rig: SyncRig, fault: dict[str, Any]) -> None:
        execution = started(rig)
        rule = rig.local.faults.add("qbusiness", LIST, probability=0.7, **fault)
        seen: list[Any] = []
        job = wait(rig, execution, progress=seen.append, trouble=seen.append)
        assert job.succeeded
        assert rule.hits > 2
        assert any(isinstance(one, resync.Trouble) for one in seen)

    def test_gone_for_a_minute(self, rig: SyncRig) -> None:
        """The whole endpoint, in the middle of a wait: nothing answers, then it is there again."""
        execution = started(rig)
        gone: list[str] = []
        looks = 0

        def progress(job: resync.SyncJob) -> None:
            nonlocal looks
            looks += 1
            if looks == 2:
                rig.local.faults.add("*", "*", reset=True)

        def trouble(seen: resync.Trouble) -> None:
            gone.append(seen.sentence)
            if seen.seconds >= 60:
                rig.local.faults.clear()

        job = wait(rig, execution, progress=progress, trouble=trouble)
        assert job.succeeded
        assert gone[0].startswith("AWS cannot be reached since ")
        assert gone[-1].startswith("AWS cannot be reached since 1 min")
        assert gone[-1].endswith("; trying on")

    def test_throttling_says_so_and_waits_as_long_as_asked(self, rig: SyncRig) -> None:
        execution = started(rig)
        rig.local.faults.add(
            "qbusiness", LIST, code="ThrottlingException", times=2, headers={"Retry-After": "37"}
        )
        told: list[resync.Trouble] = []
        assert wait(rig, execution, trouble=told.append).succeeded
        assert "AWS throttles" in told[-1].sentence
        assert rig.slept[:2] == [37.0, 37.0]

    def test_gone_until_the_deadline(self, rig: SyncRig) -> None:
        execution = started(rig)
        rig.local.faults.add("qbusiness", LIST, reset=True, skip=2)
        began = rig.monotonic()
        with pytest.raises(DeadlinePassed, match=f"How sync job {execution} ended is not known") as told:
            wait(rig, execution, deadline=timedelta(minutes=5))
        assert told.value.exit_code == 5
        assert "SYNCING" in told.value.message
        assert rig.monotonic() - began == pytest.approx(300, abs=5)

    def test_never_seen(self, rig: SyncRig) -> None:
        rig.local.faults.add("qbusiness", LIST, reset=True)
        with pytest.raises(DeadlinePassed, match="could not be seen within 1 min"):
            wait(rig, deadline=timedelta(minutes=1))

    @pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException"])
    def test_what_does_not_pass_ends_at_once(self, rig: SyncRig, code: str) -> None:
        execution = started(rig)
        rule = rig.local.faults.add("qbusiness", LIST, code=code)
        with pytest.raises(AwsError) as told:
            wait(rig, execution)
        assert told.value.exit_code == 3
        assert (rule.hits, rig.slept) == (1, [])

    def test_the_pauses_grow(self, rig: SyncRig) -> None:
        wait(rig, started(rig))
        assert rig.slept[0] < 2 < max(rig.slept) <= 18
        assert len(rig.slept) < 30


class TestHowItEnds:
    def test_a_failed_one_says_why(self, rig: SyncRig) -> None:
        role = rig.resource().settings["roleArn"]
        rig.backend.deny_role(role)
        job = wait(rig, started(rig))
        rig.backend.allow_role(role)
        assert job.status == "FAILED"
        assert job.error_message in resync.describe(job, job.started_at)

    def test_an_incomplete_one_lists_its_documents(self, rig: SyncRig) -> None:
        bucket = rig.settings.bucket_name
        s3 = rig.aws.client("s3")
        for number in range(4):
            s3.put_object(Bucket=bucket, Key=f"guides/broken-{number}.md", Body=b"# Broken")
            s3.put_object(
                Bucket=bucket,
                Key=f"metadata/guides/broken-{number}.md.metadata.json",
                Body=b'{"Attributes": ',
            )
        job = wait(rig, started(rig))
        try:
            assert job.status == "INCOMPLETE"
            assert not job.succeeded
            found = resync.failed_documents(rig.aws, rig.settings, job)
            assert (found.source, found.note, found.counted) == ("document-level report", "", job.failed)
            assert {one.document.rsplit("/", 1)[-1] for one in found.documents} >= {
                f"broken-{n}.md" for n in range(4)
            }
            assert sum(len(names) for names in (found.groups or {}).values()) == len(found.documents)
            assert found.as_dict()["groups"][0]["documents"] == len(found.documents)

            rig.local.faults.add("logs", "*", code="AccessDeniedException")
            listed = resync.failed_documents(rig.aws, rig.settings, job, clean=lambda text: text.upper())
            assert listed.source == "ListDocuments"
            assert "could not be read" in listed.note

            rig.local.faults.add("qbusiness", "ListDocuments", code="AccessDeniedException")
            nothing = resync.failed_documents(rig.aws, rig.settings, job)
            assert (nothing.source, nothing.documents, nothing.counted) == ("", (), job.failed)
            assert "cannot be told" in nothing.note
            assert "ListDocuments" in nothing.note
        finally:
            rig.local.faults.clear()
            for number in range(4):
                s3.delete_object(Bucket=bucket, Key=f"guides/broken-{number}.md")
                s3.delete_object(Bucket=bucket, Key=f"metadata/guides/broken-{number}.md.metadata.json")

    def test_progress_counts_and_stages(self, rig: SyncRig) -> None:
        seen: list[resync.SyncJob] = []
        wait(rig, started(rig), progress=seen.append)
        assert seen[0].status == "SYNCING"
        assert {one.status for one in seen if one.running} <= RUNNING
        assert [one.scanned for one in seen] == sorted(one.scanned for one in seen)


class _Watch:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def progress(self, data_source_id: str, job: resync.SyncJob) -> None:
        self.seen.append((data_source_id, job.status))

    def trouble(self, data_source_id: str, trouble: resync.Trouble) -> None:
        self.seen.append((data_source_id, "trouble"))

    def ended(self, data_source_id: str, ended: resync.Ended) -> None:
        self.seen.append((data_source_id, "ended"))


class TestSeveral:
    def test_each_has_its_end(self, rig: SyncRig) -> None:
        unknown = "11111111-1111-1111-1111-111111111111"
        started(rig)
        watch = _Watch()
        good, bad = resync.wait_all(
            rig.aws, rig.settings, {rig.source: "", unknown: ""}, deadline=timedelta(hours=1), watch=watch,
            sleep=rig.sleep, monotonic=rig.monotonic,
        )  # fmt: skip
        assert good.job is not None
        assert (good.exit_code, good.job.status) == (0, "SUCCEEDED")
        assert (bad.exit_code, bad.job) == (3, None)
        assert {source for source, what in watch.seen if what == "ended"} == {rig.source, unknown}

    def test_ctrl_c_leaves_the_job_alone(self, rig: SyncRig) -> None:
        execution = started(rig)

        class Impatient(_Watch):
            def ended(self, data_source_id: str, ended: resync.Ended) -> None:
                raise KeyboardInterrupt  # what the main thread gets while it waits for the others

        unknown = "11111111-1111-1111-1111-111111111111"
        with pytest.raises(KeyboardInterrupt):
            resync.wait_all(
                rig.aws, rig.settings, {rig.source: execution, unknown: ""}, deadline=timedelta(hours=1),
                watch=Impatient(),
            )  # fmt: skip
        assert rig.backend.syncs.running(rig.source).execution_id == execution


def test_denied_and_throttled_are_told_apart(rig: SyncRig) -> None:
    assert resync.Trouble(Throttled("t"), 0.2).sentence == "AWS throttles; trying on"
    assert resync.Trouble(Unreachable("u"), 40).sentence == "AWS cannot be reached since 40 s; trying on"
    rig.local.faults.add("qbusiness", LIST, code="AccessDeniedException", message="no")
    with pytest.raises(AccessDenied, match=LIST):
        wait(rig)
