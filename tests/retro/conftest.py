"""Incidents with a clock that is moved by hand, closed and ready to be reviewed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def opened(tmp_path: Path, clock: MovingClock) -> Callable[..., Incident]:
    """``opened(retro={…})``: an incident that was opened now, with these settings."""

    def made(title: str = "Sync fails", trigger: str = "sync-failed", **settings: Any) -> Incident:
        ours = Settings.load(incidents=tmp_path / "incidents", **settings)
        return Incident.open(ours, FakeAws(clock), trigger=trigger, title=title)  # type: ignore[arg-type]

    return made
