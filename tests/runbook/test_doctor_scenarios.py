"""The doctor in the simulator's scenarios: what is wrong is found, nothing else is, and the printed mend mends it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook import doctor
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.nextsteps import next_steps
from vmqlib.runbook.wiring import blind_alarms
from vmqlib.runbook.wiring.role import READS
from vmqlib.runbook.wiring.sight import SEES
from vmqlib.runbook.wiring.telling import TELLS
from vmqlib.settings import Settings
from vmqlib.simulator.server import LocalAws

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class SimulatedClock:
    """The local AWS's own."""

    local: LocalAws

    def now(self) -> datetime:
        return self.local.clock.now()


@pytest.fixture
def diagnosed(start_local_aws: Any, point_at: Callable[[Any], None]) -> Callable[..., Any]:
    """``diagnosed(scenario, seed)`` or ``diagnosed(local)``: the local AWS, what was seen, and what it comes to."""

    def call(scenario: Any, seed: int = 0) -> tuple[LocalAws, dict[str, Any], doctor.Diagnosis]:
        local = start_local_aws(scenario, seed=seed) if isinstance(scenario, str) else scenario
        point_at(local)
        settings = Settings.load()
        aws = Aws(settings, SimulatedClock(local))
        seen = doctor.look(aws, settings)
        aws.close()
        return local, seen, doctor.examine(seen, settings, local.clock.now())

    return call


def failed(found: doctor.Diagnosis) -> dict[tuple[str, str], CheckResult]:
    return {(one.name, one.subject): one for one in found.checks if one.ok is False}


@pytest.mark.parametrize("seed", [3])
def test_healthy_nothing_fails(diagnosed: Any, seed: int) -> None:
    _, seen, found = diagnosed("healthy", seed)
    assert not [one for one in found.checks if one.ok is not True]
    assert blind_alarms(seen) == []
    assert not found.unreachable


@pytest.mark.parametrize(("seed", "pending"), [(0, 1), (4, 0)])
def test_a_blind_alarm_is_found_and_its_mend_lets_it_see(diagnosed: Any, seed: int, pending: int) -> None:
    local, seen, found = diagnosed("blind-alarm", seed)
    bad = failed(found)
    blank = ("dashboard widget shows current data", "Sync failures (all applications)")
    assert set(bad) == {(SEES, "QBusinessSyncFailed"), (TELLS, "QBusinessSyncFailed"), blank}
    assert found.count(None) == 0
    assert [one.name for one in blind_alarms(seen)] == ["QBusinessSyncFailed"]
    assert found.parts[0].title == "Alarms", "what failed comes first"
    told = bad[TELLS, "QBusinessSyncFailed"]
    assert ("not confirmed yet: 1" in told.finding) is bool(pending)

    cloudwatch = boto3.client("cloudwatch")
    (before,) = cloudwatch.describe_alarms(AlarmNames=["QBusinessSyncFailed"])["MetricAlarms"]
    words = shlex.split(bad[SEES, "QBusinessSyncFailed"].mend.split("\n\n", 1)[0])
    assert words[:3] == ["aws", "cloudwatch", "put-metric-alarm"]
    cloudwatch.put_metric_alarm(**json.loads(words[words.index("--cli-input-json") + 1]))
    local.world.advance_by(timedelta(minutes=12))
    (after,) = cloudwatch.describe_alarms(AlarmNames=["QBusinessSyncFailed"])["MetricAlarms"]
    cloudwatch.close()
    assert (before["StateValue"], after["StateValue"]) == ("OK", "ALARM"), "it sees that syncs fail"
    moved = ("State", "AlarmConfigurationUpdated")
    kept = {name: value for name, value in before.items() if not name.startswith(moved)}
    assert {name: value for name, value in after.items() if not name.startswith(moved)} == kept | {
        "Dimensions": [{"Name": "App", "Value": local.env["APP_ID"]}]
    }
    _, seen, found = diagnosed(local)
    assert set(failed(found)) == {(TELLS, "QBusinessSyncFailed"), blank}
    assert blind_alarms(seen) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_role_that_may_not_read_is_found(diagnosed: Any, seed: int) -> None:
    """Denied unless a condition holds; a relative of the action allowed instead of it."""
    local, _, found = diagnosed("role-denied", seed)
    bad = failed(found)
    assert set(bad) == {(READS, local.env["DS_ID"])}
    result = bad[READS, local.env["DS_ID"]]
    assert "s3:GetObject" in result.finding
    assert "vaultmesh-qbusiness-s3" in result.mend


def test_what_it_found_of_the_role_is_the_next_step(diagnosed: Any, tmp_path: Path) -> None:
    local, _, _ = diagnosed("role-denied", 1)
    settings = Settings.load(incidents=tmp_path / "incidents")
    aws = Aws(settings, SimulatedClock(local))
    incident = Incident.open(
        settings, aws, trigger="sync-failed", data_source_id=settings.ds_id, clock=SimulatedClock(local)
    )
    incident.observe(["sync-jobs", "document-report"])
    asked = f"vmq doctor --incident {incident.id}"
    assert asked in [one.command for one in next_steps(incident)]
    doctor.diagnose(incident)
    found = next_steps(incident)
    aws.close()
    assert asked not in [one.command for one in found]
    assert any("is refused s3:GetObject" in one.why for one in found)


def test_a_schedule_that_somebody_emptied(diagnosed: Any) -> None:
    local, _, found = diagnosed("no-sync")
    assert set(failed(found)) == {("sync schedule is on", f"data-source {local.env['DS_ID']}")}


def test_where_aws_throttles_nothing_is_made_up(diagnosed: Any) -> None:
    """Its alarms and its role are in order: whatever could not be seen is unknown."""
    _, _, found = diagnosed("throttled", 1)
    assert not failed(found)
