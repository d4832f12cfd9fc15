"""What the checks of an S3 server have in common: a registry, a client with shorthands, keys of every kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

__all__ = ["CHECKS", "ODD_KEYS", "Check", "Probe", "check", "same"]

Check = Callable[["Probe"], None]
CHECKS: dict[str, Check] = {}

ODD_KEYS = (
    *(
        "plus+plus",
        "sp ace",
        " space before",
        "space after ",
        "per%cent",
        "lit%20eral",
        "lit%2Beral",
        "hash#1",
    ),
    *(
        "q?x=1&y=2",
        "amp&lt<gt>",
        "quote'\"",
        "{brace}|pipe^`",
        "semi;colon:at@eq=,$!*()",
        "~tilde",
        "back\\slash",
    ),
    *(
        "ünï",
        "日本語",
        "emoji😀",
        "e\u0301 beside \u00e9",
        "a\u0085b",
        "line\nbreak",
        "return\rhere",
        "tab\tx",
    ),
    *("control\x01x", "double//slash", "./dot", "../dotdot", "trail/", "/lead", "x" * 1024),
)


def check(function: Check) -> Check:
    """Registers a check under its own name."""
    assert function.__name__ not in CHECKS
    CHECKS[function.__name__] = function
    return function


class Probe:
    """A boto3 client of the server, and what the checks have in common.

    Parameters
    ----------
    client:
        boto3's S3 client, with path addressing and without retries.
    """

    def __init__(self, client: Any) -> None:
        self.s3 = client

    def bucket(self, versioning: str = "Enabled", **more: Any) -> str:
        name = f"c{uuid4().hex[:16]}"
        where = {"LocationConstraint": self.s3.meta.region_name}
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration=where, **more)
        if versioning:
            self.versioning(name, versioning)
        return name

    def versioning(self, bucket: str, status: str) -> None:
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    def put(self, bucket: str, key: str, body: bytes = b"x", **more: Any) -> str:
        return self.s3.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId", "null")

    def read(self, bucket: str, key: str = "k", **more: Any) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()

    def delete(self, bucket: str, key: str = "k", **more: Any) -> dict[str, Any]:
        return self.s3.delete_object(Bucket=bucket, Key=key, **more)

    def copy(self, bucket: str, version: str, key: str = "k", **more: Any) -> dict[str, Any]:
        source = {"Bucket": bucket, "Key": key, "VersionId": version}
        return self.s3.copy_object(Bucket=bucket, Key=key, CopySource=source, **more)

    def two(self, bucket: str, first: bytes = b"one", **more: Any) -> str:
        """Puts ``k`` twice; gives the older version's id."""
        version = self.put(bucket, "k", first, **more)
        self.put(bucket, "k", b"two")
        return version

    def versions(self, bucket: str, **more: Any) -> list[dict[str, Any]]:
        return self.s3.list_object_versions(Bucket=bucket, **more).get("Versions", [])

    def markers(self, bucket: str) -> list[dict[str, Any]]:
        return self.s3.list_object_versions(Bucket=bucket).get("DeleteMarkers", [])

    def all(self, bucket: str, size: int) -> list[tuple[str, str, str]]:
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": size}
        )
        return [
            (kind, row["Key"], row["VersionId"])
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for row in page.get(kind, [])
        ]

    def document(self, bucket: str, encoded: bool = True) -> str:
        """The listing as the server wrote it: boto3 loses the order between versions and markers."""
        seen: list[str] = []
        hook, plain = f"vmq-{uuid4()}", f"vmq-{uuid4()}"
        events = self.s3.meta.events
        events.register(
            "before-parse.s3.ListObjectVersions",
            lambda response_dict, **_: seen.append(response_dict["body"].decode()),
            unique_id=hook,
        )
        if not encoded:
            events.register(
                "before-sign.s3.ListObjectVersions",
                lambda request, **_: setattr(request, "url", re.sub(r"&?encoding-type=url", "", request.url)),
                unique_id=plain,
            )
        try:
            self.s3.list_object_versions(Bucket=bucket)
        finally:
            events.unregister("before-parse.s3.ListObjectVersions", unique_id=hook)
            events.unregister("before-sign.s3.ListObjectVersions", unique_id=plain)
        return seen[0]

    def order(self, bucket: str) -> str:
        return "".join(found[0] for found in re.findall(r"<(Version|DeleteMarker)>", self.document(bucket)))

    def refused(self, call: Callable[..., Any], *args: Any, **more: Any) -> tuple[int, str]:
        """HTTP status and error code; (200, "") when it went well."""
        try:
            call(*args, **more)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"].get(
                "Code", ""
            )
        return 200, ""


def same(found: object, wanted: object) -> None:
    assert found == wanted, f"{found!r} is not {wanted!r}"
