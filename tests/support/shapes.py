"""Holds every Q Business answer that a client receives against botocore's own model of the service.

botocore's parser is lenient: a member that the model does not have, a status that is no status, a token that
is too long all pass unseen. The local AWS is only worth something when its answers could have come from AWS,
so tests let none of that pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import botocore.handlers
from botocore.validate import ParamValidator

__all__ = ["VIOLATIONS", "problems", "watch"]

VIOLATIONS: list[str] = []
"""What was wrong with the answers since the list was last emptied, one sentence each."""

_EVENT = "after-call.qbusiness"
# The model's patterns are Java's. What Python spells differently (line breaks are control characters,
# too, but messages have them), and one slip of the model's that nothing could match.
_JAVA = {r"\P{C}": r"[^\x00-\x08]", "$}": "$"}


class _Strict(ParamValidator):  # type: ignore[misc]
    """botocore's validator (types, required and unknown members, minima) with enums, patterns and maxima."""

    def _validate(self, params: Any, shape: Any, errors: Any, name: str) -> None:
        super()._validate(params, shape, errors, name)
        if params is not None and shape.type_name != "structure":
            self._limits(params, shape.metadata, errors, name)

    @staticmethod
    def _limits(value: Any, limits: Mapping[str, Any], errors: Any, name: str) -> None:
        def report(expected: str) -> None:
            errors.report(name, "invalid type", param=str(value)[:80], valid_types=[expected])

        if "enum" in limits and value not in limits["enum"]:
            report(f"one of {', '.join(limits['enum'])}")
        pattern = _python_pattern(limits.get("pattern", "")) if isinstance(value, str) else None
        if pattern and not pattern.fullmatch(value):
            report(f"text that matches {pattern.pattern}")
        size = len(value) if hasattr(value, "__len__") else value
        if isinstance(size, int | float) and size > limits.get("max", float("inf")):
            report(f"{limits['max']} at most, not {size}")


def _python_pattern(java: str) -> re.Pattern[str] | None:
    for theirs, ours in _JAVA.items():
        java = java.replace(theirs, ours)
    return re.compile(java, re.DOTALL) if java else None


def problems(answer: Mapping[str, Any], shape: Any) -> list[str]:
    """What in ``answer`` the model does not allow, one sentence each.

    Parameters
    ----------
    answer:
        A parsed answer, without ``ResponseMetadata``.
    shape:
        The operation's output shape; None where it answers nothing.
    """
    if shape is None:
        return []
    plain = {name: value for name, value in answer.items() if not hasattr(value, "close")}  # an event stream
    report = _Strict().validate(plain, shape)
    return report.generate_report().splitlines() if report.has_errors() else []


def _after_call(model: Any, parsed: dict[str, Any], http_response: Any, **_: Any) -> None:
    if http_response.status_code < 300:
        answer = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        VIOLATIONS.extend(
            f"qbusiness:{model.name}: {problem}" for problem in problems(answer, model.output_shape)
        )


def watch() -> None:
    """Lets every client that any later boto3 session makes in this process be checked. Safe to call twice."""
    if not any(handler is _after_call for _, handler, *_ in botocore.handlers.BUILTIN_HANDLERS):
        botocore.handlers.BUILTIN_HANDLERS.append((_EVENT, _after_call))
