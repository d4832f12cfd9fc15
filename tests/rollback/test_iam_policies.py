"""The two policies in docs/iam are enough, and nothing in them is superfluous: the rollback is run under them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.one_key import Counting, Shelf, shelf_in, wire_in

from vmqlib.errors import AccessDenied, AwsError
from vmqlib.runbook.rollback.ground import versioning
from vmqlib.runbook.rollback.items import Item
from vmqlib.runbook.rollback.objects import Objects, Outcome
from vmqlib.sources.versionlisting import list_versions

ACCOUNT, REGION = "123456789012", "eu-west-1"
KMS_KEY = "11111111-2222-3333-4444-555555555555"
KMS = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KMS_KEY}",
}
PART = 5 * 1024**2
DOCS = Path(__file__).resolve().parents[2] / "docs"
POLICIES = {name: (DOCS / "iam" / f"rollback-{name}.json").read_text() for name in ("plan", "apply")}


def actions(policy: str) -> list[str]:
    return [action for statement in json.loads(policy)["Statement"] for action in statement["Action"]]


def without(policy: str, action: str) -> str:
    parsed = json.loads(policy)
    for statement in parsed["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != action]
    parsed["Statement"] = [statement for statement in parsed["Statement"] if statement["Action"]]
    return json.dumps(parsed)


@dataclass
class Desk:
    """A bucket with something of every kind in it, and somebody who may do what a policy says."""

    shelf: Shelf
    wire: Counting
    user: str
    denied: list[str] = field(default_factory=list)

    def may(self, policy: str) -> None:
        filled = (
            policy.replace("BUCKET_NAME", self.shelf.name)
            .replace("REGION", REGION)
            .replace("ACCOUNT_ID", ACCOUNT)
            .replace("KMS_KEY_ID", KMS_KEY)
        )
        assert not re.search(r"[A-Z]+_[A-Z]+", filled), filled
        _iam(self.shelf.local).put_user_policy(UserName=self.user, PolicyName="p", PolicyDocument=filled)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A refusal ends one thing and is noted; the others go on."""
        try:
            yield
        except AccessDenied as error:
            self.denied.append(error.hint)


def _iam(local: Any) -> Any:
    import boto3

    return boto3.client(
        "iam",
        endpoint_url=local.url,
        region_name=REGION,
        aws_access_key_id="admin",
        aws_secret_access_key="admin",
    )


@pytest.fixture(scope="module")
def somebody(start_local_aws: Callable[..., Any]) -> Desk:
    local = start_local_aws(None)
    shelf = shelf_in(local)
    iam = _iam(local)
    iam.create_user(UserName="on-call")
    made = iam.create_access_key(UserName="on-call")["AccessKey"]
    wire = wire_in(
        local,
        shelf.name,
        AWS_ACCESS_KEY_ID=made["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=made["SecretAccessKey"],
    )
    return Desk(shelf, wire, "on-call")


@pytest.fixture
def desk(somebody: Desk) -> Desk:
    somebody.denied.clear()
    _fill(somebody.shelf.empty())
    return somebody


def _fill(shelf: Shelf) -> None:
    shelf.put("plain", b"one")
    shelf.put("plain", b"two")
    shelf.put("tagged", b"one", Tagging="team=ops")
    shelf.put("tagged", b"two")
    shelf.put("secret", b"one", **KMS)
    shelf.put("secret", b"two")
    shelf.put("new", b"one")
    shelf.put("gone", b"one")
    shelf.delete("gone")
    shelf.put("large", b"x" * (PART + 1), Tagging="team=ops", **KMS)
    shelf.put("large", b"two")
    shelf.put("cold", b"one", StorageClass="GLACIER")
    shelf.put("cold", b"two")


def _items(shelf: Shelf) -> list[Item]:
    actions: dict[str, Any] = {"new": "DELETE", "gone": "UNDELETE"}
    keys = ("plain", "tagged", "secret", "new", "gone", "large", "cold")
    return [shelf.item(key, actions.get(key, "COPY")) for key in keys]


def plan(desk: Desk, items: list[Item]) -> list[Item]:
    """What planning asks S3."""
    objects = Objects(desk.wire)
    with desk.watched():
        assert versioning(desk.wire) == "Enabled"
    with desk.watched():
        assert len(list(list_versions(desk.wire))) == 13
    looked = []
    for item in items:
        looked.append(objects.inspect(item))
        if looked[-1].code == "no-permission":
            desk.denied.append(looked[-1].remedy)
    missing = objects.inspect(
        Item("gone", "COPY", items[0].current, items[0].target)
    )  # a version that is not there
    if missing.code != "missing":
        desk.denied.append(missing.remedy)
    return looked


def apply(desk: Desk, items: list[Item]) -> dict[str, Outcome | None]:
    """What applying asks S3, the failure of a copy in parts and a thaw included."""
    objects = Objects(desk.wire, multipart_above=PART, part_size=PART)
    outcomes: dict[str, Outcome | None] = {}
    changes = [item for item in items if item.key != "cold"]
    with desk.watched():
        assert objects.still_planned(changes) == {item.key for item in changes}
    for item in changes:
        outcome = objects.apply(item)
        outcomes[item.key] = outcome
        if outcome.result == "failed":
            desk.denied.append(outcome.hint)
    with desk.watched():
        assert objects.apply(changes[0], in_doubt=True).result in ("found", "done", "failed")
    with desk.watched():
        objects.thaw(items[-1])
    return outcomes


def give_up(desk: Desk) -> None:
    """A copy in parts that somebody else's write overtakes."""
    large = desk.shelf.item("large", "COPY", back=len(desk.shelf.history("large")) - 1)
    assert large.target.size > PART
    theirs = desk.shelf.put("large", b"theirs")
    with enforced():
        outcome = Objects(desk.wire, multipart_above=PART, part_size=PART).apply(large)
    assert outcome.result == "changed"
    assert outcome.version_id == theirs
    if left := desk.shelf.client.list_multipart_uploads(Bucket=desk.shelf.name).get("Uploads"):
        desk.denied.append(f"{len(left)} uploads are left: s3:AbortMultipartUpload")
        for upload in left:
            desk.shelf.client.abort_multipart_upload(
                Bucket=desk.shelf.name, Key=upload["Key"], UploadId=upload["UploadId"]
            )


@contextmanager
def enforced() -> Iterator[None]:
    """IAM is asked, by everybody's requests."""
    from moto.core import enable_iam_authentication

    with enable_iam_authentication():
        yield


def test_under_the_plan_policy_everything_can_be_planned(desk: Desk) -> None:
    desk.may(POLICIES["plan"])
    items = _items(desk.shelf)
    with enforced():
        looked = plan(desk, items)
    assert desk.denied == []
    assert [item.action for item in looked] == [
        "COPY",
        "COPY",
        "COPY",
        "DELETE",
        "UNDELETE",
        "COPY",
        "BLOCKED",
    ]
    assert looked[-1].code == "archived"


def test_under_the_plan_policy_nothing_can_be_changed(desk: Desk) -> None:
    desk.may(POLICIES["plan"])
    before = {item.key: desk.shelf.history(item.key) for item in _items(desk.shelf)}
    with enforced():
        items = plan(desk, _items_seen(desk))
        outcomes = apply(desk, items)
    assert {outcome.code for outcome in outcomes.values() if outcome} == {"no-permission"}
    for key, action in (("plain", "s3:PutObject"), ("new", "s3:DeleteObject")):
        outcome = outcomes[key]
        assert outcome is not None
        assert f"{action} on arn:aws:s3:::{desk.shelf.name}/{key}" in outcome.hint
        assert "on-call" in outcome.hint
    assert {key: desk.shelf.history(key) for key in before} == before
    assert "Restore" not in desk.shelf.head("cold", VersionId=before["cold"][1])


def _items_seen(desk: Desk) -> list[Item]:
    """The items as somebody sees them who may list."""
    mine = Shelf(desk.shelf.name, desk.shelf.client, desk.wire, "simulator", desk.shelf.local)
    return _items(mine)


def test_under_the_apply_policy_everything_can_be_applied(desk: Desk) -> None:
    desk.may(POLICIES["apply"])
    with enforced():
        items = plan(desk, _items_seen(desk))
        outcomes = apply(desk, items)
    assert desk.denied == []
    assert {key for key, outcome in outcomes.items() if outcome and outcome.result == "done"} == set(outcomes)
    assert desk.shelf.tags("tagged") == {"team": "ops"}
    assert desk.shelf.head("secret")["SSEKMSKeyId"] == KMS["SSEKMSKeyId"]
    assert "true" in desk.shelf.head("cold", VersionId=items[-1].target.version_id)["Restore"]
    give_up(desk)
    assert desk.denied == []


@pytest.mark.parametrize("action", actions(POLICIES["plan"]))
def test_each_action_of_the_plan_policy_is_needed(desk: Desk, action: str) -> None:
    items = _items(desk.shelf)
    desk.may(without(POLICIES["plan"], action))
    with enforced():
        plan(desk, items)
    assert desk.denied
    assert all(action in hint for hint in desk.denied), desk.denied


@pytest.mark.parametrize("action", actions(POLICIES["apply"]))
def test_each_action_of_the_apply_policy_is_needed(desk: Desk, action: str) -> None:
    items = _items(desk.shelf)
    desk.may(POLICIES["apply"])
    with enforced():
        looked = plan(desk, items)
    desk.may(without(POLICIES["apply"], action))
    with enforced():
        plan(desk, items)
        apply(desk, looked)
    if action == "s3:AbortMultipartUpload":
        give_up(desk)
    assert desk.denied, f"nothing needs {action}"
    assert all(action in hint for hint in desk.denied), desk.denied


def test_no_policy_can_destroy_a_version() -> None:
    for policy in POLICIES.values():
        assert not {"s3:DeleteObjectVersion", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"} & set(
            actions(policy)
        )
        assert "*" not in "".join(actions(policy))


def test_every_action_is_explained() -> None:
    text = (DOCS / "iam.md").read_text()
    explained = set(
        re.findall(r"`((?:s3|kms):\w+)`", text.partition("## To plan")[2].partition("## What may")[0])
    )
    assert explained == set(actions(POLICIES["apply"]))
    to_plan = set(
        re.findall(r"`((?:s3|kms):\w+)`", text.partition("## To plan")[2].partition("## To apply")[0])
    )
    assert to_plan == set(actions(POLICIES["plan"]))
    assert issubclass(AccessDenied, AwsError)
