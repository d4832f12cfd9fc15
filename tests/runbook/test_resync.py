"""Sync jobs: started or joined, waited for, told apart."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, BadInput, DeadlinePassed, ResourceMissing
from vmqlib.record.incident import Incident
from vmqlib.runbook import resync
from vmqlib.settings import Connector, Settings
from vmqlib.sources.syncjobs import RUNNING, TERMINAL
from vmqlib.times import Window

ONE = "11111111-1111-1111-1111-111111111111"
TWO = "22222222-2222-2222-2222-222222222222"


@pytest.fixture
def aws(local_aws: Any, point_at: Callable[[Any], None]) -> Aws:
    point_at(local_aws)
    local_aws.clock.set(local_aws.clock.now())  # at the real pace a sync could be over before it is looked at
    return Aws(Settings.load())


@pytest.fixture
def pass_time(local_aws: Any) -> Callable[[float], None]:
    """A sleep that moves the simulated clock, so that nobody waits."""
    return lambda seconds: local_aws.clock.advance(timedelta(seconds=seconds))


def test_every_status_has_a_meaning() -> None:
    assert set(resync.MEANING) == RUNNING | TERMINAL
    assert len(resync.MEANING) == 7


def test_start_then_wait_then_history(aws: Aws, pass_time: Callable[[float], None]) -> None:
    settings = aws.settings
    started = resync.start(aws, settings, settings.ds_id)
    assert not started.joined
    seen: list[str] = []
    job = resync.wait(
        aws, settings, settings.ds_id, progress=lambda each: seen.append(each.status), sleep=pass_time
    )
    assert job.succeeded
    assert job.execution_id == started.execution_id
    assert seen[0] in RUNNING
    assert seen[-1] == "SUCCEEDED"
    assert job.scanned > 200
    assert job.ended_at is not None
    recent = resync.history(aws, settings, settings.ds_id, Window(job.started_at, job.ended_at))
    assert [each.execution_id for each in recent] == [job.execution_id]
    assert resync.latest(aws, settings, settings.ds_id) == job


def test_a_second_start_joins(aws: Aws, pass_time: Callable[[float], None]) -> None:
    settings = aws.settings
    first = resync.start(aws, settings, settings.ds_id)
    second = resync.start(aws, settings, settings.ds_id)
    assert second.joined
    assert second.execution_id == first.execution_id
    resync.wait(aws, settings, settings.ds_id, sleep=pass_time)


def test_a_lost_answer_is_our_own_job(local_aws: Any, aws: Aws, pass_time: Callable[[float], None]) -> None:
    """The request did its work, the answer was lost, boto3 tries again and meets its own job: ConflictException."""
    settings = aws.settings
    rule = local_aws.faults.add(
        service="qbusiness", operation="StartDataSourceSyncJob", status=500, code="InternalServerException",
        times=1, after=True,
    )  # fmt: skip
    started = resync.start(aws, settings, settings.ds_id)
    local_aws.faults.remove(rule)
    assert started.joined
    job = resync.wait(aws, settings, settings.ds_id, started.execution_id, sleep=pass_time)
    assert job.succeeded


def test_waiting_through_throttling(local_aws: Any, aws: Aws, pass_time: Callable[[float], None]) -> None:
    settings = aws.settings
    started = resync.start(aws, settings, settings.ds_id)
    rule = local_aws.faults.add(
        service="qbusiness",
        operation="ListDataSourceSyncJobs",
        status=429,
        code="ThrottlingException",
        times=2,
    )
    job = resync.wait(aws, settings, settings.ds_id, started.execution_id, sleep=pass_time)
    local_aws.faults.remove(rule)
    assert job.succeeded


def test_deadline(aws: Aws, pass_time: Callable[[float], None]) -> None:
    settings = aws.settings
    started = resync.start(aws, settings, settings.ds_id)
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(DeadlinePassed, match="still") as raised:
        resync.wait(
            aws,
            settings,
            settings.ds_id,
            deadline=timedelta(seconds=30),
            sleep=sleep,
            monotonic=lambda: now[0],
            rng=random.Random(1),
        )
    assert raised.value.exit_code == 5
    assert now[0] == pytest.approx(30)
    # The job was left alone.
    assert resync.wait(aws, settings, settings.ds_id, started.execution_id, sleep=pass_time).succeeded


def test_a_stopped_job_is_not_success(aws: Aws, pass_time: Callable[[float], None]) -> None:
    settings = aws.settings
    resync.start(aws, settings, settings.ds_id)
    aws.client("qbusiness").stop_data_source_sync_job(
        applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=settings.ds_id
    )
    job = resync.wait(aws, settings, settings.ds_id, sleep=pass_time)
    assert job.status == "ABORTED"
    assert not job.succeeded
    assert "ABORTED" in resync.describe(job, job.started_at)


def test_unknown_execution_and_unknown_data_source(aws: Aws) -> None:
    with pytest.raises(ResourceMissing, match=TWO):
        resync.wait(aws, aws.settings, aws.settings.ds_id, TWO)
    with pytest.raises(AwsError):
        resync.start(aws, aws.settings, ONE)


def test_the_journal_says_what_was_done(aws: Aws, pass_time: Callable[[float], None]) -> None:
    incident = Incident.open(aws.settings, aws, trigger="sync-failed")
    started = resync.journaled_start(incident, aws, aws.settings, aws.settings.ds_id)
    resync.journal_outcome(
        incident, resync.wait(aws, aws.settings, aws.settings.ds_id, started.execution_id, sleep=pass_time)
    )
    with pytest.raises(AwsError):
        resync.journaled_start(incident, aws, aws.settings, ONE)
    kinds = [event.kind for event in incident.journal.events()]
    assert kinds == ["opened", "applying", "applied", "verified", "failed"], (
        "the last never got as far as a request"
    )


class TestChoose:
    def several(self) -> Settings:
        connectors = (Connector(name="docs", data_source_id=ONE), Connector(name="slack", data_source_id=TWO))
        return Settings.load(connectors=connectors)

    def test_by_name_and_by_id(self) -> None:
        assert resync.choose(self.several(), connector="slack").data_source_id == TWO
        assert resync.choose(self.several(), data_source_id=ONE).name == "docs"

    def test_several_and_none_named(self) -> None:
        with pytest.raises(BadInput, match="Several") as raised:
            resync.choose(self.several())
        assert "docs|slack" in raised.value.hint

    def test_unknown_name(self) -> None:
        with pytest.raises(BadInput, match="wiki"):
            resync.choose(self.several(), connector="wiki")

    def test_none_set(self) -> None:
        with pytest.raises(BadInput, match="DS_ID"):
            resync.choose(Settings.load())
