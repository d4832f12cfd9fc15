"""Four bad days as far as schedules and syncs go, from what the record finds to the proper end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from support.sync_rig import SyncRig

from vmqlib.errors import CheckFailed
from vmqlib.record.incident import Incident
from vmqlib.runbook import opening, resync, rollback, stabilize
from vmqlib.runbook.approvals import remedy
from vmqlib.runbook.nextsteps import next_steps

pytestmark = pytest.mark.slow
SEEN = ("sync-jobs", "resources", "alarms", "document-report", "versions")


class Day(SyncRig):
    """A scenario, and an incident that was opened for it."""

    def __init__(self, local: Any, attempts: int, trigger: str) -> None:
        super().__init__(local, attempts)
        self._incident = opening.open_incident(self.settings, self.aws, trigger=trigger, clock=local.clock)

    @property
    def incident(self) -> Incident:
        return self._incident  # type: ignore[return-value]

    def commands(self) -> list[str]:
        return [step.command for step in next_steps(self.incident)]

    def switch(self, verb: str, **more: Any) -> tuple[stabilize.Switched, ...]:
        make = stabilize.plan_disable if verb == "disable" else stabilize.plan_restore
        chosen = resync.choose_all(self.settings, default=self.incident.identity.data_source_id)
        plan = make(self.incident, self.aws, self.settings, chosen, patience=self.patience(), **more)
        return stabilize.apply(
            self.incident, plan, self.settings, digest=plan.digest, patience=self.patience()
        )

    def sync(self) -> resync.SyncJob:
        """Started, waited for, written down."""
        started = resync.journaled_start(
            self.incident, self.aws, self.settings, self.source, patience=self.patience()
        )
        job = resync.wait(
            self.aws,
            self.settings,
            self.source,
            started.execution_id,
            sleep=self.sleep,
            monotonic=self.monotonic,
        )
        resync.journal_outcome(self.incident, job)
        return job


@pytest.fixture
def day(start_local_aws: Callable[..., Any], point_at: Callable[[Any], None]) -> Callable[..., Day]:
    def begin(scenario: str, trigger: str, *, attempts: int = 3, look: bool = True) -> Day:
        local = start_local_aws(scenario)
        point_at(local)
        made = Day(local, attempts, trigger)
        if look:
            made.incident.observe(SEEN)
        return made

    return begin


def test_sync_failed(day: Callable[..., Day]) -> None:
    """Failures recur: the schedule goes off, the objects go back, a sync succeeds, the schedule comes back."""
    today = day("sync-failed", "sync-failed")
    cron = today.schedule
    assert f"vmq schedule disable {today.incident.id}" in today.commands()
    today.switch("disable")
    assert f"vmq schedule disable {today.incident.id}" not in today.commands()
    bad = today.sync()
    assert bad.status == "INCOMPLETE"
    failed = resync.failed_documents(today.aws, today.settings, bad)
    assert len(failed.documents) == bad.failed == len(today.local.truth.broken_keys)
    plan = rollback.plan(today.incident)
    rollback.apply(today.incident, plan, digest=plan.digest)
    assert today.sync().succeeded
    with pytest.raises(CheckFailed, match="still switched off"):
        stabilize.no_schedule_left_off(today.incident)
    today.switch("restore")
    stabilize.no_schedule_left_off(today.incident)
    assert today.schedule == cron
    assert today.incident.verify().ok


def test_sync_failed_with_the_schedule_approved_beforehand(day: Callable[..., Day]) -> None:
    today = day("sync-failed", "sync-failed")
    cron = today.schedule
    nothing = remedy(today.incident)
    assert (nothing.schedule, today.schedule) == ("", cron), "by default nothing is changed"
    done = remedy(today.incident, ("schedule",))
    assert today.schedule == ""
    assert done.stopped is None
    assert "with the same error" in done.schedule
    assert done.outcome == "planned", "the rollback was not approved"
    today.switch("restore")
    again = remedy(today.incident, ("schedule",))
    assert (today.schedule, again.stopped) == (cron, None), "once in an incident"
    assert today.incident.observed("resources").available


def test_no_sync(day: Callable[..., Day]) -> None:
    """The schedule is found off, by nobody of this incident: it is set again, and a sync brings what is missing."""
    today = day("no-sync", "no-sync")
    assert today.schedule == ""
    restore = re.compile(rf"vmq schedule restore {today.incident.id} --to '(cron\(\d+ \d+ \* \* \? \*\))'")
    (was,) = [found[1] for step in today.commands() if (found := restore.fullmatch(step))]
    assert today.switch("disable") == ()
    (done,) = today.switch("restore", to=was)
    assert (done.after, today.schedule) == (was, was)
    job = today.sync()
    assert job.succeeded
    assert job.added >= len(today.local.truth.missing_keys)
    assert stabilize.schedules_off(today.incident) == ()


def test_role_denied(day: Callable[..., Day]) -> None:
    """The sync can be started, and FAILED says why; with the permission back it succeeds."""
    today = day("role-denied", "sync-failed")
    job = today.sync()
    assert job.status == "FAILED"
    assert "denied" in job.error_message.lower() or "authorized" in job.error_message.lower()
    last = list(today.incident.journal.events())[-1]
    assert last.kind == "failed"
    assert job.error_message in last.summary
    assert not resync.begun(today.incident)[today.source].pending

    nothing = remedy(today.incident, ("schedule",))
    # Whether it is recurring the rule decides, from the syncs that were seen; it says which.
    assert (today.schedule == "") == ("with the same error" in nothing.schedule)

    iam = boto3.client("iam")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "kms:Decrypt"], "Resource": "*"}
        ],
    }
    iam.put_role_policy(
        RoleName="vaultmesh-qbusiness-s3", PolicyName="read-knowledge-base", PolicyDocument=json.dumps(policy)
    )
    iam.close()
    assert today.sync().succeeded
    if stabilize.schedules_off(today.incident):
        today.switch("restore")


def test_throttled(day: Callable[..., Day]) -> None:
    """AWS throttles whoever looks, boto3's repetitions are spent, S3 throttles the connector: all comes to its end."""
    today = day("throttled", "sync-failed", attempts=1, look=False)
    cron = today.schedule
    today.switch("disable")
    assert today.schedule == ""
    job = today.sync()
    assert job.status in ("SUCCEEDED", "INCOMPLETE")
    if job.status == "INCOMPLETE":
        failed = resync.failed_documents(today.aws, today.settings, job)
        assert failed.counted == job.failed
        assert failed.documents or failed.note
    today.switch("restore")
    assert today.schedule == cron
    assert today.slept
    assert today.incident.verify().ok
