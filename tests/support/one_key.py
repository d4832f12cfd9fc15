"""A bucket to roll single keys back in: what the tests of ``Objects`` ask of whichever server it is on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from support.s3_servers import S3Server, aws_of

from vmqlib.aws import Aws
from vmqlib.runbook.rollback.items import NOTHING, Action, Item
from vmqlib.runbook.rollback.objects import Objects
from vmqlib.s3 import S3, Answer
from vmqlib.settings import Settings
from vmqlib.simulator.aws_gaps.s3.store import KeyStore

__all__ = ["Counting", "Shelf", "shelf_in", "shelf_on", "wire_in"]

_REGION = "eu-west-1"
_made = itertools.count()


class Counting(S3):
    """The wire, with a list of what went over it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked: list[str] = []

    def send(self, method: str, key: str = "", **more: Any) -> Answer:
        self.asked.append(f"{method} {'key' if key else 'bucket'}")
        return super().send(method, key, **more)


@dataclass
class Shelf:
    """One versioned bucket.

    Parameters
    ----------
    name:
        The bucket.
    client:
        A boto3 client, for what the tests do to the bucket.
    s3:
        The kit's wire to it.
    server:
        ``seaweedfs`` or ``simulator``.
    local:
        The simulator where it runs in this process, for its faults and clock.
    """

    name: str
    client: Any
    s3: Counting
    server: str
    local: Any = None
    objects: Objects = field(init=False)

    def __post_init__(self) -> None:
        self.objects = Objects(self.s3)

    def put(self, key: str, body: bytes = b"x", **more: Any) -> str:
        """PutObject; the version made."""
        return self.client.put_object(Bucket=self.name, Key=key, Body=body, **more)["VersionId"]

    def versioning(self, status: str) -> None:
        """PutBucketVersioning: ``Enabled`` or ``Suspended``."""
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": status})

    def delete(self, key: str) -> str:
        """DeleteObject; the marker made."""
        return self.client.delete_object(Bucket=self.name, Key=key)["VersionId"]

    def get(self, key: str) -> bytes:
        """The current content."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def head(self, key: str, **more: Any) -> Mapping[str, Any]:
        """HeadObject with checksums."""
        return self.client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED", **more)

    def tags(self, key: str) -> dict[str, str]:
        """The current version's tags."""
        found = self.client.get_object_tagging(Bucket=self.name, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def item(self, key: str, action: Action, back: int = 1) -> Item:
        """What a plan would say about a key: its newest entry is current, the one ``back`` below it the target."""
        entries = self.objects.look(key)
        target = NOTHING if action == "DELETE" else entries[back]
        return Item(key, action, entries[0], target)

    def inspected(self, key: str, action: Action = "COPY", back: int = 1) -> Item:
        """The same, looked at."""
        item = self.objects.inspect(self.item(key, action, back))
        assert item.action == action, item
        return item

    def empty(self) -> Shelf:
        """Takes everything away, so that the next test finds nothing."""
        page = {} if self.local else self.client.list_object_versions(Bucket=self.name)
        if self.local:
            from moto.s3.models import s3_backends

            s3_backends["123456789012"]["aws"].get_bucket(self.name).keys = KeyStore()
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            self.client.delete_object(Bucket=self.name, Key=entry["Key"], VersionId=entry["VersionId"])
        self.objects = Objects(self.s3)
        self.s3.asked.clear()
        return self

    def history(self, key: str) -> list[str]:
        """The ids of a key's versions and markers, newest first."""
        return [entry.version_id for entry in self.objects.look(key)]


def shelf_in(local: Any, *, versioning: str = "Enabled", **credentials: str) -> Shelf:
    """A new bucket of a simulator that runs in this process.

    Parameters
    ----------
    versioning:
        ``Enabled``, or empty for never on.
    credentials:
        Variables that the kit is given instead of the simulator's own.
    """
    import boto3

    name = f"shelf-{next(_made)}"
    env = {name: str(value) for name, value in local.env.items()}
    with patch.dict("os.environ", env):
        client = boto3.client("s3", region_name=_REGION)
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": _REGION})
    shelf = Shelf(name, client, wire_in(local, name, **credentials), "simulator", local)
    if versioning:
        shelf.versioning(versioning)
    return shelf


def wire_in(local: Any, bucket: str, **credentials: str) -> Counting:
    """The kit's wire to a bucket of the simulator in this process."""
    env = {name: str(value) for name, value in local.env.items()} | credentials
    with patch.dict("os.environ", env):
        return _learnt(Counting(Aws(Settings.load(region=_REGION), max_attempts=3), bucket))


def shelf_on(server: S3Server) -> Shelf:
    """A new bucket of a server that runs for itself."""
    name = server.bucket()
    with patch.dict("os.environ", server.env):
        return Shelf(name, server.client(), _learnt(Counting(aws_of(server), name)), server.name)


def _learnt(s3: Counting) -> Counting:
    """Endpoint and credentials are learnt with the first request: now, while the environment says where."""
    s3.send("GET", query={"location": ""})
    s3.asked.clear()
    return s3
