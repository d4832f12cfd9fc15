"""Documents uploaded on a bucket that others write to, that throttles, loses answers, and whose uploader is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.arrivals import all_arrived
from support.rollback_rig import Rig

from vmqlib.errors import AccessDenied, AwsError, BadInput, Interrupted, WorldChanged
from vmqlib.runbook import docsync, resyncstory, rollback
from vmqlib.runbook.docsync import DocPlan, Uploaded
from vmqlib.s3 import S3
from vmqlib.settings import Connector
from vmqlib.times import iso, show_time

NAMES = ["a.md", "g/b.md", "g/c d+%.md", "é/日本.md", "e.md"]
OTHERS = {
    "ci/build.md": "ci",
    "audit/x.md": "audit",
    "_staging/a.md": "staged",
    "a.txt": "text",
    "g/.x/h.md": "hidden",
}


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


class Desk(Rig):
    """A bucket, a folder, and what one does with them."""

    folder: Path

    def files(self, tree: Mapping[str, str | None]) -> None:
        for name, text in tree.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    @property
    def connector(self) -> Connector:
        return Connector(name="docs", bucket=self.bucket)

    def planned(self, **options: Any) -> DocPlan:
        return docsync.plan(self.aws, self.settings, self.connector, self.folder, **options)

    def applied(self, made: DocPlan, **options: Any) -> Uploaded:
        return docsync.apply(made, self.aws, digest=made.digest, **options)


@pytest.fixture
def desk(
    local: Any, point_at: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    local.faults.clear()
    point_at(local)
    monkeypatch.setattr(S3, "pause", staticmethod(lambda attempt, stop=None: None))
    made = Desk(local)
    made.folder = tmp_path / "docs"
    made.folder.mkdir()
    return made


def results(done: Uploaded) -> dict[str, str]:
    return {one.item.key: one.outcome.result for one in done.outcomes}


def test_only_what_differs_is_written_and_all_of_it_can_be_taken_back(desk: Desk) -> None:
    desk.write(
        {"docs/same.md": "same", "docs/old.md": "old", "docs/gone.md": "gone", "elsewhere.md": "x", **OTHERS}
    )
    desk.write({f"docs/more-{number}.md": "more" for number in range(10)})
    desk.tick()
    before, versions = desk.holds(), set(desk.versions())
    desk.files(
        {
            "same.md": "same",
            "old.md": "new",
            "deep/add.md": "added",
            **{f"more-{n}.md": "more" for n in range(10)},
        }
    )
    made = desk.planned(prefix="docs/", delete=True)
    assert {item.key: item.action for item in made.items} == {
        "docs/old.md": "UPDATE", "docs/deep/add.md": "ADD", "docs/gone.md": "DELETE",
    }  # fmt: skip
    assert made.unchanged == 11
    done = desk.applied(made, incident=desk.incident)
    assert (done.ending, done.verified) == ("applied", True)
    assert docsync.problem(made, done) is None
    expected = {**before, "docs/old.md": "new", "docs/deep/add.md": "added"}
    del expected["docs/gone.md"]
    assert desk.holds() == expected
    assert versions < set(desk.versions()), "no version is ever destroyed"
    head = desk.s3.head_object(Bucket=desk.bucket, Key="docs/old.md", ChecksumMode="ENABLED")
    assert head["ContentType"] == "text/markdown; charset=utf-8"
    assert head["ChecksumSHA256"]
    assert desk.planned(prefix="docs/", delete=True).changes == ()
    # The way back, exactly as it was told.
    moment = done.undo.partition("--to ")[2].split()[0]
    assert f"vmq rollback plan {desk.incident.id}" in done.undo
    back = rollback.plan(desk.again(), to=moment, prefix="docs/")
    rollback.apply(desk.again(), back, digest=back.digest)
    assert desk.holds() == before


def test_the_journal_and_the_story(desk: Desk) -> None:
    desk.files({"a.md": "a"})
    made = desk.planned()
    desk.applied(made, incident=desk.incident)
    kinds = [event.kind for event in desk.incident.journal.events() if event.step == "resync"]
    assert kinds == ["concluded", "approved", "applying", "applied", "verified"]
    (told,) = resyncstory.uploads(desk.incident)
    assert (told.ending, told.planned, told.results, told.verified) == (
        "applied",
        {"ADD": 1},
        {"done": 1},
        True,
    )
    assert desk.incident.verify().ok


@pytest.mark.slow
@given(
    tree=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["one", "two", "three!"]), min_size=1),
    bucket=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["one", "two", None])),
    prefix=st.sampled_from(["", "docs/"]),
    delete=st.booleans(),
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_onto_any_bucket(
    desk: Desk,
    tree: dict[str, str],
    bucket: dict[str, str | None],
    prefix: str,
    delete: bool,
    tmp_path_factory: Any,
) -> None:
    one = Desk(desk.local)
    one.folder = tmp_path_factory.mktemp("tree")
    one.files(tree)
    one.write(OTHERS)
    one.write({prefix + name: "before" for name in bucket})
    one.write({prefix + name: text for name, text in bucket.items()})
    before, versions = one.holds(), set(one.versions())
    made = one.planned(prefix=prefix, delete=delete)
    done = one.applied(made, delete_most=True)
    assert (done.ending, done.verified) in {("applied", True), ("applied", None)}
    assert done.verified is not None or not made.changes
    after = one.holds()
    mine = {prefix + name: text for name, text in tree.items()}
    assert {key: after[key] for key in mine} == mine
    rest = {key: text for key, text in after.items() if key not in mine}
    kept = {
        key: text
        for key, text in before.items()
        if key not in mine and not (delete and key.removeprefix(prefix) in NAMES and key.startswith(prefix))
    }
    assert rest == kept
    assert versions <= set(one.versions())
    assert len(set(one.versions()) - versions) == len(made.changes)
    assert one.planned(prefix=prefix, delete=delete).changes == ()


def test_what_others_do_meanwhile_stays(desk: Desk) -> None:
    desk.write({"update.md": "old", "delete.md": "old", "fine.md": "old", "vanish.md": "old"})
    desk.write({f"more-{number}.md": "x" for number in range(12)})
    desk.files(
        {"update.md": "new", "add.md": "new", "fine.md": "new", "vanish.md": "new", "edited.md": "new"}
    )
    desk.files({f"more-{number}.md": "x" for number in range(12)})
    made = desk.planned(delete=True)
    desk.write({"update.md": "theirs", "delete.md": "theirs", "add.md": "theirs", "vanish.md": None})
    desk.files({"edited.md": "edited since"})
    done = desk.applied(made)
    assert results(done) == {
        "add.md": "changed", "delete.md": "changed", "edited.md": "changed", "fine.md": "done", "update.md": "changed",
        "vanish.md": "changed",
    }  # fmt: skip
    problem = docsync.problem(made, done)
    assert isinstance(problem, WorldChanged)
    assert problem.exit_code == 4
    holds = desk.holds()
    assert {name: holds[name] for name in ("update.md", "delete.md", "add.md", "fine.md")} == {
        "update.md": "theirs", "delete.md": "theirs", "add.md": "theirs", "fine.md": "new",
    }  # fmt: skip
    assert "edited.md" not in holds
    assert "vanish.md" not in holds


def test_the_same_content_from_somebody_else_is_as_planned(desk: Desk) -> None:
    desk.write({"a.md": "old"})
    desk.files({"a.md": "new"})
    made = desk.planned()
    desk.write({"a.md": "new"})
    assert results(desk.applied(made)) == {"a.md": "found"}


@pytest.mark.parametrize(
    "fault", [{"reset": True}, {"status": 500, "code": "InternalError"}], ids=["cut", "500"]
)
def test_lost_answers_are_told_apart_and_nothing_is_written_twice(desk: Desk, fault: dict[str, Any]) -> None:
    desk.write(
        {f"{number}.md": "old" for number in range(6)} | {f"gone-{number}.md": "old" for number in range(3)}
    )
    desk.files({f"{number}.md": "new" for number in range(6)} | {"add.md": "new"})
    made = desk.planned(delete=True)
    versions = len(desk.versions())
    desk.local.faults.add("s3", "PutObject", after=True, times=4, **fault)
    desk.local.faults.add("s3", "DeleteObject", after=True, times=2, **fault)
    done = desk.applied(made, delete_most=True)
    assert done.ending == "applied"
    assert done.counts.get("found", 0) >= 4
    assert done.verified
    assert len(desk.versions()) == versions + len(made.changes)


def test_throttling_is_waited_out(desk: Desk) -> None:
    desk.files({f"{number}.md": "new" for number in range(6)})
    made = desk.planned()
    refused = [
        desk.local.faults.add("s3", "PutObject", path=rf"/{number}\.md", status=503, code="SlowDown", times=2)
        for number in range(6)
    ]
    assert desk.applied(made).ending == "applied"
    assert [rule.hits for rule in refused] == [2] * 6


def test_throttled_for_good_is_an_error_and_the_next_run_goes_on(desk: Desk) -> None:
    desk.files({f"{number}.md": "new" for number in range(20)})
    made = desk.planned()
    desk.local.faults.add("s3", "PutObject", status=503, code="SlowDown", skip=5)
    done = desk.applied(made, incident=desk.incident)
    assert done.ending == "failed"
    assert done.left > 0
    problem = docsync.problem(made, done)
    assert isinstance(problem, AwsError)
    assert "again" in problem.hint
    desk.local.faults.clear()
    rest = desk.planned()
    assert 0 < len(rest.changes) < 20
    assert desk.applied(rest).ending == "applied"
    assert [one.ending for one in resyncstory.uploads(desk.incident)] == ["failed"]


def test_refused_uploads_delete_nothing(desk: Desk) -> None:
    desk.write({"old-name.md": "text"})
    desk.files({"new-name.md": "text"})
    made = desk.planned(delete=True)
    desk.local.faults.add("s3", "PutObject", status=403, code="AccessDenied")
    done = desk.applied(made, delete_most=True)
    assert results(done) == {"new-name.md": "failed"}
    assert done.left == 1
    assert desk.holds() == {"old-name.md": "text"}
    problem = docsync.problem(made, done)
    assert problem is not None
    assert "s3:PutObject" in problem.hint


def test_refused_every_time_it_gives_up(desk: Desk) -> None:
    desk.files({f"{number}.md": "new" for number in range(60)})
    made = desk.planned()
    desk.local.faults.add("s3", "PutObject", status=403, code="AccessDenied")
    done = desk.applied(made)
    assert 10 <= done.counts["failed"] < 60


def test_a_bucket_that_may_not_be_listed(desk: Desk) -> None:
    desk.files({"a.md": "a"})
    desk.local.faults.add("s3", "ListObjectVersions", status=403, code="AccessDenied")
    with pytest.raises(AccessDenied):
        desk.planned()


def test_when_it_cannot_be_looked_at_again_that_is_said(desk: Desk) -> None:
    desk.files({"a.md": "a"})
    made = desk.planned()
    desk.local.faults.add("s3", "ListObjectVersions", status=403, code="AccessDenied")
    done = desk.applied(made)
    assert (done.ending, done.verified) == ("applied", None)
    assert "could not be looked at again" in done.verification
    assert "vmq rollback plan" in done.undo


def test_ctrl_c_ends_what_is_in_flight_and_says_how_to_go_on(desk: Desk) -> None:
    desk.files({f"{number}.md": "new" for number in range(60)})
    made = desk.planned()

    def interrupt(through: int, total: int) -> None:
        if through == 3:
            raise KeyboardInterrupt

    done = desk.applied(made, incident=desk.incident, progress=interrupt)
    assert done.ending == "interrupted"
    assert done.left > 0
    problem = docsync.problem(made, done)
    assert isinstance(problem, Interrupted)
    assert len(desk.holds()) == 60 - done.left == done.written
    assert desk.applied(desk.planned()).ending == "applied"
    assert len(desk.holds()) == 60


def test_what_this_incident_uploaded_after_a_rollback_was_planned_is_nobody_elses(desk: Desk) -> None:
    """It is left alone all the same: whoever uploaded it decides, and is told how to go on."""
    desk.write({"a.md": "good", "b.md": "good", "c.md": "good"})
    good = desk.tick()
    desk.write({"a.md": "bad", "b.md": "bad", "c.md": "bad"})
    desk.tick()
    plan = rollback.plan(desk.incident, to=iso(good), prefix="")
    desk.tick()
    desk.files({"a.md": "from the folder"})
    assert rollback.status(desk.incident).state == "planned"
    desk.applied(desk.planned(), incident=desk.incident)
    assert (rollback.status(desk.incident).state, rollback.status(desk.incident).stale) == ("stale", 1)
    uploaded = desk.incident.journal.events()
    at = next(event.at for event in reversed([*uploaded]) if event.kind == "applied")
    desk.write({"b.md": "theirs"})
    with pytest.raises(WorldChanged) as told:
        rollback.apply(desk.again(), plan, digest=plan.digest)
    assert told.value.exit_code == 4
    assert f"1 object was changed by this incident's own upload of {show_time(at)}" in told.value.message
    assert "1 object was changed by somebody else" in told.value.message
    assert f"`vmq rollback plan {desk.incident.id} --to {iso(good)}` plans" in told.value.hint
    assert desk.holds() == {"a.md": "from the folder", "b.md": "theirs", "c.md": "good"}
    made = rollback.status(desk.again()).applied
    assert made is not None
    assert (made.done, made.own, made.others) == (1, 1, 1)
    # What is uploaded after a rollback is no stranger's in its verification, either.
    desk.files({"c.md": "from the folder, too"})
    desk.applied(desk.planned(), incident=desk.incident)
    seen = rollback.verify(desk.again())
    assert {each.key: each.problem for each in seen.first} == {
        "a.md": "not applied",
        "b.md": "changed by somebody else",
        "c.md": "changed by this incident itself",
    }
    again = rollback.plan(desk.again(), to=iso(good), prefix="")
    assert rollback.apply(desk.again(), again, digest=again.digest).ok
    assert set(desk.holds().values()) == {"good"}


def test_what_s3_does_not_answer_is_journaled_as_not_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.files({f"{number}.md": "new" for number in range(6)})
    made = desk.planned()
    answer, asked, send = threading.Event(), threading.Semaphore(0), S3.send

    def silent(s3: S3, method: str, key: str = "", **more: Any) -> Any:
        got = send(s3, method, key, **more)
        if method == "PUT" and key > "1.md":
            asked.release()
            answer.wait(30)  # it arrives, and nobody hears of it
        return got

    def interrupt(through: int, total: int) -> None:
        if through == 2:
            assert asked.acquire(timeout=30)
            assert asked.acquire(timeout=30)
            raise KeyboardInterrupt

    monkeypatch.setattr(S3, "send", silent)
    monkeypatch.setattr("vmqlib.runbook.docsync.applying.GRACE_S", 0.2)
    done = desk.applied(made, incident=desk.incident, workers=2, progress=interrupt)
    assert done.ending == "interrupted"
    assert done.counts == {"done": 2, "left": 2, "unknown": 2}
    problem = docsync.problem(made, done)
    assert isinstance(problem, Interrupted)
    assert "of 2 nobody knows" in problem.message
    (told,) = resyncstory.uploads(desk.incident)
    assert told.results == done.counts
    assert {one["result"] for one in told.troubles} == {"unknown"}
    answer.set()
    assert len(desk.holds()) == 4
    assert len(desk.planned().changes) == 2
    assert desk.applied(desk.planned()).ending == "applied"
    assert len(desk.versions()) == 6


def test_ctrl_c_while_it_looks_again_loses_no_word_of_what_was_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.files({"a.md": "new"})
    made = desk.planned()

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("vmqlib.runbook.docsync.applying.current_entries", interrupted)
    done = desk.applied(made, incident=desk.incident)
    assert (done.ending, done.counts, done.verified) == ("interrupted", {"done": 1}, None)
    assert "not looked at again" in done.verification
    assert "vmq rollback plan" in done.undo
    (told,) = resyncstory.uploads(desk.incident)
    assert (told.ending, told.undo) == ("interrupted", done.undo)


def test_killed_on_the_way_the_next_run_does_the_rest(desk: Desk, tmp_path: Path) -> None:
    desk.files({f"{number:02}.md": f"new {number}" for number in range(40)})
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom vmqlib.aws import Aws\n"
        "from vmqlib.runbook import docsync\n"
        "from vmqlib.settings import Connector, Settings\n"
        f"s = Settings.load(bucket_name={desk.bucket!r}); a = Aws(s)\n"
        f"p = docsync.plan(a, s, Connector(name='docs'), Path({str(desk.folder)!r}))\n"
        "def kill(n, _):\n    if n == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "docsync.apply(p, a, digest=p.digest, progress=kill)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    all_arrived(desk.local.url)
    there = len(desk.holds())
    assert 5 <= there < 40
    rest = desk.planned()
    assert len(rest.changes) == 40 - there
    assert desk.applied(rest).ending == "applied"
    assert len(desk.versions()) == 40


def test_the_key_and_the_tags_of_the_version_before_go_along(desk: Desk) -> None:
    key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:eu-west-1:123456789012:key/k"}
    desk.s3.put_object(Bucket=desk.bucket, Key="a.md", Body=b"old", Tagging="team=ops&a%20b=c%3Dd", **key)  # type: ignore[arg-type]
    desk.s3.put_object(Bucket=desk.bucket, Key="same.md", Body=b"same", ChecksumAlgorithm="SHA256", **key)  # type: ignore[arg-type]
    desk.files({"a.md": "new", "same.md": "same"})
    made = desk.planned()
    assert [item.key for item in made.changes] == ["a.md"]
    assert desk.applied(made).ending == "applied"
    head = desk.s3.head_object(Bucket=desk.bucket, Key="a.md")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key["SSEKMSKeyId"])
    tags = desk.s3.get_object_tagging(Bucket=desk.bucket, Key="a.md")["TagSet"]
    assert {one["Key"]: one["Value"] for one in tags} == {"team": "ops", "a b": "c=d"}


@pytest.mark.parametrize("status", ["", "Suspended"])
def test_a_bucket_that_keeps_no_versions_is_not_written_to(local: Any, desk: Desk, status: str) -> None:
    other = Desk(local, versioning=status)
    other.folder = desk.folder
    other.files({"a.md": "a"})
    with pytest.raises(BadInput, match=r"[Vv]ersioning"):
        other.planned()


def test_versioning_suspended_since_the_plan(desk: Desk) -> None:
    desk.files({"a.md": "a"})
    made = desk.planned()
    desk.version("Suspended")
    with pytest.raises(BadInput, match="suspended"):
        desk.applied(made)
    assert desk.holds() == {}


class TestRefusals:
    def test_an_empty_folder_never_means_that_all_is_to_go(self, desk: Desk) -> None:
        desk.write({"a.md": "a"})
        desk.files({"x.txt": "x", ".hidden/a.md": "a"})
        with pytest.raises(BadInput, match=r"There is no \*\.md"):
            desk.planned(delete=True)

    def test_most_of_the_documents(self, desk: Desk) -> None:
        desk.write({f"{number}.md": "x" for number in range(10)})
        desk.files({f"{number}.md": "x" for number in range(8)})
        made = desk.planned(delete=True)
        assert any("--delete-most" in warning for warning in made.warnings)
        with pytest.raises(BadInput, match="more than 15 %") as raised:
            desk.applied(made)
        assert "--delete-most" in raised.value.hint
        assert len(desk.holds()) == 10
        assert desk.applied(made, delete_most=True).ending == "applied"
        assert len(desk.holds()) == 8

    @pytest.mark.parametrize(
        ("prefix", "words"),
        [("docs", "cannot be the prefix"), ("/docs/", "cannot be"), ("audit/x/", "housekeeping")],
    )
    def test_prefixes(self, desk: Desk, prefix: str, words: str) -> None:
        desk.files({"a.md": "a"})
        with pytest.raises(BadInput, match=words):
            desk.planned(prefix=prefix)

    def test_outside_of_what_the_connector_reads(self, desk: Desk) -> None:
        desk.files({"a.md": "a"})
        connector = Connector(name="docs", bucket=desk.bucket, prefix="docs/")
        with pytest.raises(BadInput, match="outside of what"):
            docsync.plan(desk.aws, desk.settings, connector, desk.folder, prefix="other/")

    def test_another_plans_digest(self, desk: Desk) -> None:
        desk.files({"a.md": "a"})
        made = desk.planned()
        with pytest.raises(WorldChanged):
            docsync.apply(made, desk.aws, digest="0" * 12)
        with pytest.raises(BadInput):
            docsync.apply(made, desk.aws, digest=made.digest[:4])
        assert desk.holds() == {}

    def test_a_closed_incident(self, desk: Desk) -> None:
        desk.files({"a.md": "a"})
        made = desk.planned()
        desk.incident.close()
        with pytest.raises(BadInput, match="is closed"):
            desk.applied(made, incident=desk.incident)

    def test_forbidden_keys_and_files_that_lead_out_are_held_and_kept(self, desk: Desk) -> None:
        desk.settings = desk.settings.model_copy(update={"forbidden": ("hr/",)})
        desk.write({"out.md": "there"})
        desk.files({"hr/pay.md": "secret", "ci/x.md": "x", "fine.md": "fine"})
        (desk.folder / "out.md").symlink_to("/etc/hostname")
        made = desk.planned(delete=True)
        assert {item.key: item.action for item in made.items} == {
            "ci/x.md": "HELD", "fine.md": "ADD", "hr/pay.md": "HELD", "out.md": "HELD",
        }  # fmt: skip
        desk.applied(made)
        assert desk.holds() == {"out.md": "there", "fine.md": "fine"}

    def test_a_file_swapped_for_a_link_after_the_plan_is_not_read(self, desk: Desk, tmp_path: Path) -> None:
        desk.files({"a.md": "a"})
        made = desk.planned()
        (tmp_path / "a.md").write_text("a")
        (desk.folder / "a.md").unlink()
        (desk.folder / "a.md").symlink_to(tmp_path / "a.md")
        assert results(desk.applied(made)) == {"a.md": "changed"}
