"""Uploads that S3 never answered: what arrived is this incident's own, by its journal and by content."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.rollback_rig import Rig

from vmqlib.cli.main import run, vmq
from vmqlib.runbook import docsync, resyncstory, rollback
from vmqlib.runbook.docsync import DocPlan, Uploaded
from vmqlib.runbook.owndeeds import deeds_of
from vmqlib.runbook.rollback.copied import makers
from vmqlib.runbook.validation.halves import open_ends
from vmqlib.s3 import S3
from vmqlib.settings import Connector


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


class Desk(Rig):
    """A bucket, a folder, and an upload that is cut off."""

    folder: Path
    patch: pytest.MonkeyPatch

    def planned(self, **options: Any) -> DocPlan:
        return docsync.plan(self.aws, self.settings, Connector(name="docs"), self.folder, **options)

    def cut_off(self, made: DocPlan, *, arrives: bool = True) -> Uploaded:
        """Ctrl-C while S3 has every request, and has answered none."""
        asked, answer, send = threading.Semaphore(0), threading.Event(), S3.send

        def silent(s3: S3, method: str, key: str = "", **more: Any) -> Any:
            if method not in ("PUT", "DELETE"):
                return send(s3, method, key, **more)
            got = send(s3, method, key, **more) if arrives else None
            asked.release()
            answer.wait(30)
            return got or send(s3, method, key, **more)

        from vmqlib.runbook.docsync import applying

        real = applying.wait

        def interrupted(under_way: Any, *args: Any, **more: Any) -> Any:
            for _ in made.changes:
                assert asked.acquire(timeout=30)
            self.patch.setattr(applying, "wait", real)
            raise KeyboardInterrupt

        with self.patch.context() as patch:
            patch.setattr(S3, "send", silent)
            patch.setattr(applying, "GRACE_S", 0.1)
            self.patch.setattr(applying, "wait", interrupted)
            done = docsync.apply(
                made, self.aws, digest=made.digest, incident=self.incident, workers=len(made.changes)
            )
        if arrives:
            answer.set()
        return done

    def versions_of(self, *keys: str) -> set[str]:
        listed = self.s3.list_object_versions(Bucket=self.bucket)["Versions"]
        return {one["VersionId"] for one in listed if one["Key"] in keys and one["IsLatest"]}

    def results(self) -> dict[str, str]:
        """By the last end of an upload in the journal."""
        ended = [
            one
            for one in self.incident.journal.events()
            if one.kind in ("applied", "failed") and one.data.action == resyncstory.UPLOAD
        ][-1]
        return {row["key"]: row["result"] for row in self.incident.evidence.open(ended.evidence[0]).rows()}


@pytest.fixture
def desk(
    local: Any, point_at: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    local.faults.clear()
    point_at(local)
    monkeypatch.setattr(S3, "pause", staticmethod(lambda attempt, stop=None: None))
    made = Desk(local)
    made.folder, made.patch = tmp_path / "docs", monkeypatch
    made.folder.mkdir()
    made.put(**{"old.md": "old"})
    for name in ("old.md", "add.md"):
        (made.folder / name).write_text(f"new {name}")
    made.tick()
    return made


def kms(desk: Desk) -> None:
    """The documents are encrypted: their ETags say nothing of the content."""
    key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:eu-west-1:123456789012:key/k"}
    desk.s3.put_object(Bucket=desk.bucket, Key="old.md", Body=b"old", **key)  # type: ignore[arg-type]
    desk.tick()


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "kms"])
def test_what_arrived_without_an_answer_is_this_incidents_own(desk: Desk, encrypted: bool) -> None:
    if encrypted:
        kms(desk)
    done = desk.cut_off(desk.planned())
    assert done.counts == {"unknown": 2}
    made = desk.versions_of("old.md", "add.md")
    assert not made & set(makers(desk.incident)), "nobody knows yet"
    settled = docsync.settle(desk.incident, desk.aws)
    assert settled is not None
    assert (settled.arrived, settled.missing, settled.unknown) == (2, 0, 0)
    assert desk.results() == {"add.md": "found", "old.md": "found"}
    assert made <= set(makers(desk.incident))
    (deed,) = [one for one in deeds_of(desk.incident) if one.kind == "objects"]
    assert (deed.versions, deed.exact) == (made, True)
    assert [*open_ends(desk.incident)] == []
    (told,) = resyncstory.uploads(desk.incident)
    assert told.ending == "applied"
    assert "--key add.md --key old.md" in told.undo
    assert docsync.settle(desk.incident, desk.aws) is None, "once is enough"


def test_the_undo_that_is_told_takes_it_back(desk: Desk) -> None:
    before = desk.holds()
    desk.cut_off(desk.planned())
    docsync.settle(desk.incident, desk.aws)
    (told,) = resyncstory.uploads(desk.incident)
    words = told.undo.split()
    back = rollback.plan(desk.again(), to=words[words.index("--to") + 1], keys=("add.md", "old.md"))
    assert rollback.apply(desk.again(), back, digest=back.digest).ok
    assert desk.holds() == before


def test_what_never_came_to_s3_is_left_for_the_next_run(desk: Desk) -> None:
    done = desk.cut_off(desk.planned(), arrives=False)
    assert done.counts == {"unknown": 2}
    settled = docsync.settle(desk.incident, desk.aws)
    assert settled is not None
    assert (settled.arrived, settled.missing) == (0, 2)
    assert desk.results() == {"add.md": "left", "old.md": "left"}
    assert len(desk.planned().changes) == 2


def test_what_somebody_else_wrote_instead_is_not_claimed(desk: Desk) -> None:
    desk.cut_off(desk.planned(), arrives=False)
    desk.write({"old.md": "by somebody else", "add.md": "by somebody"})
    settled = docsync.settle(desk.incident, desk.aws)
    assert settled is not None
    assert settled.arrived == 0
    assert desk.results() == {"add.md": "changed", "old.md": "changed"}
    assert not desk.versions_of("old.md", "add.md") & set(makers(desk.incident))


def test_what_was_changed_again_since_cannot_be_told(desk: Desk) -> None:
    desk.cut_off(desk.planned())
    desk.write({"old.md": "by somebody else"})
    settled = docsync.settle(desk.incident, desk.aws)
    assert settled is not None
    assert (settled.arrived, settled.unknown) == (1, 1)
    assert "cannot be told" in settled.sentence
    assert desk.results() == {"add.md": "found", "old.md": "unknown"}


def test_content_that_may_not_be_read_cannot_be_told(desk: Desk) -> None:
    desk.cut_off(desk.planned())
    for operation in ("HeadObject", "GetObject"):
        desk.local.faults.add("s3", operation, status=403, code="AccessDenied")
    settled = docsync.settle(desk.incident, desk.aws)
    assert settled is not None
    assert (settled.arrived, settled.unknown) == (0, 2)
    assert "s3:GetObject" in settled.sentence


def test_a_killed_upload_has_no_end_and_gets_one(desk: Desk) -> None:
    """Its journal ends with the intent; one of two documents arrived."""
    made = desk.planned()
    from vmqlib.runbook.docsync.applying import _begin

    _begin(desk.incident, made, desk.now())
    desk.tick()
    desk.write({"add.md": "new add.md"})
    settled = docsync.settle(desk.incident, desk.aws)
    assert settled is not None
    assert (settled.arrived, settled.missing) == (1, 1)
    (end,) = open_ends(desk.incident)
    assert "vmq sync docs --connector docs" in end.mend
    again = desk.planned()
    done = docsync.apply(again, desk.aws, digest=again.digest, incident=desk.incident)
    assert (done.ending, len(done.outcomes)) == ("applied", 1)
    assert [*open_ends(desk.incident)] == []


def test_the_command_finds_out_before_it_goes_on_and_a_preview_writes_nothing(
    desk: Desk, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.cut_off(desk.planned())
    monkeypatch.setenv("BUCKET_NAME", desk.bucket)
    monkeypatch.setenv("DS_ID", desk.settings.ds_id)
    given = ["sync", "docs", str(desk.folder), "--incident", desk.incident.id]
    events = desk.again().state.events
    assert run(vmq, [*given, "--preview"]) == 0
    assert desk.again().state.events == events
    assert run(vmq, [*given, "--yes"]) == 0
    shown = capsys.readouterr()
    assert "2 documents arrived by requests that were not answered" in shown.err
    assert [*open_ends(desk.again())] == []


def test_a_rollbacks_own_versions_are_exactly_those_of_its_log(desk: Desk) -> None:
    desk.spoiled()
    made = desk.plan()
    rollback.apply(desk.incident, made, digest=made.digest)
    desk.write({"doc-000.md": "meanwhile, by somebody else"})
    (deed,) = [one for one in deeds_of(desk.incident) if one.kind == "objects"]
    assert deed.exact
    assert len(deed.versions) == made.changes
    assert not desk.versions_of("doc-000.md") & deed.versions


def test_a_scripts_writes_are_known_by_their_time_alone(desk: Desk) -> None:
    data = {"action": resyncstory.SCRIPT, "digest": "d", "item": "docs", "connector": "docs"}
    desk.incident.applying("resync", "Run it.", data)
    desk.incident.applied("resync", "It ran.", data)
    (deed,) = deeds_of(desk.incident)
    assert (deed.versions, deed.exact) == (frozenset(), False)
