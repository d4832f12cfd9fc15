"""Where ETags do not tell (KMS, uploads in parts), the apply log does: what was restored is not restored once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rollback_rig import Rig

from vmqlib.runbook import rollback, touch

KEYS = ["a.md", "b.md", "c.md"]


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


class Encrypted(Rig):
    """A bucket that encrypts by KMS: equal content has another ETag each time."""

    def __init__(self, local: Any) -> None:
        super().__init__(local)
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
        self.s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={"Rules": [rule]},  # type: ignore[typeddict-item]
        )

    def write(self, objects: Any) -> None:
        for key, text in objects.items():
            if text is None:
                self.s3.delete_object(Bucket=self.bucket, Key=key)
            else:
                self.s3.put_object(
                    Bucket=self.bucket, Key=key, Body=text.encode(), ServerSideEncryption="aws:kms"
                )

    def carried_out(self, plan: rollback.Plan) -> None:
        rollback.apply(self.incident, plan, digest=plan.digest)
        self.tick()


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Encrypted:
    point_at(local)
    return Encrypted(local)


def test_a_second_plan_after_a_finished_one_is_empty(rig: Encrypted) -> None:
    was = rig.spoiled()
    rig.carried_out(rig.plan())
    assert rig.holds() == was
    copied = [
        rig.s3.head_object(Bucket=rig.bucket, Key="doc-000.md", VersionId=version_id)["ETag"]
        for key, version_id in rig.versions()
        if key == "doc-000.md"
    ]
    assert len(set(copied)) == 3, "ETags tell nothing here"
    versions = rig.versions()
    again = rig.plan()
    assert (again.changes, again.head.counts) == (0, {"SKIP": 5})
    assert {item.reason for item in again.iter_items()} == {"A copy of that very version, by the apply log."}
    assert rollback.status(rig.incident).command == ""
    assert rollback.verify(rig.incident, again).ok
    rig.write({"doc-001.md": "bad, again"})
    assert [item.key for item in rig.plan().iter_items() if item.action == "COPY"] == ["doc-001.md"]
    assert set(versions) < set(rig.versions())


@pytest.mark.slow
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.sampled_from(KEYS), st.sampled_from(["x", "y", None])),
            st.tuples(st.just("touch"), st.sampled_from(KEYS), st.none()),
            st.tuples(st.sampled_from(["back", "undo"]), st.none(), st.none()),
        ),
        max_size=6,
    )
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_done_since_a_plan_is_empty_after_it_was_applied(
    local: Any, point_at: Callable[[Any], None], steps: list[tuple[str, Any, Any]]
) -> None:
    point_at(local)
    rig = Encrypted(local)
    rig.write(dict.fromkeys(KEYS, "good"))
    rig.good = rig.tick()
    was = rig.holds()

    def back() -> None:
        plan = rig.plan()
        if plan.changes:
            rig.carried_out(plan)
        assert rig.holds() == was
        assert rig.plan().changes == 0, "nothing is left to do"

    for what, key, text in steps:
        if what == "write":
            rig.write({key: text})
        elif what == "touch":
            plan = touch.plan(rig.incident, [key])
            if plan.changes:
                rig.carried_out(plan)
        elif what == "undo" and rollback.status(rig.incident).restored:
            plan = rollback.undo(rig.incident)
            if plan.changes:
                rig.carried_out(plan)
        elif what == "back":
            back()
        rig.tick()
    back()
