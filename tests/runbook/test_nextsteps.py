"""The next step follows from what was seen, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.runbook.nextsteps import Facts, Rollback, plan_next

AT = datetime(2026, 11, 23, 3, 11, tzinfo=UTC)
KNOWN = Facts(
    incident_id="INC-20261123-001",
    data_source_id="f7c1bd87-4da5-4709-9471-3d60c8a70639",
    bucket="b",
    last_status="INCOMPLETE",
    last_good_at=AT,
    failing=99,
    changed=128,
    failing_and_changed=97,
    alarms=("QBusinessSyncFailed",),
)


def steps(known: Facts) -> list[str]:
    return [step.step for step in plan_next(known)]


def commands(known: Facts) -> list[str]:
    return [step.command for step in plan_next(known)]


def test_a_failed_sync_goes_through_the_runbook_in_its_order() -> None:
    assert [step[0] for step in steps(KNOWN)] == ["2", "3", "4", "5"]
    restore = plan_next(KNOWN)[1]
    assert "97 of the 99 failing documents" in restore.why
    assert restore.command == "vmq rollback plan INC-20261123-001"


def rolled(state: str, **more: object) -> Facts:
    command = {
        "planned": "apply ID --digest 0f", "applied": "verify ID", "verified": "", "undone": "", "none": "",
        "changed": "plan ID", "differs": "plan ID",
    }.get(state, "resume ID")  # fmt: skip
    made = {"changes": 5, "restored": state not in ("none", "planned", "undone"), **more}
    return replace(
        KNOWN, rollback=Rollback(state=state, command=command and f"vmq rollback {command}", **made)
    )


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("none", "plan"),
        ("planned", "apply"),
        ("interrupted", "resume"),
        ("unfinished", "resume"),
        ("failed", "resume"),
        ("changed", "plan"),
        ("applied", "verify"),
        ("differs", "plan"),
    ],
)
def test_the_rollback_goes_on_from_where_it_is(state: str, verb: str) -> None:
    (found,) = [step for step in plan_next(rolled(state)) if step.step.startswith("3")]
    assert found.command.startswith(f"vmq rollback {verb}")
    assert found.why.strip(" .")


def test_a_plan_that_changes_nothing_asks_for_nothing() -> None:
    assert "3 Rollback via S3 versioning" not in steps(rolled("planned", changes=0))


def test_after_the_rollback_comes_the_resync() -> None:
    assert "3 Rollback via S3 versioning" not in steps(rolled("verified"))
    (resync,) = [step for step in plan_next(rolled("verified")) if step.step == "4 Force resync"]
    assert "restored" in resync.why


def test_a_rollback_that_did_not_help_can_be_taken_back() -> None:
    (undo,) = [step for step in plan_next(rolled("verified", synced=True)) if step.step.startswith("3")]
    assert undo.command == "vmq rollback undo INC-20261123-001"
    assert "3 Rollback via S3 versioning" not in steps(rolled("undone", synced=True))


def test_after_recovery_comes_the_close() -> None:
    recovered = replace(
        KNOWN, last_status="SUCCEEDED", recovered=True, rollback=Rollback("verified"), failing=0
    )
    found = plan_next(replace(recovered, proof_state="proved"))
    assert [step.step[0] for step in found] == ["5", "6", "6", "6"]
    assert "QBusinessSyncFailed" in found[1].why
    assert found[1].command == "vmq alarms wait --incident INC-20261123-001"
    assert found[2].command == "vmq validate INC-20261123-001"
    assert found[-1].command.startswith("vmq close INC-20261123-001")


def test_a_sync_that_ended_is_to_be_proved() -> None:
    synced = rolled("verified", synced=True)
    assert "vmq sync verify --incident INC-20261123-001" in commands(synced)
    assert not any("sync verify" in each for each in commands(replace(synced, proof_state="proved")))
    assert not any("sync verify" in each for each in commands(rolled("verified"))), "no sync has ended since"
    assert "vmq sync verify --incident INC-20261123-001" in commands(replace(synced, proof_state="unknown"))


def test_what_the_connector_does_not_read_again_is_to_be_touched() -> None:
    left = replace(rolled("verified", synced=True), proof_state="failed", proof_failed=2, proof_stuck=2)
    (touch,) = [step for step in plan_next(left) if "sync touch" in step.command]
    assert touch.command == "vmq sync touch INC-20261123-001 --failed"
    assert "2 documents" in touch.why


def test_a_closed_incident_asks_for_the_retro_and_for_telling_people() -> None:
    told = replace(KNOWN, closed=True, told_resolved=True)
    assert set(steps(told)) == {"Post-incident review"}
    assert "vmq retro INC-20261123-001" in commands(told)
    untold = commands(replace(told, told_resolved=False))
    assert set(untold) - set(commands(told)) == {"vmq update INC-20261123-001 --resolved"}


OVER = replace(KNOWN, alarms=(), failing=0, over=True, validated="passed", validated_at=AT)


def test_what_passed_its_validation_is_to_be_closed_whatever_is_missing() -> None:
    for known in (OVER, replace(OVER, missing=("Questions",)), replace(OVER, about=("guardrail",))):
        found = plan_next(replace(known, proof_state="proved"))
        assert found[0].command.startswith("vmq close INC-20261123-001")
        assert not any("vmq validate" in each or "render" in each for each in commands(known))


def test_where_nothing_fires_it_is_looked_whether_it_is_over() -> None:
    calm = replace(KNOWN, alarms=(), failing=0, last_status="SUCCEEDED", changed=0)
    assert commands(calm)[-1] == "vmq validate INC-20261123-001"
    assert "vmq validate INC-20261123-001" not in commands(replace(calm, about=("no-sync",)))


def test_a_change_that_took_phrases_away_is_asked_about_and_not_suspected() -> None:
    known = replace(
        KNOWN, about=("guardrail",), guardrail_at=AT, guardrail_who="dana", guardrail_what="phrase “x” removed",
        app_id="a",
    )  # fmt: skip
    assert any("get-chat-controls" in each for each in commands(known))
    loosened = replace(known, guardrail_loosened=True)
    assert not any("get-chat-controls" in each for each in commands(loosened))
    assert "vmq validate INC-20261123-001" in commands(loosened)


def test_what_is_missing_is_named_first() -> None:
    first = plan_next(replace(KNOWN, missing=("Sync history", "Alarms")))[0]
    assert "Sync history, Alarms" in first.why
    assert first.command == "vmq render INC-20261123-001 --refresh"


@given(
    last_status=st.sampled_from([None, "SUCCEEDED", "INCOMPLETE", "FAILED", "ABORTED", "SYNCING"]),
    failing=st.none() | st.integers(0, 5),
    changed=st.none() | st.integers(0, 5),
    good=st.sampled_from([None, AT]),
    state=st.sampled_from(["none", "verified", "undone"]),
    recovered=st.booleans(),
)
def test_a_rollback_is_never_proposed_without_a_good_state_and_a_change(
    last_status: str | None,
    failing: int | None,
    changed: int | None,
    good: datetime | None,
    state: str,
    recovered: bool,
) -> None:
    known = replace(
        KNOWN,
        last_status=last_status,
        failing=failing,
        changed=changed,
        last_good_at=good,
        rollback=Rollback(state),
        recovered=recovered,
    )
    found = steps(known)
    assert found, "there is always something to do until it is closed"
    if "3 Rollback via S3 versioning" in found:
        assert good
        assert changed
        assert state == "none"
        assert not recovered
        assert last_status != "SUCCEEDED"


def test_a_hostile_id_cannot_become_a_command() -> None:
    for step in plan_next(replace(KNOWN, data_source_id="x; rm -rf /")):
        assert "; rm" not in step.command.replace("'x; rm -rf /'", "")
