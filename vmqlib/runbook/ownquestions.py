"""The kit's own questions among those that CloudWatch counted: taken out, by period, never below 0. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation

__all__ = ["Own", "Period", "Taken", "counted", "own_of_rows", "own_questions", "take"]

_LONGEST = timedelta(seconds=90)
"""An answer that nobody knows of came within this time, or not at all."""


@dataclass(frozen=True)
class Own:
    """A question that this kit asked.

    Parameters
    ----------
    at, until:
        When it was asked, and when its answer was there, UTC: in between it was counted.
    blocked:
        Whether a guardrail blocked it; ``None`` where the answer does not tell, or was lost.
    conversation_id:
        The conversation; ``""`` where no answer is known of.
    text:
        The question.
    """

    at: datetime
    until: datetime
    blocked: bool | None = None
    conversation_id: str = ""
    text: str = ""


@dataclass(frozen=True)
class Period:
    """What a metric counted in a period.

    Parameters
    ----------
    start, length:
        The period.
    asked, blocked:
        ChatMessages and BlockedChatMessages.
    """

    start: datetime
    length: timedelta
    asked: float
    blocked: float


@dataclass
class Taken:
    """How many of a period's questions are the kit's own.

    Parameters
    ----------
    asked:
        Of those that were asked.
    blocked:
        Of those that were blocked.
    unsure:
        So many more of the blocked ones may be: their answers do not tell.
    """

    asked: int = 0
    blocked: int = 0
    unsure: int = 0


def own_questions(seen: Observation | None) -> tuple[Own, ...]:
    """What an observation of ``own-questions`` says; nothing where it was not seen."""
    if seen is None or not seen.available:
        return ()
    from vmqlib.sources.base import as_time

    found = []
    for row in seen.frame.to_dict("records"):
        at = as_time(row["at"])
        if at is not None:
            found.append(_own(at, as_time(row["ended_at"]), {str(key): value for key, value in row.items()}))
    return tuple(found)


def counted(own: Sequence[Own], seen_at: datetime | None) -> tuple[Own, ...]:
    """Those that a metric can know of which was seen then: CloudWatch is asked up to a whole second, and what came in
    that second is not in it.

    Parameters
    ----------
    seen_at:
        When the metric was seen; ``None``: all of them.
    """
    if seen_at is None:
        return tuple(own)
    second = seen_at.replace(microsecond=0)
    return tuple(one for one in own if one.at < second)


def own_of_rows(rows: Iterable[Mapping[str, Any]] | None) -> tuple[Own, ...]:
    """The same from an evidence file's rows: who only counts questions need not wait for pandas."""
    return tuple(
        _own(parse_iso(row["at"]), parse_iso(row["ended_at"]) if row.get("ended_at") else None, row)
        for row in rows or ()
        if row.get("at")
    )


def _own(at: datetime, until: datetime | None, row: Mapping[str, Any]) -> Own:
    blocked = {"blocked": True, "answered": False}.get(str(row.get("outcome")))
    conversation, text = (
        value if isinstance(value := row.get(name), str) else "" for name in ("conversation_id", "text")
    )
    return Own(at, until or at + _LONGEST, blocked, conversation, text)


def take(own: Sequence[Own], periods: Iterable[Period]) -> Mapping[datetime, Taken]:
    """How much of each period is the kit's own, by the period's start; one without any is left out.

    A question counts in the period that it was asked in, or where that has none left, in the one that its answer came
    in. One that no period has is not counted yet, and nothing is taken for it: no count falls below 0.
    """
    ordered = sorted(periods, key=lambda one: one.start)
    starts = [one.start for one in ordered]
    taken: dict[datetime, Taken] = {}
    for question in sorted(own, key=lambda one: one.at):
        for at in (question.at, question.until):
            index = bisect_right(starts, at) - 1
            if index < 0 or at >= ordered[index].start + ordered[index].length:
                continue
            period, so_far = ordered[index], taken.get(starts[index], Taken())
            if period.asked - so_far.asked < 1:
                continue
            so_far.asked += 1
            left = period.blocked - so_far.blocked - so_far.unsure >= 1
            so_far.blocked += question.blocked is True and left
            so_far.unsure += question.blocked is None and left
            taken[period.start] = so_far
            break
    return taken
