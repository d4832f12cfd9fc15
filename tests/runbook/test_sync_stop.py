"""A running sync is stopped: asked for once, waited for, and told as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.sync_rig import SyncRig

from vmqlib.errors import AccessDenied, DeadlinePassed, WorldChanged
from vmqlib.runbook import resync
from vmqlib.simulator.qbusiness import Pace

STOP = "StopDataSourceSyncJob"


@pytest.fixture
def rig(local_aws: Any, point_at: Callable[[Any], None]) -> Iterator[SyncRig]:
    point_at(local_aws)
    rig = SyncRig(local_aws)
    rig.quiet()
    yield rig
    rig.quiet()


def running(rig: SyncRig) -> resync.SyncJob:
    resync.start(rig.aws, rig.settings, rig.source)
    job = resync.latest(rig.aws, rig.settings, rig.source)
    assert job is not None
    return job


def stop(rig: SyncRig, job: resync.SyncJob, **more: Any) -> resync.Stopped:
    return resync.stop(
        rig.aws, rig.settings, job, patience=more.pop("patience", rig.patience()), sleep=rig.sleep,
        monotonic=rig.monotonic, **more,
    )  # fmt: skip


def test_stopping_then_aborted(rig: SyncRig) -> None:
    seen: list[str] = []
    done = stop(rig, running(rig), incident=rig.incident, progress=lambda job: seen.append(job.status))
    assert done.ok
    assert (seen[0], seen[-1]) == ("STOPPING", "ABORTED")
    assert rig.events("stabilize") == [("stabilize", "applying"), ("stabilize", "applied")]


def test_a_job_of_this_incident_has_its_end_told_as_well(rig: SyncRig) -> None:
    started = resync.journaled_start(rig.incident, rig.aws, rig.settings, rig.source)
    job = resync.find(rig.aws, rig.settings, rig.source, started.execution_id)
    stop(rig, job, incident=rig.incident)
    assert resync.begun(rig.incident)[rig.source].ended
    assert rig.events("resync")[-1] == ("resync", "failed")


def test_it_had_ended_by_itself(rig: SyncRig) -> None:
    job = running(rig)
    rig.sleep(3600)
    done = stop(rig, job, incident=rig.incident)
    assert (done.ok, done.job.status) == (False, "SUCCEEDED")
    assert "had ended before" in done.sentence
    assert rig.events("stabilize")[-1] == ("stabilize", "failed")


def test_another_one_runs_by_now(rig: SyncRig) -> None:
    first = running(rig)
    rig.sleep(3600)
    second = running(rig)
    with pytest.raises(WorldChanged, match=second.execution_id):
        stop(rig, first)
    assert rig.backend.syncs.running(rig.source).status == "SYNCING"


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"reset": True}, {"code": "ThrottlingException"}, {"status": 500, "after": True},
     {"reset": True, "after": True}],
    ids=["500", "cut", "throttled", "lost 500", "lost"],
)  # fmt: skip
def test_faults_on_the_way(rig: SyncRig, fault: dict[str, Any]) -> None:
    job = running(rig)
    rig.local.faults.add("qbusiness", STOP, times=3, **fault)
    rig.local.faults.add("qbusiness", "ListDataSourceSyncJobs", code="ThrottlingException", probability=0.3)
    assert stop(rig, job, incident=rig.incident).ok


def test_every_answer_to_the_stop_is_lost(rig: SyncRig) -> None:
    job = running(rig)
    rig.local.faults.add("qbusiness", STOP, reset=True, after=True)
    assert stop(rig, job, patience=rig.patience(0)).ok


def test_denied(rig: SyncRig) -> None:
    job = running(rig)
    rig.local.faults.add("qbusiness", STOP, code="AccessDeniedException")
    with pytest.raises(AccessDenied, match=STOP):
        stop(rig, job, incident=rig.incident)
    assert rig.events("stabilize")[-1] == ("stabilize", "failed")
    assert rig.backend.syncs.running(rig.source).status == "SYNCING"


def test_still_stopping_at_the_deadline_and_settled_later(rig: SyncRig) -> None:
    rig.backend.pace = Pace(jitter=0, stopping=600)
    job = running(rig)
    with pytest.raises(DeadlinePassed, match="STOPPING"):
        stop(rig, job, incident=rig.incident, deadline=timedelta(seconds=30))
    assert rig.events("stabilize")[-1] == ("stabilize", "noted")
    resync.unsettled_stops(rig.incident, rig.aws, rig.settings)
    assert rig.events("stabilize")[-1] == ("stabilize", "noted"), "it is still being stopped"
    rig.sleep(900)
    resync.unsettled_stops(rig.incident, rig.aws, rig.settings)
    resync.unsettled_stops(rig.incident, rig.aws, rig.settings)
    assert [kind for _, kind in rig.events("stabilize")] == ["applying", "noted", "applied"]


def test_killed_between_the_line_and_the_request(rig: SyncRig) -> None:
    job = running(rig)
    data = {"action": "stop sync", "data_source_id": rig.source, "execution_id": job.execution_id}
    rig.incident.applying("stabilize", "Stop it.", data)
    resync.unsettled_stops(rig.incident, rig.aws, rig.settings)
    last = list(rig.incident.journal.events())[-1]
    assert last.kind == "failed"
    assert "it runs on" in last.summary
