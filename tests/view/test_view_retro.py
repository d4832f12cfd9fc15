"""The review as panels and a plot: every fact is there in words, and nothing from outside is markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.reviewed import History

from vmqlib import view
from vmqlib.errors import AccessDenied
from vmqlib.runbook.retro import Review, review

SYNCS = [("02:45", "02:47", "SUCCEEDED"), ("07:10", "07:14", "FAILED"), ("12:05", "12:31", "SUCCEEDED")]
HOSTILE = "<script>alert(1)</script> $\\alpha$ \x1b[31m\u202e & | `x`"
PANELS: tuple[Callable[[Review], Any], ...] = (
    view.retro_summary, view.retro_times, view.retro_events, view.retro_updates, view.retro_words,
    view.retro_witnesses, view.retro_remarks, view.retro_actions,
)  # fmt: skip


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "incidents", syncs=SYNCS)


@pytest.fixture
def made(history: History) -> Review:
    incident = history.to("09:03")
    incident.acknowledge()
    history.to("09:29").notified("Told.", channel="#ops")
    history.to("10:10").notified("Told.", channel="#ops")
    history.to("11:00").applied("rollback", "Restored.", {"action": "rollback", "digest": "d1"})
    history.to("12:40").close(impact="No answers", cause="A promotion")
    incident.note("By chance", {"retro": "lucky"})
    incident.note("Alarm on it", {"retro": "action", "owner": "dana", "due": "2026-12-04"})
    return review(incident)


def test_the_plot_tells_in_words_what_it_draws(made: Review) -> None:
    plot = view.retro_gantt(made)
    assert plot.ok, plot.text
    assert plot.text.startswith("The response to INC-20261123-001 as a Gantt from 2026-11-23 07:14 to")
    for words in (
        "detect: 2026-11-23 07:14 to 2026-11-23 09:00, 1 h 46 min",
        "updates: 1 in time, 1 late, 1 never sent",
    ):
        assert words in plot.text
    (axes,) = plot.figure.axes
    assert axes.get_xlabel() == "time (UTC)"
    assert axes.get_ylabel() == "step of the response"
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "detect", "alarm to opening", "triage, acknowledge", "stabilize",
        "rollback", "resync", "communicate", "validate",
    ]  # fmt: skip
    (key,) = plot.figure.legends
    assert [text.get_text() for text in key.get_texts()] == [
        "until noticed, opened or acknowledged", "a step, from its first action to its last",
        "its actions, where less than 5 min apart",
        "update in time", "update, late", "update due, never sent",
    ]  # fmt: skip
    assert len(plot.png) > 10_000


def test_the_events_are_counted_between_the_first_and_the_last_of_them(history: History) -> None:
    history.to("12:40").close()
    history.to("12:45").notified("Resolved.", channel="#ops")
    shown = view.retro_events(review(history.incident)).html.markup
    assert "between 2026-11-23 09:00:00 UTC and 2026-11-23 12:45:00 UTC" in shown


def test_colours_have_a_shape_or_a_hatch_beside_them() -> None:
    from vmqlib.view.retro_gantt import KINDS, UPDATES

    assert len({(hatch, height) for _, hatch, height, _ in KINDS.values()}) == len(KINDS)
    assert len({marker for marker, _, _ in UPDATES.values()}) == len(UPDATES)


def test_a_response_of_seconds_after_days_of_nobody_noticing_is_no_sliver(tmp_path: Path) -> None:
    history = History(tmp_path / "incidents", syncs=SYNCS[:2], opened="23:00")
    history.to("23:00:20").close()
    plot = view.retro_gantt(review(history.incident))
    assert plot.ok, plot.text
    low, high = plot.figure.axes[0].get_xlim()
    assert (high - low) * 24 * 60 < 3, "minutes"
    told = [text.get_text() for text in plot.figure.axes[0].texts]
    assert any(words.startswith(("◂ 23 Nov 07:14", "◂ since 23 Nov 07:14")) for words in told)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_a_panel_says_the_same_with_and_without_markup(made: Review, panel: Callable[[Review], Any]) -> None:
    shown = panel(made)
    assert shown.ok, shown.text
    assert shown.text
    assert "<" not in shown.text.replace("Sync <fails>", "")


def test_what_is_proposed_is_called_that_and_people_have_room(made: Review) -> None:
    shown = view.retro_remarks(made)
    assert "proposed from the facts; nobody has said so" in shown.html.markup
    assert "<strong>By chance</strong> (" in shown.html.markup
    assert shown.html.markup.count("border-bottom:1px solid #bbb") == 2 + 2 + 1, "empty lines to write on"
    actions = view.retro_actions(made)
    assert "dana" in actions.text
    assert "vmq note INC-20261123-001 --action" in actions.html.markup


def test_an_open_incident_says_what_is_still_to_come(history: History) -> None:
    made = review(history.incident)
    assert "It is not closed" in view.retro_words(made).html.markup
    assert "not known" in view.retro_times(made).text
    assert "not closed" in view.retro_summary(made).text
    assert view.retro_gantt(made).ok


def test_where_nothing_was_seen_every_section_says_so(tmp_path: Path) -> None:
    denied = AccessDenied("Not allowed to look.", hint="Grant it.", operation="x:Y")
    sources = ("sync-jobs", "alarms", "alarm-history")
    made = review(History(tmp_path / "incidents", failing=dict.fromkeys(sources, denied)).incident)
    for panel in (*PANELS, view.retro_gantt):
        assert panel(made).ok, panel(made).text
    assert "cannot tell" in view.retro_witnesses(made).text
    assert "No time is known." in view.retro_times(made).text
    assert "0 of 3 sources were seen; not seen: " in view.provenance(made.seen, made.summary).text


def test_nothing_from_outside_is_markup(history: History) -> None:
    incident = history.incident
    incident.acknowledge(HOSTILE, by=HOSTILE)
    incident.applied(HOSTILE, HOSTILE, {"action": HOSTILE})
    incident.conclude(
        "triage",
        f"vmq doctor: {HOSTILE}",
        {"checks": [{"part": "Alarms"} | dict.fromkeys(("name", "subject", "finding", "outcome"), HOSTILE)]},
    )
    incident.close(HOSTILE, impact=HOSTILE, cause=HOSTILE, remediation=HOSTILE, customers=HOSTILE)
    incident.reopen(HOSTILE)
    for kind in ("well", "badly", "lucky", "action"):
        incident.note(HOSTILE, {"retro": kind, "owner": HOSTILE, "due": HOSTILE})
    incident.close(HOSTILE)
    made = review(incident)
    for panel in (*PANELS, view.retro_gantt):
        shown = panel(made)
        assert shown.ok, shown.text
        assert "<script" not in shown.html.markup
        assert not set(shown.text + shown.html.markup) & set("\x1b\u202e")


def test_the_record_for_programs_names_the_incident(made: Review) -> None:
    told = view.retro_record(made)._repr_mimebundle_()
    document = told[view.RECORD_MIME]
    assert (document["id"], document["phase"]) == ("INC-20261123-001", "closed")
    assert "time to acknowledge 3 min" in told["text/plain"]
