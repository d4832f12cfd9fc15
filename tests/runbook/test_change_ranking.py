"""Suspects: nothing after the first bad sign is one, every point has its reason, and no guess is stated as fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.looks import DS, NOW, chat, document, job, look

from vmqlib.runbook.changes import Change, Sign, first_sign, rank
from vmqlib.runbook.changes.ranking import MOST_ACTOR, MOST_TIME, MOST_TOUCHED
from vmqlib.runbook.triggers import detect
from vmqlib.settings import Settings

BEGAN = NOW - timedelta(hours=2)
GOOD = BEGAN - timedelta(hours=10)
FAILING = frozenset(f"guides/{n}.md" for n in range(40))
SIGN = Sign(
    "sync-failed", BEGAN + timedelta(minutes=4), began_at=BEGAN, good_at=GOOD, data_source_id=DS,
    words="the first bad sync", documents=FAILING, errors=("InvalidEncoding: not UTF-8",),
)  # fmt: skip
DENIED = replace(
    SIGN, documents=frozenset(),
    errors=("User: arn:aws:sts::1:assumed-role/reader-role/x is not authorized to perform: s3:GetObject",),
)  # fmt: skip
BLOCKED = Sign("guardrail", BEGAN, within=timedelta(hours=1), words="the blocking", documents=frozenset())
STALE = Sign("no-sync", BEGAN, good_at=GOOD, data_source_id=DS, words="the limit", documents=frozenset())


def before(**span: float):
    return BEGAN - timedelta(**span)


def objects(at, *keys: str) -> Change:
    return Change(
        at,
        at,
        "objects",
        f"{len(keys)} objects",
        "objects",
        keys=frozenset(keys),
        areas=frozenset({"objects"}),
    )


def promotion(at, *keys: str) -> Change:
    return Change(
        at, at, "promotion", "promotion of 9c1f2ab4", "promotion", who="ci/promote",
        arn="arn:aws:sts::1:assumed-role/ci/promote",
        count=len(keys), keys=frozenset(keys), areas=frozenset({"objects"}), reference=" ".join(sorted(set(keys))),
    )  # fmt: skip


def call(
    at, event: str, *areas: str, target: str = DS, who: str = "lena", arn: str = "", outcome: str = ""
) -> Change:
    return Change(
        at, at, "aws-call", event, f"aws-call:{event}", who=who, arn=arn or f"arn:aws:iam::1:user/{who}",
        areas=frozenset(areas), target=target, where=target, outcome=outcome,
    )  # type: ignore[arg-type]  # fmt: skip


def sync(at, status: str) -> Change:
    return Change(at, at, "sync", status, "sync", outcome=status)


def first(changes, sign=SIGN) -> str:
    found = rank(changes, sign).first
    return found.change.name if found else ""


def parts(one) -> dict[str, int]:
    return {part.name: part.points for part in one.parts}


KEYS = st.lists(st.sampled_from([*sorted(FAILING)[:6], "x.md", "y.md", "acl.json"]), min_size=1, max_size=6)
CHANGES = st.one_of(
    st.builds(lambda m, keys: objects(BEGAN + timedelta(minutes=m), *keys), st.integers(-9000, 110), KEYS),
    st.builds(lambda m, keys: promotion(BEGAN + timedelta(minutes=m), *keys), st.integers(-9000, 110), KEYS),
    st.builds(
        lambda m, event, area, who, code: call(BEGAN + timedelta(minutes=m), event, area, who=who, outcome=code),
        st.integers(-9000, 110), st.sampled_from(["PutRolePolicy", "UpdateDataSource", "TagRole"]),
        st.sampled_from(["permissions", "connector", "schedule", "guardrails", "other"]),
        st.sampled_from(["lena", "marco"]), st.sampled_from(["", "", "AccessDenied"]),
    ),
    st.builds(lambda m: sync(BEGAN + timedelta(minutes=m), "FAILED"), st.integers(-9000, 110)),
)  # fmt: skip


@settings(max_examples=50)
@given(st.lists(CHANGES, max_size=8), st.sampled_from([SIGN, DENIED, BLOCKED, STALE]), st.randoms())
def test_a_ranking_holds_whatever_changed(changes, sign, chance) -> None:
    found = rank(changes, sign)
    shuffled = list(changes)
    chance.shuffle(shuffled)
    assert rank(shuffled, sign) == found, "the order in which changes come does not matter"
    assert sorted(one.change.order for one in found.suspects) == sorted(
        one.order for one in changes if one.kind not in ("sync", "alarm") and not one.outcome
    )
    late = [one.after for one in found.suspects]
    assert late == sorted(late), "nothing after the first bad sign stands above what came before it"
    for one in found.suspects:
        assert one.after == (one.change.at > sign.latest)
        assert one.points == max(0, sum(part.points for part in one.parts))
        for part in one.parts:
            assert part.text
            assert min(0, part.points) <= part.points <= part.most
        assert not (one.after and one.is_supported)
        assert one.why.endswith(".")
    early = [one for one in found.suspects if not one.after]
    places = [(not one.is_supported, -one.points) for one in early]
    assert places == sorted(places), "what has no more than its time against it stands below what has"
    assert found.first is None or found.first.is_supported


def test_the_promotion_that_wrote_the_failing_documents_comes_first_and_says_why() -> None:
    changes = [
        promotion(before(minutes=4), *sorted(FAILING)[:38], "other.md"),
        objects(before(minutes=1), "x.md"),
        call(before(minutes=2), "PutBucketTagging", "other"),
        sync(BEGAN, "INCOMPLETE"),
    ]
    found = rank(changes, SIGN)
    assert first(changes) == "promotion"
    assert found.first.why == (
        f"promotion of 9c1f2ab4 by ci/promote, {before(minutes=4):%Y-%m-%d %H:%M:%S} UTC: it came 4 min before the "
        "first bad sync began, and 38 of 40 failing documents are among what was written during it."
    )
    assert found.first.documents == 38
    assert [one.is_supported for one in found.suspects] == [True, False, False]
    assert "nothing but its time speaks for it" in found.suspects[1].why


def test_metadata_files_count_as_their_documents() -> None:
    (one,) = rank([objects(before(minutes=4), "meta/guides/1.md.metadata.json")], SIGN).suspects
    assert one.documents == 1


def test_a_time_alone_is_no_support() -> None:
    found = rank([call(before(minutes=1), "UpdateWebExperience", "other")], SIGN)
    assert found.first is None
    (one,) = found.suspects
    assert parts(one) == {"time": MOST_TIME, "touched": 0, "actor": MOST_ACTOR}
    assert "nothing but its time speaks for it" in one.why


def test_what_a_sync_has_taken_in_well_is_held_against_it() -> None:
    old = promotion(GOOD - timedelta(minutes=5), *FAILING)
    new = promotion(GOOD + timedelta(minutes=5), *sorted(FAILING)[:20])
    found = rank([old, new], SIGN)
    assert found.first.change == new
    assert parts(found.suspects[1])["since"] < 0
    assert "a sync that began after it SUCCEEDED" in found.suspects[1].why
    assert not found.suspects[1].is_supported


def test_whoever_does_the_same_every_day_is_routine_and_a_person_is_not() -> None:
    daily = [promotion(before(days=day, hours=1), "x.md") for day in range(1, 6)]
    last = promotion(before(hours=1), "x.md")
    by_person = replace(last, arn="arn:aws:iam::1:user/lena", who="lena")
    actor = {one.change: parts(one)["actor"] for one in rank([*daily, last, by_person], SIGN).suspects}
    assert actor[last] == 0
    assert actor[by_person] == MOST_ACTOR
    assert parts(rank([last], SIGN).suspects[0])["actor"] == MOST_ACTOR // 2, "an automation not seen before"
    assert parts(rank([objects(before(hours=1), "x.md")], SIGN).suspects[0])["actor"] == 0


def test_an_error_that_names_what_was_changed_is_the_strongest_sign() -> None:
    named = call(before(minutes=35), "PutRolePolicy", "permissions", target="reader-role")
    other = call(before(minutes=5), "PutRolePolicy", "permissions", target="another-role")
    found = rank([other, named], DENIED)
    assert found.first.change == named
    assert "the errors name what it changed (reader-role)" in found.first.why
    assert parts(found.suspects[1])["touched"] < MOST_TOUCHED
    (one,) = rank([named], SIGN).suspects
    assert parts(one)["touched"] == 0, "no error is of anybody being refused"


def test_each_trigger_looks_for_what_can_bring_it_about() -> None:
    guardrails = call(before(minutes=10), "UpdateChatControlsConfiguration", "guardrails")
    schedule = replace(call(before(minutes=20), "UpdateDataSource", "schedule"), kind="schedule")
    wrote = objects(before(minutes=1), "x.md")
    changes = [guardrails, schedule, wrote]
    assert first(changes, BLOCKED) == "aws-call:UpdateChatControlsConfiguration"
    assert first(changes, STALE) == "aws-call:UpdateDataSource"
    assert first(changes, SIGN) == ""
    elsewhere = replace(schedule, target="11111111-aaaa")
    assert first([elsewhere], STALE) == "", "another connector's schedule"


def test_within_the_hour_in_which_blocking_began_is_not_after_it() -> None:
    one = call(BEGAN + timedelta(minutes=25), "UpdateChatControlsConfiguration", "guardrails")
    (within,) = rank([one], BLOCKED).suspects
    assert not within.after
    assert "it came within the hour in which the blocking began" in within.why
    late = call(BEGAN + timedelta(minutes=61), "UpdateChatControlsConfiguration", "guardrails")
    assert rank([late], BLOCKED).suspects[0].after


def test_what_a_call_set_is_no_more_than_possible_where_cloudtrail_does_not_say() -> None:
    blank = replace(
        call(before(minutes=10), "UpdateDataSource", "connector", "schedule"), is_sure=False, target=""
    )
    (one,) = rank([blank], STALE).suspects
    assert parts(one)["touched"] == MOST_TOUCHED // 2
    assert "it may have changed the schedule" in one.why


def test_syncs_that_fail_for_a_day_have_one_sign_and_it_is_the_first_failure() -> None:
    start = NOW - timedelta(hours=30)
    found = seen(
        job("SUCCEEDED", start - timedelta(hours=2)),
        job("FAILED", start),
        job("FAILED", NOW - timedelta(hours=1)),
    )
    sign = sign_of(found, trigger="no-sync")
    assert sign is not None
    assert (sign.trigger, sign.began_at) == ("sync-failed", start)


def test_a_commit_alone_changes_nothing_in_aws() -> None:
    at = before(minutes=10)
    one = Change(at, at, "commit", "commit ab: x", "commit", who="Yara", areas=frozenset({"guardrails"}))
    (found,) = rank([one], BLOCKED).suspects
    assert parts(found)["touched"] == MOST_TOUCHED // 2
    assert "a commit alone changes nothing in AWS" in found.why


def test_what_came_later_says_what_it_touched_and_that_it_cannot_have_begun_it() -> None:
    (one,) = rank([objects(BEGAN + timedelta(hours=1), *sorted(FAILING)[:3])], SIGN).suspects
    assert one.after
    assert "so it cannot have begun it" in one.why
    assert one.documents == 3
    assert rank([one.change], SIGN).first is None


def test_without_a_bad_sign_nothing_is_suspected() -> None:
    assert rank([objects(before(minutes=1), "x.md")], None).suspects == ()


# -- the first bad sign


def seen(*jobs, documents=(), metrics=()):
    return {
        "sync-jobs": look("sync-jobs", jobs),
        "documents": look("documents", documents),
        "metrics": look("metrics", metrics),
    }


def sign_of(found, **more) -> Sign | None:
    known = Settings.load(ds_id=DS)
    return first_sign(detect(found, known, NOW), found, known, **more)


def test_the_sign_of_failing_syncs_is_the_first_bad_ones_end() -> None:
    found = seen(
        job("SUCCEEDED", GOOD),
        job("INCOMPLETE", BEGAN),
        documents=[document("a.md", "FAILED"), document("b.md")],
    )
    sign = sign_of(found)
    assert sign is not None
    assert (sign.trigger, sign.at, sign.began_at, sign.good_at) == (
        "sync-failed", BEGAN + timedelta(minutes=5), BEGAN, GOOD,
    )  # fmt: skip
    assert (sign.documents, sign.noun) == ({"a.md"}, "failing documents")


def test_documents_of_which_some_are_whole_again_are_not_called_failing() -> None:
    found = seen(
        job("SUCCEEDED", GOOD),
        job("INCOMPLETE", BEGAN),
        documents=[document("a.md", "FAILED"), document("b.md")],
    )
    failed = [
        {"data_source_id": DS, "document_id": f"s3://kb/{key}", "status": "FAILED", "at": BEGAN}
        for key in ("a.md", "b.md")
    ]
    sign = sign_of(found | {"document-report": look("document-report", failed)})
    assert sign is not None
    assert (sign.documents, sign.noun) == ({"a.md", "b.md"}, "documents that have failed since")


def test_after_a_recovery_it_is_still_the_outage_that_the_incident_was_opened_for() -> None:
    found = seen(job("SUCCEEDED", GOOD), job("FAILED", BEGAN), job("SUCCEEDED", NOW - timedelta(minutes=20)))
    assert sign_of(found) is None
    sign = sign_of(found, trigger="sync-failed", opened=NOW - timedelta(hours=1))
    assert sign is not None
    assert (sign.trigger, sign.began_at, sign.good_at) == ("sync-failed", BEGAN, GOOD)


def test_one_block_alone_does_not_say_when_blocking_began() -> None:
    start = NOW.replace(minute=0) - timedelta(hours=6)
    calm = chat(NOW - timedelta(days=14), start, asked=9)
    lone = chat(start, start + timedelta(hours=1), asked=9, blocked=1)
    quiet = chat(start + timedelta(hours=1), start + timedelta(hours=2), asked=9)
    many = chat(start + timedelta(hours=2), NOW, asked=9, blocked=8)
    sign = sign_of(seen(job("SUCCEEDED", GOOD), metrics=[*calm, *lone, *quiet, *many]))
    assert sign is not None
    assert sign.latest >= start + timedelta(hours=3)


def test_where_documents_were_not_seen_no_share_is_claimed() -> None:
    found = seen(job("SUCCEEDED", GOOD), job("INCOMPLETE", BEGAN))
    del found["documents"]
    sign = sign_of(found)
    assert sign is not None
    assert sign.documents is None
    (one,) = rank([objects(before(minutes=3), "a.md")], sign).suspects
    assert one.documents is None
    assert "was not seen" in one.why


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 11])
def test_where_nothing_was_changed_nothing_is_suspected(start_local_aws, point_at, seed) -> None:
    from vmqlib.aws import Aws
    from vmqlib.runbook.changes import NEEDED as CHANGES_NEEDED
    from vmqlib.runbook.changes import what_changed
    from vmqlib.runbook.triggers import NEEDED, live, sources_for
    from vmqlib.times import Window

    aws = start_local_aws("throttled", seed=seed)
    point_at(aws)
    aws.faults.clear()  # what cannot be seen is another test
    known = Settings.load()
    client = Aws(known)
    now = client.clock.now()
    names = [*sources_for(NEEDED, known), *CHANGES_NEEDED]
    found = live(client, known, Window(now - timedelta(days=21), now), names=names)
    sign = first_sign(detect(found, known, now), found, known)
    assert sign is not None
    ranking = rank(what_changed(found, known, now).changes, sign)
    assert ranking.suspects, "something always changes"
    assert ranking.first is None, ranking.first.why
