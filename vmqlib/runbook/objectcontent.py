"""Whether an object of S3 holds certain bytes, without downloading it where that can be told otherwise.

In this order: size; the ETag, where it is an MD5 of the content; a SHA-256 checksum over the whole object; the user
metadata ``sha256`` that the kit itself writes; the content itself.

API: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmqlib.errors import AccessDenied
from vmqlib.runbook.rollback.properties import checksum, etag_tells, under_key

if TYPE_CHECKING:
    from vmqlib.s3 import S3

__all__ = ["SHA256_METADATA", "Content", "head", "holds", "proven", "proves"]

SHA256_METADATA = "x-amz-meta-sha256"
_READ = "s3:GetObject"


@dataclass(frozen=True, slots=True)
class Content:
    """What some bytes are known by.

    Parameters
    ----------
    size:
        How many there are.
    md5, sha256:
        Their hashes, in hexadecimal.
    """

    size: int
    md5: str
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Of these bytes."""
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(len(data), md5, hashlib.sha256(data).hexdigest())

    @property
    def checksum(self) -> str:
        """The SHA-256 as S3 writes it: base64."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


def head(s3: S3, key: str, version_id: str = "") -> Mapping[str, str]:
    """What S3 says of an object besides its bytes, its checksum included (s3:HeadObject).

    Raises
    ------
    ResourceMissing
        It is not there.
    AwsError
        It cannot be asked.
    """
    query = {"versionId": version_id} if version_id else {}
    try:
        asked = s3.ask("HEAD", key, query=query, headers={"x-amz-checksum-mode": "ENABLED"}, operation=_READ)
    except AccessDenied:
        # An answer to HEAD has no body, so it does not say what is missing: GET is refused for the same reason.
        s3.ask("GET", key, query=query, headers={"range": "bytes=0-0"}, operation=_READ)
        raise
    return asked.headers


def holds(
    s3: S3, key: str, content: Content, *, version_id: str = "", size: int = -1, etag: str = ""
) -> bool:
    """Whether an object's current version, or that one, has that content.

    Parameters
    ----------
    size, etag:
        As a listing has them, which often settles it without a request.

    Raises
    ------
    ResourceMissing
        It is not there.
    AwsError
        It cannot be read.
    """
    if size >= 0 and size != content.size:
        return False
    if etag and etag == content.md5:  # an MD5 that is the same is no accident, whatever the encryption
        return True
    found = head(s3, key, version_id)
    if int(found.get("content-length", "-1")) != content.size:
        return False
    etag = found.get("etag", "").strip('"')
    if etag == content.md5:
        return True
    algorithm, kind, value = checksum(found)
    if algorithm == "SHA256" and kind == "FULL_OBJECT":
        return value == content.checksum
    if etag_tells(etag) and not under_key(found):
        return False
    if noted := found.get(SHA256_METADATA):
        return noted == content.sha256
    query = {"versionId": version_id} if version_id else {}
    body = s3.ask("GET", key, query=query, operation=_READ).body
    return hashlib.sha256(body).hexdigest() == content.sha256


def proves(s3: S3, key: str, content: Content) -> bool:
    """Whether an object has that content, as :func:`proven` tells it.

    Raises
    ------
    ResourceMissing
        It is not there.
    AwsError
        It cannot be read.
    """
    return bool(proven(s3, key, [(content.size, content.sha256)])[0])


def proven(s3: S3, key: str, among: Collection[tuple[int, str]]) -> tuple[str, str]:
    """Which of some contents an object has, by the SHA-256 that S3 keeps of it, or else by reading it back.

    Stricter than :func:`holds`: neither an ETag nor what a writer noted is enough. So encryption is no matter: with KMS
    an ETag tells nothing of the content.

    Parameters
    ----------
    among:
        Size and SHA-256 of each.

    Returns
    -------
    The SHA-256, empty where it is none of them; and the ETag of the version that was looked at.

    Raises
    ------
    ResourceMissing
        It is not there.
    AwsError
        It cannot be read.
    """
    found = head(s3, key)
    size, etag = int(found.get("content-length", "-1")), found.get("etag", "").strip('"')
    possible = {
        sha256: base64.b64encode(bytes.fromhex(sha256)).decode() for of, sha256 in among if of == size
    }
    if not possible:
        return "", etag
    algorithm, kind, value = checksum(found)
    if algorithm == "SHA256" and kind == "FULL_OBJECT":
        return next((sha256 for sha256, kept in possible.items() if kept == value), ""), etag
    read = s3.ask("GET", key, operation=_READ)
    sha256 = hashlib.sha256(read.body).hexdigest()
    return sha256 if sha256 in possible else "", read.headers.get("etag", "").strip('"')
