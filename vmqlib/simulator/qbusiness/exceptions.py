"""The errors of Amazon Q Business, worded so that botocore's model can serialise them.

HTTP statuses come from the model (409 for a conflict, 402 for a quota …); see "Common Errors" and each
operation's page of the Amazon Q Business API reference.
"""

from __future__ import annotations

from collections.abc import Sequence

from moto.core.exceptions import ServiceException

__all__ = [
    "AccessDenied",
    "Conflict",
    "QBusinessError",
    "QuotaExceeded",
    "ResourceNotFound",
    "UnknownOperation",
    "Unparsable",
    "Validation",
]


class QBusinessError(ServiceException):
    """Any error that the simulated service answers."""


class AccessDenied(QBusinessError):
    """IAM says no (403)."""

    code = "AccessDeniedException"


class ResourceNotFound(QBusinessError):
    """No such resource (404).

    Parameters
    ----------
    resource_id:
        The id that was asked for.
    resource_type:
        What it should have been, for example ``DATA_SOURCE``.
    """

    code = "ResourceNotFoundException"

    def __init__(self, resource_id: str, resource_type: str) -> None:
        what = resource_type.replace("_", " ").lower()
        super().__init__(f"The {what} with id {resource_id} does not exist.")
        self.resourceId = resource_id
        self.resourceType = resource_type


class Conflict(QBusinessError):
    """The action does not go with the resource's present state (409).

    Parameters
    ----------
    message:
        What stands against it.
    resource_id:
        The resource concerned.
    resource_type:
        Its kind, for example ``DATA_SOURCE``.
    """

    code = "ConflictException"

    def __init__(self, message: str, resource_id: str, resource_type: str) -> None:
        super().__init__(message)
        self.resourceId = resource_id
        self.resourceType = resource_type


class QuotaExceeded(QBusinessError):
    """More than the service allows (402).

    Parameters
    ----------
    message:
        Which limit.
    resource_id:
        The resource that has the limit.
    resource_type:
        Its kind.
    """

    code = "ServiceQuotaExceededException"

    def __init__(self, message: str, resource_id: str, resource_type: str) -> None:
        super().__init__(message)
        self.resourceId = resource_id
        self.resourceType = resource_type


class Validation(QBusinessError):
    """The input does not fit the operation (400).

    Parameters
    ----------
    message:
        What is wrong.
    fields:
        Pairs of a field's name and what is wrong with it.
    """

    code = "ValidationException"
    reason = "FIELD_VALIDATION_FAILED"

    def __init__(self, message: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.fields = [{"name": name, "message": text} for name, text in fields]


class Unparsable(Validation):
    """The request's body could not be read (400)."""

    reason = "CANNOT_PARSE"


class UnknownOperation(Validation):
    """An operation that the simulator does not have (400, reason ``UNKNOWN_OPERATION``)."""

    reason = "UNKNOWN_OPERATION"
