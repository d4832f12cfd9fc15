"""The bucket as the connector sees it: moto's S3 read in process, and what its role may not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vmqlib.simulator.qbusiness.failures import DocumentFailed, Failure, SourceFailed

__all__ = ["BucketReader", "Denials", "S3Object"]

_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True)
class S3Object:
    """The current version of a key.

    Parameters
    ----------
    bucket:
        Its bucket.
    key:
        Its key.
    etag:
        Its ETag, without quotes.
    size:
        Bytes.
    storage_class:
        For example ``STANDARD``.
    fetch:
        Reads its bytes.
    """

    bucket: str
    key: str
    etag: str
    size: int
    storage_class: str
    fetch: Callable[[], bytes]


@dataclass
class Denials:
    """What the connector's role is refused: the simulator's switch for permission and KMS trouble.

    Parameters
    ----------
    roles:
        Role ARNs that cannot be assumed.
    reads:
        Reason by (bucket, key prefix); prefix None stands for the bucket itself, listing included.
    """

    roles: set[str] = field(default_factory=set)
    reads: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def of_bucket(self, bucket: str) -> str | None:
        """Why the bucket cannot be listed, or None."""
        return self.reads.get((bucket, None))

    def of_key(self, bucket: str, key: str) -> str | None:
        """Why an object cannot be read, or None."""
        for (denied_bucket, prefix), reason in self.reads.items():
            if denied_bucket == bucket and prefix is not None and key.startswith(prefix):
                return reason
        return None


class BucketReader:
    """Lists and reads one account's buckets as the connector's role.

    Parameters
    ----------
    account_id:
        The account, 12 digits.
    partition:
        ``aws``, ``aws-cn`` …
    denials:
        What is refused.
    """

    def __init__(self, account_id: str, partition: str, denials: Denials) -> None:
        self._account_id = account_id
        self._partition = partition
        self._denials = denials

    def objects(self, bucket: str) -> dict[str, S3Object]:
        """Every current object of ``bucket`` by key, in key order.

        Raises
        ------
        SourceFailed
            When there is no such bucket, or it may not be listed.
        """
        if reason := self._denials.of_bucket(bucket):
            raise SourceFailed(
                "InvalidRequest",
                f"The role of the data source is not authorized to perform s3:ListBucket on bucket {bucket} "
                f"({reason}). Check the role's policy and the bucket policy.",
                reason,
            )
        stored = self._stored(bucket)
        if stored is None:
            raise SourceFailed(
                "ResourceNotFound",
                f"The S3 bucket {bucket} does not exist or is in another account or Region.",
                "NoSuchBucket",
            )
        found = {}
        for key, newest in sorted(stored.keys.items()):
            current = newest[-1] if isinstance(newest, list) else newest
            etag = getattr(current, "etag", None)  # a delete marker has none
            if etag is not None:
                found[key] = _object(bucket, current, etag)
        return found

    def read(self, item: S3Object) -> bytes:
        """The bytes of ``item``.

        Raises
        ------
        DocumentFailed
            When the role is refused, or the object is archived.
        """
        if reason := self._denials.of_key(item.bucket, item.key):
            raise DocumentFailed(_denied(item, reason))
        if item.storage_class in _ARCHIVED:
            text = (
                f"The object is archived in {item.storage_class} and must be restored before it can be read."
            )
            raise DocumentFailed(Failure("InvalidObjectState", text, "crawl", retried=True))
        return item.fetch()

    def _stored(self, bucket: str) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends[self._account_id][self._partition].buckets.get(bucket)


def _object(bucket: str, current: Any, etag: str) -> S3Object:
    return S3Object(
        bucket=bucket,
        key=current.name,
        etag=etag.strip('"'),
        size=current.size,
        storage_class=current.storage_class or "STANDARD",
        fetch=lambda: bytes(current.value),
    )


def _denied(item: S3Object, reason: str) -> Failure:
    where = f"s3://{item.bucket}/{item.key}"
    if reason.upper().startswith("KMS"):
        text = f"The role of the data source may not perform kms:Decrypt on the key that encrypts {where}."
        return Failure("KMS.AccessDeniedException", text, "crawl", retried=True)
    text = f"The role of the data source is not authorized to perform s3:GetObject on {where} ({reason})."
    return Failure("AccessDenied", text, "crawl", retried=True)
