"""Whether a sync can be started: the index and the data source, and the rollback that may be half done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws, aws_errors
from vmqlib.errors import AccessDenied, CheckFailed
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.patience import Patience
from vmqlib.runbook.resync.awstime import offset_of
from vmqlib.settings import Settings
from vmqlib.sources.base import gather

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["DataSource", "Readiness", "data_source", "must_be_ready", "readiness", "rollbacks"]

_ADVICE = {
    "UPDATING": "It is being changed: repeat in a minute.",
    "CREATING": "It is being made: repeat in a few minutes.",
    "PENDING_CREATION": "It is being made: repeat in a few minutes.",
    "DELETING": "It is being deleted: nothing can be synchronised into it.",
    "FAILED": "Mend what it says in the Q Business console, or with UpdateDataSource; a sync cannot.",
}
_HALF_DONE = frozenset({"unfinished", "interrupted"})
_DOUBTFUL = {
    "failed": "AWS refused some of its objects: they would be indexed as they were before.",
    "changed": "Somebody else changed some of its objects meanwhile: those would be indexed as they are.",
    "differs": "The bucket is not as it planned: it would be indexed as it is.",
}


@dataclass(frozen=True)
class DataSource:
    """A data source as it is now (API: GetDataSource).

    Parameters
    ----------
    data_source_id, name:
        What it is; its display name.
    kind:
        Its type: ``S3``, ``CUSTOM``, ``CONFLUENCE`` …
    status:
        ``ACTIVE`` when it can be synchronised.
    error:
        What Q Business says is wrong with it; empty when nothing is.
    schedule:
        Its cron expression; empty means on demand.
    offset:
        How far AWS's clock is ahead of ours.
    """

    data_source_id: str
    name: str = ""
    kind: str = ""
    status: str = ""
    error: str = ""
    schedule: str = ""
    offset: timedelta | None = None


@dataclass(frozen=True)
class Readiness:
    """What a sync needs, as it was found.

    Parameters
    ----------
    source:
        The data source; ``None`` where nobody may look at it.
    checks:
        Index and data source: each is ACTIVE, is not, or cannot be told for want of a permission.
    offset:
        How far AWS's clock is ahead of ours; ``None`` where it did not say.
    """

    source: DataSource | None
    checks: tuple[CheckResult, ...]
    offset: timedelta | None = None

    @property
    def refusal(self) -> CheckResult | None:
        """The first check that failed."""
        return next((check for check in self.checks if check.ok is False), None)


def data_source(aws: Aws, settings: Settings, data_source_id: str) -> DataSource:
    """The data source as it is now (API: GetDataSource).

    Raises
    ------
    AwsError
        Refused, not there, or not reached.
    """
    with aws_errors("qbusiness:GetDataSource", f"data source {data_source_id}"):
        answer: Mapping[str, Any] = aws.client("qbusiness").get_data_source(
            applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=data_source_id
        )
    return DataSource(
        data_source_id,
        name=answer.get("displayName", ""),
        kind=answer.get("type", ""),
        status=answer.get("status", ""),
        error=_said(answer),
        schedule=answer.get("syncSchedule", ""),
        offset=offset_of(answer, aws.clock.now()),
    )


def readiness(
    aws: Aws, settings: Settings, data_source_id: str, *, patience: Patience | None = None
) -> Readiness:
    """Looks whether index and data source are ACTIVE (API: GetIndex, GetDataSource).

    Raises
    ------
    AwsError
        One of them is not there, or AWS cannot be reached. A missing permission to look is told in the check: it must
        not keep anybody from starting a sync.
    """
    insist = patience or Patience()
    found = gather(
        [
            lambda: _seen(lambda: insist(lambda: _index(aws, settings))),
            lambda: _seen(lambda: insist(lambda: data_source(aws, settings, data_source_id))),
        ]
    )
    index, source = found
    offsets = [one.offset for one in found if isinstance(one, DataSource)]
    offsets += [offset_of(one, aws.clock.now()) for one in found if isinstance(one, AccessDenied)]
    return Readiness(
        source if isinstance(source, DataSource) else None,
        (
            _check("index", settings.index_id, index),
            _check("data source", data_source_id, source),
        ),
        next((one for one in offsets if one is not None), None),
    )


def must_be_ready(found: Readiness) -> None:
    """Refuses what cannot work.

    Raises
    ------
    CheckFailed
        The index or the data source is not ACTIVE; the message says what Q Business says (exit code 1).
    """
    if (wrong := found.refusal) is not None:
        raise CheckFailed(f"No sync can be started: {wrong.finding}", hint=wrong.mend)


def rollbacks(
    settings: Settings, data_source_id: str, incident: Incident | None = None
) -> tuple[CheckResult, ...]:
    """Whether a rollback is half done: half of it must not be indexed (runbook step 3).

    Parameters
    ----------
    incident:
        The incident in whose name the sync is started. Without one, every open incident of that bucket is looked at.

    Returns
    -------
    tuple of CheckResult
        One for each incident that has something to say; none when all is well.
    """
    from vmqlib.runbook import rollback

    checks = []
    for one in [incident] if incident is not None else _open_ones(settings, data_source_id):
        now = rollback.status(one)
        command = f"`{now.command}`" if now.command else f"`vmq show {one.id}`"
        if now.state in _HALF_DONE:
            finding = f"The rollback of {one.id} has not come to its end: half of it would be indexed."
            checks.append(CheckResult("rollback", False, finding, one.id, f"{command} goes on with it."))
        elif now.state in _DOUBTFUL:
            finding = f"The rollback of {one.id}: {_DOUBTFUL[now.state][0].lower()}{_DOUBTFUL[now.state][1:]}"
            checks.append(CheckResult("rollback", None, finding, one.id, f"First {command}."))
    return tuple(checks)


def _open_ones(settings: Settings, data_source_id: str) -> list[Incident]:
    """Open incidents that have a rollback of the bucket that the data source reads."""
    from vmqlib.errors import VmqError
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.ground import bucket_of
    from vmqlib.runbook.rollback.story import FOLDER

    bucket = settings.bucket_of(settings.connector(data_source_id))
    found = []
    for entry in Incident.list(settings.incidents):
        if entry.closed_at or entry.problem or not (settings.incidents / entry.id / FOLDER).is_dir():
            continue
        try:
            incident = Incident.load(entry.id, settings=settings)
            if bucket_of(incident) == bucket:
                found.append(incident)
        except VmqError:  # a broken record is `vmq verify`'s affair
            continue
    return found


def _index(aws: Aws, settings: Settings) -> DataSource:
    """The index, in the same shape: what counts is its status and error."""
    with aws_errors("qbusiness:GetIndex", f"index {settings.index_id}"):
        answer: Mapping[str, Any] = aws.client("qbusiness").get_index(
            applicationId=settings.app_id, indexId=settings.index_id
        )
    return replace(
        DataSource(settings.index_id),
        name=answer.get("displayName", ""),
        status=answer.get("status", ""),
        error=_said(answer),
        offset=offset_of(answer, aws.clock.now()),
    )


def _said(answer: Mapping[str, Any]) -> str:
    error = answer.get("error") or {}
    return ": ".join(part for part in (error.get("errorCode"), error.get("errorMessage")) if part)


def _seen(look: Callable[[], DataSource]) -> DataSource | AccessDenied:
    try:
        return look()
    except AccessDenied as error:
        return error


def _check(what: str, identity: str, found: DataSource | AccessDenied) -> CheckResult:
    if isinstance(found, AccessDenied):
        finding = f"Whether the {what} is ACTIVE cannot be told: {found.message}"
        return CheckResult(what, None, finding, identity, found.hint)
    if found.status == "ACTIVE":
        return CheckResult(what, True, f"The {what} is ACTIVE.", identity)
    why = f": {found.error.rstrip('.')}" if found.error else ""
    return CheckResult(
        what,
        False,
        f"The {what} {identity} is {found.status or 'in no known state'}{why}.",
        identity,
        _ADVICE.get(found.status, "Look at it in the Q Business console."),
    )
