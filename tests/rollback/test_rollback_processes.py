"""The whole way in processes of its own: the bucket on SeaweedFS, all other services on the local AWS.

The kit is told so by boto3's own environment variables and by nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.times import iso

pytestmark = pytest.mark.slow

KEYS = [*(f"guides/page-{number:02}.md" for number in range(30)), "a b+c%25#?.md", "é/😀.md"]


def vmq(*arguments: str, code: int = 0) -> Any:
    """A command in a process of its own; its JSON document."""
    words = [sys.executable, "-m", "vmqlib.cli", *arguments, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def next_second(of: datetime) -> datetime:
    """Waits until the second of ``of`` is over: S3 dates to the second."""
    end = of.replace(microsecond=0) + timedelta(seconds=1)
    while datetime.now(UTC) < end:
        time.sleep(0.02)
    return end


@pytest.fixture
def bucket(
    seaweedfs: Any, healthy_aws: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> str:
    """A bucket on SeaweedFS, which the environment names; everything else is the local AWS."""
    point_at(healthy_aws)
    name: str = seaweedfs.bucket()
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, seaweedfs.env[variable])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", seaweedfs.url)
    monkeypatch.setenv("BUCKET_NAME", name)
    assert os.environ["AWS_ENDPOINT_URL"] != seaweedfs.url
    return name


def test_plan_apply_verify_undo(seaweedfs: Any, bucket: str) -> None:
    client = seaweedfs.client()

    def write(text: str | None, *keys: str) -> datetime:
        for key in keys:
            if text is None:
                client.delete_object(Bucket=bucket, Key=key)
            else:
                kept = {"Metadata": {"page": "1"}, "ContentType": "text/markdown", "CacheControl": "no-store"}
                client.put_object(Bucket=bucket, Key=key, Body=f"{text} {key}".encode(), **kept)
        return datetime.now(UTC)

    def holds() -> dict[str, tuple[bytes, str, str]]:
        listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        answers = {each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"]) for each in listed}
        return {
            key: (it["Body"].read(), it["ContentType"], it["CacheControl"]) for key, it in answers.items()
        }

    good = next_second(write("good", *KEYS))
    was = holds()
    next_second(good)
    write("bad", *KEYS[:-2])
    write(None, KEYS[-2])
    next_second(write("new", "added.md"))
    bad = holds()

    settings = Settings.load()
    incident = Incident.open(settings, None, trigger="content", data_source_id=settings.ds_id)
    plan = vmq("rollback", "plan", incident.id, "--to", iso(good))
    assert plan["counts"] == {"COPY": 30, "UNDELETE": 1, "DELETE": 1}
    assert holds() == bad
    assert vmq("rollback", "verify", incident.id, code=1)["counts"] == {"not applied": 32}
    applied = vmq("rollback", "apply", incident.id, "--digest", plan["digest"][:12], "--yes")
    assert (applied["ok"], applied["done"]) == (True, 32)
    assert holds() == was
    assert vmq("rollback", "verify", incident.id)["ok"]
    undone = vmq("rollback", "undo", incident.id, "--yes")
    assert undone["ok"]
    assert holds() == bad
    assert vmq("rollback", "verify", incident.id)["ok"]
    assert vmq("verify", incident.id)["ok"]
    # The journal says who it was: that was asked of the other server.
    (opened, *rest) = Incident.load(incident.id).journal.events()
    assert opened.actor.caller == "unknown"
    assert {event.actor.caller.split(":")[2] for event in rest} <= {"iam", "sts"}
