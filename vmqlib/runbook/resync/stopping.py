"""A running sync job is stopped (API: StopDataSourceSyncJob, runbook step 2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws, aws_errors
from vmqlib.errors import AwsError, DeadlinePassed, ResourceMissing, Unreachable, VmqError, WorldChanged
from vmqlib.runbook.exclusive import exclusive
from vmqlib.runbook.patience import Patience
from vmqlib.runbook.resync.jobs import SyncJob, describe, find, latest
from vmqlib.runbook.resync.journal import begun, journal_outcome
from vmqlib.runbook.resync.waiting import Trouble, wait
from vmqlib.settings import Settings

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["ACTION", "STEP", "Stopped", "stop", "unsettled_stops"]

STEP = "stabilize"
ACTION = "stop sync"
_CALL = "qbusiness:StopDataSourceSyncJob"


@dataclass(frozen=True)
class Stopped:
    """How the stop of a job ended.

    Parameters
    ----------
    job:
        The job, ended.
    """

    job: SyncJob

    @property
    def ok(self) -> bool:
        """Whether it was stopped: ABORTED. One that ended otherwise had done its work before the stop came."""
        return self.job.status == "ABORTED"

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        if self.ok:
            return f"Sync job {self.job.execution_id} is stopped: ABORTED."
        return f"Sync job {self.job.execution_id} had ended before the stop came: {self.job.status}."


def stop(
    aws: Aws,
    settings: Settings,
    job: SyncJob,
    *,
    incident: Incident | None = None,
    deadline: timedelta = timedelta(minutes=10),
    patience: Patience | None = None,
    progress: Callable[[SyncJob], None] = lambda _: None,
    trouble: Callable[[Trouble], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Stopped:
    """Stops that job, and waits until it has ended. What it had indexed by then stays in the index.

    Parameters
    ----------
    job:
        The job that was looked at. AWS stops whatever runs, so it is looked at again right before.
    incident:
        Whose journal is to tell of it.
    deadline:
        How long to wait for ABORTED.

    Raises
    ------
    WorldChanged
        Another job runs by now; nothing was stopped.
    DeadlinePassed
        It is not ABORTED by the deadline.
    AwsError
        AWS refuses, or cannot be reached.
    """
    insist = patience or Patience(sleep=sleep, monotonic=monotonic)
    if incident is None:
        _request(aws, settings, job, insist)
        return Stopped(
            wait(
                aws, settings, job.data_source_id, job.execution_id, deadline=deadline, progress=progress,
                trouble=trouble, sleep=sleep, monotonic=monotonic,
            )
        )  # fmt: skip
    from vmqlib.runbook.rollback.ground import may_change

    may_change(incident)
    data = {"action": ACTION, "data_source_id": job.data_source_id, "execution_id": job.execution_id}
    try:
        with exclusive(incident):
            incident.applying(STEP, f"Stop sync job {job.execution_id} of {job.data_source_id}.", data)
            _request(aws, settings, job, insist)
        ended = wait(
            aws, settings, job.data_source_id, job.execution_id, deadline=deadline, progress=progress,
            trouble=trouble, sleep=sleep, monotonic=monotonic,
        )  # fmt: skip
    except DeadlinePassed as error:
        incident.note(
            error.message, {**data, "problem": error.message}, step=STEP
        )  # it may still come to its end
        raise
    except VmqError as error:
        incident.failed(STEP, error.message, {**data, "problem": error.message, "hint": error.hint})
        raise
    return _told(incident, ended, data)


def unsettled_stops(
    incident: Incident, aws: Aws, settings: Settings, *, patience: Patience | None = None
) -> None:
    """Finds out what became of stops whose process died, or whose deadline passed, and writes it into the journal."""
    with exclusive(incident):  # not while another process is between its line and its request
        _settle(incident, aws, settings, patience or Patience())


def _settle(incident: Incident, aws: Aws, settings: Settings, insist: Patience) -> None:
    open_ones: dict[str, dict[str, Any]] = {}
    for event in incident.journal.events():
        data = event.data.model_dump()
        if event.step != STEP or data.get("action") != ACTION:
            continue
        if event.kind == "applying":
            open_ones[data["execution_id"]] = data
        elif event.kind in ("applied", "failed"):
            open_ones.pop(data.get("execution_id", ""), None)
    for execution, data in open_ones.items():
        source = data["data_source_id"]
        job = insist(lambda source=source, execution=execution: find(aws, settings, source, execution))  # type: ignore[misc]
        kept = {"action": ACTION, "data_source_id": source, "execution_id": execution, "settled": True}
        if not job.running:
            _told(incident, job, kept)
        elif job.status != "STOPPING":
            summary = f"A stop of sync job {execution} was cut short, and it runs on: {job.status}."
            incident.failed(STEP, summary, {**kept, "problem": "cut short"})


def _request(aws: Aws, settings: Settings, job: SyncJob, insist: Patience) -> None:
    """Asks for the stop, unless it has ended by itself, or something else runs."""
    now = insist(lambda: latest(aws, settings, job.data_source_id))
    if now is not None and now.running and now.execution_id != job.execution_id:
        raise WorldChanged(
            f"Sync job {job.execution_id} has ended, and {now.execution_id} runs by now: nothing was stopped.",
            hint="Look at it with `vmq sync history`; `vmq sync stop` stops that one.",
        )
    if now is None or not now.running or now.status == "STOPPING":
        return
    client = aws.client("qbusiness")

    def ask() -> None:
        with aws_errors(_CALL, resource=f"data source {job.data_source_id}"):
            client.stop_data_source_sync_job(
                applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=job.data_source_id
            )

    try:
        insist(ask)  # asked for twice, it is stopped once
    except AwsError as error:
        if not (isinstance(error, Unreachable | ResourceMissing) or error.code == "ConflictException"):
            raise
        seen = insist(lambda: find(aws, settings, job.data_source_id, job.execution_id))
        if seen.running and seen.status != "STOPPING":
            raise  # the request did not arrive


def _told(incident: Incident, job: SyncJob, data: dict[str, Any]) -> Stopped:
    made = Stopped(job)
    told = {**data, "status": job.status}
    if made.ok:
        incident.applied(STEP, f"{made.sentence} {describe(job, job.ended_at or job.started_at)}", told)
    else:
        incident.failed(STEP, made.sentence, {**told, "problem": made.sentence})
    last = begun(incident).get(job.data_source_id)
    if last is not None and last.execution_id == job.execution_id:
        journal_outcome(incident, job)  # it was this incident's own
    return made
