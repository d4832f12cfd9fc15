"""The permissions of docs/iam/doctor.json: under them the doctor sees everything, and without one it says which."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from vmqlib.aws import Aws
from vmqlib.runbook import doctor
from vmqlib.settings import Settings

pytestmark = pytest.mark.slow

# moto calls CloudWatch's actions by the name of its endpoint, asks for SNS and IAM on everything alone, and takes
# GetBucketEncryption for ListBucket.
_MOTO = ("cloudwatch:", "monitoring:")
_ON_EVERYTHING = {"LookAtSubscriptions", "SimulateTheConnectorsRole"}
_NOT_ENFORCED = {"s3:GetEncryptionConfiguration"}


@pytest.fixture(scope="module")
def policy(project: Any) -> dict[str, Any]:
    return dict(json.loads((project / "docs" / "iam" / "doctor.json").read_text()))


@pytest.fixture
def diagnosed(
    local_aws: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any]], doctor.Diagnosis]]:
    """``diagnosed(policy)``: the doctor as a user whose only policy that is."""
    from moto.core import enable_iam_authentication

    point_at(local_aws)
    settings = Settings.load()
    iam = boto3.client("iam")
    iam.create_user(UserName="doctor")
    key = iam.create_access_key(UserName="doctor")["AccessKey"]

    def call(policy: dict[str, Any]) -> doctor.Diagnosis:
        statements = [
            each | ({"Resource": "*"} if each["Sid"] in _ON_EVERYTHING else {})
            for each in policy["Statement"]
        ]
        text = json.dumps({**policy, "Statement": statements}).replace(*_MOTO)
        for name in ("BUCKET_NAME", "REGION", "ACCOUNT_ID", "KMS_KEY_ID"):
            text = text.replace(name, str(getattr(settings, name.lower())))
        iam.put_user_policy(UserName="doctor", PolicyName="look", PolicyDocument=text)
        with monkeypatch.context() as mine:
            mine.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            mine.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            aws = Aws(settings, max_attempts=1)
            with enable_iam_authentication():
                seen = doctor.look(aws, settings)
            aws.close()
        return doctor.examine(seen, settings, local_aws.clock.now())

    yield call
    iam.close()


def without(policy: dict[str, Any], actions: set[str]) -> dict[str, Any]:
    left = [
        {**each, "Action": [one for one in each["Action"] if one not in actions]}
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": [each for each in left if each["Action"]]}


def test_with_them_nothing_is_unknown_and_without_one_it_is_named(
    diagnosed: Callable[[dict[str, Any]], doctor.Diagnosis], policy: dict[str, Any]
) -> None:
    assert not [one for one in diagnosed(policy).checks if one.ok is not True]
    idle = {one for each in policy["Statement"] for one in each["Action"]} - _NOT_ENFORCED
    # All at once; then those that were not asked for, since another one came before them.
    for _ in range(5):
        said = " ".join(one.mend for one in diagnosed(without(policy, idle)).checks if one.ok is not True)
        named = {one for one in idle if f"Grant {one} " in said or f"Grant {one.replace(*_MOTO)} " in said}
        idle -= named
        if not named:
            break
    assert idle == set()


def test_nothing_in_them_changes_anything(policy: dict[str, Any]) -> None:
    verbs = ("Get", "List", "Describe", "Filter", "Lookup", "Simulate", "Decrypt")
    actions = [one for each in policy["Statement"] for one in each["Action"]]
    assert all(one.split(":")[1].startswith(verbs) for one in actions)
    assert len(set(actions)) == len(actions)
