"""The same history in the model of S3 and on a real server, and what can be read on either."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from botocore.exceptions import ClientError
from support.s3_model import NULL, S3Model
from support.s3_servers import S3Server

__all__ = ["Mirror", "as_read"]

Read = tuple[bytes, str, dict[str, str]]


def as_read(content: str) -> Read:
    """Body, content type and metadata of what the model calls ``content``."""
    mark = hashlib.md5(content.encode()).hexdigest()
    return content.encode(), f"text/x-{mark[:6]}", {"mark": mark, "length": str(len(content))}


@dataclass
class Mirror:
    """A bucket on a server, and its model, which hears of every change.

    Parameters
    ----------
    server:
        Where the bucket is.
    bucket:
        Its name.
    model:
        What it should hold.
    names:
        Version ids of the model by the server's.
    """

    server: S3Server
    bucket: str
    model: S3Model
    names: dict[str, str] = field(default_factory=lambda: {NULL: NULL})

    def __post_init__(self) -> None:
        self.client = self.server.client()

    def put(self, key: str, content: str) -> None:
        body, kind, metadata = as_read(content)
        self._now()
        answer = self.client.put_object(
            Bucket=self.bucket, Key=key, Body=body, ContentType=kind, Metadata=metadata
        )
        self._named(answer, self.model.put(key, content))

    def delete(self, key: str) -> None:
        self._now()
        answer = self.client.delete_object(Bucket=self.bucket, Key=key)
        self._named(answer, self.model.delete(key))

    def destroy(self, key: str, place: int) -> None:
        """Removes the version or marker at that place (0: the newest) for good, if there is one."""
        entries = self.model.keys.get(key, [])
        if len(entries) <= place:
            return
        ours = entries[place].version_id
        theirs = next(name for name, known in self.names.items() if known == ours)
        self._now()
        self.client.delete_object(Bucket=self.bucket, Key=key, VersionId=theirs)
        self.model.destroy(key, ours)

    def versioning(self, status: str) -> None:
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})
        self.model.status = status

    def play(self, chance: Random, keys: tuple[str, ...], suspends: bool) -> None:
        """A few changes."""
        for _ in range(chance.randint(1, 8)):
            key, what = chance.choice(keys), chance.random()
            if what < 0.55:
                self.put(key, chance.choice(["", "one", "two", f"{chance.random()}"]))
            elif what < 0.85:
                self.delete(key)
            elif what < 0.93:
                self.destroy(key, chance.randint(0, 2))
            elif suspends and self.model.status:
                self.versioning("Suspended" if self.model.status == "Enabled" else "Enabled")

    def visible(self) -> dict[str, Read]:
        """What can be read on the server now."""
        found = {}
        for key in self.model.keys:
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                continue
            found[key] = (answer["Body"].read(), answer["ContentType"], answer["Metadata"])
        return found

    def _now(self) -> None:
        self.model.now = max(self.model.now, datetime.now(UTC))

    def _named(self, answer: dict[str, Any], ours: str) -> None:
        if ours and ours != NULL:
            self.names[answer["VersionId"]] = ours
