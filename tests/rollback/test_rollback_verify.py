"""After a rollback: every difference is found, and told apart by whose it is."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.rollback_rig import Rig, events

from vmqlib.errors import BadInput, WorldChanged
from vmqlib.runbook import rollback
from vmqlib.runbook.rollback import Verification
from vmqlib.runbook.rollback.comparing import compare
from vmqlib.runbook.rollback.items import NOTHING, Action, Entry, Item
from vmqlib.runbook.rollback.objects import Outcome
from vmqlib.times import iso


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Any:
    point_at(local)
    yield Rig(local)
    local.faults.clear()


@pytest.fixture
def applied(rig: Rig) -> Rig:
    """The bucket went bad, and is back."""
    rig.spoiled()
    plan = rig.plan()
    rollback.apply(rig.incident, plan, digest=plan.digest)
    rig.tick()
    return rig


def found(seen: Verification) -> dict[str, tuple[str, str]]:
    rows = seen.differences
    return {row.key: (row.problem, row.found) for row in rows.itertuples()}


def test_before_it_is_applied_nothing_is(rig: Rig) -> None:
    rig.spoiled()
    rig.plan()
    seen = rollback.verify(rig.incident)
    assert not seen.ok
    assert (seen.checked, seen.matching, dict(seen.counts)) == (6, 0, {"not applied": 6})
    assert rollback.status(rig.incident).state == "planned"


def test_afterwards_all_is_as_planned(applied: Rig) -> None:
    there = applied.versions()
    seen = rollback.verify(applied.incident)
    assert seen.ok
    assert (seen.checked, seen.matching, seen.outside) == (6, 6, 0)
    assert seen.differences.empty
    assert list(seen.differences) == ["key", "problem", "planned", "found", "since", "detail"]
    assert applied.versions() == there
    state = rollback.status(applied.again(aws=None))
    assert (state.state, state.command) == ("verified", "")
    assert state.verification == seen


def test_the_file_has_it_all_and_the_journal_its_hash(applied: Rig) -> None:
    applied.write({"doc-001.md": "theirs"})
    seen = rollback.verify(applied.incident)
    assert seen.path is not None
    assert stat.S_IMODE(seen.path.stat().st_mode) == 0o600
    document = json.loads(seen.path.read_bytes())
    assert document["verification"]["ok"] is False
    assert [row[:2] for row in document["differences"]] == [["doc-001.md", "changed by somebody else"]]
    (data,) = events(applied.incident, "verified")
    assert (data["ok"], data["file"], data["differences"]) == (
        False,
        seen.path.name,
        {"changed by somebody else": 1},
    )
    assert applied.incident.verify().ok
    seen.path.write_bytes(seen.path.read_bytes().replace(b"theirs", b"others") + b" ")
    assert not applied.incident.verify().ok


def test_somebody_else_afterwards(applied: Rig) -> None:
    applied.write({"doc-001.md": "theirs", "doc-002.md": None, "new.md": "again"})
    seen = rollback.verify(applied.incident)
    assert dict(seen.counts) == {"changed by somebody else": 3}
    rows = {row.key: row for row in seen.differences.itertuples()}
    head = applied.s3.head_object(Bucket=applied.bucket, Key="doc-001.md")
    assert rows["doc-001.md"].found == head["VersionId"]
    assert rows["doc-001.md"].since == iso(head["LastModified"])
    assert rows["doc-002.md"].found.startswith("deleted (")
    assert rows["new.md"].planned == "gone"
    state = rollback.status(applied.incident)
    assert (state.state, state.command) == ("differs", f"vmq rollback plan {applied.incident.id}")


def test_the_same_content_from_somebody_else_is_no_difference(applied: Rig) -> None:
    applied.write({"doc-001.md": "good 1"})
    applied.s3.delete_object(Bucket=applied.bucket, Key="new.md")
    assert rollback.verify(applied.incident).ok


def test_somebody_else_in_between(rig: Rig) -> None:
    rig.spoiled()
    plan = rig.plan()
    rig.write({"doc-000.md": "theirs"})
    with pytest.raises(WorldChanged):
        rollback.apply(rig.incident, plan, digest=plan.digest)
    seen = rollback.verify(rig.incident)
    assert {key: problem for key, (problem, _) in found(seen).items()} == {
        "doc-000.md": "changed by somebody else"
    }
    (row,) = seen.differences.itertuples()
    assert "left alone" in row.detail


def test_a_version_that_was_destroyed_is_missing(applied: Rig) -> None:
    head = applied.s3.head_object(Bucket=applied.bucket, Key="doc-003.md")
    applied.s3.delete_object(Bucket=applied.bucket, Key="doc-003.md", VersionId=head["VersionId"])
    assert found(rollback.verify(applied.incident))["doc-003.md"][0] == "missing"
    for key, version in applied.versions():
        if key == "doc-002.md":
            applied.s3.delete_object(Bucket=applied.bucket, Key=key, VersionId=version)
    assert found(rollback.verify(applied.incident))["doc-002.md"] == ("missing", "nothing")


def test_keys_outside_the_plan_count_where_the_target_is_a_state(applied: Rig) -> None:
    applied.write({"kept.md": "changed", "quite-new.md": "x", "audit/x.json": "housekeeping"})
    seen = rollback.verify(applied.incident)
    assert set(found(seen)) == {"kept.md", "quite-new.md"}
    assert (seen.ok, seen.outside) == (False, 2)
    assert {each.key for each in seen.outside_first} == {"kept.md", "quite-new.md"}
    # Deleted again: as it was, whatever lies in between.
    applied.write({"quite-new.md": None, "kept.md": "kept"})
    assert rollback.verify(applied.incident).ok


def test_keys_outside_the_plan_are_only_told_where_the_target_is_not(rig: Rig) -> None:
    rig.spoiled()
    plan = rig.plan(to="previous", since="1h", prefix="doc-")
    rollback.apply(rig.incident, plan, digest=plan.digest)
    rig.tick()
    rig.write({"doc-999.md": "x", "elsewhere.md": "y"})
    seen = rollback.verify(rig.incident)
    assert (seen.ok, seen.outside) == (True, 1)
    assert "1 outside the plan" in seen.sentence


def test_what_was_held_back_is_told_and_no_difference(rig: Rig) -> None:
    rig.spoiled()
    fault = rig.local.faults.add(service="s3", path="doc-001.*versionId", status=403, code="AccessDenied")
    plan = rig.plan()
    rig.local.faults.remove(fault)
    assert plan.head.blocked == {"no-permission": 1}
    rollback.apply(rig.incident, plan, digest=plan.digest)
    seen = rollback.verify(rig.incident)
    assert (seen.ok, dict(seen.held), seen.held_first) == (True, {"no-permission": 1}, ("doc-001.md",))
    assert "1 held back" in seen.sentence


@pytest.mark.slow
def test_many_differences_are_all_in_the_file(rig: Rig) -> None:
    rig.spoiled(150)
    rig.plan(inspect=False)
    seen = rollback.verify(rig.incident)
    assert len(seen.first) == 100
    assert len(seen.differences) == 152
    read = rollback.status(rig.incident).plan
    assert read is not None
    assert set(seen.differences["key"]) == {item.key for item in read.iter_items()}


def test_keys_of_every_kind(rig: Rig) -> None:
    keys = ["a b+c%25#?.md", "\n\x1b[31mred\x07", "//lead/../", "é/😀", "z" * 1000, "\u202eevil"]
    rig.write(dict.fromkeys(keys, "good"))
    rig.good = rig.tick()
    before = rig.holds()
    rig.write(dict.fromkeys(keys, "bad"))
    plan = rig.plan()
    rollback.apply(rig.incident, plan, digest=plan.digest)
    assert rig.holds() == before
    assert rollback.verify(rig.incident).ok
    rig.write(dict.fromkeys(keys, "theirs"))
    assert set(found(rollback.verify(rig.incident))) == set(keys)


def test_nothing_planned_nothing_verified(rig: Rig) -> None:
    with pytest.raises(BadInput, match="Nothing was planned") as raised:
        rollback.verify(rig.incident)
    assert "vmq rollback plan" in raised.value.hint


NOW = "2026-11-23T10:00:00.000000Z"


def entry(name: str, etag: str = "", *, size: int = 1) -> Entry:
    return Entry(name, NOW, not etag, size if etag else 0, etag, "STANDARD" if etag else "")


GOOD, BAD, OURS, THEIRS = entry("v1", "good"), entry("v2", "bad"), entry("v3", "good"), entry("v4", "x")
DONE = Outcome("done", "v3", "good")


@pytest.mark.parametrize(
    ("action", "entries", "outcome", "problem"),
    [
        ("COPY", [OURS, BAD, GOOD], DONE, None),
        ("COPY", [THEIRS, OURS, BAD, GOOD], DONE, "changed by somebody else"),
        ("COPY", [OURS, THEIRS, BAD, GOOD], DONE, "changed in between"),
        ("COPY", [entry("v3", "y"), BAD, GOOD], DONE, "other content"),
        # KMS, multipart: another ETag than the source's, but the one that the copy returned.
        ("COPY", [entry("v3", "y"), BAD, GOOD], Outcome("done", "v3", "y"), None),
        ("COPY", [entry("v3", "y", size=2), BAD, GOOD], Outcome("done", "v3", "y"), "other content"),
        ("COPY", [BAD, GOOD], DONE, "missing"),
        ("COPY", [BAD, GOOD], None, "not applied"),
        ("COPY", [BAD, GOOD], Outcome("failed", problem="Refused."), "not applied"),
        ("COPY", [THEIRS, BAD, GOOD], Outcome("changed"), "changed by somebody else"),
        # A run was killed before it could say that it had done it.
        ("COPY", [OURS, BAD, GOOD], None, None),
        ("COPY", [], None, "missing"),
        ("DELETE", [entry("m1"), BAD], Outcome("done", "m1"), None),
        ("DELETE", [THEIRS, entry("m1"), BAD], Outcome("done", "m1"), "changed by somebody else"),
        ("DELETE", [BAD], None, "not applied"),
        ("DELETE", [], None, None),
        # What was found to be the same, by whatever the planner knew, is still that very version.
        ("SKIP", [BAD, GOOD], None, None),
        ("SKIP", [THEIRS, BAD, GOOD], None, "changed by somebody else"),
        ("SKIP", [OURS, GOOD], None, None),
    ],
)
def test_one_key(
    action: Action, entries: Sequence[Entry], outcome: Outcome | None, problem: str | None
) -> None:
    target = NOTHING if action == "DELETE" else GOOD
    seen = compare(Item("k", action, BAD, target), entries, outcome)
    assert (seen and seen.problem) == problem


def test_what_was_decided_of_the_targets_second_holds_for_the_look_afterwards(rig: Rig) -> None:
    rig.write({"doc.md": "good", "other.md": "good"})
    rig.tick()
    rig.write({"doc.md": "then"})
    rig.good = rig.s3.head_object(Bucket=rig.bucket, Key="doc.md")["LastModified"]
    rig.tick()
    rig.write({"other.md": "bad"})
    plan = rig.plan(ambiguous="include")
    assert [item.key for item in plan.iter_items()] == ["other.md"], "doc.md is as it was then"
    rollback.apply(rig.incident, plan, digest=plan.digest)
    assert rollback.verify(rig.incident).ok
