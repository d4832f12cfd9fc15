"""The role of an S3 data source, as the user guide's "IAM role for Amazon S3 connector" wants it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["READING", "TRUST", "create_connector_role"]

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "qbusiness.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "123456789012"},
                "ArnLike": {"aws:SourceArn": "arn:aws:qbusiness:eu-west-1:123456789012:application/*"},
            },
        }
    ],
}
READING = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": "arn:aws:s3:::*",
            "Condition": {"StringEquals": {"aws:ResourceAccount": "123456789012"}},
        },
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"},
    ],
}


def create_connector_role(iam: Any, name: str) -> str:
    """Creates a role that may read every bucket of the account, and returns its ARN."""
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=json.dumps(READING))
    return str(role["Role"]["Arn"])
