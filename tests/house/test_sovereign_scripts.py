"""The scripts for checkouts, and make's targets for a sync: what they hand to ``vmq``, and how they end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

SYNC, VERIFY = "sovereign-sync-docs.sh", "sovereign-verify-ingest.sh"
FAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  "sync docs"*) exit ${DOCS_EXIT:-0} ;;
  "sync verify"*) exit ${VERIFY_EXIT:-0} ;;
esac
"""


@pytest.fixture
def call(project: Path, tmp_path: Path) -> Callable[..., tuple[int, list[str], str]]:
    """Runs a script far from any .venv, with a ``vmq`` on the PATH that writes down what it is asked."""
    scripts, fakes, calls = tmp_path / "a checkout" / "scripts", tmp_path / "bin", tmp_path / "calls"
    scripts.mkdir(parents=True)
    fakes.mkdir()
    for name in (SYNC, VERIFY):
        shutil.copy(project / "scripts" / name, scripts)
    (fakes / "vmq").write_text(FAKE)
    (fakes / "vmq").chmod(0o755)

    def run(name: str, *words: str, **env: str) -> tuple[int, list[str], str]:
        calls.write_text("")
        path = os.pathsep.join([str(fakes), os.environ["PATH"]])
        done = subprocess.run(
            [str(scripts / name), *words],
            env={"PATH": path, "HOME": str(tmp_path), "CALLS": str(calls), **env},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, calls.read_text().splitlines(), done.stdout + done.stderr

    return run


@pytest.mark.parametrize("name", [SYNC, VERIFY])
def test_help_and_that_they_can_be_run(call: Any, project: Path, name: str) -> None:
    code, calls, said = call(name, "--help")
    assert (code, calls) == (0, [])
    assert said.startswith(f"Usage: {name}")
    assert "Examples:" in said
    text = (project / "scripts" / name).read_text()
    assert "set -euo pipefail" in text
    assert os.access(project / "scripts" / name, os.X_OK)


def test_upload_sync_wait_verify(call: Any) -> None:
    code, calls, _ = call(SYNC, "my docs", "wait", "--connector", "docs", "--yes", "--delete")
    assert code == 0
    assert calls == [
        "sync docs my docs --connector docs --delete --wait --yes",
        "sync verify --connector docs",
    ]


def test_a_deadline_and_the_connector_of_the_run(call: Any) -> None:
    env = {"VMQ_CONNECTOR": "docs", "VMQ_INCIDENT": "INC-20261123-001"}
    _, calls, _ = call(SYNC, "d", "20m", "--yes", **env)
    about = "--connector docs --incident INC-20261123-001"
    assert calls == [f"sync docs d {about} --wait --deadline 20m --yes", f"sync verify {about}"]
    _, calls, _ = call(VERIFY, "--connector", "wiki", **env)
    assert calls == ["sync verify --incident INC-20261123-001 --connector wiki"]


def test_without_waiting_and_preview(call: Any) -> None:
    assert call(SYNC)[1] == ["sync docs docs", "sync start"]
    assert call(SYNC, "d", "--yes", "--prefix", "p q/")[1] == [
        "sync docs d --prefix p q/ --yes",
        "sync start --yes",
    ]
    assert call(SYNC, "d", "wait", "--preview", "--delete")[1] == ["sync docs d --delete --preview"]


def test_what_was_not_uploaded_is_not_synced(call: Any) -> None:
    assert call(SYNC, "d", DOCS_EXIT="4")[:2] == (4, ["sync docs d"])
    assert call(SYNC, "d", "wait", DOCS_EXIT="3")[:2] == (3, ["sync docs d --wait"])


def test_a_sync_that_ended_badly_is_looked_into_and_stays_a_failure(call: Any) -> None:
    assert call(SYNC, "d", "wait", DOCS_EXIT="1")[:2] == (1, ["sync docs d --wait", "sync verify"])
    assert call(SYNC, "d", "wait", VERIFY_EXIT="1")[0] == 1


def test_bad_words(call: Any) -> None:
    for words in (("a", "wait", "b"), ("--connector",)):
        code, calls, said = call(SYNC, *words)
        assert (code, calls) == (2, [])
        assert "--help" in said


def test_without_vmq(call: Any, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("bash", "dirname", "cat", "env"):
        (bare / name).symlink_to(shutil.which(name) or "")
    for name in (SYNC, VERIFY):
        code, _, said = call(name, PATH=str(bare))
        assert code == 2
        assert "make setup" in said


class TestMake:
    """``make sync`` and ``make wait-sync`` read .env, and pass on what they are given."""

    @pytest.fixture
    def make(self, project: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
        here = tmp_path / "ops"
        here.mkdir()
        shutil.copy(project / "Makefile", here)
        (here / ".venv").symlink_to(project / ".venv")

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            # Set-up is for a checkout, which this folder is not.
            command = ["make", "--no-print-directory", "--old-file=setup", *words]
            return subprocess.run(
                command,
                cwd=here,
                env=dict(os.environ),
                capture_output=True,
                text=True,
                check=False,
                timeout=90,
            )

        return run

    def test_help_names_what_they_take(self, make: Any) -> None:
        said = make("help").stdout
        assert "[CONNECTOR=docs]" in said
        assert "[DEADLINE=20m]" in said

    @pytest.mark.slow
    def test_they_read_env_files_and_pass_on(
        self, make: Any, start_local_aws: Any, point_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        local = start_local_aws("healthy")
        point_at(local)
        local.clock.set(local.clock.now())  # the sync runs on until a test lets time pass
        settings = {
            name: local.env[name] for name in ("APP_ID", "INDEX_ID", "DS_ID", "BUCKET_NAME", "REGION")
        }
        for name in (*settings, "RETRIEVER_ID", "WEB_EXPERIENCE_ID"):
            monkeypatch.delenv(name, raising=False)
        lost = make("sync")
        assert lost.returncode == 2
        assert "Not set: APP_ID" in lost.stderr
        (tmp_path / "ops" / ".env").write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items())
        )
        started = make("sync")
        assert started.returncode == 0, started.stderr
        execution = started.stdout.split()[-1]
        assert "No connector is named 'docs'" in make("sync", "CONNECTOR=docs").stderr
        (tmp_path / "ops" / "vmq.toml").write_text(
            f'[[connectors]]\nname = "docs"\ndata_source_id = "{settings["DS_ID"]}"\n'
        )
        joined = make("sync", "CONNECTOR=docs")
        assert joined.stdout.split()[-1] == execution
        assert "'soon'" in make("wait-sync", "CONNECTOR=docs", "DEADLINE=soon").stderr
        local.clock.advance(timedelta(minutes=10))
        waited = make("wait-sync", "CONNECTOR=docs", "DEADLINE=1m")
        assert waited.returncode == 0, waited.stderr
        assert "SUCCEEDED" in waited.stdout
