"""The permissions that docs/settings.md grants for looking: an incident sees every source, and none is idle."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, AwsError
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY
from vmqlib.times import SystemClock, Window

pytestmark = pytest.mark.slow

# What the sources need beyond the settings' ids: who knows none lists them, and logs are captured in other ways, too.
_BEYOND = {"logs:DescribeLogStreams", "logs:GetLogEvents", "s3:GetBucketVersioning"}
# moto calls CloudWatch's actions by the name of its endpoint.
_MOTO = ("cloudwatch:", "monitoring:")


@pytest.fixture(scope="module")
def policy(project: Any) -> dict[str, Any]:
    """The JSON under *Permissions to look*."""
    page = (project / "docs" / "settings.md").read_text()
    section = page.split("## Permissions to look", 1)[1]
    found = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


class Person:
    """A user whose only policy a test writes."""

    def __init__(self, url: str, settings: Settings) -> None:
        import boto3

        admin = {"aws_access_key_id": "admin", "aws_secret_access_key": "admin"}
        self._iam = boto3.client("iam", endpoint_url=url, region_name="eu-west-1", **admin)
        self._settings = settings
        self._iam.create_user(UserName="looker")
        self.key = self._iam.create_access_key(UserName="looker")["AccessKey"]

    def may(self, policy: dict[str, Any]) -> None:
        text = json.dumps(policy).replace(*_MOTO)
        for name in ("BUCKET_NAME", "REGION", "ACCOUNT_ID", "KMS_KEY_ID"):
            text = text.replace(name, getattr(self._settings, name.lower()))
        self._iam.put_user_policy(UserName="looker", PolicyName="look", PolicyDocument=text)

    def close(self) -> None:
        self._iam.close()


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    """With a dashboard that shows something and a metric that nobody publishes, and an access control file that was
    written again: why is asked for, and what it was."""
    import boto3

    local = start_local_aws("sync-failed")
    admin = {"aws_access_key_id": "admin", "aws_secret_access_key": "admin"}
    client = boto3.client("cloudwatch", endpoint_url=local.url, region_name="eu-west-1", **admin)
    shown = [
        ["VaultMesh/QBusiness", "SyncFailed", "App", local.env["APP_ID"]],
        ["VaultMesh/QBusiness", "SyncFailed"],
    ]
    widget = {
        "type": "metric",
        "properties": {"title": "Sync failures", "metrics": shown, "region": "eu-west-1"},
    }
    client.put_dashboard(DashboardName="VaultMesh-QBusiness", DashboardBody=json.dumps({"widgets": [widget]}))
    client.close()
    client = boto3.client("s3", endpoint_url=local.url, region_name="eu-west-1", **admin)
    acl = {"Bucket": local.env["BUCKET_NAME"], "Key": "acl.json"}
    client.put_object(**acl, Body=client.get_object(**acl)["Body"].read())
    client.close()
    return local


@pytest.fixture(scope="module")
def person(local: Any) -> Iterator[Person]:
    settings = Settings(**{name: value for name, value in local.env.items() if not name.startswith("AWS_")})
    person = Person(local.url, settings)
    yield person
    person.close()


@pytest.fixture
def refused(
    local: Any, person: Person, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, Any]], dict[str, str]]:
    """Which sources a policy refuses, each with the action that is missing."""
    from moto.core import enable_iam_authentication

    point_at(local)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", person.key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", person.key["SecretAccessKey"])
    settings = Settings.load(read_conversations=True)
    now = SystemClock().now()
    window = Window(now - timedelta(days=2), now)

    def ask(policy: dict[str, Any]) -> dict[str, str]:
        person.may(policy)
        aws = Aws(settings, max_attempts=1)
        missing: dict[str, str] = {}
        with enable_iam_authentication():
            for name, source in REGISTRY.items():
                if not source.asks_aws or not source.routine:
                    continue
                try:
                    reading = source.read(aws, settings, window)
                    # What is read beside the thing itself says of its own row that it was refused.
                    told = [str(row.get("problem", "")) for row in reading.rows]
                    if denied := [one for one in told if "denied" in one.lower()]:
                        missing[name] = " ".join(denied)
                    complete, stopped = reading.outcome()
                    if not complete:
                        missing[name] = stopped
                except AccessDenied as error:
                    missing[name] = error.message
                except AwsError as error:
                    missing[name] = f"{error}"
        aws.close()
        return missing

    return ask


def test_every_source_can_be_seen(refused: Any, policy: dict[str, Any]) -> None:
    assert refused(policy) == {}


def test_without_one_of_them_a_source_says_which(refused: Any, policy: dict[str, Any]) -> None:
    actions = [
        (statement, action)
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        if action not in _BEYOND
    ]
    idle = []
    for statement, action in actions:
        left = [one for _, one in actions if one != action]
        without = {
            **policy,
            "Statement": [
                {**each, "Action": [one for one in _list(each["Action"]) if one in left or one in _BEYOND]}
                for each in policy["Statement"]
                if set(_list(each["Action"])) - {action}
            ],
        }
        if not any(action.replace(*_MOTO) in said for said in refused(without).values()):
            idle.append((statement["Sid"], action))
    assert idle == []


def _list(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions
