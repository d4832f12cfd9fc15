"""A rule that the access control file lost keeps an incident about content open; elsewhere it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.looks import DS, NOW, document, failed_look, job, look

from vmqlib.runbook.validation import essential
from vmqlib.runbook.validation.names import ACL
from vmqlib.runbook.validation.opened import by_access_control
from vmqlib.settings import Connector, Settings

LOST = NOW - timedelta(hours=3)
SYNC = job("SUCCEEDED", NOW - timedelta(hours=2), minutes=10)


def rule(prefix: str, **more: Any) -> dict[str, Any]:
    row = {
        "data_source_id": DS,
        "prefix": prefix,
        "name": "g",
        "type": "GROUP",
        "access": "ALLOW",
        "problem": "",
    }
    return row | {"bucket": "kb1", "key": "acl.json", "modified_at": LOST} | more


def seen(*rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "acl": look("acl", rules),
        "documents": look("documents", [document("security/s.md")]),
        "resources": look("resources", []),
        "versions": look("versions", []),
        "sync-jobs": look("sync-jobs", [SYNC]),
    }


def checks(observations: dict[str, Any], trigger: str = "content", **settings: Any) -> list[Any]:
    made = Settings(**({"ds_id": DS, "bucket_name": "kb1"} | settings))
    return by_access_control(observations, made, DS, NOW, trigger=trigger, incident_id="INC-1")


@pytest.mark.parametrize(("trigger", "ok"), [("content", False), ("sync-failed", None)])
def test_a_rule_that_is_lost_still_is_told(trigger: str, ok: bool | None) -> None:
    (check,) = checks(seen(rule("legal/"), rule("security/", replaced_at=LOST)), trigger)
    assert (check.name, check.ok) == (ACL, ok)
    assert "lost its rule for security/" in check.finding
    assert "1 indexed document is open to everyone" in check.finding
    assert "vmq sync start --incident INC-1" in check.mend
    assert ACL in essential("content")
    assert ACL not in essential("sync-failed")


def test_one_that_was_put_back_passes() -> None:
    (check,) = checks(seen(rule("security/"), rule("security/", replaced_at=LOST)))
    assert check.ok is True
    assert "has rules for security/" in check.finding


def test_a_file_that_could_not_be_seen_is_not_passed() -> None:
    (check,) = checks(seen() | {"acl": failed_look("acl")})
    assert check.ok is None
    assert check.finding


def test_without_a_file_or_a_bucket_there_is_nothing_to_check() -> None:
    none = rule("", problem="The configuration names no access control file")
    assert checks(seen(none)) == []
    assert checks(seen(rule("a/")), connectors=(Connector(name="wiki", data_source_id=DS),)) == []
