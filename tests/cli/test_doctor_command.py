"""`vmq doctor` as people and programs meet it: tables and mends, exit codes, evidence of an incident."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmqlib.record.incident import Incident
from vmqlib.runbook import doctor
from vmqlib.runbook.stepevidence import facts
from vmqlib.settings import Settings
from vmqlib.view import checks as shown


def test_on_a_healthy_day_nothing_fails(command: Any, healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    done = command("doctor")
    assert done.code == 0, done.out
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[-1].startswith("0 of ")
    assert "What to do" not in done.out
    assert {one.title for one in doctor.CHECKS} <= set(lines)
    assert not Path("incidents").exists(), "looking writes nothing"


def test_json_is_one_document(command: Any, healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    done = command("doctor", "--json")
    assert done.err == ""
    assert set(done.json) == {"at", "summary", "checks"}
    assert done.json["summary"] == {"fail": 0, "cannot tell": 0, "pass": len(done.json["checks"])}
    assert set(done.json["checks"][0]) == {
        "part", "name", "ok", "outcome", "finding", "subject", "mend", "evidence",
    }  # fmt: skip


def test_what_is_wrong_in_the_settings_fails(
    command: Any, healthy_aws: Any, point_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(healthy_aws)
    monkeypatch.setenv("VMQ_ALARMS__NO_SYNC", "Renamed")
    monkeypatch.setenv("ACCOUNT_ID", "")
    done = command("doctor")
    assert done.code == 1
    assert done.out.splitlines()[0] in ("Alarms", "Settings and account"), "what failed comes first"
    mends = done.out.split("What to do\n", 1)[1]
    assert "# fail: alarm exists (Renamed)" in mends
    assert "ACCOUNT_ID='" in mends, "what cannot be told has its way out, too"


def test_what_cannot_be_told_is_no_failure(
    command: Any, healthy_aws: Any, point_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(healthy_aws)
    monkeypatch.setenv("ACCOUNT_ID", "")
    done = command("doctor", "--json")
    assert done.code == 0
    assert done.json["summary"]["cannot tell"] == 1


def test_nothing_of_aws_can_be_reached(
    command: Any, healthy_aws: Any, point_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(healthy_aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = command("doctor")
    assert done.code == 3
    assert "AWS cannot be reached" in done.err
    assert "127.0.0.1:9" in done.out
    assert "APP_ID is " in done.out, "its own settings are looked at all the same"


def test_bad_input(command: Any, healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    assert command("doctor", "--incident", "INC-20200101-001").code == 2
    assert command("doctor", "everything").code == 2


@pytest.mark.slow
def test_with_an_incident_it_is_kept_noted_and_rendered_again_offline(
    command: Any, start_local_aws: Callable[..., Any], point_at: Any
) -> None:
    local = start_local_aws("blind-alarm")
    point_at(local)
    settings = Settings.load()
    incident = Incident.open(settings, None, trigger="sync-failed")
    done = command("doctor", "--incident", incident.id, "--json")
    assert done.code == 1, done.err
    wanted = [one for one in done.json["checks"] if one["outcome"] == "fail"]
    assert {one["name"] for one in wanted} == {
        "alarm sees its metric",
        "alarm tells somebody",
        "dashboard widget shows current data",
    }

    (event,) = [one for one in incident.journal.events() if one.kind == "concluded"]
    assert event.data.verdict == "fail"
    assert {ref.name for ref in event.evidence} == set(doctor.sources_of())
    assert incident.verify().ok
    again = doctor.diagnose(incident)
    assert {(one.name, one.ok) for one in again.checks} >= {("alarm sees its metric", False)}
    assert len([one for one in incident.journal.events() if one.kind == "concluded"]) == 1, (
        "offline notes nothing"
    )
    assert "put-metric-alarm" in shown(again.checks, "Wiring").text

    known = facts(incident)
    assert known.blind_why is not None
    steps = json.loads(command("show", incident.id, "--json").out)["next_steps"]
    (step,) = [one for one in steps if "vmq doctor" in one["command"]]
    assert step["command"] == f"vmq doctor --incident {incident.id}"

    # What the doctor alone looks at is not missed by the record when it cannot be had.
    local.faults.add("sns", "ListSubscriptionsByTopic", code="AccessDenied")
    local.faults.add("logs", "DescribeDeliver*", code="AccessDenied")
    command("doctor", "--incident", incident.id)
    local.faults.clear()
    assert "Log deliveries" not in (facts(incident).missing or ())

    incident.close(impact="i", cause="r", remediation="m")
    closed = command("doctor", "--incident", incident.id)
    assert closed.code == 2
    assert "was closed at" in closed.err
