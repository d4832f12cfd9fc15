"""A sync is started in an incident's name: announced, started once, and found again after a crash (runbook step 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws
from vmqlib.errors import VmqError, WorldChanged
from vmqlib.runbook.exclusive import exclusive
from vmqlib.runbook.patience import Patience
from vmqlib.runbook.resync.jobs import SyncJob, find, listed
from vmqlib.runbook.resync.journal import ACTION, STEP, Begun, begun, journal_outcome
from vmqlib.runbook.resync.ownership import RESOLUTION, Whose, whose
from vmqlib.runbook.resync.readiness import Readiness, rollbacks
from vmqlib.runbook.resync.starting import OutcomeUnknown, Started, start
from vmqlib.settings import Settings
from vmqlib.times import iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["journaled_start", "settle"]


def journaled_start(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    *,
    ready: Readiness | None = None,
    patience: Patience | None = None,
    about: Mapping[str, Any] | None = None,
) -> Started:
    """:func:`start` with the intention and the outcome in the incident's journal.

    A job that this incident has started, and that runs still, is joined: two who start at once start one. What became
    of a start whose process died is found out first.

    Parameters
    ----------
    ready, patience:
        As for :func:`start`.
    about:
        Further data for the journal; ``despite_rollback`` says why it is started although a rollback is half done.

    Raises
    ------
    BadInput
        The incident is closed.
    WorldChanged
        A rollback of this incident is half done (exit code 4): half of it must not be indexed.
    LockHeld
        Another process changes something in this incident, and does not come to an end.
    VmqError
        As :func:`start`.
    """
    from vmqlib.runbook.rollback.ground import may_change

    may_change(incident)
    with exclusive(incident):
        before = _settle(incident, aws, settings, data_source_id, patience or Patience())
        if before is not None:
            return before
        return _start_now(incident, aws, settings, data_source_id, ready, patience, dict(about or {}))


def _start_now(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    ready: Readiness | None,
    patience: Patience | None,
    about: dict[str, Any],
) -> Started:
    data = {**about, "action": ACTION, "data_source_id": data_source_id}

    def sending(at: datetime | None) -> None:
        summary = f"Start a sync job of data source {data_source_id}."
        incident.applying(STEP, summary, data | ({"aws_time": iso(at)} if at else {}))

    try:
        half = next((one for one in rollbacks(settings, data_source_id, incident) if one.ok is False), None)
        if half is not None and not about.get("despite_rollback"):
            raise WorldChanged(f"No sync was started: {half.finding}", hint=half.mend)
        started = start(aws, settings, data_source_id, ready=ready, patience=patience, sending=sending)
    except OutcomeUnknown:
        raise  # the journal is left open there: the next start, or wait, looks what became of it
    except VmqError as error:
        incident.failed(STEP, error.message, {**data, "problem": error.message, "hint": error.hint})
        raise
    told = {**data, "execution_id": started.execution_id, "joined": started.joined, "owner": started.owner}
    if started.joined:
        summary = f"Joined sync job {started.execution_id}, which was found running; {started.why}."
    else:
        summary = f"Started sync job {started.execution_id}."
    incident.applied(STEP, summary, told)
    return started


def settle(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    *,
    patience: Patience | None = None,
) -> Started | None:
    """What became of the last start in this incident's name: the job that it started, when that runs still.

    Where the process died before the journal knew, the jobs tell, and the journal gets its line. How a job ended that
    nobody waited for is written down, too.

    Raises
    ------
    LockHeld
        Another process is starting one, and does not come to an end.
    AwsError
        The jobs cannot be listed: nothing is written then.
    """
    with exclusive(incident):
        return _settle(incident, aws, settings, data_source_id, patience or Patience())


def _settle(
    incident: Incident, aws: Aws, settings: Settings, data_source_id: str, insist: Patience
) -> Started | None:
    last = begun(incident).get(data_source_id)
    if last is None or last.ended:
        return None
    if last.pending:
        found = _found(incident, last, insist(lambda: _since(aws, settings, last)))
        if found is None:
            return None
        job, owner = found
        if not job.running:
            journal_outcome(incident, job)
            return None
        return Started(data_source_id, job.execution_id, joined=True, owner=owner.owner, why=owner.why)
    job = insist(lambda: find(aws, settings, data_source_id, last.execution_id))
    if job.running:
        why = f"ours: {incident.id} started it at {show_time(job.started_at)}"
        return Started(data_source_id, job.execution_id, joined=True, owner="ours", why=why)
    journal_outcome(incident, job)
    return None


def _since(aws: Aws, settings: Settings, last: Begun) -> list[SyncJob]:
    """The jobs that began since a request went out, or seem so, oldest first; and the one before them."""
    jobs: list[SyncJob] = []
    for job in listed(aws, settings, last.data_source_id):
        jobs.append(job)
        if job.started_at < last.at - last.slack - RESOLUTION:
            break
    return jobs[::-1]


def _found(incident: Incident, last: Begun, jobs: Sequence[SyncJob]) -> tuple[SyncJob, Whose] | None:
    """Whether a start that the journal only announced had its job. Writes down which way it went."""
    data = {"action": ACTION, "data_source_id": last.data_source_id, "settled": True}
    told = [(job, whose(job.started_at, last.at, lost=True, slack=last.slack)) for job in jobs]
    # Others may have begun since: ours is the one that began next to the request.
    fitting = [one for one in told if one[1].owner != "another's"]
    if not fitting:
        newest = f"The newest job is {told[-1][1].why}." if told else "There is no job."
        incident.failed(
            STEP,
            f"A start of data source {last.data_source_id} was cut short, and no job came of it. {newest}",
            {**data, "problem": "cut short"},
        )
        return None
    job, owner = next((one for one in fitting if one[1].owner == "ours"), fitting[0])
    incident.applied(
        STEP,
        f"A start that was cut short had its job: {job.execution_id}; {owner.why}.",
        {**data, "execution_id": job.execution_id, "joined": True, "owner": owner.owner},
    )
    return job, owner
