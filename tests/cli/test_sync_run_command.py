"""``vmq sync run`` as people and scripts meet it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings

DS = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def ops() -> Path:
    """An ops repo here, with a script and settings."""
    here = Path.cwd()
    (here / "scripts").mkdir()
    path = here / "scripts" / "sync.sh"
    path.write_text(
        '#!/bin/sh\necho "out $1"; echo "\033[31merr jane@example.com\033[0m" >&2; exit ${FAIL:-0}\n'
    )
    path.chmod(0o755)
    (here / "vmq.toml").write_text(
        f'ops_repo = "."\n[[connectors]]\nname = "docs"\ndata_source_id = "{DS}"\n'
        'script = "scripts/sync.sh"\nscript_args = ["a b"]\nscript_env = ["FAIL"]\n'
    )
    return here


def test_preview_shows_all_and_runs_nothing(command: Any, ops: Path) -> None:
    done = command("sync", "run", "--connector", "docs", "--preview")
    assert done.code == 0
    assert done.out == ""
    for words in (f"{ops}/scripts/sync.sh 'a b'", "PATH", "SHA-256", "digest", "1800 s", "FAIL"):
        assert words in done.err
    assert "out a b" not in done.err


def test_streams_go_where_they_came_from_and_are_harmless(command: Any, ops: Path) -> None:
    done = command("sync", "run", "--yes")
    assert done.code == 0
    assert done.out == "out a b\n"
    assert "\x1b[31m" not in done.err
    assert "jane@" not in done.err
    assert "ended well" in done.err


def test_its_failure_is_exit_code_1(command: Any, ops: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("FAIL", "9")
    done = command("sync", "run", "--yes")
    assert done.code == 1
    assert "exit status 9" in done.err


def test_without_a_terminal_yes_is_wanted_and_the_plan_is_shown(command: Any, ops: Path) -> None:
    done = command("sync", "run")
    assert done.code == 2
    assert "SHA-256" in done.err
    assert "--yes" in done.err


def test_a_digest_pins_the_script(command: Any, ops: Path) -> None:
    digest = command("sync", "run", "--preview", "--json").json["digest"]
    assert command("sync", "run", "--digest", digest[:12], "--yes").code == 0
    with (ops / "scripts" / "sync.sh").open("a") as file:
        file.write("echo more\n")
    done = command("sync", "run", "--digest", digest[:12], "--yes")
    assert done.code == 4
    assert "out a b" not in done.out


def test_json_is_one_document_and_the_output_is_on_stderr(
    command: Any, ops: Path, healthy_aws: Any, point_at: Any, monkeypatch: Any
) -> None:
    point_at(healthy_aws)
    incident = Incident.open(Settings.load(), None, trigger="sync-failed")
    done = command("sync", "run", "--connector", "docs", "--incident", incident.id, "--yes", "--json")
    assert done.code == 0
    assert done.json["status"] == 0
    assert done.json["ok"] is True
    assert "out a b" in done.err
    monkeypatch.setenv("FAIL", "4")
    failed = command("sync", "run", "--incident", incident.id, "--yes", "--json")
    assert failed.code == 1
    assert (failed.json["ok"], failed.json["status"]) == (False, 4)
    # On Linux the process of each is written down, too.
    kinds = [event.kind for event in incident.journal.events() if event.kind != "concluded"]
    assert kinds == ["opened", "approved", "applying", "applied", "approved", "applying", "failed"]


def test_a_closed_incident_is_refused_before_anybody_is_asked(
    command: Any, ops: Path, healthy_aws: Any, point_at: Any
) -> None:
    point_at(healthy_aws)
    incident = Incident.open(Settings.load(), None, trigger="sync-failed")
    incident.close()
    done = command("sync", "run", "--incident", incident.id)
    assert done.code == 2
    assert "is closed" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_ctrl_c_a_stop_and_a_lost_terminal_end_the_group(
    ops: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """In a process of its own, as a person or a pager's time-out ends it."""
    pid = tmp_path / "grandchild"
    path = ops / "scripts" / "sync.sh"
    path.write_text(f"#!/bin/sh\n(sh -c 'echo $$ > \"{pid}\"; exec sleep 600') &\necho ready; sleep 600\n")
    words = [sys.executable, "-m", "vmqlib.cli", "sync", "run", "--yes"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while not pid.exists() or not pid.read_text().strip():
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "was interrupted and ended" in said
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("script_timeout", '"0s"', "a length of time"),
        ("script_timeout", '"soon"', "a length of time"),
        ("script_env", '["A=b"]', "never their values"),
        ("script", '"scripts/none.sh"', "There is no script"),
    ],
)
def test_bad_settings(command: Any, ops: Path, key: str, value: str, words: str) -> None:
    path = ops / "vmq.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{key} =")]
    path.write_text("\n".join([*lines, f"{key} = {value}", ""]))
    done = command("sync", "run", "--yes")
    assert done.code == 2
    assert words in done.err
