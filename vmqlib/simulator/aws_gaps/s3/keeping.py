"""What an object keeps besides its bytes: checksums, encryption, redirect, through copies and uploads in parts.

User guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html,
UsingKMSEncryption.html and how-to-page-redirect.html beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response
from moto.s3.utils import compute_checksum
from werkzeug.datastructures import Headers

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.s3.errors import S3Error
from vmqlib.simulator.aws_gaps.s3.store import LOCK

__all__ = ["install"]

_REDIRECT = "x-amz-website-redirect-location"
_KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
_ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")


# ---- encryption with KMS


def _put_object(original: Callable[..., FakeKey]) -> Callable[..., FakeKey]:
    def put_object(self: S3Backend, *args: Any, **kwargs: Any) -> FakeKey:
        with LOCK:
            key = original(self, *args, **kwargs)
            if str(key.encryption).startswith("aws:kms"):
                # Of what is encrypted the ETag says nothing: equal content has different ones. Parts keep their dash.
                plain, dash, parts = key.etag.strip('"').partition("-")
                salted = hashlib.md5(f"{plain}{key.version_id}".encode()).hexdigest()
                key._etag = f"{salted}{dash}{parts}"
            return key

    return put_object


def _response_dict(original: property) -> property:
    def response_dict(self: FakeKey) -> dict[str, Any]:
        headers: dict[str, Any] = original.__get__(self)
        if self.encryption == "aws:kms:dsse" and self.kms_key_id is not None:
            headers[_KMS_KEY] = self.kms_key_id
        if headers.get(_BUCKET_KEY) == "false":
            del headers[_BUCKET_KEY]
        return headers

    return property(response_dict)


# ---- checksums and redirects


def _copy_object(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def copy_object(self: S3Response) -> TYPE_RESPONSE:
        with LOCK:
            answer = original(self)
            copied: Any = self.backend.get_object(self.bucket_name, self.parse_key_name())
            # It belongs to one object and is never copied along; moto has it among the metadata.
            copied.metadata.pop(_REDIRECT, None)
            copied.checksum_type, copied.checksum_parts = None, None
            if copied.checksum_algorithm:
                # of all bytes, whatever the source had: "sum of sums-parts" is for uploads in parts
                value = compute_checksum(copied.value, copied.checksum_algorithm).decode()
                copied.checksum_value = value
            return answer

    return copy_object


def _head_object(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def head_object(
        self: S3Response, bucket_name: str, query: dict[str, Any], key_name: str, headers: dict[str, Any]
    ) -> TYPE_RESPONSE:
        status, answer, body = original(self, bucket_name, query, key_name, headers)
        key: Any = self.backend.get_object(
            bucket_name, key_name, version_id=query.get("versionId", [None])[0]
        )
        if status == 200 and headers.get("x-amz-checksum-mode") == "ENABLED" and key.checksum_algorithm:
            kind = key.checksum_type or "FULL_OBJECT"
            extra = {"x-amz-checksum-type": kind}
            if kind == "COMPOSITE":
                extra[f"x-amz-checksum-{key.checksum_algorithm.lower()}"] = (
                    f"{key.checksum_value}-{key.checksum_parts}"
                )
            answer = {**answer, **extra}
        return status, answer, body

    return head_object


# ---- uploads in parts


def _upload_part_copy(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def upload_part_copy(self: S3Response) -> TYPE_RESPONSE:
        status, headers, body = original(self)
        upload: Any = self.backend.get_bucket(self.bucket_name).multiparts.get(self._get_param("uploadId"))
        algorithm = upload and upload.metadata.get("x-amz-checksum-algorithm")
        if status == 200 and algorithm:
            part = upload.parts[self._get_int_param("partNumber")]
            sums = f"<Checksum{algorithm}>{compute_checksum(part.value, algorithm).decode()}</Checksum{algorithm}>"
            text = body if isinstance(body, str) else body.decode()
            body = text.replace("</CopyPartResult>", f"{sums}</CopyPartResult>")
            headers["content-length"] = str(len(body.encode()))
        return status, headers, body

    return upload_part_copy


def _key_response_post(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def post(self: S3Response, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        uploads: Any = self.backend.get_bucket(bucket_name).multiparts
        upload = uploads.get(query.get("uploadId", [""])[0])
        before = set(uploads)
        if upload is not None:
            _prove(self, upload)
        answer = original(self, request, body, bucket_name, query, key_name)
        for made in set(uploads) - before:
            uploads[made].vmq_bucket_key = (self.headers.get(_BUCKET_KEY) or "").lower() or None
        if upload is not None and upload.id not in uploads:
            key: Any = self.backend.get_object(bucket_name, key_name)
            key.bucket_key_enabled = getattr(upload, "vmq_bucket_key", None)
        return answer

    return post


def _prove(self: S3Response, upload: Any) -> None:
    """What CompleteMultipartUpload says of the whole object must be so."""
    from moto.s3.exceptions import S3ClientError

    whole = b"".join(upload.parts[number].value for number in upload.partlist)
    size = self.headers.get("x-amz-mp-object-size")
    if size is not None and int(size) != len(whole):
        message = "The provided 'x-amz-mp-object-size' header value does not match what was computed."
        raise S3Error("InvalidRequest", message)
    if self.headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return
    for algorithm in _ALGORITHMS:
        given = self.headers.get(f"x-amz-checksum-{algorithm.lower()}")
        if given and given != compute_checksum(whole, algorithm).decode():
            raise S3ClientError(
                "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
            )


# ---- Object Lock


def _key_response_put(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def put(self: S3Response, query: dict[str, Any], key_name: str) -> TYPE_RESPONSE:
        if "x-amz-copy-source" in self.headers and "Content-Md5" not in self.headers:
            # moto asks for the MD5 of a body in buckets with a default retention; a copy has no body.
            self.headers = Headers(self.headers)
            self.headers["Content-Md5"] = "1B2M2Y8AsgTpgAmY7PhCfg=="
        return original(self, query, key_name)

    return put


def install() -> None:
    """Sets what objects keep on moto's S3. After the conditions and SSE-C: it wraps them."""
    replace(FakeKey, response_dict=_response_dict(FakeKey.__dict__["response_dict"]))
    replace(S3Backend, put_object=_put_object(S3Backend.put_object))
    replace(
        S3Response,
        copy_object=_copy_object(S3Response.copy_object),
        head_object=_head_object(S3Response.head_object),
        upload_part_copy=_upload_part_copy(S3Response.upload_part_copy),
        _key_response_post=_key_response_post(S3Response._key_response_post),
        _key_response_put=_key_response_put(S3Response._key_response_put),
    )
