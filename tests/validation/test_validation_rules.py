"""Whether an incident is over: what passes, what fails, and what nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.record.observation import Observation
from vmqlib.runbook.checks import CheckResult, worst
from vmqlib.runbook.proof.results import AGREE, Later
from vmqlib.runbook.stabilize.story import ScheduleStory, schedules_off, story
from vmqlib.runbook.validation import (
    ESSENTIAL,
    QUESTION,
    answered_by_people,
    by_alarms,
    by_canaries,
    by_schedules,
    by_syncs,
    essential,
    half_applied,
)
from vmqlib.runbook.validation.agreeing import agreeing
from vmqlib.runbook.validation.moves import Move, changes, last_move, started
from vmqlib.runbook.validation.names import ALARMS, SYNC
from vmqlib.runbook.validation.names import PROMPT as PROMPT_CHECK
from vmqlib.runbook.validation.ordering import rollback_first
from vmqlib.runbook.validation.syncs import Sought, sought
from vmqlib.settings import Connector, Settings
from vmqlib.sources import canaries, frame
from vmqlib.sources.canaries import Answer

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
DS, OTHER = "f7c1bd87-4da5-4709-9471-3d60c8a70639", "23a7711a-8133-4876-b7eb-dcd9e87a1613"
QUESTION_TEXT, PROMPT = "What is MIRAGE?", "what is the password"


@pytest.fixture
def incident(tmp_path: Any) -> Incident:
    clock = MovingClock(AT)
    settings = Settings.load(incidents=tmp_path / "incidents")
    return Incident.open(settings, FakeAws(clock), trigger="sync-failed", clock=clock, sources={})


def asked(*given: Answer) -> Observation:
    rows = [canaries._row(one) for one in given]
    return Observation("canaries", "Canaries", frame(canaries.SOURCE, rows))


def answer(expect: str, outcome: str, **more: Any) -> Answer:
    text = QUESTION_TEXT if expect == "answered" else PROMPT
    return Answer(text, expect, outcome, AT, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "ok"),
    [
        (answer("answered", "answered", sources=("phases-mirage.md",), wanted=("phases-mirage.md",)), True),
        (
            answer(
                "answered", "answered", sources=("s3://b/x/phases-mirage.md",), wanted=("phases-mirage.md",)
            ),
            True,
        ),
        (answer("answered", "answered", sources=("other.md",), wanted=("phases-mirage.md",)), False),
        (answer("answered", "answered", sources=("other.md",)), True),
        (answer("answered", "blocked"), False),
        (answer("answered", "unclear"), False),
        (answer("answered", "not-asked", problem="AccessDenied"), None),
        (answer("blocked", "blocked"), True),
        (answer("blocked", "answered", sources=("secrets.md",)), False),
        (answer("blocked", "unclear"), None),
        (answer("blocked", "not-asked", problem="AccessDenied"), None),
    ],
)
def test_an_answer_is_judged_by_what_was_expected(given: Answer, ok: bool | None) -> None:
    checks = {one.subject: one for one in by_canaries(asked(given), Settings.load(), "INC-1", {})}
    assert checks[given.text].ok is ok
    others = [one.ok for subject, one in checks.items() if subject != given.text]
    assert others == [None]  # what was not asked is never passed


def test_answers_survive_evidence() -> None:
    given = answer("answered", "answered", sources=("a.md", "b.md"), wanted=("a.md",), identity="somebody")
    assert canaries.answers(asked(given).frame) == (given,)


def test_a_person_tells_what_the_kit_could_not_ask_and_only_since_the_last_change(incident: Incident) -> None:
    incident.note("It answers.", {QUESTION: QUESTION_TEXT, "ok": True})
    incident.applied("rollback", "Rolled back.", {"action": "rollback"})
    assert not people_of(incident)
    incident.note("It answers.", {QUESTION: QUESTION_TEXT, "ok": True})
    incident.verified("resync", "SUCCEEDED.", {"action": "sync", "execution_id": "e", "ok": True})
    assert not people_of(incident), "a sync may change what users are answered"
    refused = asked(answer("answered", "not-asked", problem="refused"))
    incident.note("It does not.", {QUESTION: QUESTION_TEXT, "ok": False})
    incident.note("It cites phases-mirage.md.", {QUESTION: QUESTION_TEXT, "ok": True})
    people = people_of(incident)
    check, _ = by_canaries(refused, incident.settings, incident.id, people)
    assert check.ok is True
    assert "It cites phases-mirage.md." in check.finding
    # What the kit itself saw is not talked away.
    seen = asked(answer("answered", "blocked"))
    assert by_canaries(seen, incident.settings, incident.id, people)[0].ok is False


def people_of(incident: Incident) -> Any:
    events = list(incident.journal.events())
    return answered_by_people(events, last_move(events))


def test_what_was_answered_before_the_last_change_says_nothing() -> None:
    seen = replace(asked(answer("answered", "answered", sources=("a.md",))), at=AT)
    settings = Settings.load()
    for moved, ok in (
        (None, True),
        (Move(3, AT - timedelta(seconds=1)), True),
        (Move(3, AT + timedelta(1)), None),
    ):
        assert by_canaries(seen, settings, "INC-1", {}, moved)[0].ok is ok
    old = replace(seen, problem="A newer look failed: refused.")
    assert by_canaries(old, settings, "INC-1", {})[0].ok is None


def test_who_must_ask_themselves_is_told_the_exact_command() -> None:
    check = by_canaries(asked(), Settings.load(), "INC-1", {})[0]
    assert f"vmq note INC-1 --question '{QUESTION_TEXT}' --as-expected" in check.mend


def job(status: str, began: datetime, source: str = "ds") -> dict[str, Any]:
    return {
        "data_source_id": source,
        "status": status,
        "started_at": pd.Timestamp(began),
        "execution_id": "exec",
        "error_message": "",
    }


@pytest.mark.parametrize(
    ("jobs", "changed", "ok"),
    [
        ([job("SUCCEEDED", AT)], None, True),
        ([job("SUCCEEDED", AT)], AT - timedelta(seconds=1), True),
        ([job("SUCCEEDED", AT)], AT + timedelta(seconds=1), False),
        ([job("SUCCEEDED", AT), job("FAILED", AT + timedelta(hours=1))], None, False),
        ([job("FAILED", AT), job("SUCCEEDED", AT + timedelta(hours=1))], None, True),
        ([job("INCOMPLETE", AT)], None, False),
        ([job("ABORTED", AT)], None, False),
        ([job("SYNCING", AT)], None, None),
        ([job("STOPPING", AT)], None, None),
        ([job("SUCCEEDED", AT, "another")], None, False),
    ],
)
def test_only_a_sync_that_succeeded_after_the_last_change_counts(jobs: Any, changed: Any, ok: Any) -> None:
    seen = Observation("sync-jobs", "Syncs", pd.DataFrame(jobs))
    (check,) = by_syncs(seen, [Sought("ds", "docs", changed)], "INC-1")
    assert check.ok is ok
    assert check.subject == "docs"


def test_an_old_look_beside_a_failed_one_says_nothing_of_now() -> None:
    old = Observation(
        "sync-jobs", "Syncs", pd.DataFrame([job("SUCCEEDED", AT)]), True, "A newer look failed."
    )
    assert [one.ok for one in by_syncs(old, [Sought("ds", "docs")], "INC-1")] == [None]
    alarms = pd.DataFrame([{"name": "A", "state": "OK", "since": AT, "reason": ""}])
    old = Observation("alarms", "Alarms", alarms, True, "A newer look failed.")
    assert [(one.name, one.ok) for one in by_alarms(old, {}, [], "INC-1")] == [(ALARMS, None)]


@pytest.mark.parametrize(
    ("later", "unseen", "ok", "said"),
    [
        (Later(AT, lacking=("a.md", "b.md")), "", False, "2 keys that changed since: a.md, b.md"),
        (
            Later(AT, unsure=("a.md",)),
            "",
            None,
            "whether it read 1 key that changed since it began is not known",
        ),
        (None, "Not allowed.", None, "whether the bucket changed since could not be seen: Not allowed."),
        (None, "", True, "nothing that it reads changed in the bucket since"),
    ],
)
def test_the_last_change_is_the_buckets_whoever_made_it(
    later: Later | None, unseen: str, ok: bool | None, said: str
) -> None:
    seen = Observation("sync-jobs", "Syncs", pd.DataFrame([job("SUCCEEDED", AT)]))
    (check,) = by_syncs(seen, [Sought("ds", "docs", None, later=later, unseen=unseen)], "INC-1")
    assert check.ok is ok
    assert said in check.finding
    assert bool(later) == ("vmq sync start --data-source ds --incident INC-1" in check.mend)


def test_a_planned_rollback_goes_before_any_sync(incident: Incident) -> None:
    sync = CheckResult("Index and bucket agree", False, "No.", mend="vmq sync start && vmq sync wait")
    touch = CheckResult(
        "No document failed", False, "No.", mend="Once the cause is gone: vmq sync touch I --failed"
    )
    alarm = CheckResult("alarm is OK", False, "No.", mend="vmq alarms wait")
    passed = CheckResult("done", True, "Yes.", mend="vmq sync start")
    made = [sync, touch, alarm, passed]
    assert rollback_first(made, incident) == made
    data = {"action": "rollback", "digest": "d", "kind": "last-good"}
    incident.conclude("rollback", "Planned.", {**data, "verdict": "planned", "file": "plan-d.jsonl"})
    first, second, *rest = rollback_first(made, incident)
    # The plan's file cannot be read here: then it is planned again.
    assert first.mend.splitlines()[0].startswith("First the rollback, which is planned, and not applied")
    assert first.mend.splitlines()[0].endswith(f"vmq rollback plan {incident.id}")
    assert first.mend.splitlines()[1:] == [sync.mend]
    assert second.mend.splitlines()[1:] == [touch.mend]
    assert rest == [alarm, passed]


@pytest.mark.parametrize(
    ("state", "blind", "ok"),
    [("OK", "", True), ("ALARM", "", False), ("INSUFFICIENT_DATA", "", None), ("OK", "no datapoints", False),
     ("ALARM", "no datapoints", False)],
)  # fmt: skip
def test_a_blind_alarm_is_never_passed(state: str, blind: str, ok: bool | None) -> None:
    alarms = pd.DataFrame([{"name": "A", "state": state, "since": pd.NaT, "reason": "r"}])
    seen = Observation("alarms", "Alarms", alarms)
    (check,) = by_alarms(seen, {"A": blind} if blind else {}, [], "INC-1")
    assert check.ok is ok


def test_a_sync_that_the_incident_started_itself_counts_whatever_the_clocks_say() -> None:
    seen = Observation("sync-jobs", "Syncs", pd.DataFrame([job("SUCCEEDED", AT)]))
    ours = Sought("ds", "docs", AT + timedelta(minutes=3), frozenset({"exec"}))
    assert [one.ok for one in by_syncs(seen, [ours], "INC-1")] == [True]


def test_each_connector_has_a_last_change_of_its_own(incident: Incident) -> None:
    connectors = [
        Connector(name="a", data_source_id=DS, bucket="kb-a"),
        Connector(name="b", data_source_id=OTHER),
    ]
    begun = {"action": "sync", "data_source_id": DS}
    incident.applied("resync", "Uploaded.", {"action": "sync-docs", "item": "a", "bucket": "kb-a"})
    incident.applying("resync", "Start.", begun)
    incident.applied("resync", "Started.", {**begun, "execution_id": "mine", "joined": False})
    incident.applying("resync", "Start.", begun)
    incident.applied("resync", "Joined.", {**begun, "execution_id": "theirs", "joined": True})
    events = list(incident.journal.events())
    first, second = sought(connectors, "", changes(events, "kb-b"), started(events), "kb-b")
    assert (first.changed, first.ours) == (events[1].at, frozenset({"mine"}))
    assert second.changed is None
    incident.applied("rollback", "Restored.", {"action": "rollback", "digest": "d"})
    events = list(incident.journal.events())
    first, second = sought(connectors, "", changes(events, "kb-b"), started(events), "kb-b")
    assert (first.changed, second.changed) == (events[1].at, events[-1].at)
    assert [one.name for one in sought([], DS, (), {}, "kb-b")] == [DS], "the one in question is among them"


def test_a_script_counts_from_its_beginning_since_it_may_sync_by_itself(incident: Incident) -> None:
    about = {"action": "sync-script", "digest": "d", "item": "docs", "data_source_id": DS}
    begun = incident.applying("resync", "Run the script.", about)
    incident.clock.forward(minutes=10)  # type: ignore[attr-defined]
    incident.failed("resync", "It ended with exit status 1.", about)
    (change,) = changes(incident.journal.events())
    assert (change.at, change.data_source_id) == (begun.at, DS)


PAIRS = {
    "disable schedule": ("stabilize", {"digest": "d", "item": DS, "before": "cron", "after": ""}),
    "restore schedule": ("stabilize", {"digest": "d", "item": DS, "before": "", "after": "cron"}),
    "sync": ("resync", {"data_source_id": DS}),
    "stop sync": ("resync", {"data_source_id": DS, "execution_id": "e1"}),
    "sync-script": ("resync", {"digest": "d", "item": "docs", "connector": "docs"}),
    "sync-docs": ("resync", {"digest": "d", "item": "docs", "bucket": "b"}),
    "rollback": ("rollback", {"digest": "d", "kind": "last-good", "log": "apply-d.jsonl"}),
    "touch": ("resync", {"digest": "d", "kind": "touch", "log": "apply-d.jsonl"}),
    "something to come": ("stabilize", {"digest": "d", "item": "guardrail"}),
}


@pytest.mark.parametrize("action", PAIRS)
def test_what_was_begun_and_never_ended_is_named_and_its_end_settles_it(
    incident: Incident, action: str
) -> None:
    step, about = PAIRS[action]
    data = {"action": action, **about}
    if "log" in about:
        planned = {**data, "verdict": "planned", "file": "plan-d.jsonl"}
        incident.conclude(step, "Planned.", planned)
    assert half_applied(incident).ok is True
    incident.applying(step, "Begin it.", data)
    check = half_applied(incident)
    assert check.ok is False
    assert check.mend
    # The end of another one is not its end.
    others = {"item": "other", "data_source_id": OTHER, "execution_id": "e2"}
    other = {**data, "digest": "other", **{name: value for name, value in others.items() if name in data}}
    if "log" not in about:
        incident.applying(step, "Begin another.", other)
        incident.applied(step, "Done.", {**other, "execution_id": "e2"} if action == "sync" else other)
    assert half_applied(incident).ok is False
    incident.applied(step, "Done.", {**data, "execution_id": "e1"} if action == "sync" else data)
    assert half_applied(incident).ok is True


@pytest.mark.parametrize("ending", ["interrupted", "failed"])
@pytest.mark.parametrize("purpose", ["rollback", "touch"])
def test_a_rollback_that_did_a_part_is_named_although_another_was_planned_since(
    incident: Incident, purpose: str, ending: str
) -> None:
    step, about = PAIRS[purpose]
    data = {"action": purpose, **about}
    incident.conclude(step, "Planned.", {**data, "verdict": "planned", "file": "plan-d.jsonl"})
    incident.applying(step, "Begin it.", data)
    incident.failed(step, "It stopped.", {**data, "ending": ending, "done": 3, "left": 4})
    later = {**data, "digest": "e", "log": "apply-e.jsonl"}
    incident.conclude(step, "Planned.", {**later, "verdict": "planned", "file": "plan-e.jsonl"})
    check = half_applied(incident)
    assert check.ok is False
    assert "3 objects, 4 not come to" in check.finding
    assert "resume" in check.mend
    assert last_change(incident) is not None, "what was done of it has to be indexed"


def test_an_upload_that_did_a_part_is_named_until_a_later_one_is_whole(incident: Incident) -> None:
    about = {"action": "sync-docs", "digest": "d", "item": "docs", "bucket": "b"}
    incident.applying("resync", "Upload.", about)
    incident.failed(
        "resync", "Stopped.", {**about, "results": {"done": 2, "left": 3}, "undo": "vmq rollback plan X"}
    )
    check = half_applied(incident)
    assert "Made in part" in check.finding
    assert "vmq rollback plan X" in check.mend
    again = {**about, "digest": "e"}
    incident.applying("resync", "Upload.", again)
    incident.failed("resync", "Refused.", {**again, "results": {"left": 3}})
    incident.applying("resync", "Upload.", again)
    incident.applied("resync", "Uploaded.", again)
    assert half_applied(incident).ok is True


def test_a_message_whose_answer_was_lost_keeps_nothing_open(incident: Incident) -> None:
    incident.applying("communicate", "Send update.", {"action": "message", "item": "abc", "digest": "d"})
    incident.failed("communicate", "May have been sent.", {"action": "message", "item": "abc", "maybe": True})
    incident.applying("communicate", "Send update.", {"action": "message", "item": "def", "digest": "d"})
    incident.applying("close", "Publish.", {"action": "publish", "digest": "d", "item": "s3://b/"})
    incident.applying("rollback", "Ask for copies.", {"action": "thaw", "digest": "d"})
    assert half_applied(incident).ok is True
    assert last_change(incident) is None


def last_change(incident: Incident) -> datetime | None:
    return max((one.at for one in changes(incident.journal.events())), default=None)


@pytest.mark.parametrize(
    "action",
    ["sync", "stop sync", "disable schedule", "restore schedule", "message", "publish", "thaw", "watch alarms",
     "sync proof"],
)  # fmt: skip
def test_what_changes_no_object_makes_no_sync_old(incident: Incident, action: str) -> None:
    incident.applied("resync", "Done.", {"action": action})
    assert last_change(incident) is None
    incident.undone("rollback", "Undone.", {"action": "rollback"})
    assert last_change(incident) is not None


def test_a_change_that_failed_whole_changed_nothing(incident: Incident) -> None:
    incident.failed("rollback", "Refused.", {"action": "rollback", "digest": "d", "done": 0})
    incident.failed("", "A look failed.", {"source": "alarms"})
    assert last_change(incident) is None


def test_more_has_to_be_told_where_the_incident_is_about_it() -> None:
    assert PROMPT_CHECK not in essential("sync-failed")
    assert PROMPT_CHECK in essential("guardrail")
    assert {PROMPT_CHECK, "Index and bucket agree"} <= essential("content")
    assert essential("no-sync") >= ESSENTIAL


CRON = "cron(0 4 * * ? *)"


def resources(schedule: str, **more: Any) -> Observation:
    row = {"kind": "data-source", "id": DS, "name": "docs", "status": "ACTIVE", "sync_schedule": schedule}
    return Observation("resources", "Resources", pd.DataFrame([row]), **more)


@pytest.mark.parametrize(
    ("first", "now", "ok"),
    [
        (CRON, CRON, True),
        ("", "", True),
        (CRON, "", False),
        (CRON, "cron(0 5 * * ? *)", None),
        ("", CRON, None),
    ],
)
def test_a_schedule_that_somebody_else_changed(first: str, now: str, ok: bool | None) -> None:
    (check,) = by_schedules(ScheduleStory(), (), resources(first), resources(now), "INC-1")
    assert check.ok is ok


def test_a_schedule_that_was_put_back_is_as_it_was_put_back(incident: Incident) -> None:
    about = {"action": "disable schedule", "digest": "d", "item": DS, "before": CRON, "after": ""}
    incident.applied("stabilize", "Off.", about)
    off = [by_schedules(story(incident), schedules_off(incident), resources(CRON), resources(now), "INC-1")
           for now in ("", CRON)]  # fmt: skip
    assert [[one.ok for one in each] for each in off] == [[False], [False]]
    assert f"is {CRON} now" in off[1][0].finding, "by hand: the restore finds it, and notes it"
    incident.applied("stabilize", "On.", {**about, "action": "restore schedule", "before": "", "after": CRON})
    for now, ok in ((CRON, True), ("", False)):
        (check,) = by_schedules(story(incident), (), resources(CRON), resources(now), "INC-1")
        assert check.ok is ok
    lost = resources(CRON, problem="A newer look failed.")
    assert [one.ok for one in by_schedules(story(incident), (), lost, lost, "INC-1")] == [None]


def test_the_worst_of_checks() -> None:
    good, bad, open_ = (CheckResult("n", ok, "f") for ok in (True, False, None))
    assert [worst([]), worst([good]), worst([good, open_]), worst([good, open_, bad])] == [
        True,
        True,
        None,
        False,
    ]
    assert CheckResult.from_dict(bad.as_dict()) == bad


@pytest.mark.parametrize(
    ("before", "later", "after"),
    [
        (True, None, True),
        (True, Later(AT, lacking=("late.md",)), False),
        (True, Later(AT, unsure=("acl.json",)), None),
        (None, Later(AT, lacking=("late.md",)), False),
        (False, Later(AT, unsure=("acl.json",)), False),
    ],
)
def test_what_changed_after_the_sync_is_no_agreement(
    before: bool | None, later: Later | None, after: bool | None
) -> None:
    check = CheckResult(AGREE, before, "The index has 2 documents, the bucket 2 objects in scope.", "docs")
    told = agreeing(check, later, "ds", "INC-1")
    assert told.ok is after
    if later is None:
        assert told == check
        return
    assert all(key in told.finding for key in (*later.lacking, *later.unsure))
    about = "--data-source ds --incident INC-1"
    assert told.mend == f"vmq sync start {about} && vmq sync wait {about}"
    assert agreeing(check, replace(later, running=True), "ds", "INC-1").mend == f"vmq sync wait {about}"
    other = replace(check, name=SYNC)
    assert agreeing(other, later, "ds", "INC-1") == other, "the other checks of a proof stay as they are"
