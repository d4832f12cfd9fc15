"""The proof on the local AWS: what a sync took over, what it did not, what cannot be told; and the touch that mends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.proof_rig import GOOD, SyncRig

from vmqlib.aws import Aws
from vmqlib.errors import BadInput
from vmqlib.record.incident import Incident
from vmqlib.runbook import proof, rollback, touch
from vmqlib.runbook.nextsteps import next_steps
from vmqlib.settings import Settings
from vmqlib.simulator.qbusiness import qbusiness_backends

BAD = b"caf\xe9"  # not UTF-8: the connector cannot index it


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Any:
    point_at(local)
    yield SyncRig(local)
    local.faults.clear()


def spoiled(rig: SyncRig) -> Any:
    """Good documents were synced; then two were broken, one deleted, one added; a sync failed on them."""
    rig.write({f"doc-{number}.md": f"{GOOD} {number}" for number in range(6)})
    rig.sync()
    good = rig.tick()
    rig.write({"doc-0.md": BAD, "doc-1.md": BAD, "doc-2.md": None, "new.md": GOOD})
    rig.sync()
    return good


def verdicts(found: proof.Proof) -> dict[str, str]:
    return dict(zip(found.keys["key"], found.keys["verdict"], strict=True))


def outcomes(found: proof.Proof) -> dict[str, str]:
    return {one.name: one.outcome for one in found.checks}


def test_rollback_sync_proof(rig: SyncRig) -> None:
    good = spoiled(rig)
    rig.restore(good)
    early = proof.prove(rig.incident)
    assert early.ok is False
    assert verdicts(early)["doc-0.md"] == "not synced"
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.ok is True, found.sentence
    assert verdicts(found) == {
        "doc-0.md": "indexed",
        "doc-1.md": "indexed",
        "doc-2.md": "indexed",
        "new.md": "gone",
    }
    assert set(found.keys["want"]) == {"restored", "deleted"}
    assert outcomes(found)["Index and bucket agree"] == "pass"
    assert list(found.keys.columns) == list(proof.COLUMNS)
    assert {name: str(dtype) for name, dtype in found.keys.dtypes.items()} == {
        name: dtype for name, (dtype, _) in proof.COLUMNS.items()
    }


def test_it_is_kept_and_read_again_offline(rig: SyncRig) -> None:
    good = spoiled(rig)
    assert proof.newest(rig.incident) is None
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    again = proof.newest(rig.again(aws=None))
    assert again is not None
    assert again.as_dict() == found.as_dict()
    assert again.keys.equals(found.keys)
    (event,) = [
        one for one in rig.incident.journal.events() if one.kind == "verified" and one.step == "resync"
    ]
    assert event.data.model_dump()["ok"] is True
    assert {one.name for one in event.evidence} >= {"sync-proof", "document-report", "documents"}
    assert rig.incident.verify().ok
    rig.write({"doc-5.md": f"{GOOD} new"})
    plan = touch.plan(rig.incident, ["doc-5.md"])
    rollback.apply(rig.incident, plan, digest=plan.digest)
    later = proof.newest(rig.incident)
    assert later is not None
    assert "Touched" in later.stale


def test_a_document_that_fails_is_named_with_its_error(rig: SyncRig) -> None:
    """The restored version of one document was broken, too."""
    rig.write({"a.md": GOOD, "b.md": BAD})
    rig.sync()
    good = rig.tick()
    rig.write({"a.md": "", "b.md": f"{GOOD} now"})
    rig.sync()
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.ok is False
    assert verdicts(found) == {"a.md": "indexed", "b.md": "failed"}
    assert found.failed == ("b.md",)
    row = found.keys.set_index("key").loc["b.md"]
    assert "InvalidEncoding" in row["error"]
    assert row["error"] in row["finding"]
    assert outcomes(found)["A sync has taken place"] == "fail"


def test_a_failed_document_stays_failed_until_it_is_touched(rig: SyncRig) -> None:
    """It was too large for the connector; the limit is raised, and the connector does not look at it again."""
    rig.configure(maxFileSizeInMegaBytes="0.001")
    rig.write({"small.md": GOOD, "big.md": f"{GOOD} {'word ' * 1000}"})
    rig.sync()
    rig.configure(maxFileSizeInMegaBytes="50")
    assert rig.sync()["status"] == "INCOMPLETE"
    found = proof.prove(rig.incident)
    assert found.ok is False
    assert found.stuck == ("big.md",)
    left = next(one for one in found.checks if one.name == "No failed document is left behind")
    assert (left.ok, f"vmq sync touch {rig.incident.id} --failed" in left.mend) == (False, True)
    assert any(
        step.command == f"vmq sync touch {rig.incident.id} --failed" for step in next_steps(rig.incident)
    )
    plan = touch.plan(rig.incident, found.failed)
    rollback.apply(rig.incident, plan, digest=plan.digest)
    early = proof.prove(rig.incident)
    assert verdicts(early)["big.md"] == "not synced"
    assert rig.sync()["status"] == "SUCCEEDED"
    after = proof.prove(rig.incident)
    assert after.ok is True, after.sentence
    assert verdicts(after) == {"big.md": "indexed"}
    assert set(after.keys["want"]) == {"touched"}


def test_deletions_that_the_safeguard_holds_back_are_named(rig: SyncRig) -> None:
    rig.configure(enableDeletionProtection="true", deletionProtectionThreshold="15")
    rig.write({f"doc-{number}.md": GOOD for number in range(3)})
    rig.sync()
    good = rig.tick()
    rig.write({f"new-{number}.md": GOOD for number in range(3)})
    rig.sync()
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.ok is False
    assert set(verdicts(found).values()) == {"held back"}
    held = next(one for one in found.checks if one.name == "No deletion is held back")
    assert held.ok is False
    assert "new-0.md, new-1.md, new-2.md" in held.finding
    assert "deletionProtectionThreshold" in held.mend
    rig.configure(enableDeletionProtection="false")
    rig.sync()
    assert proof.prove(rig.incident).ok is True


def check(found: proof.Proof, name: str) -> Any:
    return next(one for one in found.checks if one.name == name)


LEAK = {f"_staging/guides/{number}.md": GOOD for number in range(3)}


def test_what_a_wrong_pattern_leaves_in_the_index_is_counted_and_not_proved(rig: SyncRig) -> None:
    """A star stops at a slash: the sync SUCCEEDED, and the folders below stay. The bucket is not even listed there."""
    rig.write({"a.md": GOOD, "_staging/top.md": GOOD, **LEAK})
    rig.sync()
    rig.configure(exclusionPatterns=["_staging/*"])
    assert rig.sync()["status"] == "SUCCEEDED"
    for found in (proof.prove(rig.incident), proof.look(rig.aws, rig.settings, rig.settings.ds_id)):
        assert found.ok is False, found.sentence
        agree, nothing = check(found, proof.AGREE), check(found, proof.UNWANTED)
        assert "The index has 4 documents, the bucket 1 objects in scope" in agree.finding
        assert (agree.ok, nothing.ok) == (False, False)
        assert "3 documents are in the index that must not be" in nothing.finding
        assert "exclusionPrefixes" in nothing.mend
        assert "_staging/" in nothing.mend
        assert verdicts(found) | dict.fromkeys(LEAK, "still indexed") == verdicts(found)
    rig.configure(exclusionPrefixes=["_staging/"])
    rig.sync()
    mended = proof.prove(rig.incident)
    assert mended.ok is True, mended.sentence
    assert "The index has 1 documents, the bucket 1 objects in scope: they agree" in mended.sentence


def test_what_the_safeguard_keeps_of_a_leak_is_not_proved(rig: SyncRig) -> None:
    rig.write({"a.md": GOOD, **LEAK})
    rig.sync()
    rig.configure(
        exclusionPrefixes=["_staging/"], enableDeletionProtection="true", deletionProtectionThreshold="15"
    )
    assert rig.sync()["status"] == "SUCCEEDED"
    found = proof.prove(rig.incident)
    assert found.ok is False
    assert set(verdicts(found).values()) >= {"held back"}
    assert "patterns leave out" in check(found, "No deletion is held back").finding
    assert "deletionProtectionThreshold" in check(found, proof.UNWANTED).mend


def test_a_forbidden_document_is_not_proved_though_bucket_and_index_agree(rig: SyncRig) -> None:
    rig.write({"a.md": GOOD, "hr/pay.md": GOOD})
    rig.sync()
    settings = rig.settings.model_copy(update={"forbidden": ("hr/",)})
    found = proof.look(rig.aws, settings, settings.ds_id)
    assert check(found, proof.UNWANTED).ok is False
    assert "hr/pay.md" in check(found, proof.UNWANTED).finding
    assert proof.look(rig.aws, rig.settings, rig.settings.ds_id).ok is True


def test_what_is_meant_to_be_indexed_is_not_called_unwanted(rig: SyncRig) -> None:
    """A connector that takes in more than the settings' prefix; one whose prefix is such a folder; another's."""
    rig.write({"docs/a.md": GOOD, "other/b.md": GOOD})
    rig.sync()
    one = rig.settings.connector(rig.settings.ds_id)

    def looked(**more: Any) -> proof.Proof:
        connectors = (one.model_copy(update=more),)
        settings = rig.settings.model_copy(update={"connectors": connectors})
        return proof.look(rig.aws, settings, settings.ds_id)

    broader = looked(prefix="docs/")
    assert broader.ok is True, broader.sentence
    assert "2 documents, the bucket 1 objects in scope where it was listed, and 1 of" in broader.sentence
    rig.write({"audit/c.md": GOOD})
    rig.sync()
    assert looked().ok is False
    assert check(looked(prefix="audit/", exclude=()), proof.UNWANTED).ok is True
    assert proof.UNWANTED not in outcomes(looked(bucket=None)), "not S3's: its documents' names are no keys"


def test_keys_that_the_connector_leaves_out_are_said_to_be(rig: SyncRig) -> None:
    rig.configure(exclusionPatterns=["drafts/**"])
    rig.write({"a.md": GOOD, "drafts/b.md": GOOD, "a.md.metadata.json": json.dumps({"Title": "A"})})
    rig.sync()
    good = rig.tick()
    rig.write({"drafts/b.md": "other", "a.md.metadata.json": "{"})
    rig.sync()
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.ok is True, found.sentence
    assert verdicts(found) == {
        "a.md": "indexed",
        "a.md.metadata.json": "out of scope",
        "drafts/b.md": "out of scope",
    }
    row = found.keys.set_index("key").loc["a.md"]
    assert (row["want"], row["action"]) == ("restored", "MODIFY"), "its metadata was restored"


def test_without_log_delivery_nothing_is_fine(rig: SyncRig, monkeypatch: pytest.MonkeyPatch) -> None:
    good = spoiled(rig)
    rig.restore(good)
    deliveries = qbusiness_backends["123456789012"]["eu-west-1"].context.deliveries
    monkeypatch.setitem(deliveries.by_application, rig.settings.app_id, frozenset())
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.ok is None
    assert verdicts(found)["doc-0.md"] == "cannot tell"
    assert verdicts(found)["new.md"] == "gone", "the index alone tells"
    row = found.keys.set_index("key").loc["doc-0.md"]
    assert "log delivery (SYNC_JOB_LOGS)" in row["finding"]
    assert "The index has it as" in row["finding"]


@pytest.mark.parametrize(
    ("service", "operation", "word"),
    [
        ("logs", "FilterLogEvents", "logs:FilterLogEvents"),
        ("qbusiness", "ListDocuments", "qbusiness:ListDocuments"),
    ],
)
def test_a_missing_permission_makes_it_unknown_and_is_named(
    rig: SyncRig, service: str, operation: str, word: str
) -> None:
    good = spoiled(rig)
    rig.restore(good)
    rig.sync()
    rig.local.faults.add(service=service, operation=operation, status=403, code="AccessDeniedException")
    found = proof.prove(rig.incident)
    assert found.ok is None
    row = found.keys.set_index("key").loc["doc-0.md"]
    assert row["verdict"] == "cannot tell"
    assert word in row["finding"]


def test_a_sync_of_before_the_rollback_proves_nothing(rig: SyncRig) -> None:
    good = spoiled(rig)
    before = rig.q.list_data_source_sync_jobs(**rig.ids)["history"][0]["executionId"]
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident, execution_id=before)
    assert found.ok is False
    assert verdicts(found)["doc-0.md"] == "not synced"
    with pytest.raises(BadInput, match="no sync job"):
        proof.prove(rig.incident, execution_id="0" * 36)


def test_a_half_done_rollback_proves_nothing(rig: SyncRig) -> None:
    good = spoiled(rig)
    rig.local.faults.add(service="s3", operation="CopyObject", status=403, code="AccessDenied", times=1)
    with pytest.raises(Exception, match="refused"):
        rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    assert outcomes(found)["The rollback is done"] == "fail"
    assert found.ok is False


def test_what_somebody_wrote_after_the_rollback_is_not_called_restored(rig: SyncRig) -> None:
    good = spoiled(rig)
    rig.restore(good)
    rig.tick()
    rig.write({"doc-0.md": f"{GOOD} theirs"})
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.keys.set_index("key").loc["doc-0.md", "want"] == "present"
    assert found.ok is True


def test_a_key_that_is_masked_in_evidence_is_matched_all_the_same(rig: SyncRig) -> None:
    key = "people/jane.doe@example.com.md"
    rig.write({key: GOOD})
    rig.sync()
    good = rig.tick()
    rig.write({key: BAD})
    rig.sync()
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    assert found.ok is True, found.sentence
    assert list(found.keys["verdict"]) == ["indexed"]
    assert "jane" not in " ".join(found.keys["key"] + found.keys["document_id"])


def test_nothing_is_added_to_a_closed_record(rig: SyncRig) -> None:
    rig.incident.close("Over.")
    with pytest.raises(BadInput, match="closed"):
        proof.prove(rig.incident)


def test_without_an_incident_the_newest_sync_against_the_bucket(rig: SyncRig) -> None:
    rig.write({"a.md": GOOD, "b.md": GOOD})
    rig.sync()
    found = proof.look(rig.aws, rig.settings, rig.settings.ds_id)
    assert found.ok is True
    assert verdicts(found) == {"a.md": "indexed", "b.md": "indexed"}
    rig.write({"late.md": GOOD, "b.md": None})
    later = proof.look(rig.aws, rig.settings, rig.settings.ds_id)
    assert later.ok is True
    assert verdicts(later) == {"a.md": "indexed", "b.md": "newer", "late.md": "newer"}
    assert found.later is None
    assert later.later is not None
    assert (later.later.lacking, later.later.unsure) == (("b.md", "late.md"), ())
    rig.write({"late.md.metadata.json": json.dumps({"Title": "Late"})})
    again = proof.look(rig.aws, rig.settings, rig.settings.ds_id)
    assert again.later is not None
    assert again.later.unsure == ("late.md.metadata.json",), "the connector reads it with its document"


def test_ids_of_another_form_are_found_by_their_address_or_not_guessed(rig: SyncRig) -> None:
    named = json.dumps({"DocumentId": "handbook-7"})
    rig.write({"a.md": GOOD, "a.md.metadata.json": named, "b.md": GOOD})
    rig.sync()
    good = rig.tick()
    rig.write({"a.md": BAD})
    rig.sync()
    rig.restore(good)
    rig.sync()
    found = proof.prove(rig.incident)
    row = found.keys.set_index("key").loc["a.md"]
    assert row["document_id"] == "handbook-7"
    assert row["verdict"] == "indexed"
    assert found.ok is True


@pytest.mark.slow
def test_the_scenario_is_proved_in_the_end(start_local_aws: Any, point_at: Any) -> None:
    local = start_local_aws("sync-failed")
    point_at(local)
    settings = Settings.load()
    aws = Aws(settings, local.clock)
    incident = Incident.open(
        settings, aws, trigger="sync-failed", data_source_id=settings.ds_id, clock=local.clock
    )
    incident.observe(["resources", "sync-jobs"])
    plan = rollback.plan(incident)
    rollback.apply(incident, plan, digest=plan.digest)
    assert proof.prove(incident).ok is False
    local.clock.advance(timedelta(seconds=5))
    ids = {"applicationId": settings.app_id, "indexId": settings.index_id, "dataSourceId": settings.ds_id}
    aws.client("qbusiness").start_data_source_sync_job(**ids)  # type: ignore[arg-type]
    local.clock.advance(timedelta(minutes=5))
    found = proof.prove(incident)
    assert found.ok is True, found.sentence
    restored = found.keys[found.keys["want"].eq("restored") & found.keys["ok"].fillna(False)]
    assert len(restored) > 100
