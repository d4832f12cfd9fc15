from __future__ import annotations

import json
from typing import Any

from harness import Peer, check, same

OBJECTS = "arn:aws:s3:::kb/*"


def statement(effect: str, action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@check("iam-simulate-principal-policy")
def _(peer: Peer) -> None:
    iam = peer.client("iam")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=policy())["Role"]["Arn"]
    allow = statement("Allow", "s3:Get*", OBJECTS)
    deny = statement("Deny", "s3:GetObject", "arn:aws:s3:::kb/secret/*")
    key = statement("Allow", "kms:Decrypt", "*", Condition={"StringEquals": {"kms:ViaService": "s3"}})
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=policy(allow, deny))
    managed = iam.create_policy(PolicyName="key", PolicyDocument=policy(key))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="reader", PolicyArn=managed)

    def asked(actions: list[str], resources: list[str], **more: Any) -> list[dict[str, Any]]:
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=role,
            ActionNames=actions,
            ResourceArns=resources,
            PaginationConfig={"PageSize": 1},
            **more,
        )
        return [row for page in pages for row in page["EvaluationResults"]]

    rows = asked(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::kb/a", "arn:aws:s3:::kb/secret/b"])
    same([row["EvalDecision"] for row in rows], ["allowed", "explicitDeny", "implicitDeny", "implicitDeny"])
    same([row["EvalActionName"] for row in rows][::2], ["s3:GetObject", "s3:ListBucket"])
    same([one["SourcePolicyId"] for one in rows[0]["MatchedStatements"]], ["role_reader_own"])
    (row,) = asked(["kms:Decrypt"], ["*"])
    same((row["EvalDecision"], row["MissingContextValues"]), ("implicitDeny", ["kms:ViaService"]))
    entry = {"ContextKeyName": "kms:ViaService", "ContextKeyValues": ["s3"], "ContextKeyType": "string"}
    (row,) = asked(["kms:Decrypt"], ["*"], ContextEntries=[entry])
    same((row["EvalDecision"], row["MissingContextValues"]), ("allowed", []))
    iam.put_role_permissions_boundary(RoleName="reader", PermissionsBoundary=managed)
    (row,) = asked(["s3:GetObject"], ["arn:aws:s3:::kb/a"])
    same(row["EvalDecision"], "implicitDeny")
    same(row["PermissionsBoundaryDecisionDetail"], {"AllowedByPermissionsBoundary": False})
    nobody = {"PolicySourceArn": role + "x", "ActionNames": ["s3:GetObject"]}
    same(peer.error(iam.simulate_principal_policy, **nobody), (404, "NoSuchEntity"))
