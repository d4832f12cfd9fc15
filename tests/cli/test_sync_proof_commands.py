"""``vmq sync verify``, ``vmq sync touch`` and ``vmq alarms wait`` as people and scripts meet them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.arrivals import all_arrived
from support.proof_rig import GOOD, SyncRig

from vmqlib.runbook import alarmlook, rollback


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    # Yesterday: the tests let time pass there, and commands go by the machine's clock.
    return start_local_aws(None, now=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> Any:
    point_at(local)
    rig = SyncRig(local)
    for name in ("bucket_name", "app_id", "index_id", "ds_id"):
        monkeypatch.setenv(name.upper(), getattr(rig.settings, name))
    yield rig
    local.faults.clear()


@pytest.fixture
def stuck(rig: SyncRig) -> SyncRig:
    """One document failed for a cause that is gone, and the connector does not look at it again."""
    rig.configure(maxFileSizeInMegaBytes="0.001")
    rig.write({"small.md": GOOD, "big.md": f"{GOOD} {'word ' * 1000}"})
    rig.sync()
    rig.configure(maxFileSizeInMegaBytes="50")
    rig.sync()
    return rig


def test_verify_then_touch_then_verify(command: Any, stuck: SyncRig) -> None:
    identity = stuck.incident.id
    done = command("sync", "verify", "--incident", identity)
    assert done.code == 1, done.err
    assert "Not proved" in done.out
    assert "big.md" in done.out
    assert "DocumentTooLarge" in done.out
    assert f"vmq sync touch {identity} --failed" in done.err
    refused = command("sync", "touch", identity, "--failed")
    assert refused.code == 2, "there is no terminal to ask on"
    assert "Copy 1 object in" in refused.err
    touched = command("sync", "touch", identity, "--failed", "--yes")
    assert touched.code == 0, touched.err
    assert "Touched: 1 object." in touched.out
    assert "Digest" in touched.out
    assert f"vmq sync start --incident {identity}" in touched.err
    assert command("sync", "touch", identity, "--check").code == 0
    stuck.sync()
    proved = command("sync", "verify", "--incident", identity, "--json")
    assert (proved.code, proved.err) == (0, "")
    assert proved.json["ok"] is True
    assert [(one["key"], one["verdict"]) for one in proved.json["keys"]] == [("big.md", "indexed")]
    assert {one["outcome"] for one in proved.json["checks"]} == {"pass"}


def test_verify_without_an_incident(command: Any, rig: SyncRig) -> None:
    rig.write({"a.md": GOOD})
    rig.sync()
    done = command("sync", "verify", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["counts"] == {"indexed": 1}
    assert done.json["id"] == ""


def test_where_nothing_can_be_seen_the_code_is_3(command: Any, rig: SyncRig) -> None:
    rig.local.faults.add(status=403, code="AccessDeniedException")
    done = command("sync", "verify")
    assert done.code == 3
    assert "Cannot tell" in done.out


def test_where_nothing_can_be_touched_the_code_says_so(command: Any, rig: SyncRig) -> None:
    done = command("sync", "touch", rig.incident.id, "--key", "guides/nope.md", "--yes")
    assert done.code == 1
    assert "1 key is held back" in done.err
    assert "guides/nope.md" in done.err
    assert "vmq versions" in done.err


def test_a_pinned_digest_is_the_plan_that_was_looked_at(command: Any, rig: SyncRig) -> None:
    rig.write({"a.md": GOOD})
    identity = rig.incident.id
    assert command("sync", "touch", identity, "--key", "a.md").code == 2
    plan = rollback.planned(rig.incident, "touch")
    assert plan is not None
    assert command("sync", "touch", identity, "--digest", "0" * 12, "--yes").code == 4
    assert "vmq-touched" not in rig.head("a.md")["Metadata"]
    done = command("sync", "touch", identity, "--digest", plan.digest[:12], "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["ok"] is True
    assert identity in rig.head("a.md")["Metadata"]["vmq-touched"]
    undone = command("sync", "touch", identity, "--undo", "--yes")
    assert undone.code == 0, undone.err
    assert rig.head("a.md")["Metadata"] == {}


@pytest.mark.parametrize("arguments", [[], ["--key", "a", "--resume"], ["--check", "--undo"]], ids=str)
def test_it_has_to_be_said_what_to_touch(command: Any, rig: SyncRig, arguments: list[str]) -> None:
    done = command("sync", "touch", rig.incident.id, *arguments)
    assert done.code == 2
    assert "--failed" in done.err


def test_failed_ones_are_known_only_after_a_look(command: Any, rig: SyncRig) -> None:
    done = command("sync", "touch", rig.incident.id, "--failed", "--yes")
    assert done.code == 2
    assert f"vmq sync verify --incident {rig.incident.id}" in done.err


@pytest.mark.slow
def test_a_killed_touch_goes_on(command: Any, rig: SyncRig) -> None:
    """The process is killed in the middle; nothing is touched twice."""
    keys = [f"doc-{number:02}.md" for number in range(60)]
    rig.write(dict.fromkeys(keys, GOOD))
    rig.tick()
    # The first come soon; of the others sixteen are always under way, and seconds of work are left.
    rig.local.faults.add(service="s3", operation="CopyObject", latency=0.2, times=16)
    rig.local.faults.add(service="s3", operation="CopyObject", latency=2)
    words = [sys.executable, "-m", "vmqlib.cli", "sync", "touch", rig.incident.id, "--yes"]
    words += [word for key in keys for word in ("--key", key)]
    child = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    end = time.monotonic() + 60
    while not touched(rig) and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    assert child.wait(30) == -signal.SIGKILL
    rig.local.faults.clear()
    all_arrived(rig.local.url)  # asked again before that, an object would be touched twice
    assert 0 < touched(rig) < len(keys)
    assert command("sync", "touch", rig.incident.id, "--key", keys[0], "--resume").code == 2
    done = command("sync", "touch", rig.incident.id, "--resume")
    assert done.code == 0, done.err
    assert touched(rig) == len(keys)
    versions = rig.s3.list_object_versions(Bucket=rig.bucket)["Versions"]
    assert len(versions) == 2 * len(keys)


def touched(rig: SyncRig) -> int:
    """How many objects have a second version."""
    return len(rig.s3.list_object_versions(Bucket=rig.bucket).get("Versions", [])) - len(
        rig.s3.list_objects_v2(Bucket=rig.bucket).get("Contents", [])
    )


class TestAlarms:
    @pytest.fixture
    def alarm(self, rig: SyncRig) -> Any:
        client = rig.aws.client("cloudwatch")

        def put(app: str = "") -> None:
            client.put_metric_alarm(
                AlarmName="QBusinessSyncFailed",
                Namespace="VaultMesh/QBusiness",
                MetricName="SyncFailed",
                Dimensions=[{"Name": "App", "Value": app}] if app else [],
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="notBreaching",
            )

        yield put
        client.delete_alarms(AlarmNames=["QBusinessSyncFailed"])

    def publish(self, rig: SyncRig, value: float) -> None:
        dimensions = [{"Name": "App", "Value": rig.settings.app_id}]
        datum: Any = {"MetricName": "SyncFailed", "Value": value, "Dimensions": dimensions}
        rig.aws.client("cloudwatch").put_metric_data(Namespace="VaultMesh/QBusiness", MetricData=[datum])
        rig.tick(120)

    def test_all_ok_is_0_and_in_the_journal(self, command: Any, rig: SyncRig, alarm: Any) -> None:
        alarm(rig.settings.app_id)
        self.publish(rig, 0)
        done = command("alarms", "wait", "--incident", rig.incident.id, "--json")
        assert done.code == 0, done.err
        assert done.json["ok"] is True
        last = list(rig.incident.journal.events())[-1]
        assert (last.kind, last.data.model_dump()["action"]) == ("verified", "watch alarms")

    def test_one_that_stays_is_5_at_the_deadline(self, command: Any, rig: SyncRig, alarm: Any) -> None:
        alarm(rig.settings.app_id)
        self.publish(rig, 1)
        done = command("alarms", "wait", "--deadline", "3s", "--json")
        assert done.code == 5, done.err
        assert done.json["alarms"][0]["state"] == "ALARM"
        assert "Without another breach it is OK within" in done.err

    def test_ctrl_c_is_130(self, command: Any, rig: SyncRig, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(alarmlook.Look, "__call__", interrupted)
        done = command("alarms", "wait")
        assert done.code == 130
        assert "vmq alarms wait" in done.err

    def test_a_blind_one_is_1_at_once(self, command: Any, rig: SyncRig, alarm: Any) -> None:
        alarm()
        self.publish(rig, 1)
        done = command("alarms", "wait")
        assert done.code == 1, done.err
        assert "never sees a datapoint" in done.out
        assert f"App={rig.settings.app_id}" in done.out
