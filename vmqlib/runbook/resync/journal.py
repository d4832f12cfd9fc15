"""What an incident's journal tells of its sync jobs, and what is written into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.resync.jobs import SyncJob, describe
from vmqlib.runbook.resync.ownership import SLACK, UNKNOWN_CLOCK
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["ACTION", "STEP", "Begun", "begun", "journal_outcome"]

STEP = "resync"
ACTION = "sync"


@dataclass(frozen=True)
class Begun:
    """The newest start of a sync job in an incident's name.

    Parameters
    ----------
    data_source_id:
        Of which data source.
    at:
        When the request was about to go out, by AWS's clock where the journal knows it.
    seq:
        The number of the event that announced it.
    execution_id:
        The job; empty while nobody knows whether one began: the process died in between.
    ended:
        Whether the journal says how the job ended.
    slack:
        How well ``at`` is known in AWS's time.
    """

    data_source_id: str
    at: datetime
    seq: int
    execution_id: str = ""
    ended: bool = False
    slack: timedelta = SLACK

    @property
    def pending(self) -> bool:
        """Whether it is not known what became of the request."""
        return not self.execution_id


def begun(incident: Incident) -> dict[str, Begun]:
    """The newest start of each data source, by its id. From the journal alone."""
    found: dict[str, Begun] = {}
    before: dict[str, Begun | None] = {}
    for event in incident.journal.events():
        if event.step != STEP:
            continue
        data: Mapping[str, Any] = event.data.model_dump()
        source = data.get("data_source_id", "")
        if data.get("action") != ACTION or not source:
            continue
        execution = data.get("execution_id", "")
        match event.kind:
            case "applying":
                before[source] = found.get(source)
                told = data.get("aws_time")
                at, slack = (parse_iso(told), SLACK) if told else (event.at, UNKNOWN_CLOCK)
                found[source] = Begun(source, at, event.seq, slack=slack)
            case "applied" if execution:
                at = found[source].at if source in found else event.at
                found[source] = Begun(source, at, event.seq, execution)
            case "failed" if not execution and source in found and found[source].pending:
                earlier = before.get(source)  # no job began: what counts is the one before
                if earlier is None:
                    del found[source]
                else:
                    found[source] = earlier
            case "verified" | "failed" if source in found and found[source].execution_id == execution:
                found[source] = replace(found[source], ended=True)
    return found


def journal_outcome(incident: Incident, job: SyncJob, more: Mapping[str, Any] | None = None) -> None:
    """Writes how a sync job ended into the incident's journal: verified when it succeeded, failed when not. Once.

    Parameters
    ----------
    more:
        Further data: which documents failed.
    """
    if _told(incident, job.execution_id):
        return
    named = incident.settings.connector(job.data_source_id).name
    name = named if named != job.data_source_id else ""
    said = describe(job, job.ended_at or incident.clock.now(), name)
    data = {
        "action": ACTION, "data_source_id": job.data_source_id, "execution_id": job.execution_id,
        "status": job.status, **(more or {}),
    }  # fmt: skip
    if job.succeeded:
        incident.verified(STEP, said, {**data, "ok": True})
    else:
        incident.failed(STEP, said, {**data, "problem": job.error_message})


def _told(incident: Incident, execution_id: str) -> bool:
    """Whether the journal says how that job ended."""
    return any(
        event.step == STEP
        and event.kind in ("verified", "failed")
        and event.data.model_dump().get("execution_id") == execution_id
        for event in incident.journal.events()
    )
