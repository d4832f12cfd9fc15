"""``vmq sync docs`` and ``vmq publish`` as people and scripts meet them, on an account with everything in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.publish_rig import A_NOTEBOOK

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook import resync
from vmqlib.settings import Settings


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws("healthy")


@pytest.fixture
def docs(local: Any, point_at: Callable[[Any], None]) -> Path:
    """A folder with two documents; the account is at hand."""
    local.faults.clear()
    point_at(local)
    folder = Path.cwd() / "docs"
    (folder / "guides").mkdir(parents=True)
    (folder / "a.md").write_text("# A\n")
    (folder / "guides" / "b.md").write_text("# B\n")
    return folder


@pytest.fixture
def incident(docs: Path) -> Incident:
    return Incident.open(Settings.load(), None, trigger="sync-failed")


def bodies(prefix: str) -> dict[str, bytes]:
    settings = Settings.load()
    client = Aws(settings).client("s3")
    listed = client.list_objects_v2(Bucket=settings.bucket_name, Prefix=prefix).get("Contents", [])
    return {
        one["Key"]: client.get_object(Bucket=settings.bucket_name, Key=one["Key"])["Body"].read()
        for one in listed
    }


def test_preview_then_the_exact_command(command: Any, docs: Path) -> None:
    shown = command("sync", "docs", str(docs), "--prefix", "one/", "--preview")
    assert shown.code == 0
    assert bodies("one/") == {}
    assert "one/guides/b.md" in shown.out
    words = shown.out.rstrip().splitlines()[-1].split()
    assert words[:3] == ["Next", "vmq", "sync"]
    done = command(*words[2:], "--yes")
    assert done.code == 0, done.err
    assert bodies("one/") == {"one/a.md": b"# A\n", "one/guides/b.md": b"# B\n"}
    assert "2 done" in done.out
    assert re.search(r"Undo    vmq rollback plan ID --to \S+Z --key", done.out)
    again = command("sync", "docs", str(docs), "--prefix", "one/", "--yes")
    assert (again.code, "nothing to do" in again.out) == (0, True)


def test_a_digest_pins_what_was_looked_at(command: Any, docs: Path) -> None:
    arguments = ("sync", "docs", str(docs), "--prefix", "two/")
    digest = command(*arguments, "--preview", "--json").json["digest"]
    (docs / "a.md").write_text("changed")
    done = command(*arguments, "--digest", digest[:12], "--yes")
    assert done.code == 4
    assert bodies("two/") == {}


def test_without_a_terminal_yes_is_wanted(command: Any, docs: Path) -> None:
    done = command("sync", "docs", str(docs), "--prefix", "three/")
    assert done.code == 2
    assert "--yes" in done.err
    assert bodies("three/") == {}


def test_deleting_most_has_to_be_said_twice(command: Any, docs: Path) -> None:
    arguments = ("sync", "docs", str(docs), "--prefix", "four/", "--yes")
    assert command(*arguments).code == 0
    (docs / "a.md").unlink()
    assert command(*arguments).code == 0
    assert len(bodies("four/")) == 2
    assert command(*arguments, "--delete").code == 2
    assert len(bodies("four/")) == 2
    done = command(*arguments, "--delete", "--delete-most", "--json")
    assert done.code == 0
    assert done.json["results"] == {"done": 1}
    assert list(bodies("four/")) == ["four/guides/b.md"]


def test_refused_items_are_in_the_document_and_the_exit_code(command: Any, docs: Path, local: Any) -> None:
    local.faults.add("s3", "PutObject", status=403, code="AccessDenied")
    done = command("sync", "docs", str(docs), "--prefix", "five/", "--yes", "--json")
    assert done.code == 3
    assert done.json["results"] == {"failed": 2}
    assert "s3:PutObject" in done.err


@pytest.fixture
def quick(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting moves the simulated clock and nothing else does: nobody waits, no sync ends before it is looked at."""
    local.clock.set(local.clock.now())
    real = resync.wait

    def wait(*arguments: Any, **options: Any) -> Any:
        return real(
            *arguments, **options, sleep=lambda seconds: local.clock.advance(timedelta(seconds=seconds))
        )

    monkeypatch.setattr(resync, "wait", wait)


def test_upload_sync_and_wait_in_one(command: Any, docs: Path, incident: Incident, quick: None) -> None:
    done = command(
        "sync", "docs", str(docs), "--prefix", "six/", "--incident", incident.id, "--wait", "--yes"
    )
    assert done.code == 0, done.err
    assert "SUCCEEDED" in done.out
    assert int(re.search(r"(\d+) added", done.out)[1]) >= 2  # type: ignore[index]
    kinds = [event.kind for event in incident.journal.events()]
    assert kinds == [
        "opened", "concluded", "approved", "applying", "applied", "verified", "applying", "applied", "verified",
    ]  # fmt: skip
    assert f"vmq rollback plan {incident.id}" in done.out
    nothing = command("sync", "docs", str(docs), "--prefix", "six/", "--wait", "--json", "--yes")
    assert nothing.code == 0
    assert nothing.json["sync"]["succeeded"] is True


def test_a_sync_that_leaves_documents_out_names_them(
    command: Any, docs: Path, incident: Incident, quick: None
) -> None:
    (docs / "unreadable.md").write_bytes(b"\xff\xfe\xfa")
    words = ("--prefix", "seventy/", "--incident", incident.id, "--wait", "--yes")
    done = command("sync", "docs", str(docs), *words)
    assert done.code == 1
    assert "INCOMPLETE" in done.out
    assert "seventy/unreadable.md" in done.out
    ended = [event for event in incident.journal.events() if event.kind == "failed"][-1]
    assert "seventy/unreadable.md" in str(ended.data.model_dump()["failing"])
    # It would go on failing in the syncs of the tests that come after.
    settings = Settings.load()
    Aws(settings).client("s3").delete_object(Bucket=settings.bucket_name, Key="seventy/unreadable.md")


def test_a_sync_that_ran_before_the_upload_is_followed_by_another(
    command: Any, docs: Path, local: Any, quick: None
) -> None:
    settings = Settings.load()
    aws = Aws(settings)
    earlier = resync.start(aws, settings, settings.ds_id)
    done = command("sync", "docs", str(docs), "--prefix", "seven/", "--wait", "--json", "--yes")
    assert done.code == 0, done.err
    assert "another one follows" in done.err
    assert done.json["sync"]["execution_id"] != earlier.execution_id


def test_what_was_uploaded_is_in_the_document_although_the_sync_was_refused(
    command: Any, docs: Path, local: Any
) -> None:
    local.faults.add("qbusiness", "StartDataSourceSyncJob", status=403, code="AccessDeniedException")
    done = command("sync", "docs", str(docs), "--prefix", "eight/", "--wait", "--json", "--yes")
    assert done.code == 3
    assert done.json["results"] == {"done": 2}
    assert "qbusiness:StartDataSourceSyncJob" in done.err


def test_an_empty_folder_and_none(command: Any, docs: Path) -> None:
    (docs.parent / "empty").mkdir()
    assert command("sync", "docs", "empty", "--delete", "--yes").code == 2
    assert command("sync", "docs", "none", "--yes").code == 2


def test_hostile_names_do_not_steer_the_terminal(command: Any, docs: Path) -> None:
    (docs / "\u202eevil.md").write_text("x")
    (docs / "\x1b[31mred.md").write_text("x")
    shown = command("sync", "docs", str(docs), "--preview")
    assert "\x1b[31m" not in shown.out
    assert "\u202e" not in shown.out


def closed(incident: Incident) -> None:
    """With its final record."""
    (incident.dir / "incident.html").write_text("page")
    (incident.dir / "incident.ipynb").write_text(A_NOTEBOOK)
    incident.close()


class TestPublish:
    TARGET = "s3://vaultmesh-knowledge-base/audit/incidents/"

    def test_open_then_closed_then_again(self, command: Any, incident: Incident) -> None:
        refused = command("publish", incident.id, self.TARGET, "--yes")
        assert refused.code == 2
        assert f"vmq close {incident.id}" in refused.err
        closed(incident)
        shown = command("publish", incident.id, self.TARGET, "--preview", "--json")
        assert {one["there"] for one in shown.json["files"]} == {"missing"}
        unasked = command("publish", incident.id, self.TARGET)
        assert (unasked.code, "--yes" in unasked.err) == (2, True)
        done = command("publish", incident.id, self.TARGET, "--yes")
        assert done.code == 0, done.err
        assert done.out.rstrip().endswith(f"/audit/incidents/{incident.id}/incident.html")
        again = command("publish", incident.id, self.TARGET, "--yes", "--json")
        assert again.json["uploaded"] == 0
        assert command("verify", incident.id).code == 0

    def test_another_record_is_exit_code_4(self, command: Any, incident: Incident) -> None:
        closed(incident)
        settings = Settings.load()
        key = f"audit/taken/{incident.id}/MANIFEST.json"
        Aws(settings).client("s3").put_object(Bucket=settings.bucket_name, Key=key, Body=b"another's")
        done = command("publish", incident.id, "s3://vaultmesh-knowledge-base/audit/taken/", "--yes")
        assert done.code == 4
        assert "not overwritten" in done.err

    def test_a_broken_record_is_exit_code_1(self, command: Any, incident: Incident) -> None:
        closed(incident)
        (incident.dir / "incident.html").write_text("forged")
        assert command("publish", incident.id, self.TARGET, "--yes").code == 1
