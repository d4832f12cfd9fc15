"""Taking a rollback back: exactly what was there before, nothing destroyed, nobody else's work touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.rollback_rig import Rig, events

from vmqlib.errors import BadInput, Interrupted, WorldChanged
from vmqlib.runbook import rollback
from vmqlib.runbook.communicate.brief import brief
from vmqlib.runbook.validation import half_applied


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
    """The bucket went bad, and is back; what it held while it was bad is ``rig.bad``."""
    rig.was = rig.spoiled()
    rig.bad = rig.holds()
    plan = rig.plan()
    rollback.apply(rig.incident, plan, digest=plan.digest)
    rig.tick()
    return rig


def carry_out(rig: Rig, plan: rollback.Plan) -> rollback.Applied:
    made = rollback.apply(rig.incident, plan, digest=plan.digest)
    rig.tick()
    return made


def test_the_exact_prior_state_and_nothing_destroyed(applied: Rig) -> None:
    there = applied.versions()
    first = rollback.planned(applied.incident)
    back = rollback.undo(applied.incident)
    assert applied.versions() == there, "planning changes nothing"
    assert first is not None
    assert (back.target.kind, back.head.of) == ("undo", first.digest)
    assert back.head.counts == {"COPY": 4, "DELETE": 1, "UNDELETE": 1}
    carry_out(applied, back)
    assert applied.holds() == applied.bad
    assert set(there) <= set(applied.versions())
    assert rollback.verify(applied.incident).ok
    state = rollback.status(applied.again(aws=None))
    assert (state.state, state.restored, state.command) == ("undone", False, "")
    (data,) = events(applied.incident, "undone")
    assert (data["digest"], data["by_plan"]) == (first.digest, back.digest)
    assert [action.undone for action in applied.incident.state.applied] == [True, False]
    assert applied.incident.verify().ok


def test_an_undo_is_undone(applied: Rig) -> None:
    for holds, restored in ((applied.bad, False), (applied.was, True), (applied.bad, False)):
        carry_out(applied, rollback.undo(applied.incident))
        assert applied.holds() == holds
        assert rollback.verify(applied.incident).ok
        assert rollback.status(applied.incident).restored is restored


def test_an_undo_that_nobody_approved_changes_nothing_of_what_comes_next(applied: Rig) -> None:
    before = rollback.status(applied.incident)
    rollback.undo(applied.incident)
    after = rollback.status(applied.incident)
    assert (after.state, after.command) == (before.state, before.command)
    plan = rollback.planned(applied.incident)
    assert plan is not None
    assert plan.target.kind != "undo"


def test_what_moved_on_is_left_alone(applied: Rig) -> None:
    applied.write({"doc-000.md": "theirs", "doc-001.md": None, "new.md": "theirs, too"})
    back = rollback.undo(applied.incident)
    held = {item.key: item for item in back.iter_items() if item.action == "BLOCKED"}
    assert set(held) == {"doc-000.md", "doc-001.md", "new.md"}
    assert {item.code for item in held.values()} == {"moved"}
    assert all(item.reason and item.remedy for item in held.values())
    carry_out(applied, back)
    expected = {**applied.bad, "doc-000.md": "theirs", "new.md": "theirs, too"}
    del expected["doc-001.md"]
    assert applied.holds() == expected
    assert rollback.verify(applied.incident).ok


def test_what_moved_on_after_the_undo_was_planned(applied: Rig) -> None:
    back = rollback.undo(applied.incident)
    applied.write({"doc-000.md": "theirs"})
    with pytest.raises(WorldChanged):
        carry_out(applied, back)
    assert applied.holds() == {**applied.bad, "doc-000.md": "theirs"}


def test_what_is_back_already_needs_nothing(applied: Rig) -> None:
    applied.write({"doc-000.md": "bad, alas 0", "lost.md": None})
    assert {item.key for item in rollback.undo(applied.incident).iter_items()} == {
        "doc-001.md",
        "doc-002.md",
        "doc-003.md",
        "new.md",
    }


@pytest.mark.slow
def test_only_what_was_done_is_undone(rig: Rig) -> None:
    rig.spoiled(30)
    bad, plan, stop = rig.holds(), rig.plan(), threading.Event()
    with pytest.raises(Interrupted):
        rollback.apply(
            rig.incident,
            plan,
            digest=plan.digest,
            rate=3,  # ten seconds' work: it is stopped long before
            stop=stop,
            progress=lambda now: stop.set() if now.decided else None,
        )
    rig.tick()
    status = rollback.status(rig.incident).applied
    assert status is not None
    back = rollback.undo(rig.incident)
    assert 0 < back.changes == status.restored < plan.changes
    carry_out(rig, back)
    assert rig.holds() == bad
    assert rollback.verify(rig.incident).ok


def test_a_killed_apply_is_undone_too(applied: Rig) -> None:
    """As a kill leaves it: requests were carried out, their outcomes never reached the disk, nor did the journal's."""
    log = next((applied.incident.dir / "rollback").glob("apply-*.jsonl"))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines if b'"outcome"' not in line))
    journal = applied.incident.journal.path
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    incident = applied.again()
    assert rollback.status(incident).state == "unfinished"
    back = rollback.undo(incident)
    assert back.changes == 6
    rollback.apply(incident, back, digest=back.digest)
    assert applied.holds() == applied.bad


def test_a_killed_apply_tells_what_its_log_knows(applied: Rig) -> None:
    """The journal has its beginning alone: neither "0 objects" nor a number that nobody knows."""
    log = next((applied.incident.dir / "rollback").glob("apply-*.jsonl"))
    lines = log.read_bytes().splitlines(keepends=True)
    outcomes = [line for line in lines if b'"outcome"' in line]
    log.write_bytes(b"".join(line for line in lines if line not in outcomes[2:]))
    journal = applied.incident.journal.path
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    incident = applied.again()
    now = rollback.status(incident).applied
    assert now is not None
    assert (now.ending, now.restored, now.unknown, now.left) == ("unfinished", 2, 4, 0)
    said = "Restored: 2 objects, 4 asked for, of which nobody knows whether it was done. It has not ended."
    check = half_applied(incident)
    assert said in check.finding
    resume, undo = f"vmq rollback resume {incident.id}", f"vmq rollback undo {incident.id}"
    assert check.mend == f"{resume}; or back: {undo}"
    assert brief(incident).waiting == (f"{said} On: {resume}; back: {undo}",), "told once"
    incident.applying("resync", "Start a sync job.", {"action": "sync"})
    other, again = brief(incident).waiting
    assert other.endswith("its end is not on record: Start a sync job.")
    assert again.startswith(said)
    log.write_bytes(b"spoiled\n")
    assert "how many objects is not known" in half_applied(applied.again()).finding


def test_nothing_to_undo(rig: Rig) -> None:
    with pytest.raises(BadInput, match="nothing to undo"):
        rollback.undo(rig.incident)
    rig.spoiled()
    rig.plan()
    with pytest.raises(BadInput, match="nothing to undo") as raised:
        rollback.undo(rig.incident)
    assert raised.value.hint


def test_an_undo_that_was_stopped_is_gone_on_with(applied: Rig) -> None:
    back, stop = rollback.undo(applied.incident), threading.Event()
    with pytest.raises(Interrupted):
        rollback.apply(
            applied.incident, back, digest=back.digest, rate=1, stop=stop, progress=lambda _: stop.set()
        )
    with pytest.raises(BadInput, match="is not done") as raised:
        rollback.undo(applied.incident)
    assert "resume" in raised.value.hint
    assert rollback.resume(applied.incident).ok
    assert applied.holds() == applied.bad
    assert rollback.status(applied.incident).state == "undone"


def test_suspended_versioning_holds_it_back(applied: Rig) -> None:
    applied.version("Suspended")
    back = rollback.undo(applied.incident)
    assert (back.changes, back.head.blocked) == (0, {"suspended": 6})


def test_what_was_there_is_gone_for_good(applied: Rig) -> None:
    versions = [version for key, version in applied.versions() if key == "doc-000.md"]
    current = applied.s3.head_object(Bucket=applied.bucket, Key="doc-000.md")["VersionId"]
    for version in versions:
        if version != current:
            applied.s3.delete_object(Bucket=applied.bucket, Key="doc-000.md", VersionId=version)
    back = rollback.undo(applied.incident)
    assert back.head.blocked == {"missing": 1}
    assert back.changes == 5
