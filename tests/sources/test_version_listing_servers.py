"""What boto3 puts into a server is what is listed: every kind of key, suspended versioning, markers, many pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.s3_servers import NoServer, S3Server, s3_of, seaweedfs, simulator

from vmqlib.sources.versionlisting import list_versions

KEYS = [
    "plain.md",
    "with space",
    "plus+plus",
    "percent%41%",
    "hash#tag",
    "question?mark=1&two",
    "a&b<c>\"d'",
    "ünï/é",
    "日本語/文書.md",
    "😀.md",
    "\U0010fffd",
    "new\nline",
    "tab\tend",
    "trailing/",
    "~tilde-_.!*'()",
    "semi;colon:at@equals=,$",
    "k" * 250,
    "/".join(["d" * 200] * 5)[:1024],
]
NOT_IN_XML = ["bell\x07", "return\rhere", "delete\x7f", "\ufffe"]
NOT_PATHS = ["/leading", "//twice//over", "a/./b/../c", "é" * 512, "k" * 1024]


@pytest.fixture(scope="module", params=["simulator", "seaweedfs"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with ExitStack() as stack:
        try:
            if request.param == "simulator":
                yield stack.enter_context(simulator())
            else:
                folder: Path = tmp_path_factory.mktemp("seaweedfs")
                yield stack.enter_context(seaweedfs(folder))
        except NoServer as reason:
            pytest.skip(str(reason))


@pytest.mark.slow
def test_every_kind_of_key_comes_back_as_it_was_put(server: S3Server) -> None:
    keys = KEYS if server.name == "seaweedfs" else [*KEYS, *NOT_IN_XML, *NOT_PATHS]
    bucket, client = server.bucket(), server.client()
    put = {}
    for key in keys:
        done = client.put_object(Bucket=bucket, Key=key, Body=key.encode())
        put[key] = done.get("VersionId", "null")  # SeaweedFS has no versions of "trailing/", nor content
    with s3_of(server, bucket) as s3:
        found = {row.key: row.version_id for row in list_versions(s3)}
        assert found == put
        assert list(found) == sorted(put, key=str.encode)
        for key, version in put.items():
            (row,) = list_versions(s3, keys=[key])
            assert row[:4] == (key, version, True, False)
            if version != "null":
                assert s3.send("GET", key, query={"versionId": version}).body == key.encode()
                assert row.size == len(key.encode())


@pytest.mark.slow
def test_a_life_of_a_key(server: S3Server) -> None:
    """Written before versioning, then with it, deleted, then suspended and written and deleted again."""
    bucket, client = server.bucket(versioning=""), server.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"1")
    versioning: dict[str, Any] = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    client.put_bucket_versioning(**versioning)
    first = client.put_object(Bucket=bucket, Key="k", Body=b"22")["VersionId"]
    marker = client.delete_object(Bucket=bucket, Key="k")["VersionId"]
    with s3_of(server, bucket) as s3:
        rows = list(list_versions(s3))
        assert [(row.version_id, row.is_delete_marker, row.is_latest, row.size) for row in rows] == [
            (marker, True, True, 0),
            (first, False, False, 2),
            ("null", False, False, 1),
        ]
        versioning["VersioningConfiguration"]["Status"] = "Suspended"
        client.put_bucket_versioning(**versioning)
        client.put_object(Bucket=bucket, Key="k", Body=b"333")
        rows = list(list_versions(s3))
        assert [(row.version_id, row.is_latest, row.size) for row in rows] == [
            ("null", True, 3),
            (marker, False, 0),
            (first, False, 2),
        ]


@pytest.mark.slow
def test_many_pages_at_once(server: S3Server) -> None:
    bucket = server.bucket()
    with s3_of(server, bucket) as s3:
        keys = [f"docs/{n % 3}/page {n:04d}+é.md" for n in range(90)]
        put: list[tuple[str, str]] = []
        for _ in range(3):
            put += [(key, s3.send("PUT", key, body=b"x").headers["x-amz-version-id"]) for key in keys]
        put += [(key, s3.send("DELETE", key).headers["x-amz-version-id"]) for key in keys[:30]]
        whole = list(list_versions(s3, shards=1))
        assert sorted((row.key, row.version_id) for row in whole) == sorted(put)
        assert sum(row.is_delete_marker for row in whole) == 30
        small = Small(s3)
        assert list(list_versions(small, shards=1)) == whole  # type: ignore[arg-type]
        assert list(list_versions(small)) == whole  # type: ignore[arg-type]


class Small:
    """A bucket that gives twenty entries at a time."""

    def __init__(self, s3: Any) -> None:
        self.bucket, self.max_attempts, self.pause, self._s3 = s3.bucket, s3.max_attempts, s3.pause, s3

    def ask(self, method: str, *, query: dict[str, str], **more: Any) -> Any:
        return self._s3.ask(method, query={"max-keys": "20", **query}, **more)
