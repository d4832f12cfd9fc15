"""What IAM policies allow: statements weighed as IAM weighs them, for one principal and one account. Pure.

"Policy evaluation logic" in the IAM user guide: an explicit deny wins, then an allow counts, and without either it
is denied. Condition operators that are not known here hold for nobody in an Allow and for everybody in a Deny.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

__all__ = [
    "Request",
    "Statement",
    "Verdict",
    "condition_keys",
    "decide",
    "in_force",
    "principals",
    "statements",
]

Verdict = Literal["allowed", "explicitDeny", "implicitDeny"]
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Request:
    """What somebody wants to do.

    Parameters
    ----------
    action:
        For example ``s3:GetObject``.
    resource:
        The ARN that it is done to.
    context:
        What conditions are weighed against: values by condition key, for example ``aws:ResourceAccount``.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy.

    Parameters
    ----------
    source:
        The policy's name.
    body:
        As in the policy's JSON.
    """

    source: str
    body: Mapping[str, Any] = field(repr=False)

    @property
    def denies(self) -> bool:
        """Whether its effect is Deny."""
        return self.body.get("Effect") == "Deny"

    def applies(self, request: Request) -> bool:
        """Whether action, resource and conditions fit (the principal is not looked at)."""
        return self.names(request) and all(
            self._holds(*one, request.context) for one in _conditions(self.body)
        )

    def names(self, request: Request) -> bool:
        """Whether action and resource fit, conditions left out."""
        return _fits(self.body, "Action", lambda one: _like(one.lower(), request.action.lower())) and _fits(
            self.body, "Resource", lambda one: _like(_filled(one, request.context), request.resource)
        )

    def _holds(self, operator: str, key: str, wanted: list[str], context: Mapping[str, str]) -> bool:
        name = operator.removesuffix("IfExists")
        test = _OPERATORS.get(name)
        if test is None:
            return self.denies
        value = {known.lower(): given for known, given in context.items()}.get(key.lower())
        if name == "Null":
            return any((value is None) == (one.lower() == "true") for one in wanted)
        if value is None:
            # IAM: a key that is not in the request fits no operator but the negated ones
            return operator != name or "Not" in name
        fits = any(test(_filled(one, context), value) for one in wanted)
        return not fits if "Not" in name else fits


def statements(source: str, document: object) -> Iterator[Statement]:
    """The statements of a policy document: a mapping, or its JSON. One that cannot be read has none.

    Parameters
    ----------
    source:
        The policy's name.
    document:
        The policy.
    """
    if isinstance(document, bytes | str):
        try:
            document = json.loads(document)
        except ValueError:
            return
    found = document.get("Statement") if isinstance(document, Mapping) else None
    for body in found if isinstance(found, list) else [found]:
        if isinstance(body, Mapping):
            yield Statement(source, body)


def in_force(policy: Any) -> Iterator[Statement]:
    """The statements of the version that is in force of a managed policy, as moto keeps one; None has none."""
    for version in policy.versions if policy is not None else ():
        if version.is_default:
            yield from statements(policy.name, version.document)


def decide(given: Iterable[Statement], request: Request) -> tuple[Verdict, tuple[Statement, ...]]:
    """What the statements come to, and those that decided it.

    Parameters
    ----------
    given:
        Every statement that is attached to the principal, or that names it.
    request:
        What it wants to do.
    """
    fitting = [statement for statement in given if statement.applies(request)]
    if denying := tuple(statement for statement in fitting if statement.denies):
        return "explicitDeny", denying
    return ("allowed", tuple(fitting)) if fitting else ("implicitDeny", ())


def condition_keys(statement: Statement) -> tuple[str, ...]:
    """The keys that the statement's conditions ask for."""
    return tuple(key for _, key, _ in _conditions(statement.body))


def principals(statement: Statement, kind: str) -> tuple[str, ...]:
    """The principals of that kind (``AWS``, ``Service``) that the statement names; ``*`` counts for every kind."""
    named = statement.body.get("Principal")
    if isinstance(named, str):
        return (named,)
    return tuple(_listed(named.get(kind))) if isinstance(named, Mapping) else ()


def _fits(body: Mapping[str, Any], element: str, test: Callable[[str], bool]) -> bool:
    """Whether ``Action`` (or ``Resource``) names it, or ``NotAction`` does not."""
    if element in body:
        return any(test(one) for one in _listed(body[element]))
    if f"Not{element}" in body:
        return not any(test(one) for one in _listed(body[f"Not{element}"]))
    return element == "Resource"  # trust policies name none


def _conditions(body: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for operator, pairs in (body.get("Condition") or {}).items():
        for key, wanted in pairs.items():
            yield operator, key, _listed(wanted)


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [_text(one) for one in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(text: str, context: Mapping[str, str]) -> str:
    """Policy variables, such as ``${aws:PrincipalAccount}``, replaced by what they stand for."""
    return _VARIABLE.sub(lambda match: context.get(match[1], match[0]), text) if "${" in text else text


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """IAM's wildcards: ``*`` and ``?``, no brackets."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.DOTALL)


def _equal(wanted: str, value: str) -> bool:
    return wanted == value


def _equal_ignoring_case(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringNotEquals": _equal,
    "StringEqualsIgnoreCase": _equal_ignoring_case,
    "StringNotEqualsIgnoreCase": _equal_ignoring_case,
    "StringLike": _like,
    "StringNotLike": _like,
    "ArnEquals": _like,
    "ArnNotEquals": _like,
    "ArnLike": _like,
    "ArnNotLike": _like,
    "Bool": _equal_ignoring_case,
    "Null": _equal,
}
