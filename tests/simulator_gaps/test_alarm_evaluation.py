"""Alarm states follow CloudWatch's documentation, and skipping minutes in between changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.simulator.aws_gaps.cloudwatch.alarm_rules import AlarmRule, Datapoint, judge, next_tick, observe
from vmqlib.simulator.aws_gaps.cloudwatch.composite import BadRule, parse
from vmqlib.simulator.aws_gaps.cloudwatch.metrics import MetricId, Sample, Series, statistic

INSUFFICIENT = "INSUFFICIENT_DATA"
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
KEEP = "KEEP"

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: the newest is last,
# 0 does not breach, X breaches, - is missing; then the state for each way to treat missing data.
THREE_OF_THREE = [
    ("0-X-X", ("OK", "OK", "OK", "OK")),
    ("----0", ("OK", "OK", "OK", "OK")),
    ("-----", (INSUFFICIENT, KEEP, "ALARM", "OK")),
    ("0XX-X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("--X--", ("ALARM", KEEP, "ALARM", "OK")),
]
TWO_OF_THREE = [
    ("0-X-X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("00X0X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("0-X--", ("OK", "OK", "ALARM", "OK")),
    ("----0", ("OK", "OK", "ALARM", "OK")),
    ("----X", ("ALARM", KEEP, "ALARM", "OK")),
]


def rule(**more: Any) -> AlarmRule:
    values: dict[str, Any] = {
        "metric": MetricId("n", "m"),
        "statistic": "Sum",
        "period": 60,
        "evaluation_periods": 3,
        "datapoints_to_alarm": 3,
        "threshold": 1.0,
        "comparison": "GreaterThanOrEqualToThreshold",
    }
    return AlarmRule(**{**values, **more})


@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize(
    ("needed", "points", "states"),
    [(3, *row) for row in THREE_OF_THREE] + [(2, *row) for row in TWO_OF_THREE],
)
def test_documented_tables(needed: int, points: str, states: tuple[str, ...], treatment: str) -> None:
    watched = rule(datapoints_to_alarm=needed, treat_missing_data=treatment)
    windows = [
        None if mark == "-" else Datapoint(60 * index, float(mark == "X"), 1.0)
        for index, mark in reversed(list(enumerate(points)))
    ]
    wanted = states[TREATMENTS.index(treatment)]
    for present in ("OK", "ALARM", INSUFFICIENT):
        verdict = judge(watched, windows, 600, present)
        assert (verdict.state or present) == (present if wanted == KEEP else wanted)


def point(at: float, value: float = 1.0, late: float = 0.0) -> Sample:
    return Sample.of({"Value": value}, at, at + late)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5400), st.sampled_from([0.0, 1.0]), st.sampled_from([0, 0, 0, 400]))),
    st.sampled_from([10, 30, 60, 120, 300]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(TREATMENTS),
)
def test_evaluations_that_are_skipped_would_have_changed_nothing(
    data: list[tuple[int, float, int]], period: int, periods: int, needed: int, treatment: str
) -> None:
    watched = rule(
        period=period,
        evaluation_periods=periods,
        datapoints_to_alarm=min(needed, periods),
        treat_missing_data=treatment,
    )
    series = Series()
    for at, value, late in sorted(data, key=lambda one: one[0] + one[2]):
        series.add(point(at, value, late))

    def step(tick: int, present: str) -> str:
        return judge(watched, observe(watched, series, tick), tick, present).state or present

    every, state, first = [], INSUFFICIENT, watched.tick
    for tick in range(first, 7260, first):
        state = step(tick, state)
        every.append((tick, state))
    state, tick = step(first, INSUFFICIENT), first
    skipping = {tick: state}
    while (following := next_tick(watched, series, tick)) is not None and following < 7260:
        assert following > tick
        tick, state = following, step(following, state)
        skipping[tick] = state
    state = INSUFFICIENT
    for tick, wanted in every:
        state = skipping.get(tick, state)
        assert state == wanted, tick


def test_three_weeks_of_syncs(aws_with_gaps: Any, monkeypatch: Any) -> None:
    import moto.core.utils
    from moto.cloudwatch.models import cloudwatch_backends

    from vmqlib.simulator.aws_gaps.cloudwatch import evaluate_alarms, next_evaluation

    account, region = aws_with_gaps.account, aws_with_gaps.region
    clock = [datetime(2026, 11, 2, tzinfo=UTC)]
    monkeypatch.setattr(moto.core.utils, "utcnow", lambda: clock[0].replace(tzinfo=None))
    client = aws_with_gaps.client("cloudwatch")
    for name in ("QBusinessSyncFailed", "QBusinessNoSync"):
        client.put_metric_alarm(
            AlarmName=name,
            Namespace="VaultMesh/QBusiness",
            MetricName=name.removeprefix("QBusiness"),
            Dimensions=[{"Name": "App", "Value": "a"}],
            Statistic="Sum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
        )
    backend = cloudwatch_backends[account][region]
    changes = []
    for hour in range(21 * 24):
        clock[0] += timedelta(hours=1)
        for name in ("SyncFailed", "NoSync"):
            failed = float(name == "SyncFailed" and hour % 24 == 3)
            member = {"MetricName": name, "Value": failed, "Dimensions": [{"Name": "App", "Value": "a"}]}
            backend.put_metric_data("VaultMesh/QBusiness", [member])
        changes += evaluate_alarms(account, region, clock[0])
    assert [change.after for change in changes if change.alarm == "QBusinessSyncFailed"][:5] == [
        *("OK", "ALARM", "OK", "ALARM", "OK")
    ]
    assert len(changes) == 1 + 1 + 2 * 21
    due = next_evaluation(account, region)
    assert due is not None
    assert due > clock[0]


def test_statistics() -> None:
    samples = [Sample.of({"Values": [1.0, 2.0], "Counts": [3, 1]}, 0, 0), point(0, 5.0)]
    found = {
        name: statistic(name, samples) for name in ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
    }
    assert found == {"SampleCount": 5.0, "Sum": 10.0, "Average": 2.0, "Minimum": 1.0, "Maximum": 5.0}
    assert statistic("p50", samples) == 1.0
    assert statistic("p100", samples) == 5.0
    put = {"StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}}
    assert statistic("p50", [Sample.of(put, 0, 0)]) is None
    assert statistic("Average", []) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ALARM(a)", True),
        ('ALARM("a") AND OK(b)', True),
        ("NOT ALARM(a) OR OK(c)", False),
        ("NOT (ALARM(a) AND OK(b))", False),
        ("TRUE AND (FALSE OR ALARM(arn:aws:cloudwatch:eu-west-1:1:alarm:a))", True),
        ("OK(b) OR OK(b) AND FALSE", True),
    ],
)
def test_composite_rules(text: str, wanted: bool) -> None:
    states = {"a": "ALARM", "b": "OK"}
    assert parse(text).test(lambda name: states.get(name, "")) is wanted


@pytest.mark.parametrize("text", ["", "ALARM(", "ALARM(a) OK(b)", "AND", "(ALARM(a)", "ALARM(a) XOR OK(b)"])
def test_composite_rules_that_are_none(text: str) -> None:
    with pytest.raises(BadRule):
        parse(text)
