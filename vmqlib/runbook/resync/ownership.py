"""Whose sync job it is that was found running: told by when it began. Pure.

CloudTrail does not say: StartDataSourceSyncJob is a data event, which is off unless somebody pays for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from vmqlib.times import duration

__all__ = ["LONGEST_REQUEST", "RESOLUTION", "SLACK", "UNKNOWN_CLOCK", "Owner", "Whose", "whose"]

Owner = Literal["ours", "another's", "cannot tell"]

RESOLUTION = timedelta(seconds=1)
"""Of a job's start, at worst: our own may seem to have begun so much before the request."""

SLACK = timedelta(seconds=2)
"""How well two clocks agree that were compared: AWS's ``Date`` has whole seconds, and a request takes its time."""

UNKNOWN_CLOCK = timedelta(minutes=5)
"""How far a machine's clock may be off that nobody could compare."""

LONGEST_REQUEST = timedelta(minutes=5)
"""A request that was sent has arrived by then, boto3's repetitions included, or never will."""


@dataclass(frozen=True)
class Whose:
    """Who started a job.

    Parameters
    ----------
    owner:
        ``ours``, ``another's`` or ``cannot tell``.
    why:
        One sentence, as sure as it can be.
    """

    owner: Owner
    why: str


def whose(
    began: datetime, sent: datetime, *, lost: bool, slack: timedelta = SLACK, until: datetime | None = None
) -> Whose:
    """Whether a job that runs is the one that a request of ours started.

    Parameters
    ----------
    began:
        The job's start, by AWS's clock.
    sent:
        When our first request went out, by the same clock: not before that, as well as it is known.
    lost:
        Whether an answer to one of our requests was lost: only such a request may have started a job unnoticed.
    slack:
        How well the two clocks agree.
    until:
        When our last request can have arrived; by default :data:`LONGEST_REQUEST` after the first.
    """
    after = began - sent
    when = _when(after)
    if not lost:
        return Whose("another's", f"another's: it began {when}, and no answer to us was lost")
    if after < -(RESOLUTION + slack):
        return Whose("another's", f"another's: it began {when}")
    if began > (until or sent + LONGEST_REQUEST) + slack:
        return Whose("another's", f"another's, most likely: it began {when}")
    if after < -RESOLUTION or slack > SLACK:
        why = f"cannot tell whose: it began {when}, and the clocks agree to {duration(slack)} only"
        return Whose("cannot tell", why)
    return Whose("ours", f"ours, most likely: it began {when}")


def _when(after: timedelta) -> str:
    if abs(after) <= timedelta(seconds=1):
        return "within a second of our request"
    return f"{duration(abs(after))} {'after' if after > timedelta() else 'before'} our request"
