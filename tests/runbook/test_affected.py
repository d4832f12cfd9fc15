"""Who and what is hit: told from what was seen, and unknown where it was not."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.looks import DS, NOW, chat, document, failed_look, job, look, version

from vmqlib import view
from vmqlib.runbook.affected import affected, affected_by
from vmqlib.runbook.affecteddocuments import document_keys
from vmqlib.runbook.triggers import detect
from vmqlib.settings import Settings

GOOD = NOW - timedelta(hours=8)
BAD = NOW - timedelta(hours=2)
OTHER = "11111111-4da5-4709-9471-3d60c8a70639"
ALL = ("resources", "sync-jobs", "documents", "versions", "metrics")


def resources(web: str = "ACTIVE", **source: str):
    config = {"additionalProperties": {"aclConfigurationFilePath": "s3://kb/acl.json"}}
    return look(
        "resources",
        [
            {"kind": "index", "id": "idx", "name": "the-index", "status": "ACTIVE", "document_count": 99},
            {
                "kind": "data-source", "id": DS, "name": "docs-s3", "status": "ACTIVE", "sync_schedule": "cron(0)",
                "config": json.dumps(config), **source,
            },
            {"kind": "web-experience", "id": "w", "name": "assistant", "status": web},
        ],
    )  # fmt: skip


def jobs(*more: dict):
    return look("sync-jobs", [job("SUCCEEDED", GOOD), job("INCOMPLETE", BAD, failed=2), *more])


def documents():
    rows = [
        document("a/1.md", "FAILED"),
        document("a/2.md"),
        document("b/3.md"),
        document("top.md", "FAILED"),
    ]
    return look("documents", [*rows, document("gone.md", "DELETED")])


def versions():
    before = GOOD - timedelta(days=1)
    rows = []
    for key in ("a/1.md", "a/2.md", "b/3.md", "top.md", "acl.json", "meta/top.md.metadata.json"):
        rows.append(version(key, before, f"old {key}", order=1 if key in CHANGED else 0))
        if key in CHANGED:
            rows.append(version(key, BAD - timedelta(minutes=10), f"new {key}"))
    return look("versions", rows)


CHANGED = ("a/1.md", "b/3.md", "acl.json", "meta/top.md.metadata.json")


def seen(**more):
    metrics = [*chat(NOW - timedelta(days=3), BAD, asked=9), *chat(BAD, NOW, asked=9, no_answer=8)]
    found = {
        "resources": resources(), "sync-jobs": jobs(), "documents": documents(), "versions": versions(),
        "metrics": look("metrics", metrics),
    }  # fmt: skip
    return found | {name.replace("_", "-"): one for name, one in more.items()}


def told(settings: Settings | None = None, detection=None, **more):
    return affected(seen(**more), settings or Settings.load(), NOW, detection)


def verdict(trigger: str, says: str = "firing", since=None, ds: str = ""):
    return SimpleNamespace(trigger=trigger, verdict=says, since=since, data_source_id=ds)


def detection(*verdicts):
    return SimpleNamespace(triggers=verdicts)


def test_everything_that_was_seen_is_told() -> None:
    found = told()
    (connector,) = found.connectors
    assert (connector.name, connector.hit, connector.last_status) == ("docs-s3", True, "INCOMPLETE")
    assert (connector.last_good_at, connector.first_bad_at, connector.schedule) == (GOOD, BAD, "cron(0)")
    assert found.since == BAD + timedelta(minutes=5)
    assert (found.index.name, found.index.documents, found.index.failing) == ("the-index", 4, 2)
    assert found.share_of_index == 0.5
    assert (found.documents.failing, found.documents.changed, found.documents.failing_changed) == (2, 3, 2)
    assert found.documents.examples == ("a/1.md", "top.md")
    assert (found.questions.after.asked, found.questions.after.no_answer) == (18, 16)
    assert found.severity.severity == "SEV1"
    assert found.not_seen == ()


def test_what_a_sync_failed_to_take_over_and_the_index_still_has_is_told() -> None:
    newest = f"job-{BAD:%d%H%M}"
    failed = ("a/1.md", "a/2.md", "b/3.md", "never.md")
    report = look(
        "document-report",
        [
            *({"execution_id": newest, "status": "FAILED", "uri": f"s3://kb/{key}"} for key in failed),
            {"execution_id": "an-older-job", "status": "FAILED", "uri": "s3://kb/top.md"},
        ],
    )
    found = told(document_report=report).index
    assert (found.failing, found.earlier) == (2, 2)
    assert found.kept == "2 that failed in the newest sync are there as the index had them before"
    assert "2 that failed in the newest sync" in view.affected(told(document_report=report)).text
    assert told().index.earlier is None, "nobody saw which failed"


def test_a_document_whose_metadata_changed_is_changed_and_one_that_is_gone_is_not() -> None:
    frame = versions().frame
    gone = frame.assign(is_delete_marker=frame["key"].eq("top.md"))
    listing = look("versions", [])
    object.__setattr__(listing, "frame", gone)
    assert told().prefixes.set_index("prefix").loc["", "changed"] == 1
    assert told(versions=listing).documents.changed == 2
    # Never more failing ones among the changed of a prefix than there are changed ones in it.
    table = told().prefixes
    assert (table["failing"] <= table["changed"]).all()


def test_prefixes_are_counted_and_the_worst_comes_first() -> None:
    table = told().prefixes
    assert table.to_dict("list") == {
        "prefix": ["a/", "", "b/"], "documents": [2, 1, 1], "failing": [1, 1, 0], "changed": [1, 1, 1],
        "unwanted": [None, None, None],
    }  # fmt: skip
    assert {str(table[name].dtype) for name in ("documents", "failing", "unwanted", "changed")} == {"Int64"}


@given(st.sets(st.sampled_from(ALL)), st.sampled_from(["missing", "failed"]))
def test_what_was_not_seen_is_unknown_and_said_never_well(gone: set[str], how: str) -> None:
    given_ = seen()
    for name in gone:
        if how == "missing":
            del given_[name]
        else:
            given_[name] = failed_look(name)
    found = affected(given_, Settings.load(), NOW)
    assert len(found.not_seen) == len(gone)
    if "sync-jobs" in gone:
        assert all(one.hit is None for one in found.connectors)
        assert found.since is None
    if "documents" in gone:
        assert found.documents.failing is None
        assert found.share_of_index is None
        assert found.prefixes["failing"].isna().all()
    if gone & {"versions", "sync-jobs"}:
        assert found.documents.changed is None
        assert found.prefixes["changed"].isna().all()
    if "metrics" in gone:
        assert found.questions.after is None
        assert found.severity.customers == "unknown"
    if "resources" in gone:
        assert found.web is None
        assert found.severity.customers != "not-hit"


def test_an_incomplete_listing_tells_no_changes_and_is_named() -> None:
    found = told(versions=look("versions", [], complete=False, stopped="page 3: SlowDown"))
    assert found.documents.changed is None
    assert any("SlowDown" in one for one in found.not_seen)


def test_connectors_that_are_well_stay_out_of_it() -> None:
    rows = [job("SUCCEEDED", BAD, ds=OTHER)]
    found = affected(seen(sync_jobs=jobs(*rows)), Settings.load(), NOW)
    assert {one.data_source_id: one.hit for one in found.connectors} == {DS: True, OTHER: False}


def test_a_firing_trigger_makes_its_connector_hit_and_says_since_when() -> None:
    good = look("sync-jobs", [job("SUCCEEDED", GOOD)])
    early = GOOD - timedelta(hours=1)
    said = detection(verdict("no-sync", since=early, ds=DS), verdict("guardrail", "quiet"))
    found = told(detection=said, sync_jobs=good)
    assert found.connectors[0].hit
    assert "no-sync" in found.connectors[0].why
    assert found.since == early
    assert found.guardrail.hit is False


@pytest.mark.parametrize(("says", "hit"), [("firing", True), ("quiet", False), ("unknown", None)])
def test_the_guardrail_is_hit_where_its_trigger_fires(says, hit) -> None:
    assert told(detection=detection(verdict("guardrail", says))).guardrail.hit is hit
    assert told().guardrail.hit is None


def test_what_of_the_guardrail_was_changed_is_told() -> None:
    controls = look(
        "chat-controls",
        [
            {"kind": "blocked-phrase", "name": "the", "value": ""},
            {"kind": "topic", "name": "passwords", "value": "{}"},
            {"kind": "setting", "name": "responseScope", "value": '"ENTERPRISE_CONTENT_ONLY"'},
        ],
    )
    asked = {
        "blockedPhrasesConfigurationUpdate": {
            "blockedPhrasesToCreateOrUpdate": ["the"], "blockedPhrasesToDelete": ["x"],
        },
        "topicConfigurationsToCreateOrUpdate": [{"name": "anything"}],
        "responseScope": "EXTENDED_KNOWLEDGE_ENABLED",
    }  # fmt: skip
    event = {"event": "UpdateChatControlsConfiguration", "service": "qbusiness", "user": "dana"}
    trail = look(
        "trail",
        [
            event | {"at": GOOD, "parameters": "cut he", "error_code": "AccessDenied"},
            event | {"at": BAD, "parameters": json.dumps(asked)},
            {"event": "UpdateDataSource", "service": "qbusiness", "at": BAD, "parameters": "{}"},
        ],
    )
    guardrail = told(chat_controls=controls, trail=trail).guardrail
    assert (guardrail.phrases, guardrail.topics, guardrail.scope) == (1, 1, "ENTERPRISE_CONTENT_ONLY")
    newest, oldest = guardrail.changes
    assert (newest.at, newest.who, newest.refused) == (BAD, "dana", "")
    assert newest.what == (
        "phrase “the” added", "phrase “x” removed", "topic “anything” set",
        "response scope set to EXTENDED_KNOWLEDGE_ENABLED",
    )  # fmt: skip
    assert (oldest.what, oldest.refused) == ((), "AccessDenied")
    assert told(trail=failed_look("trail")).guardrail.changes is None


@pytest.mark.parametrize(
    "asked", ["null", "[]", '{"topicConfigurationsToCreateOrUpdate": "HIDDEN"}', "", "{"]
)
def test_parameters_of_another_form_are_no_error(asked) -> None:
    rows = [{"event": "UpdateChatControlsConfiguration", "at": BAD, "user": "d", "parameters": asked}]
    assert told(trail=look("trail", rows)).guardrail.changes[0].what == ()


def test_documents_that_must_not_be_there_are_named() -> None:
    rows = [document("b/3.md"), document("audit/x.json"), document("a.md")]
    kept = told(Settings.load(forbidden=("b/",)), documents=look("documents", rows))
    assert kept.documents.unwanted == ("audit/x.json", "b/3.md")
    assert kept.documents.forbidden == ("b/3.md",)
    assert told(documents=failed_look("documents")).documents.unwanted is None


def test_after_a_rollback_the_changes_of_the_incident_are_still_told() -> None:
    opened = NOW - timedelta(hours=1)
    later = NOW - timedelta(minutes=20)
    frame = versions().frame
    back = look("versions", [version("a/1.md", later, "again")]).frame
    moved = frame.assign(order=frame["order"] + frame["key"].eq("a/1.md").astype("int64"))
    restored = look("versions", [])
    object.__setattr__(restored, "frame", pd.concat([back, moved], ignore_index=True))
    whole = seen(sync_jobs=jobs(job("SUCCEEDED", later)), versions=restored)
    found = affected(whole, Settings.load(), NOW, opened=opened)
    assert (found.since, found.documents.changed) == (BAD + timedelta(minutes=5), 3)
    assert found.connectors[0].hit
    assert "the newest did" in found.connectors[0].why
    assert not affected(whole, Settings.load(), NOW).connectors[0].hit


def test_documents_are_named_by_their_keys() -> None:
    names = ["s3://kb/a/1%20x.md", "https://kb.s3.amazonaws.com/a/1%20x.md", "a/1.md", "d:7", "s3://kb"]
    keys = document_keys(pd.Series([*names, None], dtype="str"))
    assert keys.tolist() == ["a/1%20x.md", "a/1 x.md", "a/1.md", "d:7", "s3://kb", ""]


def test_an_example_incident_tells_who_is_affected(project, example_id) -> None:
    from vmqlib.record.incident import Incident

    settings = Settings.load(incidents=project / "notebooks" / "examples")
    incident = Incident.load(example_id, settings=settings)
    found = affected_by(incident)
    assert found.documents.failing == found.index.failing == 0, "it is synced again"
    assert found.connectors[0].hit
    assert found.severity.customers == "hit"


def test_documents_that_must_not_be_indexed_are_counted_by_prefix() -> None:
    rows = [document(key) for key in ("a/1.md", "_staging/1.md", "_staging/2.md", "ci/3.json")]
    seen = {"documents": look("documents", rows), "sync-jobs": jobs()}
    settings = Settings(ds_id=DS, bucket_name="kb1")
    found = affected(seen, settings, NOW, detect(seen, settings, NOW, triggers=["content"]))
    assert found.unauthorized == "3 of 4 documents are where they must not be: _staging/ 2, ci/ 1"
    table = found.prefixes.set_index("prefix")["unwanted"]
    assert table.to_dict() == {"_staging/": 2, "ci/": 1, "a/": 0}
    shown = view.affected(found).text
    assert "3 of 4 documents are where they must not be" in shown
    assert "1 unwanted" in next(line for line in shown.splitlines() if line.startswith("prefix ci/"))
    assert affected(seen, settings, NOW).unauthorized == "", "nobody has judged it"


def test_documents_of_the_bucket_that_are_in_no_index_are_named() -> None:
    before, late = GOOD - timedelta(days=1), NOW + timedelta(minutes=1)
    keys = (
        "a/1.md",
        "a/2.md",
        "b/3.md",
        "top.md",
        "new/8.md",
        "gone.md",
        "acl.json",
        "m/top.md.metadata.json",
    )
    rows = [version(key, before, key) for key in keys]
    rows += [version("late.md", late, "x"), version("removed.md", before, "", is_delete_marker=True)]
    found = told(versions=look("versions", rows)).documents
    assert (found.unindexed_count, found.unindexed) == (2, ("gone.md", "new/8.md"))
    for one in ("documents", "versions", "resources"):
        assert told(**{one: failed_look(one)}).documents.unindexed_count is None
    cut = look("documents", [document("a/1.md")], complete=False, stopped="page 3")
    assert told(documents=cut).documents.unindexed_count is None
    elsewhere = look("versions", [version("other/1.md", before, "x")])
    assert told(versions=elsewhere).documents.unindexed_count is None, "another connector's bucket"


def test_that_ci_is_told_to_start_no_syncs_is_told_where_it_was_seen() -> None:
    note = {"held": True, "at": GOOD, "by": "marco", "reason": "work on the index"}
    assert told(ci_hold=look("ci-hold", [note])).hold == (
        f"CI is told to start no syncs since {GOOD:%Y-%m-%d %H:%M:%S} UTC by marco (work on the index)"
    )
    broken = {"held": True, "problem": "it is not a JSON object"}
    assert (
        told(ci_hold=look("ci-hold", [broken])).hold
        == "CI is told to start no syncs (it is not a JSON object)"
    )
    for nothing in (
        look("ci-hold", [{"held": False}]),
        failed_look("ci-hold"),
        look("ci-hold", [note], problem="x"),
    ):
        assert told(ci_hold=nothing).hold == ""
    assert told().hold == ""
