"""Sync jobs and schedules on the local AWS in this process, whose time passes when a test says so."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook.patience import Patience
from vmqlib.settings import Settings

if TYPE_CHECKING:
    from vmqlib.simulator.qbusiness.models import QBusinessBackend

__all__ = ["CRON", "SyncRig"]

CRON = "cron(35 2 * * ? *)"


class SyncRig:
    """One data source, whose syncs take minutes, its index, and an incident about it.

    Parameters
    ----------
    local:
        A local AWS in this process, to which the environment points. Its clock is made to stand: a slow
        machine's look would find a sync ended.
    attempts:
        How often boto3 tries: 1 lets every fault through.
    """

    def __init__(self, local: Any, attempts: int = 1, **settings: Any) -> None:
        from vmqlib.simulator.qbusiness import Pace

        self.local = local
        local.clock.set(local.clock.now())
        self.settings = Settings.load(**settings)
        self.aws = Aws(self.settings, local.clock, max_attempts=attempts)
        self.source = self.settings.ds_id
        self.slept: list[float] = []
        self._incident: Incident | None = None
        self.backend.pace = Pace(stopping=30, jitter=0)

    @property
    def incident(self) -> Incident:
        """Opened when it is first asked for."""
        if self._incident is None:
            self._incident = Incident.open(
                self.settings,
                self.aws,
                trigger="sync-failed",
                data_source_id=self.source,
                clock=self.local.clock,
            )
        return self._incident

    def again(self) -> Incident:
        """The same incident, as another process would load it."""
        return Incident.load(self.incident.id, settings=self.settings, aws=self.aws, clock=self.local.clock)

    def sleep(self, seconds: float) -> None:
        """Lets the simulated time pass."""
        self.slept.append(seconds)
        self.local.clock.advance(timedelta(seconds=seconds))

    def monotonic(self) -> float:
        """The simulated time, in seconds."""
        return float(self.local.clock.now().timestamp())

    def patience(self, seconds: float = 60) -> Patience:
        """One that waits in simulated time."""
        return Patience(seconds, self.sleep, self.monotonic, random.Random(1))

    @property
    def ids(self) -> dict[str, str]:
        """What names the data source in every call."""
        return {
            "applicationId": self.settings.app_id, "indexId": self.settings.index_id, "dataSourceId": self.source
        }  # fmt: skip

    @property
    def backend(self) -> QBusinessBackend:
        """The simulator's own Q Business."""
        from vmqlib.simulator.identity import ACCOUNT_ID, REGION
        from vmqlib.simulator.qbusiness.models import qbusiness_backends

        return qbusiness_backends[ACCOUNT_ID][REGION]  # type: ignore[no-any-return]

    @property
    def schedule(self) -> str:
        """The schedule as AWS has it."""
        return str(self.resource().settings["syncSchedule"])

    @schedule.setter
    def schedule(self, cron: str) -> None:
        self.resource().settings["syncSchedule"] = cron

    def resource(self, kind: str = "DATA_SOURCE") -> Any:
        """The data source, or the index, in the simulator's hands."""
        return self.backend.resources.get(kind, self.ids)

    def jobs(self) -> list[Any]:
        """All jobs of the data source, oldest first, as the simulator has them."""
        return list(self.backend.syncs.jobs(self.source))

    def quiet(self) -> None:
        """Lets whatever runs come to its end, takes faults away, and puts everything back."""
        self.local.faults.clear()
        while self.backend.syncs.running(self.source) is not None:
            self.local.clock.advance(timedelta(minutes=1))
            self.aws.client("qbusiness").list_data_source_sync_jobs(**self.ids)
        self.resource().status = self.resource("INDEX").status = "ACTIVE"
        self.schedule = CRON

    def events(self, *steps: str) -> list[tuple[str, str]]:
        """The journal: step and kind of each event, but for the opening."""
        found = [(event.step, event.kind) for event in self.incident.journal.events()][1:]
        return [one for one in found if not steps or one[0] in steps]
