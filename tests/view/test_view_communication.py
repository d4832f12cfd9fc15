"""The section that says who was told what, when, and how late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vmqlib import view
from vmqlib.record.state import Closing, State, Update
from vmqlib.runbook.communicate.clock import Cadence, clock

OPENED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LINK = "https://example.slack.com/archives/C0/p1"


def told(minutes: float, message: str = "update", **more: object) -> Update:
    return Update(OPENED + timedelta(minutes=minutes), "#ops-escalations", "x", message, **more)  # type: ignore[arg-type]


def at(minutes: float, *updates: Update, closed: float | None = None) -> Cadence:
    end = OPENED + timedelta(minutes=closed) if closed is not None else None
    closings = (Closing(end, "dana"),) if end else ()
    state = State(opened_at=OPENED, updates=updates, closed_at=end, closings=closings)
    return clock(state, OPENED + timedelta(minutes=minutes), stakeholders_after=timedelta(hours=2))


def test_says_what_was_kept_what_was_late_and_what_is_next() -> None:
    shown = view.communication(at(80, told(20, "acknowledged", permalink=LINK), told(62)))
    assert shown.text.startswith(
        "2 messages went out. Times to tell people: 2; 1 kept, 1 late or missed, at most by 12 min."
    )
    assert "The next update is due at 2026-11-23 10:32:00 UTC." in shown.text
    assert "The e-mail to stakeholders is due at 2026-11-23 11:00:00 UTC." in shown.text
    assert "12 min late" in shown.text
    assert "receipt confirmed" in shown.text
    assert LINK in shown.html.markup


def test_says_what_is_late_now() -> None:
    assert "2026-11-23 09:30:00 UTC: late by 15 min." in view.communication(at(45)).text


def test_says_that_nobody_was_told() -> None:
    assert view.communication(at(5)).text.startswith("Nobody was told yet.")


def test_of_a_closed_incident_keeps_what_was_never_sent() -> None:
    shown = view.communication(at(900, told(20), closed=150))
    assert shown.text.count("never sent") == 2
    assert "is due" not in shown.text


def test_a_message_that_went_another_way_is_marked() -> None:
    assert "instead of the channel" in view.communication(at(40, told(31, fallback=True))).text


def test_what_did_not_go_out_is_listed(story) -> None:
    events = story.timeline(
        [(1, OPENED, "failed", "communicate", "dana", "update was not sent: Slack said <no>.")]
    )
    shown = view.communication(at(40), events)
    assert "update was not sent: Slack said <no>." in shown.text
    assert "&lt;no&gt;" in shown.html.markup


def test_a_clock_that_cannot_be_read_costs_its_section_alone() -> None:
    def broken() -> Cadence:
        raise ValueError("torn")

    assert "could not be drawn" in view.communication(broken).text
