"""What changed, merged from all sources: bursts part the writes, and what was not seen is named."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.looks import DS, NOW, failed_look, job, look, version

from vmqlib.runbook.changes import COLUMNS, KINDS, NEEDED, Own, what_changed
from vmqlib.runbook.changes.bursts import GAP
from vmqlib.runbook.changes.calls import touched
from vmqlib.settings import Settings

CI = "arn:aws:sts::123456789012:assumed-role/vaultmesh-ci/promote"
PERSON = "arn:aws:iam::123456789012:user/marco.silva"


def ago(**span: float):
    return NOW - timedelta(**span)


def promotion(at, *, took: int = 20, sha: str = "9c1f2ab4" * 5) -> dict[str, Any]:
    return {
        "at": at, "ci_sha": sha, "performed_by": CI, "source_prefix": "_staging/",
        "key": f"audit/promotions/promotion-{at:%Y%m%dT%H%M%SZ}.json", "written_at": at + timedelta(seconds=took),
    }  # fmt: skip


def call(
    event: str, at, service: str = "qbusiness", error: str = "", resource: str = DS, **parameters
) -> dict[str, Any]:
    return {
        "at": at, "event": event, "service": service, "user": "marco.silva", "user_arn": PERSON, "resource": resource,
        "parameters": json.dumps(parameters) if parameters else "", "error_code": error,
        "event_id": f"{event}-{at:%d%H%M}",
    }  # fmt: skip


def versions(*writes: tuple[str, Any], deleted: tuple[str, ...] = ()):
    """Versions as S3 lists them: of each key the newest first."""
    rows = []
    for key in sorted({key for key, _ in writes}):
        times = sorted((at for name, at in writes if name == key), reverse=True)
        for order, at in enumerate(times):
            gone = order == 0 and key in deleted
            rows.append(version(key, at, "" if gone else f"{key}{at}", order, is_delete_marker=gone))
    return look("versions", rows)


def commit(at, area: str = "guardrails", *paths: str) -> dict[str, Any]:
    listed = list(paths or ("02-qbusiness/guardrails/topic-controls.yaml",))
    return {
        "at": at, "sha": "ab" * 20, "author": "Yara Benali", "subject": "Tighten", "paths": json.dumps(listed),
        "area": area, "path_count": len(listed),
    }  # fmt: skip


def everything() -> dict[str, Any]:
    began = ago(hours=3)
    wrote = [(f"guides/{n}.md", began + timedelta(seconds=n)) for n in range(9)]
    return {
        "versions": versions(
            *wrote, ("guides/1.md", ago(days=9)), ("a.md", ago(hours=1)), ("b.md", ago(hours=1)), deleted=("b.md",)
        ),
        "promotions": look("promotions", [promotion(began)]),
        "trail": look(
            "trail",
            [
                call("UpdateDataSource", ago(hours=5), syncSchedule="", dataSourceId=DS),
                call("PutRolePolicy", ago(hours=4), "iam", error="AccessDenied", resource="some-role"),
            ],
        ),
        "commits": look("commits", [commit(ago(hours=6))]),
        "sync-jobs": look("sync-jobs", [job("SUCCEEDED", ago(hours=8)), job("SYNCING", ago(minutes=2))]),
        "alarm-history": look(
            "alarm-history",
            [
                {"name": "A", "at": ago(hours=9), "old_state": "OK", "new_state": "ALARM", "reason": "x"},
                {"name": "A", "at": ago(hours=7), "old_state": "ALARM", "new_state": "OK", "reason": "x"},
                {"name": "B", "at": ago(hours=2), "old_state": "OK", "new_state": "ALARM", "reason": "x"},
            ],
        ),
    }  # fmt: skip


def told(seen=None, **more):
    return what_changed(everything() if seen is None else seen, Settings.load(ds_id=DS), NOW, **more)


def test_what_still_goes_on_reaches_to_the_look_that_saw_it() -> None:
    seen, at = everything(), ago(hours=1)
    found = told(seen | {name: replace(seen[name], at=at) for name in ("alarm-history", "sync-jobs")})
    standing = next(one for one in found.changes if one.where == "B")
    assert standing.until == at
    assert standing.what.startswith("B in ALARM, and still was at ")


def test_every_kind_stands_on_one_axis_with_its_evidence() -> None:
    found = told()
    assert [(one.kind, one.what) for one in found.changes] == [
        ("objects", "1 object added"),
        ("alarm", "A in ALARM"),
        ("sync", "sync SUCCEEDED"),
        ("commit", "commit abababab: Tighten"),
        ("schedule", "UpdateDataSource: schedule emptied"),
        ("aws-call", "PutRolePolicy"),
        ("promotion", "promotion of 9c1f2ab4; during it: 1 object rewritten, 8 added"),
        ("alarm", "B in ALARM, and still is"),
        ("objects", "1 object added, 1 deleted"),
        ("sync", "sync SYNCING"),
    ]
    assert found.unseen == ()
    frame = found.frame
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        name: one.dtype for name, one in COLUMNS.items()
    }
    assert set(frame["kind"]) <= set(KINDS)
    assert frame["at"].is_monotonic_increasing
    by_kind = {one.kind: one for one in found.changes}
    assert by_kind["promotion"].who == "vaultmesh-ci/promote"
    assert by_kind["alarm"].until == NOW
    assert by_kind["sync"].until == NOW, "one that runs reaches to now"
    assert by_kind["aws-call"].refused
    assert not by_kind["aws-call"].is_cause, "what was refused changed nothing"


def test_the_order_of_rows_does_not_matter() -> None:
    seen = everything()
    chance = random.Random(7)
    for name in ("versions", "sync-jobs", "alarm-history", "trail", "promotions"):
        shuffled = seen[name].frame.sample(frac=1, random_state=chance.randrange(99))
        seen[name] = look(name, [], frame=shuffled.reset_index(drop=True))
    assert told(seen).changes == told().changes


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a/1.md", "a/2.md", "b/3.md", "top.md"]), st.integers(0, 6000)),
        unique_by=lambda one: one, min_size=1, max_size=25,
    ),
    st.lists(st.integers(0, 6000), max_size=3),
)  # fmt: skip
def test_bursts_part_the_writes_by_gaps_and_syncs(writes, syncs) -> None:
    begin = ago(days=2)
    moments = sorted({(key, begin + timedelta(seconds=second)) for key, second in writes})
    starts = [begin + timedelta(seconds=second) for second in syncs]
    seen = {
        "versions": versions(*moments),
        "sync-jobs": look("sync-jobs", [job("SUCCEEDED", at) for at in starts]),
    }
    found = [one for one in told(seen).changes if one.kind == "objects"]
    held = [[(key, at) for key, at in moments if one.at <= at <= one.until] for one in found]
    assert sorted(pair for part in held for pair in part) == moments, "each write is in exactly one burst"
    for one, part in zip(found, held, strict=True):
        assert {key for key, _ in part} == one.keys
        times = sorted(at for _, at in part)
        assert all(later - earlier <= GAP for earlier, later in itertools.pairwise(times))
        assert not [at for at in starts if one.at <= at < one.until], "a sync's start cuts it"
    for before, after in itertools.pairwise(found):
        cut = any(before.until <= at < after.at for at in starts)
        assert cut or after.at - before.until > GAP


def test_during_two_promotions_at_once_nobody_can_say_which_it_was() -> None:
    at = ago(hours=2)
    both = [promotion(at, took=60), promotion(at + timedelta(seconds=5), took=60, sha="11" * 20)]
    seen = {
        "versions": versions(("a.md", at + timedelta(seconds=30))),
        "promotions": look("promotions", both),
    }
    found = {one.kind: one for one in told(seen).changes}
    assert found["objects"].keys == {"a.md"}
    assert found["objects"].who == ""
    assert found["promotion"].keys == frozenset()


def test_what_the_kit_wrote_itself_is_said() -> None:
    at = ago(minutes=30)
    own = Own(at, at + timedelta(minutes=2), "rollback", "dana")
    seen = {"versions": versions(("a.md", at + timedelta(seconds=9)), ("b.md", at + timedelta(minutes=3)))}
    ours, other = told(seen, own=(own,)).changes
    assert ours.who == "dana"
    assert ours.what == "while this incident's rollback was applied: 1 object added"
    assert other.who == ""
    assert (ours.is_cause, other.is_cause) == (False, True)


def test_versions_that_are_known_are_its_own_whatever_the_clocks_say() -> None:
    at = ago(minutes=30)
    seen = {
        "versions": versions(
            ("ours.md", at + timedelta(minutes=10)),  # S3's clock is ahead
            ("theirs.md", at + timedelta(seconds=9)),  # meanwhile, and by somebody else
        )
    }
    frame = seen["versions"].frame
    made = frozenset(frame.loc[frame["key"].eq("ours.md"), "version_id"])
    own = Own(
        at,
        at + timedelta(minutes=2),
        "rollback",
        "dana",
        summary="Put back: 1",
        seq=9,
        versions=made,
        exact=True,
    )
    theirs, ours = told(seen, own=(own,)).changes
    assert (ours.keys, ours.ours, ours.who) == ({"ours.md"}, True, "dana")
    assert ours.what == "by this incident's rollback: 1 object added"
    assert (theirs.keys, theirs.ours, theirs.who, theirs.is_cause) == ({"theirs.md"}, False, "", True)
    # Not all that it made is known: what was written while it was at it may be its own, too.
    unsure = replace(own, exact=False)
    assert [one.ours for one in told(seen, own=(unsure,)).changes] == [True, True]


def test_what_the_kit_changed_is_told_as_its_own_and_suspected_of_nothing() -> None:
    at, seen = ago(minutes=30), everything()
    end = at + timedelta(seconds=1)
    jobs = seen["sync-jobs"].frame
    running = jobs.loc[jobs["status"].eq("SYNCING"), "execution_id"].item()
    own = (
        Own(at, end, "stabilize", "dana", "schedule", "The schedule of s3 is off", DS, 7),
        Own(at, end, "rollback", "dana", "objects", "Restored: 2 objects", "", 9),
        Own(at, end, "resync", "dana", "sync", "Started", running, 11),
        Own(NOW, NOW + timedelta(minutes=5), "stabilize", "dana", "schedule", "It is back", DS, 13),
    )
    found = told(seen, own=own)
    ours = [(one.kind, one.what, one.who, one.source) for one in found.changes if one.ours]
    assert ours == [
        ("objects", "this incident: Restored: 2 objects", "dana", "journal"),
        ("schedule", "this incident: The schedule of s3 is off", "dana", "journal"),
        ("sync", "sync SYNCING; started by this incident", "dana", "sync-jobs"),
        ("schedule", "this incident: It is back", "dana", "journal"),
    ]
    assert found.until == NOW + timedelta(minutes=5), "also what was done since the last look"
    assert not any(one.ours for one in found.causes)


def test_a_call_that_the_trail_has_is_told_once() -> None:
    at, seen = ago(minutes=30), everything()
    seen["trail"] = look(
        "trail", [call("UpdateDataSource", at, syncSchedule="", dataSourceId=DS, resource=DS)]
    )
    own = Own(
        at, at + timedelta(seconds=1), "stabilize", "dana", "schedule", "The schedule of s3 is off", DS, 7
    )
    (one,) = [one for one in told(seen, own=[own]).changes if one.kind == "schedule"]
    assert (one.ours, one.source, one.is_cause) == (True, "trail", False)
    (other,) = [one for one in told(seen).changes if one.kind == "schedule"]
    assert other.is_cause


@pytest.mark.parametrize("gone", NEEDED)
def test_what_was_not_seen_is_named_with_what_to_do(gone) -> None:
    found = told(everything() | {gone: failed_look(gone)})
    (one,) = found.unseen
    assert (one.what, one.why, one.hint, one.whole) == (NEEDED[gone], "AccessDenied.", "Grant it.", True)
    found = told({name: seen for name, seen in everything().items() if name != gone})
    assert [(one.what, one.why) for one in found.unseen] == [(NEEDED[gone], f"nobody has looked at {gone}")]


def test_a_look_that_stopped_early_is_named_and_what_it_saw_is_there() -> None:
    seen = everything()
    seen["trail"] = look(
        "trail", [], frame=seen["trail"].frame, complete=False, stopped="us-east-1: AccessDenied"
    )
    found = told(seen)
    (one,) = found.unseen
    assert not one.whole
    assert one.why == "us-east-1: AccessDenied"
    assert any(each.kind == "schedule" for each in found.changes)


def test_without_cloudtrail_the_data_source_still_says_when_it_was_last_changed() -> None:
    row = {"kind": "data-source", "id": DS, "name": "docs", "updated_at": ago(hours=5)}
    seen = everything() | {"trail": failed_look("trail"), "resources": look("resources", [row])}
    (one,) = [each for each in told(seen).changes if each.source == "resources"]
    assert one.at == ago(hours=5)
    assert one.who == ""
    assert "not seen" in one.what


def test_a_promotion_whose_objects_were_not_seen_says_so() -> None:
    seen = everything() | {"versions": failed_look("versions")}
    (one,) = [each for each in told(seen).changes if each.kind == "promotion"]
    assert one.count is None
    assert "was not seen" in one.what


@pytest.mark.parametrize(
    ("event", "service", "parameters", "areas"),
    [
        ("UpdateChatControlsConfiguration", "qbusiness", {}, {"guardrails"}),
        ("UpdateDataSource", "qbusiness", {"syncSchedule": ""}, {"schedule"}),
        ("UpdateDataSource", "qbusiness", {"configuration": {}}, {"connector"}),
        ("UpdateDataSource", "qbusiness", {}, {"connector", "schedule"}),
        ("UpdateDataSource", "qbusiness", {"displayName": "x", "dataSourceId": "y"}, {"other"}),
        ("DeleteDataSource", "qbusiness", {"dataSourceId": "y"}, {"connector", "schedule"}),
        ("UpdateWebExperience", "qbusiness", {"welcomeMessage": "x"}, {"other"}),
        ("UpdateIndex", "qbusiness", {}, {"application"}),
        ("PutRolePolicy", "iam", {}, {"permissions"}),
        ("DetachRolePolicy", "iam", {}, {"permissions"}),
        ("UpdateAssumeRolePolicy", "iam", {}, {"permissions"}),
        ("DeleteRole", "iam", {}, {"permissions"}),
        ("TagRole", "iam", {}, {"other"}),
        ("UpdateRoleDescription", "iam", {}, {"other"}),
        ("PutBucketPolicy", "s3", {}, {"permissions"}),
        ("PutBucketEncryption", "s3", {}, {"permissions"}),
        ("DeleteBucketEncryption", "s3", {}, {"permissions"}),
        ("PutBucketTagging", "s3", {}, {"other"}),
        ("DisableKey", "kms", {}, {"permissions"}),
        ("PutKeyPolicy", "kms", {}, {"permissions"}),
        ("EnableKeyRotation", "kms", {}, {"other"}),
    ],
)
def test_a_call_touches_what_its_name_and_parameters_say(event, service, parameters, areas) -> None:
    assert touched(event, service, parameters) == areas
