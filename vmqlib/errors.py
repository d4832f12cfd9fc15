"""Every error the kit raises: one sentence for what happened, one for what to do, and an exit code.

Exit codes are part of the interface (``docs/architecture.md``): 0 done, 1 the check found a problem,
2 bad input or settings, 3 AWS refused or cannot be reached, 4 the world changed or somebody else
holds the lock, 5 a deadline passed, 130 interrupted.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AlreadyOpen",
    "AwsError",
    "BadInput",
    "CheckFailed",
    "CorruptRecord",
    "CredentialsExpired",
    "CredentialsMissing",
    "DeadlinePassed",
    "Declined",
    "DeliveryFailed",
    "Interrupted",
    "LockHeld",
    "ResourceMissing",
    "RunFailed",
    "ServiceUnavailableHere",
    "SettingsError",
    "StorageError",
    "Throttled",
    "UnknownIncident",
    "Unreachable",
    "VmqError",
    "WorldChanged",
]


class VmqError(Exception):
    """Base of every error of the kit.

    Parameters
    ----------
    message:
        One sentence that says what happened.
    hint:
        One sentence that says what to do. Empty where nothing useful can be said.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class CheckFailed(VmqError):
    """A check ran to its end and found a problem."""

    exit_code = 1


class CorruptRecord(CheckFailed):
    """An incident folder does not say what its own hashes say."""


class RunFailed(CheckFailed):
    """A notebook run stopped before its end. The record that was saved says where."""


class BadInput(VmqError):
    """A value given on the command line, in a call or in a notebook parameter cannot be used."""

    exit_code = 2


class SettingsError(BadInput):
    """A setting is missing or wrong. The message names the key and the file it came from."""


class UnknownIncident(BadInput):
    """No incident of that id is in the incidents folder."""


class StorageError(BadInput):
    """The disk refused: read-only, full, or not ours to write to."""


class AwsError(VmqError):
    """AWS refused, or could not be reached.

    Parameters
    ----------
    operation:
        The call in IAM's spelling, for example ``logs:FilterLogEvents``.
    code:
        The error code as AWS sent it; empty where no answer came.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", operation: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.operation = operation
        self.code = code


class AccessDenied(AwsError):
    """The caller lacks a permission."""


class CredentialsMissing(AwsError):
    """boto3 found no credentials."""


class CredentialsExpired(AwsError):
    """The credentials were valid once, or belong to nobody."""


class ResourceMissing(AwsError):
    """An id, bucket or log group does not exist."""


class ServiceUnavailableHere(AwsError):
    """The region has no such service."""


class Throttled(AwsError):
    """AWS answered "slow down", at every attempt where several were made.

    Parameters
    ----------
    retry_after:
        Seconds that AWS asked to wait (``Retry-After``); 0 where it did not say.
    """

    def __init__(
        self, message: str, *, hint: str = "", operation: str = "", code: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message, hint=hint, operation=operation, code=code)
        self.retry_after = retry_after


class Unreachable(AwsError):
    """No answer: name resolution, connection or time-out.

    Parameters
    ----------
    late:
        Whether it was waited for in vain, rather than refused or cut.
    """

    def __init__(
        self, message: str, *, hint: str = "", operation: str = "", code: str = "", late: bool = False
    ) -> None:
        super().__init__(message, hint=hint, operation=operation, code=code)
        self.late = late


class DeliveryFailed(VmqError):
    """A message did not go out, or nobody knows whether it did.

    Parameters
    ----------
    maybe:
        Whether it may have arrived: the answer was lost. It is not sent again by itself then.
    code:
        What the receiver said, in its own words; empty where it said nothing.
    why:
        The reason alone, a sentence: for whoever says by themselves what was not sent where. By default the message.
    stopped:
        Whether somebody pressed Ctrl-C while it waited to be tried again.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        maybe: bool = False,
        code: str = "",
        why: str = "",
        stopped: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.maybe = maybe
        self.code = code
        self.why = why or message
        self.stopped = stopped


class WorldChanged(VmqError):
    """What was planned for is not what is there now."""

    exit_code = 4


class AlreadyOpen(VmqError):
    """There is an incident for that cause already; another one was not opened.

    Parameters
    ----------
    incident_id:
        Which.
    closed:
        Whether it is closed: then nobody works on it.
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "", incident_id: str = "", closed: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.incident_id = incident_id
        self.closed = closed


class LockHeld(VmqError):
    """Another process is writing to the same incident."""

    exit_code = 4


class DeadlinePassed(VmqError):
    """What was waited for did not happen in time. It may still happen."""

    exit_code = 5


class Interrupted(VmqError):
    """Ctrl-C or SIGTERM. What was read so far is kept."""

    exit_code = 130


class Declined(Interrupted):
    """A person was asked, and said no. That is no error: the message says what was not done."""
