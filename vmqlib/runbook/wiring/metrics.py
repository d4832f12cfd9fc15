"""Metrics as alarms look at them, and as they are published. Every set of dimensions is a metric of its own.

CloudWatch user guide, *Dimensions*: "CloudWatch treats each unique combination of dimensions as a separate metric".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from vmqlib.runbook.wiring.seen import Row, Seen, loaded, rows

__all__ = ["Looked", "Published", "in_words", "published"]


@dataclass(frozen=True)
class Looked:
    """A metric that an alarm looks at.

    Parameters
    ----------
    namespace, name:
        The metric's.
    dimensions:
        The very set that the alarm gives.
    period_s:
        The alarm's period for it, in seconds; ``None`` where it is not known.
    id:
        Its id within metric math; empty where the alarm looks at one metric.
    account:
        Another account that it is in; empty for our own.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    period_s: int | None = None
    id: str = ""
    account: str = ""


@dataclass(frozen=True)
class Published:
    """A metric, and how it gets datapoints.

    Parameters
    ----------
    namespace, name, dimensions:
        The metric.
    periods:
        In how many periods of the window it got any; ``None`` where that was not seen.
    last_at:
        When the last of them began.
    period_s:
        How long such a period is.
    gap_s, longest_gap_s:
        How far it usually, and at most, was from one to the next; ``None`` for fewer than two.
    even:
        Which share of the gaps is like the usual one.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    periods: int | None = None
    last_at: datetime | None = None
    period_s: float = 0.0
    gap_s: float | None = None
    longest_gap_s: float | None = None
    even: float | None = None

    def is_of(self, looked: Looked) -> bool:
        """Whether it is the very metric: namespace, name and the whole set of dimensions."""
        return (self.namespace, self.name, dict(self.dimensions)) == (
            looked.namespace, looked.name, dict(looked.dimensions),
        )  # fmt: skip

    @property
    def is_heartbeat(self) -> bool:
        """Whether it comes evenly: four of five gaps are like the usual one."""
        return self.even is not None and self.even >= _EVENLY

    def is_silent(self, now: datetime) -> bool:
        """Whether it has been away for longer than twice its usual gap; twice its longest, where it comes unevenly."""
        usual = self.gap_s if self.is_heartbeat else self.longest_gap_s
        if self.last_at is None or usual is None:
            return False
        away = now - self.last_at - timedelta(seconds=self.period_s)
        return away > timedelta(seconds=max(2 * usual, _SHORTEST_SILENCE))


_EVENLY = 0.8
_SHORTEST_SILENCE = 1800.0  # seconds: what CloudWatch and a publisher may be late


def published(seen: Seen) -> list[Published]:
    """Every metric of ``metric-names``; nothing where it was not seen."""
    return [_published(row) for row in rows(seen, "metric-names")]


def _published(row: Row) -> Published:
    at: Any = row["last_at"]
    return Published(
        namespace=row["namespace"] or "",
        name=row["metric"] or "",
        dimensions=loaded(row["dimensions"], {}),
        periods=None if row["periods"] is None else int(row["periods"]),
        last_at=None if at is None else at.to_pydatetime(),
        period_s=float(row["period_s"] or 0),
        gap_s=row["gap_s"],
        longest_gap_s=row["longest_gap_s"],
        even=row["even"],
    )


def in_words(dimensions: Mapping[str, str]) -> str:
    """``App=…, Stage=…``, or ``no dimensions``."""
    return ", ".join(f"{key}={value}" for key, value in dimensions.items()) or "no dimensions"
