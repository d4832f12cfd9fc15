"""One conditional write to S3, tried until it is known what became of it.

A throttled request was surely not carried out; one without an answer, or with a server's error, perhaps. Then, and when
the condition was not met, the bucket is asked what is there: our own write, somebody else's, or what was there before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from vmqlib.errors import (
    AccessDenied,
    AwsError,
    CredentialsExpired,
    CredentialsMissing,
    Throttled,
    Unreachable,
)
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.s3 import NoAnswer

if TYPE_CHECKING:
    from vmqlib.s3 import S3, Answer

__all__ = ["write"]

_UNMET = frozenset(
    {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "NoSuchKey", "404", "409", "412"}
)


def write(
    s3: S3,
    key: str,
    send: Callable[[], Answer],
    became: Callable[[], Outcome | None],
    *,
    operation: str,
    stop: threading.Event | None = None,
) -> Outcome:
    """Sends a conditional write, as often as the session's ``max_attempts``, until its outcome is known.

    Parameters
    ----------
    send:
        One request, one attempt.
    became:
        Asks the bucket: ``found`` (our write is there), ``changed`` (somebody else's is), or None: all is as before.
    operation:
        In IAM's spelling, for errors.
    stop:
        Ends the pauses between attempts.

    Raises
    ------
    CredentialsExpired, CredentialsMissing
        Surely not done, and nothing else would be.
    Throttled, Unreachable
        S3 did not get around to it. Perhaps done, where there was no answer.
    """
    attempt, in_doubt = 1, False
    while True:
        error: AwsError
        try:
            if in_doubt and (outcome := became()) is not None:
                return outcome
            answer = send()
            if answer.status < 300:
                etag = answer.headers.get("etag", "").strip('"')
                return Outcome("done", answer.headers.get("x-amz-version-id", ""), etag)
            error = s3.refuse(answer, operation, f"arn:aws:s3:::{s3.bucket}/{key}")
            in_doubt = answer.status >= 500 and not isinstance(error, Throttled)
            again = in_doubt or isinstance(error, Throttled) or error.code == "RequestTimeout"
            if error.code in _UNMET:
                if (outcome := became()) is not None:
                    return outcome
                again = True
        except (CredentialsExpired, CredentialsMissing):
            raise
        except NoAnswer as lost:
            error, again = lost, True
            in_doubt = in_doubt or lost.sent
        except AwsError as refused:  # the bucket could not be asked what became of it
            error, again = refused, False
        if not again:
            if isinstance(error, Throttled | Unreachable):
                raise error
            code = "no-permission" if isinstance(error, AccessDenied) else error.code
            return Outcome("failed", code=code, problem=error.message, hint=error.hint)
        if attempt >= s3.max_attempts or (stop is not None and stop.is_set()):
            raise (
                error
                if isinstance(error, Throttled | Unreachable)
                else Unreachable(
                    f"{error.message} After {attempt} attempts it is not known to be done.",
                    hint="Run it again: what is there already is not written again.",
                    operation=operation,
                    code=error.code,
                )
            )
        s3.pause(attempt, stop)
        attempt += 1
