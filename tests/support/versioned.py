"""A versioned bucket in a local AWS of this process, whose versions are written at the moments that a test names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3

from vmqlib.aws import Aws
from vmqlib.settings import Settings
from vmqlib.simulator.server import LocalAws
from vmqlib.times import FixedClock, iso

__all__ = ["NOW", "T0", "VersionedBucket", "at", "row"]

T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=3)


def at(seconds: float) -> datetime:
    """So many seconds after :data:`T0`."""
    return T0 + timedelta(seconds=seconds)


def row(
    key: str, number: int, seconds: float, *, marker: bool = False, latest: bool = False, **more: Any
) -> dict[str, Any]:
    """A row of the source ``versions``."""
    return {
        "key": key,
        "version_id": f"v{number}",
        "is_latest": latest,
        "is_delete_marker": marker,
        "at": iso(at(seconds)),
        "size": None if marker else 10,
        "etag": "" if marker else f"e{number}",
        "storage_class": "" if marker else "STANDARD",
        "order": 0,
        **more,
    }


@dataclass(frozen=True)
class VersionedBucket:
    """The bucket.

    Parameters
    ----------
    local:
        Where it is. Its clock stands where the last write left it.
    name:
        The bucket's name.
    """

    local: LocalAws
    name: str

    @classmethod
    def made(cls, local: LocalAws, name: str, *, versioning: str = "Enabled") -> VersionedBucket:
        """A new one; ``versioning`` may be empty: never on."""
        bucket = cls(local, name)
        place = {"LocationConstraint": "eu-west-1"}
        bucket.client.create_bucket(Bucket=name, CreateBucketConfiguration=place)
        if versioning:
            bucket.version(versioning)
        return bucket

    @cached_property
    def client(self) -> Any:
        """A boto3 client, from the environment that ``point_at`` set."""
        return boto3.client("s3")

    def version(self, status: str) -> None:
        """Turns versioning on or suspends it."""
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": status})

    def put(self, key: str, body: bytes | str, seconds: float = 0, **more: Any) -> str:
        """A version at :data:`T0` and so many seconds; its id."""
        self.local.clock.set(T0 + timedelta(seconds=seconds))
        data = body.encode() if isinstance(body, str) else body
        return str(
            self.client.put_object(Bucket=self.name, Key=key, Body=data, **more).get("VersionId", "null")
        )

    def delete(self, key: str, seconds: float = 0) -> str:
        """A delete marker; its id."""
        self.local.clock.set(T0 + timedelta(seconds=seconds))
        return str(self.client.delete_object(Bucket=self.name, Key=key).get("VersionId", "null"))

    def promotion(self, ts: float, written: float, sha: str = "9c1f2ab4de", by: str = "ci-deploy") -> str:
        """An audit record: its ``ts`` and when it is written, in seconds after :data:`T0`; its key."""
        at = T0 + timedelta(seconds=ts)
        key = f"audit/promotions/promotion-{at:%Y%m%dT%H%M%SZ}-{sha}.json"
        record = {
            "event": "promotion",
            "ts": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "ci_sha": sha,
            "performed_by": by,
            "source_staging_prefix": f"s3://{self.name}/_staging/",
        }
        self.put(key, json.dumps(record), written)
        return key

    @cached_property
    def aws(self) -> Aws:
        """The kit's way to it, with a clock that stands still at :data:`NOW`; nothing is tried twice."""
        return Aws(self.settings, FixedClock(NOW), max_attempts=1)

    @cached_property
    def settings(self) -> Settings:
        """Settings that name this bucket."""
        return Settings.load(bucket_name=self.name)
