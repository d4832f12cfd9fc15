"""What users asked before and after the first bad sign, and how it went: from the metrics that Q Business publishes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = ["Asked", "Questions", "questions"]

_ASKED, _NO_ANSWER, _BLOCKED = "ChatMessages", "ChatMessagesWithNoAnswer", "BlockedChatMessages"
_DAY = 86_400
_WITHOUT_A_SIGN = timedelta(hours=24)


@dataclass(frozen=True)
class Asked:
    """The questions of a span of time.

    Parameters
    ----------
    since, until:
        Its ends, UTC. It begins with a whole period of the metrics, since they say nothing of parts.
    hours:
        How many hours of it were counted: all, or those at the same hours of the day as the span that it is compared
        with.
    asked, no_answer, blocked:
        ChatMessages, ChatMessagesWithNoAnswer, BlockedChatMessages.
    """

    since: datetime
    until: datetime
    hours: float
    asked: int
    no_answer: int
    blocked: int

    @property
    def per_hour(self) -> float | None:
        """Questions an hour; ``None`` where no time was counted."""
        return self.asked / self.hours if self.hours > 0 else None

    @property
    def no_answer_share(self) -> float | None:
        """Which part of the questions had no answer; ``None`` where nobody asked."""
        return _share(self.no_answer, self.asked)

    @property
    def blocked_share(self) -> float | None:
        """Which part of the questions was blocked; ``None`` where nobody asked."""
        return _share(self.blocked, self.asked)


@dataclass(frozen=True)
class Questions:
    """What users asked, before and after.

    Parameters
    ----------
    before:
        Up to the first bad sign, at the same hours of the day as ``after``; ``None`` where nothing was seen of it.
    after:
        Since the first bad sign; ``None`` where it is not known.
    problem:
        Why something of it is not known, in a sentence; empty where all is.
    from_sign:
        Whether ``after`` begins with a bad sign; without one it is the last day.
    """

    before: Asked | None = None
    after: Asked | None = None
    problem: str = ""
    from_sign: bool = False


def questions(
    seen: Observation | None, since: datetime | None, now: datetime, *, baseline: timedelta
) -> Questions:
    """Counts the questions before and after. Pure.

    Parameters
    ----------
    seen:
        The source ``metrics``.
    since:
        The first bad sign; ``None`` where there is none: then the last day is counted.
    now:
        The end of "after", where the metrics were seen later than that.
    baseline:
        How far back "before" reaches at most.
    """
    from_sign = since is not None
    if seen is None or not seen.available:
        return Questions(problem=_unavailable(seen), from_sign=from_sign)
    frame = seen.frame[(seen.frame["namespace"] == "AWS/QBusiness") & seen.frame["value"].notna()]
    chat = frame[frame["metric"].isin([_ASKED, _NO_ANSWER, _BLOCKED])]
    if not chat["metric"].eq(_ASKED).any():
        return Questions(problem="No question at all is in the metrics that were seen.", from_sign=from_sign)
    until = min(seen.at or now, now)
    begun = min(since or until - _WITHOUT_A_SIGN, until)
    period = int(chat["period_s"].max())
    start = _floor(begun, period)
    after = _count(chat, start, until, period, slots=None)
    first = _floor(max(seen.frame["at"].min().to_pydatetime(), start - baseline), period)
    slots = _slots(start, until, period)
    before = _count(chat, first, start, period, slots=slots) if first < start else None
    problems = []
    if not seen.complete:
        problems.append(f"The metrics are incomplete: {seen.stopped or 'they stopped early'}.")
    if before is None:
        problems.append(f"Nothing was seen of the time before {show_time(start)}.")
    return Questions(before, after, " ".join(problems), from_sign)


def _unavailable(seen: Observation | None) -> str:
    return (
        "Nobody has looked at the metrics." if seen is None else f"The metrics were not seen: {seen.problem}"
    )


def _share(part: int, whole: int) -> float | None:
    # Metrics of one period may arrive one after another: for a moment more may be blocked than asked.
    return min(1.0, part / whole) if whole > 0 else None


def _floor(at: datetime, period: int) -> datetime:
    """The start of the metrics' period that ``at`` is in."""
    return datetime.fromtimestamp(at.timestamp() // period * period, at.tzinfo)


def _slots(start: datetime, until: datetime, period: int) -> frozenset[int] | None:
    """Which periods of the day the span touches; ``None`` where it is all of them."""
    first, last = int(start.timestamp()), int(until.timestamp())
    if last - first >= _DAY or period >= _DAY:
        return None
    return frozenset(at % _DAY for at in range(first, max(last, first + 1), period))


def _count(
    chat: pd.DataFrame, since: datetime, until: datetime, period: int, *, slots: frozenset[int] | None
) -> Asked:
    """Sums over the periods that begin in ``[since, until)``; a period without a row is one in which nobody asked."""
    within = chat[(chat["at"] >= since) & (chat["at"] < until)]
    hours = max(0.0, (until - since).total_seconds() / 3600)
    if slots is not None:
        seconds = (within["at"] - within["at"].dt.normalize()).dt.total_seconds().astype("int64")
        within = within[seconds.isin(slots)]
        periods = range(int(since.timestamp()), int(until.timestamp()), period)
        hours = sum(at % _DAY in slots for at in periods) * period / 3600
    sums = within.groupby("metric")["value"].sum()
    asked, without, blocked = (round(float(sums.get(name, 0.0))) for name in (_ASKED, _NO_ANSWER, _BLOCKED))
    return Asked(since, until, hours, asked, without, blocked)
