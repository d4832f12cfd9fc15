"""A sync reads as the data source's role, and so it is refused what the role's policies do not allow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.connector_role import TRUST

NAME = "qbusiness-s3"
BUCKET = "arn:aws:s3:::vaultmesh-knowledge-base"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def allow(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


READ = allow(["s3:GetObject", "s3:ListBucket"], [BUCKET, f"{BUCKET}/*"])
LIST = allow("s3:ListBucket", BUCKET)
DENY = {"Effect": "Deny", "Action": "s3:Get*", "Resource": f"{BUCKET}/*"}


@pytest.fixture
def iam(account: Any, clients: Any) -> Any:
    account.put(a="# Alpha")
    return clients.iam


def write(iam: Any, *statements: dict[str, Any]) -> None:
    iam.put_role_policy(RoleName=NAME, PolicyName="read", PolicyDocument=document(*statements))


def report(account: Any) -> dict[str, Any]:
    found = account.events("SYNC_RUN_HISTORY_REPORT/")
    return dict(found[-1])


GRANTS = {
    "plainly": [READ],
    "by wildcards": [allow("s3:*", "arn:aws:s3:::vaultmesh-*")],
    "in any case of letters": [allow(["S3:getobject", "s3:LISTBUCKET"], "*")],
    "in this account": [READ | {"Condition": {"StringEquals": {"aws:ResourceAccount": "123456789012"}}}],
    "by what it is not": [{"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::other/*"}],
    "with a deny of others": [READ, DENY | {"Resource": f"{BUCKET}/secret/*"}],
    "with a deny that does not hold": [
        READ,
        DENY | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ],
}
REFUSALS = {
    "a relative": [allow(["s3:GetObjectVersion", "s3:ListBucket"], [BUCKET, f"{BUCKET}/*"])],
    "the bucket without its objects": [allow(["s3:GetObject", "s3:ListBucket"], BUCKET)],
    "another bucket": [LIST, allow("s3:GetObject", "arn:aws:s3:::vaultmeshknowledgebase/*")],
    "a deny": [READ, DENY],
    "a deny unless through an endpoint": [
        READ, DENY | {"Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
    ],
    "another account": [LIST, READ | {"Condition": {"StringEquals": {"s3:ResourceAccount": "210987654321"}}}],
    "brackets that are no wildcard": [LIST, allow("s3:GetObject", f"{BUCKET}/[a-z]*")],
}  # fmt: skip


@pytest.mark.parametrize("how", GRANTS)
def test_what_a_policy_allows_is_read(account: Any, iam: Any, how: str) -> None:
    write(iam, *GRANTS[how])
    assert account.sync()["status"] == "SUCCEEDED"


@pytest.mark.parametrize("how", REFUSALS)
def test_what_no_policy_allows_fails_and_is_tried_again(account: Any, iam: Any, how: str) -> None:
    write(iam, *REFUSALS[how])
    assert account.sync()["status"] == "INCOMPLETE"
    event = report(account)
    assert event["ErrorCode"] == "AccessDenied"
    why = "with an explicit deny" if "deny" in how else "because no identity-based policy allows"
    assert (
        f"{NAME}/AmazonQBusiness is not authorized to perform: s3:GetObject on resource" in event["ErrorMsg"]
    )
    assert f'"{BUCKET}/a.md" {why}' in event["ErrorMsg"]
    write(iam, READ)
    assert account.sync()["status"] == "SUCCEEDED"


def test_whoever_may_not_list_fails_as_a_whole(account: Any, iam: Any) -> None:
    write(iam, allow("s3:GetObject", f"{BUCKET}/*"))
    job = account.sync()
    assert (job["status"], job["dataSourceErrorCode"]) == ("FAILED", "AccessDenied")
    assert f'perform: s3:ListBucket on resource: "{BUCKET}"' in job["error"]["errorMessage"]


def test_an_acl_file_that_may_not_be_read_fails_the_whole_sync(account: Any, iam: Any) -> None:
    account.put_key("acl.json", "[]")
    account.q.update_data_source(
        **account.ids, configuration=account.configuration(aclConfigurationFilePath="acl.json")
    )
    write(iam, LIST)
    job = account.sync()
    assert (job["status"], job["dataSourceErrorCode"]) == ("FAILED", "AccessDenied")
    assert "ACL configuration file s3://vaultmesh-knowledge-base/acl.json" in job["error"]["errorMessage"]
    assert "s3:GetObject" in job["error"]["errorMessage"]


def test_an_attached_policy_counts_in_the_version_that_is_in_force(account: Any, iam: Any) -> None:
    iam.delete_role_policy(RoleName=NAME, PolicyName="read")
    arn = iam.create_policy(PolicyName="reader", PolicyDocument=document(READ))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=NAME, PolicyArn=arn)
    assert account.sync()["status"] == "SUCCEEDED"
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(LIST), SetAsDefault=True)
    account.put(a="# Alpha, changed")
    assert account.sync()["status"] == "INCOMPLETE"


def test_a_boundary_bounds(account: Any, iam: Any) -> None:
    arn = iam.create_policy(PolicyName="bound", PolicyDocument=document(LIST))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=NAME, PermissionsBoundary=arn)
    assert account.sync()["status"] == "INCOMPLETE"
    assert "no permissions boundary allows" in report(account)["ErrorMsg"]


def test_the_buckets_policy_can_deny_the_role_and_allow_it(account: Any, iam: Any) -> None:
    role = {"Principal": {"AWS": account.role}}
    account.s3.put_bucket_policy(Bucket=account.bucket, Policy=document(DENY | role))
    assert account.sync()["status"] == "INCOMPLETE"
    assert "explicit deny in a resource-based policy" in report(account)["ErrorMsg"]
    write(iam, LIST)
    account.s3.put_bucket_policy(
        Bucket=account.bucket, Policy=document(allow("s3:GetObject", f"{BUCKET}/*") | role)
    )
    assert account.sync()["status"] == "SUCCEEDED"


def test_an_encrypted_object_needs_its_key(account: Any, iam: Any) -> None:
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
    account.s3.put_object(Bucket=account.bucket, Key="k.md", Body=b"# Key", **encryption)
    write(iam, READ)
    assert account.sync()["status"] == "INCOMPLETE"
    assert report(account)["ErrorCode"] == "KMS.AccessDeniedException"
    via = {"Condition": {"StringLike": {"kms:ViaService": ["s3.*.amazonaws.com"]}}}
    write(iam, READ, allow("kms:Decrypt", KEY, **via))
    assert account.sync()["status"] == "SUCCEEDED"


@pytest.mark.parametrize("trust", ["lambda.amazonaws.com", "another account", "gone"])
def test_a_role_that_cannot_be_assumed_fails_the_sync(account: Any, iam: Any, trust: str) -> None:
    if trust == "gone":
        iam.delete_role_policy(RoleName=NAME, PolicyName="read")
        iam.delete_role(RoleName=NAME)
    else:
        statement = json.loads(json.dumps(TRUST))["Statement"][0]
        if trust == "another account":
            statement["Condition"]["StringEquals"]["aws:SourceAccount"] = "210987654321"
        else:
            statement["Principal"]["Service"] = trust
        iam.update_assume_role_policy(RoleName=NAME, PolicyDocument=document(statement))
    job = account.sync()
    assert (job["status"], job["error"]["errorCode"]) == ("FAILED", "InvalidRequest")
    assert f"cannot assume the role {account.role}" in job["error"]["errorMessage"]


def test_throttled_documents_fail_and_stay_as_they_are(account: Any) -> None:
    account.put(a="# Unicorn\nA unicorn handbook.", b="# Beta")
    account.sync()
    account.put(a="# Griffin\nA griffin handbook.", c="# Gamma")
    account.backend.slow_down(account.bucket, 1.0)
    job = account.sync()
    assert job["status"] == "INCOMPLETE"
    assert account.counts(job) == {"scanned": 3, "added": 0, "modified": 0, "deleted": 0, "failed": 3}
    assert account.statuses() == {"a.md": "INDEXED", "b.md": "INDEXED"}
    events = {event["DocumentTitle"]: event for event in account.events("SYNC_RUN_HISTORY_REPORT/")[-3:]}
    assert {event["ErrorCode"] for event in events.values()} == {"SlowDown"}
    assert [event["CrawlAction"] for _, event in sorted(events.items())] == ["UNMODIFIED", "MODIFY", "ADD"]
    answer = account.q.chat_sync(applicationId=account.app, userMessage="Is there a unicorn handbook?")
    assert answer["sourceAttributions"]
    account.backend.slow_down(account.bucket, 0)
    job = account.sync()
    assert job["status"] == "SUCCEEDED"
    assert account.counts(job) == {"scanned": 3, "added": 1, "modified": 1, "deleted": 0, "failed": 0}
