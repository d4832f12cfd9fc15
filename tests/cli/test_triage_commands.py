"""``vmq ack`` and ``vmq severity`` as people and scripts meet them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.records import FakeAws, MovingClock

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(datetime.now(UTC) - timedelta(minutes=10))  # commands go by the machine's clock


@pytest.fixture
def incident(clock: MovingClock) -> Incident:
    return Incident.open(Settings.load(), FakeAws(clock), trigger="sync-failed", clock=clock, sources={})


def journal(incident: Incident) -> list[dict]:
    path = Path(incident.dir / "journal.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_first_to_acknowledge_counts(command, incident) -> None:
    done = command("ack", incident.id, "--as", "dana", "--json")
    assert done.code == 0, done.err
    assert done.json["acknowledged_by"] == "dana"
    assert done.json["first"]
    later = command("ack", incident.id, "--as", "lee", "--json").json
    assert (later["acknowledged_by"], later["first"], later["written"]) == ("dana", False, True)
    shown = command("show", incident.id, "--json").json
    assert shown["acknowledged_by"] == "dana"
    assert shown["seconds_to_acknowledge"] == done.json["seconds_to_acknowledge"] > 0
    assert shown["phase"] == "triage"


@pytest.mark.parametrize("names", [("dana", "dana"), ("dana", "lee", "lee"), ("dana", "lee", "dana")])
def test_the_same_person_again_is_told_and_nothing_is_written(command, incident, names) -> None:
    for name in names[:-1]:
        command("ack", incident.id, "--as", name)
    before = journal(incident)
    done = command("ack", incident.id, "--as", names[-1])
    assert done.code == 0
    assert "already: by dana" in done.out
    assert "Nothing was written" in done.err
    assert journal(incident) == before


def test_without_a_name_it_is_who_runs_it(command, incident) -> None:
    done = command("ack", incident.id)
    assert done.code == 0
    assert f"acknowledged by {incident.actor().user} at" in done.out
    assert "after the opening" in command("show", incident.id).out


def test_show_says_that_nobody_has_acknowledged(command, incident) -> None:
    assert f"nobody yet: vmq ack {incident.id}" in command("show", incident.id).out


@pytest.mark.parametrize("name", [" ", "x" * 200, "dana\x1b[2J"])
def test_what_cannot_be_a_name_is_refused(command, incident, name) -> None:
    done = command("ack", incident.id, "--as", name)
    assert done.code == 2
    assert "cannot be a name" in done.err
    assert "\x1b[2J" not in done.err
    assert len(journal(incident)) == 1


def test_a_change_of_severity_needs_a_reason_and_keeps_it(command, incident) -> None:
    refused = command("severity", incident.id, "SEV1")
    assert refused.code == 2
    assert "needs a reason" in refused.err
    assert f"vmq severity {incident.id} SEV1 --reason" in refused.err
    done = command("severity", incident.id, "SEV1", "--reason", "Nobody gets an answer.", "--json")
    assert done.code == 0
    assert (done.json["severity"], done.json["previous"]) == ("SEV1", "SEV2")
    shown = command("show", incident.id)
    assert "SEV1: Nobody gets an answer." in shown.out
    assert command("show", incident.id, "--json").json["severity_reason"] == "Nobody gets an answer."


def test_the_same_severity_again_writes_nothing(command, incident) -> None:
    done = command("severity", incident.id, "SEV2")
    assert done.code == 0
    assert "is SEV2 already" in done.out
    assert len(journal(incident)) == 1


def test_a_confirmed_severity_is_a_persons_word_and_no_news(command, incident) -> None:
    due = incident.state.next_update_due
    for written in (True, False):  # the same words a second time say nothing new
        done = command("severity", incident.id, "SEV2", "--reason", "Checked: no customers", "--json")
        assert (done.code, done.json["written"]) == (0, written)
    told = journal(incident)[-1]
    assert (told["kind"], told["data"]["severity"], told["data"]["previous"]) == ("severity", "SEV2", "SEV2")
    assert "confirmed: Checked: no customers" in told["summary"]
    assert not told["data"].get("by_rule")
    assert len(journal(incident)) == 2
    assert incident.state.next_update_due == due
    assert "(set by a person)" in command("show", incident.id).out


@pytest.mark.parametrize("arguments", [("ack",), ("severity", "SEV1", "--reason", "x")])
def test_a_closed_incident_refuses(command, incident, arguments) -> None:
    incident.close("over")
    before = journal(incident)
    done = command(arguments[0], incident.id, *arguments[1:])
    assert done.code == 2
    assert "was closed at" in done.err
    assert "vmq note" in done.err
    assert journal(incident) == before


@pytest.mark.parametrize(
    "arguments", [("severity", "ID", "SEV9", "--reason", "x"), ("ack", "INC-19990101-001")]
)
def test_bad_input_ends_with_2(command, incident, arguments) -> None:
    done = command(*(incident.id if one == "ID" else one for one in arguments))
    assert done.code == 2
    assert done.err.startswith("Error:")


@pytest.mark.parametrize("name", ["ack", "severity"])
def test_help_has_examples(command, name) -> None:
    assert f"vmq {name} INC-" in command(name, "--help").out
    assert name in command("--help").out


def test_secrets_in_a_reason_are_masked(command, incident) -> None:
    key = "AKIA" + "Z" * 16
    command("severity", incident.id, "SEV1", "--reason", f"leaked {key}")
    assert key not in (incident.dir / "journal.jsonl").read_text(encoding="utf-8")
