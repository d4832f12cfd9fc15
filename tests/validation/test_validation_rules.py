"""Whether an incident is over: what passes, what fails, and what nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.record.observation import Observation
from vmqlib.runbook.checks import CheckResult, worst
from vmqlib.runbook.rollback import Status
from vmqlib.runbook.stabilize.story import ACTIONS
from vmqlib.runbook.validation import (
    QUESTION,
    answered_by_people,
    by_alarms,
    by_canaries,
    by_syncs,
    half_applied,
)
from vmqlib.runbook.validation.halves import last_change
from vmqlib.settings import Settings
from vmqlib.sources import canaries, frame
from vmqlib.sources.canaries import Answer

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
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
    assert not answered_by_people(incident.journal.events())
    refused = asked(answer("answered", "not-asked", problem="refused"))
    incident.note("It does not.", {QUESTION: QUESTION_TEXT, "ok": False})
    incident.note("It cites phases-mirage.md.", {QUESTION: QUESTION_TEXT, "ok": True})
    people = answered_by_people(incident.journal.events())
    check, _ = by_canaries(refused, incident.settings, incident.id, people)
    assert check.ok is True
    assert "It cites phases-mirage.md." in check.finding
    # What the kit itself saw is not talked away.
    seen = asked(answer("answered", "blocked"))
    assert by_canaries(seen, incident.settings, incident.id, people)[0].ok is False


def test_who_must_ask_themselves_is_told_the_exact_command() -> None:
    check = by_canaries(asked(), Settings.load(), "INC-1", {})[0]
    assert f"vmq note INC-1 --question '{QUESTION_TEXT}' --as-expected" in check.mend


def job(status: str, began: datetime, source: str = "ds") -> dict[str, Any]:
    return {
        "data_source_id": source,
        "status": status,
        "started_at": pd.Timestamp(began),
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
    (check,) = by_syncs(seen, changed, {"ds": "docs"})
    assert check.ok is ok
    assert check.subject == "docs"


def test_an_old_look_beside_a_failed_one_says_nothing_of_now() -> None:
    old = Observation(
        "sync-jobs", "Syncs", pd.DataFrame([job("SUCCEEDED", AT)]), True, "A newer look failed."
    )
    assert [one.ok for one in by_syncs(old, None, {"ds": "docs"})] == [None]
    alarms = pd.DataFrame([{"name": "A", "state": "OK", "since": AT, "reason": ""}])
    old = Observation("alarms", "Alarms", alarms, True, "A newer look failed.")
    assert [one.ok for one in by_alarms(old, {}, [])] == [None]


@pytest.mark.parametrize(
    ("state", "blind", "ok"),
    [("OK", "", True), ("ALARM", "", False), ("INSUFFICIENT_DATA", "", None), ("OK", "no datapoints", False),
     ("ALARM", "no datapoints", False)],
)  # fmt: skip
def test_a_blind_alarm_is_never_passed(state: str, blind: str, ok: bool | None) -> None:
    alarms = pd.DataFrame([{"name": "A", "state": state, "since": pd.NaT, "reason": "r"}])
    seen = Observation("alarms", "Alarms", alarms)
    (check,) = by_alarms(seen, {"A": blind} if blind else {}, [])
    assert check.ok is ok


def test_what_was_begun_and_never_ended_is_named(incident: Incident) -> None:
    begun = {"action": "schedule-disable", "digest": "d", "item": "ds"}
    incident.applying("stabilize", "Switch the schedule off.", begun)
    check = half_applied(incident.journal.events(), Status())
    assert check.ok is False
    assert "Switch the schedule off." in check.finding
    incident.applied("stabilize", "Switched off.", begun)
    assert half_applied(incident.journal.events(), Status()).ok is True
    assert half_applied(
        incident.journal.events(), Status(state="interrupted", command="vmq rollback resume X")
    ).mend


def test_a_message_has_an_end_sent_or_not(incident: Incident) -> None:
    begun = {"action": "message", "message": "update", "digest": "d", "item": "m1", "channel": "#ops"}
    incident.applying("communicate", "Send update to #ops.", begun)
    incident.applying("communicate", "Send update to #ops.", begun | {"item": "m2"})
    incident.notified("Sent to #ops.", channel="#ops", data=begun)
    assert half_applied(incident.journal.events(), Status()).ok is False
    incident.failed("communicate", "update was not sent to #ops.", {"action": "message", "item": "m2"})
    assert half_applied(incident.journal.events(), Status()).ok is True


def test_what_changes_no_object_makes_no_sync_old(incident: Incident) -> None:
    incident.applied("resync", "Started.", {"action": "sync"})
    for action in ACTIONS.values():
        incident.applied("stabilize", "The schedule is another.", {"action": action})
    assert last_change(incident.journal.events()) is None
    incident.undone("rollback", "Undone.", {"action": "rollback"})
    assert last_change(incident.journal.events()) is not None


def test_the_worst_of_checks() -> None:
    good, bad, open_ = (CheckResult("n", ok, "f") for ok in (True, False, None))
    assert [worst([]), worst([good]), worst([good, open_]), worst([good, open_, bad])] == [
        True,
        True,
        None,
        False,
    ]
    assert CheckResult.from_dict(bad.as_dict()) == bad
