"""SimulatePrincipalPolicy: what the policies of a user, a group or a role would allow.

API reference: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html. As there,
conditions are weighed against ContextEntries alone, and the keys that were not given are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException, ValidationError
from moto.iam.models import IAMBackend
from moto.iam.responses import IamResponse

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.policies import Request, Statement, condition_keys, decide, in_force, statements

__all__ = ["install"]

_MOST = 1000


@dataclass(frozen=True)
class _Principal:
    policies: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None


def _principal(backend: IAMBackend, arn: str) -> _Principal:
    kinds: tuple[tuple[str, Any], ...] = (
        ("user", backend.users),
        ("role", backend.roles),
        ("group", backend.groups),
    )
    for kind, known in kinds:
        found = next((one for one in known.values() if one.arn == arn), None)
        if found is not None:
            boundary = getattr(found, "permissions_boundary_arn", None)
            return _Principal(
                tuple(_statements(backend, kind, found)),
                tuple(in_force(backend.managed_policies.get(boundary))) if boundary else None,
            )
    raise NotFoundException(f"The entity with ARN {arn} cannot be found.")


def _statements(backend: IAMBackend, kind: str, found: Any) -> Iterator[Statement]:
    inline: Any = found.policies
    for name, document in inline.items():
        yield from statements(f"{kind}_{found.name}_{name}", document)
    for policy in found.managed_policies.values():
        yield from in_force(policy)
    if kind == "user":
        for group in backend.groups.values():
            if found in group.users:
                yield from _statements(backend, "group", group)


def simulate_principal_policy(self: IamResponse) -> ActionResult:
    actions = self._get_param("ActionNames") or []
    if any(":" not in action for action in actions):
        raise ValidationError("Invalid Action: it must be in the form service:action.")
    principal = _principal(self.backend, self._get_param("PolicySourceArn"))
    more = [
        statement
        for number, document in enumerate(self._get_param("PolicyInputList") or [], 1)
        for statement in statements(f"PolicyInputList.{number}", document)
    ]
    context = {
        str(entry["ContextKeyName"]): str((entry.get("ContextKeyValues") or [""])[0])
        for entry in self._get_param("ContextEntries") or []
    }
    rows = [
        _result(principal, (*principal.policies, *more), Request(action, resource, context))
        for action in actions
        for resource in self._get_param("ResourceArns") or ["*"]
    ]
    begin, most = int(self._get_param("Marker") or 0), int(self._get_param("MaxItems") or _MOST)
    page = {"EvaluationResults": rows[begin : begin + most], "IsTruncated": begin + most < len(rows)}
    return ActionResult({**page, "Marker": str(begin + most)} if page["IsTruncated"] else page)


def _result(principal: _Principal, policies: tuple[Statement, ...], request: Request) -> dict[str, Any]:
    verdict, matched = decide(policies, request)
    row: dict[str, Any] = {
        "EvalActionName": request.action,
        "EvalResourceName": request.resource,
        "MatchedStatements": [
            {"SourcePolicyId": one.source, "SourcePolicyType": "IAM Policy"} for one in matched
        ],
        "MissingContextValues": sorted(
            {
                key
                for one in (*policies, *(principal.boundary or ()))
                if one.names(request)
                for key in condition_keys(one)
                if key.lower() not in {known.lower() for known in request.context}
            }
        ),
    }
    if principal.boundary is not None:
        within = decide(principal.boundary, request)[0]
        row["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within == "allowed"}
        if verdict == "allowed":
            verdict = within
    return {**row, "EvalDecision": verdict}


def install() -> None:
    """Sets the simulation on moto's IAM."""
    replace(IamResponse, simulate_principal_policy=simulate_principal_policy)
