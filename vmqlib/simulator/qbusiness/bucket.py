"""The bucket as the connector sees it: moto's S3 read in process, and what its role may not read.

A sync reads as the data source's role: s3:ListBucket for the crawl, s3:GetObject for each object that is read, and
kms:Decrypt where one is encrypted with a key of the account's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vmqlib.simulator.policies import Statement, statements
from vmqlib.simulator.qbusiness.failures import DocumentFailed, Failure, SourceFailed
from vmqlib.simulator.qbusiness.role import Role

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
    key_arn:
        The KMS key that encrypts it; "" for none, or one of AWS's own.
    user_metadata:
        Its ``x-amz-meta-`` headers, in order.
    """

    bucket: str
    key: str
    etag: str
    size: int
    storage_class: str
    fetch: Callable[[], bytes]
    key_arn: str = ""
    user_metadata: tuple[tuple[str, str], ...] = ()


@dataclass
class Denials:
    """What the connector is refused: the simulator's switch for permission and KMS trouble, and for throttling.

    Parameters
    ----------
    roles:
        Role ARNs that cannot be assumed.
    reads:
        Reason by (bucket, key prefix); prefix None stands for the bucket itself, listing included.
    slowed:
        Share (0 to 1) by bucket of the objects for which S3 answers SlowDown, whatever the connector retries.
    dice:
        Says which they are: a number in [0, 1) for each.
    """

    roles: set[str] = field(default_factory=set)
    reads: dict[tuple[str, str | None], str] = field(default_factory=dict)
    slowed: dict[str, float] = field(default_factory=dict)
    dice: Callable[[], float] = lambda: 1.0

    def of_bucket(self, bucket: str) -> str | None:
        """Why the bucket cannot be listed, or None."""
        return self.reads.get((bucket, None))

    def of_key(self, bucket: str, key: str) -> str | None:
        """Why an object cannot be read, or None."""
        for (denied_bucket, prefix), reason in self.reads.items():
            if denied_bucket == bucket and prefix is not None and key.startswith(prefix):
                return reason
        return None

    def throttles(self, bucket: str) -> bool:
        """Whether S3 asks to slow down for the next object of ``bucket``."""
        return bucket in self.slowed and self.dice() < self.slowed[bucket]


class BucketReader:
    """Lists and reads one account's buckets as the connector's role.

    Parameters
    ----------
    account_id:
        The account, 12 digits.
    partition:
        ``aws``, ``aws-cn`` …
    region:
        Where keys are that objects name by their id alone.
    denials:
        What is refused, whatever the role may do.
    role:
        As whom it reads; None: as one that may read everything.
    """

    def __init__(
        self, account_id: str, partition: str, region: str, denials: Denials, role: Role | None = None
    ) -> None:
        self._account_id = account_id
        self._partition = partition
        self._region = region
        self._denials = denials
        self._role = role
        self._policies: dict[str, tuple[Statement, ...]] = {}

    def acting_as(self, role: Role) -> BucketReader:
        """One that reads as ``role``, for one sync."""
        return BucketReader(self._account_id, self._partition, self._region, self._denials, role)

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
        if stored is not None and (refused := self._refusal("s3:ListBucket", bucket, "")):
            raise SourceFailed(
                "InvalidRequest",
                f"The bucket {bucket} cannot be listed. {refused}. Check the role's policy and the bucket policy.",
                "AccessDenied",
            )
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
                found[key] = self._object(bucket, current, etag)
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
        if refused := self._refusal("s3:GetObject", item.bucket, item.key):
            raise DocumentFailed(Failure("AccessDenied", f"{refused}.", "crawl", retried=True))
        if item.key_arn and self._role and (refused := self._role.refusal("kms:Decrypt", item.key_arn)):
            raise DocumentFailed(Failure("KMS.AccessDeniedException", f"{refused}.", "crawl", retried=True))
        if item.storage_class in _ARCHIVED:
            text = (
                f"The object is archived in {item.storage_class} and must be restored before it can be read."
            )
            raise DocumentFailed(Failure("InvalidObjectState", text, "crawl", retried=True))
        return item.fetch()

    def throttled(self, item: S3Object) -> Failure | None:
        """Why ``item`` cannot be looked at just now, None when it can."""
        if not self._denials.throttles(item.bucket):
            return None
        text = (
            f"Amazon S3 throttled the connector: 503 SlowDown (Please reduce your request rate) for "
            f"s3://{item.bucket}/{item.key}, retries included."
        )
        return Failure("SlowDown", text, "crawl", retried=True)

    def _stored(self, bucket: str) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends[self._account_id][self._partition].buckets.get(bucket)

    def _refusal(self, action: str, bucket: str, key: str) -> str:
        """Why the role may not, by its policies and the bucket's; empty when it may."""
        if self._role is None:
            return ""
        if bucket not in self._policies:
            self._policies[bucket] = tuple(statements("bucket", self._stored(bucket).policy or "{}"))
        resource = f"arn:{self._partition}:s3:::{bucket}" + (f"/{key}" if key else "")
        return self._role.refusal(action, resource, *self._policies[bucket])

    def _object(self, bucket: str, current: Any, etag: str) -> S3Object:
        return S3Object(
            bucket=bucket,
            key=current.name,
            etag=etag.strip('"'),
            size=current.size,
            storage_class=current.storage_class or "STANDARD",
            fetch=lambda: bytes(current.value),
            key_arn=self._key_arn(current),
            user_metadata=tuple(
                sorted(
                    (name.lower(), str(value))
                    for name, value in current.metadata.items()
                    if name.lower().startswith("x-amz-meta-")
                )
            ),
        )

    def _key_arn(self, current: Any) -> str:
        key_id = str(current.kms_key_id or "") if current.encryption == "aws:kms" else ""
        if not key_id or key_id.startswith("arn:"):
            return key_id
        return f"arn:{self._partition}:kms:{self._region}:{self._account_id}:key/{key_id}"


def _denied(item: S3Object, reason: str) -> Failure:
    where = f"s3://{item.bucket}/{item.key}"
    if reason.upper().startswith("KMS"):
        text = f"The role of the data source may not perform kms:Decrypt on the key that encrypts {where}."
        return Failure("KMS.AccessDeniedException", text, "crawl", retried=True)
    text = f"The role of the data source is not authorized to perform s3:GetObject on {where} ({reason})."
    return Failure("AccessDenied", text, "crawl", retried=True)
