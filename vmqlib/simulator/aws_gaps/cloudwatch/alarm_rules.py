"""What state an alarm is in, from its metric's datapoints: pure, as CloudWatch documents it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and
alarms-and-missing-data.html beside it, whose tables are the tests of this module.
"""

from __future__ import annotations

import json
import operator
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vmqlib.simulator.aws_gaps.cloudwatch.metrics import MetricId, Series, statistic

__all__ = ["COMPARISONS", "AlarmRule", "Datapoint", "Verdict", "java_time", "judge", "next_tick", "observe"]

#: ComparisonOperator -> the test, and how CloudWatch words it.
COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_TICK, _SHORT_TICK = 60, 10  # CloudWatch looks once a minute; every 10 s for a period below a minute
_LOOK_BACK = 2  # periods that it retrieves beyond those that it evaluates, as in the documentation's examples


@dataclass(frozen=True)
class AlarmRule:
    """What a metric alarm watches for.

    Parameters
    ----------
    metric:
        The metric, its dimensions exact.
    statistic:
        For example ``Sum`` or ``p99``.
    period:
        Seconds.
    evaluation_periods:
        N of "M out of N".
    datapoints_to_alarm:
        M.
    threshold:
        What datapoints are compared with.
    comparison:
        A key of :data:`COMPARISONS`.
    treat_missing_data:
        ``missing``, ``ignore``, ``breaching`` or ``notBreaching``.
    unit:
        Only datapoints of this unit; empty for all.
    """

    metric: MetricId
    statistic: str
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    treat_missing_data: str = "missing"
    unit: str = ""

    @property
    def tick(self) -> int:
        """Seconds between evaluations (user guide, *Evaluating an alarm*)."""
        return _TICK if self.period >= _TICK else _SHORT_TICK

    @property
    def reach(self) -> int:
        """How many periods an evaluation looks back."""
        return self.evaluation_periods + _LOOK_BACK

    def next_evaluation(self, after: float) -> int:
        """The first evaluation later than ``after``; both in seconds since 1970."""
        return int(after // self.tick + 1) * self.tick

    def breaches(self, value: float) -> bool:
        return COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Datapoint:
    """A period's statistic.

    Parameters
    ----------
    at:
        The period's start, seconds since 1970.
    value:
        The statistic.
    count:
        Its SampleCount.
    """

    at: int
    value: float
    count: float


@dataclass(frozen=True)
class Verdict:
    """What an evaluation comes to.

    Parameters
    ----------
    state:
        ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; empty to stay in the present one.
    reason:
        StateReason in CloudWatch's words.
    data:
        StateReasonData, JSON.
    """

    state: str
    reason: str = ""
    data: str = ""


def observe(rule: AlarmRule, series: Series | None, tick: int) -> list[Datapoint | None]:
    """The evaluation range at ``tick``: a datapoint for each period, newest first, None where there is none.

    The periods end at the tick: the window slides with every evaluation, whatever the period.
    """
    windows: list[Datapoint | None] = []
    for index in range(rule.reach):
        end = tick - index * rule.period
        samples = (
            series.between(end - rule.period, end, unit=rule.unit, known_at=tick)
            if series is not None
            else []
        )
        value = statistic(rule.statistic, samples)
        count = sum(sample.count for sample in samples)
        windows.append(None if value is None else Datapoint(end - rule.period, value, count))
    return windows


def judge(rule: AlarmRule, windows: Sequence[Datapoint | None], tick: int, present: str) -> Verdict:
    """The state that follows from the evaluation range.

    Parameters
    ----------
    rule:
        The alarm.
    windows:
        As :func:`observe` gives them.
    tick:
        When, seconds since 1970.
    present:
        The state that the alarm is in.
    """
    real = [point for point in windows if point is not None][: rule.evaluation_periods]
    breaching = sum(rule.breaches(point.value) for point in real)
    missing = rule.evaluation_periods - len(real)
    state = _state(rule, len(real), breaching, missing)
    if not state or state == present:
        return Verdict("")
    return Verdict(state, _reason(rule, real, missing, state), _reason_data(rule, real, tick))


def _state(rule: AlarmRule, real: int, breaching: int, missing: int) -> str:
    """Missing datapoints count only where there are not enough real ones, and then as the alarm says."""
    needed = rule.datapoints_to_alarm
    if breaching >= needed:
        return "ALARM"
    if missing == 0:
        return "OK"
    if rule.treat_missing_data == "breaching":
        return "ALARM" if breaching + missing >= needed else "OK"
    if rule.treat_missing_data == "notBreaching" or breaching < real:
        return "OK"
    # Nothing is known, or every known datapoint breaches and there are too few of them.
    if rule.treat_missing_data == "ignore":
        return ""
    return "ALARM" if real else "INSUFFICIENT_DATA"


def _reason(rule: AlarmRule, real: Sequence[Datapoint], missing: int, state: str) -> str:
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_many(missing, 'datapoint', 'was', 'were')} unknown."
    to_alarm = state == "ALARM"
    hits = [point for point in real if rule.breaches(point.value) == to_alarm]
    if not hits or (to_alarm and len(hits) < rule.datapoints_to_alarm and missing):
        return _missing_reason(rule, len(real), missing)
    shown = ", ".join(f"{point.value} ({_short_time(point.at)})" for point in hits)
    verb = "were" if len(hits) > 1 else "was"
    compared = (
        f"{'' if to_alarm else 'not '}{COMPARISONS[rule.comparison][1]} the threshold ({rule.threshold})"
    )
    needed = rule.datapoints_to_alarm if to_alarm else rule.evaluation_periods - rule.datapoints_to_alarm + 1
    change = "OK -> ALARM" if to_alarm else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(hits)} out of the last {len(real)} datapoints [{shown}] {verb} {compared} "
        f"(minimum {needed} datapoint{'s' if needed > 1 else ''} for {change} transition)."
    )


def _missing_reason(rule: AlarmRule, real: int, missing: int) -> str:
    treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(
        rule.treat_missing_data, "Missing"
    )
    received = "no datapoints were" if not real else _many(real, "datapoint", "was", "were")
    periods = real + missing
    return (
        f"Threshold Crossed: {received} received for {periods} period{'s' if periods > 1 else ''} and "
        f"{_many(missing, 'missing datapoint', 'was', 'were')} treated as [{treated}]."
    )


def _reason_data(rule: AlarmRule, real: Sequence[Datapoint], tick: int) -> str:
    data: dict[str, Any] = {"version": "1.0", "queryDate": java_time(tick)}
    if real:
        data["startDate"] = java_time(real[-1].at)
    if rule.unit:
        data["unit"] = rule.unit
    data |= {
        "statistic": rule.statistic,
        "period": rule.period,
        "recentDatapoints": [point.value for point in reversed(real)],
        "threshold": rule.threshold,
        "evaluatedDatapoints": [
            {"timestamp": java_time(point.at), "sampleCount": point.count, "value": point.value}
            for point in real
        ],
    }
    return json.dumps(data, separators=(",", ":"))


def next_tick(rule: AlarmRule, series: Series | None, after: int) -> int | None:
    """The first evaluation after ``after`` that can come to anything new; None for never.

    The range changes only when a datapoint comes in, slides from one period into the next, or leaves.
    """
    if series is None:
        return None
    ticks = [
        rule.next_evaluation(arrived)
        for arrived in series.arrivals[bisect_left(series.arrivals, after) :][:1]
    ]
    for index in range(
        bisect_left(series.times, after - rule.reach * rule.period - rule.tick), len(series.times)
    ):
        sample = series.samples[index]
        tick = _next_slide(sample.at, rule, after)
        if tick is not None and tick >= sample.arrived:
            ticks.append(tick)
        if sample.at > after:
            break  # those behind it come in later
    return min(ticks, default=None)


def _next_slide(at: float, rule: AlarmRule, after: int) -> int | None:
    passed = max(0, int((after - at) // rule.period))
    for index in range(passed, rule.reach + 1):
        tick = rule.next_evaluation(at + index * rule.period)
        if tick > after:
            return tick
    return None


def _many(count: int, noun: str, one: str, more: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''} {more if count > 1 else one}"


def _short_time(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%d/%m/%y %H:%M:%S")


def java_time(moment: float) -> str:
    """``2026-11-23T09:05:00.000+0000``: how CloudWatch writes times inside JSON."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "+0000")
