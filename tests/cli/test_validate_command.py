"""``vmq validate``, ``vmq note --question`` and ``vmq close``: exit codes, one document, nothing done by halves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from vmqlib.record.incident import Incident
from vmqlib.record.notebook import read_record
from vmqlib.settings import Settings
from vmqlib.simulator.slack import LocalSlack, SlackFault

QUESTION = "What is MIRAGE?"

WORDS = ("--impact", "<b>", "--root-cause", "c", "--remediation", "r", "--customers", "none")


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSlack]:
    with LocalSlack() as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def incident(local_aws: Any, point_at: Any) -> Iterator[Incident]:
    from vmqlib.aws import Aws

    point_at(local_aws)
    settings = Settings.load()
    made = Incident.open(settings, Aws(settings), trigger="sync-failed", data_source_id=settings.ds_id)
    made.aws = None
    yield made
    local_aws.faults.clear()


@pytest.fixture
def untold(local_aws: Any) -> Iterator[None]:
    """Nobody can ask the assistant."""
    local_aws.faults.add("qbusiness", "ChatSync", status=403, code="AccessDeniedException")
    yield
    local_aws.faults.clear()


def kinds(incident: Incident) -> list[str]:
    return [event.kind for event in incident.journal.events()]


class TestValidate:
    def test_all_is_well(self, command: Any, incident: Incident) -> None:
        done = command("validate", incident.id)
        assert done.code == 0, done.out + done.err
        assert "checks passed" in done.err
        assert "canary question is answered" in done.out
        told = command("validate", incident.id, "--json")
        assert (told.code, told.err, told.json["ok"]) == (0, "", True)
        assert {check["outcome"] for check in told.json["checks"]} == {"pass"}

    def test_a_person_asks_where_the_kit_cannot(self, command: Any, incident: Incident, untold: None) -> None:
        done = command("validate", incident.id)
        assert done.code == 1
        assert f"vmq note {incident.id} --question '{QUESTION}' --as-expected" in done.out
        held = command("close", incident.id, "--json")
        assert held.code == 1
        assert held.json["state"] == "open"
        assert [check["name"] for check in held.json["in_the_way"]] == ["canary question is answered"]
        assert held.json["hint"].splitlines()[1].startswith(f"`vmq close {incident.id} --force --reason")
        shown = command("close", incident.id)
        assert shown.code == 1
        head, row = shown.out.splitlines()
        assert head.split() == ["outcome", "check", "why", "next"]
        assert row.startswith(f"cannot tell  canary question is answered ({QUESTION})")
        assert f"vmq note {incident.id} --question '{QUESTION}' --as-expected" in row
        error, first, second = shown.err.splitlines()
        assert error.startswith("Error: Not closed: 1 check is in the way: ")
        assert first.strip().startswith(f"`vmq validate {incident.id}`")
        assert second.strip().startswith(f"`vmq close {incident.id} --force --reason")
        assert "closed" not in kinds(incident)
        wrong = command("note", incident.id, "--question", "Never asked?", "--as-expected", "it does")
        assert (wrong.code, QUESTION in wrong.err) == (2, True)
        alone = command("note", incident.id, "--question", QUESTION, "it does")
        assert (alone.code, "--as-expected" in alone.err) == (2, True)
        for question in (QUESTION, "what is the password"):
            said = ("--question", question, "--as-expected", "\x1b[31mit does, says dana@example.com")
            assert command("note", incident.id, *said).code == 0
        again = command("validate", incident.id)
        assert again.code == 0, again.out + again.err
        assert "\x1b" not in again.out
        assert "dana@example.com" not in again.out
        assert command("note", incident.id, "--question", QUESTION, "--not-as-expected", "no more").code == 0
        assert command("validate", incident.id).code == 1

    def test_what_an_alarm_says_steers_no_terminal(self, command: Any, incident: Incident) -> None:
        cloudwatch: Any = boto3.client("cloudwatch")
        name = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmName"]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="\x1b[31m \u202e <script>")
        try:
            done, closed = command("validate", incident.id), command("close", incident.id)
        finally:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="")
        assert (done.code, closed.code) == (1, 1)
        assert "vmq alarms wait --incident" in done.out
        assert "It is in ALARM" in closed.out
        assert f"vmq alarms wait --incident {incident.id}" in closed.out
        for written in (done.out, done.err, closed.out, closed.err):
            assert "\x1b" not in written
            assert "\u202e" not in written

    def test_a_closed_incident_is_not_written_to(self, command: Any, incident: Incident) -> None:
        incident.close("done")
        before = incident.journal.path.read_bytes()
        done = command("validate", incident.id)
        assert (done.code, done.out) == (2, "")
        assert "is closed" in done.err
        assert incident.journal.path.read_bytes() == before

    @pytest.mark.parametrize("words", [("validate",), ("close",), ("close", "--wait", *WORDS)])
    def test_nobody_can_be_asked(
        self, command: Any, incident: Incident, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        before, began = incident.journal.path.read_bytes(), time.perf_counter()
        done = command(words[0], incident.id, *words[1:])
        assert time.perf_counter() - began < 30
        assert (done.code, done.out) == (3, "")
        assert incident.journal.path.read_bytes() == before


class TestBeforeAnythingIsWritten:
    @pytest.mark.parametrize("words", [("close",), ("ack",)])
    def test_a_post_that_nobody_can_be_asked_about(
        self, command: Any, incident: Incident, slack: LocalSlack, words: tuple[str, ...]
    ) -> None:
        done = command(*words, incident.id, "--post", "--json")
        assert (done.code, done.out) == (2, "")
        assert "--yes" in done.err
        assert kinds(incident) == ["opened"]
        assert slack.messages == ()

    def test_an_acknowledgement_with_yes_gives_one_document(
        self, command: Any, incident: Incident, slack: LocalSlack
    ) -> None:
        done = command("ack", incident.id, "--post", "--yes", "--json")
        assert (done.code, done.json["first"], done.json["posted"][0]["ok"]) == (0, True, True)

    def test_force_without_a_reason(self, command: Any, incident: Incident) -> None:
        assert command("close", incident.id, "--force", "--reason", " ").code == 2
        assert kinds(incident) == ["opened"]


class TestClosingWords:
    @pytest.mark.parametrize(
        "words", [("--yes",), ("--wait",), ("--force", "--reason", "x", "--yes", "--json")]
    )
    def test_what_is_missing_is_named_before_anything_is_closed(
        self, command: Any, incident: Incident, words: tuple[str, ...]
    ) -> None:
        done = command("close", incident.id, "--root-cause", "c", "--impact", " ", *words)
        assert (done.code, done.out) == (2, "")
        assert "missing: --impact, --remediation, --customers." in done.err
        assert kinds(incident) == ["opened"]


@pytest.mark.slow
class TestClose:
    def test_closed_told_completed_and_reopened(
        self, command: Any, incident: Incident, slack: LocalSlack, local_aws: Any
    ) -> None:
        unsaid = command("close", incident.id, *WORDS[:-2])
        assert (unsaid.code, "missing: --customers." in unsaid.err) == (2, True), "nobody can be asked"
        assert "closed" not in kinds(incident)
        calls = local_aws.faults.record()
        done = command("close", incident.id, *WORDS, "--post", "--yes", "--json")
        assert done.code == 0, "that nobody set up mail is no failure: Slack was told"
        assert "NOT SENT: retro" in done.err
        reading = ("Get", "List", "Describe", "Filter", "Lookup", "Head", "ChatSync")
        assert [call.operation for call in calls if not call.operation.startswith(reading)] == []
        told = done.json
        assert (told["state"], told["outcome"], told["problems"]) == ("closed", "", [])
        assert {(one["message"], one["ok"], one["via"]) for one in told["sent"]} == {
            ("resolved", True, "slack"), ("retro", True, "slack"), ("retro", False, ""),
        }  # fmt: skip
        assert Path(told["retro"]).is_file()
        assert Path(told["entered"]).read_text().count(f"### {incident.id}") == 1
        assert f"{incident.id} (SEV2): resolved" in slack.messages[0].text
        # The record was written again after people were told, and sealed.
        assert read_record(incident.dir / "incident.ipynb")["updates"] == 2
        assert command("verify", incident.id).code == 0

        again = command("close", incident.id)
        assert (again.code, "nothing is missing" in again.err) == (2, True)
        assert command("close", incident.id, "--impact", "more").code == 2
        (incident.dir / "incident.html").unlink()
        completed = command("close", incident.id)
        assert completed.code == 0
        assert "its record is missing" in completed.err
        assert command("verify", incident.id).code == 0
        # Only what did not go is sent again.
        left = command("update", incident.id, "--resolved", "--dry-run", "--json").json["messages"]
        assert [(one["message"], one["place"]) for one in left] == [("retro", "mail")]

        assert command("reopen", incident.id, "--reason", "Again").code == 0
        assert command("verify", incident.id).code == 0
        assert "closed" in kinds(incident)

    def test_the_channel_is_down(self, command: Any, incident: Incident, slack: LocalSlack) -> None:
        slack.faults.append(SlackFault("chat.postMessage", error="invalid_auth", times=99))
        done = command("close", incident.id, *WORDS, "--post", "--yes", "--json")
        assert (done.code, done.json["state"]) == (3, "closed")
        assert not any(one["ok"] for one in done.json["sent"])
        assert command("verify", incident.id).code == 0
        assert f"vmq update {incident.id} --resolved" in {
            step["command"] for step in command("show", incident.id, "--json").json["next_steps"]
        }

    def test_the_operations_runbook_refuses(self, command: Any, incident: Incident) -> None:
        Path("OPERATIONS-RUNBOOK.md").mkdir()
        done = command("close", incident.id, *WORDS, "--json")
        assert done.code == 2
        assert (done.json["state"], done.json["entered"]) == ("closed", None)
        assert len(done.json["problems"]) == 1
        Path("OPERATIONS-RUNBOOK.md").rmdir()
        assert command("close", incident.id, "--no-entry").code == 2, "then nothing is missing"
        completed = command("close", incident.id, "--json")
        assert (completed.code, completed.json["problems"]) == (0, [])
        assert Path("OPERATIONS-RUNBOOK.md").is_file()
