"""A schedule is switched off and put back: planned, announced, read back, told of; whatever comes in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.looks import NOW
from support.sync_rig import CRON, SyncRig

from vmqlib.errors import (
    AccessDenied,
    BadInput,
    CheckFailed,
    DeadlinePassed,
    LockHeld,
    Unreachable,
    WorldChanged,
)
from vmqlib.record.redaction import Redactor
from vmqlib.runbook import close, doctor, stabilize
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.exclusive import exclusive
from vmqlib.runbook.nextsteps import facts, plan_next
from vmqlib.runbook.resync import choose_all
from vmqlib.runbook.stabilize.story import story
from vmqlib.runbook.validation.names import SCHEDULE
from vmqlib.runbook.wiring.alive import SCHEDULED
from vmqlib.settings import Connector

OTHER = "cron(0 5 * * ? *)"
CUSTOM = {"type": "CUSTOM", "version": "1.0.0", "connectionConfiguration": {}}


@pytest.fixture
def rig(local_aws: Any, point_at: Callable[[Any], None]) -> Iterator[SyncRig]:
    point_at(local_aws)
    rig = SyncRig(local_aws)
    rig.quiet()
    yield rig
    rig.quiet()


def plan(rig: SyncRig, verb: str = "disable", **more: Any) -> stabilize.SchedulePlan:
    make = stabilize.plan_disable if verb == "disable" else stabilize.plan_restore
    chosen = more.pop("connectors", None) or choose_all(rig.settings)
    return make(rig.incident, rig.aws, rig.settings, chosen, patience=rig.patience(), **more)


def switch(rig: SyncRig, verb: str = "disable", **more: Any) -> tuple[stabilize.Switched, ...]:
    made = plan(rig, verb, **more)
    return stabilize.apply(rig.incident, made, rig.settings, digest=made.digest, patience=rig.patience())


def off(rig: SyncRig) -> list[tuple[str, bool]]:
    return [(one.before, one.certain) for one in stabilize.schedules_off(rig.again())]


class TestOffAndBack:
    def test_there_and_back(self, rig: SyncRig) -> None:
        before = dict(rig.resource().settings)
        made = plan(rig)
        assert rig.schedule == CRON, "planning changes nothing"
        assert made.frame.loc[0, ["now", "wanted", "action", "type"]].tolist() == [CRON, "", "disable", "S3"]
        (done,) = switch(rig)
        assert (rig.schedule, done.before, done.after) == ("", CRON, "")
        assert off(rig) == [(CRON, True)]
        (back,) = switch(rig, "restore")
        assert back.after == CRON
        assert rig.resource().settings == before
        assert off(rig) == []
        kinds = [kind for _, kind in rig.events("stabilize")]
        assert kinds == ["approved", "applying", "applied", "approved", "applying", "applied", "undone"]
        assert [one.undone for one in rig.incident.state.applied] == [True, False]
        assert rig.incident.verify().ok

    def test_once_more_does_nothing(self, rig: SyncRig) -> None:
        switch(rig)
        updated = rig.resource().updated_at
        assert plan(rig).changes == ()
        assert switch(rig) == ()
        switch(rig, "restore")
        events = len(rig.events())
        for _ in range(2):
            assert switch(rig, "restore") == ()
        assert len(rig.events()) == events
        assert (rig.schedule, updated <= rig.resource().updated_at) == (CRON, True)

    def test_exactly_what_was_there(self, rig: SyncRig) -> None:
        rig.schedule = "cron(0/15 9-17 ? * MON-FRI *)"
        switch(rig)
        switch(rig, "restore")
        assert rig.schedule == "cron(0/15 9-17 ? * MON-FRI *)"

    def test_it_was_put_back_by_hand(self, rig: SyncRig) -> None:
        switch(rig)
        rig.schedule = CRON
        (done,) = switch(rig, "restore")
        assert done.found
        assert off(rig) == []
        assert rig.events("stabilize")[-1] == ("stabilize", "undone")

    def test_never_switched_off(self, rig: SyncRig) -> None:
        with pytest.raises(BadInput, match="what it was is not known") as told:
            plan(rig, "restore")
        assert "--to" in told.value.hint
        rig.schedule = ""
        switch(rig, "restore", to=OTHER)
        assert rig.schedule == OTHER

    def test_an_approval_is_of_one_plan(self, rig: SyncRig) -> None:
        made = plan(rig)
        for digest, error in (("ffffffffffff", WorldChanged), ("abc", BadInput)):
            with pytest.raises(error):
                stabilize.apply(rig.incident, made, rig.settings, digest=digest)
        rig.schedule = OTHER
        assert plan(rig).digest != made.digest
        with pytest.raises(WorldChanged, match="was left alone"):
            stabilize.apply(rig.incident, made, rig.settings, digest=made.digest)
        assert rig.schedule == OTHER
        assert off(rig) == []


def test_the_doctor_names_the_incident_that_switched_it_off(rig: SyncRig) -> None:
    def row() -> CheckResult:
        seen = doctor.look(rig.aws, rig.settings, checks=checks)
        (one,) = [
            one
            for one in doctor.examine(seen, rig.settings, NOW, checks=checks).checks
            if one.name == SCHEDULED
        ]
        return one

    checks = [one for one in doctor.CHECKS if one.needs == ("resources",)]
    assert row().ok is True
    rig.schedule = ""
    assert "INC-" not in row().finding, "somebody else did that"
    rig.schedule = CRON
    switch(rig)
    off = row()
    assert off.ok is False
    assert rig.incident.id in off.finding
    assert CRON in off.finding
    assert off.mend == f"vmq schedule restore {rig.incident.id}"
    switch(rig, "restore")
    assert row().ok is True


class TestSomebodyElse:
    def test_a_restore_leaves_alone_what_was_set_meanwhile(self, rig: SyncRig) -> None:
        switch(rig)
        rig.schedule = OTHER
        made = plan(rig, "restore")
        assert made.changes == ()
        with pytest.raises(WorldChanged, match="left alone") as told:
            stabilize.apply(rig.incident, made, rig.settings, digest=made.digest)
        assert told.value.exit_code == 4
        assert OTHER in told.value.message
        assert CRON in told.value.message
        assert (rig.schedule, off(rig)) == (OTHER, [(CRON, True)])

    def test_emptied_again_after_the_restore(self, rig: SyncRig) -> None:
        switch(rig)
        switch(rig, "restore")
        rig.schedule = ""
        with pytest.raises(WorldChanged, match="somebody has emptied it since"):
            switch(rig, "restore")
        assert rig.schedule == ""

    def test_a_custom_connector_has_none(self, rig: SyncRig) -> None:
        created = rig.aws.client("qbusiness").create_data_source(
            applicationId=rig.settings.app_id, indexId=rig.settings.index_id, displayName="pushed",
            configuration=CUSTOM,
        )  # fmt: skip
        pushed = Connector(name="pushed", data_source_id=created["dataSourceId"])
        both = (*choose_all(rig.settings), pushed)
        made = plan(rig, connectors=both)
        assert isinstance(made.refusal, BadInput)
        with pytest.raises(BadInput, match="CUSTOM") as told:
            stabilize.apply(rig.incident, made, rig.settings, digest=made.digest)
        assert told.value.exit_code == 2
        assert rig.schedule == "", "the other one was done"
        rig.aws.client("qbusiness").delete_data_source(**{**rig.ids, "dataSourceId": created["dataSourceId"]})

    def test_one_change_at_a_time(self, rig: SyncRig) -> None:
        made = plan(rig)
        with exclusive(rig.incident), pytest.raises(LockHeld), exclusive(rig.again(), patience=0.1):
            pass
        held, gone = threading.Event(), threading.Event()

        def hold() -> None:
            with exclusive(rig.again()):
                held.set()
                gone.wait(0.2)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(5)
        stabilize.apply(rig.incident, made, rig.settings, digest=made.digest)
        thread.join()
        assert rig.schedule == ""


class TestFaults:
    def test_throttled_for_a_while(self, rig: SyncRig) -> None:
        for operation in ("GetDataSource", "UpdateDataSource"):
            rig.local.faults.add("qbusiness", operation, code="ThrottlingException", times=3)
        switch(rig)
        assert rig.schedule == ""
        assert len(rig.slept) >= 6

    @pytest.mark.parametrize("after", [True, False], ids=["lost", "refused"])
    def test_an_answer_that_never_came(self, rig: SyncRig, after: bool) -> None:
        rig.local.faults.add("qbusiness", "UpdateDataSource", status=500, after=after, times=1)
        switch(rig)
        assert (rig.schedule, off(rig)) == ("", [(CRON, True)])

    def test_the_last_answer_is_lost_and_the_world_tells(self, rig: SyncRig) -> None:
        made = plan(rig)
        rig.local.faults.add("qbusiness", "UpdateDataSource", reset=True, after=True)
        stabilize.apply(rig.incident, made, rig.settings, digest=made.digest, patience=rig.patience(0))
        assert (rig.schedule, off(rig)) == ("", [(CRON, True)])

    def test_refused(self, rig: SyncRig) -> None:
        made = plan(rig)
        rig.local.faults.add("qbusiness", "UpdateDataSource", code="AccessDeniedException")
        with pytest.raises(AccessDenied, match="UpdateDataSource"):
            stabilize.apply(rig.incident, made, rig.settings, digest=made.digest, patience=rig.patience())
        assert (rig.schedule, off(rig)) == (CRON, [])
        assert rig.events("stabilize")[-1] == ("stabilize", "failed")

    def test_gone_right_after_the_request(self, rig: SyncRig) -> None:
        """Neither the answer nor the look afterwards: the journal stays open, and the next look settles it."""
        made = plan(rig)
        rig.local.faults.add("qbusiness", "UpdateDataSource", reset=True, after=True)
        rig.local.faults.add("qbusiness", "GetDataSource", reset=True, skip=1)
        with pytest.raises(Unreachable):
            stabilize.apply(rig.incident, made, rig.settings, digest=made.digest, patience=rig.patience(5))
        assert off(rig) == [(CRON, False)]
        rig.local.faults.clear()
        (found,) = stabilize.settle(rig.incident, rig.aws, rig.settings)
        assert found.found
        assert off(rig) == [(CRON, True)]
        switch(rig, "restore")
        assert rig.schedule == CRON

    def test_still_updating(self, rig: SyncRig) -> None:
        made = plan(rig)
        rig.resource().status = "UPDATING"
        with pytest.raises(DeadlinePassed, match="UPDATING"):
            stabilize.apply(rig.incident, made, rig.settings, digest=made.digest, patience=rig.patience(30))
        assert off(rig) == [(CRON, False)]
        rig.resource().status = "ACTIVE"
        stabilize.settle(rig.incident, rig.aws, rig.settings)
        assert off(rig) == [(CRON, True)]


class TestClosing:
    def test_not_with_a_schedule_off(self, rig: SyncRig) -> None:
        switch(rig)
        cloudwatch: Any = rig.aws.client("cloudwatch")
        alarm = rig.settings.alarms.no_sync
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="x")
        held = close.ready(rig.incident)
        (schedule,) = (one for one in held.refusing if one.name == SCHEDULE)
        assert schedule.mend == f"vmq schedule restore {rig.incident.id}"
        assert len(held.refusing) > 1, "the others are told with it"
        assert held.refusal is not None
        assert "--force --reason … --schedule-off-reason …" in held.refusal.hint
        with pytest.raises(CheckFailed, match="2 checks are in the way"):
            close.close(rig.incident, held)
        forced = close.ready(rig.incident, force=True, reason="x")
        assert [one.name for one in forced.refusing] == [SCHEDULE], (
            "a schedule is not forced along with the rest"
        )
        assert isinstance(forced.refusal, CheckFailed)
        assert rig.incident.state.closed_at is None
        made = close.ready(
            rig.incident, schedule_off_reason="the connector is retired", force=True, reason="retired"
        )
        said = [event.summary for event in rig.incident.journal.events()]
        assert not any("Closed with a schedule off" in one for one in said), "nothing is closed yet"
        close.close(rig.incident, made)
        assert rig.incident.state.closed_at is not None
        assert any("the connector is retired" in event.summary for event in rig.incident.journal.events())

    def test_where_nobody_can_look_the_journal_knows(self, rig: SyncRig) -> None:
        switch(rig)
        rig.local.faults.add("qbusiness", "GetDataSource", code="AccessDeniedException")
        held = close.ready(rig.incident, force=True, reason="x")
        assert [(one.name, one.ok) for one in held.refusing] == [(SCHEDULE, False)]
        data = {"action": "disable schedule", "item": rig.source, "before": CRON, "after": "", "digest": "d"}
        rig.incident.applying("stabilize", "Switch it off.", data)
        held = close.ready(rig.incident, force=True, reason="x")
        assert [(one.name, one.ok) for one in held.refusing] == [(SCHEDULE, False)]
        assert "perhaps off" in held.refusing[0].finding

    def test_one_that_somebody_else_switched_off_is_seen(self, rig: SyncRig) -> None:
        rig.incident.observe(["resources"])
        rig.schedule = ""
        made = close.ready(rig.incident, force=True, reason="x")
        assert isinstance(made.refusal, CheckFailed), "a schedule is not forced along with the rest"
        (off,) = made.refusing
        assert f"It was {CRON}, and is off now" in off.finding
        assert "--schedule-off-reason" in made.refusal.hint
        again = close.ready(rig.incident, force=True, reason="x", schedule_off_reason="the docs moved")
        assert again.refusal is None
        assert "the docs moved" in again.note

    def test_what_is_not_certain_is_looked_at(self, rig: SyncRig) -> None:
        data = {"action": "disable schedule", "item": rig.source, "before": CRON, "after": "", "digest": "d"}
        rig.incident.applying("stabilize", "Switch it off.", data)
        stabilize.no_schedule_left_off(rig.incident)  # it never was
        assert off(rig) == []
        rig.incident.applying("stabilize", "Switch it off.", data)
        rig.local.faults.add("qbusiness", "GetDataSource", code="AccessDeniedException")
        with pytest.raises(CheckFailed, match="perhaps off"):
            stabilize.no_schedule_left_off(rig.incident)

    def test_the_next_steps_know(self, rig: SyncRig) -> None:
        switch(rig)
        known = facts(rig.again())
        assert known.schedules_off == (f"s3 ({CRON})",)
        commands = [one.command for one in plan_next(replace(known, recovered=True))]
        assert f"vmq schedule restore {rig.incident.id}" in commands


def test_a_settled_change_that_somebody_overtook(rig: SyncRig) -> None:
    data = {"action": "disable schedule", "item": rig.source, "before": CRON, "after": "", "digest": "d"}
    rig.incident.applying("stabilize", "Switch it off.", data)
    rig.schedule = OTHER
    assert stabilize.settle(rig.incident, rig.aws, rig.settings) == ()
    assert off(rig) == []
    assert OTHER in list(rig.incident.journal.events())[-1].summary
    assert story(rig.incident).pending == {}


_FIELD = st.text("0123456789*,-/?LW#", min_size=1, max_size=12) | st.sampled_from(
    ["MON-FRI", "JAN", "2026-2030"]
)


@given(st.lists(_FIELD, min_size=6, max_size=6))
def test_no_schedule_looks_like_a_secret(fields: list[str]) -> None:
    """The journal masks what looks like a secret; a schedule must come back from it as it went in, or be refused."""
    cron = f"cron({' '.join(fields)})"
    masked = Redactor().value({"before": cron})["before"]
    assert masked == cron or "[" in masked  # the latter is refused before the request


def test_a_schedule_that_the_journal_would_mask_is_refused(
    rig: SyncRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(rig)
    monkeypatch.setattr(
        Redactor, "value", lambda self, value: {**value, "before": "[phone]"} if "before" in value else value
    )
    with pytest.raises(BadInput, match="cannot keep"):
        stabilize.apply(rig.incident, made, rig.settings, digest=made.digest, patience=rig.patience())
    assert rig.schedule == CRON
