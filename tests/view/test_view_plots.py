"""Plots tell their finding in words, survive odd data, and can be read in black and white."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import matplotlib
import numpy as np
import pytest
from PIL import Image

from vmqlib import view
from vmqlib.view import style
from vmqlib.view.findings import alarm_spans, bucket_counts, sync_facts

PLOTS = {
    "sync_history": lambda s, o: view.sync_history(o["sync-jobs"], alarms=o["alarm-history"], marks=s.marks),
    "alarm_timeline": lambda s, o: view.alarm_timeline(o["alarm-history"], o["alarms"], marks=s.marks),
    "metrics": lambda s, o: view.metrics(
        o["metrics"], alarms=o["alarm-history"], marks=s.marks, last_good=s.day(15)
    ),
    "index_against_bucket": lambda s, o: view.index_against_bucket(
        o["resources"], o["versions"], metrics=o["metrics"], last_good=s.day(15), marks=s.marks
    ),
}
SOURCES = {
    "sync_history": "sync_jobs",
    "alarm_timeline": "alarm_history",
    "metrics": "metrics",
    "index_against_bucket": "versions",
}


def words(shown: view.View) -> str:
    return shown.text


class TestFindings:
    def test_sync_history_tells_how_many_failed_and_since_when(self, story, looks):
        alt = words(PLOTS["sync_history"](story, looks))
        assert "21 runs; the last 5 did not succeed" in alt
        assert "the first of them started 2026-11-19 02:00 UTC" in alt
        assert "last good sync 2026-11-18 02:00 UTC" in alt
        assert "140 documents failed in the newest finished run" in alt
        assert "QBusinessSyncFailed in ALARM since 2026-11-23 02:05 UTC" in alt
        assert "promotion “promotion 9c1f2ab4” at 2026-11-18 14:02 UTC" in alt

    def test_alarm_timeline_compares_with_the_runbooks_threshold(self, story, looks):
        alt = words(PLOTS["alarm_timeline"](story, looks))
        assert (
            "QBusinessSyncFailed is in ALARM since 2026-11-23 02:05 UTC, for 7 h 25 min, longer than the 15 min"
            in alt
        )
        assert "5 ALARM periods" in alt
        patient = view.alarm_timeline(looks["alarm-history"], threshold=timedelta(hours=5))
        assert (
            "QBusinessNoSync is in ALARM since 2026-11-23 06:00 UTC, for 3 h 30 min, not longer than the 5 h"
            in words(patient)
        )

    def test_metrics_compare_the_last_day_with_the_days_before(self, story, looks):
        alt = words(PLOTS["metrics"](story, looks))
        assert "documents that failed to index: 140 in the last 24 h, 0 on a median day before" in alt
        assert "questions without an answer: 169 in the last 24 h (44% of 380)" in alt

    def test_index_against_bucket_counts_both(self, story, looks):
        alt = words(PLOTS["index_against_bucket"](story, looks))
        assert (
            "The index holds 280 documents, the bucket 412 objects in scope (8 fewer than at the last good sync "
            "before the incident)" in alt
        )

    def test_a_run_that_has_not_ended_is_no_failure(self, story):
        rows = [*story.rows["sync-jobs"]()]
        rows.append(
            {"data_source_id": "x", "execution_id": "e", "status": "SYNCING", "started_at": story.day(20, 9)}
        )
        facts = sync_facts(story.frame("sync-jobs", rows))
        assert (facts.streak, facts.newest_status) == (5, "SYNCING")

    def test_after_a_good_run_nothing_is_failing(self, story):
        rows = [
            *story.rows["sync-jobs"](),
            {
                "data_source_id": "x",
                "execution_id": "e",
                "status": "SUCCEEDED",
                "started_at": story.day(20, 9),
            },
        ]
        facts = sync_facts(story.frame("sync-jobs", rows))
        assert (facts.streak, facts.first_bad, facts.last_good) == (0, None, story.day(20, 9))
        assert (facts.recovered_from, facts.outage_began, facts.good_before) == (
            5,
            story.day(16),
            story.day(15),
        )
        alt = words(view.sync_history(story.seen("sync-jobs", rows)))
        assert "before it 5 in a row did not" in alt

    def test_an_alarm_without_history_is_told_by_its_present_state(self, story):
        alarms = story.frame("alarms", story.rows["alarms"]())
        spans = alarm_spans(story.frame("alarm-history", []), story.now, alarms)
        assert {(s.name, s.state, s.start) for s in spans} == {
            ("QBusinessSyncFailed", "ALARM", story.day(20, 2, 5)),
            ("QBusinessNoSync", "ALARM", story.day(20, 6, 0)),
        }

    def test_a_present_state_that_is_newer_than_the_history_wins(self, story):
        alarms = story.frame("alarms", [{"name": "A", "state": "OK", "since": story.day(20, 9)}])
        rows = [{"name": "A", "at": story.day(20, 2), "old_state": "OK", "new_state": "ALARM"}]
        spans = alarm_spans(story.frame("alarm-history", rows), story.now, alarms)
        assert [(s.state, s.end, s.open) for s in spans[1:]] == [
            ("ALARM", story.day(20, 9), False),
            ("OK", story.now, True),
        ]

    @pytest.mark.parametrize("name", ["sync_history", "metrics"])
    def test_alarms_end_at_their_own_look(self, story, looks, name):
        source, at = {"sync_history": "sync-jobs", "metrics": "metrics"}[name], story.now - timedelta(hours=1)
        plain_view = PLOTS[name](story, looks)
        older = looks | {"alarm-history": replace(looks["alarm-history"], at=at)}
        drawn = PLOTS[name](story, older)
        said = [one.get_text() for one in drawn.figure.texts]
        assert any("as seen at 2026-11-23 08:30" in text for text in said), (source, said)
        assert not any("as seen at" in one.get_text() for one in plain_view.figure.texts)

    def test_the_buckets_history_ends_with_what_is_there_now(self, looks):
        counts = bucket_counts(looks["versions"].frame)
        current = looks["versions"].frame.query("order == 0 and not is_delete_marker")
        assert counts["objects"].iloc[-1] == len(current)
        assert counts["bytes"].iloc[-1] == current["size"].sum()


@pytest.mark.parametrize("name", PLOTS)
class TestEveryPlot:
    def test_is_a_small_png_as_wide_as_a_page_with_its_words_beside_it(self, name, story, looks):
        plot = PLOTS[name](story, looks)
        data, metadata = plot._repr_mimebundle_()
        assert metadata == {"image/png": {"alt": plot.alt}}
        assert data["text/plain"] == plot.alt
        image = Image.open(io.BytesIO(plot.png))
        assert image.format == "PNG"
        assert image.width == round(style.WIDTH * 110)
        assert len(plot.png) < 100_000

    def test_is_the_same_picture_every_time(self, name, story, looks):
        assert PLOTS[name](story, looks).png == PLOTS[name](story, looks).png

    def test_says_where_its_data_came_from(self, name, story, looks):
        texts = " ".join(text.get_text() for text in PLOTS[name](story, looks).figure.texts)
        source = SOURCES[name].replace("_", "-")
        assert looks[source].evidence.file.split("-")[-1][:8] in texts.replace("\n", "")

    def test_without_rows_says_so(self, name, story):
        empty = story.looked_at(**{SOURCES[name]: []}, alarms=[])
        shown = PLOTS[name](story, empty)
        assert isinstance(shown, view.Panel)
        assert "could not be drawn" not in shown.text

    def test_with_one_row_is_drawn(self, name, story):
        source = SOURCES[name]
        row = story.rows[source.replace("_", "-")]()[1:2]
        one = story.looked_at(**{source: row})
        assert isinstance(PLOTS[name](story, one), view.Plot)

    def test_with_missing_values_is_drawn(self, name, story):
        source = SOURCES[name].replace("_", "-")
        rows = story.rows[source]()
        kept = {"name", "metric", "key", "data_source_id", "order", "is_latest", "is_delete_marker"}
        holes = [{k: v for k, v in row.items() if k in kept} for row in rows[:5]]
        holed = story.looked_at(**{SOURCES[name]: rows + holes})
        assert "could not be drawn" not in PLOTS[name](story, holed).text

    def test_with_ten_thousand_rows_is_drawn_in_good_time(self, name, story):
        source = SOURCES[name].replace("_", "-")
        rows = story.rows[source]()
        many = [
            row | {"execution_id": f"e{n}", "key": f"k{n}"}
            | {column: row[column] - timedelta(days=n % 400) for column in ("at", "started_at") if row.get(column)}
            for n, row in zip(range(10_000), rows * (10_000 // len(rows) + 1), strict=False)
        ]  # fmt: skip
        plot = PLOTS[name](story, story.looked_at(**{SOURCES[name]: many}))
        assert isinstance(plot, view.Plot)
        assert len(plot.png) < 100_000

    def test_of_evidence_that_is_missing_says_why_and_what_to_do(self, name, story, looks):
        source = SOURCES[name].replace("_", "-")
        denied = replace(
            looks[source],
            available=False,
            problem="AccessDenied on logs:FilterLogEvents.",
            hint="Grant it.",
            evidence=None,
        )
        shown = PLOTS[name](story, looks | {source: denied})
        assert isinstance(shown, view.Panel)
        assert not shown.ok
        assert "evidence unavailable: AccessDenied on logs:FilterLogEvents." in shown.text
        assert "Grant it." in shown.html.markup

    def test_in_grey_keeps_its_contrast(self, name, story, looks):
        """What is drawn is still drawn when colours go: much of the picture is neither white nor one single grey."""
        image = Image.open(io.BytesIO(PLOTS[name](story, looks).png)).convert("L")
        levels, counts = np.unique(np.asarray(image), return_counts=True)
        assert levels.min() < 60
        assert (counts[(levels < 200)].sum() / counts.sum()) > 0.02

    def test_drawing_leaves_matplotlib_as_it_was(self, name, story, looks):
        before = dict(matplotlib.rcParams)
        assert PLOTS[name](story, looks).png
        assert dict(matplotlib.rcParams) == before

    def test_labels_of_axes_stand_clear_of_the_tick_labels(self, name, story, looks):
        shown = PLOTS[name](story, looks)
        assert shown.png
        for axes in shown.figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                label = axis.label.get_window_extent()
                ticks = [one.get_window_extent() for one in axis.get_ticklabels() if one.get_text()]
                if axis.get_label_text():
                    assert not any(label.overlaps(one) for one in ticks)


def luminance(colour: str) -> float:
    from matplotlib.colors import to_rgb

    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("pairs", [style.COUNTS, style.STATES], ids=["counts", "states"])
def test_colours_that_are_alike_in_grey_differ_in_their_hatch(pairs):
    """WCAG's contrast of 1.5 tells two greys apart; below that the hatch has to."""
    kinds = list(pairs.values())
    for n, (colour, hatch) in enumerate(kinds):
        for other, other_hatch in kinds[n + 1 :]:
            light, dark = sorted((luminance(colour), luminance(other)), reverse=True)
            assert hatch != other_hatch or (light + 0.05) / (dark + 0.05) > 1.5


def test_every_status_has_a_shape_of_its_own():
    shapes = [shape for shape, _, _ in style.STATUSES.values()]
    assert len(set(shapes)) == len(shapes) == 7


def test_a_flag_is_only_for_what_came_after_the_last_good_sync(story, looks):
    early = {"at": story.day(5), "label": "promotion routine", "kind": "promotion"}
    plot = view.sync_history(looks["sync-jobs"], marks=[early, *story.marks])
    texts = [text.get_text() for text in plot.figure.texts]
    assert any("A promotion 9c1f2ab4" in text and "dotted: earlier, 1 × promotion" in text for text in texts)
    assert "routine" not in plot.alt
