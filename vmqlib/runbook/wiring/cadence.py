"""Does an alarm's period fit how often its metric comes, and would anybody notice if it came no more (``vmq doctor``)?

CloudWatch user guide, *Configuring how CloudWatch alarms treat missing data*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.mends import mend
from vmqlib.runbook.wiring.metrics import Looked, Published, published
from vmqlib.runbook.wiring.seen import Seen, why_not
from vmqlib.runbook.wiring.wiredalarm import WiredAlarm, wired_alarms
from vmqlib.sources.metricnames import REACH
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["COMES", "FITS", "cadence", "fits", "fitting"]

FITS = "alarm's period fits its metric"
COMES = "alarm's metric still comes"
_EVIDENCE = ("alarm-config", "metric-names")
_FEWEST = 3  # periods with data: fewer say nothing of how often
_SLACK = 1.25  # a publisher that is a little late is no other rhythm
_PERIODS = (60, 300, 900, 3600, 21_600, 86_400)
_LONGEST = {
    86_400: 7 * 86_400
}  # a window of several periods: 1 day at most, 7 days with periods of an hour or more
_DAY = 86_400.0
_HIDING = ("notBreaching", "ignore")


def cadence(seen: Seen, settings: Settings, now: datetime) -> list[CheckResult]:
    """Two results for each metric that an alarm sees. What it does not see is :mod:`~vmqlib.runbook.wiring.sight`'s."""
    if any(why_not(seen, source) for source in _EVIDENCE):
        return []
    metrics = published(seen)
    return [
        result
        for alarm in wired_alarms(seen)
        for looked in alarm.metrics
        for one in metrics
        if one.is_of(looked) and one.periods and not looked.account
        for result in (_fit(alarm, looked, one, settings), _silence(alarm, one, settings, now))
    ]


def fits(window_s: float, gap_s: float, treat_missing_data: str, *, heartbeat: bool) -> bool:
    """Whether an alarm that looks at ``window_s`` seconds goes along with a metric that comes every ``gap_s``. Pure.

    Where the window is shorter, all of it is missing between two datapoints. That does no harm where missing data
    leaves the state as it is, nor where it counts as good and the metric is one of events, that comes when something
    was.

    Parameters
    ----------
    window_s:
        Period times evaluation periods.
    gap_s:
        How far it usually is from one datapoint to the next.
    treat_missing_data:
        As the alarm has it.
    heartbeat:
        Whether the metric comes evenly.
    """
    if gap_s <= window_s * _SLACK or treat_missing_data == "ignore":
        return True
    return treat_missing_data == "notBreaching" and not heartbeat


def fitting(gap_s: float) -> tuple[int, int] | None:
    """Period in seconds and number of periods that go along with a metric that comes every ``gap_s`` seconds; ``None``
    where CloudWatch has none so long. Pure."""
    period = next((one for one in _PERIODS if one * _SLACK >= gap_s), None)
    if period is not None:
        return period, 1
    periods = math.ceil(gap_s / _DAY)
    return (86_400, periods) if periods * _DAY <= _LONGEST[86_400] else None


def _fit(alarm: WiredAlarm, looked: Looked, one: Published, settings: Settings) -> CheckResult:
    window = alarm.window_s(looked)
    if window is None or one.gap_s is None or (one.periods or 0) < _FEWEST:
        text = f"{one.name} came {one.periods} times in {duration(REACH)}: too seldom to know how often it comes."
        return CheckResult(FITS, None, text, alarm.name, evidence=_EVIDENCE)
    comes = (
        f"{one.name} comes {'every' if one.is_heartbeat else 'unevenly, usually every'} {_span(one.gap_s)}"
    )
    looks = f"{alarm.name} looks at {_span(window)}"
    treat = alarm.treat_missing_data
    if fits(window, one.gap_s, treat, heartbeat=one.is_heartbeat):
        note = ""
        if one.gap_s > window * _SLACK:
            note = " In between nothing is there" + (
                ", and the alarm keeps its state." if treat == "ignore"
                else f": {_span(window)} after a bad datapoint it is OK again, unless that is published again."
            )  # fmt: skip
        return CheckResult(FITS, True, f"{comes}; {looks}.{note}", alarm.name, evidence=_EVIDENCE)
    text = f"{comes}, and {looks}: {_span(window)} after each datapoint {_FLAPS[treat]} until the next one."
    better = fitting(one.gap_s)
    if better is None or looked.id:
        return CheckResult(FITS, False, text, alarm.name, f"Publish {one.name} more often.", _EVIDENCE)
    after = {**alarm.definition, "Period": better[0], "EvaluationPeriods": better[1]}
    if "DatapointsToAlarm" in after:
        after["DatapointsToAlarm"] = 1
    return CheckResult(FITS, False, text, alarm.name, mend(alarm.definition, after, settings), _EVIDENCE)


_FLAPS: Mapping[str, str] = {
    "missing": "it goes to INSUFFICIENT_DATA",
    "breaching": "it goes into ALARM for want of data",
    "notBreaching": "it is OK again, whatever that said,",
    "ignore": "it keeps its state",
}


def _silence(alarm: WiredAlarm, one: Published, settings: Settings, now: datetime) -> CheckResult:
    treat = alarm.treat_missing_data
    if one.gap_s is None or (one.periods or 0) < _FEWEST or one.last_at is None:
        text = (
            f"{one.name} came {one.periods} times in {duration(REACH)}: whether it is silent cannot be known."
        )
        return CheckResult(COMES, None, text, alarm.name, evidence=_EVIDENCE)
    last = f"{one.name} came last at {show_time(one.last_at)}"
    usual = (
        f"every {_span(one.gap_s)}" if one.is_heartbeat else f"at most {_span(one.longest_gap_s or 0)} apart"
    )
    if not one.is_silent(now):
        would = ""
        if one.is_heartbeat and treat in _HIDING:
            would = (
                f" If it stopped, {alarm.name} would not tell ({treat}); TreatMissingData breaching would."
            )
        return CheckResult(COMES, True, f"{last}, {usual}.{would}", alarm.name, evidence=_EVIDENCE)
    away = f"{last}, {duration(now - one.last_at)} ago; before, it came {usual}."
    if not one.is_heartbeat:
        text = f"{away} It comes unevenly: whether nothing was to publish, or nobody publishes it, cannot be told."
        return CheckResult(COMES, None, text, alarm.name, evidence=_EVIDENCE)
    if treat not in _HIDING:
        text = f"{away} {alarm.name} shows that: it is {alarm.state} ({treat})."
        return CheckResult(COMES, False, text, alarm.name, f"Mend whoever publishes {one.name}.", _EVIDENCE)
    after: dict[str, Any] = {**alarm.definition, "TreatMissingData": "breaching"}
    text = (
        f"{away} {alarm.name} does not show that: it is {alarm.state}, since missing data is {_MEANS[treat]}."
    )
    how = f"Mend whoever publishes {one.name}; and let the alarm tell of it:\n"
    return CheckResult(
        COMES, False, text, alarm.name, how + mend(alarm.definition, after, settings), _EVIDENCE
    )


_MEANS = {"notBreaching": "taken for good (notBreaching)", "ignore": "ignored"}


def _span(seconds: float) -> str:
    return duration(timedelta(seconds=seconds))
