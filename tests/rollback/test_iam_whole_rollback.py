"""A whole rollback, as two people make it: one may plan, the other may apply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied
from vmqlib.record.incident import Incident
from vmqlib.runbook import rollback, touch
from vmqlib.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "iam"


def person(local: Any, name: str, settings: Settings) -> dict[str, str]:
    """A user with the policy of that name: the credentials."""
    import boto3

    iam = boto3.client(
        "iam",
        endpoint_url=local.url,
        region_name="eu-west-1",
        aws_access_key_id="admin",
        aws_secret_access_key="admin",
    )
    text = (DOCS / f"rollback-{name}.json").read_text()
    for placeholder, value in (
        ("BUCKET_NAME", settings.bucket_name),
        ("REGION", settings.region),
        ("ACCOUNT_ID", settings.account_id),
        ("KMS_KEY_ID", settings.kms_key_id),
    ):
        text = text.replace(placeholder, value)
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.mark.slow
def test_one_may_plan_and_the_other_may_apply(
    start_local_aws: Callable[..., Any], point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.core import enable_iam_authentication

    local = start_local_aws("sync-failed")
    point_at(local)
    settings = Settings.load()
    incident = Incident.open(settings, Aws(settings), trigger="sync-failed")
    incident.observe(("sync-jobs", "resources"))
    people = {name: person(local, name, settings) for name in ("plan", "apply")}

    def as_person(name: str) -> Incident:
        for variable, value in people[name].items():
            monkeypatch.setenv(variable, value)
        aws = Aws(settings)
        with enable_iam_authentication():
            assert aws.caller().user == name
        return Incident.load(incident.id, settings=settings, aws=aws)

    with enable_iam_authentication():
        planner = as_person("plan")
        planned = rollback.plan(planner)
        assert planned.head.counts["COPY"]
        assert "no-permission" not in planned.head.blocked
        before = planned.head.listed
        refused = rollback_refused(planner, planned)
        assert "s3:PutObject" in refused or "s3:DeleteObject" in refused
        again = rollback.plan(planner)
        assert again.head.listed == before  # nothing was changed

        applier = as_person("apply")
        done = rollback.apply(applier, again, digest=again.digest)
        assert (done.failed, done.changed, done.left) == (0, 0, 0), done
        assert rollback.verify(applier).ok
        touched = touch.plan(applier, ["architecture.md", "phases-mirage.md"])
        assert touched.head.counts == {"COPY": 2}
        assert rollback.apply(applier, touched, digest=touched.digest).ok
        back = rollback.undo(applier)
        assert back.head.counts


def rollback_refused(incident: Incident, planned: Any) -> str:
    """What is said to who may not apply: as an error, or item by item."""
    try:
        applied = rollback.apply(incident, planned, digest=planned.digest)
    except AccessDenied as error:
        return error.hint
    return str(applied)
