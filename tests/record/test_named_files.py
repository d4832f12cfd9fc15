"""Files that a step leaves in its folder, named in the journal with their hash, are checked as evidence is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def incident(open_incident: Callable[..., Any]) -> Any:
    return open_incident()


def write(incident: Any, name: str, text: str) -> str:
    folder: Path = incident.dir / "rollback"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_edited_and_a_missing_file_are_found(incident: Any) -> None:
    plan, seen = write(incident, "plan.jsonl.gz", "plan"), write(incident, "verify.json", "seen")
    incident.conclude("rollback", "Planned.", {"file": "plan.jsonl.gz", "file_sha256": plan})
    incident.verified("rollback", "Verified.", {"file": "verify.json", "file_sha256": seen, "ok": True})
    report = incident.verify()
    assert report.ok
    assert report.files == 2
    assert "2 other files" in str(report)
    write(incident, "plan.jsonl.gz", "plen")
    (incident.dir / "rollback" / "verify.json").unlink()
    found = {finding.path: finding.problem for finding in incident.verify().findings}
    assert found["rollback/plan.jsonl.gz"].startswith("was changed")
    assert found["rollback/verify.json"] == "is missing"
    assert not incident.verify().ok


def test_a_log_that_is_gone_on_with_has_no_hash_until_its_end(incident: Any) -> None:
    sha = write(incident, "apply.jsonl", "one")
    incident.failed("rollback", "Interrupted.", {"log": "apply.jsonl", "log_sha256": sha})
    assert incident.verify().ok
    incident.applying("rollback", "Goes on.", {"log": "apply.jsonl"})
    sha = write(incident, "apply.jsonl", "one two")
    assert incident.verify().ok
    incident.applied("rollback", "Done.", {"log": "apply.jsonl", "log_sha256": sha})
    assert incident.verify().ok
    write(incident, "apply.jsonl", "two")
    assert not incident.verify().ok


def test_a_name_cannot_lead_out_of_the_folder(incident: Any) -> None:
    for name in ("../../../etc/passwd", "/etc/passwd", "a/b", ".."):
        incident.note("x", step="rollback")
        incident.conclude("rollback", "x", {"file": name, "file_sha256": "0" * 64})
    incident.conclude("../..", "x", {"file": "passwd", "file_sha256": "0" * 64})
    assert incident.verify().files == 0


def test_the_manifest_has_them(incident: Any) -> None:
    write(incident, "plan.jsonl.gz", "plan")
    incident.close()
    write(incident, "plan.jsonl.gz", "plen")
    assert [finding.path for finding in incident.verify().findings] == ["rollback/plan.jsonl.gz"]
