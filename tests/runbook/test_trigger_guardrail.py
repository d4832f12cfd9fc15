"""guardrail: a share against its own past, with few counts; conversation logs; canaries."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.looks import NOW, chat, failed_look, look

from vmqlib.runbook.affected import affected
from vmqlib.runbook.triggers import detect
from vmqlib.runbook.triggers.shares import compare
from vmqlib.settings import Settings
from vmqlib.sources.canaries import Answer, judge

WEEKS = NOW - timedelta(days=21)
SINCE = NOW - timedelta(hours=4)
SETTINGS = Settings(app_id="a" * 36)


def usual(**more: Any) -> list[dict[str, Any]]:
    """Three weeks: two questions an hour, and one of about forty blocked, at any hour."""
    blocked = chat(WEEKS, SINCE, asked=0, blocked=1, **more)[::23]
    return [*chat(WEEKS, SINCE, asked=2, **more), *blocked]


def of(rows: list[dict[str, Any]], answers: Any = None, **more: Any) -> Any:
    seen = {"metrics": look("metrics", rows)} | more
    found = detect(seen, SETTINGS, NOW, answers=answers, triggers=["guardrail"])
    return found.of("guardrail"), found.findings


def test_a_leap_fires_and_is_told_with_its_figures() -> None:
    verdict, _ = of([*usual(), *chat(SINCE, NOW, asked=10, blocked=4)])
    assert (verdict.verdict, verdict.confidence) == ("firing", "medium")
    assert verdict.since == SINCE
    assert "16 of 40 questions" in verdict.reasons[0].text
    assert "At the same hours of the" in verdict.reasons[0].text


def test_a_lone_block_the_night_before_is_not_the_beginning() -> None:
    night = chat(SINCE - timedelta(hours=10), SINCE - timedelta(hours=9), asked=0, blocked=1)
    verdict, _ = of([*usual(), *night, *chat(SINCE, NOW, asked=10, blocked=4)])
    assert verdict.since == SINCE


def test_more_questions_with_the_usual_share_do_not() -> None:
    rows = [*usual(), *chat(SINCE, NOW, asked=60, blocked=1)]
    assert of(rows)[0].verdict == "quiet"


def test_too_few_blocked_questions_do_not_whatever_their_share() -> None:
    rows = [*usual(), *chat(SINCE, NOW, asked=1, blocked=1)]
    assert of(rows)[0].verdict == "quiet"


def test_a_leap_that_is_over_is_quiet_and_told() -> None:
    begun = SINCE - timedelta(hours=2)
    rows = [*[row for row in usual() if row["at"] < begun], *chat(begun, SINCE, asked=20, blocked=8)]
    rows += chat(SINCE, NOW, asked=20)
    verdict, _ = of(rows)
    assert verdict.verdict == "quiet"
    assert "That is over: none of the 80 questions" in verdict.reasons[0].text


def test_a_leap_that_lasts_for_days_is_not_its_own_baseline() -> None:
    begun = NOW - timedelta(days=4)
    before = [row for row in usual() if row["at"] < begun]
    verdict, _ = of([*before, *chat(begun, NOW, asked=2, blocked=1)])
    assert verdict.verdict == "firing"


def test_without_a_past_nothing_is_compared() -> None:
    verdict, _ = of(chat(SINCE, NOW, asked=10, blocked=4))
    assert verdict.verdict == "unknown"
    assert "nothing to compare with" in verdict.reasons[0].text


def controls(at: datetime, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> dict[str, Any]:
    update = {"blockedPhrasesToCreateOrUpdate": [*add], "blockedPhrasesToDelete": [*remove]}
    return {
        "event": "UpdateChatControlsConfiguration", "service": "qbusiness", "user": "dana", "at": at,
        "parameters": json.dumps({"blockedPhrasesConfigurationUpdate": update}),
    }  # fmt: skip


def canary(outcome: str, at: datetime) -> Any:
    return look("canaries", [{"text": "What is MIRAGE?", "expect": "answered", "outcome": outcome, "at": at}])


BLOCKED = [*usual(), *chat(SINCE, NOW - timedelta(hours=2), asked=10, blocked=8)]
ADDED = controls(SINCE + timedelta(minutes=18), add=("mirage", "anchor"))
MENDED_AT = NOW - timedelta(hours=2)
REMOVED = controls(MENDED_AT, remove=("mirage", "anchor"))
LATER = MENDED_AT + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("trail", "asked", "rows", "verdict", "told"),
    [
        ([ADDED], canary("answered", LATER), [], "firing", "20 questions"),
        ([ADDED, REMOVED], None, [], "firing", "no canary was asked since"),
        ([ADDED, REMOVED], canary("answered", SINCE), [], "firing", "no canary was asked since"),
        ([ADDED, REMOVED], canary("blocked", LATER), [], "firing", "0 of 1 canary question since"),
        ([ADDED, REMOVED], canary("answered", LATER), [], "quiet", "That is over by the canaries: 1 of 1"),
        (
            [ADDED, controls(MENDED_AT, remove=("mirage",))], canary("answered", LATER), [], "firing",
            "still there of what was set since it began: phrase “anchor”",
        ),
        ([ADDED, REMOVED], None, chat(MENDED_AT, NOW, asked=15, blocked=0.5), "quiet", "1 of the 30 questions"),
        (
            [ADDED, REMOVED], canary("answered", LATER), chat(MENDED_AT, NOW, asked=15, blocked=6), "firing",
            "12 of the 30 questions in the periods since then were blocked",
        ),
        (
            [ADDED, REMOVED, controls(LATER, add=("loom",))], canary("answered", NOW), [], "firing",
            "20 questions",
        ),
    ],
)  # fmt: skip
def test_what_was_taken_back_blocks_no_more_and_only_that(trail, asked, rows, verdict, told) -> None:
    said, _ = of([*BLOCKED, *rows], trail=look("trail", trail), **({"canaries": asked} if asked else {}))
    assert said.verdict == verdict, said
    assert told in said.reasons[0].text
    assert (said.mended is not None) == (verdict == "quiet")


def test_after_the_mend_customers_are_judged_by_the_questions_since() -> None:
    seen = {
        "metrics": look("metrics", BLOCKED), "trail": look("trail", [ADDED, REMOVED]),
        "canaries": canary("answered", LATER),
    }  # fmt: skip
    for at in (NOW, MENDED_AT + timedelta(minutes=10)):
        said = detect(seen, SETTINGS, at)
        found = affected(seen, SETTINGS, at, said)
        assert found.since == SINCE
        assert found.severity.customers == "unknown"
        assert "blocked" not in found.severity.figures
    assert (
        affected(seen, SETTINGS, NOW, detect({"metrics": seen["metrics"]}, SETTINGS, NOW)).severity.customers
        == "hit"
    )


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        failed_look("metrics"),
        look("metrics", []),
        look("metrics", usual(), complete=False, stopped="Throttled."),
    ],
)
def test_what_was_not_seen_is_unknown(metrics: Any) -> None:
    seen = {} if metrics is None else {"metrics": metrics}
    found = detect(seen, SETTINGS, NOW, triggers=["guardrail"])
    assert found.of("guardrail").verdict == "unknown"


def answer(outcome: str, expect: str = "answered", **more: Any) -> Answer:
    return Answer(more.pop("text", "What is MIRAGE?"), expect, outcome, NOW, **more)


def test_a_canary_that_is_blocked_fires_for_certain_and_one_that_is_answered_reassures() -> None:
    verdict, _ = of(usual(), [answer("blocked", said="No.")])
    assert (verdict.verdict, verdict.confidence, verdict.since) == ("firing", "high", NOW)
    verdict, findings = of(usual(), [answer("answered", sources=("s3://b/phases-mirage.md",))])
    assert (verdict.verdict, verdict.confidence) == ("quiet", "high")
    assert findings == ()
    calm = detect({}, SETTINGS, NOW, answers=[answer("answered", sources=("x",))], triggers=["guardrail"])
    assert calm.of("guardrail").verdict == "unknown", "one canary does not stand for everybody's questions"


@pytest.mark.parametrize(
    ("given_", "kind"),
    [
        (answer("answered", "blocked", text="what is the password", sources=("x",)), "guardrail-open"),
        (answer("unclear", said="Sorry."), "canary-without-answer"),
        (
            answer("answered", sources=("s3://b/other.md",), wanted=("phases-mirage.md",)),
            "canary-other-source",
        ),
        (answer("not-asked", problem="AccessDenied."), "canary-not-asked"),
    ],
)
def test_what_canaries_find_beside_that(given_: Answer, kind: str) -> None:
    verdict, findings = of(usual(), [given_])
    assert verdict.verdict == "quiet"
    assert [one.kind for one in findings] == [kind]


def test_blocked_is_only_what_the_guardrails_are_set_to_say() -> None:
    assert judge("No.", [], ["No. "]) == "blocked"
    assert judge("Sorry, nothing found.", [], ["No."]) == "unclear"
    assert judge("No.", ["s3://b/a.md"], ["No."]) == "answered"
    assert judge("", [], [""]) == "unclear"


counts = st.tuples(st.integers(0, 300), st.integers(0, 300)).map(lambda pair: (max(pair), min(pair)))


@given(now=counts, before=counts, factor=st.floats(1.01, 20), least=st.integers(1, 30))
def test_more_blocked_is_never_less_of_a_leap(now, before, factor, least) -> None:
    (asked, blocked), (n, hits) = now, before
    order = {False: 0, None: 1, True: 1}
    said = [
        compare(asked, more, n, hits, factor=factor, at_least=least).leapt
        for more in range(blocked, min(asked, blocked + 40) + 1)
    ]
    ranks = [order[one] for one in said]
    assert ranks == sorted(ranks)


@given(now=counts, before=counts, least=st.integers(1, 30))
def test_more_blocked_before_is_never_more_of_a_leap(now, before, least) -> None:
    (asked, blocked), (n, hits) = now, before
    said = [
        compare(asked, blocked, n, more, factor=3.0, at_least=least).leapt is True
        for more in range(hits, min(n, hits + 40) + 1)
    ]
    assert said == sorted(said, reverse=True)


@given(extra=st.integers(0, 12), blocked=st.integers(0, 6))
@settings(max_examples=12)
def test_blocks_in_the_newest_hour_never_calm_the_rule(extra: int, blocked: int) -> None:
    """Of the same questions, more blocked: from quiet to firing, never back."""
    last = NOW - timedelta(hours=1)
    base = [*usual(), *chat(SINCE, last, asked=4, blocked=blocked / 3), *chat(last, NOW, asked=12)]
    order = {"quiet": 0, "unknown": 1, "firing": 2}
    fewer, more = (
        order[of([*base, *chat(last, NOW, asked=0, blocked=count)])[0].verdict]
        for count in (min(extra, blocked), extra)
    )
    assert fewer <= more or extra < blocked
