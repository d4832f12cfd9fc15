"""The grammar of a dashboard's body, and what GetMetricData is asked for it: no AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.sources.dashboardbody import BadBody, Widget, expand, parse, statistic
from vmqlib.sources.dashboardqueries import requests
from vmqlib.sources.metrics import fitted_period
from vmqlib.times import Window

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
WEEK = Window(NOW - timedelta(days=5), NOW)
MODEL = (
    botocore.session.get_session()
    .get_service_model("cloudwatch")
    .operation_model("GetMetricData")
    .input_shape
)


def body(*widgets: Any, **more: Any) -> str:
    return json.dumps({"widgets": widgets} | more)


def metric(*metrics: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "metric", "properties": {"title": "t", "metrics": metrics, **properties}}


def one(*metrics: Any, **properties: Any) -> Widget:
    (widget,) = parse(body(metric(*metrics, **properties))).widgets
    return widget


def asked(*widgets: Widget, window: Window = WEEK) -> list[list[dict[str, Any]]]:
    """The queries of each call. Each is one that botocore would send."""
    calls = requests(widgets, window, NOW)
    for call in calls:
        queries = [query.parameters() for query in call.queries]
        given_ = {"MetricDataQueries": queries, "StartTime": call.start, "EndTime": call.end}
        report = ParamValidator().validate(given_, MODEL)
        assert not report.has_errors(), report.generate_report()
        assert len({query["Id"] for query in queries}) == len(queries) <= 500
        assert call.start <= window.since + timedelta(seconds=1)
        assert call.start < call.end
    return [[query.parameters() for query in call.queries] for call in calls]


# ---- shorthand

WORDS = st.text("ab/c.", min_size=1, max_size=3).filter(lambda word: set(word) != {"."})
FIELDS = st.builds(
    lambda names, pairs: (*names, *(part for pair in pairs for part in pair)),
    st.tuples(WORDS, WORDS),
    st.lists(st.tuples(WORDS, WORDS), max_size=3, unique_by=lambda pair: pair[0]),
)
OPTIONS = st.dictionaries(st.sampled_from(["stat", "label"]), WORDS, max_size=2)
ENTRIES = st.lists(st.tuples(FIELDS, OPTIONS), max_size=6)


def shorten(entries: list[tuple[tuple[str, ...], dict[str, Any]]], choose: Any) -> list[list[Any]]:
    """The same as a person might write it: each repeated place perhaps as `.`, a repeated stretch perhaps as `...`."""
    written, before = [], ()
    for fields, options in entries:
        short = [
            "." if place < len(before) and before[place] == word and choose() else word
            for place, word in enumerate(fields)
        ]
        same = [
            place for place, word in enumerate(fields) if len(fields) == len(before) and before[place] == word
        ]
        if same and choose():
            first, last = same[0], same[0]
            while last + 1 in same:
                last += 1
            short[first : last + 1] = ["..."]
        written.append([*short, options] if options else short)
        before = fields
    return written


@given(ENTRIES, st.data())
def test_what_is_shortened_is_written_out_again(entries: Any, data: st.DataObject) -> None:
    assert expand(shorten(entries, lambda: data.draw(st.booleans()))) == entries


@pytest.mark.parametrize(
    ("metrics", "fields"),
    [
        ([["N", "a", "D", "1"], [".", "b", ".", "."]], ["N b D 1"]),
        ([["N", "a", "D", "1"], ["...", "2"]], ["N a D 2"]),
        ([["N", "a", "D", "1"], ["...", {"stat": "p90"}]], ["N a D 1"]),
        ([["N", "a", "D", "1", "E", "2"], ["...", "3", ".", "4"]], ["N a D 3 E 4"]),
        ([["N", "a", "D", "1"], [{"expression": "m1"}], [".", "b", "..."]], ["", "N b D 1"]),
        ([["N", "a", "D", "1"], [".", "b"], [".", "c", "D", ".."]], ["N b", "N c D .."]),
    ],
)
def test_the_shorthand_that_dashboards_have(metrics: Any, fields: list[str]) -> None:
    assert [" ".join(found) for found, _ in expand(metrics)][1:] == fields


@pytest.mark.parametrize(
    ("metrics", "wrong"),
    [
        ([["."]], "metric 1: there is nothing"),
        ([["..."]], "metric 1: there is no metric before"),
        ([["N", "a"], ["...", "x", "y", "z"]], "metric 2: there is no metric before it that `...`"),
        ([["N", "a"], ["N", "b", "."]], "metric 2: there is nothing"),
        ([["N", 7]], "metric 1 has 7 where text belongs"),
        (["N"], 'metric 1 is "N", not a list'),
        ({"a": 1}, "metrics is"),
    ],
)
def test_shorthand_that_stands_for_nothing(metrics: Any, wrong: str) -> None:
    with pytest.raises(BadBody, match=wrong.replace("(", r"\(").replace(".", r"\.")):
        expand(metrics)


# ---- widgets


def test_a_metric_widget_with_everything() -> None:
    widget = one(
        [{"expression": "100*e/a", "label": "share", "id": "s", "yAxis": "right"}],
        ["N", "a", "D", "1", {"id": "a", "visible": False, "stat": "avg"}],
        [".", "e", ".", ".", {"id": "e", "period": 60, "accountId": "210987654321", "color": "#f00"}],
        stat="Sum", period=300, region="eu-west-1", view="timeSeries", stacked=True,
        annotations={
            "horizontal": [{"value": 1, "label": "alarm"}, [{"value": 2, "label": "band"}, {"value": 3}]],
            "vertical": [{"value": "2026-11-23T10:00:00Z", "label": "deploy"}],
        },
        yAxis={"left": {"min": 0, "max": 10, "label": "syncs"}, "right": {"showUnits": False}},
    )  # fmt: skip
    assert (widget.problem, widget.title, widget.stacked) == ("", "t", True)
    share, a, e = widget.lines
    assert (share.expression, share.axis, share.statistic) == ("100*e/a", "right", "")
    assert (a.namespace, a.name, dict(a.dimensions), a.statistic, a.visible) == (
        "N",
        "a",
        {"D": "1"},
        "Average",
        False,
    )
    assert (e.name, e.statistic, e.period_s, e.account_id) == ("e", "Sum", 60, "210987654321")
    assert [(one.value, one.until, one.label) for one in widget.thresholds] == [
        (1, None, "alarm"),
        (2, 3, "band"),
    ]
    assert widget.moments[0].at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert (widget.axes["left"].low, widget.axes["left"].high, widget.axes["left"].label) == (0, 10, "syncs")


def test_what_cloudwatch_takes_where_nothing_is_said() -> None:
    (line,) = one(["N", "a"]).lines
    assert (line.statistic, line.period_s, line.visible, line.axis) == ("Average", 300, True, "left")
    assert one(["N", "a"]).view == "timeSeries"


@pytest.mark.parametrize(
    ("name", "asked_for"),
    [
        ("AVG", "Average"),
        ("sum", "Sum"),
        ("n", "SampleCount"),
        ("p99.9", "p99.9"),
        ("TM(10%:90%)", "TM(10%:90%)"),
    ],
)
def test_statistics_are_called_as_the_api_calls_them(name: str, asked_for: str) -> None:
    assert statistic(name) == asked_for


@pytest.mark.parametrize(
    ("widget", "says"),
    [
        (7, "the widget is 7, not an object"),
        ({"type": "metric", "properties": []}, "properties is [], not an object"),
        (metric(), "it names no metric"),
        (metric(["N"]), "metric 1 is not a namespace, a name"),
        (metric(["N", "a", "D"]), "metric 1 is not a namespace"),
        (metric(["N", "a", "D", "1", "D", "2"]), "names a dimension twice"),
        (metric(["N", "a"], period=7), "the period 7 is not"),
        (metric(["N", "a"], period=6e300), "the period 6e+300 is not"),
        (metric(["N", "a"], period="300"), 'period is "300", not a number'),
        (metric(["N", "a", {"period": True}]), "period is true, not a number"),
        (metric(["N", "a", {"id": "M1"}]), "does not begin with a small letter"),
        (metric(["N", "a", {"id": "m"}], ["N", "b", {"id": "m"}]), "two of its metrics have the id 'm'"),
        (metric(["N", "a", {"visible": False}]), "none of its metrics is visible"),
        (metric(["N", "a", {"expression": "x"}]), "a metric and an expression at once"),
        (metric(*[["N", "a"]] * 501), "501 metrics, more than the 500"),
        (metric(["N", "a"], annotations={"horizontal": [{"value": "1"}]}), 'is "1", not a number'),
        (metric(["N", "a"], annotations={"horizontal": [[{"value": 1}] * 3]}), "does not have two edges"),
        (metric(["N", "a"], annotations={"vertical": [{"value": "soon"}]}), "is not a time"),
        (metric(["N", "a"], yAxis={"left": {"min": "0"}}), "yAxis.left.min is"),
        ({"type": "alarm", "properties": {}}, "it names no alarm"),
        ({"type": "text", "properties": {"markdown": 7}}, "markdown is 7"),
        ({"type": "log", "properties": {"query": "fields @message"}}, "a log query is not run here"),
        ({"type": "custom", "properties": {}}, "Lambda"),
        ({"type": "hologram", "properties": {}}, "'hologram' are not known"),
        ({"properties": {}}, "'without a type' are not known"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_widget_is_said_of_it_and_costs_no_other(widget: Any, says: str) -> None:
    first, second = parse(body(widget, metric(["N", "a"]))).widgets
    assert says in first.problem
    assert second.problem == ""
    assert second.number == 2


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"widgets": {}}', "[" * 100_000])
def test_what_is_no_dashboard(text: str) -> None:
    with pytest.raises(BadBody, match="the dashboard's body"):
        parse(text)


def test_variables_are_named() -> None:
    found = parse(body(variables=[{"type": "property", "property": "App", "id": "app"}, 7]))
    assert found.variables == ("app",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["N", ".", "...", "metric", "p90", "m1", "SUM(METRICS())", "\ud83d", 60, 300, 1e300]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["id", "expression", "label", "value", "period", "stat", "min"]), inner),
    max_leaves=12,
)  # fmt: skip
PROPERTIES = st.dictionaries(
    st.sampled_from(
        ["metrics", "title", "period", "stat", "annotations", "yAxis", "view", "setPeriodToTimeRange"]
    ),
    JSON,
)
MATHS = st.sampled_from(["m1 * 2", "SUM(METRICS())", "SEARCH('x', 'Sum', 60)"])
GOOD = st.lists(
    st.builds(lambda fields, options: [*fields, options], FIELDS, OPTIONS)
    | st.builds(lambda text: [{"expression": text}], MATHS),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60)
@given(st.lists(JSON | st.builds(lambda p: {"type": "metric", "properties": p}, PROPERTIES), max_size=3))
def test_no_body_makes_it_fail(widgets: list[Any]) -> None:
    found = parse(json.dumps({"widgets": widgets}))
    assert len(found.widgets) == len(widgets)
    asked(*(one for one in found.widgets if one.kind == "metric" and not one.problem))


@settings(max_examples=60)
@given(st.lists(GOOD, min_size=1, max_size=4), st.booleans())
def test_every_visible_line_is_asked_for_once(widgets: list[Any], whole: bool) -> None:
    found = parse(
        body(*(metric(*each, view="singleValue", setPeriodToTimeRange=whole) for each in widgets))
    ).widgets
    assert [one.problem for one in found] == [""] * len(widgets)
    queries = [query for call in asked(*found) for query in call]
    assert len(queries) == sum(len(each) for each in widgets)


# ---- queries


def test_expressions_go_as_they_are_with_the_ids_they_use() -> None:
    widget = one(
        [{"expression": "SUM(METRICS()) + q1", "label": "all", "id": "e"}],
        ["N", "a", {"id": "q1", "visible": False}],
        ["N", "b", {"stat": "p90"}],
        [{"expression": "SEARCH('{N,D} a', 'Sum', 3600)"}],
    )
    (call,) = asked(widget)
    assert [query["Id"] for query in call] == ["e", "q1", "q2", "q3"], "one that is taken is not given away"
    assert call[0]["Expression"] == "SUM(METRICS()) + q1"
    assert (call[0]["Label"], [query["ReturnData"] for query in call]) == ("all", [True, False, True, True])
    assert call[2]["MetricStat"]["Stat"] == "p90"
    assert "Label" not in call[3]
    assert "Period" not in call[0] | call[3], "that of its metrics"
    (search,) = asked(one([{"expression": "SEARCH('{N,D} a', 'Sum')"}], period=3600))
    assert search[0]["Period"] == 3600


def test_widgets_with_expressions_are_asked_for_by_themselves_and_the_others_together() -> None:
    plain = [one(["N", "a", {"id": "m1"}], ["N", "b"]), one(["N", "c", {"id": "m1"}])]
    math = [one([{"expression": "SUM(METRICS())"}], ["N", "a", {"id": "m1"}])] * 2
    assert sorted(len(call) for call in asked(*plain, *math)) == [2, 2, 3]


def test_no_call_has_more_than_500_metrics() -> None:
    many = [one(*(["N", f"a{n}"] for n in range(400))) for _ in range(3)]
    assert [len(call) for call in asked(*many)] == [500, 500, 200]


def test_what_is_not_visible_is_asked_for_only_where_an_expression_may_need_it() -> None:
    assert [[query["MetricStat"]["Metric"]["MetricName"] for query in call]
            for call in asked(one(["N", "a"], ["N", "b", {"visible": False}]))] == [["a"]]  # fmt: skip


@pytest.mark.parametrize(
    ("asked_s", "days_ago", "length", "period"),
    [
        (300, 5, timedelta(days=5), 300),
        (60, 1, timedelta(days=1), 60),
        (60, 5, timedelta(days=5), 300),  # more than 1,440 points otherwise
        (1, 0.1, timedelta(minutes=20), 1),
        (10, 0.2, timedelta(hours=1), 60),  # seconds are kept for three hours
        (60, 20, timedelta(hours=2), 300),  # minutes for 15 days
        (420, 20, timedelta(hours=2), 600),
        (300, 70, timedelta(hours=2), 3600),  # five minutes for 63 days
        (86_400, 30, timedelta(days=30), 86_400),
        (300, 21, timedelta(days=21), 3600),
    ],
)
def test_the_period_is_the_dashboards_as_long_as_cloudwatch_has_it(
    asked_s: int, days_ago: float, length: timedelta, period: int
) -> None:
    since = NOW - timedelta(days=days_ago)
    assert fitted_period(asked_s, Window(since, since + length), NOW) == period


def test_one_value_for_the_whole_range_has_a_period_as_long_as_that() -> None:
    widget = one(["N", "a"], view="singleValue", setPeriodToTimeRange=True)
    (call,) = requests([widget], Window(NOW - timedelta(hours=24), NOW), NOW)
    assert (call.end - call.start).total_seconds() == call.queries[0].period_s
    assert call.start <= NOW - timedelta(hours=24)
    assert call.end >= NOW
    asked(widget)


def test_calls_begin_where_their_periods_do() -> None:
    calls = requests([one(["N", "a"], ["N", "b", {"period": 3600}])], WEEK, NOW)
    for call in calls:
        assert call.start.timestamp() % call.queries[0].period_s == 0
    (search,) = requests([one([{"expression": "SEARCH('{N} a', 'Maximum', 86400)"}])], WEEK, NOW)
    assert search.start == datetime(2026, 11, 18, tzinfo=UTC)
