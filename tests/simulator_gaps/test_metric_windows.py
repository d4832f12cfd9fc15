"""Spans are cut to periods as CloudWatch cuts them, and what is too old at a resolution is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.simulator.aws_gaps.cloudwatch.expressions import UnsupportedExpression, evaluate
from vmqlib.simulator.aws_gaps.cloudwatch.metric_api import Window
from vmqlib.simulator.aws_gaps.cloudwatch.metrics import Sample, Series

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import moto.core.utils

    monkeypatch.setattr(moto.core.utils, "utcnow", lambda: NOW.replace(tzinfo=None))


def series(*moments: datetime) -> Series:
    made = Series()
    for moment in moments:
        made.add(Sample.of({"Value": 1.0}, moment.timestamp(), moment.timestamp()))
    return made


@pytest.mark.parametrize(
    ("age", "rounded"),
    [
        (timedelta(days=1), timedelta(minutes=7)),
        (timedelta(days=20), timedelta(minutes=5)),
        (timedelta(days=70), timedelta()),
    ],
)
def test_the_start_is_rounded_down_by_age(age: timedelta, rounded: timedelta) -> None:
    hour = NOW - age
    window = Window.of(hour + timedelta(minutes=7, seconds=30), NOW, 300)
    assert window.start == (hour + rounded).timestamp()


def test_periods_begin_at_the_start_of_the_span() -> None:
    start = NOW - timedelta(hours=1, minutes=2)
    found = Window.of(start, NOW, 300).points(series(start + timedelta(minutes=6), NOW), "Sum")
    assert found == {int((start + timedelta(minutes=5)).timestamp()): 1.0}


def test_minutes_are_kept_for_fifteen_days() -> None:
    old = NOW - timedelta(days=16)
    data = series(old, NOW - timedelta(days=14))
    assert list(Window.of(old, NOW, 60).points(data, "Sum").values()) == [1.0]
    assert list(Window.of(old, NOW, 300).points(data, "Sum").values()) == [1.0, 1.0]


@pytest.mark.parametrize(
    "text", ["m1 +", "SEARCH('a', 'Sum', 60)", "nothing", "__import__('os')", "m1.x", "lambda: 1"]
)
def test_what_is_no_expression_is_said(text: str) -> None:
    def resolve(name: str) -> Any:
        if name != "m1":
            raise UnsupportedExpression(name)
        return {0: 1.0}

    def refuse(what: str, statistic: str, period: int) -> Any:
        raise UnsupportedExpression(what)

    with pytest.raises(UnsupportedExpression):
        evaluate(text, resolve, lambda: [{0: 1.0}], [0, 60], refuse)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("m1 / 0", {}),
        ("-m1 ^ 2", {0: -4.0, 120: -16.0}),
        ("FILL(m1, REPEAT)", {0: 2.0, 60: 2.0, 120: 4.0}),
        ("FILL(m1, 9)", {0: 2.0, 60: 9.0, 120: 4.0}),
        ("MAX(m1) - m1", {0: 2.0, 120: 0.0}),
        ("AVG([m1, m1 * 3])", {0: 4.0, 120: 8.0}),
        ("CEIL(m1 / 3)", {0: 1.0, 120: 2.0}),
    ],
)
def test_expressions(text: str, wanted: dict[int, float]) -> None:
    points = {0: 2.0, 120: 4.0}
    assert evaluate(text, lambda _: points, lambda: [points], [0, 60, 120], lambda *_: []) == wanted
