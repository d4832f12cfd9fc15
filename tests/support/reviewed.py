"""An incident with a whole day in it, from first bad sign to closing, for tests of its review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY
from vmqlib.sources.base import Reading, Source
from vmqlib.times import iso

__all__ = ["DAY", "DS", "History", "at"]

DAY = datetime(2026, 11, 23, tzinfo=UTC)
DS = "f7c1bd87-4da5-4709-9471-3d60c8a70639"


def at(clock: str) -> datetime:
    """A time of that day: ``09:12`` or ``09:12:30``."""
    hours, minutes, seconds = (*map(int, clock.split(":")), 0)[:3]
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)


class History:
    """Makes an incident by saying what happened when.

    Parameters
    ----------
    root:
        The incidents folder.
    syncs:
        ``(start, end, status)`` of each sync job, as times of the day.
    rings:
        ``(time, state)`` of each change of the alarm QBusinessSyncFailed.
    alarm:
        Whether there is such an alarm at all.
    failing:
        Sources that AWS refuses.
    """

    def __init__(
        self,
        root: Path,
        *,
        syncs: Iterable[tuple[str, str, str]] = (),
        rings: Iterable[tuple[str, str]] = (),
        alarm: bool = True,
        failing: Mapping[str, Exception] | None = None,
        trigger: str = "sync-failed",
        opened: str = "09:00",
        **settings: Any,
    ) -> None:
        self.clock = MovingClock(at(opened))
        self.settings = Settings.load(incidents=root, ds_id=DS, **settings)
        self.syncs = [*syncs]
        self._rings, self._alarm, self._failing = [*rings], alarm, dict(failing or {})
        sources = {name: self._source(name) for name in ("sync-jobs", "alarms", "alarm-history")}
        self.incident = Incident.open(
            self.settings, FakeAws(self.clock), trigger=trigger, title="Sync <fails>", data_source_id=DS,
            sources=sources,
        )  # type: ignore[arg-type]  # fmt: skip
        self.incident.observe()

    def to(self, clock: str) -> Incident:
        """Moves the clock on to that time of the day; gives the incident."""
        assert at(clock) >= self.clock.at
        self.clock.at = at(clock)
        return self.incident

    def _source(self, name: str) -> Source:
        def read(*_: Any, **__: Any) -> Reading:
            if name in self._failing:
                raise self._failing[name]
            return Reading(name, "test:Look", {}, [*self._rows(name)])

        return replace(REGISTRY[name], read=read)

    def _rows(self, name: str) -> Iterable[dict[str, Any]]:
        columns = dict.fromkeys(REGISTRY[name].columns)
        past = [one for one in self._rings if at(one[0]) <= self.clock.at]
        if name == "sync-jobs":
            for number, (start, end, status) in enumerate(self.syncs):
                if at(start) <= self.clock.at:
                    yield columns | {
                        "data_source_id": DS, "execution_id": f"job-{number}", "status": status, "failed": 3,
                        "started_at": iso(at(start)), "ended_at": iso(at(end)),
                    }  # fmt: skip
        elif name == "alarms" and self._alarm:
            state, since = (past[-1][1], at(past[-1][0])) if past else ("OK", DAY)
            yield columns | {
                "name": self.settings.alarms.sync_failed, "state": state, "since": iso(since), "metric": "SyncFailed",
                "namespace": "VaultMesh/QBusiness", "period_s": 300, "evaluation_periods": 1, "threshold": 1.0,
            }  # fmt: skip
        elif name == "alarm-history":
            old = "OK"
            for moment, state in past:
                yield columns | {
                    "name": self.settings.alarms.sync_failed,
                    "at": iso(at(moment)),
                    "old_state": old,
                    "new_state": state,
                }
                old = state
