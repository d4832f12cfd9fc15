"""ListObjectVersions, ListObjectsV2 and ListObjects: in document order, linear, exact at page borders.

API reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html and the two others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from moto.core.common_types import TYPE_RESPONSE
from moto.s3.models import FakeBucket, FakeKey
from moto.s3.responses import S3Response

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.s3.errors import invalid_argument
from vmqlib.simulator.aws_gaps.s3.store import Version, names_from, successor, versions_of

__all__ = ["Request", "VersionPage", "install", "page_of_versions"]

_MOST_KEYS = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_OWNER_ID = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
_OWNER = f"<Owner><ID>{_OWNER_ID}</ID><DisplayName>webfile</DisplayName></Owner>"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Request:
    """What a listing was asked for.

    Parameters
    ----------
    prefix:
        Only keys that begin so.
    delimiter:
        Keys that hold it after the prefix are rolled up; empty: none are.
    after:
        The key (or common prefix) that the listing goes on behind; empty: from the start.
    max_keys:
        Most rows and common prefixes of a page, 0 to 1,000.
    """

    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    max_keys: int = _MOST_KEYS


@dataclass
class VersionPage:
    """One page of ListObjectVersions.

    Parameters
    ----------
    rows:
        Versions and delete markers in document order, each with its IsLatest.
    prefixes:
        Common prefixes, in order.
    next_key:
        NextKeyMarker; empty on the last page.
    next_version:
        NextVersionIdMarker; empty on the last page and behind a common prefix.
    """

    rows: list[tuple[Version, bool]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_key: str = ""
    next_version: str = ""


def page_of_versions(bucket: FakeBucket, request: Request, version_marker: str = "") -> VersionPage:
    """The page behind ``request.after`` (and, within that key, behind ``version_marker``).

    Raises
    ------
    S3Error
        ``InvalidArgument`` for a version id that this key never had.
    """
    page = VersionPage()
    last = ("", "")
    if request.max_keys == 0:
        return page
    for name, rolled_up in _walk(bucket, request, include_after=bool(version_marker)):
        full = len(page.rows) + len(page.prefixes) >= request.max_keys
        if rolled_up:
            if full:
                page.next_key, page.next_version = last
                return page
            page.prefixes.append(name)
            last = (name, "")
            continue
        versions = versions_of(bucket, name)
        skip = _skipped(bucket, name, versions, version_marker) if name == request.after else 0
        for index in range(len(versions) - 1 - skip, -1, -1):
            if len(page.rows) + len(page.prefixes) >= request.max_keys:
                page.next_key, page.next_version = last
                return page
            page.rows.append((versions[index], index == len(versions) - 1))
            last = (name, versions[index].version_id)
    return page


def _walk(
    bucket: FakeBucket,
    request: Request,
    *,
    include_after: bool = False,
    alive: Callable[[str], bool] = lambda _: True,
) -> Iterator[tuple[str, bool]]:
    """Keys and common prefixes in order, each with whether it is a common prefix."""
    first = max(request.after, request.prefix)
    behind = bool(request.after) and first == request.after and not include_after
    rolled = ""
    for name in names_from(bucket, first, behind=behind):
        if not name.startswith(request.prefix):
            return
        if (rolled and name.startswith(rolled)) or not alive(name):
            continue
        cut = name.find(request.delimiter, len(request.prefix)) if request.delimiter else -1
        if cut < 0:
            yield name, False
            continue
        rolled = name[: cut + len(request.delimiter)]
        # A prefix that the marker lies in, or that is the marker, was given on an earlier page.
        if rolled > request.after:
            yield rolled, True


def _skipped(bucket: FakeBucket, key: str, versions: list[Version], version_marker: str) -> int:
    """How many of the newest versions lie before the marker."""
    for newer, version in enumerate(reversed(versions)):
        if version.version_id == version_marker:
            return newer + 1
    known, following = successor(bucket, key, version_marker)
    if not known:
        raise invalid_argument("Invalid version id specified", "version-id-marker", version_marker)
    newest_first = [version.version_id for version in reversed(versions)]
    return newest_first.index(following) if following is not None else len(newest_first)


# ---- documents


def _text(value: str, encoding: str | None) -> str:
    if encoding == "url":
        return quote_plus(value, safe="/*")
    return _CONTROL.sub(lambda match: f"&#x{ord(match.group()):x};", escape(value))


def _time(version: Version) -> str:
    return version.last_modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _object_fields(key: FakeKey) -> str:
    checksum = ""
    if key.checksum_algorithm:
        kind = key.checksum_type or "FULL_OBJECT"
        checksum = (
            f"<ChecksumAlgorithm>{key.checksum_algorithm}</ChecksumAlgorithm>"
            f"<ChecksumType>{kind}</ChecksumType>"
        )
    return (
        f"<LastModified>{_time(key)}</LastModified><ETag>{escape(key.etag, {chr(34): '&quot;'})}</ETag>"
        f"{checksum}<Size>{key.size}</Size>"
    )


def _version_row(version: Version, is_latest: bool, encoding: str | None) -> str:
    head = (
        f"<Key>{_text(version.name, encoding)}</Key><VersionId>{version.version_id}</VersionId>"
        f"<IsLatest>{'true' if is_latest else 'false'}</IsLatest>"
    )
    if isinstance(version, FakeKey):
        storage = f"<StorageClass>{version.storage_class}</StorageClass>"
        return f"<Version>{head}{_object_fields(version)}{_OWNER}{storage}</Version>"
    return f"<DeleteMarker>{head}<LastModified>{_time(version)}</LastModified>{_OWNER}</DeleteMarker>"


def _contents_row(key: FakeKey, encoding: str | None, owner: bool) -> str:
    return (
        f"<Contents><Key>{_text(key.name, encoding)}</Key>{_object_fields(key)}{_OWNER if owner else ''}"
        f"<StorageClass>{key.storage_class}</StorageClass></Contents>"
    )


def _document(root: str, fields: dict[str, Any], rows: list[str], prefixes: list[str]) -> TYPE_RESPONSE:
    head = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value is not None)
    rolled = "".join(f"<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>" for prefix in prefixes)
    content = f'<{root} xmlns="{_NAMESPACE}">{head}{"".join(rows)}{rolled}</{root}>'
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{content}'
    return 200, {"content-type": "application/xml"}, body


# ---- the three operations


def _argument(response: S3Response, name: str) -> str | None:
    value = response.querystring.get(name, [None])[0]
    return value.decode() if isinstance(value, bytes) else value


def _request(response: S3Response, after: str) -> Request:
    text = _argument(response, "max-keys")
    try:
        most = int(text) if text else _MOST_KEYS
    except ValueError:
        most = -1
    if most < 0:
        message = "Argument maxKeys must be an integer between 0 and 2147483647"
        raise invalid_argument(message, "maxKeys", text or "")
    prefix, delimiter = _argument(response, "prefix") or "", _argument(response, "delimiter") or ""
    return Request(prefix, delimiter, after, min(most, _MOST_KEYS))


def _encoding(response: S3Response) -> str | None:
    encoding = _argument(response, "encoding-type")
    if encoding not in (None, "", "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", str(encoding))
    return encoding or None


def list_object_versions(self: S3Response) -> TYPE_RESPONSE:
    key_marker = _argument(self, "key-marker") or ""
    version_marker = _argument(self, "version-id-marker")
    if version_marker is not None and not key_marker:
        message = "A version-id marker cannot be specified without a key marker."
        raise invalid_argument(message, "version-id-marker", version_marker)
    if version_marker == "":
        raise invalid_argument("A version-id marker cannot be empty.", "version-id-marker", "")
    request, encoding = _request(self, key_marker), _encoding(self)
    bucket = self.backend.get_bucket(self.bucket_name)
    page = page_of_versions(bucket, request, version_marker or "")
    fields = {
        "Name": bucket.name,
        "Prefix": _text(request.prefix, encoding),
        "KeyMarker": _text(key_marker, encoding),
        "VersionIdMarker": version_marker or "",
        "NextKeyMarker": _text(page.next_key, encoding) if page.next_key else None,
        "NextVersionIdMarker": page.next_version or None,
        "MaxKeys": request.max_keys,
        "Delimiter": _text(request.delimiter, encoding) if request.delimiter else None,
        "EncodingType": encoding,
        "IsTruncated": "true" if page.next_key else "false",
    }
    rows = [_version_row(version, latest, encoding) for version, latest in page.rows]
    return _document(
        "ListVersionsResult", fields, rows, [_text(prefix, encoding) for prefix in page.prefixes]
    )


def _current_page(bucket: FakeBucket, request: Request) -> tuple[list[FakeKey], list[str], str]:
    """Current objects, common prefixes, and the last entry if there is more (else empty)."""

    def current(name: str) -> FakeKey | None:
        versions = bucket.keys.getlist(name, [])
        return versions[-1] if versions and isinstance(versions[-1], FakeKey) else None

    keys: list[FakeKey] = []
    prefixes: list[str] = []
    last = ""
    if request.max_keys == 0:
        return keys, prefixes, last
    for name, rolled_up in _walk(bucket, request, alive=lambda name: current(name) is not None):
        if len(keys) + len(prefixes) >= request.max_keys:
            return keys, prefixes, last
        last = name
        if rolled_up:
            prefixes.append(name)
        elif key := current(name):
            keys.append(key)
    return keys, prefixes, ""


def list_objects_v2(self: S3Response) -> TYPE_RESPONSE:
    token, start_after = _argument(self, "continuation-token"), _argument(self, "start-after")
    if token is not None:
        try:
            after = base64.urlsafe_b64decode(token.encode()).decode()
        except (binascii.Error, UnicodeError):
            after = ""
        if not after:
            raise invalid_argument(
                "The continuation token provided is incorrect", "continuation-token", token
            )
    else:
        after = start_after or ""
    request, encoding = _request(self, after), _encoding(self)
    bucket = self.backend.get_bucket(self.bucket_name)
    keys, prefixes, last = _current_page(bucket, request)
    fields = {
        "Name": bucket.name,
        "Prefix": _text(request.prefix, encoding),
        "StartAfter": _text(start_after, encoding) if start_after and token is None else None,
        "ContinuationToken": token,
        "NextContinuationToken": base64.urlsafe_b64encode(last.encode()).decode() if last else None,
        "KeyCount": len(keys) + len(prefixes),
        "MaxKeys": request.max_keys,
        "Delimiter": _text(request.delimiter, encoding) if request.delimiter else None,
        "EncodingType": encoding,
        "IsTruncated": "true" if last else "false",
    }
    owner = (_argument(self, "fetch-owner") or "").lower() == "true"
    rows = [_contents_row(key, encoding, owner) for key in keys]
    return _document("ListBucketResult", fields, rows, [_text(prefix, encoding) for prefix in prefixes])


def list_objects(self: S3Response) -> TYPE_RESPONSE:
    marker = _argument(self, "marker") or ""
    request, encoding = _request(self, marker), _encoding(self)
    bucket = self.backend.get_bucket(self.bucket_name)
    keys, prefixes, last = _current_page(bucket, request)
    fields = {
        "Name": bucket.name,
        "Prefix": _text(request.prefix, encoding),
        "Marker": _text(marker, encoding),
        # Without a delimiter the last key is the next marker, and S3 leaves it out.
        "NextMarker": _text(last, encoding) if last and request.delimiter else None,
        "MaxKeys": request.max_keys,
        "Delimiter": _text(request.delimiter, encoding) if request.delimiter else None,
        "EncodingType": encoding,
        "IsTruncated": "true" if last else "false",
    }
    rows = [_contents_row(key, encoding, owner=True) for key in keys]
    return _document("ListBucketResult", fields, rows, [_text(prefix, encoding) for prefix in prefixes])


def install() -> None:
    """Sets the listings on moto's S3."""
    import moto.s3.models

    from vmqlib.simulator.aws_gaps.s3.store import KeyStore

    moto.s3.models.__dict__["_VersionedKeyStore"] = KeyStore
    replace(
        S3Response,
        list_object_versions=list_object_versions,
        list_objects_v2=list_objects_v2,
        list_objects=list_objects,
    )
