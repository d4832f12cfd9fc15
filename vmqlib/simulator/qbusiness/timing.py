"""The simulated time, and how long things take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moto.core.utils import utcnow

__all__ = ["Pace", "aware", "naive", "now"]


def now() -> datetime:
    """moto's present, timezone-aware UTC: the simulated one where the simulator's clock is in charge."""
    return aware(utcnow())


def aware(moment: datetime) -> datetime:
    """``moment`` in UTC; one without an offset is moto's naive UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def naive(moment: datetime) -> datetime:
    """``moment`` as moto keeps times: naive UTC."""
    return aware(moment).replace(tzinfo=None)


@dataclass(frozen=True)
class Pace:
    """How long a sync takes, in simulated seconds. The default lets 300 documents take two to four minutes.

    Parameters
    ----------
    base:
        From the start to the first document crawled, and when a source cannot be read at all, to the failure.
    per_scanned:
        For each document crawled.
    per_indexed:
        For each document added, modified, deleted or failed.
    closing:
        From the last document to the final status.
    stopping:
        From StopDataSourceSyncJob to ABORTED.
    jitter:
        How much each duration varies, as a share of it (0.1: up to 10 % more or less).
    """

    base: float = 25.0
    per_scanned: float = 0.35
    per_indexed: float = 0.6
    closing: float = 5.0
    stopping: float = 4.0
    jitter: float = 0.15

    @classmethod
    def quick(cls) -> Pace:
        """A sync of a few hundred documents in a few seconds, for demos that run by the real clock."""
        return cls(base=1.0, per_scanned=0.004, per_indexed=0.01, closing=0.3, stopping=0.3, jitter=0.1)

    def span(self, seconds: float, dice: float) -> timedelta:
        """``seconds`` with jitter, at least a millisecond; ``dice`` is a number in [0, 1)."""
        return timedelta(seconds=max(0.001, seconds * (1 + self.jitter * (2 * dice - 1))))
