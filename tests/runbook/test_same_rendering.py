"""A record is the same whoever renders it: with its settings, with others, with none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from support.rollback_rig import Rig

from vmqlib.record.incident import Incident
from vmqlib.runbook import rollback
from vmqlib.runbook.opening import write_record
from vmqlib.settings import Settings

HEAD, ORDERS = "head-of-support@vaultmesh.io", "orders@customer.example"
EMAIL = {"sender": "oncall@vaultmesh.io", "stakeholders": [HEAD]}


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def told(local: Any, point_at: Callable[[Any], None]) -> Incident:
    """Stakeholders were told, and the rollback's plan, which names two people in its keys, was overtaken."""
    point_at(local)
    rig = Rig(local)
    rig.settings = Settings.load(bucket_name=rig.bucket, ds_id=rig.settings.ds_id, email=EMAIL)
    keys = {f"people/{HEAD}/a.md": "good", f"people/{ORDERS}/a.md": "good"}
    rig.write(keys)
    rig.good = rig.tick()
    rig.write(dict.fromkeys(keys, "bad"))
    rig.tick()
    made = rig.plan(keys=tuple(keys))
    rig.incident.notified(f"Sent stakeholders to {HEAD}.", channel=HEAD, data={"message": "stakeholders"})
    rig.incident.note(f"{HEAD} knows, and so does {ORDERS}.")
    upload(rig, next(iter(keys)), rig.versions()[0][1])
    assert made.changes
    return rig.incident


def upload(rig: Rig, key: str, version_id: str) -> None:
    """This incident uploaded one of the documents since: the plan is stale."""
    from vmqlib.record.evidence import Question

    rig.tick()
    rows = [{"key": key, "action": "UPDATE", "result": "done", "version_id": version_id + "x"}]
    question = Question("docs-upload", "s3:PutObject", rig.now())
    ref = rig.incident.evidence.add(question, rows, rig.incident.redactor)
    data = {"action": "sync-docs", "digest": "d", "item": "docs", "ending": "applied"}
    rig.incident.applied("resync", "Documents: 1 done.", data, evidence=[ref])


def by(incident: Incident, **settings: Any) -> Incident:
    given = Settings.load(incidents=incident.settings.incidents, **settings)
    return Incident.load(incident.id, settings=given)


def every(incident: Incident) -> list[Incident]:
    """Loaded with the incident's settings, with others, with none."""
    others: dict[str, Any] = {
        "email": {"sender": "ops@vaultmesh.io", "stakeholders": [ORDERS]},
        "contacts": {"knowledge_ops": ORDERS},
    }
    return [by(incident, email=EMAIL), by(incident, **others), by(incident)]


def test_what_it_shows_is_masked_by_the_settings_that_it_keeps(told: Incident) -> None:
    text = f"{HEAD}, {ORDERS}, oncall@vaultmesh.io, knowledge-ops@vaultmesh.io"
    shown = {one.shown_by.text(text) for one in every(told)}
    (only,) = shown
    assert only.startswith(f"{HEAD}, [email:")
    assert only.endswith("], oncall@vaultmesh.io, knowledge-ops@vaultmesh.io")
    assert ORDERS not in told.journal.path.read_text()


def test_a_stale_plans_command_is_the_same(told: Incident) -> None:
    stands = {(now.state, now.command) for now in (rollback.status(one) for one in every(told))}
    ((state, command),) = stands
    assert state == "stale"
    assert HEAD in command
    assert ORDERS not in command


def rendered(incident: Incident) -> tuple[str, list[Any]]:
    write_record(incident)
    page = re.sub(r"<p>Run [^\n]* took [^\n]*", "", (incident.dir / "incident.html").read_text())
    cells = json.loads((incident.dir / "incident.ipynb").read_text())["cells"]
    return page, [[cell["source"], cell.get("outputs")] for cell in cells]


@pytest.mark.slow
def test_pages_and_outputs_are_byte_identical(told: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    told.close("over")
    with_, others, _ = every(told)
    monkeypatch.setenv("VMQ_EMAIL__STAKEHOLDERS", json.dumps([HEAD]))
    first = rendered(with_)
    assert HEAD in first[0]
    monkeypatch.setenv("VMQ_EMAIL__STAKEHOLDERS", json.dumps([ORDERS]))
    assert rendered(others) == first
    for name in ("VMQ_EMAIL__STAKEHOLDERS", "BUCKET_NAME", "DS_ID", "APP_ID", "INDEX_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    assert rendered(by(told)) == first
