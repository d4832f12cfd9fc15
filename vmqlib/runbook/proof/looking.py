"""The looking part of a proof: what is asked of AWS, and over which span.

Reads only: ``qbusiness:ListDataSourceSyncJobs``, ``qbusiness:ListDocuments``, ``qbusiness:GetDataSource``,
``logs:FilterLogEvents``, ``s3:ListBucketVersions``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.proof.concluding import conclude
from vmqlib.runbook.proof.expecting import Deed, deeds
from vmqlib.runbook.proof.keeping import STEP, keep
from vmqlib.runbook.proof.sighting import SOURCES
from vmqlib.sources.syncjobs import TERMINAL
from vmqlib.times import Window

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.proof.results import Proof
    from vmqlib.settings import Settings

__all__ = ["look", "prove"]

Watch = Callable[[str], None]

_REPORT = "document-report"
_AS_BEFORE = timedelta(hours=48)
"""How far back an incident reads logs: the report that a record shows is not to shrink by a proof."""
_EARLIER = timedelta(minutes=5)
"""Clocks differ, and log events are dated by their writer."""


def _quiet(_name: str) -> None:
    """Says nothing."""


def prove(incident: Incident, *, execution_id: str = "", step: str = STEP, progress: Watch = _quiet) -> Proof:
    """Looks whether the newest sync took over what this incident did to the bucket; without a rollback, whether index
    and bucket agree. What was seen is kept as evidence, and the verdict written into the journal.

    Parameters
    ----------
    execution_id:
        Only the evidence of this sync job counts.
    step:
        The runbook's step that it is for.
    progress:
        Told the name of each source when it was looked at.

    Raises
    ------
    BadInput
        The incident is closed, was loaded offline or has no data source, or there is no such sync job.
    VmqError
        What was seen cannot be written down. What could not be seen never raises: the proof says so.
    """
    from vmqlib.runbook.rollback.ground import bucket_of, connected

    connected(incident)
    if incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is closed: its record is complete, and nothing is added to it.",
            hint="`vmq sync verify` without --incident looks and writes nothing.",
        )
    chosen = incident.identity.data_source_id or incident.settings.ds_id
    if not chosen:
        raise BadInput(
            f"{incident.id} is about no data source.",
            hint="Set DS_ID, or open the incident with --data-source.",
        )
    done, problems = _masked(incident, *deeds(incident))
    seen = incident.observe(["sync-jobs"], refresh=True, step=step, progress=progress)
    now = incident.clock.now()
    since = min(now - _AS_BEFORE, _since(seen["sync-jobs"], chosen, execution_id, _earliest(done)))
    rest = [name for name in SOURCES if name != "sync-jobs"]
    windows = {_REPORT: Window(since, now)}
    seen |= incident.observe(rest, refresh=True, windows=windows, step=step, progress=progress)
    made = conclude(
        seen,
        done,
        data_source_id=chosen,
        bucket=bucket_of(incident),
        at=now,
        execution_id=execution_id,
        incident=incident.id,
        rollback=_rollback(incident, problems),
        settings=incident.settings,
    )
    keep(incident, made, step)
    return made


def look(
    aws: Aws, settings: Settings, data_source_id: str, *, execution_id: str = "", progress: Watch = _quiet
) -> Proof:
    """The same without an incident: whether the newest sync left index and bucket in agreement. Nothing is written.

    Parameters
    ----------
    data_source_id:
        Whose sync.
    execution_id, progress:
        As for :func:`prove`.

    Raises
    ------
    BadInput
        There is no such sync job.
    """
    from vmqlib.runbook.triggers.detection import live

    now = aws.clock.now()
    wide = Window(now - _AS_BEFORE, now)
    seen = live(aws, settings, wide, names=["sync-jobs"], data_source_id=data_source_id, progress=progress)
    since = _since(seen["sync-jobs"], data_source_id, execution_id, None)
    rest = [name for name in SOURCES if name != "sync-jobs"]
    seen |= live(
        aws, settings, Window(since, now), names=rest, data_source_id=data_source_id, progress=progress
    )
    return conclude(
        seen,
        {},
        data_source_id=data_source_id,
        bucket=settings.bucket_of(settings.connector(data_source_id)),
        at=now,
        execution_id=execution_id,
        settings=settings,
    )


def _masked(
    incident: Incident, done: Mapping[str, Deed], problems: tuple[str, ...]
) -> tuple[dict[str, Deed], tuple[str, ...]]:
    """The keys as evidence has them: a plan holds them exactly; what is seen is masked before it is written down."""
    mask = incident.redactor.text
    made = {(name := mask(key)): replace(one, key=name) for key, one in done.items()}
    if len(made) < len(done):
        alike = len(done) - len(made)
        problems = (*problems, f"{alike:,} keys are masked to the same name, and cannot be told apart.")
    return made, problems


def _earliest(done: Mapping[str, Deed]) -> datetime | None:
    return min((one.at for one in done.values() if one.at is not None), default=None)


def _since(jobs: Observation, data_source_id: str, execution_id: str, changed: datetime | None) -> datetime:
    """Where the report is read from: the sync in question, or the first one after the first change."""
    now = jobs.at
    assert now is not None
    if not jobs.available:
        return (changed or now) - _EARLIER
    mine = jobs.frame[jobs.frame["data_source_id"].eq(data_source_id) & jobs.frame["started_at"].notna()]
    if execution_id:
        mine = mine[mine["execution_id"].eq(execution_id)]
        if mine.empty:
            raise BadInput(
                f"Data source {data_source_id} has no sync job {execution_id}.",
                hint="`vmq sync history` lists the jobs.",
            )
    ended = mine[mine["status"].isin(TERMINAL)].sort_values("started_at")
    if ended.empty:
        return (changed or now) - _EARLIER
    newest: datetime = ended["started_at"].iloc[-1].to_pydatetime(warn=False)
    return min(newest, changed or newest) - _EARLIER


def _rollback(incident: Incident, problems: tuple[str, ...]) -> CheckResult | None:
    """Whether what was begun in the bucket came to its end: what is half done proves nothing."""
    from vmqlib.runbook import rollback
    from vmqlib.runbook.rollback.purposes import PURPOSES

    if problems:
        return CheckResult("The rollback is done", None, f"What was done cannot be read: {problems[0]}")
    for purpose in PURPOSES:
        now = rollback.status(incident, purpose)
        if now.applied is not None and now.applied.ending in {"unfinished", "interrupted", "failed"}:
            return CheckResult(f"The {purpose} is done", False, now.applied.sentence, mend=now.command)
    last = rollback.status(incident).applied
    if last is None:
        return None
    return CheckResult("The rollback is done", True, last.sentence, last.digest[:12])
