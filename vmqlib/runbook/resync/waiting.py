"""Waiting for the end of a sync job, whatever the network does meanwhile (API: ListDataSourceSyncJobs)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, DeadlinePassed, Throttled, Unreachable
from vmqlib.runbook.patience import PASSING
from vmqlib.runbook.resync.jobs import MEANING, SyncJob, find
from vmqlib.settings import Settings
from vmqlib.sources.crew import within
from vmqlib.times import duration

__all__ = ["Trouble", "wait"]

# Polling: quick at first, since an incremental sync of a few documents is short, then ever slower.
# ListDataSourceSyncJobs is throttled per account, and several people may be waiting at once: hence the jitter.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 1.0, 15.0, 1.4
# One page of ten jobs is asked for; what takes longer than that is asked again, and said. The last look, at the
# deadline, still gets a moment.
_READ_S, _LOOK_S, _LAST_S = 10.0, 20.0, 1.0


@dataclass(frozen=True)
class Trouble:
    """Why a look did not succeed, and since when none has.

    Parameters
    ----------
    error:
        The last error.
    seconds:
        For how long there was no answer.
    """

    error: AwsError
    seconds: float

    @property
    def sentence(self) -> str:
        """``AWS cannot be reached since 40 s; trying on``."""
        what = "AWS throttles" if isinstance(self.error, Throttled) else "AWS cannot be reached"
        if isinstance(self.error, Unreachable) and self.error.late:
            what = "AWS does not answer"
        since = f" since {duration(timedelta(seconds=self.seconds))}" if self.seconds >= 1 else ""
        return f"{what}{since}; trying on"


def wait(
    aws: Aws,
    settings: Settings,
    data_source_id: str,
    execution_id: str = "",
    *,
    deadline: timedelta = timedelta(hours=2),
    progress: Callable[[SyncJob], None] = lambda _: None,
    trouble: Callable[[Trouble], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> SyncJob:
    """Waits until a sync job has ended, and returns it. The job is left alone whatever happens here.

    Throttling, lost answers, errors on AWS's side and an endpoint that is gone are borne until the deadline.

    Parameters
    ----------
    execution_id:
        The job; empty for the newest one.
    deadline:
        How long to wait.
    progress:
        Called with the job after every look.
    trouble:
        Called after every look that did not succeed. The next call of ``progress`` means that it is over.

    Raises
    ------
    DeadlinePassed
        When it still runs, or could not be seen, after ``deadline``: a look that hangs is dropped then.
    ResourceMissing
        When there is no such job.
    AwsError
        What waiting does not mend: a missing permission, expired credentials.
    """
    rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
    # This loop repeats by itself: with boto3's own repetitions a look could take minutes, and the deadline with it.
    with closing(aws.own_client("qbusiness", max_attempts=1, read_s=_READ_S)) as client:
        answered = monotonic()
        until = answered + deadline.total_seconds()
        pause = _FIRST_PAUSE
        job: SyncJob | None = None
        while True:
            missed: Trouble | None = None
            longer = 0.0
            try:
                job = within(
                    min(_LOOK_S, max(_LAST_S, until - monotonic())),
                    partial(find, aws, settings, data_source_id, execution_id, client=client),
                    "qbusiness:ListDataSourceSyncJobs",
                )
            except PASSING as error:
                missed = Trouble(error, monotonic() - answered)
                longer = error.retry_after if isinstance(error, Throttled) else 0.0
                trouble(missed)
            else:
                answered, execution_id = monotonic(), job.execution_id
                progress(job)
                if not job.running:
                    return job
            left = until - monotonic()
            if left <= 0:
                raise _too_late(data_source_id, job, missed, deadline)
            sleep(min(left, max(longer, pause * rng.uniform(0.8, 1.2))))
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)


def _too_late(
    data_source_id: str, job: SyncJob | None, missed: Trouble | None, deadline: timedelta
) -> DeadlinePassed:
    """How it stands, as far as it is known."""
    after = duration(deadline)
    if missed is None and job is not None:
        said = f"Sync job {job.execution_id} is still {job.status} ({MEANING[job.status]}) after {after}."
    elif missed is not None and job is not None:
        gone = duration(timedelta(seconds=missed.seconds))
        said = (
            f"How sync job {job.execution_id} ended is not known after {after}: it was {job.status} when AWS answered "
            f"last, {gone} ago. {missed.error.message}"
        )
    else:
        why = missed.error.message if missed is not None else ""
        said = f"The sync job of data source {data_source_id} could not be seen within {after}. {why}"
    goes_on = "It goes on by itself. " if job is not None else ""
    return DeadlinePassed(
        said.strip(),
        hint=f"{goes_on}`vmq sync wait` waits again; `vmq sync history` shows what others took.",
    )
