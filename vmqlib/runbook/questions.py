"""What users asked before and after the first bad sign, and how it went: from the metrics that Q Business publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.ownquestions import Own, Period, counted, take
from vmqlib.times import parse_iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation

__all__ = ["Asked", "Points", "Questions", "points_of_rows", "questions"]

_NAMESPACE = "AWS/QBusiness"
_ASKED = "ChatMessages"
_CHAT = (_ASKED, "ChatMessagesWithNoAnswer", "BlockedChatMessages")
_OWN = "own"
_HOUR, _DAY = 3600, 86_400
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
        ChatMessages, ChatMessagesWithNoAnswer, BlockedChatMessages, without those that the kit asked itself.
    own:
        How many more the kit asked itself.
    """

    since: datetime
    until: datetime
    hours: float
    asked: int
    no_answer: int
    blocked: int
    own: int = 0

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
    complete:
        Whether the metrics were all there: of a part of them, shares say nothing.
    """

    before: Asked | None = None
    after: Asked | None = None
    problem: str = ""
    from_sign: bool = False
    complete: bool = True


@dataclass(frozen=True)
class Points:
    """The metrics' points as far as questions need them.

    Parameters
    ----------
    values:
        Name, start of the period (UTC) and sum of each point of the chat metrics, without the kit's own questions;
        those under a name of their own.
    first:
        Start of the first period of any metric that was seen; ``None`` where there is none.
    period:
        Length of a period in seconds.
    until:
        When the metrics were seen.
    stopped:
        Why they are not all there; empty where they are.
    """

    values: Sequence[tuple[str, datetime, float]]
    first: datetime | None
    period: int
    until: datetime
    stopped: str = ""


def points_of_rows(
    rows: Iterable[Mapping[str, Any]], until: datetime, stopped: str = "", own: Sequence[Own] = ()
) -> Points:
    """Points from an evidence file's rows: who only counts questions need not wait for pandas."""
    kept = [row for row in rows if row.get("at")]
    chat = [row for row in kept if row.get("metric") in _CHAT and row.get("namespace") == _NAMESPACE]
    values = [
        (str(row["metric"]), parse_iso(row["at"]), float(row["value"]))
        for row in chat
        if row.get("value") is not None
    ]
    first = min((row["at"] for row in kept), default=None)
    period = max((int(row["period_s"]) for row in chat), default=_HOUR)
    return Points(
        _users(values, period, counted(own, until)),
        parse_iso(first) if first else None,
        period,
        until,
        stopped,
    )


def _users(
    values: Sequence[tuple[str, datetime, float]], period: int, own: Sequence[Own]
) -> Sequence[tuple[str, datetime, float]]:
    """The points without what the kit asked itself; that follows under a name of its own."""
    if not own:
        return values
    found: dict[str, dict[datetime, float]] = {name: {} for name in _CHAT}
    for name, at, value in values:
        found[name][at] = found[name].get(at, 0.0) + value
    asked, no_answer, blocked = (found[name] for name in _CHAT)
    length = timedelta(seconds=period)
    taken = take(own, [Period(at, length, many, blocked.get(at, 0.0)) for at, many in asked.items()])
    for at, mine in taken.items():
        asked[at] -= mine.asked
        # One whose answer does not tell was blocked, or had no answer: no more of either than users asked.
        for counts, least in ((blocked, mine.blocked), (no_answer, 0)):
            if at in counts:
                counts[at] = max(0.0, min(counts[at] - least, asked[at]))
    own_points = [(_OWN, at, float(mine.asked)) for at, mine in taken.items()]
    return [*((name, at, value) for name in _CHAT for at, value in found[name].items()), *own_points]


def _points(seen: Observation, now: datetime, own: Sequence[Own]) -> Points:
    frame = seen.frame[seen.frame["at"].notna()]
    chat = frame[frame["metric"].isin(_CHAT) & frame["namespace"].eq(_NAMESPACE) & frame["value"].notna()]
    values = list(zip(chat["metric"], chat["at"].dt.to_pydatetime(), chat["value"], strict=True))
    period = int(chat["period_s"].max()) if len(chat) else _HOUR
    return Points(
        _users(values, period, counted(own, seen.at)),
        None if frame.empty else frame["at"].min().to_pydatetime(),
        period,
        seen.at or now,
        "" if seen.complete else seen.stopped or "they stopped early",
    )


def questions(
    seen: Observation | Points | None,
    since: datetime | None,
    now: datetime,
    *,
    baseline: timedelta,
    own: Sequence[Own] = (),
    mended: bool = False,
) -> Questions:
    """Counts the questions before and after. Pure.

    Parameters
    ----------
    seen:
        The source ``metrics``, or its points.
    since:
        The first bad sign; ``None`` where there is none: then the last day is counted.
    now:
        The end of "after", where the metrics were seen later than that.
    baseline:
        How far back "before" reaches at most.
    own:
        What the kit asked itself, which is left out; points come without it.
    mended:
        ``since`` is when it was mended: the period that it is in tells of before, too, and is left out.
    """
    from_sign = since is not None
    if seen is None:
        return Questions(problem="Nobody has looked at the metrics.", from_sign=from_sign)
    if not isinstance(seen, Points):
        if not seen.available:
            return Questions(problem=f"The metrics were not seen: {seen.problem}", from_sign=from_sign)
        seen = _points(seen, now, own)
    if seen.first is None or not any(name == _ASKED for name, _, _ in seen.values):
        return Questions(problem="No question at all is in the metrics that were seen.", from_sign=from_sign)
    until = min(seen.until, now)
    begun = min(since or until - _WITHOUT_A_SIGN, until)
    start = _floor(begun, seen.period)
    if mended and start < begun:
        start += timedelta(seconds=seen.period)
        if start >= until:
            told = (
                f"no period of the metrics begins after {show_time(begun)}, when what blocked was taken back"
            )
            return Questions(problem=told, from_sign=from_sign, complete=not seen.stopped)
    after = _count(seen, start, until, slots=None)
    first = _floor(max(seen.first, start - baseline), seen.period)
    before = _count(seen, first, start, slots=_slots(start, until, seen.period)) if first < start else None
    problems = []
    if seen.stopped:
        problems.append(f"The metrics are incomplete: {seen.stopped.rstrip('.')}.")
    if before is None:
        problems.append(f"Nothing was seen of the time before {show_time(start)}.")
    return Questions(before, after, " ".join(problems), from_sign, complete=not seen.stopped)


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


def _count(seen: Points, since: datetime, until: datetime, *, slots: frozenset[int] | None) -> Asked:
    """Sums over the periods that begin in ``[since, until)``; a period without a row is one in which nobody asked."""
    sums = dict.fromkeys((*_CHAT, _OWN), 0.0)
    for name, at, value in seen.values:
        if since <= at < until and (slots is None or int(at.timestamp()) % _DAY in slots):
            sums[name] += value
    hours = max(0.0, (until - since).total_seconds() / _HOUR)
    if slots is not None:
        periods = range(int(since.timestamp()), int(until.timestamp()), seen.period)
        hours = sum(at % _DAY in slots for at in periods) * seen.period / _HOUR
    return Asked(since, until, hours, *(round(sums[name]) for name in (*_CHAT, _OWN)))
