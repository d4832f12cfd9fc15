"""The clock follows from the journal alone: a model, every order of events, and restarts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import MovingClock

from vmqlib.record.events import NO_HASH, Event, read_event
from vmqlib.record.incident import Incident
from vmqlib.record.state import State, fold
from vmqlib.runbook.communicate.clock import TOLERANCE, Cadence, clock
from vmqlib.settings import Settings
from vmqlib.times import iso

OPENED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
EVERY, BEYOND = timedelta(minutes=30), timedelta(hours=2)


def event(kind: str, at: datetime, **data: Any) -> Event:
    raw = {"seq": 1, "at": iso(at), "kind": kind, "step": "", "summary": kind, "data": data}
    actor = {"caller": "unknown", "user": "dana"}
    return read_event({**raw, "actor": actor, "prev": NO_HASH, "hash": NO_HASH})


def opened() -> Event:
    return event("opened", OPENED, id="INC-20261123-001", trigger="sync-failed")


def told(minutes: float, message: str = "update", **data: Any) -> Event:
    return event("notified", OPENED + timedelta(minutes=minutes), message=message, channel="#ops", **data)


def severity(minutes: float, by_rule: bool = False) -> Event:
    return event("severity", OPENED + timedelta(minutes=minutes), severity="SEV1", by_rule=by_rule)


def closed(minutes: float) -> Event:
    return event("closed", OPENED + timedelta(minutes=minutes))


def after(*events: Event, minutes: float) -> Cadence:
    state = fold([opened(), *events])
    return clock(state, OPENED + timedelta(minutes=minutes), stakeholders_after=BEYOND)


class TestUpdates:
    def test_what_a_message_said_of_the_next_one_is_when_that_is_due(self) -> None:
        """It is written before it is sent, and somebody may look at it for minutes before that."""
        said = OPENED + timedelta(minutes=37)
        at = after(told(10, next_update_at=iso(said)), minutes=20)
        assert at.update is not None
        assert at.update.due_at == said
        (_, slot) = after(told(10, next_update_at=iso(said)), told(39.5), minutes=41).past
        assert slot.due_at == said
        assert slot.outcome == "late"
        at = after(told(10, next_update_at=iso(said)), severity(12), minutes=20)
        assert at.update is not None
        assert at.update.due_at == OPENED + timedelta(minutes=12)

    def test_the_first_is_due_the_cadence_after_the_opening(self) -> None:
        at = after(minutes=10)
        assert at.update is not None
        assert at.update.due_at == OPENED + EVERY
        assert not at.update_due
        assert at.late == ()

    def test_one_that_is_due_says_by_how_much_it_is_late(self) -> None:
        at = after(minutes=42)
        assert at.update_due
        assert [one.late for one in at.late] == [timedelta(minutes=12)]

    def test_each_counts_from_the_one_before(self) -> None:
        at = after(told(20), told(55), told(84), minutes=90)
        assert [one.late for one in at.past] == [timedelta(), timedelta(minutes=5), timedelta()]
        assert at.update is not None
        assert at.update.due_at == OPENED + timedelta(minutes=114)

    @pytest.mark.parametrize("message", ["stakeholders", "security", "retro"])
    def test_other_messages_are_no_update(self, message) -> None:
        at = after(told(20, message), minutes=25)
        assert at.update is not None
        assert at.update.due_at == OPENED + EVERY

    def test_nor_is_what_went_another_way(self) -> None:
        at = after(told(20, fallback=True), minutes=25)
        assert at.update is not None
        assert at.update.due_at == OPENED + EVERY

    @pytest.mark.parametrize("message", ["", "acknowledged", "severity", "resolved"])
    def test_every_word_in_the_channel_is(self, message) -> None:
        at = after(told(20, message), minutes=25)
        assert at.update is not None
        assert at.update.due_at == OPENED + timedelta(minutes=50)

    def test_a_closed_incident_has_none_and_keeps_what_was_missed(self) -> None:
        at = after(told(20), closed(95), minutes=600)
        assert (at.update, at.stakeholders, at.next_at) == (None, None, None)
        told_or_not = [(one.told is not None, one.late) for one in at.past]
        assert told_or_not == [(True, timedelta()), (False, timedelta(minutes=45))]


class TestSeverity:
    def test_a_persons_change_makes_one_due_at_once(self) -> None:
        at = after(told(10), severity(15), minutes=17)
        assert at.update is not None
        assert (at.update.why, at.update.due_at) == ("severity", OPENED + timedelta(minutes=15))
        assert at.update_due

    def test_the_rules_change_does_not(self) -> None:
        at = after(told(10), severity(15, by_rule=True), minutes=17)
        assert not at.update_due

    def test_telling_it_settles_that(self) -> None:
        at = after(told(10), severity(15), told(18, "severity"), minutes=20)
        assert at.past[-1].why == "severity"
        assert at.past[-1].late == timedelta(minutes=3)
        assert at.update is not None
        assert at.update.due_at == OPENED + timedelta(minutes=48)


class TestStakeholders:
    def test_are_told_once_it_lasts(self) -> None:
        assert not after(minutes=119).stakeholders_due
        at = after(minutes=130)
        assert at.stakeholders_due
        assert at.stakeholders is not None
        assert at.stakeholders.late == timedelta(minutes=10)

    def test_once_is_enough(self) -> None:
        at = after(told(125, "stakeholders"), minutes=400)
        assert at.stakeholders is None
        (mail,) = [one for one in at.past if one.why == "stakeholders"]
        assert mail.late == timedelta(minutes=5)

    def test_a_short_incident_needs_none(self) -> None:
        assert all(one.why != "stakeholders" for one in after(closed(119), minutes=500).past)

    def test_a_long_one_that_was_closed_without_is_marked(self) -> None:
        (mail,) = [one for one in after(closed(150), minutes=500).past if one.why == "stakeholders"]
        assert mail.told is None
        assert mail.late == timedelta(minutes=30)


@dataclass
class Model:
    """The runbook's rule, told minute by minute, the slow way."""

    every: int = 30
    last: int = 0
    due: int = 30
    rows: list[tuple[int, int]] = field(default_factory=list)

    def tell(self, minute: int) -> None:
        self.rows.append((self.due, max(0, minute - self.due)))
        self.last, self.due = minute, minute + self.every

    def change(self, minute: int) -> None:
        if minute > self.last:
            self.due = min(self.due, minute)


what_happens = st.sampled_from(("tell", "change", "rule", "mail", "fallback", "look"))
steps = st.lists(st.tuples(st.integers(1, 50), what_happens), max_size=25)


@given(steps, st.integers(0, 200), st.booleans())
def test_any_story_gives_the_due_times_of_the_model(story, rest, ends) -> None:
    model, events, minute = Model(), [], 0
    for span, what in story:
        minute += span
        if what == "tell":
            model.tell(minute)
            events.append(told(minute))
        elif what == "change":
            model.change(minute)
            events.append(severity(minute))
        elif what == "rule":
            events.append(severity(minute, by_rule=True))
        elif what == "mail":
            events.append(told(minute, "security"))
        elif what == "fallback":
            events.append(told(minute, fallback=True))
        else:
            events.append(event("noted", OPENED + timedelta(minutes=minute)))
    if ends:
        events.append(closed(minute + 1))
    at = after(*events, minutes=minute + rest)
    rows = [
        (one.due_at, one.late if one.late > TOLERANCE else timedelta())
        for one in at.past
        if one.told is not None
    ]
    expected = [
        (OPENED + timedelta(minutes=due), timedelta(minutes=late) if late > 1 else timedelta())
        for due, late in model.rows
    ]
    assert rows == expected
    if ends:
        assert at.update is None
    else:
        assert at.update is not None
        assert at.update.due_at == OPENED + timedelta(minutes=model.due)
        assert at.update_due == (model.due <= minute + rest)


@given(steps, st.integers(1, 24))
def test_a_restart_anywhere_changes_nothing(story, cut) -> None:
    events, minute = [opened()], 0
    for span, what in story:
        minute += span
        message = "stakeholders" if what == "mail" else "update"
        events.append(severity(minute) if what == "change" else told(minute, message))
    whole, half = fold(events), fold(events[cut:], fold(events[:cut]))
    now = OPENED + timedelta(minutes=minute + 40)
    assert clock(half, now, stakeholders_after=BEYOND) == clock(whole, now, stakeholders_after=BEYOND)


def test_nothing_is_due_before_the_opening_is_on_record() -> None:
    at = clock(State(), OPENED, stakeholders_after=BEYOND)
    assert (at.update, at.stakeholders, at.past, at.late) == (None, None, (), ())


def test_another_process_reads_the_same_clock(
    settings: Settings, incident: Incident, clock: MovingClock
) -> None:
    from vmqlib.runbook.communicate.plan import cadence

    clock.forward(minutes=10)
    incident.notified("told", channel="#ops-escalations", data={"message": "update"})
    clock.forward(minutes=45)
    again = Incident.load(incident.id, settings=settings, clock=clock)
    assert cadence(again) == cadence(incident)
    assert again.summary().next_update_due == clock.at - timedelta(minutes=15)
    assert again.summary().stakeholders_due == clock.at + timedelta(minutes=65)
