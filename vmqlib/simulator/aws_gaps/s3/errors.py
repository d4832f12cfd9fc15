"""S3 errors that moto has no class for. The code decides the HTTP status (botocore's model, else 400)."""

from __future__ import annotations

from moto.s3.exceptions import S3ClientError

__all__ = ["S3Error", "invalid_argument"]


class S3Error(S3ClientError):
    """Any S3 error by code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.argument_name: str | None = None
        self.argument_value: str | None = None


def invalid_argument(message: str, name: str, value: str) -> S3Error:
    """``InvalidArgument`` (400), naming the argument as S3 does."""
    error = S3Error("InvalidArgument", message)
    error.argument_name = name
    error.argument_value = value
    return error
