"""A connector's script: found where it may lie, shown before it is run, journaled, its output kept and masked."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.git_repos import Repo

from vmqlib.errors import BadInput, DeadlinePassed, LockHeld, RunFailed, WorldChanged
from vmqlib.record.incident import Incident
from vmqlib.runbook import resyncstory, targeted
from vmqlib.runbook.targeted import Line, ScriptPlan
from vmqlib.runbook.targeted import running as running_module
from vmqlib.runbook.targeted.alive import process_identity
from vmqlib.runbook.targeted.process import has_members
from vmqlib.settings import Connector, Settings

DS = "11111111-1111-1111-1111-111111111111"
TOKEN = "s3cr3t-t0ken-of-the-wiki"


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    top = tmp_path / "ops"
    (top / "scripts").mkdir(parents=True)
    return top


@pytest.fixture
def script(ops: Path) -> Callable[..., Path]:
    def write(text: str = "echo hello", name: str = "scripts/sync.sh", mode: int = 0o755) -> Path:
        path = ops / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def planned(ops: Path) -> Callable[..., tuple[ScriptPlan, Settings, Connector]]:
    def call(incident_id: str = "", **about: Any) -> tuple[ScriptPlan, Settings, Connector]:
        about = {"script": "scripts/sync.sh", "data_source_id": DS, **about}
        connector = Connector(name="docs", **about)
        settings = Settings.load(ops_repo=ops, connectors=(connector,), kms_key_id="the-key")
        return targeted.plan(settings, connector, incident_id=incident_id), settings, connector

    return call


@pytest.fixture
def incident() -> Incident:
    return Incident.open(Settings.load(), None, trigger="sync-failed")


class TestPlan:
    def test_says_exactly_what_would_be_run(
        self, script: Any, planned: Any, ops: Path, monkeypatch: Any
    ) -> None:
        path = script()
        monkeypatch.setenv("WIKI_TOKEN", TOKEN)
        monkeypatch.setenv("AWS_PROFILE", "on-call")
        monkeypatch.setenv("NOT_FOR_IT", "x")
        made, _, _ = planned(
            script_args=("a b", "$(id)"), script_timeout="1h30m", script_env=("WIKI_TOKEN", "UNSET")
        )
        assert made.argv == (str(path), "a b", "$(id)")
        assert made.cwd == ops
        assert made.timeout_s == 5400
        assert {
            "PATH",
            "HOME",
            "AWS_PROFILE",
            "WIKI_TOKEN",
            "DS_ID",
            "BUCKET_NAME",
            "REGION",
            "KMS_KEY_ID",
        } <= set(made.env)
        assert "NOT_FOR_IT" not in made.env
        assert made.unset == ("UNSET",)
        assert TOKEN not in str(made.to_json())

    def test_the_digest_covers_words_environment_and_content(self, script: Any, planned: Any) -> None:
        script()
        digests = {
            planned()[0].digest,
            planned(script_args=("x",))[0].digest,
            planned(script_timeout="1s")[0].digest,
        }
        script("echo other")
        digests.add(planned()[0].digest)
        assert len(digests) == 4

    def test_git_says_whether_a_commit_holds_it(
        self, script: Any, planned: Any, ops: Path, tmp_path: Path
    ) -> None:
        path = script()
        assert planned()[0].state.startswith("cannot tell")
        repo = Repo(tmp_path / "new")
        (repo.folder / ".git").rename(ops / ".git")
        repo.folder = ops
        assert planned()[0].state == "untracked"
        sha = repo.commit("sync", {"scripts/sync.sh": path.read_text()}, datetime(2026, 11, 1, tzinfo=UTC))
        path.chmod(0o755)
        assert (planned()[0].commit, planned()[0].state) == (sha, "committed")
        script("echo changed")
        assert planned()[0].state == "changed"

    def test_the_kits_own_scripts_are_found_and_the_ops_repos_win(
        self, script: Any, planned: Any, project: Path, ops: Path
    ) -> None:
        own = "scripts/sovereign-sync-docs.sh"
        assert planned(script=own)[0].script == project / own
        assert planned(script=own)[0].cwd == ops, "its settings and documents are the ops repo's"
        theirs = script(name=own)
        assert planned(script=own)[0].script == theirs

    def test_without_a_script(self, planned: Any) -> None:
        with pytest.raises(BadInput, match="names no script") as raised:
            planned(script="")
        assert "vmq sync start --connector docs" in raised.value.hint

    def test_missing_not_executable_and_no_file(self, script: Any, planned: Any, ops: Path) -> None:
        with pytest.raises(BadInput, match="There is no script"):
            planned()
        script(mode=0o644)
        with pytest.raises(BadInput, match="not executable") as raised:
            planned()
        assert raised.value.hint.startswith("chmod +x")
        with pytest.raises(BadInput, match="is no file"):
            planned(script="scripts")

    @pytest.mark.parametrize("way", ["dots", "absolute", "link", "folder link"])
    def test_no_way_leads_out(self, script: Any, planned: Any, ops: Path, tmp_path: Path, way: str) -> None:
        outside = tmp_path / "evil.sh"
        outside.write_text("#!/bin/sh\n")
        outside.chmod(0o755)
        name = {
            "dots": "../evil.sh",
            "absolute": str(outside),
            "link": "scripts/link.sh",
            "folder link": "out/evil.sh",
        }[way]
        (ops / "scripts" / "link.sh").symlink_to(outside)
        (ops / "out").symlink_to(tmp_path)
        with pytest.raises(BadInput, match="outside of") as raised:
            planned(script=name)
        assert raised.value.exit_code == 2


class TestRun:
    def test_is_streamed_masked_kept_and_journaled(
        self, script: Any, planned: Any, incident: Incident, monkeypatch: Any
    ) -> None:
        monkeypatch.setenv("WIKI_TOKEN", TOKEN)
        script(
            'echo "token $WIKI_TOKEN"; echo "mail jane@example.com" >&2; sleep 0.05; '
            'echo "for $VMQ_INCIDENT of $VMQ_CONNECTOR"; echo "<b>x</b>"'
        )
        made, settings, connector = planned(incident.id, script_env=("WIKI_TOKEN",))
        seen: list[Line] = []
        ended = targeted.run(
            made, settings, connector, digest=made.digest[:8], incident=incident, show=seen.append
        )
        assert targeted.problem(made, ended, incident) is None
        texts = [line.text for line in seen]
        assert "token [secret]" in texts
        assert f"for {incident.id} of docs" in texts
        events = [*incident.journal.events()]
        kinds = [event.kind for event in events if event.kind != "concluded"]  # its process, on Linux
        assert kinds == ["opened", "approved", "applying", "applied"]
        data = events[-1].data.model_dump()
        assert (data["exit_status"], data["ending"], data["argv"]) == (0, "succeeded", list(made.argv))
        assert "WIKI_TOKEN" in data["env"]
        (run,) = resyncstory.script_runs(incident)
        assert (run.ending, run.lines, run.complete) == ("succeeded", 4, True)
        assert {row["stream"] for row in run.tail} == {"stdout", "stderr"}
        assert all(row["at"].endswith("Z") for row in run.tail)
        everything = b"".join(
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            for path in incident.dir.rglob("*")
            if path.is_file()
        )
        assert TOKEN.encode() not in everything
        assert b"jane@example.com" not in everything
        assert incident.verify().ok

    def test_a_bad_exit_status_is_a_failure_with_its_output_kept(
        self, script: Any, planned: Any, incident: Incident
    ) -> None:
        script("echo why; exit 3")
        made, settings, connector = planned()
        ended = targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        problem = targeted.problem(made, ended, incident)
        assert isinstance(problem, RunFailed)
        assert problem.exit_code == 1
        (run,) = resyncstory.script_runs(incident)
        assert (run.ending, run.status, [row["text"] for row in run.tail]) == ("failed", 3, ["why"])

    def test_its_time_out(self, script: Any, planned: Any, incident: Incident) -> None:
        script("echo begun; sleep 600 & sleep 600")
        made, settings, connector = planned()
        made = replace(made, timeout_s=0.3)
        ended = targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        problem = targeted.problem(made, ended, incident)
        assert isinstance(problem, DeadlinePassed)
        assert problem.exit_code == 5
        assert resyncstory.script_runs(incident)[0].ending == "timed out"

    def test_a_script_that_changed_since_is_not_run(
        self, script: Any, planned: Any, incident: Incident, tmp_path: Path
    ) -> None:
        path = script()
        made, settings, connector = planned()
        script(f"touch {tmp_path}/was-run")
        with pytest.raises(WorldChanged, match="changed since it was planned"):
            targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        path.unlink()
        with pytest.raises(WorldChanged, match="is gone"):
            targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        assert not (tmp_path / "was-run").exists()
        assert [event.kind for event in incident.journal.events()] == ["opened"]

    @pytest.mark.parametrize(("digest", "error"), [("0" * 64, WorldChanged), ("abc", BadInput)])
    def test_another_approval_runs_nothing(
        self, script: Any, planned: Any, incident: Incident, digest: str, error: Any
    ) -> None:
        script()
        made, settings, connector = planned()
        with pytest.raises(error):
            targeted.run(made, settings, connector, digest=digest, incident=incident)
        assert [event.kind for event in incident.journal.events()] == ["opened"]

    def test_a_closed_incident_takes_none(self, script: Any, planned: Any, incident: Incident) -> None:
        script()
        made, settings, connector = planned()
        incident.close()
        with pytest.raises(BadInput, match="is closed"):
            targeted.run(made, settings, connector, digest=made.digest, incident=incident)

    def test_what_cannot_be_started_is_journaled(self, ops: Path, planned: Any, incident: Incident) -> None:
        path = ops / "scripts" / "sync.sh"
        path.write_text("#!/no/such/interpreter\n")
        path.chmod(0o755)
        made, settings, connector = planned()
        with pytest.raises(BadInput, match="cannot be started"):
            targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        assert [event.kind for event in incident.journal.events()][-2:] == ["applying", "failed"]

    def test_a_reader_that_leaves_ends_it_and_that_is_journaled(
        self, script: Any, planned: Any, incident: Incident
    ) -> None:
        script("echo x; sleep 600")
        made, settings, connector = planned()

        def leave(_: Line) -> None:
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            targeted.run(made, settings, connector, digest=made.digest, incident=incident, show=leave)
        assert resyncstory.script_runs(incident)[0].ending == "failed"

    def test_more_output_than_is_kept_is_said(
        self, script: Any, planned: Any, incident: Incident, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(running_module, "MOST_BYTES", 1000)
        script("seq 1 100")
        made, settings, connector = planned()
        seen: list[Line] = []
        targeted.run(made, settings, connector, digest=made.digest, incident=incident, show=seen.append)
        (run,) = resyncstory.script_runs(incident)
        assert len(seen) == 100
        assert not run.complete
        assert run.lines < 100
        assert "not kept" in run.evidence.stopped  # type: ignore[union-attr]

    def test_a_run_whose_end_nobody_noted_is_unknown(
        self, script: Any, planned: Any, incident: Incident
    ) -> None:
        script()
        made, settings, connector = planned()
        targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        lines = incident.journal.path.read_bytes().splitlines(keepends=True)
        incident.journal.path.write_bytes(b"".join(lines[:-1]))
        killed = Incident.load(incident.id, settings=incident.settings)
        assert resyncstory.script_runs(killed)[0].ending == "unknown"


class TestKilled:
    """The vmq that runs a script is killed: the next run finds what goes on."""

    @pytest.fixture
    def left(self, script: Any, incident: Incident, ops: Path, tmp_path: Path) -> Iterator[int]:
        begun = tmp_path / "begun"
        script(f"sleep 60 &\necho $! > '{begun}'\nwait")
        code = (
            "from pathlib import Path\nfrom vmqlib.record.incident import Incident\n"
            "from vmqlib.runbook import targeted\nfrom vmqlib.settings import Connector, Settings\n"
            f"c = Connector(name='docs', script='scripts/sync.sh', data_source_id={DS!r})\n"
            f"s = Settings.load(ops_repo=Path({str(ops)!r}), connectors=(c,), kms_key_id='the-key')\n"
            f"i = Incident.load({incident.id!r}, settings=s)\n"
            f"p = targeted.plan(s, c, incident_id={incident.id!r})\n"
            "targeted.run(p, s, c, digest=p.digest, incident=i)\n"
        )
        vmq = subprocess.Popen([sys.executable, "-c", code])
        pid = 0
        for _ in range(3000):
            if found := [e.data.model_dump() for e in incident.journal.events() if e.kind == "concluded"]:
                pid = found[-1]["pid"]
                if begun.exists():  # what the script starts is there, too: it was noted before it began
                    break
            assert vmq.poll() is None
            time.sleep(0.01)
        assert begun.exists()
        vmq.kill()
        vmq.wait()
        yield pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says when a process began")
    def test_the_next_run_says_that_it_still_runs(
        self, left: int, script: Any, planned: Any, incident: Incident
    ) -> None:
        made, settings, connector = planned(incident.id)
        with pytest.raises(LockHeld, match=f"process {left}. still runs") as raised:
            targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        assert raised.value.exit_code == 4
        assert f"kill -TERM -- -{left}" in raised.value.hint
        assert [one.ending for one in resyncstory.script_runs(incident)] == ["unknown"]
        # Its first process is gone, what it started is not.
        os.kill(left, signal.SIGKILL)
        with pytest.raises(LockHeld):
            targeted.run(made, settings, connector, digest=made.digest, incident=incident)
        os.killpg(left, signal.SIGKILL)
        script("echo hello")
        made, settings, connector = planned(incident.id)
        until = time.monotonic() + 10
        while has_members(left) and time.monotonic() < until:
            time.sleep(0.01)
        assert targeted.run(made, settings, connector, digest=made.digest, incident=incident).status == 0

    @pytest.mark.parametrize("other", [{"began": "1"}, {"boot": "another"}, {"host": "another"}])
    def test_a_number_that_is_somebody_elses_by_now_is_no_script(
        self, other: dict[str, str], script: Any, planned: Any, incident: Incident
    ) -> None:
        script()
        made, settings, connector = planned(incident.id)
        about = {"action": "sync-script", "connector": "docs", "verdict": "running"}
        incident.conclude("resync", "It runs.", {**about, **process_identity(os.getpgrp()), **other})
        assert targeted.run(made, settings, connector, digest=made.digest, incident=incident).status == 0


def test_os_environment_is_not_changed(script: Any, planned: Any) -> None:
    script()
    before = dict(os.environ)
    planned(script_env=("WIKI_TOKEN",))
    assert dict(os.environ) == before
