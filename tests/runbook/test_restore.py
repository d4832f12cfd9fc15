"""Back to the last good sync: what is restored, what is left alone, and what the index holds then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, BadInput, WorldChanged
from vmqlib.record.incident import Incident
from vmqlib.runbook import restore, resync
from vmqlib.settings import Settings
from vmqlib.sources.versions import state_at

LOOKED_AT = ("sync-jobs", "versions")


@pytest.fixture
def aws(start_local_aws: Callable[..., Any], point_at: Callable[[Any], None]) -> Aws:
    local = start_local_aws("sync-failed")
    point_at(local)
    aws = Aws(Settings.load())
    aws.local = local  # type: ignore[attr-defined]
    return aws


@pytest.fixture
def incident(aws: Aws) -> Incident:
    made = Incident.open(aws.settings, aws, trigger="sync-failed")
    made.observe(LOOKED_AT)
    return made


def contents(incident: Incident, at: Any) -> dict[str, str]:
    """Key to ETag, as the bucket was at ``at``."""
    frame = state_at(incident.observed("versions").frame, at)
    return dict(zip(frame["key"], frame["etag"], strict=True))


def test_the_bucket_is_as_it_was_and_the_index_follows(aws: Aws, incident: Incident) -> None:
    plan = restore.plan(incident)
    truth = aws.local.truth  # type: ignore[attr-defined]
    restored = set(plan.items["key"])
    # A document is also broken by its metadata file, which is an object of its own.
    assert all(key in restored or f"metadata/{key}.metadata.json" in restored for key in truth.broken_keys)
    assert restored >= set(truth.deleted_keys)
    then = contents(incident, plan.at)
    versions_before = len(incident.observed("versions").frame)
    restore.apply(incident, aws, plan)
    incident.observe(LOOKED_AT, refresh=True)
    assert contents(incident, incident.clock.now() + timedelta(minutes=1)) == then
    # Nothing was destroyed: every item is a version on top.
    assert len(incident.observed("versions").frame) == versions_before + len(plan.items)
    assert restore.plan(incident).items.empty
    sleep = lambda seconds: aws.local.clock.advance(timedelta(seconds=seconds))  # type: ignore[attr-defined] # noqa: E731
    resync.start(aws, aws.settings, aws.settings.ds_id)
    job = resync.wait(aws, aws.settings, aws.settings.ds_id, sleep=sleep)
    assert job.succeeded
    assert job.failed == 0


def test_what_somebody_else_changed_is_left_alone(aws: Aws, incident: Incident) -> None:
    plan = restore.plan(incident)
    rewritten, deleted = plan.items["key"].iloc[0], plan.items["key"].iloc[1]
    s3 = aws.client("s3")
    s3.put_object(Bucket=plan.bucket, Key=rewritten, Body=b"theirs")
    s3.delete_object(Bucket=plan.bucket, Key=deleted)
    with pytest.raises(WorldChanged) as raised:
        restore.apply(incident, aws, plan)
    assert raised.value.exit_code == 4
    assert rewritten in raised.value.message
    assert s3.get_object(Bucket=plan.bucket, Key=rewritten)["Body"].read() == b"theirs"
    (event,) = [event for event in incident.journal.events() if event.kind == "applied"]
    assert len(event.data.model_dump()["items"]) == len(plan.items) - 2


def test_stopped_half_way_says_how_far(aws: Aws, incident: Incident) -> None:
    plan = restore.plan(incident)
    aws.local.faults.add(  # type: ignore[attr-defined]
        service="s3", operation="CopyObject", status=403, code="AccessDenied", skip=3
    )
    with pytest.raises(AwsError):
        restore.apply(incident, aws, plan)
    (event,) = [event for event in incident.journal.events() if event.kind == "failed"]
    assert event.summary.startswith("Stopped after 3 of")


def test_without_evidence_nothing_is_planned(aws: Aws) -> None:
    incident = Incident.open(aws.settings, aws, trigger="sync-failed")
    with pytest.raises(BadInput, match="Nobody has looked"):
        restore.plan(incident)
