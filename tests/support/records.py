"""What tests of the record stand on: a clock that is moved by hand, and sources that answer what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from vmqlib.aws import Caller
from vmqlib.sources.base import COUNT, TEXT, TIME, Column, Reading, Source

__all__ = ["ARN", "COLUMNS", "FakeAws", "MovingClock", "source"]

ARN = "arn:aws:sts::123456789012:assumed-role/OnCall/dana"
COLUMNS = {
    "at": Column(TIME, "", "when"),
    "key": Column(TEXT, "", "which"),
    "count": Column(COUNT, "documents", "how many"),
}


@dataclass
class MovingClock:
    """Stands still until a test moves it."""

    at: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def forward(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class FakeAws:
    """As much of AWS as the record needs: who asks, and a clock."""

    clock: MovingClock
    problem: Exception | None = None
    asked: int = field(default=0)

    def caller(self) -> Caller:
        self.asked += 1
        if self.problem:
            raise self.problem
        return Caller("123456789012", ARN, "dana")


Rows = Iterable[Mapping[str, Any]] | Exception | Callable[[], Iterable[Mapping[str, Any]]]


def source(name: str, rows: Rows, **reading: Any) -> Source:
    """A source that answers with ``rows``, or with what they raise."""

    def read(aws: Any, settings: Any, window: Any, *, data_source_id: str = "") -> Reading:
        if isinstance(rows, Exception):
            raise rows
        return Reading(name, "test:Look", {"id": 1}, rows() if callable(rows) else rows, **reading)

    return Source(name, name.replace("-", " ").capitalize(), read, COLUMNS)
