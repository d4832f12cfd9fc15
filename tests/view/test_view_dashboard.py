"""The dashboard as the record shows it: then and now, with what shows nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from vmqlib import view
from vmqlib.runbook.dashboard import SOURCES, read_dashboard
from vmqlib.view.dashboard_plot import merged

MARKUP = "<script>alert(1)</script> $\\frac{1}{0}$ \x1b[31m"


def looked(story: Any, at: datetime | None = None, **rows: Any) -> dict[str, Any]:
    """Both observations; rows with underscores replace a source's."""
    given = {name.replace("_", "-"): value for name, value in rows.items()}
    return {
        name: story.seen(name, given.get(name, story.rows[name]()), at=at or story.now) for name in SOURCES
    }


def earlier(story: Any, hours: float) -> dict[str, Any]:
    """The same as it was seen before: only older points, and an alarm that was OK."""
    then = story.now - timedelta(hours=hours)
    data = [row for row in story.rows["dashboard-data"]() if row.get("at") is None or row["at"] < then]
    widgets = story.rows["dashboard-widgets"]()
    widgets[4] = widgets[4] | {"alarms": '[{"name": "QBusinessSyncFailed", "state": "OK"}]'}
    return looked(story, then, dashboard_data=data, dashboard_widgets=widgets)


def test_then_and_now_stand_side_by_side(story: Any) -> None:
    before, after = earlier(story, 3.9), looked(story)
    shown = view.dashboard(before, after, last_good=story.day(19), opened=story.now - timedelta(hours=3.9))
    assert shown.ok
    text = shown.text.splitlines()
    assert text[0] == "Dashboard: 6 widgets; 2 of 3 metric widgets show data; no data: “All applications”."
    assert "current | Sync failures | SyncFailed | Sum per 5 min | 0 | 1 | still counting" in text
    assert "Alarms | QBusinessSyncFailed | OK | ALARM | " in text
    assert "current | Index | DocumentCount | Maximum per 5 min | 280 | 280 | 10 min" in text
    assert "at the opening" in shown.html.markup
    alt = shown.html.markup.split('alt="')[1].split('"')[0]
    assert "Sync failures: SyncFailed 0, now 1, NoSync 0, now 0; All applications: no data" in alt
    assert "the incident was opened 2026-11-23 05:36:00 UTC" in alt


def test_one_look_is_shown_once(story: Any) -> None:
    after = looked(story)
    for before in (None, after):
        shown = view.dashboard(before, after)
        assert "at the opening" not in shown.html.markup
        assert "current | Sync failures | SyncFailed | Sum per 5 min | 1 | still counting" in shown.text


def test_what_shows_nothing_is_named_with_why_and_what_to_write(story: Any) -> None:
    shown = view.dashboard(None, looked(story))
    assert "SyncFailed has no value with no dimensions: it is published with App=a" in shown.text
    assert (
        """Write into the widget's metrics: ["VaultMesh/QBusiness", "SyncFailed", "App", "a"]""" in shown.text
    )
    assert "Errors: a log query is not run here" in shown.text
    assert "Index: only its values are shown (it is a singleValue)" in shown.text
    assert "text: Ask in #ops-escalations" in shown.text


def test_texts_are_shown_as_they_are_meant_and_no_further(story: Any) -> None:
    rows = story.rows["dashboard-widgets"]()
    text = "## On call\n\nAsk **first**, [here](https://wiki.example/x).\n\n<script>alert(1)</script>"
    rows = [row | {"text": text} if row["kind"] == "text" else row for row in rows]
    shown = view.dashboard(None, looked(story, dashboard_widgets=rows))
    assert "text: On call Ask first, here (https://wiki.example/x). <script>alert(1)</script>" in shown.text
    assert "<strong>On call</strong>" in shown.html.markup
    assert '<a href="https://wiki.example/x"' in shown.html.markup
    assert "<script>" not in shown.html.markup


def test_graphs_that_do_not_fit_are_named_and_their_values_are_there(story: Any) -> None:
    one = story.rows["dashboard-widgets"]()[0]
    line, point = story.rows["dashboard-data"]()[0], {"line": 1, "at": story.now, "value": 4.0}
    widgets = [one | {"widget": n, "title": f"g{n}"} for n in range(1, 16)]
    data = [line | {"widget": n} for n in range(1, 16)] + [point | {"widget": n} for n in range(1, 16)]
    shown = view.dashboard(None, looked(story, dashboard_widgets=widgets, dashboard_data=data))
    assert "g12: not drawn" not in shown.text
    for number in (13, 14, 15):
        assert f"g{number}: not drawn: the figure is full; its values are in the table" in shown.text
        assert f"g{number} | SyncFailed | Sum per 5 min | 4 |" in shown.text


def test_many_lines_many_rows_and_stacks(story: Any) -> None:
    one = story.rows["dashboard-widgets"]()[0] | {
        "stacked": True,
        "axes": '{"left": {"low": 0, "high": 9, "label": "x"}}',
    }
    line = story.rows["dashboard-data"]()[0]
    data = [line | {"line": n, "label": f"_l{n}"} for n in range(1, 61)]
    data += [
        {"line": n, "widget": 1, "at": story.now - timedelta(minutes=5 * n), "value": 1.0}
        for n in range(1, 61)
    ]
    shown = view.dashboard(None, looked(story, dashboard_widgets=[one], dashboard_data=data))
    assert shown.ok
    assert "Values of 60 lines, the first 50 of them" in shown.html.markup


def test_a_line_that_was_read_with_another_period_says_so(story: Any) -> None:
    data = [row | {"asked_s": 60} if row.get("label") else row for row in story.rows["dashboard-data"]()]
    shown = view.dashboard(None, looked(story, dashboard_data=data))
    assert "Sum per 5 min, on the dashboard per minute" in shown.text


@pytest.mark.parametrize("lost", SOURCES)
def test_what_was_not_seen_is_said_in_its_place(story: Any, lost: str) -> None:
    seen = looked(story)
    seen[lost] = story.seen(
        lost, [], available=False, problem="AccessDenied on cloudwatch", hint="Grant it.", evidence=None
    )
    shown = view.dashboard(None, seen)
    assert "AccessDenied on cloudwatch" in shown.html.markup
    assert "Grant it." in shown.html.markup
    if lost == "dashboard-data":
        assert "Ask in #ops-escalations" in shown.text


def test_an_old_look_is_said_to_be_old(story: Any) -> None:
    seen = looked(story)
    seen[SOURCES[1]] = story.seen(
        SOURCES[1], story.rows[SOURCES[1]](), problem="A newer look failed: throttled."
    )
    text = view.dashboard(None, seen).text
    assert "A newer look failed: throttled. What is shown was seen 2026-11-23 09:30:00 UTC." in text


def test_a_body_that_was_none(story: Any) -> None:
    broken = [{"kind": "dashboard", "problem": "the dashboard's body is not JSON"}]
    shown = view.dashboard(None, looked(story, dashboard_widgets=broken, dashboard_data=[]))
    assert "the dashboard's body is not JSON" in shown.text


def test_a_dashboard_without_widgets(story: Any) -> None:
    assert (
        "it has no widgets"
        in view.dashboard(None, looked(story, dashboard_widgets=[], dashboard_data=[])).text
    )


def test_hostile_annotations_axes_and_alarms_are_data(story: Any) -> None:
    hostile = {
        "thresholds": [{"value": 1, "until": "x", "label": MARKUP, "axis": MARKUP}, {"value": None}, 7],
        "moments": [
            {"at": MARKUP, "label": MARKUP},
            {"at": "2026-11-23T09:00:00Z", "until": 7, "label": MARKUP},
        ],
        "axes": {"left": {"low": 5, "high": -5, "label": MARKUP}, MARKUP: 7},
        "alarms": [{"name": MARKUP, "state": MARKUP, "since": MARKUP}],
    }
    rows = [
        row | {name: json.dumps(value) for name, value in hostile.items()}
        for row in story.rows["dashboard-widgets"]()
    ]
    data = [row | {"label": MARKUP, "problem": MARKUP, "why": "invalid"} if row.get("label") else row
            for row in story.rows["dashboard-data"]()]  # fmt: skip
    shown = view.dashboard(None, looked(story, dashboard_widgets=rows, dashboard_data=data))
    assert shown.ok
    assert "could not be drawn" not in shown.text
    assert "<script" not in shown.html.markup
    assert "\x1b" not in shown.html.markup + shown.text


def test_the_newer_look_wins_where_both_reach(story: Any) -> None:
    first, last = (read_dashboard(one) for one in (earlier(story, 2), looked(story)))
    assert first is not None
    assert last is not None
    old, new = first.widgets[0].lines[0].points, last.widgets[0].lines[0].points
    assert old is not None
    assert new is not None
    start = story.now - timedelta(days=5)
    assert merged(old, new, start).equals(new)
    late = new[new.index >= story.now - timedelta(hours=1)]
    both = merged(old, late, start)
    assert both.index.is_monotonic_increasing
    assert both.index.is_unique
    assert len(both) == len(old) + len(late)
    assert merged(None, None, start).empty
