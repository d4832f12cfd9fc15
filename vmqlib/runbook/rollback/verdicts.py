"""What an answer means for a run: for its item alone, for every item, or for later."""

from __future__ import annotations

from typing import Any

from vmqlib.errors import AccessDenied, AwsError, CredentialsExpired, CredentialsMissing, Throttled
from vmqlib.runbook.rollback.outcome import Outcome

__all__ = ["CHANGED", "GENERAL", "SAME", "asked_to_wait", "ending", "failed", "hopeless"]

GENERAL = frozenset({"AccessDenied", "no-permission", "AllAccessDisabled", "AccountProblem"})
"""Codes that concern more than their item when they come in a row."""

CHANGED = Outcome(
    "changed",
    problem="It was changed after the plan was made, and was left alone.",
    hint="Look at it (vmq versions), then plan again.",
)
"""The look before the request found another version than the planned one."""

SAME = "Somebody else did the same after the plan was made."

_LONGEST_S = 60.0  # that S3 may ask us to wait
_HOPELESS = (CredentialsExpired, CredentialsMissing)
_HOPELESS_CODES = frozenset(
    {
        *("ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        *("RequestTimeTooSkewed", "NoSuchBucket"),
    }
)


def hopeless(result: Any) -> bool:
    """Whether no request of these credentials, or to this bucket, will be taken."""
    return isinstance(result, _HOPELESS) or getattr(result, "code", "") in _HOPELESS_CODES


def asked_to_wait(error: AwsError) -> float:
    """Seconds that S3 asked to wait."""
    return min(error.retry_after, _LONGEST_S) if isinstance(error, Throttled) else 0.0


def failed(error: AwsError) -> Outcome:
    """The outcome of an item that S3 refused, or that was tried often enough."""
    return Outcome("failed", code=error.code or type(error).__name__, problem=error.message, hint=error.hint)


def ending(outcome: Outcome) -> AwsError:
    """What ends a run, from the item that it was seen at."""
    kind = AccessDenied if outcome.code in {"AccessDenied", "no-permission"} else AwsError
    return kind(outcome.problem or f"S3 refuses: {outcome.code}.", hint=outcome.hint, code=outcome.code)
