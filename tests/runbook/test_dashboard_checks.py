"""Whether the dashboard shows current data: rules over what was seen."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from datetime import timedelta
from typing import Any

import pytest
from support.looks import NOW, failed_look, look

from vmqlib.record.observation import Observation
from vmqlib.runbook.checks import CheckResult, worst
from vmqlib.runbook.dashboard import SOURCES, read_dashboard
from vmqlib.runbook.dashboardchecks import CURRENT, READABLE, dashboard_checks
from vmqlib.settings import Settings

Seen = dict[str, Observation]


def line(
    *ages: float, number: int = 1, metric: str = "N f", period: int = 300, **more: Any
) -> list[dict[str, Any]]:
    """A line of widget 1, with values whose periods ended so many hours ago."""
    described = {"widget": 1, "line": number, "label": metric.split(" ")[1], "metric": metric, "dimensions": "{}",
                 "statistic": "Sum", "period_s": period, "asked_s": period, "axis": "left", **more}  # fmt: skip
    ends = [NOW - timedelta(hours=age) - timedelta(seconds=period) for age in ages]
    return [described, *({"widget": 1, "line": number, "at": at, "value": 1.0} for at in ends)]


def seen(*lines: list[dict[str, Any]], more: list[dict[str, Any]] | None = None, **widget: Any) -> Seen:
    rows = [{"widget": 1, "kind": "metric", "title": "w", "view": "timeSeries"} | widget, *(more or [])]
    return {
        SOURCES[0]: look(SOURCES[0], rows),
        SOURCES[1]: look(SOURCES[1], [row for part in lines for row in part]),
    }


def verdict(*lines: list[dict[str, Any]], **widget: Any) -> CheckResult:
    whole, one = dashboard_checks(seen(*lines, **widget), NOW)
    assert (whole.name, whole.ok, one.name, one.subject) == (READABLE, True, CURRENT, "w")
    return one


DIMENSIONS = {"why": "dimensions", "problem": "f has no value with no dimensions: it is published with App=a"}


@pytest.mark.parametrize(
    ("ages", "ok"),
    [
        ((0, 1, 2, 3), True),
        ((1.9, 3, 4, 5), True),  # less than twice the longest silence before
        ((2.1, 3, 4, 5), False),
        ((27, 41, 42, 43, 57), True),  # there are nights
        ((30, 44, 45, 46, 60), False),
        ((0,), True),
        ((9, 10), None),  # two values say nothing about how often
    ],
)
def test_a_value_may_be_as_old_as_its_silences_lead_to_expect(
    ages: tuple[float, ...], ok: bool | None
) -> None:
    found = verdict(line(*ages))
    assert found.ok is ok, found
    assert "newest value 1" in found.finding.lower()


@pytest.mark.parametrize(
    ("metric", "age", "ok"),
    [
        ("AWS/QBusiness DocumentCount", 0.3, True),
        ("AWS/QBusiness DocumentCount", 0.4, None),
        ("AWS/QBusiness DocumentCount", 0.6, False),
        ("VaultMesh/QBusiness NoSync", 24, True),
        ("VaultMesh/QBusiness NoSync", 40, None),
        ("VaultMesh/QBusiness NoSync", 50, False),
        ("AWS/QBusiness BlockedChatMessages", 50, None),
        ("AWS/QBusiness ChatMessagesWithNoAnswer", 50, None),
    ],
)
def test_metrics_whose_cadence_is_known(metric: str, age: float, ok: bool | None) -> None:
    assert verdict(line(age, age + 0.25, age + 0.5, age + 0.75, age + 1, metric=metric)).ok is ok


def test_a_line_with_other_dimensions_can_never_show_anything() -> None:
    found = verdict(line(elsewhere='[{"App": "a"}]', **DIMENSIONS))
    assert found.ok is False
    assert found.mend == """Write into the widget's metrics: ["N", "f", "App", "a"]"""
    beside = verdict(line(0, 1, metric="N g"), line(number=2, elsewhere='[{"App": "a"}]', **DIMENSIONS))
    assert beside.ok is False, "a line that works does not make up for it"
    assert beside.finding.startswith("f: f has no value with no dimensions")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_mend_is_a_command_that_rewrites_that_very_metric_and_nothing_else() -> None:
    settings = Settings.load(dashboard="The board", region="eu-west-1")
    _, found = dashboard_checks(seen(line(elsewhere='[{"App": "a"}]', **DIMENSIONS)), NOW, settings)
    said, get, put, _ = found.mend.splitlines()
    assert said == """Write into the widget's metrics: ["N", "f", "App", "a"]"""
    where = ["--region", "eu-west-1", "--dashboard-name", "The board"]
    assert shlex.split(put)[3:] == [*where, "--dashboard-body", "file://dashboard.json"]
    read, edit = get.split(" | ", 1)
    assert shlex.split(read)[3:7] == where
    words = shlex.split(edit)[:-3]
    assert shlex.split(edit)[-3:] == [">", "dashboard.json", "&&"], "what jq refuses is not put"
    other = {"type": "text", "properties": {"markdown": "hi"}}

    def edited(*metrics: list[Any]) -> subprocess.CompletedProcess[str]:
        body = json.dumps({"widgets": [other, {"properties": {"metrics": metrics}}]})
        return subprocess.run(words, input=body, capture_output=True, text=True, check=False)

    kept = [["N", "g"], ["N", "f", "App", "b"], [{"expression": "m1"}]]
    done = edited(["N", "f", {"label": "x"}], *kept)
    assert json.loads(done.stdout)["widgets"] == [
        other, {"properties": {"metrics": [["N", "f", "App", "a", {"label": "x"}], *kept]}},
    ]  # fmt: skip
    assert edited(["N", "f"], [".", "g"]).returncode != 0, "an abbreviated entry would change along with it"


def test_the_same_dimensions_with_other_values_may_just_be_silent() -> None:
    found = verdict(line(dimensions='{"App": "b"}', elsewhere='[{"App": "a"}]', **DIMENSIONS))
    assert found.ok is None
    assert """["N", "f", "App", "a"]""" in found.mend


@pytest.mark.parametrize("why", ["no data", "unknown metric", "refused", "not asked", "not known"])
def test_what_cannot_be_told_is_not_failed(why: str) -> None:
    found = verdict(line(why=why, problem="because"))
    assert (found.ok, found.finding) == (None, "Because.")


def test_what_cloudwatch_refuses_fails() -> None:
    found = verdict(line(why="invalid", problem="AWS refused the request: bad expression."))
    assert found.ok is False
    assert "put-dashboard" in found.mend


def test_one_current_line_is_enough_and_the_silent_one_is_named() -> None:
    found = verdict(line(0, 1), line(number=2, metric="N g", why="no data", problem="nothing was published"))
    assert found.ok is True
    assert "g: nothing was published" in found.finding


def test_a_value_for_the_whole_window_has_no_age() -> None:
    assert verdict(line(100, period=86_400), whole_range=True).ok is True


@pytest.mark.parametrize(
    ("problem", "ok"),
    [("metric 1 is no list", False), ("its metrics are in us-east-1: only eu-west-1 is asked", None)],
)
def test_a_widget_that_cannot_be_drawn(problem: str, ok: bool | None) -> None:
    found = verdict(problem=problem)
    assert found.ok is ok
    assert problem in found.finding.lower()


def test_widgets_without_metrics_are_not_checked_unless_they_are_broken() -> None:
    more = [
        {"widget": 2, "kind": "text", "title": "t"},
        {"widget": 3, "kind": "log", "title": "l", "problem": "not run here"},
        {"widget": 4, "kind": "alarm", "title": "a", "problem": "it names no alarm"},
    ]
    checks = dashboard_checks(seen(line(0), more=more), NOW)
    assert [(one.subject, one.ok) for one in checks] == [("", True), ("w", True), ("a", False)]
    assert worst(checks) is False


@pytest.mark.parametrize("lost", SOURCES)
def test_what_was_not_seen_cannot_be_told(lost: str) -> None:
    (only,) = dashboard_checks(seen(line(0)) | {lost: failed_look(lost)}, NOW)
    assert (only.ok, only.finding, only.mend) == (None, "AccessDenied.", "Grant it.")
    (none,) = dashboard_checks({}, NOW)
    assert none.ok is None


def test_an_old_look_beside_a_newer_one_that_failed_says_nothing_of_now() -> None:
    old = seen(line(0))
    old[SOURCES[1]] = look(SOURCES[1], line(0), problem="A newer look failed: throttled.", hint="Wait.")
    (only,) = dashboard_checks(old, NOW)
    assert (only.ok, only.finding, only.mend) == (None, "A newer look failed: throttled.", "Wait.")


def test_an_incomplete_look_is_not_taken_for_a_whole_one() -> None:
    part = seen(line(0))
    part[SOURCES[1]] = look(SOURCES[1], line(0), complete=False, stopped="throttled")
    whole, one = dashboard_checks(part, NOW)
    assert (whole.ok, one.ok) == (None, True)
    assert "throttled" in whole.finding


def test_a_body_that_is_none_fails() -> None:
    broken = {SOURCES[0]: look(SOURCES[0], [{"kind": "dashboard", "problem": "the dashboard's body is not JSON"}]),
              SOURCES[1]: look(SOURCES[1], [])}  # fmt: skip
    (whole,) = dashboard_checks(broken, NOW)
    assert whole.ok is False
    assert whole.finding == "The dashboard's body is not JSON."


def test_masked_json_costs_what_it_says_and_nothing_else() -> None:
    part = seen(line(0, elsewhere='[{"App": [masked]}]', dimensions="[masked]"), thresholds="[masked]")
    found = read_dashboard(part)
    assert found is not None
    assert found.widgets[0].lines[0].newest is not None
    assert (found.widgets[0].thresholds, found.widgets[0].lines[0].elsewhere) == ((), ())


def test_lines_that_are_labelled_alike_are_told_apart() -> None:
    lines = [line(0, number=n, statistic=stat, dimensions=f'{{"D": "{value}"}}')
             for n, (stat, value) in enumerate((("p50", "x"), ("p90", "x"), ("p90", "y")), 1)]  # fmt: skip
    found = read_dashboard(seen(*lines))
    assert found is not None
    assert [one.label for one in found.widgets[0].lines] == ["f p50", "f p90 x", "f p90 y"]


@pytest.mark.parametrize(("documents", "sources", "ok"), [(1, 1, True), (298, 1, None), (298, 2, True)])
def test_a_count_of_documents_that_is_not_of_now_is_not_passed(
    documents: int, sources: int, ok: bool | None
) -> None:
    """With several data sources nobody knows how many are of this one."""
    named = '{"ApplicationId": "a", "IndexId": "i", "DataSourceId": "d0"}'
    count = "AWS/QBusiness DocumentCount"
    old = seen(line(0.1, 0.35, metric=count, statistic="Maximum", dimensions=named))
    rows = [{"kind": "index", "id": "i", "document_count": documents}] + [
        {"kind": "data-source", "id": f"d{number}"} for number in range(sources)
    ]
    _, found = dashboard_checks(old | {"resources": look("resources", rows)}, NOW)
    assert found.ok is ok
    assert "6 min" in found.finding
    if ok is None:
        assert "the index has 298 documents now" in found.finding
        assert "Look again once the next value is there, within 15 min" in found.mend


@pytest.mark.parametrize(("minutes_ago", "ok"), [(1, True), (30, None)])
def test_a_count_from_before_the_newest_sync_ended_is_as_current_as_it_can_be(
    minutes_ago: int, ok: bool | None
) -> None:
    named = '{"ApplicationId": "a", "IndexId": "i", "DataSourceId": "d0"}'
    count = "AWS/QBusiness DocumentCount"
    old = seen(line(0.1, 0.35, metric=count, statistic="Maximum", dimensions=named))
    rows = [{"kind": "index", "id": "i", "document_count": 298}, {"kind": "data-source", "id": "d0"}]
    jobs = look("sync-jobs", [{"ended_at": NOW - timedelta(minutes=minutes_ago)}, {"ended_at": None}])
    _, found = dashboard_checks(old | {"resources": look("resources", rows), "sync-jobs": jobs}, NOW)
    assert found.ok is ok
    assert "the index has 298 documents now" in found.finding
    assert ("from before the newest sync ended" in found.finding) is bool(ok)


def test_a_dashboard_that_does_not_exist_fails() -> None:
    gone = look(
        SOURCES[0], [], available=False, problem="There is no dashboard.", hint="Put it back.", gone=True
    )
    (only,) = dashboard_checks({SOURCES[0]: gone, SOURCES[1]: gone}, NOW)
    assert (only.name, only.ok, only.mend) == (READABLE, False, "Put it back.")
