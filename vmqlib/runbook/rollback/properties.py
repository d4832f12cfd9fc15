"""What a version is besides its bytes: read from its headers, and turned into what a copy must be asked for.

CopyObject keeps content type, encoding, disposition, language, cache-control, expires, user metadata and tags by
itself. Storage class, encryption, checksum algorithm and website redirect it does not: they fall to the bucket's
defaults unless they are named. CreateMultipartUpload keeps nothing: everything must be named. ACLs are not kept: a copy
is the bucket owner's, as in every bucket with ACLs disabled.

API: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html (and API_CreateMultipartUpload.html,
API_HeadObject.html beside it)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

__all__ = [
    "ARCHIVES",
    "MOST_METADATA",
    "STANDARD",
    "TOUCHED",
    "archived",
    "checksum",
    "copy_headers",
    "etag_tells",
    "metadata_size",
    "restored",
    "same_properties",
    "tagging_header",
    "touch_headers",
    "touch_mark",
    "under_key",
    "upload_headers",
]

#: Storage classes from which nothing can be copied before it was restored.
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
STANDARD = "STANDARD"
#: The user metadata by which a touched object is known: when, and in which incident.
TOUCHED = "x-amz-meta-vmq-touched"
#: Bytes of user metadata that S3 takes.
MOST_METADATA = 2048

_CLASS = "x-amz-storage-class"
_ENCRYPTION = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
_REDIRECT = "x-amz-website-redirect-location"
_ALGORITHM = "x-amz-checksum-algorithm"
_TYPE = "x-amz-checksum-type"
_META = "x-amz-meta-"
_CONTENT = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
)
_ALGORITHMS = ("CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1")
# What a multipart upload can have: SHA sums only part by part, CRC64NVME only over the whole object.
_ONLY_COMPOSITE = frozenset({"SHA1", "SHA256"})
_ONLY_WHOLE = frozenset({"CRC64NVME"})


def copy_headers(head: Mapping[str, str]) -> dict[str, str]:
    """What CopyObject has to be told so that the copy is like the version.

    Parameters
    ----------
    head:
        HeadObject's answer about the version, asked with ``x-amz-checksum-mode: ENABLED``; names in lower case.

    Returns
    -------
    Request headers. An archived version that was restored becomes ``STANDARD``: most often a lifecycle rule archived it
    after it was no longer current, and in its archive the connector could not read it.
    """
    storage_class = head.get(_CLASS, STANDARD)
    headers = {_CLASS: STANDARD if storage_class in ARCHIVES else storage_class}
    encryption = head.get(_ENCRYPTION, "")
    if encryption:
        headers[_ENCRYPTION] = encryption
    if encryption.startswith("aws:kms") and (key := head.get(_KEY)):
        headers[_KEY] = key
    if encryption == "aws:kms":  # not offered for double encryption (aws:kms:dsse)
        headers[_BUCKET_KEY] = head.get(_BUCKET_KEY, "false").lower()
    if redirect := head.get(_REDIRECT):
        headers[_REDIRECT] = redirect
    algorithm, _, _ = checksum(head)
    if algorithm:
        headers[_ALGORITHM] = algorithm
    return headers


def upload_headers(head: Mapping[str, str], tags: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The same for CreateMultipartUpload, which has no directives: every property by name.

    Parameters
    ----------
    head:
        As for :func:`copy_headers`.
    tags:
        The version's tags (GetObjectTagging), in order.
    """
    headers = copy_headers(head)
    headers |= {name: head[name] for name in _CONTENT if head.get(name)}
    headers |= {name: value for name, value in head.items() if name.startswith(_META)}
    if tags:
        headers["x-amz-tagging"] = tagging_header(tags)
    algorithm, kind, _ = checksum(head)
    if algorithm in _ONLY_COMPOSITE:
        headers[_TYPE] = "COMPOSITE"
    elif algorithm in _ONLY_WHOLE:
        headers[_TYPE] = "FULL_OBJECT"
    elif algorithm:
        headers[_TYPE] = kind or "FULL_OBJECT"
    return headers


def touch_headers(head: Mapping[str, str], mark: str) -> dict[str, str]:
    """The same for a copy onto itself that gets one more piece of user metadata: S3 keeps content headers and user
    metadata only together, or replaces both, so all of them are named. Tags it keeps by itself.

    Parameters
    ----------
    head:
        As for :func:`copy_headers`.
    mark:
        What :data:`TOUCHED` is to say.
    """
    headers = copy_headers(head)
    headers |= {name: head[name] for name in _CONTENT if head.get(name)}
    headers |= {name: value for name, value in head.items() if name.startswith(_META)}
    return headers | {TOUCHED: mark, "x-amz-metadata-directive": "REPLACE"}


def touch_mark(headers: Mapping[str, str] | None) -> str:
    """What a touch writes into :data:`TOUCHED`; empty for a copy that is no touch."""
    return (headers or {}).get(TOUCHED, "")


def metadata_size(headers: Mapping[str, str]) -> int:
    """Bytes of user metadata, as S3 counts them."""
    pairs = ((name.removeprefix(_META), value) for name, value in headers.items() if name.startswith(_META))
    return sum(len(name.encode()) + len(value.encode()) for name, value in pairs)


def tagging_header(tags: Sequence[tuple[str, str]]) -> str:
    """Tags as ``x-amz-tagging`` wants them: a query string."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in tags)


def checksum(head: Mapping[str, str]) -> tuple[str, str, str]:
    """A version's checksum: algorithm, ``FULL_OBJECT`` or ``COMPOSITE``, value (base64); empty where it has none."""
    for algorithm in _ALGORITHMS:
        if value := head.get(f"x-amz-checksum-{algorithm.lower()}"):
            composite = "-" in value  # base64 has no dash: "<sum of sums>-<parts>"
            return algorithm, head.get(_TYPE) or ("COMPOSITE" if composite else "FULL_OBJECT"), value
    return "", "", ""


def archived(head: Mapping[str, str]) -> str:
    """Where a version lies so that it cannot be copied now: a storage class or archive tier; empty when it can be."""
    tier = head.get("x-amz-archive-status", "")
    if tier:
        return f"{head.get(_CLASS, 'INTELLIGENT_TIERING')}, {tier}"
    storage_class = head.get(_CLASS, STANDARD)
    return storage_class if storage_class in ARCHIVES and restored(head) != "restored" else ""


def restored(head: Mapping[str, str]) -> str:
    """What ``x-amz-restore`` says: ``restored``, ``restoring``, or empty when nobody asked for it."""
    state = head.get("x-amz-restore", "")
    if 'ongoing-request="true"' in state:
        return "restoring"
    return "restored" if 'ongoing-request="false"' in state else ""


def under_key(head: Mapping[str, str]) -> bool:
    """Whether a version is encrypted with a KMS key or the customer's: its ETag is then no MD5 of the content."""
    return head.get(_ENCRYPTION, "").startswith("aws:kms") or any(
        name.startswith("x-amz-server-side-encryption-customer-") for name in head
    )


def etag_tells(etag: str) -> bool:
    """Whether an ETag can be an MD5 of the content. One of several parts (``…-3``) says how it was cut, too."""
    return len(etag) == 32 and "-" not in etag


def same_properties(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two versions agree in length, content headers and user metadata, and in the checksum where both have one
    of the same kind. For two versions whose ETags cannot be compared."""
    names = {*_CONTENT, "content-length"} | {
        name for head in (one, other) for name in head if name.startswith(_META)
    }
    if any(one.get(name, "") != other.get(name, "") for name in names):
        return False
    mine, theirs = checksum(one), checksum(other)
    comparable = mine[:2] == theirs[:2] and mine[1] == "FULL_OBJECT"
    return mine[2] == theirs[2] if comparable else True
