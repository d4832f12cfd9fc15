"""SEV2 by default, SEV1 when customers are hit, unknown when too little was seen, and a person's word counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.looks import NOW, chat, failed_look, look
from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.runbook.affected import affected, affected_by
from vmqlib.runbook.questions import Asked, Questions, points_of_rows, questions
from vmqlib.runbook.severity import (
    WebExperience,
    advice_from_evidence,
    advise,
    given_by_person,
    judge,
    note_given,
    raise_if_hit,
)
from vmqlib.runbook.triage import set_severity
from vmqlib.settings import Settings, SeverityRule
from vmqlib.times import iso

BAD = NOW - timedelta(hours=2)
WEEKS = timedelta(weeks=3)
ACTIVE = (WebExperience("w", "assistant", "ACTIVE"),)
RULE = SeverityRule()


def span(asked: int, no_answer: int = 0, blocked: int = 0) -> Questions:
    after = Asked(BAD, NOW, 2.0, asked, no_answer, blocked)
    return Questions(Asked(BAD - WEEKS, BAD, 42.0, 200, 4, 1), after, from_sign=True)


@pytest.mark.parametrize(
    ("asked", "web", "customers", "told"),
    [
        (span(20), ACTIVE, "not-hit", "of 20 questions"),
        (span(20, no_answer=4), ACTIVE, "hit", "20% of the 20 questions"),
        (span(20, no_answer=3), ACTIVE, "not-hit", "15% had no answer"),
        (span(20, blocked=5), ACTIVE, "hit", "25% of the 20 questions"),
        (span(9, no_answer=9), ACTIVE, "unknown", "fewer than the 10 that count"),
        (span(0), ACTIVE, "unknown", "0 questions were asked"),
        (Questions(problem="The metrics were not seen: AccessDenied."), ACTIVE, "unknown", "AccessDenied"),
        (span(20), (WebExperience("w", "assistant", "FAILED"),), "hit", "assistant is FAILED, not ACTIVE"),
        (span(20), (WebExperience("w", "", ""),), "unknown", "w is not readable"),
        (span(20), None, "unknown", "web experience was not seen"),
        (span(20), (), "unknown", "no web experience was found"),
        (span(20, no_answer=10), None, "hit", "50%"),
    ],
)
def test_the_rule(asked, web, customers, told) -> None:
    advice = advise(asked, web, RULE)
    assert (advice.customers, advice.severity) == (customers, "SEV1" if customers == "hit" else "SEV2")
    assert told in advice.reason
    assert advice.reason.endswith(".")


def test_the_reason_compares_with_before() -> None:
    assert "(before: 2% of 200)" in advise(span(20, no_answer=10), ACTIVE, RULE).reason


def test_the_web_experience_counts_only_where_the_rule_says_so() -> None:
    rule = RULE.model_copy(update={"web_experience_down": False})
    assert advise(span(20), (WebExperience("w", "a", "FAILED"),), rule).customers == "not-hit"
    assert advise(span(20), None, rule).customers == "not-hit"


def test_incomplete_metrics_say_nothing_of_shares() -> None:
    asked = replace(
        span(20, no_answer=20), problem="The metrics are incomplete: PartialData.", complete=False
    )
    advice = advise(asked, ACTIVE, RULE)
    assert (advice.customers, advice.severity) == ("unknown", "SEV2")
    assert "PartialData" in advice.reason


def test_a_time_before_that_was_not_seen_hides_no_harm() -> None:
    rows = chat(BAD, NOW, asked=20, no_answer=10)
    asked = questions(look("metrics", rows), BAD, NOW, baseline=WEEKS)
    assert asked.before is None
    assert "Nothing was seen of the time before" in asked.problem
    assert advise(asked, ACTIVE, RULE).customers == "hit"


@given(
    asked=st.integers(0, 200),
    no_answer=st.integers(0, 200),
    blocked=st.integers(0, 200),
    share=st.floats(0.01, 1),
    least=st.integers(1, 50),
)
def test_sev1_only_with_enough_questions_and_share(asked, no_answer, blocked, share, least) -> None:
    rule = RULE.model_copy(update={"failed_share": share, "blocked_share": share, "min_questions": least})
    advice = advise(span(asked, no_answer, blocked), ACTIVE, rule)
    hit = asked >= least and max(no_answer, blocked) >= share * asked
    if abs(max(no_answer, blocked) - share * asked) > 1e-6:
        assert (advice.severity == "SEV1") == hit
    assert (advice.customers == "unknown") == (asked < least)


# -- counting


def test_before_and_after_compare_hour_by_hour() -> None:
    quiet = chat(NOW - timedelta(days=14), BAD, asked=6, no_answer=1)
    asked = questions(
        look("metrics", [*quiet, *chat(BAD, NOW, asked=5, no_answer=4)]), BAD, NOW, baseline=WEEKS
    )
    assert asked.after == Asked(BAD, NOW, 2.0, 10, 8, 0)
    # The two hours of each of the thirteen days that were seen of them: no others.
    assert asked.before is not None
    assert (asked.before.hours, asked.before.asked, asked.before.per_hour) == (26.0, 26 * 6, 6.0)


def test_nights_do_not_dilute_what_is_compared() -> None:
    days = [NOW - timedelta(days=n) for n in range(1, 8)]
    busy = [row for day in days for row in chat(day - timedelta(hours=2), day, asked=30)]
    asked = questions(look("metrics", [*busy, *chat(BAD, NOW, asked=30)]), BAD, NOW, baseline=WEEKS)
    assert asked.before is not None
    assert asked.before.per_hour == asked.after.per_hour == 30.0


def test_a_long_outage_is_compared_with_whole_days() -> None:
    bad = NOW - timedelta(hours=30)
    rows = [*chat(bad - timedelta(days=2), bad, asked=2), *chat(bad, NOW, asked=2, blocked=2)]
    asked = questions(look("metrics", rows), bad, NOW, baseline=WEEKS)
    assert (asked.before.hours, asked.before.asked) == (48.0, 96)
    assert asked.after.blocked_share == 1.0


def test_the_hour_of_the_first_sign_belongs_to_after() -> None:
    rows = chat(NOW - timedelta(hours=5), NOW, asked=10)
    asked = questions(look("metrics", rows), BAD + timedelta(minutes=20), NOW, baseline=WEEKS)
    assert (asked.after.since, asked.after.asked) == (BAD, 20)


def test_without_a_sign_it_is_the_last_day() -> None:
    asked = questions(look("metrics", chat(NOW - timedelta(days=3), NOW, asked=1)), None, NOW, baseline=WEEKS)
    assert (asked.after.since, asked.after.asked, asked.from_sign) == (NOW - timedelta(days=1), 24, False)


@pytest.mark.parametrize("period", [300, 900, 3600, 21_600, 86_400])
def test_rows_and_frames_count_alike(period) -> None:
    start = NOW.replace(hour=0) - timedelta(days=9)
    rows = chat(
        start, NOW.replace(hour=0) + timedelta(days=1), asked=3, no_answer=1, blocked=2, period=period
    )
    rows = [row for row in rows if row["at"] < NOW]
    texts = [row | {"at": iso(row["at"])} for row in rows]
    given_ = {"since": BAD, "now": NOW, "baseline": WEEKS}
    counted = questions(look("metrics", rows), **given_)
    assert counted == questions(points_of_rows(texts, NOW), **given_)
    assert counted.before.no_answer_share == pytest.approx(1 / 3)


def test_hours_without_a_row_are_hours_in_which_nobody_asked() -> None:
    asked = questions(look("metrics", chat(BAD - timedelta(hours=9), BAD, asked=3)), BAD, NOW, baseline=WEEKS)
    assert (asked.after.asked, asked.after.no_answer_share) == (0, None)


@pytest.mark.parametrize("seen", [None, failed_look("metrics"), look("metrics", [])])
def test_what_was_not_seen_is_not_counted(seen) -> None:
    asked = questions(seen, BAD, NOW, baseline=WEEKS)
    assert asked.after is None
    assert asked.problem


# -- in an incident


@pytest.fixture
def incident() -> Incident:
    clock = MovingClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    return Incident.open(Settings.load(), FakeAws(clock), trigger="sync-failed", clock=clock)


def hit(web: str = "FAILED"):
    rows = [{"kind": "web-experience", "id": "w", "name": "assistant", "status": web}]
    return affected({"resources": look("resources", rows)}, Settings.load(), NOW).severity


def test_customers_hit_make_it_sev1_and_the_record_says_why(incident) -> None:
    event = raise_if_hit(incident, hit())
    assert event is not None
    assert incident.state.severity == "SEV1"
    assert "assistant is FAILED" in incident.state.severity_reason
    assert "by the rule" in event.summary
    assert raise_if_hit(incident, hit()) is None, "once"


def test_the_rule_never_lowers(incident) -> None:
    raise_if_hit(incident, hit())
    assert raise_if_hit(incident, hit("ACTIVE")) is None
    assert incident.state.severity == "SEV1"


def test_who_opened_it_with_a_severity_is_not_overruled(incident) -> None:
    note_given(incident, "SEV2")
    assert raise_if_hit(incident, hit()) is None
    clock = MovingClock()
    lower = Incident.open(Settings.load(), FakeAws(clock), trigger="content", severity="SEV3", clock=clock)
    assert raise_if_hit(lower, hit()) is None
    assert lower.state.severity == "SEV3"


def test_a_person_overrides_the_rule_for_good(incident) -> None:
    raise_if_hit(incident, hit())
    set_severity(incident, "SEV2", "Only the test application")
    assert raise_if_hit(incident, hit()) is None
    assert incident.state.severity == "SEV2"
    assert incident.state.severity_reason == "Only the test application"


def test_what_a_person_confirms_the_rule_does_not_change(incident) -> None:
    assert set_severity(incident, "SEV2", "Checked, no customers") is not None
    assert raise_if_hit(incident, hit()) is None
    assert (incident.state.severity, incident.state.severity_reason) == ("SEV2", "Checked, no customers")


def test_what_the_rule_said_can_be_said_by_a_person(incident) -> None:
    raise_if_hit(incident, hit())
    assert not given_by_person(incident)
    set_severity(incident, "SEV1", incident.state.severity_reason)
    assert given_by_person(incident)


def test_a_closed_incident_is_left_alone(incident) -> None:
    incident.close("over")
    assert raise_if_hit(incident, hit()) is None


def test_the_quick_way_says_what_the_whole_one_says(project, example_id) -> None:
    settings = Settings.load(incidents=project / "notebooks" / "examples")
    incident = Incident.load(example_id, settings=settings)
    assert advice_from_evidence(incident) == affected_by(incident).severity


@pytest.fixture
def copied(project, tmp_path, example_id) -> Incident:
    """The example's incident as it was before anybody judged how severe it is, where it may be written to."""
    folder = tmp_path / "i" / example_id
    shutil.copytree(project / "notebooks" / "examples" / example_id, folder)
    journal = folder / "journal.jsonl"
    before, judged, _ = journal.read_bytes().partition(b'"kind":"severity"')
    if judged:
        journal.write_bytes(before[: before.rindex(b"\n") + 1])
    return Incident.load(example_id, settings=Settings.load(incidents=tmp_path / "i"))


def test_after_the_first_look_the_rule_judges_and_names_its_evidence(copied) -> None:
    event = judge(copied)
    assert event is not None
    assert copied.state.severity == "SEV1"
    assert {one.name for one in event.evidence} == {"metrics", "resources"}
    assert "questions since" in copied.state.severity_reason


def test_a_severity_that_was_given_is_kept_and_said(copied) -> None:
    event = judge(copied, "SEV2")
    assert "was given" in event.summary
    assert (judge(copied), copied.state.severity) == (None, "SEV2")


def test_broken_evidence_costs_the_judgement_and_no_more(copied) -> None:
    for file in (copied.dir / "evidence").glob("metrics-*"):
        file.write_bytes(b"torn")
    assert judge(copied) is None
    assert copied.state.severity == "SEV2"
