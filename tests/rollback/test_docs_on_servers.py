"""Documents uploaded to SeaweedFS, which honours conditions by itself: conditions, content, deletions, the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.s3_servers import aws_of

from vmqlib.runbook import docsync
from vmqlib.settings import Connector

pytestmark = pytest.mark.slow


def test_add_update_delete_and_leave_alone(seaweedfs_bucket: Any, tmp_path: Path) -> None:
    client, bucket = seaweedfs_bucket.client(), seaweedfs_bucket.name
    for key, text in {
        "old.md": "old",
        "gone.md": "gone",
        "same.md": "same",
        "raced.md": "old",
        "ci/x.md": "ci",
    }.items():
        client.put_object(Bucket=bucket, Key=key, Body=text.encode())
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in {
        "old.md": "new",
        "same.md": "same",
        "raced.md": "new",
        "new é+.md": "new",
        "late.md": "x",
    }.items():
        (folder / name).write_text(text)
    aws = aws_of(seaweedfs_bucket.server, bucket_name=bucket)
    made = docsync.plan(aws, aws.settings, Connector(name="docs"), folder, delete=True)
    assert {item.key: item.action for item in made.items} == {
        "gone.md": "DELETE", "late.md": "ADD", "new é+.md": "ADD", "old.md": "UPDATE", "raced.md": "UPDATE",
    }  # fmt: skip
    client.put_object(Bucket=bucket, Key="raced.md", Body=b"theirs")
    client.put_object(Bucket=bucket, Key="late.md", Body=b"theirs")
    done = docsync.apply(made, aws, digest=made.digest, delete_most=True)
    assert {one.item.key: one.outcome.result for one in done.outcomes} == {
        "gone.md": "done", "late.md": "changed", "new é+.md": "done", "old.md": "done", "raced.md": "changed",
    }  # fmt: skip
    assert done.verified
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]]
    there = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    assert there == {
        "ci/x.md": b"ci", "late.md": b"theirs", "new é+.md": b"new", "old.md": b"new", "raced.md": b"theirs",
        "same.md": b"same",
    }  # fmt: skip
    listed = client.list_object_versions(Bucket=bucket)
    assert [one["Key"] for one in listed["DeleteMarkers"]] == ["gone.md"]
    assert len([one for one in listed["Versions"] if one["Key"] == "old.md"]) == 2
    assert docsync.plan(aws, aws.settings, Connector(name="docs"), folder).counts.get("ADD", 0) == 0
