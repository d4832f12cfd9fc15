"""What the dashboard's sources make of CloudWatch's answers, also of those that come on bad days."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.stub_aws import Answer, Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, AwsError, ResourceMissing
from vmqlib.sources import REGISTRY
from vmqlib.times import Window

HERE = "eu-west-1"
ARN = f"arn:aws:cloudwatch:{HERE}:123456789012:alarm:"
Rows = list[dict[str, Any]]


def graph(*metrics: Any, title: str = "t", **more: Any) -> dict[str, Any]:
    return {"type": "metric", "properties": {"title": title, "metrics": metrics, "region": HERE, **more}}


def result(
    name: str, *values: float, label: str = "", status: str = "Complete", **more: Any
) -> dict[str, Any]:
    times = [1_795_400_000 + 300 * n for n in range(len(values))]
    return {
        "Id": name,
        "Label": label or name,
        "Timestamps": times,
        "Values": values,
        "StatusCode": status,
    } | more


class Board:
    """A dashboard, and what CloudWatch answers about it: ``data`` by the query's id, ``known`` by the metric's name."""

    def __init__(self, stub: StubAws, aws: Aws, window: Window) -> None:
        self.stub, self.aws, self.window = stub, aws, window
        self.data: Callable[[list[dict[str, Any]]], Answer | list[dict[str, Any]]] = lambda _: []
        self.known: dict[str, list[dict[str, str]]] = {}
        stub.on["GetMetricData"] = self._data
        stub.on["ListMetrics"] = self._metrics
        stub.on["DescribeAlarms"] = lambda _: {"MetricAlarms": [], "CompositeAlarms": []}

    def show(self, *widgets: Any, body: str | None = None, **more: Any) -> None:
        text = body if body is not None else json.dumps({"widgets": widgets} | more)
        self.stub.on["GetDashboard"] = lambda _: {"DashboardBody": text, "DashboardName": "d"}

    def _data(self, asked: Asked) -> Answer | dict[str, Any]:
        found = self.data(asked.values["MetricDataQueries"])
        return found if isinstance(found, Answer) else {"MetricDataResults": found}

    def _metrics(self, asked: Asked) -> dict[str, Any]:
        wanted, space = asked.values.get("MetricName"), asked.values["Namespace"]
        return {
            "Metrics": [
                {"Namespace": space, "MetricName": name,
                 "Dimensions": [{"Name": k, "Value": v} for k, v in one.items()]}
                for name, sets in self.known.items() if wanted in (None, name) for one in sets
            ]
        }  # fmt: skip

    def read(self, name: str = "dashboard-data") -> tuple[Rows, tuple[bool, str]]:
        reading = REGISTRY[name].read(self.aws, self.aws.settings, self.window)
        rows = [dict(row) for row in reading.rows]
        assert set().union(*rows, set()) <= set(REGISTRY[name].columns)
        json.dumps(rows)
        return rows, reading.outcome()

    def lines(self) -> Rows:
        return [row for row in self.read()[0] if row.get("at") is None]


@pytest.fixture
def board(stub: StubAws, aws: Aws, window: Window) -> Board:
    return Board(stub, aws, window)


def refuse(name: str) -> Callable[[list[dict[str, Any]]], Answer | list[dict[str, Any]]]:
    """CloudWatch refuses a call in which that expression is."""

    def answer(queries: list[dict[str, Any]]) -> Answer | list[dict[str, Any]]:
        if any(query.get("Expression") == name or _name(query) == name for query in queries):
            return error("ValidationError", 400, f"Error in expression: {name}")
        return [
            result(query["Id"], 1.0, label=query.get("Label", "")) for query in queries if query["ReturnData"]
        ]

    return answer


def _name(query: dict[str, Any]) -> str:
    return str(query.get("MetricStat", {}).get("Metric", {}).get("MetricName", ""))


def test_one_widget_that_is_refused_costs_no_other(board: Board) -> None:
    board.show(
        graph([{"expression": "SUM("}], title="a"), graph(["N", "b"], title="b"), graph(["N", "bad"], title="c"),
        graph([{"expression": "m1*2"}], ["N", "d", {"id": "m1", "visible": False}], title="d"),
    )  # fmt: skip
    for refused in ("SUM(", "bad"):
        board.data = refuse(refused)
        rows, outcome = board.read()
        lines = {row["widget"]: row for row in rows if row.get("at") is None}
        assert sorted(lines) == [1, 2, 3, 4]
        (wrong,) = [number for number, row in lines.items() if row["why"]]
        assert wrong == (1 if refused == "SUM(" else 3)
        assert lines[wrong]["why"] == "invalid"
        assert refused in lines[wrong]["problem"]
        assert {row["widget"] for row in rows if row.get("at")} == {1, 2, 3, 4} - {wrong}
        assert outcome == (True, ""), "what is wrong with the dashboard is no gap in what was seen"


def test_when_everything_is_refused_the_source_says_so(board: Board) -> None:
    board.show(graph(["N", "b"]), graph([{"expression": "1"}]))
    board.data = lambda _: error("AccessDenied", 403, "not authorized to perform: cloudwatch:GetMetricData")
    with pytest.raises(AccessDenied, match="GetMetricData"):
        board.read()


def test_when_one_call_fails_the_others_stay_and_it_is_incomplete(board: Board) -> None:
    board.show(graph(["N", "b"]), graph([{"expression": "1"}]))
    board.data = lambda queries: (
        error("InternalServiceFault", 500)
        if "Expression" in queries[0]
        else [result(queries[0]["Id"], 1.0)]
    )  # fmt: skip
    rows, (complete, stopped) = board.read()
    assert [row.get("why") for row in rows if row.get("at") is None] == ["", "refused"]
    assert not complete
    assert "GetMetricData" in stopped


def test_a_search_gives_lines_with_labels_of_their_own(board: Board) -> None:
    board.show(graph([{"expression": "SEARCH('{N,P} a', 'Sum', 300)", "id": "s"}]))
    board.data = lambda _: [
        result("s", 1.0, 2.0, label="x"),
        result("s", 3.0, label="y"),
        result("s", 4.0, label="y"),
    ]
    rows, _ = board.read()
    assert [(row["line"], row["label"]) for row in rows if row.get("at") is None] == [
        (1, "x"),
        (2, "y"),
        (3, "y"),
    ]
    assert [row["value"] for row in rows if row.get("at")] == [1.0, 2.0, 3.0, 4.0]


def test_pages_are_read_to_the_end_and_what_stays_partial_is_said(board: Board) -> None:
    board.show(graph(["N", "b"], ["N", "c"]))
    pages = [
        {"MetricDataResults": [result("m0", 1.0, status="PartialData")], "NextToken": "2"},
        {"MetricDataResults": [
            {**result("m0", 0.0, 7.0), "Timestamps": [1_795_400_300, 1_795_400_600]},
            result("m1", 5.0, status="PartialData", Messages=[{"Code": "x", "Value": "too many"}])],
         "Messages": [{"Code": "y", "Value": "Maximum number of allowed metrics exceeded"}]},
    ]  # fmt: skip
    board.stub.on["GetMetricData"] = lambda asked: pages[1 if asked.values.get("NextToken") else 0]
    rows, (complete, stopped) = board.read()
    assert [row["value"] for row in rows if row.get("at")] == [1.0, 0.0, 7.0, 5.0]
    assert [row["why"] for row in rows if row.get("at") is None] == ["", "partial"]
    assert not complete
    assert "Maximum number of allowed metrics exceeded" in stopped
    assert "c: not all of it was given: PartialData; too many" in stopped


@pytest.mark.parametrize(
    ("dimensions", "known", "why", "says"),
    [
        (
            [],
            {"f": [{"App": "a"}]},
            "dimensions",
            "f has no value with no dimensions: it is published with App=a",
        ),
        (
            ["App", "b"],
            {"f": [{"App": "a"}, {}]},
            "dimensions",
            "with App=b: it is published with App=a and 1 other",
        ),
        (["App", "a"], {"f": [{"App": "a"}]}, "no data", "nothing was published in the window, though"),
        (
            [],
            {"fa": [{}]},
            "unknown metric",
            "nothing was published as N f in the last two weeks; fa is known there",
        ),
        ([], {}, "unknown metric", "nothing was published as N f in the last two weeks"),
    ],
)
def test_why_a_line_shows_nothing(
    board: Board, dimensions: list[str], known: dict[str, Any], why: str, says: str
) -> None:
    board.show(graph(["N", "f", *dimensions]))
    board.known = known
    (line,) = board.lines()
    assert line["why"] == why
    assert says in line["problem"]
    assert json.loads(line["elsewhere"]) == (known["f"] if why == "dimensions" else [])


def test_an_expression_without_a_value_names_the_metric_that_is_to_blame(board: Board) -> None:
    board.show(
        graph([{"expression": "m1/m2", "label": "share"}], ["N", "f", {"id": "m1"}], ["N", "g", {"id": "m2"}])
    )
    board.known = {"f": [{}], "g": [{"App": "a"}]}
    line = board.lines()[0]
    assert (line["label"], line["why"]) == ("share", "dimensions")
    assert "it may use m2 (g): g has no value with no dimensions" in line["problem"]


def test_an_expression_whose_metric_has_the_same_dimensions_elsewhere_may_be_silent(board: Board) -> None:
    board.show(graph([{"expression": "m1*2"}], ["N", "f", "App", "b", {"id": "m1", "visible": False}]))
    board.known = {"f": [{"App": "a"}]}
    (line,) = board.lines()
    assert line["why"] == "no data"
    assert "it may use m1 (f): f has no value with App=b: it is published with App=a" in line["problem"]


def test_a_metric_with_too_many_sets_of_dimensions_is_not_judged(board: Board) -> None:
    board.show(graph(["N", "f", "App", "b"]))
    page = {"Metrics": [{"Namespace": "N", "MetricName": "f", "Dimensions": []}], "NextToken": "more"}
    board.stub.on["ListMetrics"] = lambda asked: page | {"NextToken": f"{asked.values.get('NextToken', '')}+"}
    (line,) = board.lines()
    assert line["why"] == "not known"
    assert board.stub.operations().count("ListMetrics") == 10


def test_without_leave_to_list_metrics_the_reason_is_not_known(board: Board) -> None:
    board.show(graph(["N", "f"], ["N", "g"]))
    board.stub.on["ListMetrics"] = lambda _: error(
        "AccessDenied", 403, "not authorized: cloudwatch:ListMetrics"
    )
    rows, (complete, stopped) = board.read()
    assert [row["why"] for row in rows] == ["not known", "not known"]
    assert not complete
    assert stopped.count("cloudwatch:ListMetrics") >= 1


def test_only_the_own_region_is_asked(board: Board) -> None:
    board.show(
        graph(["N", "f"], title="far", region="us-east-1"),
        graph(["N", "g", {"region": "us-east-1"}], ["N", "h"], title="half"),
        graph(
            [{"expression": "a+b"}], ["N", "i", {"region": "us-east-1", "id": "a"}], ["N", "j", {"id": "b"}]
        ),
    )
    board.known = {name: [{}] for name in "fghij"}
    rows, _ = board.read()
    assert [(row["widget"], row["why"]) for row in rows] == [
        (2, "not asked"), (2, "no data"), (3, "not asked"), (3, "not asked"), (3, "not asked"),
    ]  # fmt: skip
    widgets, outcome = board.read("dashboard-widgets")
    assert "us-east-1: only eu-west-1 is asked" in widgets[0]["problem"]
    assert [one["problem"] for one in widgets[1:]] == ["", ""]
    assert outcome == (True, "")
    asked = [_name(query) for one in board.stub.asked if one.operation == "GetMetricData"
             for query in one.values["MetricDataQueries"]]  # fmt: skip
    assert asked == ["h"]


def alarm(name: str, **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmArn": ARN + name,
        "StateValue": "ALARM",
        "StateUpdatedTimestamp": 1_795_400_000,
    } | more


def test_alarms_say_their_state_or_why_it_is_not_known(board: Board) -> None:
    far = ARN.replace(HERE, "us-east-1") + "far"
    board.show({"type": "alarm", "properties": {"alarms": [ARN + "a:b", ARN + "gone", far]}})
    board.stub.on["DescribeAlarms"] = lambda _: {"MetricAlarms": [alarm("a:b")], "CompositeAlarms": []}
    (row,), outcome = board.read("dashboard-widgets")
    found = {one["name"]: one for one in json.loads(row["alarms"])}
    assert found["a:b"]["state"] == "ALARM"
    assert found["gone"]["problem"] == "there is no such alarm"
    assert "us-east-1" in found["far"]["problem"]
    assert outcome == (True, "")
    board.stub.on["DescribeAlarms"] = lambda _: error("AccessDenied", 403, "no")
    (row,), (complete, stopped) = board.read("dashboard-widgets")
    assert not complete
    assert "DescribeAlarms" in stopped
    assert all(one["problem"] for one in json.loads(row["alarms"]))


def test_a_metric_widget_of_an_alarm_shows_the_alarms_metric(board: Board) -> None:
    board.show({"type": "metric", "properties": {"title": "t", "annotations": {"alarms": [ARN + "a"]}}})
    simple = alarm("a", Namespace="N", MetricName="f", Dimensions=[{"Name": "App", "Value": "x"}], Statistic="Sum",
                   Period=60, Threshold=2.0)  # fmt: skip
    stat = {"Metric": {"Namespace": "N", "MetricName": "f"}, "Period": 60, "Stat": "p90"}
    math = alarm("a", Threshold=2.0, Metrics=[
        {"Id": "e", "Expression": "m1*2", "ReturnData": True}, {"Id": "m1", "MetricStat": stat, "ReturnData": False},
    ])  # fmt: skip
    board.data = refuse("")
    for described, metric, expression in ((simple, "N f", ""), (math, "", "m1*2")):
        board.stub.on["DescribeAlarms"] = lambda _, one=described: {
            "MetricAlarms": [one],
            "CompositeAlarms": [],
        }
        (line,) = board.lines()
        assert (line["metric"], line["expression"], line["period_s"]) == (
            metric,
            expression,
            60 if metric else 300,
        )
        (widget,), _ = board.read("dashboard-widgets")
        assert json.loads(widget["thresholds"])[0]["value"] == 2.0
        assert widget["problem"] == ""


def test_a_dashboard_that_is_not_there(board: Board) -> None:
    board.stub.on["GetDashboard"] = lambda _: error("ResourceNotFound", 404, "Dashboard x does not exist")
    for name in ("dashboard-widgets", "dashboard-data"):
        with pytest.raises(ResourceMissing, match="no CloudWatch dashboard 'VaultMesh-QBusiness'") as caught:
            board.read(name)
        assert "vmq.toml" in caught.value.hint


@pytest.mark.parametrize("body", ["", "not JSON", '{"widgets": 7}'])
def test_a_body_that_is_none_is_told_and_nothing_fails(board: Board, body: str) -> None:
    board.show(body=body)
    (row,), (complete, stopped) = board.read("dashboard-widgets")
    assert (row["kind"], complete) == ("dashboard", False)
    assert "the dashboard's body" in row["problem"] == stopped
    rows, (complete, _) = board.read()
    assert (rows, complete) == ([], False)


def test_an_empty_dashboard_asks_for_no_metric(board: Board) -> None:
    board.show(variables=[{"id": "app"}])
    assert board.read() == ([], (True, ""))
    (row,), _ = board.read("dashboard-widgets")
    assert "its variables (app)" in row["note"]
    assert "GetMetricData" not in board.stub.operations()


def test_halves_of_characters_can_be_asked_about(board: Board) -> None:
    board.show(graph(["N\ud83d", "f", "D", "\ud83d"], title="\ud83d"))
    board.known = {"f": [{"D": "?"}]}
    assert [row["why"] for row in board.lines()] == ["no data"]


def test_refused_by_account(board: Board) -> None:
    board.show(graph(["N", "f", {"accountId": "210987654321"}]))
    board.data = lambda queries: [result(queries[0]["Id"], status="Forbidden")]
    (line,) = board.lines()
    assert line["why"] == "refused"
    assert "Forbidden" in line["problem"]


def test_no_answer_at_all(board: Board, stub: StubAws) -> None:
    stub.on["GetDashboard"] = lambda _: Answer(status=0)
    with pytest.raises(AwsError):
        board.read()
