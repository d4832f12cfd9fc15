"""Incidents on disk, a clock that a test moves, and sources that answer what a test wants."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.record.journal import Journal
from vmqlib.settings import Settings
from vmqlib.sources.base import Source


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def aws(clock: MovingClock) -> FakeAws:
    return FakeAws(clock)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "incidents"


@pytest.fixture
def settings(root: Path) -> Settings:
    return Settings.load(incidents=root)


@pytest.fixture
def open_incident(settings: Settings, aws: FakeAws) -> Callable[..., Incident]:
    """``open_incident(source(...), ...)``: an incident that observes these sources."""

    def opened(*sources: Source, **given: Any) -> Incident:
        given = {"trigger": "sync-failed", **given}
        return Incident.open(settings, aws, sources={s.name: s for s in sources}, **given)  # type: ignore[arg-type]

    return opened


@pytest.fixture
def journal(tmp_path: Path, clock: MovingClock) -> Journal:
    return Journal(tmp_path / "journal.jsonl", clock=clock)


@pytest.fixture
def in_own_mounts(tmp_path: Path) -> Callable[[str, str], str]:
    """``in_own_mounts(setup, code)``: runs shell ``setup`` and then Python ``code`` where mounts are private, with
    ``$DISK`` a folder of the test's; gives what the code printed. Skips where that is not allowed."""

    def run(setup: str, code: str) -> str:
        if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
            pytest.skip("unshare -m is not allowed here")
        disk = tmp_path / "disk"
        disk.mkdir()
        script = f'set -e\n{setup}\nexec "$PYTHON" -c "$CODE"'
        environment = {**os.environ, "DISK": str(disk), "PYTHON": sys.executable, "CODE": code}
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode == 32:  # mount(8): failure
            pytest.skip("mounting is not allowed here")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
