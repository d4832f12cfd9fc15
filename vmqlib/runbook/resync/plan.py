"""What a start would do, before anybody is asked (runbook step 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, CheckFailed, VmqError, WorldChanged
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.patience import Patience
from vmqlib.runbook.resync.estimate import MOST_RUNS, Estimate, estimate
from vmqlib.runbook.resync.jobs import SyncJob, listed
from vmqlib.runbook.resync.readiness import Readiness, readiness, rollbacks
from vmqlib.settings import Connector, Settings
from vmqlib.sources.base import gather

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["StartPlan", "plan_starts"]


@dataclass(frozen=True)
class StartPlan:
    """One data source, and what a start would meet.

    Parameters
    ----------
    connector:
        The connector.
    ready:
        Whether it can be started; ``None`` where that could not be looked at.
    running:
        The job that runs now; a start joins it.
    usual:
        How long past jobs took.
    rollbacks:
        Rollbacks that are half done (refused), or not what was planned (warned of).
    problem:
        Why it could not be looked at.
    """

    connector: Connector
    ready: Readiness | None = None
    running: SyncJob | None = None
    usual: Estimate | None = None
    rollbacks: tuple[CheckResult, ...] = ()
    problem: VmqError | None = None

    def refusal(self, *, despite_rollback: bool = False) -> VmqError | None:
        """Why it must not be started: exit code 1 when something is not ACTIVE, 4 for a rollback that is half done."""
        if self.problem is not None:
            return self.problem
        if self.ready is not None and (wrong := self.ready.refusal) is not None:
            return CheckFailed(f"No sync can be started: {wrong.finding}", hint=wrong.mend)
        half = next((check for check in self.rollbacks if check.ok is False), None)
        if half is None or despite_rollback:
            return None
        hint = f"{half.mend} Or start all the same with --despite-rollback 'why'."
        return WorldChanged(f"No sync was started: {half.finding}", hint=hint)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth knowing before the answer."""
        checks = [*(self.ready.checks if self.ready else ()), *self.rollbacks]
        return tuple(f"{check.finding} {check.mend}".strip() for check in checks if check.ok is None)


def plan_starts(
    aws: Aws,
    settings: Settings,
    connectors: Sequence[Connector],
    incident: Incident | None = None,
    *,
    patience: Patience | None = None,
) -> tuple[StartPlan, ...]:
    """Looks at each of them; changes nothing. What cannot be looked at is told in its plan."""
    insist = patience or Patience(10)  # somebody sits and waits for it
    half = {each.data_source_id: rollbacks(settings, each.data_source_id, incident) for each in connectors}

    def one(connector: Connector) -> StartPlan:
        source = connector.data_source_id
        try:
            ready = readiness(aws, settings, source, patience=insist)
        except VmqError as error:
            return StartPlan(connector, problem=error)
        try:
            jobs = insist(lambda: list(islice(listed(aws, settings, source), MOST_RUNS)))
        except AwsError:  # it is asked for the estimate alone: a start says by itself what runs
            jobs = []
        running = jobs[0] if jobs and jobs[0].running else None
        return StartPlan(connector, ready, running, estimate(jobs), half[source])

    return tuple(gather([lambda each=each: one(each) for each in connectors]))  # type: ignore[misc]
