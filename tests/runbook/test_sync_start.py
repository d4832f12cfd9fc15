"""A sync is started or joined, and the one who asks is told whose job it is; refused where it cannot work."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.sync_rig import SyncRig

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, AwsError, BadInput, CheckFailed, Throttled, Unreachable, WorldChanged
from vmqlib.runbook import resync
from vmqlib.runbook.rollback.results import Status
from vmqlib.simulator.qbusiness import Pace
from vmqlib.times import iso

START = "StartDataSourceSyncJob"


@pytest.fixture
def rig(
    local_aws: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SyncRig]:
    import types

    import botocore.endpoint

    point_at(local_aws)
    # boto3 waits between its attempts; nobody needs to here.
    quick = types.SimpleNamespace(**{**vars(botocore.endpoint.time), "sleep": lambda _: None})
    monkeypatch.setattr(botocore.endpoint, "time", quick)
    rig = SyncRig(local_aws, attempts=3)
    rig.quiet()
    yield rig
    rig.quiet()


def start(rig: SyncRig, **more: Any) -> resync.Started:
    return resync.start(rig.aws, rig.settings, rig.source, patience=rig.patience(), **more)


def journaled(rig: SyncRig, **more: Any) -> resync.Started:
    return resync.journaled_start(
        rig.again(), rig.aws, rig.settings, rig.source, patience=rig.patience(), **more
    )


class TestWhose:
    def test_started(self, rig: SyncRig) -> None:
        before = len(rig.jobs())
        started = start(rig)
        assert (started.joined, started.owner) == (False, "ours")
        assert [job.execution_id for job in rig.jobs()[before:]] == [started.execution_id]

    def test_another_s(self, rig: SyncRig) -> None:
        rig.aws.client("qbusiness").start_data_source_sync_job(**rig.ids)
        rig.sleep(90)
        started = start(rig)
        assert (started.joined, started.owner) == (True, "another's")
        said = r"another's: it began 1 min \d+ s before our request, and no answer to us was lost"
        assert re.fullmatch(said, started.why)

    @pytest.mark.parametrize(
        "fault", [{"status": 500}, {"status": 503}, {"reset": True}, {"status": 504}], ids=str
    )
    def test_a_lost_answer_is_told_from_anothers_job(self, rig: SyncRig, fault: dict[str, Any]) -> None:
        before = len(rig.jobs())
        rig.local.faults.add("qbusiness", START, after=True, times=1, **fault)
        started = start(rig)
        assert (started.joined, started.owner) == (True, "ours")
        assert re.fullmatch(
            r"ours, most likely: it began (within a second of|\d s after) our request", started.why
        )
        assert len(rig.jobs()) == before + 1

    def test_a_lost_answer_beside_a_job_of_before(self, rig: SyncRig) -> None:
        """Our first answer was lost, and the job that runs had begun 90 s before: it is not ours."""
        rig.aws.client("qbusiness").start_data_source_sync_job(**rig.ids)
        rig.sleep(90)
        rig.local.faults.add("qbusiness", START, reset=True, times=1)
        started = start(rig)
        assert started.owner == "another's"
        assert re.fullmatch(r"another's: it began 1 min \d+ s before our request", started.why)

    def test_a_throttled_request_started_nothing(self, rig: SyncRig) -> None:
        rig.aws.client("qbusiness").start_data_source_sync_job(**rig.ids)
        rig.local.faults.add("qbusiness", START, code="ThrottlingException", times=2)
        assert start(rig).owner == "another's"

    @pytest.mark.parametrize("wrong", [-3600, 3600])
    def test_this_machines_clock_may_be_wrong(self, rig: SyncRig, wrong: float) -> None:
        class Wrong:
            def now(self) -> Any:
                return rig.local.clock.now() + timedelta(seconds=wrong)

        aws = Aws(rig.settings, Wrong(), max_attempts=3)
        rig.local.faults.add("qbusiness", START, reset=True, after=True, times=1)
        assert resync.start(aws, rig.settings, rig.source).owner == "ours"
        rig.sleep(60)
        assert resync.start(aws, rig.settings, rig.source).owner == "another's"
        aws.close()

    def test_every_answer_is_lost_and_the_jobs_tell(self, rig: SyncRig) -> None:
        rig.local.faults.add("qbusiness", START, reset=True, after=True)
        started = start(rig)
        assert (started.joined, started.owner) == (True, "ours")
        assert rig.jobs()[-1].execution_id == started.execution_id

    def test_lost_and_then_throttled(self, rig: SyncRig) -> None:
        rig.local.faults.add("qbusiness", START, reset=True, after=True, times=1)
        rig.local.faults.add("qbusiness", START, code="ThrottlingException")
        started = resync.start(rig.aws, rig.settings, rig.source, patience=rig.patience(0))
        assert (started.joined, started.owner) == (True, "ours")

    def test_no_request_arrived(self, rig: SyncRig) -> None:
        before = len(rig.jobs())
        rig.local.faults.add("qbusiness", START, reset=True)
        with pytest.raises(Unreachable) as told:
            start(rig)
        assert not isinstance(told.value, resync.OutcomeUnknown)
        assert len(rig.jobs()) == before

    def test_a_job_that_failed_at_once_is_ours_all_the_same(self, rig: SyncRig) -> None:
        rig.backend.pace = Pace(base=0.001, jitter=0)
        role = rig.resource().settings["roleArn"]
        rig.backend.deny_role(role)
        try:
            rig.local.faults.add("qbusiness", START, reset=True, after=True)
            started = start(rig)
        finally:
            rig.backend.allow_role(role)
        assert started.owner == "ours"


class TestRefused:
    @pytest.mark.parametrize(("kind", "what"), [("INDEX", "index"), ("DATA_SOURCE", "data source")])
    @pytest.mark.parametrize("status", ["FAILED", "UPDATING", "DELETING", "CREATING"])
    def test_not_active(self, rig: SyncRig, kind: str, what: str, status: str) -> None:
        rig.resource(kind).status = status
        with pytest.raises(CheckFailed, match=f"The {what} .* is {status}") as told:
            start(rig)
        assert told.value.exit_code == 1
        assert told.value.hint
        with pytest.raises(CheckFailed):
            journaled(rig)
        assert rig.events("resync") == [("resync", "failed")]

    def test_why_is_what_q_business_says(self, rig: SyncRig, monkeypatch: pytest.MonkeyPatch) -> None:
        client = rig.aws.client("qbusiness")
        said = {"errorCode": "InvalidRequest", "errorMessage": "The role cannot be assumed."}
        real = client.get_data_source
        monkeypatch.setattr(
            client, "get_data_source", lambda **ids: {**real(**ids), "status": "FAILED", "error": said}
        )
        with pytest.raises(CheckFailed, match=r"FAILED: InvalidRequest: The role cannot be assumed\."):
            start(rig)

    def test_who_may_not_look_may_start(self, rig: SyncRig) -> None:
        for operation in ("GetIndex", "GetDataSource"):
            rig.local.faults.add("qbusiness", operation, code="AccessDeniedException")
        found = resync.readiness(rig.aws, rig.settings, rig.source)
        assert [check.ok for check in found.checks] == [None, None]
        assert "GetIndex" in found.checks[0].mend
        assert found.offset is not None
        assert start(rig).owner == "ours"

    def test_denied(self, rig: SyncRig) -> None:
        rig.local.faults.add("qbusiness", START, code="AccessDeniedException")
        with pytest.raises(AccessDenied, match=START):
            journaled(rig)
        assert [kind for _, kind in rig.events("resync")] == ["applying", "failed"]

    def test_throttled_to_the_end(self, rig: SyncRig) -> None:
        rig.local.faults.add("qbusiness", START, code="ThrottlingException")
        with pytest.raises(Throttled):
            start(rig)
        assert sum(rig.slept) > 50, "it was tried for a minute"

    @pytest.mark.parametrize(
        ("state", "refused"),
        [
            ("unfinished", True),
            ("interrupted", True),
            ("failed", False),
            ("differs", False),
            ("verified", False),
        ],
    )
    def test_half_a_rollback_is_not_indexed(
        self, rig: SyncRig, monkeypatch: pytest.MonkeyPatch, state: str, refused: bool
    ) -> None:
        from vmqlib.runbook import rollback

        standing = Status(state=state, command=f"vmq rollback resume {rig.incident.id}")
        monkeypatch.setattr(rollback, "status", lambda incident: standing)
        (plan,) = resync.plan_starts(rig.aws, rig.settings, resync.choose_all(rig.settings), rig.incident)
        assert (plan.refusal() is not None) == refused
        assert bool(plan.warnings) == (state in ("failed", "differs"))
        assert plan.refusal(despite_rollback=True) is None
        if not refused:
            journaled(rig)
            return
        with pytest.raises(WorldChanged, match="half of it would be indexed") as told:
            journaled(rig)
        assert told.value.exit_code == 4
        assert "rollback resume" in told.value.hint
        assert journaled(rig, about={"despite_rollback": "agreed with dana"}).owner == "ours"
        said = [
            event.data.model_dump() for event in rig.incident.journal.events() if event.kind == "applying"
        ]
        assert said[-1]["despite_rollback"] == "agreed with dana"

    def test_half_a_rollback_of_another_incident(self, rig: SyncRig, monkeypatch: pytest.MonkeyPatch) -> None:
        from vmqlib.runbook import rollback

        (rig.incident.dir / "rollback").mkdir()
        monkeypatch.setattr(rollback, "status", lambda incident: Status(state="interrupted"))
        (plan,) = resync.plan_starts(rig.aws, rig.settings, resync.choose_all(rig.settings))
        assert rig.incident.id in plan.refusal().message  # type: ignore[union-attr]
        rig.incident.close("done")
        (plan,) = resync.plan_starts(rig.aws, rig.settings, resync.choose_all(rig.settings))
        assert plan.refusal() is None


class TestJournaled:
    def test_twice_is_one_job(self, rig: SyncRig) -> None:
        before = len(rig.jobs())
        first, second = journaled(rig), journaled(rig)
        assert second.execution_id == first.execution_id
        assert (second.joined, second.owner) == (True, "ours")
        assert rig.incident.id in second.why
        assert len(rig.jobs()) == before + 1
        assert [kind for _, kind in rig.events("resync")] == ["applying", "applied"]

    def test_two_at_once_are_one_job(self, rig: SyncRig) -> None:
        before = len(rig.jobs())
        rig.incident  # noqa: B018 - opened before the threads come
        found: list[resync.Started] = []
        threads = [threading.Thread(target=lambda: found.append(journaled(rig))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({one.execution_id for one in found}) == 1
        assert sorted(one.joined for one in found) == [False, True, True, True]
        assert len(rig.jobs()) == before + 1

    def test_after_the_end_a_new_one(self, rig: SyncRig) -> None:
        first = journaled(rig)
        rig.sleep(3600)
        second = journaled(rig)
        assert second.execution_id != first.execution_id
        # How the first ended nobody had waited for: it is written down.
        assert [kind for _, kind in rig.events("resync")] == [
            "applying",
            "applied",
            "verified",
            "applying",
            "applied",
        ]

    def test_the_outcome_is_written_once(self, rig: SyncRig) -> None:
        started = journaled(rig)
        job = resync.wait(rig.aws, rig.settings, rig.source, started.execution_id, sleep=rig.sleep)
        for _ in range(2):
            resync.journal_outcome(rig.incident, job)
        assert [kind for _, kind in rig.events("resync")] == ["applying", "applied", "verified"]

    def test_nobody_knows_and_the_next_one_finds_out(self, rig: SyncRig) -> None:
        before = len(rig.jobs())
        rig.local.faults.add("qbusiness", START, reset=True, after=True)
        rig.local.faults.add("qbusiness", "ListDataSourceSyncJobs", reset=True)
        with pytest.raises(resync.OutcomeUnknown, match="Nobody knows"):
            journaled(rig)
        assert resync.begun(rig.incident)[rig.source].pending
        rig.local.faults.clear()
        found = journaled(rig)
        assert (found.joined, found.owner) == (True, "ours")
        assert len(rig.jobs()) == before + 1
        assert [kind for _, kind in rig.events("resync")] == ["applying", "applied"]

    def test_cut_short_before_the_request(self, rig: SyncRig) -> None:
        now = rig.local.clock.now() + timedelta(seconds=10)
        data = {"action": "sync", "data_source_id": rig.source, "aws_time": iso(now)}
        rig.incident.applying("resync", "Start.", data)
        assert resync.settle(rig.incident, rig.aws, rig.settings, rig.source) is None
        assert rig.source not in resync.begun(rig.incident)
        assert "no job came of it" in list(rig.incident.journal.events())[-1].summary
        assert not journaled(rig).joined

    def test_a_closed_incident_starts_nothing(self, rig: SyncRig) -> None:
        rig.incident.close("done")
        before = len(rig.jobs())
        with pytest.raises(BadInput, match="closed"):
            journaled(rig)
        assert len(rig.jobs()) == before

    def test_an_unknown_data_source(self, rig: SyncRig) -> None:
        with pytest.raises(AwsError, match="does not exist"):
            resync.start(rig.aws, rig.settings, "11111111-1111-1111-1111-111111111111")
