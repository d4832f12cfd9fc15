"""SSE-C: who encrypts with a key of their own must show it again to read or copy.

User guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.s3.models import FakeKey
from moto.s3.responses import S3Response

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.s3.conditions import copy_source
from vmqlib.simulator.aws_gaps.s3.errors import S3Error
from vmqlib.simulator.aws_gaps.s3.store import LOCK

__all__ = ["install"]

_HEADER = "x-amz-server-side-encryption-customer-"
_SOURCE_HEADER = "x-amz-copy-source-server-side-encryption-customer-"
_ATTRIBUTE = "sse_customer_key_md5"  # beside moto's own attributes of a key


def _given(self: S3Response, prefix: str = _HEADER) -> str:
    """MD5 of the key in the request; empty where there is none."""
    return self.headers.get(f"{prefix}key-md5") or ""


def _demand(key: FakeKey, given: str) -> None:
    needed = getattr(key, _ATTRIBUTE, "")
    if needed and not given:
        message = (
            "The object was stored using a form of Server Side Encryption. "
            "The correct parameters must be provided to retrieve the object."
        )
        raise S3Error("InvalidRequest", message)
    if needed and given != needed:
        raise S3Error("AccessDenied", "Access Denied")
    if given and not needed:
        message = "The encryption parameters are not applicable to this object."
        raise S3Error("InvalidRequest", message)


def _answer_headers(md5: str) -> dict[str, str]:
    return {f"{_HEADER}algorithm": "AES256", f"{_HEADER}key-md5": md5}


def _storing(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    """PutObject and CopyObject: what was written keeps the MD5 of its key."""

    def store(self: S3Response) -> TYPE_RESPONSE:
        with LOCK:
            status, headers, body = original(self)
            if md5 := _given(self):
                key: Any = self.backend.get_object(self.bucket_name, self.parse_key_name())
                key.encryption = None
                setattr(key, _ATTRIBUTE, md5)
                headers.pop("x-amz-server-side-encryption", None)
                headers.update(_answer_headers(md5))
            return status, headers, body

    return store


def _copying(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def copy(self: S3Response) -> TYPE_RESPONSE:
        _demand(copy_source(self), _given(self, _SOURCE_HEADER))
        return original(self)

    return copy


def _get_key(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_key(self: S3Response, *args: Any, **kwargs: Any) -> Any:
        key, not_modified = original(self, *args, **kwargs)
        _demand(key, _given(self))
        if md5 := getattr(key, _ATTRIBUTE, ""):
            self.response_headers.update(_answer_headers(md5))
        return key, not_modified

    return get_key


def _head_object(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def head_object(
        self: S3Response, bucket_name: str, query: dict[str, Any], key_name: str, headers: dict[str, Any]
    ) -> TYPE_RESPONSE:
        status, answer, body = original(self, bucket_name, query, key_name, headers)
        key = self.backend.get_object(bucket_name, key_name, version_id=query.get("versionId", [None])[0])
        if status >= 300 or key is None:
            return status, answer, body
        try:
            _demand(key, _given(self))
        except S3Error as error:
            return (403 if error.code == "AccessDenied" else 400), {}, ""
        md5 = getattr(key, _ATTRIBUTE, "")
        return status, {**answer, **(_answer_headers(md5) if md5 else {})}, body

    return head_object


def install() -> None:
    """Sets SSE-C on moto's S3. After the conditions: it wraps them."""
    replace(
        S3Response,
        put_object=_storing(S3Response.put_object),
        copy_object=_copying(_storing(S3Response.copy_object)),
        upload_part_copy=_copying(S3Response.upload_part_copy),
        _get_key=_get_key(S3Response._get_key),
        head_object=_head_object(S3Response.head_object),
    )
