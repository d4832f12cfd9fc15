"""Touching objects: new versions of the same content, everything kept, nothing destroyed, others' work left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.rollback_rig import Rig

from vmqlib.errors import BadInput, Interrupted, WorldChanged
from vmqlib.runbook import rollback, touch
from vmqlib.runbook.nextsteps import facts, plan_next
from vmqlib.runbook.rollback.objects import Objects
from vmqlib.runbook.rollback.properties import TOUCHED
from vmqlib.s3 import S3
from vmqlib.times import iso


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Any:
    point_at(local)
    yield Rig(local)
    local.faults.clear()


def touched(rig: Rig, *keys: str) -> rollback.Applied:
    plan = touch.plan(rig.incident, keys)
    made = rollback.apply(rig.incident, plan, digest=plan.digest)
    rig.tick()
    return made


def look(rig: Rig, key: str) -> dict[str, Any]:
    """All that a reader can see of an object, but for what every new version has anew."""
    answer: dict[str, Any] = dict(rig.s3.get_object(Bucket=rig.bucket, Key=key))
    body = answer.pop("Body").read()
    tags = rig.s3.get_object_tagging(Bucket=rig.bucket, Key=key)["TagSet"]
    for name in ("ResponseMetadata", "VersionId", "LastModified"):
        answer.pop(name)
    return {**answer, "body": body, "tags": tags}


def test_everything_is_kept_and_one_mark_is_added(rig: Rig) -> None:
    rig.s3.put_object(
        Bucket=rig.bucket,
        Key="a b+c%/é.md",
        Body=b"# text",
        ContentType="text/markdown; charset=utf-8",
        ContentLanguage="en",
        ContentDisposition="inline",
        CacheControl="no-store",
        Metadata={"owner": "team-1", "page": "7"},
        Tagging="class=public&team=a%20b",
        StorageClass="STANDARD_IA",
        ServerSideEncryption="AES256",
    )
    rig.tick()
    before, there = look(rig, "a b+c%/é.md"), rig.versions()
    plan = touch.plan(rig.incident, ["a b+c%/é.md"])
    assert rig.versions() == there, "planning changes nothing"
    assert plan.head.counts == {"COPY": 1}
    assert plan.head.purpose == "touch"
    made = rollback.apply(rig.incident, plan, digest=plan.digest)
    assert made.ok
    assert made.sentence == "Touched: 1 object."
    after = look(rig, "a b+c%/é.md")
    mark = after["Metadata"].pop("vmq-touched")
    assert rig.incident.id in mark
    assert after == before
    assert set(there) < set(rig.versions())
    assert rollback.verify(rig.incident, purpose="touch").ok


def test_in_parts_everything_is_kept_too(rig: Rig) -> None:
    rig.s3.put_object(
        Bucket=rig.bucket,
        Key="big",
        Body=b"x" * 6_000_000,
        ContentType="text/plain",
        Metadata={"a": "b"},
        Tagging="t=1",
    )
    before = look(rig, "big")
    plan = touch.plan(rig.incident, ["big"])
    (item,) = plan.iter_items()
    with S3(rig.aws, rig.bucket) as s3:
        outcome = Objects(s3, multipart_above=5_000_000, part_size=5_242_880).apply(item)
    assert outcome.result == "done"
    after = look(rig, "big")
    assert after["Metadata"].pop("vmq-touched")
    for answer in (before, after):
        answer.pop("ETag")
        answer.pop("ChecksumType", None)  # an upload in parts has one always
    assert after == before


def test_it_is_journaled_as_a_step_of_the_resync_and_is_no_rollback(rig: Rig) -> None:
    rig.put(a="one")
    touched(rig, "a")
    kinds = [
        (event.step, event.kind, event.data.model_dump().get("action"))
        for event in rig.incident.journal.events()
        if event.step == "resync" and event.kind != "phase"
    ]
    assert kinds == [("resync", kind, "touch") for kind in ("concluded", "approved", "applying", "applied")]
    assert rollback.status(rig.incident).state == "none"
    assert rollback.status(rig.incident, "touch").state == "applied"
    assert rig.incident.state.phase == "resync"


def test_undo_puts_the_former_version_back_on_top(rig: Rig) -> None:
    rig.put(a="one")
    touched(rig, "a")
    back = rollback.undo(rig.incident, purpose="touch")
    assert rollback.apply(rig.incident, back, digest=back.digest).ok
    assert look(rig, "a")["Metadata"] == {}
    assert rollback.status(rig.again(aws=None), "touch").state == "undone"
    with pytest.raises(BadInput, match="nothing to undo"):
        rollback.undo(rig.incident)


def test_what_was_restored_and_then_touched_can_still_be_taken_back(rig: Rig) -> None:
    rig.spoiled()
    bad = rig.holds()
    plan = rig.plan()
    rollback.apply(rig.incident, plan, digest=plan.digest)
    rig.tick()
    touched(rig, "doc-000.md", "lost.md")
    assert rollback.verify(rig.incident).ok, "the touched version is the restored one"
    back = rollback.undo(rig.incident)
    assert not back.head.blocked
    rollback.apply(rig.incident, back, digest=back.digest)
    assert rig.holds() == bad


def test_what_somebody_changed_meanwhile_is_left_alone(rig: Rig) -> None:
    rig.put(a="one", b="two")
    plan = touch.plan(rig.incident, ["a", "b"])
    rig.tick()
    rig.put(a="theirs")
    with pytest.raises(WorldChanged, match="'a'"):
        rollback.apply(rig.incident, plan, digest=plan.digest)
    assert rig.holds() == {"a": "theirs", "b": "two"}
    assert "vmq-touched" not in look(rig, "a")["Metadata"]


def test_what_this_incident_itself_changed_meanwhile_is_said_to_be_its_own(rig: Rig) -> None:
    """A touch and its undo lie between a rollback's plan and its apply; somebody else changed another object."""
    rig.spoiled()
    plan = rig.plan()
    rig.tick()
    touched(rig, "doc-000.md", "doc-001.md")
    back = rollback.undo(rig.incident, purpose="touch")
    rollback.apply(rig.incident, back, digest=back.digest)
    rig.tick()
    rig.write({"doc-001.md": "theirs"})
    with pytest.raises(WorldChanged) as told:
        rollback.apply(rig.incident, plan, digest=plan.digest)
    assert (
        "1 object was changed by somebody else and 1 object was changed by this incident's own undo of "
        in told.value.message
    )
    made = rollback.status(rig.again()).applied
    assert made is not None
    assert (made.changed, made.own, made.others) == (2, 1, 1)
    assert "1 changed since by this incident itself" in made.sentence
    problems = {each.key: each.problem for each in made.problems}
    assert "by this incident itself (undo of " in problems["doc-000.md"]
    assert "overwritten by somebody else" in problems["doc-001.md"]
    assert "6 bytes" in problems["doc-001.md"]
    seen = rollback.verify(rig.incident)
    assert {each.key: each.problem for each in seen.first} == {
        "doc-000.md": "not applied",
        "doc-001.md": "changed by somebody else",
    }


def test_a_plan_that_a_touch_overtook_is_not_the_next_step(rig: Rig) -> None:
    rig.spoiled()
    plan = rig.plan()
    applies = f"vmq rollback apply {rig.incident.id} --digest {plan.digest[:12]}"
    rig.tick()
    touched(rig, "kept.md")  # the plan is not about it
    assert rollback.status(rig.incident).command == applies
    touched(rig, "doc-000.md", "doc-001.md")
    stale = rollback.status(rig.again(aws=None))
    again = f"vmq rollback plan {rig.incident.id} --to {iso(rig.good)}"
    assert (stale.state, stale.stale, stale.command) == ("stale", 2, again)
    steps = plan_next(facts(rig.incident))
    assert again in [step.command for step in steps]
    assert applies not in [step.command for step in steps]
    assert any("2 objects changed by this incident itself since" in step.why for step in steps)
    newer = rig.plan()
    assert rollback.status(rig.incident).command.endswith(f"--digest {newer.digest[:12]}")
    assert rollback.apply(rig.incident, newer, digest=newer.digest).ok


def test_where_nobody_else_changed_anything_nobody_is_to_be_asked(rig: Rig) -> None:
    rig.spoiled()
    plan = rig.plan()
    rig.tick()
    touched(rig, "doc-000.md")
    with pytest.raises(WorldChanged) as told:
        rollback.apply(rig.incident, plan, digest=plan.digest)
    assert "somebody else" not in told.value.message
    assert told.value.hint.startswith("`vmq rollback plan ")
    whys = " ".join(step.why for step in plan_next(facts(rig.incident)))
    assert "1 object changed by this incident itself after that plan was made" in whys
    assert "agree with them" not in whys


def test_the_same_content_written_again_is_a_change(rig: Rig) -> None:
    """ETags are equal; the version is another."""
    rig.put(a="one")
    plan = touch.plan(rig.incident, ["a"])
    rig.tick()
    rig.put(a="one")
    with pytest.raises(WorldChanged):
        rollback.apply(rig.incident, plan, digest=plan.digest)


def test_another_digest_is_no_approval(rig: Rig) -> None:
    rig.put(a="one")
    plan = touch.plan(rig.incident, ["a"])
    there = rig.versions()
    with pytest.raises(WorldChanged, match="Nothing was done"):
        rollback.apply(rig.incident, plan, digest="0" * 12)
    assert rig.versions() == there


def test_what_is_not_there_is_held_back(rig: Rig) -> None:
    rig.write({"a": "one", "gone": "x"})
    rig.write({"gone": None})
    plan = touch.plan(rig.incident, ["a", "gone", "never"])
    assert plan.head.counts == {"COPY": 1, "BLOCKED": 2}
    assert plan.head.blocked == {"deleted": 1, "missing": 1}


def test_where_versioning_is_suspended_nothing_is_touched(rig: Rig) -> None:
    rig.put(a="one")
    rig.version("Suspended")
    plan = touch.plan(rig.incident, ["a"])
    assert plan.head.blocked == {"suspended": 1}
    assert plan.changes == 0


def test_where_it_was_never_on_there_is_no_plan(local: Any, point_at: Any) -> None:
    point_at(local)
    bare = Rig(local, versioning="")
    bare.put(a="one")
    with pytest.raises(BadInput, match="never on"):
        touch.plan(bare.incident, ["a"])


def test_metadata_that_would_not_fit_is_held_back(rig: Rig) -> None:
    rig.s3.put_object(Bucket=rig.bucket, Key="a", Body=b"x", Metadata={"full": "y" * 2000})
    plan = touch.plan(rig.incident, ["a"])
    assert plan.head.blocked == {"metadata": 1}


def test_no_key_is_said(rig: Rig) -> None:
    with pytest.raises(BadInput, match="No key"):
        touch.plan(rig.incident, [])


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "CopyObject", "reset": True, "after": True, "times": 3},
        {"operation": "CopyObject", "code": "SlowDown", "status": 503, "times": 3},
        {"operation": "CopyObject", "code": "InternalError", "status": 500, "after": True, "times": 3},
    ],
    ids=["answers are lost", "throttled", "errors after the work"],
)
def test_each_object_is_touched_once_whatever_becomes_of_the_answers(rig: Rig, fault: dict[str, Any]) -> None:
    keys = [f"doc-{number}" for number in range(8)]
    rig.write(dict.fromkeys(keys, "text"))
    rig.tick()
    plan = touch.plan(rig.incident, keys)
    rig.local.faults.add(service="s3", **fault)
    made = rollback.apply(rig.incident, plan, digest=plan.digest)
    assert made.restored == len(keys)
    rig.local.faults.clear()
    assert len(rig.versions()) == 2 * len(keys)
    assert rollback.verify(rig.incident, purpose="touch").ok


def test_a_stopped_touch_goes_on(rig: Rig) -> None:
    keys = [f"doc-{number:02}" for number in range(40)]
    rig.write(dict.fromkeys(keys, "text"))
    rig.tick()
    plan = touch.plan(rig.incident, keys)
    stop = threading.Event()
    with pytest.raises(Interrupted, match=r"Stopped"):
        rollback.apply(
            rig.incident, plan, digest=plan.digest, workers=2, rate=4, stop=stop,  # ten seconds' work
            progress=lambda now: stop.set() if now.done else None,
        )  # fmt: skip
    assert rollback.status(rig.incident, "touch").command.endswith("--resume")
    assert len(rig.versions()) < 2 * len(keys)
    made = rollback.resume(rig.incident, purpose="touch")
    assert made.ok
    assert len(rig.versions()) == 2 * len(keys)


def test_a_touch_that_died_before_it_could_say_so_is_found_by_its_mark(rig: Rig) -> None:
    """The request was carried out, the process was gone: whoever resumes finds it, and tells it from others' copies."""
    rig.put(a="one")
    plan = touch.plan(rig.incident, ["a"])
    (item,) = plan.iter_items()
    assert item.properties is not None
    with S3(rig.aws, rig.bucket) as s3:
        objects = Objects(s3)
        assert objects.apply(item).result == "done"
        assert objects.apply(item, in_doubt=True).result == "found"
    assert item.properties[TOUCHED] == look(rig, "a")["Metadata"]["vmq-touched"]
    assert len(rig.versions()) == 2
