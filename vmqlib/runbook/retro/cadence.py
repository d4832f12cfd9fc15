"""Were people told every 30 minutes (runbook, step 5)? From the times of the updates alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Cadence", "Owed", "cadence"]

_NONE = timedelta(0)


@dataclass(frozen=True)
class Owed:
    """An update that was due.

    Parameters
    ----------
    due:
        When.
    sent:
        When it was sent; ``None`` where none was, until the incident was closed (or until now).
    late:
        By how much; zero where it was sent in time.
    """

    due: datetime
    sent: datetime | None
    late: timedelta

    @property
    def kept(self) -> bool:
        """Whether it was sent in time."""
        return self.sent is not None and self.late == _NONE


@dataclass(frozen=True)
class Cadence:
    """How the cadence of updates was kept.

    Parameters
    ----------
    every:
        The cadence.
    owed:
        Every update that was due or sent, oldest first.
    longest:
        The longest time in which nothing was said, while the incident was open.
    """

    every: timedelta
    owed: tuple[Owed, ...]
    longest: timedelta

    @property
    def kept(self) -> tuple[Owed, ...]:
        """Sent in time."""
        return tuple(one for one in self.owed if one.kept)

    @property
    def late(self) -> tuple[Owed, ...]:
        """Sent, but late."""
        return tuple(one for one in self.owed if one.sent is not None and not one.kept)

    @property
    def missing(self) -> tuple[Owed, ...]:
        """Due, and never sent."""
        return tuple(one for one in self.owed if one.sent is None)


def cadence(
    spans: Sequence[tuple[datetime, datetime]],
    updates: Iterable[datetime],
    every: timedelta,
    *,
    tolerance: timedelta = _NONE,
) -> Cadence:
    """What was owed while the incident was open, and what of it was kept.

    The next update is due the cadence after the last one, or after the opening (or reopening). One that is sent while
    the incident is closed was not owed.

    Parameters
    ----------
    spans:
        From when to when the incident was open; the last one until now where it is not closed.
    updates:
        When messages went out.
    every:
        The cadence.
    tolerance:
        What is late by no more than this is in time.
    """
    told = sorted(updates)
    owed: list[Owed] = []
    silences = [_NONE]
    for start, end in spans:
        last = start
        for at in (one for one in told if start <= one <= end):
            late = at - last - every
            owed.append(Owed(last + every, at, late if late > tolerance else _NONE))
            silences.append(at - last)
            last = at
        silences.append(end - last)
        if last + every + tolerance < end:
            owed.append(Owed(last + every, None, end - last - every))
    return Cadence(every, tuple(owed), max(silences))
