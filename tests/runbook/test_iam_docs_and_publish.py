"""The policies for uploads and publishing are enough, and nothing in them is superfluous: both are run under them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.publish_rig import A_NOTEBOOK

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, VmqError
from vmqlib.record.incident import Incident
from vmqlib.runbook import docsync, publish
from vmqlib.settings import Connector, Settings

ACCOUNT, REGION, KEY = "123456789012", "eu-west-1", "11111111-2222-3333-4444-555555555555"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY}"
KMS: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}
DOCS = Path(__file__).resolve().parents[2] / "docs"
POLICIES = {name: (DOCS / "iam" / f"{name}.json").read_text() for name in ("sync-docs", "publish")}
_numbers = itertools.count()


def actions(policy: str) -> list[str]:
    return [action for statement in json.loads(policy)["Statement"] for action in statement["Action"]]


def without(policy: str, action: str) -> str:
    parsed = json.loads(policy)
    for statement in parsed["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != action]
    parsed["Statement"] = [statement for statement in parsed["Statement"] if statement["Action"]]
    return json.dumps(parsed)


class Somebody:
    """A bucket, a folder, and a user who may do what a policy says."""

    def __init__(self, local: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.bucket = folder, f"iam-{next(_numbers)}"
        self._patch = monkeypatch
        admin = {
            "endpoint_url": local.url,
            "region_name": REGION,
            "aws_access_key_id": "admin",
            "aws_secret_access_key": "admin",
        }
        self.s3, self._iam = boto3.client("s3", **admin), boto3.client("iam", **admin)  # type: ignore[call-overload]
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.user = f"user-{self.bucket}"
        self._iam.create_user(UserName=self.user)
        self._made = self._iam.create_access_key(UserName=self.user)["AccessKey"]

    def may(self, policy: str) -> Aws:
        filled = policy.replace("BUCKET_NAME", self.bucket).replace("REGION", REGION)
        filled = filled.replace("ACCOUNT_ID", ACCOUNT).replace("KMS_KEY_ID", KEY)
        self._iam.put_user_policy(UserName=self.user, PolicyName="p", PolicyDocument=filled)
        self._patch.setenv("AWS_ACCESS_KEY_ID", self._made["AccessKeyId"])
        self._patch.setenv("AWS_SECRET_ACCESS_KEY", self._made["SecretAccessKey"])
        return Aws(Settings.load(bucket_name=self.bucket, kms_key_id=ARN, region=REGION), max_attempts=1)

    def put(self, key: str, body: bytes, **more: Any) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def somebody(local: Any, point_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Somebody:
    point_at(local)
    folder = tmp_path / "docs"
    folder.mkdir()
    return Somebody(local, folder, monkeypatch)


def enforced() -> Any:
    from moto.core import enable_iam_authentication

    return enable_iam_authentication()


def upload(somebody: Somebody, aws: Aws) -> list[str]:
    """What an upload asks S3, a document that vanishes meanwhile included; the refusals."""
    somebody.put("tagged.md", b"old", Tagging="team=ops")
    somebody.put("secret.md", b"same", **KMS)
    somebody.put("vanish.md", b"old")
    somebody.put("gone.md", b"old")
    for name, text in {"tagged.md": "new", "secret.md": "same", "add.md": "new", "vanish.md": "new"}.items():
        (somebody.folder / name).write_text(text)
    somebody.put("kms.md", b"old", **KMS)
    (somebody.folder / "kms.md").write_text("new")
    with enforced():
        try:
            made = docsync.plan(aws, aws.settings, Connector(name="docs"), somebody.folder, delete=True)
        except AwsError as error:
            return [error.hint]
    somebody.s3.delete_object(Bucket=somebody.bucket, Key="vanish.md")
    with enforced():
        done = docsync.apply(made, aws, digest=made.digest, delete_most=True)
    by_key = {one.item.key: one.outcome for one in done.outcomes}
    if all(one.result != "failed" for one in by_key.values()):
        assert {key: one.result for key, one in by_key.items()} == {
            "add.md": "done", "gone.md": "done", "kms.md": "done", "tagged.md": "done", "vanish.md": "changed",
        }  # fmt: skip
    return [one.hint for one in by_key.values() if one.result == "failed"]


def publishing(somebody: Somebody, aws: Aws) -> list[str]:
    """What publishing asks S3, and publishing the same again after a second closing; the refusals."""
    incident = Incident.open(aws.settings, aws, trigger="content")
    for name in ("incident.ipynb", "incident.html"):
        (incident.dir / name).write_text(A_NOTEBOOK)
    incident.close()
    with enforced():
        try:
            made = publish.plan(incident, f"s3://{somebody.bucket}/audit/incidents/")
            publish.apply(incident, made, digest=made.digest)
            incident.reopen("it came back")
            incident.close()
            made = publish.plan(incident, f"s3://{somebody.bucket}/audit/incidents/")
            publish.apply(incident, made, digest=made.digest)
            again = publish.plan(incident, f"s3://{somebody.bucket}/audit/incidents/")
        except AwsError as error:
            return [error.hint]
    assert {one.there for one in again.files} == {"same"}
    return []


RUNS = {"sync-docs": upload, "publish": publishing}


@pytest.mark.parametrize("name", POLICIES)
def test_under_its_policy_all_of_it_can_be_done(somebody: Somebody, name: str) -> None:
    assert RUNS[name](somebody, somebody.may(POLICIES[name])) == []


@pytest.mark.parametrize(
    ("name", "action"), [(name, one) for name in POLICIES for one in actions(POLICIES[name])]
)
def test_each_action_is_needed_and_its_error_names_it(somebody: Somebody, name: str, action: str) -> None:
    refused = RUNS[name](somebody, somebody.may(without(POLICIES[name], action)))
    assert refused, f"nothing needs {action}"
    assert all(action in hint for hint in refused), refused


def test_no_policy_can_destroy_a_version() -> None:
    for policy in POLICIES.values():
        assert not {"s3:DeleteObjectVersion", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"} & set(
            actions(policy)
        )
        assert "*" not in "".join(actions(policy))


@pytest.mark.parametrize(
    ("name", "heading"), [("sync-docs", "## To upload documents"), ("publish", "## To publish a record")]
)
def test_every_action_is_explained(name: str, heading: str) -> None:
    text = (DOCS / "iam.md").read_text().partition(heading)[2].partition("\n## ")[0]
    assert set(re.findall(r"`((?:s3|kms):\w+)`", text)) == set(actions(POLICIES[name]))
    assert issubclass(AwsError, VmqError)
