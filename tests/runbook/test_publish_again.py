"""A record that was sealed anew is published over itself: as new versions, and over nobody else's objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.publish_rig import A_NOTEBOOK, Record, manifest_key

from vmqlib.cli.main import run, vmq
from vmqlib.errors import BadInput, Interrupted, WorldChanged
from vmqlib.record.checks import verify_folder
from vmqlib.record.incident import Incident
from vmqlib.runbook import publish
from vmqlib.runbook.publish.planning import plan
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


def sealed_anew(incident: Incident, words: str = "told that it is over") -> Incident:
    """As after ``vmq update --resolved``: the journal went on, and the page says so."""
    incident.note(words)
    page = incident.dir / "incident.html"
    page.write_text(f"<html>{words}</html>")
    incident.reseal([page])
    return incident


def page_key(incident: Incident) -> str:
    return f"audit/incidents/{incident.id}/incident.html"


def texts_of(record: Record, key: str) -> list[bytes]:
    """Every version of an object, the newest first."""
    listed = record.s3.list_object_versions(Bucket=record.bucket, Prefix=key)["Versions"]
    return [
        record.s3.get_object(Bucket=record.bucket, Key=key, VersionId=one["VersionId"])["Body"].read()
        for one in listed
    ]


def test_only_what_changed_is_uploaded_and_what_was_there_stays_as_a_version(
    record: Record, tmp_path: Path
) -> None:
    incident = record.closed()
    record.published(incident)
    before = set(record.versions())
    sealed_anew(incident)
    made = publish.plan(incident, record.target)
    assert {one.path for one in made.replaced} == {"MANIFEST.json", "incident.html", "journal.jsonl"}
    assert made.todo[-1].path == "MANIFEST.json"
    done = record.published(incident, made)
    assert (done.uploaded, done.replaced) == (3, 3)
    assert before < set(record.versions()), "no version is destroyed"
    assert len(set(record.versions()) - before) == 3
    assert verify_folder(record.download(tmp_path, incident.id)).findings == ()
    assert texts_of(record, page_key(incident)) == [
        b"<html>told that it is over</html>",
        "<html>a é</html>".encode(),
    ]
    assert record.published(incident).uploaded == 0


def test_after_a_reopening_and_a_second_closing(record: Record, tmp_path: Path) -> None:
    incident = record.closed()
    record.published(incident)
    incident.reopen("it came back")
    incident.close("over again")
    done = record.published(incident)
    assert done.uploaded == done.replaced + 1, "and the manifest of the first closing, set aside"
    copy = record.download(tmp_path, incident.id)
    assert verify_folder(copy).findings == ()
    assert (copy / "closings" / "MANIFEST-1.json").exists()


def test_a_preview_tells_it_before(record: Record, capsys: Any) -> None:
    incident = record.closed()
    record.published(incident)
    sealed_anew(incident)
    given = ["publish", incident.id, record.target, "--include-unmasked"]
    assert run(vmq, [*given, "--preview", "--json"]) == 0
    shown = capsys.readouterr()
    assert "3 of them as new versions over what this incident published there before" in shown.err
    asked = json.loads(shown.out)
    assert sum(one["there"] == "ours" for one in asked["files"]) == 3
    assert run(vmq, [*given, "--digest", asked["digest"][:12], "--yes"]) == 0
    assert "(3 as new versions over those from before)" in capsys.readouterr().out


def test_what_somebody_else_put_over_it_is_left_alone(record: Record) -> None:
    incident = record.closed()
    record.published(incident)
    record.write({page_key(incident): "theirs"})
    sealed_anew(incident)
    before = record.versions()
    with pytest.raises(WorldChanged, match="another content") as raised:
        record.published(incident)
    assert "another prefix" in raised.value.hint
    assert record.versions() == before


@pytest.mark.parametrize("text", ["theirs", None], ids=["written", "deleted"])
def test_what_somebody_else_does_since_the_plan_is_left_alone(record: Record, text: str | None) -> None:
    incident = record.closed()
    record.published(incident)
    sealed_anew(incident)
    made = publish.plan(incident, record.target)
    record.write({page_key(incident): text})
    with pytest.raises(WorldChanged, match="changed by somebody else just now") as raised:
        record.published(incident, made)
    assert raised.value.exit_code == 4
    assert texts_of(record, page_key(incident))[0] == (text.encode() if text else "<html>a é</html>".encode())
    manifest = json.loads(texts_of(record, manifest_key(incident))[0])
    assert manifest["events"] < made_events(incident), "the manifest is the one from before"


def made_events(incident: Incident) -> int:
    return int(json.loads((incident.dir / "MANIFEST.json").read_text())["events"])


def test_another_incident_of_the_same_id_is_somebody_elses(record: Record) -> None:
    """Its journal does not say that it sent what is there."""
    incident = record.closed()
    record.published(incident)
    other = Record(record.local)
    other.settings = other.settings.model_copy(update={"incidents": other.settings.incidents / "elsewhere"})
    theirs = other.closed()
    assert theirs.id == incident.id
    made = plan(theirs, record.target)
    assert {one.path for one in made.others} >= {"MANIFEST.json", "journal.jsonl"}
    with pytest.raises(WorldChanged):
        other.published(theirs, made)


@pytest.mark.parametrize("versioning", ["Suspended", ""])
def test_where_no_versions_are_kept_nothing_is_replaced(local: Any, record: Record, versioning: str) -> None:
    mine = Record(local, versioning)
    incident = mine.closed()
    mine.published(incident)
    sealed_anew(incident)
    before = mine.holds_keys()
    with pytest.raises(BadInput, match="keeps no versions") as raised:
        mine.published(incident)
    assert raised.value.exit_code == 2
    assert "put-bucket-versioning" in raised.value.hint
    assert "another prefix" in raised.value.hint
    assert mine.holds_keys() == before
    there = mine.s3.get_object(Bucket=mine.bucket, Key=page_key(incident))["Body"].read()
    assert there == "<html>a é</html>".encode()
    elsewhere = publish.plan(incident, f"s3://{mine.bucket}/second/")
    assert mine.published(incident, elsewhere).replaced == 0


def test_versioning_that_is_suspended_since_the_plan(record: Record) -> None:
    incident = record.closed()
    record.published(incident)
    sealed_anew(incident)
    made = publish.plan(incident, record.target)
    record.version("Suspended")
    before = record.versions()
    with pytest.raises(BadInput, match="keeps no versions"):
        record.published(incident, made)
    assert record.versions() == before


def test_an_interrupted_one_goes_on_with_the_same_digest(record: Record, tmp_path: Path) -> None:
    incident = record.closed()
    record.published(incident)
    sealed_anew(incident)
    made = publish.plan(incident, record.target)

    def interrupt(through: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="its manifest is still the one from before"):
        record.published(incident, made, progress=interrupt, workers=1)
    again = publish.plan(incident, record.target)
    assert again.digest == made.digest
    record.published(incident, again)
    assert verify_folder(record.download(tmp_path, incident.id)).findings == ()


@pytest.mark.parametrize("kms", [False, True], ids=["plain", "kms"])
def test_an_upload_that_was_never_answered_is_known_as_ours(
    record: Record, monkeypatch: pytest.MonkeyPatch, kms: bool
) -> None:
    """It arrived, nobody heard of it, and the record was sealed anew since."""
    if kms:  # its ETags say nothing of the content
        record.settings = record.settings.model_copy(update={"kms_key_id": "the-key"})
    incident, send = record.closed(), S3.send

    def silent(s3: S3, method: str, key: str = "", **more: Any) -> Any:
        answer = send(s3, method, key, **more)
        if method == "PUT":
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(S3, "send", silent)
    with pytest.raises(Interrupted):
        record.published(incident, workers=1)
    monkeypatch.setattr(S3, "send", send)
    arrived = {key for key in record.holds_keys() if key.startswith("audit/incidents/")}
    assert arrived
    incident.reopen("it came back")
    (incident.dir / "incident.html").write_text("another")
    for key in arrived:  # whatever of it arrived is another one by now
        path = incident.dir / key.removeprefix(f"audit/incidents/{incident.id}/")
        if path.parent == incident.dir and path.name != "journal.jsonl":
            path.write_text("another")
    (incident.dir / "incident.ipynb").write_text(A_NOTEBOOK + "\n")
    incident.close("over again")
    made = publish.plan(incident, record.target)
    assert made.others == ()
    assert made.replaced
    record.published(incident, made)
    assert record.published(incident).uploaded == 0


def test_what_is_named_no_more_stays_and_is_told(record: Record) -> None:
    incident = record.closed()
    (incident.dir / "extra.txt").write_text("x")
    incident.reseal([incident.dir / "extra.txt"])
    record.published(incident)
    incident.reopen("again")
    (incident.dir / "extra.txt").unlink()
    incident.close("over")
    made = publish.plan(incident, record.target)
    assert any("extra.txt" in one and "left there" in one for one in made.warnings)
    record.published(incident, made)
    assert f"audit/incidents/{incident.id}/extra.txt" in record.holds_keys()
