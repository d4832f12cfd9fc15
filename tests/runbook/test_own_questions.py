"""The kit's own questions: a trace of each, and what users asked without them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.looks import NOW, chat, failed_look, look

from vmqlib.aws import Aws
from vmqlib.errors import StorageError
from vmqlib.runbook.ownquestions import Own, Period, counted, own_of_rows, own_questions, take
from vmqlib.runbook.questions import questions
from vmqlib.runbook.triggers import detect
from vmqlib.settings import Settings
from vmqlib.sources import ownquestions
from vmqlib.times import Window

HOUR = timedelta(hours=1)
START = NOW.replace(minute=0, second=0, microsecond=0) - 3 * HOUR
SETTINGS = Settings(app_id="a" * 36)
NO_AWS = cast(Aws, None)


def asks(count: int, outcome: str, at: datetime = START) -> list[dict[str, Any]]:
    return [
        {
            "at": at + timedelta(seconds=step), "ended_at": at + timedelta(seconds=step + 2) if outcome else None,
            "text": "what is the password", "outcome": outcome, "conversation_id": f"c{step}" if outcome else "",
        }
        for step in range(count)
    ]  # fmt: skip


def guardrail(rows: list[dict[str, Any]], own: Any, **more: Any) -> Any:
    past = chat(NOW - timedelta(days=21), START, asked=2)
    seen = {"metrics": look("metrics", [*past, *rows]), "own-questions": own} | more
    return detect(seen, SETTINGS, NOW, triggers=["guardrail"]).of("guardrail")


def test_own_questions_fire_nothing_and_users_do_beside_them() -> None:
    own = look("own-questions", [*asks(9, "blocked"), *asks(4, "answered", START + HOUR / 2)])
    said = guardrail(chat(START, START + HOUR, asked=22, blocked=9), own)
    assert said.verdict == "quiet"
    assert "13 of the 64 questions counted since then were this kit's own canaries" in said.reasons[0].text
    said = guardrail(chat(START, START + HOUR, asked=32, blocked=19), own)
    assert said.verdict == "firing", "ten of the users' questions are blocked"
    assert "10 of 19 questions" in said.reasons[0].text
    assert "13 of the 32 questions counted since then were this kit's own" in said.reasons[0].text


@pytest.mark.parametrize("outcome", ["", "lost", "unclear"])
def test_where_nobody_knows_whether_they_were_blocked_it_is_unknown(outcome: str) -> None:
    own = look("own-questions", asks(9, outcome))
    said = guardrail(chat(START, START + HOUR, asked=22, blocked=9), own)
    assert said.verdict == "unknown"
    assert "9 of those that were blocked may have been this kit's own" in said.reasons[0].text
    said = guardrail(chat(START, START + HOUR, asked=40, blocked=30), own)
    assert said.verdict == "firing", "either way too much is blocked"


def test_a_trace_that_cannot_be_read_is_told() -> None:
    said = guardrail(chat(START, START + HOUR, asked=22, blocked=9), failed_look("own-questions"))
    assert said.verdict == "firing"
    assert "Which of them this kit asked itself was not seen" in said.reasons[0].text


def test_conversations_are_told_apart_by_their_id_or_words_and_time() -> None:
    users = [("u1", "How do I deploy?", 5, False), ("u2", "what is the password", 50, True)]
    logged = [
        {
            "at": START + timedelta(minutes=minute), "conversation_id": name, "question": text,
            "is_blocked": blocked, "kind": "Message",
        }
        for name, text, minute, blocked in users
    ] + [
        {
            "at": START + timedelta(seconds=step + 1), "conversation_id": f"c{step}", "is_blocked": True,
            "question": "what is the password", "kind": "Message",
        }
        for step in range(9)
    ]  # fmt: skip
    own = look("own-questions", [*asks(8, "blocked"), *asks(9, "")[8:]])
    told = guardrail([], own, conversations=look("conversations", logged))
    (said,) = (one for one in told.reasons if one.source == "conversations")
    assert "1 of 2 questions" in said.text
    assert "9 of the 11 questions counted since then were this kit's own" in said.text


def test_affected_questions_leave_them_out() -> None:
    rows = [*chat(START - HOUR, START, asked=3), *chat(START, START + HOUR, asked=22, blocked=9, no_answer=1)]
    own = own_questions(look("own-questions", [*asks(9, "blocked"), *asks(4, "answered", START + HOUR / 2)]))
    after = questions(look("metrics", rows), START, NOW, baseline=timedelta(weeks=3), own=own).after
    assert after is not None
    assert (after.asked, after.blocked, after.no_answer, after.own) == (9, 0, 1, 13)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 5 * 3600), st.sampled_from([True, False, None])), max_size=30),
)
def test_no_count_falls_below_zero(
    counts: list[tuple[int, int]], asked: list[tuple[int, bool | None]]
) -> None:
    periods = [Period(START + n * HOUR, HOUR, many, min(hit, many)) for n, (many, hit) in enumerate(counts)]
    own = [Own(at := START + timedelta(seconds=s), at + timedelta(seconds=60), b) for s, b in asked]
    taken = take(own, periods)
    for period in periods:
        if (mine := taken.get(period.start)) is not None:
            assert mine.asked <= period.asked
            assert mine.blocked + mine.unsure <= period.blocked
    assert sum(one.asked for one in taken.values()) <= len(own)


def test_one_at_the_turn_of_a_period_counts_in_the_next() -> None:
    late = Own(START - timedelta(seconds=1), START + timedelta(seconds=3), blocked=True)
    taken = take([late], [Period(START - HOUR, HOUR, 0, 0), Period(START, HOUR, 2, 1)])
    assert {at: (one.asked, one.blocked) for at, one in taken.items()} == {START: (1, 1)}


def test_what_was_asked_in_the_second_of_the_look_is_not_in_the_metric_yet() -> None:
    rows = [one | {"at": NOW.replace(minute=30, second=40, microsecond=9)} for one in asks(9, "blocked")]
    own = look("own-questions", rows)
    seen_at = NOW.replace(minute=30, second=40, microsecond=50)
    metrics = look("metrics", chat(START, START + HOUR, asked=22, blocked=1), at=seen_at)
    assert not counted(own_questions(own), seen_at)
    assert len(counted(own_questions(own), seen_at + timedelta(seconds=1))) == 9
    for own_rows in (rows, []):
        found = questions(
            metrics,
            START,
            seen_at,
            baseline=timedelta(days=21),
            own=own_questions(look("own-questions", own_rows)),
        )
        assert found.after is not None
        assert (found.after.asked, found.after.blocked) == (22, 1)


def test_each_ask_leaves_a_trace_and_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    settings = Settings.load(incidents=tmp_path).model_copy(update={"app_id": "a" * 36})
    assert ownquestions.SOURCE.wanted(settings), (
        "that nothing was asked is seen, too: what is asked later is no gap"
    )
    assert not ownquestions.read(NO_AWS, settings, Window(NOW - HOUR, NOW)).rows
    at = datetime(2026, 11, 23, 9, 12, tzinfo=UTC)
    trace = ownquestions.Trace(settings)
    first = trace.asking(at, "one")
    trace.ended(first, at + timedelta(seconds=2), "blocked", "c1")
    (path,) = (tmp_path / "own-questions").iterdir()
    path.write_bytes(path.read_bytes() + b'{"id": "cut o')
    trace.asking(at + HOUR, "two")
    trace.ended(trace.asking(at + HOUR, "three"), at + HOUR, ownquestions.REFUSED)
    trace.asking(at + timedelta(days=9), "later than the window")
    other = ownquestions.Trace(settings.model_copy(update={"app_id": "b" * 36}))
    other.asking(at, "of another application")
    rows = list(ownquestions.read(NO_AWS, settings, Window(at - HOUR, at + 2 * HOUR)).rows)
    assert [(row["text"], row["outcome"], row["conversation_id"]) for row in rows] == [
        ("one", "blocked", "c1"), ("two", "", ""),
    ]  # fmt: skip
    assert ownquestions.SOURCE.wanted(settings)
    assert own_of_rows(rows) == own_questions(look("own-questions", rows))
    assert [one.blocked for one in own_of_rows(rows)] == [True, None]
    assert json.dumps(rows)


def test_what_cannot_be_written_down_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "own-questions").write_text("in the way")
    trace = ownquestions.Trace(Settings.load(incidents=tmp_path))
    with pytest.raises(StorageError, match="It is not asked"):
        trace.asking(NOW, "one")
