"""content: what is indexed and must not be, by folder, setting, filter and bucket; and what is left unsaid."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from support.looks import DS, NOW, document, failed_look, job, look, version

from vmqlib.runbook.triggers import detect
from vmqlib.settings import Settings

YESTERDAY = NOW - timedelta(days=1)
SYNC = job("SUCCEEDED", NOW - timedelta(hours=2), minutes=10)
DURING = SYNC["started_at"] + timedelta(minutes=3)


def config(**more: Any) -> str:
    given = {"inclusionPatterns": ["*.md"], "exclusionPrefixes": ["_staging/", "ci/", "audit/"]} | more
    return json.dumps({"type": "S3", "additionalProperties": given})


def source(**more: Any) -> dict[str, Any]:
    row = {"kind": "data-source", "id": DS, "name": "s3", "status": "ACTIVE", "config": config()}
    return row | {"updated_at": NOW - timedelta(days=20)} | more


def rule(prefix: str, **more: Any) -> dict[str, Any]:
    row = {
        "data_source_id": DS,
        "prefix": prefix,
        "name": "g",
        "type": "GROUP",
        "access": "ALLOW",
        "key": "acl.json",
    }
    return row | {"bucket": "kb", "modified_at": NOW - timedelta(days=20), "problem": ""} | more


def indexed(*keys: str, **more: Any) -> list[dict[str, Any]]:
    return [document(key) | {"created_at": DURING} | more for key in keys]


def seen(documents: Any, **more: Any) -> dict[str, Any]:
    keys = ["a.md", "guides/b.md"]
    made = {
        "documents": look("documents", documents),
        "resources": look("resources", [source()]),
        "versions": look("versions", [version(key, NOW - timedelta(days=9), key) for key in keys]),
        "sync-jobs": look("sync-jobs", [SYNC]),
        "acl": look("acl", [rule("security/")]),
    }
    return made | {name.replace("_", "-"): value for name, value in more.items()}


def of(observations: dict[str, Any], **settings: Any) -> Any:
    found = detect(observations, Settings(ds_id=DS, bucket_name="kb1", **settings), NOW, triggers=["content"])
    return found.of("content"), found.findings


GOOD = indexed("a.md", "guides/b.md")


def test_what_the_connector_is_to_index_is_quiet() -> None:
    verdict, findings = of(seen(GOOD))
    assert verdict.verdict == "quiet"
    assert verdict.confidence == "high"
    assert findings == ()


@pytest.mark.parametrize("key", ["_staging/a.md", "audit/x.json", "ci/y.json"])
def test_housekeeping_in_the_index_fires_since_the_sync_that_brought_it(key: str) -> None:
    verdict, _ = of(seen([*GOOD, *indexed(key)]))
    assert (verdict.verdict, verdict.confidence, verdict.data_source_id) == ("firing", "high", DS)
    assert verdict.since == SYNC["ended_at"]
    assert verdict.cause == f"content/{DS}/{SYNC['execution_id']}"
    assert key in verdict.reasons[0].text


def test_what_the_settings_forbid_fires() -> None:
    documents = [*GOOD, *indexed("hr/pay.md")]
    assert of(seen(documents))[0].verdict == "quiet"
    verdict, _ = of(seen(documents), forbidden=("hr/",))
    assert verdict.verdict == "firing"
    assert "`forbidden`" in verdict.reasons[0].text


def test_what_the_filter_leaves_out_fires_unless_the_filter_is_newer_than_the_sync() -> None:
    documents = [*GOOD, *indexed("pictures/x.png")]
    verdict, _ = of(seen(documents))
    assert (verdict.verdict, verdict.confidence) == ("firing", "medium")
    newer = look("resources", [source(updated_at=NOW - timedelta(minutes=5))])
    assert of(seen(documents, resources=newer))[0].verdict == "unknown"
    assert of(seen(GOOD, resources=newer))[0].verdict == "quiet", "what changed there changes nothing here"


def test_a_document_whose_object_was_deleted_before_a_good_sync_fires() -> None:
    def gone(at: Any) -> Any:
        rows = [
            version("a.md", at, "", is_delete_marker=True),
            version("a.md", NOW - timedelta(days=9), "a", 1),
        ]
        return look("versions", [*rows, version("guides/b.md", NOW - timedelta(days=9), "b")])

    verdict, _ = of(seen(GOOD, versions=gone(YESTERDAY)))
    assert verdict.verdict == "firing"
    assert verdict.since == SYNC["ended_at"]
    assert of(seen(GOOD, versions=gone(NOW - timedelta(minutes=30))))[0].verdict == "quiet", (
        "the next sync's work"
    )
    failed = look("sync-jobs", [job("INCOMPLETE", NOW - timedelta(hours=2))])
    assert of(seen(GOOD, versions=gone(YESTERDAY), sync_jobs=failed))[0].verdict == "quiet"


def test_what_failed_or_is_deleted_is_not_in_the_index() -> None:
    rows = [*GOOD, *indexed("_staging/a.md", status="FAILED"), *indexed("ci/b.md", status="DELETED")]
    assert of(seen(rows))[0].verdict == "quiet"


@pytest.mark.parametrize("missing", ["documents", "resources", "versions", "sync-jobs", "acl"])
def test_nothing_is_quiet_that_was_not_seen(missing: str) -> None:
    there = seen(GOOD)
    assert of({**there, missing: failed_look(missing)})[0].verdict == "unknown"
    rows = GOOD if missing == "documents" else []
    cut = look(missing, rows, complete=False, stopped="Throttled.")
    assert of({**there, missing: cut})[0].verdict == "unknown"
    del there[missing]
    assert of(there)[0].verdict == "unknown"


def test_housekeeping_fires_although_nothing_else_was_seen() -> None:
    assert of({"documents": look("documents", indexed("_staging/a.md"))})[0].verdict == "firing"


def test_ids_of_an_unknown_form_are_unknown_and_web_addresses_are_read() -> None:
    strange = [{"data_source_id": DS, "document_id": "b1946ac92492d2347c6235b4d2611184", "status": "INDEXED"}]
    verdict, _ = of(seen([*GOOD, *strange]))
    assert verdict.verdict == "unknown"
    assert "tell no key" in verdict.reasons[0].text
    for address in (
        "https://kb1.s3.eu-west-1.amazonaws.com/ci/a%20b.md",
        "https://s3.eu-west-1.amazonaws.com/kb1/ci/a.md",
    ):
        row = {"data_source_id": DS, "document_id": address, "status": "INDEXED", "created_at": DURING}
        verdict, _ = of(seen([*GOOD, row]))
        assert verdict.verdict == "firing", address
        assert "never documents" in verdict.reasons[0].text


def test_an_access_file_that_changed_lately_is_told_with_what_it_leaves_open() -> None:
    lately = look("acl", [rule("legal/", modified_at=NOW - timedelta(hours=3))])
    verdict, findings = of(seen([*GOOD, *indexed("security/s.md", "legal/l.md")], acl=lately))
    assert verdict.verdict == "quiet"
    (found,) = findings
    assert (found.kind, found.level) == ("open-prefixes", "warning")
    assert found.text.endswith("open to everyone: guides/, security/.")


LOST = NOW - timedelta(hours=3)


def was(prefix: str, **more: Any) -> dict[str, Any]:
    """A rule of the file's older version."""
    return rule(prefix, replaced_at=LOST) | more


def test_a_rule_that_the_access_file_lost_fires_since_the_sync_that_took_it_in() -> None:
    acl = look("acl", [rule("legal/", modified_at=LOST), was("security/"), was("legal/"), was("empty/")])
    documents = [
        *GOOD,
        *indexed("security/s.md", "security/t.md", "legal/l.md", created_at=NOW - timedelta(days=9)),
    ]
    verdict, _ = of(seen(documents, acl=acl))
    assert verdict.verdict == "firing"
    (lost,) = [one for one in verdict.reasons if one.says == "firing"]
    assert "lost its rule for security/" in lost.text
    assert "2 indexed documents are open to everyone" in lost.text
    assert lost.source == "acl"
    assert verdict.since == SYNC["ended_at"]
    assert verdict.cause == f"content/{DS}/{SYNC['execution_id']}"


def test_a_lost_rule_that_no_sync_has_taken_in_fires_since_the_file_was_changed() -> None:
    late = NOW - timedelta(minutes=5)
    acl = look("acl", [rule("legal/", modified_at=late), was("guides/", replaced_at=late)])
    verdict, _ = of(seen(GOOD, acl=acl))
    assert verdict.since == late
    assert "as soon as a sync takes it in" in verdict.reasons[0].text


@pytest.mark.parametrize("now", [["security/"], ["sec"], ["legal/", "security/s.md"]])
def test_what_is_closed_still_or_again_was_not_lost(now: list[str]) -> None:
    rules = [rule(prefix, modified_at=LOST) for prefix in now]
    verdict, _ = of(seen([*GOOD, *indexed("security/s.md")], acl=look("acl", [*rules, was("security/")])))
    assert verdict.verdict == "quiet"


def test_an_older_access_file_that_cannot_be_read_is_unknown_and_names_the_permission() -> None:
    unread = was("", name="", type="", access="", problem="Not allowed. Grant s3:GetObjectVersion.")
    verdict, findings = of(seen(GOOD, acl=look("acl", [rule("security/"), unread])))
    assert verdict.verdict == "unknown"
    assert "s3:GetObjectVersion" in verdict.reasons[0].text
    assert findings == ()


def test_a_first_folder_that_no_earlier_sync_had_is_named() -> None:
    before = job("SUCCEEDED", NOW - timedelta(hours=26), minutes=10)
    old = [one | {"created_at": NOW - timedelta(days=9)} for one in GOOD]
    syncs = look("sync-jobs", [before, SYNC])
    verdict, findings = of(seen([*old, *indexed("hr/a.md", "hr/b.md", "guides/new.md")], sync_jobs=syncs))
    assert verdict.verdict == "quiet"
    (found,) = findings
    assert (found.kind, found.level) == ("new-folder", "warning")
    assert "2 documents below hr/ are new" in found.text
    assert "hr/ under `forbidden`" in found.remedy
    gone = indexed("hr/z.md", status="DELETED", created_at=NOW - timedelta(days=9))
    assert of(seen([*old, *gone, *indexed("hr/a.md")], sync_jobs=syncs))[1] == ()
    verdict, findings = of(seen([*old, *indexed("hr/a.md")], sync_jobs=syncs), forbidden=("hr/",))
    assert (verdict.verdict, findings) == ("firing", ())


@pytest.mark.parametrize(
    ("problem", "says", "kinds"),
    [
        ("the file is not JSON: line 1", "unknown", ["acl-broken"]),
        ("the file does not exist", "unknown", ["acl-broken"]),
        ("the connector names no access control file", "quiet", []),
    ],
)
def test_an_access_file_that_is_broken_or_not_there(problem: str, says: str, kinds: list[str]) -> None:
    verdict, findings = of(
        seen(GOOD, acl=look("acl", [rule("", problem=problem, name="", type="", access="")]))
    )
    assert verdict.verdict == says
    assert [one.kind for one in findings] == kinds


def test_a_connector_that_is_not_s3s_is_not_judged() -> None:
    from vmqlib.settings import Connector

    wiki = Settings(connectors=(Connector(name="wiki", data_source_id=DS),))
    found = detect(seen(GOOD), wiki, NOW, triggers=["content"])
    assert found.of("content").verdict == "unknown"
