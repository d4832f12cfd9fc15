"""A rollback from the incident's side: what may be planned, who may apply what, and what the journal says of it."""

from __future__ import annotations

import functools
import gzip
import json
import stat
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.rollback_rig import Rig, events

from vmqlib.aws import Aws
from vmqlib.errors import (
    AccessDenied,
    AwsError,
    BadInput,
    CorruptRecord,
    Interrupted,
    LockHeld,
    WorldChanged,
)
from vmqlib.record.incident import Incident
from vmqlib.runbook import resync, rollback
from vmqlib.runbook.rollback import engine, planfile
from vmqlib.s3 import S3
from vmqlib.settings import Settings


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Any:
    point_at(local)
    yield Rig(local)
    local.faults.clear()


def apply(rig: Rig, plan: rollback.Plan, **options: Any) -> rollback.Applied:
    return rollback.apply(rig.incident, plan, digest=plan.digest, **options)


class TestPlan:
    def test_changes_nothing_and_lies_in_the_folder(self, rig: Rig) -> None:
        rig.spoiled()
        there = rig.versions()
        plan = rig.plan()
        assert rig.versions() == there
        assert plan.head.counts == {"COPY": 4, "UNDELETE": 1, "DELETE": 1}
        assert stat.S_IMODE(plan.path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(plan.path.stat().st_mode) == 0o600
        assert plan.path.parent == rig.incident.dir / "rollback"
        assert rig.incident.verify().ok

    def test_the_journal_names_it_and_no_key(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        (data,) = events(rig.incident, "concluded")
        assert data["verdict"] == "planned"
        assert (data["digest"], data["file"]) == (plan.digest, plan.path.name)
        assert data["counts"] == plan.head.counts
        assert "doc-000" not in rig.incident.journal.path.read_text()

    def test_it_can_be_read_offline(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        offline = rig.again(aws=None)
        read = rollback.planned(offline)
        assert read is not None
        assert read.digest == plan.digest
        state = rollback.status(offline)
        assert (state.state, state.command) == (
            "planned",
            f"vmq rollback apply {offline.id} --digest {plan.digest[:12]}",
        )

    def test_last_good_is_the_last_that_succeeded_before_the_incident(self, rig: Rig) -> None:
        before = rig.spoiled()
        rig.jobs = (
            ("FAILED", rig.now()),
            ("SUCCEEDED", rig.good),
            ("SUCCEEDED", rig.good - timedelta(days=1)),
        )
        plan = rollback.plan(rig.incident)
        assert plan.target.kind == "last-good"
        assert plan.target.at == rig.good
        apply(rig, plan)
        assert rig.holds() == before

    def test_without_evidence_the_syncs_are_looked_at(self, rig: Rig) -> None:
        rig.spoiled()
        rig.jobs = (("SUCCEEDED", rig.good),)
        assert not rig.incident.was_observed
        assert rollback.plan(rig.incident).target.at == rig.good
        assert rig.incident.observed("sync-jobs").available

    def test_no_good_sync_ever_asks_for_a_time(self, rig: Rig) -> None:
        rig.spoiled()
        rig.jobs = (("FAILED", rig.good),)
        with pytest.raises(BadInput, match="ever succeeded") as raised:
            rollback.plan(rig.incident)
        assert "--to" in raised.value.hint
        assert rollback.plan(rig.incident, to="1h").target.kind == "as-of"

    def test_syncs_that_cannot_be_seen_ask_for_a_time(self, rig: Rig) -> None:
        rig.local.faults.add(service="qbusiness", code="AccessDeniedException", status=403)
        incident = Incident.open(rig.settings, rig.aws, trigger="content", data_source_id="")
        with pytest.raises(BadInput, match="not known") as raised:
            rollback.plan(incident)
        assert "--to" in raised.value.hint

    def test_previous_only_for_named_keys_or_since_a_time(self, rig: Rig) -> None:
        rig.spoiled()
        with pytest.raises(BadInput, match="previous version of every key"):
            rig.plan(to="previous")
        plan = rig.plan(to="previous", keys=["doc-001.md"])
        assert [(item.key, item.action) for item in plan.iter_items()] == [("doc-001.md", "COPY")]

    def test_a_named_prefix_is_meant(self, rig: Rig) -> None:
        rig.spoiled()
        rig.write({"_staging/a.md": "x", "audit/b.json": "y"})
        rig.tick()
        assert not [i.key for i in rig.plan().iter_items() if i.key.startswith(("_staging/", "audit/"))]
        assert [i.key for i in rig.plan(prefix="_staging/").iter_items()] == ["_staging/a.md"]
        assert [i.key for i in rig.plan(keys=["audit/b.json"]).iter_items()] == ["audit/b.json"]
        with pytest.raises(BadInput, match="leaves nothing"):
            rig.plan(prefix="_staging/", exclude=["_staging/"])
        narrower = rig.plan(exclude=["doc-00"])
        assert {"_staging/", "audit/", "ci/", "doc-00"} <= set(narrower.scope.exclude)
        assert not [i for i in narrower.iter_items() if i.key.startswith(("_staging/", "audit/", "doc-00"))]

    def test_a_bucket_that_never_had_versions(self, local: Any, point_at: Callable[[Any], None]) -> None:
        point_at(local)
        rig = Rig(local, versioning="")
        rig.spoiled()
        with pytest.raises(BadInput, match=r"[Vv]ersioning") as raised:
            rig.plan()
        assert "put-bucket-versioning" in raised.value.hint
        assert rig.kinds() == []

    def test_suspended_versioning_holds_everything_back(self, rig: Rig) -> None:
        rig.spoiled()
        rig.version("Suspended")
        plan = rig.plan()
        assert plan.changes == 0
        assert plan.head.blocked == {"suspended": 6}
        assert rollback.status(rig.incident).command == ""

    @pytest.mark.parametrize("operation", ["ListObjectVersions", "GetBucketVersioning"])
    def test_a_missing_permission_is_named_and_nothing_is_left_behind(self, rig: Rig, operation: str) -> None:
        rig.spoiled()
        rig.local.faults.add(service="s3", operation=operation, status=403, code="AccessDenied")
        with pytest.raises(AccessDenied) as raised:
            rig.plan()
        assert {"ListObjectVersions": "s3:ListBucketVersions"}.get(operation, operation) in str(raised.value)
        assert not [*(rig.incident.dir / "rollback").glob("*")]
        assert rollback.planned(rig.incident) is None

    def test_versions_that_may_not_be_read_are_held_back(self, rig: Rig) -> None:
        rig.spoiled()
        rig.local.faults.add(service="s3", operation="HeadObject", status=403, code="AccessDenied")
        rig.local.faults.add(service="s3", operation="GetObject", status=403, code="AccessDenied")
        plan = rig.plan()
        assert plan.head.blocked == {"no-permission": 5}
        assert plan.head.counts["DELETE"] == 1
        assert all(item.remedy for item in plan.iter_items() if item.action == "BLOCKED")

    def test_offline_and_closed_incidents_refuse(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        offline = rig.again(aws=None)
        for step in (
            rollback.plan,
            lambda it: rollback.apply(it, plan, digest=plan.digest),
            rollback.resume,
            rollback.verify,
            rollback.undo,
        ):
            with pytest.raises(BadInput, match="offline") as raised:
                step(offline)
            assert raised.value.hint
        rig.incident.close("over")
        there = rig.versions()
        for step in (
            rollback.plan,
            lambda it: rollback.apply(it, plan, digest=plan.digest),
            rollback.resume,
            rollback.undo,
        ):
            with pytest.raises(BadInput, match="closed") as raised:
                step(rig.again())
            assert raised.value.hint
        assert rig.versions() == there


class TestApproval:
    def test_the_digest_is_the_approval(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        there = rig.versions()
        with pytest.raises(WorldChanged, match="0123456789ab") as raised:
            rollback.apply(rig.incident, plan, digest="0123456789abcdef")
        assert plan.digest[:12] in raised.value.message
        assert raised.value.exit_code == 4
        for short in ("", plan.digest[:7]):
            with pytest.raises(BadInput, match="too short"):
                rollback.apply(rig.incident, plan, digest=short)
        assert rig.versions() == there
        assert rig.kinds("approved", "applying") == []
        assert rollback.apply(rig.incident, plan, digest=plan.digest[:8].upper()).ok

    def test_an_edited_plan_is_no_plan(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        there = rig.versions()
        lines = gzip.decompress(plan.path.read_bytes()).splitlines(keepends=True)
        edited = plan.path.with_name("edited.jsonl.gz")
        edited.write_bytes(gzip.compress(b"".join(lines[:-1]) + lines[-1].replace(b'"new.md"', b'"old.md"')))
        with pytest.raises(CorruptRecord):
            planfile.read(edited)
        # The same, behind the back of a plan that was read before.
        plan.path.write_bytes(edited.read_bytes())
        with pytest.raises(CorruptRecord):
            apply(rig, plan)
        assert rig.versions() == there
        assert not rig.incident.verify().ok

    def test_a_plan_from_elsewhere_is_refused(self, rig: Rig, local: Any) -> None:
        rig.spoiled()
        plan = rig.plan()
        other = Rig(local)
        other.spoiled()
        there = other.versions()
        with pytest.raises(BadInput, match=rig.incident.id):
            rollback.apply(other.incident, plan, digest=plan.digest)
        with pytest.raises(BadInput, match=rig.incident.id):
            rollback.verify(other.incident, plan)
        moved = Incident.load(
            rig.incident.id,
            settings=Settings.load(bucket_name=other.bucket),
            aws=Aws(Settings.load(bucket_name=other.bucket), local.clock),
        )
        with pytest.raises(BadInput, match=rig.bucket):
            rollback.apply(moved, plan, digest=plan.digest)
        assert other.versions() == there

    def test_a_plan_that_was_carried_by_hand(self, rig: Rig, tmp_path: Path) -> None:
        before = rig.spoiled()
        file = tmp_path / "plan from a friend.gz"
        plan = rig.plan().copy_to(file)
        # The folder of this incident has never heard of it.
        for path in (rig.incident.dir / "rollback").iterdir():
            path.unlink()
        journal = rig.incident.journal.path
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:1]))
        incident = rig.again()
        rollback.apply(incident, planfile.read(file), digest=plan.digest)
        assert rig.holds() == before
        assert rollback.verify(incident).ok
        assert incident.verify().ok

    def test_once_is_enough(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        apply(rig, plan)
        there = rig.versions()
        with pytest.raises(BadInput, match="applied already") as raised:
            apply(rig, plan)
        assert "undo" in raised.value.hint
        with pytest.raises(BadInput, match="came to its end"):
            rollback.resume(rig.incident)
        assert rig.versions() == there

    def test_versioning_that_was_suspended_since(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        rig.version("Suspended")
        there = rig.versions()
        with pytest.raises(WorldChanged, match="suspended"):
            apply(rig, plan)
        assert rig.versions() == there
        assert rig.kinds("approved", "applying") == []


class TestApply:
    def test_from_beginning_to_end_the_journal_tells(self, rig: Rig) -> None:
        before = rig.spoiled()
        there = rig.versions()
        plan = rig.plan()
        applied = apply(rig, plan)
        assert rig.holds() == before
        assert set(there) <= set(rig.versions()), "no version is destroyed"
        assert (applied.done, applied.ending) == (6, "applied")
        assert rig.kinds() == ["concluded", "approved", "phase", "applying", "applied"]
        (data,) = events(rig.incident, "applied")
        assert (data["digest"], data["log"], data["log_sha256"], data["done"]) == (
            plan.digest,
            applied.log,
            applied.log_sha256,
            6,
        )
        assert rig.incident.state.phase == "rollback"
        assert rig.incident.verify().ok
        state = rollback.status(rig.again(aws=None))
        assert (state.state, state.restored, state.command) == (
            "applied",
            True,
            f"vmq rollback verify {rig.incident.id}",
        )
        assert state.applied is not None
        assert (state.applied.done, state.applied.by) == (6, applied.by)

    def test_two_at_once(self, rig: Rig) -> None:
        rig.spoiled(12)
        plan, begun, go_on = rig.plan(), threading.Event(), threading.Event()
        results: list[Any] = []

        def first() -> None:
            def wait(_: Any) -> None:
                begun.set()
                go_on.wait(60)

            results.append(apply(rig, plan, progress=wait))

        thread = threading.Thread(target=first)
        thread.start()
        try:
            assert begun.wait(60)
            for step in (
                lambda it: rollback.apply(it, plan, digest=plan.digest),
                rollback.resume,
                rollback.undo,
            ):
                with pytest.raises(LockHeld) as raised:
                    step(rig.again())
                assert raised.value.exit_code == 4
        finally:
            go_on.set()
            thread.join()
        assert results[0].done == plan.changes
        assert rig.kinds("approved") == ["approved"]

    def test_interrupted_and_gone_on_with(self, rig: Rig) -> None:
        before = rig.spoiled(40)
        plan, stop = rig.plan(), threading.Event()
        # Five seconds' work, stopped when the first of it is done and some is under way.
        rig.local.faults.add(service="s3", operation="CopyObject", latency=0.3)
        with pytest.raises(Interrupted) as raised:
            apply(rig, plan, rate=8, stop=stop, progress=lambda now: stop.set() if now.decided else None)
        assert raised.value.exit_code == 130
        assert f"vmq rollback resume {rig.incident.id}" in raised.value.hint
        rig.local.faults.clear()
        state = rollback.status(rig.again(aws=None))
        assert (state.state, state.command) == ("interrupted", f"vmq rollback resume {rig.incident.id}")
        assert state.applied is not None
        assert 0 < state.applied.done < plan.changes
        assert state.applied.left == plan.changes - state.applied.done
        with pytest.raises(BadInput, match="is not done") as raised_again:
            apply(rig, plan)
        assert "resume" in raised_again.value.hint
        applied = rollback.resume(rig.again())
        assert (applied.done + applied.found, applied.left, applied.ending) == (plan.changes, 0, "applied")
        assert rig.holds() == before
        assert rollback.verify(rig.incident).ok
        assert rig.incident.verify().ok
        assert rig.kinds("approved") == ["approved"], "the approval holds"

    def test_refused_items_are_tried_again_by_a_resume(self, rig: Rig) -> None:
        before = rig.spoiled()
        plan = rig.plan()
        fault = rig.local.faults.add(
            service="s3", operation="CopyObject", path="doc-002", status=403, code="AccessDenied"
        )
        with pytest.raises(AwsError) as raised:
            apply(rig, plan)
        assert raised.value.exit_code == 3
        assert "resume" in raised.value.hint
        state = rollback.status(rig.incident)
        assert state.applied is not None
        assert (state.state, state.applied.failed) == ("failed", 1)
        assert [each.key for each in state.applied.problems] == ["doc-002.md"]
        seen = rollback.verify(rig.incident)
        assert (seen.ok, dict(seen.counts)) == (False, {"not applied": 1})
        rig.local.faults.remove(fault)
        assert rollback.resume(rig.incident).ok
        assert rig.holds() == before

    def test_somebody_else_is_left_alone(self, rig: Rig) -> None:
        before = rig.spoiled()
        plan = rig.plan()
        rig.tick()
        rig.write({"doc-000.md": "theirs", "doc-001.md": None})
        with pytest.raises(WorldChanged) as raised:
            apply(rig, plan)
        assert raised.value.exit_code == 4
        assert "doc-000.md" in raised.value.message
        assert rig.holds() == {
            **{k: v for k, v in before.items() if k != "doc-001.md"},
            "doc-000.md": "theirs",
        }
        state = rollback.status(rig.incident)
        assert state.applied is not None
        assert (state.state, state.applied.changed, state.applied.done) == ("changed", 2, 4)
        assert state.command == f"vmq rollback plan {rig.incident.id}"

    def test_what_is_wrong_with_the_plan_file_is_a_sentence(self, rig: Rig) -> None:
        rig.spoiled()
        plan = rig.plan()
        plan.path.unlink()
        state = rollback.status(rig.incident)
        assert state.plan is None
        assert plan.path.name in state.problem
        assert state.command == f"vmq rollback plan {rig.incident.id}"


def test_what_s3_does_not_answer_is_journaled_as_not_known(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    was = rig.spoiled()
    plan = rig.plan()
    stop, answer = threading.Event(), threading.Event()
    send = S3.send

    def silent(s3: S3, method: str, key: str = "", **more: Any) -> Any:
        if method == "PUT" and not answer.is_set():
            stop.set()
            answer.wait(30)
        return send(s3, method, key, **more)

    monkeypatch.setattr(S3, "send", silent)
    monkeypatch.setattr(engine, "run", functools.partial(engine.run, grace=0.1))
    with pytest.raises(Interrupted, match=r"of \d nobody knows") as raised:
        apply(rig, plan, workers=1, stop=stop)
    assert f"vmq rollback resume {rig.incident.id}" in raised.value.hint
    (data,) = events(rig.incident, "failed")
    assert data["unknown"] == 1
    assert data["done"] + data["left"] + 1 == plan.changes
    last = rollback.status(rig.again()).applied
    assert last is not None
    assert last.unknown == 1
    assert "1 asked for, of which nobody knows" in last.sentence
    answer.set()
    again = rollback.resume(rig.again())
    assert (again.ok, again.restored, again.unknown) == (True, plan.changes, 0)
    assert rig.holds() == was


def test_an_aws_that_does_not_answer_holds_no_apply_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.spoiled()
    plan = rig.plan()
    stop, answer = threading.Event(), threading.Event()

    def silent(*_: Any, **__: Any) -> Any:
        stop.set()
        answer.wait(30)
        raise AwsError("too late")

    there = rig.versions()
    monkeypatch.setattr(S3, "ask", silent)
    with pytest.raises(Interrupted, match="before anything was sent") as raised:
        apply(rig, plan, stop=stop)
    answer.set()
    assert f"vmq rollback apply {rig.incident.id}" in raised.value.hint
    assert rig.versions() == there
    assert rig.kinds("applying", "failed") == []


def test_nothing_to_do_is_said(rig: Rig) -> None:
    rig.put(a="a")
    rig.good = rig.tick()
    plan = rig.plan()
    assert plan.changes == 0
    assert rollback.status(rig.incident).command == ""
    assert apply(rig, plan).ok
    assert rollback.verify(rig.incident).ok


def test_the_masked_journal_has_few_keys(rig: Rig) -> None:
    rig.write({f"jane{number}@example.com": "good" for number in range(9)})
    rig.good = rig.tick()
    rig.write({f"jane{number}@example.com": "bad" for number in range(9)})
    plan = rig.plan()
    rig.tick()
    rig.write({f"jane{number}@example.com": "theirs" for number in range(9)})
    with pytest.raises(WorldChanged):
        apply(rig, plan)
    rollback.verify(rig.incident)
    journal = rig.incident.journal.path.read_text()
    assert "jane" not in journal
    (data,) = events(rig.incident, "applied")
    assert len(data["problems"]) == 5
    kept = [json.loads(line) for line in gzip.decompress(plan.path.read_bytes()).splitlines()[1:]]
    assert {item["key"] for item in kept} == {f"jane{number}@example.com" for number in range(9)}


@pytest.mark.slow
def test_the_scenario_from_bad_to_good_and_back(
    start_local_aws: Callable[..., Any], point_at: Callable[[Any], None]
) -> None:
    local = start_local_aws("sync-failed")
    point_at(local)
    aws = Aws(Settings.load(), local.clock)
    incident = Incident.open(aws.settings, aws, trigger="sync-failed", data_source_id=aws.settings.ds_id)
    incident.observe(("sync-jobs", "resources"))

    def readable() -> dict[str, bytes]:
        bucket = aws.settings.bucket_name
        pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key: aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    bad = readable()
    plan = rollback.plan(incident)
    truth = local.truth
    planned = {item.key for item in plan.iter_items() if item.action in rollback.CHANGES}
    assert all(key in planned or f"metadata/{key}.metadata.json" in planned for key in truth.broken_keys)
    assert planned >= set(truth.deleted_keys)
    assert readable() == bad
    assert rollback.apply(incident, plan, digest=plan.digest).done == plan.changes
    assert rollback.verify(incident).ok
    source = aws.settings.ds_id
    resync.start(aws, aws.settings, source)

    def sleep(seconds: float) -> None:
        local.clock.advance(timedelta(seconds=seconds))

    job = resync.wait(aws, aws.settings, source, sleep=sleep)
    assert job.succeeded
    assert job.failed == 0
    back = rollback.undo(incident)
    rollback.apply(incident, back, digest=back.digest)
    assert rollback.verify(incident).ok
    assert readable() == bad
    assert incident.verify().ok
