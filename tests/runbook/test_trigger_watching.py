"""Watching: what changed is told once, pauses grow while nothing can be seen; one incident for one cause."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.looks import DS, NOW
from support.records import FakeAws, MovingClock

from vmqlib.errors import AlreadyOpen
from vmqlib.record.incident import Incident
from vmqlib.runbook.causes import Cause, incident_of
from vmqlib.runbook.findings import Finding
from vmqlib.runbook.opening import open_incident
from vmqlib.runbook.triggers import Detection, Reason, Verdict
from vmqlib.runbook.triggers.watching import LONGEST_PAUSE, pause, watch
from vmqlib.settings import Settings

JOB = "2266a107-a408-401f-b433-97f1ad5b9bb2"
KEY = f"sync-failed/{DS}/{JOB}"


def verdict(says: Any, cause: str = "", trigger: Any = "sync-failed") -> Verdict:
    since = NOW - timedelta(hours=1) if says == "firing" else None
    reason = Reason(says, f"It is {says}.", "sync-jobs")
    return Verdict(trigger, says, since, "high", (reason,), DS if says == "firing" else "", cause)


@dataclass
class Looks:
    """Gives one detection after the other; ``None`` is a look at which nothing could be seen."""

    said: list[Detection | None]
    blind: bool = False
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> Detection:
        if not self.said:
            raise KeyboardInterrupt
        one = self.said.pop(0)
        self.blind = one is None
        return one or Detection(NOW, (verdict("unknown"),))

    def run(self, **more: Any) -> list[list[str]]:
        told = []
        try:
            for _, changed in watch(self, 60, sleep=self.slept.append, chance=lambda: 0.5, **more):  # type: ignore[arg-type]
                told.append([f"{one.subject}: {one.text}" for one in changed])
        except KeyboardInterrupt:
            pass
        return told


def at(*verdicts: Verdict, findings: tuple[Finding, ...] = ()) -> Detection:
    return Detection(NOW, verdicts, findings)


def test_only_what_changed_is_told() -> None:
    looks = Looks(
        [at(verdict("quiet")), at(verdict("quiet")), at(verdict("firing", KEY)), at(verdict("firing", KEY))]
    )
    first, second, third, fourth = looks.run()
    assert first == ["sync-failed: quiet. It is quiet."]
    assert second == fourth == []
    assert third == ["sync-failed: quiet -> firing since 2026-11-23 11:00:00 UTC (1 h). It is firing."]
    assert looks.slept == [60.0] * 4


def test_another_cause_and_findings_that_come_and_go_are_changes() -> None:
    one = Finding("alarm-disagrees", "warning", "The alarm is OK, 5 min ago.", source="alarms")
    aged = replace(one, text="The alarm is OK, 6 min ago.")
    looks = Looks(
        [
            at(verdict("firing", KEY), findings=(one,)),
            at(verdict("firing", KEY), findings=(aged,)),
            at(verdict("firing", "sync-failed/other"), findings=()),
        ]
    )
    _, same, last = looks.run()
    assert same == []
    assert last[0].startswith("sync-failed: firing since")
    assert last[1] == "alarm-disagrees: no longer so"


def test_pauses_grow_while_nothing_can_be_seen_and_shrink_again() -> None:
    looks = Looks([None] * 6 + [at(verdict("quiet"))])
    looks.run()
    assert looks.slept == [120, 240, 480, 900, 900, 900, 60]


@given(every=st.floats(1, 4000), failures=st.integers(0, 10_000), chance=st.floats(0, 1))
def test_a_pause_is_never_shorter_than_asked_for_nor_endless(
    every: float, failures: int, chance: float
) -> None:
    seconds = pause(every, failures, chance)
    assert 0.89 * every <= seconds <= 1.11 * max(every, LONGEST_PAUSE)


# -- one incident for one cause


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(NOW)


@pytest.fixture
def opened(clock: MovingClock, tmp_path: Path) -> Any:
    settings = Settings(incidents=tmp_path / "incidents", app_id="a" * 36, index_id="b" * 36, ds_id=DS)

    def make(
        key: str = "", *, trigger: str = "sync-failed", since: Any = None, ds: str = DS, **more: Any
    ) -> Incident:
        cause = Cause(trigger, key, since, ds, **more) if key else None
        return open_incident(
            settings, FakeAws(clock), trigger=trigger, data_source_id=ds, cause=cause, clock=clock
        )  # type: ignore[arg-type]

    return make


SINCE = NOW - timedelta(hours=1)


def test_a_title_is_one_line(clock: MovingClock, tmp_path: Path) -> None:
    settings = Settings(incidents=tmp_path / "incidents", app_id="a" * 36, index_id="b" * 36, ds_id=DS)
    for title, kept in (
        ("Bad\r\nBcc: x", "Bad Bcc: x"),
        (" \n", "Syncs have failed for more than 15 minutes"),
    ):
        made = open_incident(settings, FakeAws(clock), trigger="sync-failed", title=title, clock=clock)  # type: ignore[arg-type]
        assert made.identity.title == kept


def test_what_is_to_be_known_of_the_page_is_in_the_journal(opened: Any) -> None:
    made = opened(KEY, since=SINCE, remarks=("the event is of 2026-10-01 09:00:00 UTC, 53 d ago.",))
    first, second = made.journal.events()
    assert (first.kind, second.kind, second.step) == ("opened", "noted", "open")
    assert second.summary == "The event is of 2026-10-01 09:00:00 UTC, 53 d ago."
    assert second.summary in made.timeline()["summary"].tolist()


def test_a_cause_has_one_incident_open_or_closed(opened: Any, clock: MovingClock) -> None:
    first = opened(KEY, since=SINCE)
    assert first.identity.cause == KEY
    with pytest.raises(AlreadyOpen) as there:
        opened(KEY, since=SINCE)
    assert there.value.incident_id == first.id
    assert not there.value.closed
    first.close("false alarm")
    clock.forward(days=3)
    with pytest.raises(AlreadyOpen, match="is closed since") as there:
        opened(KEY, since=SINCE)
    assert there.value.closed
    assert f"vmq reopen {first.id}" in there.value.hint


def test_what_was_opened_by_hand_or_by_an_alarm_meanwhile_is_the_same_trouble(opened: Any) -> None:
    by_hand = opened()
    with pytest.raises(AlreadyOpen, match=by_hand.id):
        opened(KEY, since=SINCE)


def test_another_sync_that_fails_another_connector_and_another_trigger_are_others(
    opened: Any, clock: MovingClock
) -> None:
    ids = [opened(KEY, since=SINCE).id]
    clock.forward(days=1)
    ids.append(opened(f"{KEY[:-1]}3", since=clock.now() - timedelta(hours=1)).id)
    ids.append(opened("sync-failed/x/y", since=SINCE, ds="other").id)
    ids.append(opened("content/x", trigger="content", since=SINCE).id)
    assert len(set(ids)) == 4


def test_no_sync_because_every_sync_failed_is_the_failed_syncs_incident(opened: Any) -> None:
    first = opened()
    with pytest.raises(AlreadyOpen, match=first.id):
        opened(KEY, trigger="no-sync", since=SINCE)


def test_the_page_that_set_it_off_is_in_the_journal_masked(opened: Any) -> None:
    event = {"AlarmName": "x", "note": "password: hunter2secret", "n": [1, {"deep": True}]}
    incident = opened("sync-failed/alarm/x", event=event)
    first = next(iter(incident.journal.events()))
    assert first.data.cause == "sync-failed/alarm/x"
    assert first.data.event["n"] == [1, {"deep": True}]
    assert b"hunter2secret" not in incident.journal.path.read_bytes()
    assert incident.verify().ok


def test_of_many_at_once_one_opens(opened: Any, tmp_path: Path) -> None:
    done: list[str] = []

    def run() -> None:
        try:
            done.append(opened(KEY, since=SINCE).id)
        except AlreadyOpen as error:
            done.append(f"known {error.incident_id}")

    threads = [threading.Thread(target=run) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert min(done).startswith("INC-")
    assert sum(one.startswith("INC-") for one in done) == 1
    assert len(list((tmp_path / "incidents").glob("INC-*"))) == 1


def test_a_broken_folder_is_passed_over(opened: Any, tmp_path: Path) -> None:
    first = opened(KEY, since=SINCE)
    (first.dir.parent / "INC-20261123-900").mkdir()
    found = incident_of(first.dir.parent, Cause("sync-failed", KEY, SINCE, DS))
    assert found is not None
    assert found.id == first.id
