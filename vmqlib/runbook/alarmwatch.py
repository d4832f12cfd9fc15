"""Runbook step 4, *Monitor … for SyncFailed errors clearing*: the alarms are watched until they are OK, and what never
will be is said.

What an alarm says is looked up by :class:`vmqlib.runbook.alarmlook.Look`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from vmqlib.errors import AwsError, DeadlinePassed, Throttled, Unreachable
from vmqlib.sources.crew import within
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["BEYOND", "Alarm", "Watched", "clears_by", "journal_watch", "wait"]

ACTION: Final = "watch alarms"
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 5.0, 60.0, 1.5
# What a look may take before it is said that AWS does not answer; the last one, at the deadline, still gets a moment.
_LOOK_S, _LAST_S = 20.0, 1.0
_TICK = timedelta(minutes=1)  # CloudWatch evaluates once a minute
BEYOND = 2  # periods that an evaluation looks back at beyond its own, as in AWS's examples of missing data


@dataclass(frozen=True)
class Alarm:
    """One alarm, and what is known of the metric that it looks at.

    Parameters
    ----------
    name, state, reason:
        As CloudWatch says.
    since:
        Since when it has been in that state.
    as_of:
        When it was looked at.
    period:
        Of its metric; ``None`` for a composite alarm, which follows others.
    evaluation_periods:
        How many it looks at.
    treat_missing:
        What a period without a datapoint counts as: ``missing``, ``ignore``, ``breaching``, ``notBreaching``.
    last_breach:
        The end of the newest period whose datapoint breaches; ``None``: none was seen.
    good_since:
        Periods with a datapoint that does not breach, after that.
    good_by:
        The end of the one of those with which there are enough; ``None``: there are not, or that is not known.
    next_by:
        By when its next datapoint is expected, where they come hours apart; ``None`` where not, or not known.
    sees_nothing:
        Why it never gets a datapoint; empty where it does, or that is not known.
    """

    name: str
    state: str
    reason: str = ""
    since: datetime | None = None
    as_of: datetime | None = None
    period: timedelta | None = None
    evaluation_periods: int = 1
    treat_missing: str = "missing"
    last_breach: datetime | None = None
    good_since: int = 0
    good_by: datetime | None = None
    next_by: datetime | None = None
    sees_nothing: str = ""

    @property
    def hopeless(self) -> bool:
        """Whether waiting for it says nothing: it gets no datapoint, so that its state means nothing."""
        return bool(self.sees_nothing)

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        since = f" since {show_time(self.since)}" if self.since else ""
        text = f"{self.name} is {self.state}{since}."
        if self.sees_nothing:
            return f"{text} {self.sees_nothing}"
        if self.state == "OK":
            return text
        at = clears_by(self)
        if at is not None:
            return f"{text} Without another breach it is OK {_by(at, self)}."
        due = f" The next datapoint is expected by {show_time(self.next_by)}." if self.next_by else ""
        return f"{text} {_keeps(self)}{due}"

    @property
    def brief(self) -> str:
        """The same while it is watched: that it sees nothing, and not why, which is said at the end."""
        return replace(self, sees_nothing="It sees nothing.").sentence if self.sees_nothing else self.sentence


def clears_by(alarm: Alarm) -> datetime | None:
    """When an alarm in ALARM is OK at the latest, if its metric does not breach again; ``None``: nobody can say.

    Its evaluation reaches back some periods beyond those that it counts, so that the last breach has to leave all of
    them; then missing data decide: ``notBreaching`` makes it OK. With every other treatment it takes as many good
    datapoints as it counts periods (CloudWatch user guide, *Configuring how alarms treat missing data*).
    """
    if alarm.state != "ALARM" or alarm.period is None or alarm.sees_nothing or alarm.as_of is None:
        return None
    if alarm.good_since >= alarm.evaluation_periods:
        return max((alarm.good_by or alarm.as_of) + 2 * _TICK, alarm.as_of + _TICK)
    if alarm.treat_missing != "notBreaching":
        return None
    begun = alarm.last_breach or alarm.as_of
    return max(begun + (alarm.evaluation_periods + BEYOND) * alarm.period, alarm.as_of) + _TICK


def _by(at: datetime, alarm: Alarm) -> str:
    """A time only where it is the data's: one that is counted from the look would be a later one with each look."""
    assert alarm.as_of is not None
    if at - alarm.as_of <= 2 * _TICK:
        return "within a minute or two"
    if alarm.last_breach is None:
        return f"within {duration(at - alarm.as_of)}"
    return f"by {show_time(at)}"


def _keeps(alarm: Alarm) -> str:
    if alarm.period is None:
        return "It follows other alarms."
    if alarm.state == "INSUFFICIENT_DATA":
        return "It waits for datapoints."
    many = alarm.evaluation_periods
    data = "a datapoint" if many == 1 else f"{many} datapoints in a row"
    ends = "; then it becomes INSUFFICIENT_DATA, not OK" if alarm.treat_missing == "missing" else ""
    return (
        f"Missing data count as {alarm.treat_missing}: it is OK only after {data} that "
        f"{'does' if many == 1 else 'do'} not breach{ends}."
    )


@dataclass(frozen=True)
class Watched:
    """How the watch ended.

    Parameters
    ----------
    alarms:
        Each alarm, as it was seen last.
    missing:
        Alarms that the settings name, and that are not there.
    at:
        When.
    unsure:
        Why it is not known whether the alarms get datapoints; empty where it is.
    """

    alarms: tuple[Alarm, ...]
    missing: tuple[str, ...]
    at: datetime
    unsure: str = ""

    @property
    def waiting(self) -> tuple[Alarm, ...]:
        """Those that are not OK, and may become it."""
        return tuple(one for one in self.alarms if one.state != "OK" and not one.hopeless)

    @property
    def hopeless(self) -> tuple[Alarm, ...]:
        """Those whose state means nothing, whatever it is."""
        return tuple(one for one in self.alarms if one.hopeless)

    @property
    def ok(self) -> bool | None:
        """True: all are OK, and all see their metric. False: one is not, or sees nothing. None: there is no alarm, or
        it is not known whether they see anything."""
        if self.waiting or self.hopeless:
            return False
        return None if not self.alarms or self.unsure else True

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        if not self.alarms:
            return "There is no alarm to watch."
        telling = [*self.hopeless, *self.waiting]
        if telling:
            return " ".join(one.sentence for one in telling)
        names = ", ".join(one.name for one in self.alarms)
        doubt = f" Whether they see their metrics is not known: {self.unsure}" if self.unsure else ""
        return f"{names} {'are' if len(self.alarms) > 1 else 'is'} OK.{doubt}"

    def as_dict(self) -> dict[str, Any]:
        """JSON types."""
        alarms = [
            {
                "name": one.name,
                "state": one.state,
                "since": one.since,
                "reason": one.reason,
                "clears_by": clears_by(one),
                "sees_nothing": one.sees_nothing,
            }
            for one in self.alarms
        ]
        said = {"ok": self.ok, "summary": self.sentence, "at": self.at, "unsure": self.unsure}
        return {**said, "alarms": alarms, "missing": list(self.missing)}


def wait(
    look: Callable[[], Watched],
    *,
    deadline: timedelta = timedelta(minutes=30),
    progress: Callable[[Watched | None, str], None] = lambda _seen, _problem: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> Watched:
    """Looks until every alarm that can become OK is, and returns what was seen last. Changes nothing.

    Throttling and an endpoint that does not answer are borne until the deadline; a look that hangs is dropped then.

    Parameters
    ----------
    look:
        :class:`Look`.
    deadline:
        How long to wait.
    progress:
        Told after every look what was seen last (``None``: nothing yet), and why a look failed (empty where it did
        not).

    Raises
    ------
    DeadlinePassed
        One is still not OK, or nothing could be seen.
    AwsError
        AWS refuses.
    """
    rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
    until = monotonic() + deadline.total_seconds()
    pause, seen = _FIRST_PAUSE, None
    while True:
        trouble: AwsError | None = None
        try:
            seen = within(min(_LOOK_S, max(_LAST_S, until - monotonic())), look, "cloudwatch:DescribeAlarms")
        except (Throttled, Unreachable) as error:
            trouble = error
        progress(seen, trouble.message if trouble else "")
        if trouble is None and seen is not None and not seen.waiting:
            return seen
        left = until - monotonic()
        if left <= 0:
            raise _late(seen, trouble, deadline)
        sleep(min(left, pause * rng.uniform(0.8, 1.2)))
        pause = min(_LONGEST_PAUSE, pause * _GROWTH)


def _late(seen: Watched | None, trouble: AwsError | None, deadline: timedelta) -> DeadlinePassed:
    why = trouble.message if trouble else ""
    if seen is None:
        return DeadlinePassed(
            f"The alarms could not be seen within {duration(deadline)}. {why}".strip(),
            hint=f"{trouble.hint if trouble else ''} `vmq alarms wait` waits again.".strip(),
        )
    states = " ".join(one.sentence for one in seen.waiting)
    if trouble is not None:
        known = f" At {show_time(seen.at)}: {states}" if states else ""
        states = f"How the alarms are now is not known.{known} {why}"
    return DeadlinePassed(
        f"After {duration(deadline)}: {states}",
        hint="`vmq alarms wait` goes on. If syncs succeed and it stays, `vmq doctor` checks what the alarm looks at.",
    )


def journal_watch(incident: Incident, seen: Watched) -> None:
    """Writes what was seen last into the incident's journal."""
    from vmqlib.times import iso

    def plain(value: Any) -> Any:
        return iso(value) if isinstance(value, datetime) else value

    said = seen.as_dict()
    alarms = [{name: plain(value) for name, value in one.items()} for one in said["alarms"]]
    incident.verified(
        "resync",
        f"Alarms: {seen.sentence}",
        {
            "action": ACTION,
            "ok": seen.ok,
            "alarms": alarms,
            "missing": said["missing"],
            "unsure": seen.unsure,
        },
    )
