"""Archived objects: not to be read or copied before they were restored, which takes hours.

User guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html and
intelligent-tiering-managing.html beside it; API: RestoreObject, HeadObject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import xmltodict  # type: ignore[import-untyped]
from moto.core.common_types import TYPE_RESPONSE
from moto.s3.exceptions import InvalidObjectState, MissingKey, MissingVersion
from moto.s3.models import FakeKey
from moto.s3.responses import S3Response
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES

from vmqlib.simulator.aws_gaps.gap import now, replace
from vmqlib.simulator.aws_gaps.s3.errors import S3Error
from vmqlib.simulator.aws_gaps.s3.store import LOCK

__all__ = ["ARCHIVE_STATUS", "install", "is_archived"]

#: Attribute of moto's object: ``ARCHIVE_ACCESS`` or ``DEEP_ARCHIVE_ACCESS`` where Intelligent-Tiering has archived it.
ARCHIVE_STATUS = "vmq_archive_status"
_READY, _UNTIL = "vmq_restored_at", "vmq_restored_until"

_UNDER_WAY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>RestoreAlreadyInProgress</Code>'
    "<Message>Object restore is already in progress</Message></Error>"
)
_TAKES: Mapping[tuple[bool, str], timedelta] = {  # (deep, tier): the user guide's usual time
    (False, "Expedited"): timedelta(minutes=3),
    (False, "Standard"): timedelta(hours=4),
    (False, "Bulk"): timedelta(hours=10),
    (True, "Standard"): timedelta(hours=12),
    (True, "Bulk"): timedelta(hours=48),
}


def _status(key: FakeKey) -> str:
    """The archive tier that an object is in, empty for none; one that came back has left it."""
    ready: datetime | None = getattr(key, _READY, None)
    status: str = getattr(key, ARCHIVE_STATUS, "")
    return "" if ready is not None and ready <= now() else status


def _restore_header(key: FakeKey) -> str:
    ready: datetime | None = getattr(key, _READY, None)
    until: datetime | None = getattr(key, _UNTIL, None)
    if ready is None:
        return ""
    if ready > now():
        return 'ongoing-request="true"'
    if until is None or until <= now():
        return ""
    return f'ongoing-request="false", expiry-date="{until:%a, %d %b %Y %H:%M:%S GMT}"'


def is_archived(key: FakeKey) -> bool:
    """Whether an object cannot be read now."""
    if _status(key):
        return True
    return key.storage_class in ARCHIVE_STORAGE_CLASSES and 'ongoing-request="false"' not in _restore_header(
        key
    )


def _response_dict(original: property) -> property:
    def response_dict(self: FakeKey) -> dict[str, Any]:
        headers: dict[str, Any] = original.__get__(self)
        if status := _status(self):
            headers["x-amz-archive-status"] = status
        if restore := _restore_header(self):
            headers["x-amz-restore"] = restore
        return headers

    return property(response_dict)


def _get_key(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_key(self: S3Response, *args: Any, **kwargs: Any) -> Any:
        key, not_modified = original(self, *args, **kwargs)
        if _status(key) and (args or kwargs.get("validate_storage_class", True)):
            raise InvalidObjectState(storage_class=key.storage_class)
        return key, not_modified

    return get_key


def _copying(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def copy(self: S3Response) -> TYPE_RESPONSE:
        from vmqlib.simulator.aws_gaps.s3.conditions import copy_source

        if _status(copy_source(self)):
            message = "Operation is not valid for the source object's access tier"
            raise S3Error("InvalidObjectState", message)
        return original(self)

    return copy


def _restore(self: S3Response, key_name: str) -> TYPE_RESPONSE:
    version_id = self.querystring.get("versionId", [None])[0]
    key: Any = self.backend.get_object(self.bucket_name, key_name, version_id=version_id)
    if key is None:
        raise MissingVersion if version_id else MissingKey(key=key_name)
    status = _status(key)
    if key.storage_class not in ARCHIVE_STORAGE_CLASSES and not status:
        raise InvalidObjectState(storage_class=key.storage_class)
    asked = xmltodict.parse(self.body)["RestoreRequest"] or {}
    days = asked.get("Days")
    if bool(days) == bool(status):
        raise S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate")
    tier = (asked.get("GlacierJobParameters") or {}).get("Tier") or asked.get("Tier") or "Standard"
    takes = _TAKES.get(("DEEP" in (status or key.storage_class), tier))
    if takes is None:
        raise S3Error("InvalidArgument", f"The {tier} tier is not supported by this storage class")
    state = _restore_header(key)
    if "true" in state:
        return 409, {"Content-Type": "application/xml"}, _UNDER_WAY
    if not state:
        setattr(key, _READY, now() + takes)
    setattr(
        key, _UNTIL, None if status else max(now(), getattr(key, _READY)) + timedelta(days=int(days or 0))
    )
    return (200 if state else 202), {}, ""


def _key_response_post(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def post(self: S3Response, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        if "restore" not in query:
            return original(self, request, body, bucket_name, query, key_name)
        self._set_action("KEY", "POST", query)
        self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=key_name)
        with LOCK:
            return _restore(self, key_name)

    return post


def install() -> None:
    """Sets archives on moto's S3. After the conditions: it wraps them."""
    replace(FakeKey, response_dict=_response_dict(FakeKey.__dict__["response_dict"]))
    replace(
        S3Response,
        copy_object=_copying(S3Response.copy_object),
        upload_part_copy=_copying(S3Response.upload_part_copy),
        _get_key=_get_key(S3Response._get_key),
        _key_response_post=_key_response_post(S3Response._key_response_post),
    )
