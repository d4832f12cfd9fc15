"""Writing and deleting versions as a versioned or suspended bucket does, and reading around delete markers.

User guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html,
DeletingObjectsfromVersioningSuspendedBuckets.html and DeleteMarker.html beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.utils import ensure_boolean
from moto.s3 import notifications
from moto.s3.exceptions import AccessDeniedByLock, MissingKey, NoSuchUpload
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend
from moto.s3.responses import S3Response

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.s3.errors import S3Error, invalid_argument
from vmqlib.simulator.aws_gaps.s3.store import LOCK, KeyStore, Version, successor, versions_of

__all__ = ["delete_version", "install"]

_NULL = "null"


def _is_versioned(bucket: FakeBucket) -> bool:
    """Whether versions are told apart: a suspended bucket does, too."""
    return bucket.versioning_status in ("Enabled", "Suspended")


def _put_object(original: Callable[..., FakeKey]) -> Callable[..., FakeKey]:
    def put_object(self: S3Backend, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> FakeKey:
        with LOCK:
            bucket = self.get_bucket(bucket_name)
            key = original(self, bucket_name, key_name, *args, **kwargs)
            if bucket.versioning_status == "Suspended":
                key._version_id = _NULL
                _drop(bucket, key_name, lambda version: version.version_id == _NULL and version is not key)
            if key.encryption is None:
                key.encryption = "AES256"  # S3 encrypts everything since 2023
            _ = key.etag  # computed now: later it would be done by whoever reads first, perhaps two at once
            return key

    return put_object


def _drop(bucket: FakeBucket, key_name: str, unwanted: Callable[[Version], bool]) -> None:
    """Removes versions for good; a key without any is gone."""
    versions = versions_of(bucket, key_name)
    kept = [version for version in versions if not unwanted(version)]
    if isinstance(bucket.keys, KeyStore):
        for older, version in zip([None, *versions], versions, strict=False):
            if version not in kept:
                bucket.keys.removed[key_name, version.version_id] = older.version_id if older else None
    bucket.keys.setlist(key_name, kept)
    if not kept:
        bucket.keys.pop(key_name)


def delete_version(
    self: S3Backend, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False
) -> tuple[bool, dict[str, Any]]:
    """``S3Backend.delete_object``: a delete marker, or one version for good.

    Returns
    -------
    True, and the answer's ``version-id`` and ``delete-marker`` headers without ``x-amz-``.

    Raises
    ------
    S3Error
        ``InvalidArgument`` for a version id that this key never had.
    AccessDeniedByLock
        When an object lock holds the version.
    """
    with LOCK:
        bucket = self.get_bucket(bucket_name)
        if version_id is not None:
            return True, _delete_for_good(self, bucket, key_name, str(version_id), bypass)
        current = bucket.keys.get(key_name)
        if not bucket.is_versioned:
            if current is not None:
                bucket.keys.pop(key_name)
                _tell_removed(self, bucket, current)
            return True, {}
        if bucket.versioning_status == "Suspended":
            _drop(bucket, key_name, lambda version: version.version_id == _NULL)
        nameless: Any = SimpleNamespace(name=key_name)  # moto wants the object, and takes only its name
        marker = FakeDeleteMarker(key=nameless)
        if bucket.versioning_status == "Suspended":
            marker._version_id = _NULL
        bucket.keys[key_name] = marker
        return True, {"version-id": marker.version_id, "delete-marker": "true"}


def _delete_for_good(
    self: S3Backend, bucket: FakeBucket, key_name: str, version_id: str, bypass: bool
) -> dict[str, Any]:
    meta: dict[str, Any] = {"version-id": version_id}
    found = next((v for v in versions_of(bucket, key_name) if v.version_id == version_id), None)
    if found is None:
        if version_id != _NULL and not successor(bucket, key_name, version_id)[0]:
            raise invalid_argument("Invalid version id specified", "versionId", version_id)
        return meta
    if isinstance(found, FakeKey) and found.is_locked(governance_bypass=ensure_boolean(bypass)):
        raise AccessDeniedByLock
    if isinstance(found, FakeDeleteMarker):
        meta["delete-marker"] = "true"
    _drop(bucket, key_name, lambda version: version is found)
    _tell_removed(self, bucket, found)
    return meta


def _tell_removed(self: S3Backend, bucket: FakeBucket, version: Version) -> None:
    if isinstance(version, FakeKey):
        event = notifications.S3NotificationEvent.OBJECT_REMOVED_DELETE_EVENT
        notifications.send_event(self.account_id, event, bucket, version)


# ---- reading around delete markers


def _get_key(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_key(self: S3Response, *args: Any, **kwargs: Any) -> Any:
        key_name, version_id = self.parse_key_name(), self.querystring.get("versionId", [None])[0]
        found: Any = self.backend.get_object(
            self.bucket_name, key_name, version_id=version_id, return_delete_marker=True
        )
        if isinstance(found, FakeDeleteMarker):
            self.response_headers["x-amz-delete-marker"] = "true"
            if version_id is None:
                self.response_headers["x-amz-version-id"] = found.version_id
                raise MissingKey(key=key_name)
            raise S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.")
        return original(self, *args, **kwargs)

    return get_key


def _key_response_post(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def post(self: S3Response, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        from vmqlib.simulator.aws_gaps.s3.conditions import check_destination

        if upload_id := query.get("uploadId", [""])[0]:
            current = self.backend.get_object(bucket_name, key_name)
            done = current is not None and current.multipart and current.multipart.id == upload_id
            if not done and upload_id not in self.backend.get_bucket(bucket_name).multiparts:
                raise NoSuchUpload(upload_id=upload_id)
            if not done:
                check_destination(self, key_name)
        return original(self, request, body, bucket_name, query, key_name)

    return post


def _key_response(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def key_response(self: S3Response, request: Any, full_url: str) -> TYPE_RESPONSE:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return original(self, request, full_url)
        with LOCK:
            return original(self, request, full_url)

    return key_response


def _url_module(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Routes for keys with a line break in them, which moto's pattern does not match."""

    def url_module(self: S3Backend) -> Any:
        module: Any = original(self)
        module.url_paths = {
            path.replace("(?P<key_name>.+)", r"(?P<key_name>[\s\S]+)"): view
            for path, view in module.url_paths.items()
        }
        return module

    return url_module


def install() -> None:
    """Sets writing, deleting and reading around delete markers on moto's S3."""
    replace(FakeBucket, is_versioned=property(_is_versioned))
    replace(
        S3Backend,
        put_object=_put_object(S3Backend.put_object),
        delete_object=delete_version,
        _url_module=property(_url_module(S3Backend.__dict__["_url_module"].fget)),
    )
    replace(
        S3Response,
        _get_key=_get_key(S3Response._get_key),
        _key_response_post=_key_response_post(S3Response._key_response_post),
        _key_response=_key_response(S3Response._key_response),
    )
