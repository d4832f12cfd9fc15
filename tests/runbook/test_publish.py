"""A closed record in a bucket: byte for byte what was sealed, never over another, whole or without a manifest."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.publish_rig import Record, manifest_key

from vmqlib.cli.main import run, vmq
from vmqlib.errors import (
    AccessDenied,
    AwsError,
    BadInput,
    CheckFailed,
    CorruptRecord,
    Interrupted,
    ResourceMissing,
    WorldChanged,
)
from vmqlib.record.checks import verify_folder
from vmqlib.record.notebook import RECORD_MIME
from vmqlib.runbook import publish
from vmqlib.s3 import S3


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def record(local: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> Record:
    local.faults.clear()
    point_at(local)
    monkeypatch.setattr(S3, "pause", staticmethod(lambda attempt, stop=None: None))
    return Record(local)


def test_what_is_published_verifies_and_so_does_what_stays_here(record: Record, tmp_path: Path) -> None:
    incident = record.closed()
    incident.note("said after closing")
    done = record.published(incident)
    assert done.there == 0
    copy = record.download(tmp_path, incident.id)
    report = verify_folder(copy)
    assert report.ok
    assert report.sealed
    assert report.findings == ()
    assert incident.verify().ok
    head = record.s3.head_object(
        Bucket=record.bucket, Key=f"audit/incidents/{incident.id}/incident.html", ChecksumMode="ENABLED"
    )
    assert head["ContentType"] == "text/html; charset=utf-8"
    assert head["ChecksumSHA256"]
    assert done.page.endswith(f"/audit/incidents/{incident.id}/incident.html")
    kinds = [event.kind for event in incident.journal.events()]
    assert kinds[-3:] == ["approved", "applying", "applied"]


def test_again_is_nothing_and_a_lost_object_alone_comes_back(record: Record) -> None:
    incident = record.closed()
    first = record.published(incident)
    events = incident.state.events
    again = record.published(incident, include_unmasked=False)
    assert (again.uploaded, again.there) == (0, first.uploaded)
    assert incident.state.events == events, "nothing was done, so nothing is written down"
    record.s3.delete_object(Bucket=record.bucket, Key=f"audit/incidents/{incident.id}/incident.html")
    assert record.published(incident).uploaded == 1


def test_another_record_is_never_overwritten(record: Record) -> None:
    incident = record.closed()
    record.write({manifest_key(incident): "another's"})
    made = publish.plan(incident, record.target)
    before = record.holds()
    with pytest.raises(WorldChanged, match="another content") as raised:
        record.published(incident, made)
    assert raised.value.exit_code == 4
    assert record.holds() == before
    assert "another prefix" in raised.value.hint


def test_a_preview_of_what_is_taken_ends_as_publishing_would(record: Record, capsys: Any) -> None:
    incident = record.closed()
    given = ["publish", incident.id, record.target, "--include-unmasked", "--preview"]
    assert run(vmq, given) == 0
    assert "--include-unmasked" not in capsys.readouterr().err, "it was given"
    assert run(vmq, [*given[:3], "--preview"]) == 0
    assert "That needs --include-unmasked." in capsys.readouterr().err
    record.write({f"audit/incidents/{incident.id}/incident.html": "theirs"})
    assert run(vmq, [*given, "--json"]) == 4
    shown = capsys.readouterr()
    assert [one["path"] for one in json.loads(shown.out)["files"] if one["there"] == "other"] == [
        "incident.html"
    ]
    assert "another content" in shown.err


def test_somebody_elses_object_since_the_plan_is_left_alone(record: Record) -> None:
    incident = record.closed()
    made = publish.plan(incident, record.target)
    page = f"audit/incidents/{incident.id}/incident.html"
    record.write({page: "theirs"})
    with pytest.raises(WorldChanged):
        record.published(incident, made)
    assert record.s3.get_object(Bucket=record.bucket, Key=page)["Body"].read() == b"theirs"
    with pytest.raises(record.s3.exceptions.NoSuchKey):
        record.s3.get_object(Bucket=record.bucket, Key=manifest_key(incident))
    assert [event.kind for event in incident.journal.events()][-1] == "failed"


def test_an_open_incident(record: Record) -> None:
    with pytest.raises(BadInput, match="is open") as raised:
        publish.plan(record.incident, record.target)
    assert f"vmq close {record.incident.id}" in raised.value.hint


@pytest.mark.parametrize("broken", ["journal.jsonl", "evidence", "incident.html", "MANIFEST.json"])
def test_a_broken_record(record: Record, broken: str) -> None:
    incident = record.closed()
    path = next((incident.dir / "evidence").iterdir()) if broken == "evidence" else incident.dir / broken
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data.replace(b"a", b"b", 1) if broken != "evidence" else data[:-1])
    with pytest.raises(CorruptRecord) as raised:
        publish.plan(record.again(), record.target)
    assert raised.value.exit_code == 1
    assert not [key for key in record.holds_keys() if key.startswith("audit/")]


def test_a_file_that_changes_between_plan_and_upload(record: Record) -> None:
    incident = record.closed()
    made = publish.plan(incident, record.target)
    (incident.dir / "incident.html").write_text("changed")
    with pytest.raises(CorruptRecord, match="changed since it was planned"):
        record.published(incident, made)
    assert manifest_key(incident) not in record.holds_keys()


def test_object_keys_as_they_are_want_a_word(record: Record) -> None:
    incident = record.closed()
    made = publish.plan(incident, record.target)
    assert [one.path.partition("/")[0] for one in made.unmasked] == ["rollback"]
    assert any("unmasked" in warning for warning in made.warnings)
    with pytest.raises(BadInput, match="rollback/") as raised:
        record.published(incident, made, include_unmasked=False)
    assert "--include-unmasked" in raised.value.hint
    assert not [key for key in record.holds_keys() if key.startswith("audit/")]


def test_what_was_added_after_closing_stays_here(record: Record) -> None:
    incident = record.closed()
    (incident.dir / "retro.html").write_text("later")
    made = publish.plan(incident, record.target)
    assert made.later == ("retro.html",)
    assert any("retro.html" in warning for warning in made.warnings)
    record.published(incident, made)
    assert f"audit/incidents/{incident.id}/retro.html" not in record.holds_keys()


@pytest.mark.parametrize(
    "fault", [{"reset": True}, {"status": 500, "code": "InternalError"}], ids=["cut", "500"]
)
def test_lost_answers(record: Record, fault: dict[str, Any], tmp_path: Path) -> None:
    incident = record.closed()
    made = publish.plan(incident, record.target)
    record.local.faults.add("s3", "PutObject", after=True, times=3, **fault)
    record.published(incident, made)
    assert verify_folder(record.download(tmp_path, incident.id)).ok


def test_interrupted_there_is_no_manifest_and_the_next_run_goes_on(record: Record, tmp_path: Path) -> None:
    incident = record.closed()

    def interrupt(through: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        record.published(incident, progress=interrupt, workers=1)
    assert manifest_key(incident) not in record.holds_keys()
    record.published(incident)
    assert verify_folder(record.download(tmp_path, incident.id)).ok


def test_whether_a_manifest_without_an_answer_is_there_nobody_claims(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = record.closed()
    made, send = publish.plan(incident, record.target), S3.send

    def silent(s3: S3, method: str, key: str = "", **more: Any) -> Any:
        answer = send(s3, method, key, **more)
        if method == "PUT" and key == manifest_key(incident):
            raise KeyboardInterrupt  # it arrived, and nobody heard of it
        return answer

    monkeypatch.setattr(S3, "send", silent)
    with pytest.raises(Interrupted, match="whether its manifest arrived is not known"):
        record.published(incident, made)
    monkeypatch.setattr(S3, "send", send)
    assert record.published(incident).uploaded == 0


def test_what_s3_does_not_answer_holds_nobody_up(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = record.closed()
    made, send, answer = publish.plan(incident, record.target), S3.send, threading.Event()

    def silent(s3: S3, method: str, key: str = "", **more: Any) -> Any:
        if method == "PUT":
            answer.wait(30)
        return send(s3, method, key, **more)

    def interrupt(through: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(S3, "send", silent)
    monkeypatch.setattr("vmqlib.runbook.publish.applying.GRACE_S", 0.1)
    with pytest.raises(Interrupted, match="has no manifest yet"):
        record.published(incident, made, progress=interrupt)
    assert not answer.is_set()
    answer.set()


def test_refusals_of_s3(record: Record) -> None:
    incident = record.closed()
    with pytest.raises(ResourceMissing) as missing:
        publish.plan(incident, "s3://no-such-bucket-here/x/")
    assert "no-such-bucket-here" in missing.value.hint
    assert "BUCKET_NAME" not in missing.value.hint
    made = publish.plan(incident, record.target)
    record.local.faults.add("s3", "PutObject", status=403, code="AccessDenied")
    with pytest.raises(AwsError) as raised:
        record.published(incident, made)
    assert "s3:PutObject" in raised.value.hint
    record.local.faults.clear()
    record.local.faults.add("s3", "ListObjectsV2", status=403, code="AccessDenied")
    with pytest.raises(AccessDenied):
        publish.plan(incident, record.target)


def test_the_key_of_the_settings_encrypts(record: Record) -> None:
    record.settings = record.settings.model_copy(update={"kms_key_id": "the-key"})
    incident = record.closed()
    record.published(incident)
    head = record.s3.head_object(Bucket=record.bucket, Key=manifest_key(incident))
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "the-key")


def test_no_place_in_a_bucket(record: Record) -> None:
    incident = record.closed()
    for target in ("bucket/x", "s3://", "s3://UPPER/x", "s3://bucket//x", "s3://bucket/a\nb", "https://b/x"):
        with pytest.raises(BadInput, match="no place in a bucket"):
            publish.plan(incident, target)


def test_the_id_is_added_once(record: Record) -> None:
    incident = record.closed()
    assert publish.plan(incident, record.target.rstrip("/")).prefix == f"audit/incidents/{incident.id}/"
    with pytest.raises(BadInput, match="names the incident already"):
        publish.plan(incident, f"{record.target}{incident.id}")


def test_a_place_that_is_indexed_is_warned_of(record: Record) -> None:
    incident = record.closed()
    assert not [one for one in publish.plan(incident, record.target).warnings if "would index" in one]
    (warning,) = [
        one
        for one in publish.plan(incident, f"s3://{record.bucket}/public/").warnings
        if "would index" in one
    ]
    assert "people could find the incident by asking" in warning


def test_another_plans_digest(record: Record) -> None:
    incident = record.closed()
    made = publish.plan(incident, record.target)
    with pytest.raises(WorldChanged):
        publish.apply(incident, made, digest="0" * 12, include_unmasked=True)
    with pytest.raises(BadInput):
        publish.apply(incident, made, digest="0", include_unmasked=True)


def test_the_manifest_names_what_was_published(record: Record) -> None:
    incident = record.closed()
    record.published(incident)
    manifest = json.loads((incident.dir / "MANIFEST.json").read_text())
    prefix = f"audit/incidents/{incident.id}/"
    keys = {key.removeprefix(prefix) for key in record.holds_keys() if key.startswith(prefix)}
    assert keys == {entry["path"] for entry in manifest["files"]} | {"MANIFEST.json"}


def test_a_record_that_does_not_tell_of_the_closing_is_not_published(record: Record) -> None:
    """Whoever closed it was killed before the final record was written: what is sealed is of the opening."""
    incident = record.incident
    told = json.dumps({RECORD_MIME: {"events": incident.state.events}})
    (incident.dir / "incident.ipynb").write_text(
        f'{{"nbformat": 4, "cells": [{{"outputs": [{{"data": {told}}}]}}]}}'
    )
    (incident.dir / "incident.html").write_text("<html>of the opening</html>")
    incident.close("over")
    with pytest.raises(CheckFailed, match="final record") as refused:
        publish.plan(incident, record.target)
    assert f"`vmq close {incident.id}`" in refused.value.hint
    assert not [key for key in record.holds_keys() if key.startswith("audit/")]
