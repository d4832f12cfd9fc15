"""Conditional writes, copies and deletes, and DeleteObjects.

User guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse
from xml.parsers.expat import ExpatError

import xmltodict  # type: ignore[import-untyped]
from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult
from moto.core.utils import str_to_rfc_1123_datetime
from moto.s3.exceptions import (
    AccessDeniedByLock,
    MalformedXML,
    MissingKey,
    MissingVersion,
    PreconditionFailed,
    S3ClientError,
)
from moto.s3.models import FakeDeleteMarker, FakeKey
from moto.s3.responses import S3Response
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.s3.errors import S3Error
from vmqlib.simulator.aws_gaps.s3.store import LOCK

__all__ = ["check_destination", "copy_source", "install"]

_MOST_DELETES = 1000


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def _matches(wanted: str, etag: str) -> bool:
    return wanted.strip() == "*" or any(_bare(one) == _bare(etag) for one in wanted.split(","))


def check_destination(self: S3Response, key_name: str) -> None:
    """If-Match and If-None-Match of a write, against the key's current object.

    Raises
    ------
    PreconditionFailed
        412.
    MissingKey
        404, for If-Match where there is no current object.
    """
    current = self.backend.get_object(self.bucket_name, key_name)
    if wanted := self.headers.get("If-Match"):
        if current is None:
            raise MissingKey(key=key_name)
        if not _matches(wanted, current.etag):
            raise PreconditionFailed("If-Match")
    if unwanted := self.headers.get("If-None-Match"):
        if unwanted.strip() != "*":
            raise S3Error(
                "NotImplemented", "A header you provided implies functionality that is not implemented"
            )
        if current is not None:
            raise PreconditionFailed("If-None-Match")


def copy_source(self: S3Response) -> FakeKey:
    """The version that ``x-amz-copy-source`` names, checked against the ``x-amz-copy-source-if-…`` headers.

    Raises
    ------
    S3ClientError
        404 where there is none, 400 for a delete marker's version, 403 for an archived one, 412.
    """
    parsed = urlparse(str(self.headers.get("x-amz-copy-source")))
    bucket_name, _, key_name = unquote(parsed.path).lstrip("/").partition("/")
    version_id = parse_qs(parsed.query).get("versionId", [None])[0]
    source: Any = self.backend.get_object(
        bucket_name, key_name, version_id=version_id, return_delete_marker=True
    )
    if isinstance(source, FakeDeleteMarker) and version_id is not None:
        message = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise S3Error("InvalidRequest", message)
    if not isinstance(source, FakeKey):
        raise MissingVersion(key=key_name, version_id=version_id) if version_id else MissingKey(key=key_name)
    _check_source(self, source)
    if source.storage_class in ARCHIVE_STORAGE_CLASSES:
        restored = source.response_dict.get("x-amz-restore") or ""
        if 'ongoing-request="false"' not in restored:
            message = "Operation is not valid for the source object's storage class"
            raise S3Error("InvalidObjectState", message)
    return source


def _check_source(self: S3Response, source: FakeKey) -> None:
    def header(name: str) -> str | None:
        value: str | None = self.headers.get(f"x-amz-copy-source-{name}")
        return value

    modified = source.last_modified.replace(microsecond=0)
    wanted, unwanted = header("if-match"), header("if-none-match")
    since, until = header("if-modified-since"), header("if-unmodified-since")
    if wanted and not _matches(wanted, source.etag):
        raise PreconditionFailed("x-amz-copy-source-If-Match")
    # An ETag that matches outweighs the time, and one that does not match outweighs "modified since".
    if until and not wanted and modified > str_to_rfc_1123_datetime(until):
        raise PreconditionFailed("x-amz-copy-source-If-Unmodified-Since")
    if unwanted and _matches(unwanted, source.etag):
        raise PreconditionFailed("x-amz-copy-source-If-None-Match")
    if since and not unwanted and modified <= str_to_rfc_1123_datetime(since):
        raise PreconditionFailed("x-amz-copy-source-If-Modified-Since")


def _copy_object(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def copy_object(self: S3Response) -> TYPE_RESPONSE:
        with LOCK:
            source, key_name = copy_source(self), self.parse_key_name()
            check_destination(self, key_name)
            tags = self.backend.tagger.get_tag_dict_for_resource(source.arn)
            answer = original(self)
            copied: Any = self.backend.get_object(self.bucket_name, key_name)
            copied.multipart = (
                None  # a copy is a single part; moto would share the source's parts and close them
            )
            if self.headers.get("x-amz-tagging-directive") != "REPLACE":
                # moto adds to what a null version that was overwritten had
                self.backend.put_object_tagging(copied, tags)
            return answer

    return copy_object


def _upload_part_copy(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def upload_part_copy(self: S3Response) -> TYPE_RESPONSE:
        copy_source(self)
        return original(self)

    return upload_part_copy


def _put_object(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def put_object(self: S3Response) -> TYPE_RESPONSE:
        with LOCK:
            check_destination(self, self.parse_key_name())
            return original(self)

    return put_object


def delete_object(self: S3Response) -> TYPE_RESPONSE:
    key_name = self.parse_key_name()
    with LOCK:
        if self.headers.get("If-Match"):
            check_destination(self, key_name)
        bypass = self.headers.get("X-Amz-Bypass-Governance-Retention")
        _, meta = self.backend.delete_object(
            self.bucket_name, key_name, version_id=self._get_param("versionId"), bypass=bypass
        )
    return 204, {f"x-amz-{name}": value for name, value in meta.items()}, ""


# ---- DeleteObjects


def _delete_keys(self: S3Response, bucket_name: str, authenticated: bool = True) -> TYPE_RESPONSE:
    try:
        request = xmltodict.parse(self.body, strip_whitespace=False, force_list=("Object",))["Delete"]
        objects = list(request.get("Object", []))
    except (ExpatError, KeyError, AttributeError) as error:
        raise MalformedXML from error
    if not 1 <= len(objects) <= _MOST_DELETES or not all(one.get("Key") for one in objects):
        raise MalformedXML
    bypass = self.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    with LOCK:
        for one in objects:
            try:
                if not authenticated:
                    raise S3Error("AccessDenied", "Access Denied")
                deleted.append(_delete_one(self, bucket_name, one, bypass))
            except S3ClientError as error:
                errors.append(_problem(one, error))
    self.data["Action"] = "DeleteObjects"
    quiet = str(request.get("Quiet", "")).strip().lower() == "true"
    return self.serialized(ActionResult({"Deleted": [] if quiet else deleted, "Errors": errors}))


def _delete_one(self: S3Response, bucket_name: str, one: dict[str, Any], bypass: bool) -> dict[str, Any]:
    from moto.iam.access_control import PermissionResult

    key_name, version_id, etag = one["Key"], one.get("VersionId"), one.get("ETag")
    bucket = self.backend.get_bucket(bucket_name)
    arn = f"arn:{bucket.partition}:s3:::{bucket_name}/{key_name}"
    if bucket.get_permission("s3:DeleteObject", arn) == PermissionResult.DENIED:
        raise S3Error("AccessDenied", "Access Denied")
    if etag:
        current = self.backend.get_object(bucket_name, key_name)
        if current is None:
            raise MissingKey(key=key_name)
        if not _matches(etag, current.etag):
            raise PreconditionFailed("If-Match")
    _, meta = self.backend.delete_object(bucket_name, key_name, version_id=version_id, bypass=bypass)
    entry: dict[str, Any] = {"Key": key_name}
    if version_id:
        entry["VersionId"] = version_id
    if "delete-marker" in meta:
        entry |= {"DeleteMarker": True, "DeleteMarkerVersionId": meta["version-id"]}
    return entry


def _problem(one: dict[str, Any], error: S3ClientError) -> dict[str, Any]:
    code, message = error.code, error.message
    if isinstance(error, AccessDeniedByLock):
        message = "Access Denied because object protected by object lock."
    elif one.get("VersionId") and code == "InvalidArgument":
        code, message = "NoSuchVersion", "The specified version does not exist."
    entry = {"Key": one["Key"], "Code": code, "Message": message}
    return entry | ({"VersionId": one["VersionId"]} if one.get("VersionId") else {})


def install() -> None:
    """Sets the conditions on moto's S3."""
    replace(
        S3Response,
        copy_object=_copy_object(S3Response.copy_object),
        upload_part_copy=_upload_part_copy(S3Response.upload_part_copy),
        put_object=_put_object(S3Response.put_object),
        delete_object=delete_object,
        _bucket_response_delete_keys=_delete_keys,
    )
