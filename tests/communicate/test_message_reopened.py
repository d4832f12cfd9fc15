"""A closed incident that is reopened: whoever was told that it is over is told at once that it is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from support.records import MovingClock

from vmqlib.record.incident import Incident
from vmqlib.runbook.communicate.channels import Channels
from vmqlib.runbook.communicate.plan import cadence, due_now, plan
from vmqlib.runbook.communicate.sending import send

BEYOND = timedelta(hours=2)


def say(incident: Incident, message: str, via: str = "slack") -> None:
    to = "#ops-escalations" if via == "slack" else "support@example.com"
    incident.notified("told", channel=to, data={"message": message, "via": via})


@pytest.fixture
def reopened(incident: Incident, clock: MovingClock) -> Callable[..., Incident]:
    """``reopened("slack", "smtp")``: one of which those ways said that it is over."""

    def made(*ways: str) -> Incident:
        clock.forward(minutes=3)
        if "smtp" in ways:
            say(incident, "stakeholders", "smtp")
        clock.forward(minutes=7)
        incident.close("over")
        clock.forward(minutes=1)
        for way in ways:
            say(incident, "resolved", way)
        clock.forward(hours=5)
        incident.reopen("It broke <!channel> again")
        return incident

    return made


def texts(incident: Incident, *kinds: str) -> list[str]:
    return [one.message.text for one in plan(incident, kinds).deliveries]


def test_the_next_update_says_so_and_is_due_at_once(
    reopened, clock: MovingClock, ways: Callable[..., Channels]
) -> None:
    incident = reopened("slack")
    at = cadence(incident)
    assert at.update is not None
    assert (at.update.due_at, at.update.why, at.update_due) == (clock.now(), "reopened", True)
    assert due_now(incident) == ("update",), "no mail said that it is over"
    made = plan(incident, "update")
    assert "reopened" in made.deliveries[0].message.subject
    assert made.deliveries[0].message.text.startswith(
        "Reopened at 2026-11-23 14:11 UTC: It broke <!channel> again"
    )
    clock.forward(minutes=20)
    assert cadence(incident).update.late == timedelta(minutes=20)
    (sent,) = send(incident, plan(incident, "update"), plan(incident, "update").digest, ways(incident))
    assert sent.ok
    told = cadence(incident)
    assert [(one.why, one.late) for one in told.past][-1] == ("reopened", timedelta(minutes=20))
    assert told.update.due_at == clock.now() + timedelta(minutes=30)
    clock.forward(minutes=1)
    (after,) = texts(incident, "update")
    assert not after.startswith("Reopened")


def test_what_could_not_be_sent_is_still_to_be_told(reopened, clock: MovingClock) -> None:
    incident = reopened("slack")
    incident.failed("communicate", "not sent", {"action": "message", "message": "update"})
    clock.forward(minutes=1)
    assert texts(incident, "update")[0].startswith("Reopened at ")
    assert cadence(incident).update_due


def test_stakeholders_who_were_told_are_told_at_once(reopened, clock: MovingClock) -> None:
    incident = reopened("smtp")
    assert cadence(incident).stakeholders_due
    assert due_now(incident) == ("update", "stakeholders")
    update, mail = texts(incident, "update", "stakeholders")
    assert mail.startswith("Reopened at ")
    assert "not resolved after all" in mail
    assert not update.startswith("Reopened"), "the channel was never told that it is over"
    clock.forward(minutes=1)
    say(incident, "stakeholders", "smtp")
    at = cadence(incident)
    assert at.stakeholders is None
    assert [one.told is not None for one in at.past if one.why == "stakeholders"] == [True, True]


def test_whoever_was_told_nothing_goes_on_with_the_clock(reopened, clock: MovingClock) -> None:
    incident = reopened()
    assert incident.state.next_update_due == clock.now() + timedelta(minutes=30)
    assert not texts(incident, "update")[0].startswith("Reopened")


def test_the_time_in_which_it_was_closed_is_none_in_which_it_was_open(reopened, clock: MovingClock) -> None:
    incident = reopened()
    at = cadence(incident)
    assert not at.stakeholders_due, "10 minutes of 2 hours are over"
    assert at.stakeholders.due_at == clock.now() + BEYOND - timedelta(minutes=10)
    clock.forward(minutes=2)
    incident.close("over again")
    (text,) = texts(incident, "resolved")
    assert "12 min" in text
    assert incident.state.open_for(clock.now() + timedelta(days=1)) == timedelta(minutes=12)


def test_the_second_resolved_says_again(reopened, clock: MovingClock) -> None:
    incident = reopened("slack")
    clock.forward(minutes=2)
    incident.close("over again")
    (one,) = plan(incident, "resolved").deliveries
    assert one.message.subject.endswith("resolved again")
    assert "reopened at 2026-11-23 14:11:00 UTC: It broke <!channel> again" in one.message.text
