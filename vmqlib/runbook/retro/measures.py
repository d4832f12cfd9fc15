"""How long each part took, and how that is known. Pure.

Times are measured between moments that the journal and the evidence tell. What they do not tell is not known: a
measure never rests on a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

__all__ = ["MEASURES", "Measure", "MeasureName", "Moment", "Moments", "measures"]

MeasureName = Literal["detect", "opening", "acknowledge", "mitigate", "resolve", "exposed"]


@dataclass(frozen=True)
class Moment:
    """A moment of an incident.

    Parameters
    ----------
    at:
        When, UTC; ``None`` where it is not known, or has not come.
    how:
        What it is and where that is from; or why it is not known. A clause.
    """

    at: datetime | None
    how: str


@dataclass(frozen=True)
class Moments:
    """The moments that times are measured between.

    Parameters
    ----------
    first_bad:
        The first bad sign that anything shows.
    detected:
        When an alarm rang for it, or somebody opened the incident: whichever came first.
    rang:
        When an alarm rang for it before the opening.
    opened, acknowledged:
        As in the journal.
    mitigated:
        When what was done had an effect.
    resolved:
        When it was closed, for the last time.
    alarm:
        The alarm that detected it; empty where none did.
    """

    first_bad: Moment
    detected: Moment
    rang: Moment
    opened: Moment
    acknowledged: Moment
    mitigated: Moment
    resolved: Moment
    alarm: str = ""


@dataclass(frozen=True)
class Measure:
    """How long something took.

    Parameters
    ----------
    name, title:
        Its name for programs, and for people.
    start, end:
        From when to when.
    took:
        How long; ``None`` where that is not known.
    how:
        How it was computed, or why it is not known, in a sentence.
    """

    name: MeasureName
    title: str
    start: datetime | None
    end: datetime | None
    took: timedelta | None
    how: str


MEASURES: tuple[tuple[MeasureName, str, str, str], ...] = (
    ("detect", "time to detect", "first_bad", "detected"),
    ("opening", "alarm to opening", "rang", "opened"),
    ("acknowledge", "time to acknowledge", "opened", "acknowledged"),
    ("mitigate", "time to mitigate", "opened", "mitigated"),
    ("resolve", "time to resolve", "opened", "resolved"),
    ("exposed", "time in a bad state", "first_bad", "mitigated"),
)
"""Name, title, and the two moments, of each measure."""


def measures(moments: Moments) -> tuple[Measure, ...]:
    """Every measure, in the order of :data:`MEASURES`."""
    return tuple(_measures(moments))


def _measures(moments: Moments) -> Iterator[Measure]:
    for name, title, first, last in MEASURES:
        start, end = getattr(moments, first), getattr(moments, last)
        unknown = [one.how for one in (start, end) if one.at is None]
        took = None
        if unknown:
            how = f"Not known: {'; '.join(unknown)}."
        elif end.at < start.at:
            how = f"Not known: {end.how} came before {start.how}."
        else:
            took = end.at - start.at
            how = f"From {start.how} to {end.how}."
        yield Measure(name, title, start.at, end.at, took, how)
