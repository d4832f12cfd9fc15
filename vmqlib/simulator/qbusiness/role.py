"""What the connector's role may do: moto's IAM asked as AWS would ask it.

The role's inline and attached policies and its permissions boundary, and the bucket's policy where it names the
role. "IAM role for Amazon S3 connector" in the user guide says what such a role needs; the words of a refusal are
those of "Troubleshoot access denied error messages" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vmqlib.simulator.policies import Request, Statement, Verdict, decide, in_force, principals, statements

__all__ = ["SERVICE", "Role", "find_role"]

SERVICE = "qbusiness.amazonaws.com"
_SESSION = "AmazonQBusiness"


@dataclass
class Role:
    """A role, as it is in the moment of one sync.

    Parameters
    ----------
    arn:
        Its ARN.
    trust:
        Statements of its trust policy.
    policies:
        Statements of its inline and attached policies.
    boundary:
        Statements of its permissions boundary; None for none.
    context:
        What conditions are weighed against.
    """

    arn: str
    trust: tuple[Statement, ...]
    policies: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None
    context: dict[str, str] = field(default_factory=dict)

    def is_assumable(self, data_source_arn: str) -> bool:
        """Whether Amazon Q Business may assume it for that data source."""
        given = [
            statement for statement in self.trust if {SERVICE, "*"} & set(principals(statement, "Service"))
        ]
        context = {**self.context, "aws:SourceArn": data_source_arn}
        return decide(given, Request("sts:AssumeRole", self.arn, context))[0] == "allowed"

    def refusal(self, action: str, resource: str, *policies_of_resource: Statement) -> str:
        """Why it may not, in AWS's words; empty when it may.

        Parameters
        ----------
        action:
            For example ``s3:GetObject``.
        resource:
            An ARN.
        policies_of_resource:
            Statements of the resource's own policy.
        """
        request = Request(action, resource, self.context)
        own, boundary = decide(self.policies, request)[0], self._within(request)
        named = [one for one in policies_of_resource if self._is_named(one)]
        of_resource = decide(named, request)[0]
        if "explicitDeny" in (own, boundary, of_resource):
            kind = {own: "an identity-based policy", boundary: "a permissions boundary"}.get(
                "explicitDeny", "a resource-based policy"
            )
            return self._words(action, resource, f"with an explicit deny in {kind}")
        if of_resource == "allowed" or (own == "allowed" and boundary == "allowed"):
            return ""
        kind = "identity-based policy" if own != "allowed" else "permissions boundary"
        return self._words(action, resource, f"because no {kind} allows the {action} action")

    def _within(self, request: Request) -> Verdict:
        return "allowed" if self.boundary is None else decide(self.boundary, request)[0]

    def _is_named(self, statement: Statement) -> bool:
        return bool({self.arn, "*"} & set(principals(statement, "AWS")))

    def _words(self, action: str, resource: str, why: str) -> str:
        account, name = self.arn.split(":")[4], self.arn.rsplit("/", 1)[-1]
        who = f"arn:aws:sts::{account}:assumed-role/{name}/{_SESSION}"
        return f'User: {who} is not authorized to perform: {action} on resource: "{resource}" {why}'


def find_role(account_id: str, partition: str, region: str, arn: str) -> Role | None:
    """The role as IAM has it now; None when there is no such role.

    Parameters
    ----------
    account_id, partition, region:
        Whose, and where the connector runs.
    arn:
        The role.
    """
    from moto.iam.models import iam_backends

    backend: Any = iam_backends[account_id][partition]
    stored = next((role for role in backend.roles.values() if role.arn == arn), None)
    if stored is None:
        return None
    boundary = getattr(stored, "permissions_boundary_arn", None) or ""
    return Role(
        arn=arn,
        trust=tuple(statements("trust", stored.assume_role_policy_document)),
        policies=tuple(_policies_of(stored)),
        boundary=tuple(in_force(backend.managed_policies.get(boundary))) if boundary else None,
        context={
            "aws:PrincipalAccount": account_id,
            "aws:PrincipalArn": arn,
            "aws:RequestedRegion": region,
            "aws:ResourceAccount": account_id,
            "aws:SecureTransport": "true",
            "aws:SourceAccount": account_id,
            "kms:CallerAccount": account_id,
            "kms:ViaService": f"s3.{region}.amazonaws.com",
            "s3:ResourceAccount": account_id,
        },
    )


def _policies_of(stored: Any) -> Iterator[Statement]:
    for name, document in stored.policies.items():
        yield from statements(name, document)
    for policy in stored.managed_policies.values():
        yield from in_force(policy)
