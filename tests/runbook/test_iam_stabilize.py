"""docs/iam/stabilize.json is enough for schedules and syncs, and nothing in it is superfluous: they run under it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.sync_rig import CRON, SyncRig

from vmqlib.errors import AwsError
from vmqlib.runbook import resync, stabilize
from vmqlib.runbook.patience import Patience

pytestmark = pytest.mark.slow

POLICY = json.loads((Path(__file__).parents[2] / "docs" / "iam" / "stabilize.json").read_text())
ACTIONS = [action for statement in POLICY["Statement"] for action in statement["Action"]]


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws("sync-failed")


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncRig]:
    import boto3

    point_at(local)
    admin = {"aws_access_key_id": "admin", "aws_secret_access_key": "admin"}
    iam = boto3.client("iam", **admin)
    iam.create_user(UserName="stabilizer")
    key = iam.create_access_key(UserName="stabilizer")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    rig = SyncRig(local)

    def may(*actions: str) -> None:
        text = json.dumps(
            {
                **POLICY,
                "Statement": [
                    {**each, "Action": left}
                    for each in POLICY["Statement"]
                    if (left := [one for one in each["Action"] if one in actions])
                ],
            }
        )
        text = text.replace("REGION", rig.settings.region).replace("ACCOUNT_ID", rig.settings.account_id)
        iam.put_user_policy(UserName="stabilizer", PolicyName="p", PolicyDocument=text)

    rig.may = may  # type: ignore[attr-defined]
    yield rig
    iam.close()
    rig.aws.close()


def work(rig: SyncRig) -> list[str]:
    """Everything that the policy is for; what was said of a permission that is missing."""
    said: list[str] = []
    now = Patience(0, rig.sleep, rig.monotonic)

    def attempt(what: Callable[[], Any]) -> Any:
        try:
            return what()
        except AwsError as error:
            said.append(f"{error}")
            return None

    found = attempt(lambda: resync.readiness(rig.aws, rig.settings, rig.source, patience=now))
    said.extend(check.mend for check in found.checks if check.ok is None) if found else None
    for make in (stabilize.plan_disable, stabilize.plan_restore):
        chosen = resync.choose_all(rig.settings)
        plan = attempt(lambda: make(rig.incident, rig.aws, rig.settings, chosen, patience=now))  # noqa: B023
        if plan is None:
            continue
        attempt(lambda: stabilize.apply(rig.incident, plan, rig.settings, digest=plan.digest, patience=now))  # noqa: B023
        if not stabilize.schedules_off(rig.incident):
            break
    attempt(lambda: resync.start(rig.aws, rig.settings, rig.source, patience=now))
    job = attempt(
        lambda: resync.wait(rig.aws, rig.settings, rig.source, sleep=rig.sleep, monotonic=rig.monotonic)
    )
    if job is not None and job.status == "INCOMPLETE":
        first = resync.failed_documents(rig.aws, rig.settings, job)
        said.append(first.note)
        rig.local.faults.add("logs", "FilterLogEvents", status=500)
        said.append(resync.failed_documents(rig.aws, rig.settings, job).note)
        rig.local.faults.clear()
    attempt(lambda: resync.start(rig.aws, rig.settings, rig.source, patience=now))
    job = attempt(lambda: resync.latest(rig.aws, rig.settings, rig.source))
    if job is not None:
        attempt(
            lambda: resync.stop(
                rig.aws, rig.settings, job, patience=now, sleep=rig.sleep, monotonic=rig.monotonic
            )
        )
    return said


def test_enough_and_nothing_idle(rig: SyncRig) -> None:
    from moto.core import enable_iam_authentication

    def missing(*actions: str) -> list[str]:
        rig.may(*actions)  # type: ignore[attr-defined]
        with enable_iam_authentication():
            said = work(rig)
        rig.quiet()
        return said

    said = missing(*ACTIONS)
    assert not any("Grant" in one or "Access denied" in one for one in said), said
    assert rig.schedule == CRON
    idle = [
        action
        for action in ACTIONS
        if not any(action in one for one in missing(*(one for one in ACTIONS if one != action)))
    ]
    assert idle == []
