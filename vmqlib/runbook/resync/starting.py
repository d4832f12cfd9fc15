"""A sync job is started, or the one that runs is joined (API: StartDataSourceSyncJob, runbook step 4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from vmqlib.aws import Aws, aws_errors
from vmqlib.errors import AwsError, Throttled, Unreachable
from vmqlib.runbook.patience import Patience
from vmqlib.runbook.resync.awstime import offset_of
from vmqlib.runbook.resync.jobs import SyncJob, latest
from vmqlib.runbook.resync.ownership import SLACK, UNKNOWN_CLOCK, Owner, whose
from vmqlib.runbook.resync.readiness import Readiness, must_be_ready, readiness
from vmqlib.settings import Settings

__all__ = ["OutcomeUnknown", "Started", "start"]

_OPERATION = "StartDataSourceSyncJob"
_CALL = f"qbusiness:{_OPERATION}"


class OutcomeUnknown(Unreachable):
    """A request went out, no answer came, and it could not be seen whether it did its work."""


@dataclass(frozen=True)
class Started:
    """How a start ended.

    Parameters
    ----------
    data_source_id:
        The data source.
    execution_id:
        The sync job that now runs.
    joined:
        True when it was found running: no answer told us that we had started it.
    owner:
        Who started it: ``ours``, ``another's``, or ``cannot tell``.
    why:
        How that is known, where the job was found running.
    """

    data_source_id: str
    execution_id: str
    joined: bool
    owner: Owner = "ours"
    why: str = ""


def start(
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    *,
    ready: Readiness | None = None,
    patience: Patience | None = None,
    sending: Callable[[datetime | None], None] = lambda _: None,
) -> Started:
    """Starts a sync job; if one runs already, says which, and whose it is.

    A ConflictException can also mean that our own first request did start the job and only its answer was lost:
    the job that runs is looked up, and its start compared with the time when our request went out.

    Parameters
    ----------
    ready:
        What :func:`~vmqlib.runbook.resync.readiness.readiness` found, where that was looked at already.
    patience:
        How long to go on while AWS throttles.
    sending:
        Told AWS's time right before the request goes out; ``None`` where that is not known.

    Raises
    ------
    CheckFailed
        Index or data source are not ACTIVE: the message says why.
    AwsError
        AWS refuses for any other reason.
    OutcomeUnknown
        No answer came, and it could not be seen whether a job began.
    """
    insist = patience or Patience()
    ready = ready or readiness(aws, settings, data_source_id, patience=insist)
    must_be_ready(ready)
    offset = ready.offset
    sent = aws.clock.now() + (offset or timedelta())
    sending(sent if offset is not None else None)
    try:
        with closing(_Asked(aws, settings, data_source_id)) as asked:
            # A throttled request was not carried out: it may be sent again. One without an answer may not.
            return Started(data_source_id, insist(asked.once, on=(Throttled,)), joined=False)
    except AwsError as error:
        if error.code != "ConflictException" and not asked.lost:
            raise
        refused = error
    if offset is None:
        offset = offset_of(refused, aws.clock.now())
        sent += offset or timedelta()
    slack = SLACK if offset is not None else UNKNOWN_CLOCK
    answered = aws.clock.now() + (offset or timedelta())
    job = _look(aws, settings, data_source_id, insist, refused, lost=asked.lost)
    owner = None if job is None else whose(job.started_at, sent, lost=asked.lost, slack=slack, until=answered)
    if job is None or owner is None or not (job.running or owner.owner == "ours"):
        raise refused
    if refused.code != "ConflictException" and owner.owner == "another's":
        raise refused  # no request of ours did anything, and nobody told that one runs
    return Started(data_source_id, job.execution_id, joined=True, owner=owner.owner, why=owner.why)


class _Asked:
    """The request, and whether an answer to one of its attempts was lost: boto3 repeats it by itself."""

    def __init__(self, aws: Aws, settings: Settings, data_source_id: str) -> None:
        self._client = aws.own_client("qbusiness")
        self._client.meta.events.register(f"needs-retry.qbusiness.{_OPERATION}", self._seen)
        self._ids = {
            "applicationId": settings.app_id,
            "indexId": settings.index_id,
            "dataSourceId": data_source_id,
        }
        self.lost = False

    def once(self) -> str:
        """Sends it; the new job's id."""
        with aws_errors(_CALL, resource=f"data source {self._ids['dataSourceId']}"):
            return str(self._client.start_data_source_sync_job(**self._ids)["executionId"])

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()

    def _seen(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        """After every attempt. A request that never left, or that AWS answered with a refusal, started nothing."""
        from botocore import exceptions as boto

        unsent = boto.EndpointConnectionError | boto.ConnectTimeoutError | boto.ProxyConnectionError
        if caught_exception is not None:
            self.lost = self.lost or not isinstance(caught_exception, unsent)
        elif response is not None and response[0].status_code >= 500:
            self.lost = True


def _look(
    aws: Aws, settings: Settings, data_source_id: str, insist: Patience, refused: AwsError, *, lost: bool
) -> SyncJob | None:
    """The newest job, after a request whose outcome is not known."""
    try:
        return insist(lambda: latest(aws, settings, data_source_id))
    except AwsError as error:
        if not lost:
            raise
        raise OutcomeUnknown(
            f"Nobody knows whether a sync job began: {refused.message}",
            hint=f"And it could not be looked up: {error.message} `vmq sync history` shows it when AWS answers again; "
            "`vmq sync start` joins it.",
            operation=_CALL,
            code=refused.code,
        ) from error
