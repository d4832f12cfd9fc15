"""``vmq update`` and ``vmq ack --post``: preview, approval, exit codes, and a clear word where nothing was sent."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.simulator.slack import LocalSlack, SlackFault
from vmqlib.times import parse_iso


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSlack]:
    with LocalSlack() as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def incident() -> Incident:
    return Incident.open(Settings.load(), None, trigger="sync-failed", title="Syncs <!channel> fail \x1b[31m")


def test_a_dry_run_shows_the_message_and_sends_nothing(command, incident, slack) -> None:
    done = command("update", incident.id, "--dry-run", "--say", "Restoring now.")
    assert done.code == 0
    assert "To #ops-escalations: " in done.out
    assert "Restoring now." in done.out
    assert "Nothing was sent." in done.out
    assert "\x1b" not in done.out
    assert slack.requests == ()
    assert [event.kind for event in incident.journal.events()] == ["opened"]


def test_what_was_looked_at_is_what_is_sent(command, incident, slack) -> None:
    shown = command("update", incident.id, "--dry-run", "--json").json
    done = command("update", incident.id, "--digest", shown["digest"], "--yes")
    assert done.code == 0
    assert done.out.startswith("Sent update to #ops-escalations. http://127.0.0.1:")
    assert re.search(r"next update in #ops-escalations due in (30 min|29 min \d+ s) ", done.err)
    (posted,) = slack.messages
    assert posted.pages == ()
    assert shown["messages"][0]["subject"] in posted.text
    stale = command("update", incident.id, "--digest", shown["digest"], "--yes")
    assert stale.code == 4
    assert "not what was looked at" in stale.err
    assert len(slack.messages) == 1


def test_without_a_terminal_it_wants_yes(command, incident, slack) -> None:
    done = command("update", incident.id)
    assert done.code == 2
    assert "--yes" in done.err
    assert slack.messages == ()


def test_json_is_one_document_with_the_answer(command, incident, slack) -> None:
    done = command("update", incident.id, "--yes", "--json")
    assert done.code == 0
    assert done.err == ""
    (sent,) = done.json["sent"]
    assert (sent["ok"], sent["via"], sent["reference"]) == (True, "slack", slack.messages[0].ts)
    assert parse_iso(done.json["next_update_due"]) == incident.state.next_update_due


def test_not_set_up_is_said_loudly_and_left_as_a_file(command, incident) -> None:
    done = command("update", incident.id, "--yes")
    assert done.code == 3
    assert "NOT SENT: update to #ops-escalations" in done.err
    assert "VMQ_SLACK_TOKEN" in done.err
    (path,) = (incident.dir / "messages").iterdir()
    assert path.name in done.err
    assert done.out == ""


def test_slack_that_refuses_says_what_to_do_and_the_code_tells(command, incident, slack) -> None:
    slack.faults.append(SlackFault("chat.postMessage", error="not_in_channel"))
    done = command("update", incident.id, "--yes", "--json")
    assert done.code == 3
    assert done.json["sent"][0]["ok"] is False
    assert "/invite" in done.err
    assert slack.token not in done.err + done.out


def test_a_channel_that_may_come_back_is_tried_again_and_that_is_shown(
    command, incident, monkeypatch
) -> None:
    monkeypatch.setenv("VMQ_SLACK_TOKEN", "xoxb-a-token-for-nobody")
    monkeypatch.setenv("VMQ_SLACK_API_URL", "http://127.0.0.1:9/api/")
    monkeypatch.setattr("vmqlib.runbook.communicate.trying._FIRST_PAUSE_S", 0.0)
    done = command("update", incident.id, "--yes")
    assert done.code == 3
    assert "#ops-escalations: not reached (no connection to Slack), trying again in 0 s (2 of 3)" in done.err
    assert done.err.index("(3 of 3)") < done.err.index("NOT SENT: update to #ops-escalations")


def test_a_text_of_ones_own_and_from_stdin(command, incident, slack, tmp_path: Path, monkeypatch) -> None:
    written = tmp_path / "said.txt"
    written.write_text("Subject: All is well\nIt is over soon.\n- says dana")
    assert command("update", incident.id, "--text", str(written), "--yes").code == 0
    assert slack.messages[0].text == "All is well\nIt is over soon.\n- says dana"
    missing = command("update", incident.id, "--text", str(tmp_path / "nowhere"), "--yes")
    assert missing.code == 2
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    assert command("update", incident.id, "--text", str(empty), "--yes").code == 2
    assert len(slack.messages) == 1


def test_an_editor_may_change_it(command, incident, slack, tmp_path: Path, monkeypatch) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\nsed -i 's/^Subject: .*/Subject: edited by hand/' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    assert command("update", incident.id, "--edit", "--yes").code == 0
    assert slack.messages[0].text.startswith("edited by hand\n")


@pytest.mark.parametrize(
    ("does", "said"), [(': > "$1"', "was emptied in the editor"), ("exit 1", "Editing failed")]
)
def test_an_editor_that_fails_or_leaves_nothing_sends_nothing(
    command, incident, slack, tmp_path: Path, monkeypatch, does, said
) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text(f"#!/bin/sh\n{does}\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    done = command("update", incident.id, "--edit", "--yes")
    assert done.code == 2
    assert f"Nothing was sent: {'the message ' if does[0] == ':' else ''}" in done.err
    assert said in done.err
    assert slack.messages == ()


def test_what_people_write_mentions_nobody_and_links_nothing(command, incident, slack) -> None:
    hostile = "<!channel> <!here|x> *bold* _x_ `y` <http://evil.example|x> <@U123> & @everyone"
    assert command("note", incident.id, hostile).code == 0
    assert command("update", incident.id, "--say", hostile, "--yes").code == 0
    (posted,) = slack.messages
    assert posted.pages == ()
    escaped = hostile.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert posted.text.count(escaped) == 2
    assert "<" not in posted.text
    texts = [one for block in posted.blocks for one in elements(block)]
    assert {one["type"] for one in texts} == {"text", "plain_text"}, (
        "none of mrkdwn, link, user, broadcast, emoji"
    )
    assert sum(hostile in one["text"] for one in texts) == 2, "and in them it stands as it was written"


def elements(block: Any) -> Iterator[dict[str, Any]]:
    """Everything in a block that holds text."""
    if isinstance(block, dict):
        if isinstance(block.get("text"), str):
            yield block
        for value in block.values():
            yield from elements(value)
    elif isinstance(block, list | tuple):
        for one in block:
            yield from elements(one)


def test_a_person_who_posted_it_says_so(command, incident) -> None:
    done = command("update", incident.id, "--posted", "--link", "https://example.slack.com/archives/C0/p1")
    assert done.code == 0
    assert "posted by hand" in done.out
    assert incident.state.updates[-1].via == "by hand"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--watch", "--say", "x"),
        ("--text", "-", "--edit"),
        ("--text", "-", "--say", "x"),
        ("--link", "https://x"),
    ],
)
def test_what_does_not_go_together_is_refused(command, incident, arguments) -> None:
    assert command("update", incident.id, *arguments, "--yes").code == 2


def test_a_closed_incident_has_no_update(command, incident, slack) -> None:
    incident.close("over")
    for arguments in (("--yes",), ("--posted",)):
        assert command("update", incident.id, *arguments).code == 2
    assert command("update", incident.id, "--watch", "--yes").code == 0
    assert slack.messages == ()


class TestAck:
    def test_posts_nothing_by_itself_and_says_how(self, command, incident, slack) -> None:
        done = command("ack", incident.id)
        assert done.code == 0
        assert "Not posted: vmq ack" in done.err
        assert slack.requests == ()

    def test_confirms_receipt_once(self, command, incident, slack) -> None:
        done = command("ack", incident.id, "--as", "dana", "--post", "--yes")
        assert done.code == 0
        assert "Sent acknowledged to #ops-escalations" in done.out
        again = command("ack", incident.id, "--as", "dana", "--post", "--yes")
        assert again.code == 0
        assert "already" in again.err
        (posted,) = slack.messages
        assert "dana has" in posted.text

    def test_stands_although_it_could_not_be_posted(self, command, incident) -> None:
        done = command("ack", incident.id, "--as", "dana", "--post", "--yes", "--json")
        assert done.code == 3
        assert done.json["acknowledged_by"] == "dana"
        assert done.json["posted"][0]["ok"] is False
        assert incident.state.acknowledged_by == "dana"


def test_show_says_when_the_next_is_due_and_what_was_late(command, monkeypatch) -> None:
    from support.records import MovingClock

    clock = MovingClock()
    old = Incident.open(Settings.load(), None, trigger="sync-failed", clock=clock)
    clock.forward(minutes=50)
    old.notified("told", channel="#ops-escalations", data={"message": "update"})
    done = command("show", old.id)
    assert "update of 2026-11-23 09:30:00 UTC was 20 min late" in done.out
    assert "next update in #ops-escalations due" in done.out
    assert "e-mail to stakeholders due" in done.out
    late = command("show", old.id, "--json").json["late"]
    assert late[0]["late_seconds"] == 1200
    assert f"vmq update {old.id}" in done.out


@pytest.mark.slow
def test_a_watcher_posts_refuses_a_second_one_and_ends_with_ctrl_c(incident, slack, command) -> None:
    incident.set_severity("SEV1", "Nobody gets an answer.")
    words = [sys.executable, "-m", "vmqlib.cli", "update", incident.id, "--watch", "--yes", "--json"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as one:
        assert one.stdout is not None
        first = json.loads(one.stdout.readline())
        assert first["sent"][0]["ok"] is True
        assert json.loads(one.stdout.readline())["text"].startswith("Next at")
        second = command("update", incident.id, "--watch", "--yes")
        assert second.code == 4
        assert "keeps this incident's cadence" in second.err
        assert command("update", incident.id, "--yes").code == 0, "by hand goes on beside it"
        one.send_signal(signal.SIGINT)
        _, err = one.communicate(timeout=30)
    assert one.returncode == 130
    assert "goes on" in err
    assert len(slack.messages) == 2
    assert "Traceback" not in err


def test_the_watcher_is_ended_by_the_closing(incident, slack, command, monkeypatch) -> None:
    def sleep(_: float) -> None:
        if not incident.state.closed_at:
            incident.close("over")

    monkeypatch.setattr(time, "sleep", sleep)
    done: Any = command("update", incident.id, "--watch", "--yes")
    assert done.code == 0
    assert "nothing more is due" in done.err


def _editor(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    editor = folder / "editor.sh"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)


def test_a_message_that_was_emptied_in_the_editor_is_not_sent(
    command, incident, slack, tmp_path: Path, monkeypatch
) -> None:
    _editor(monkeypatch, tmp_path, ': > "$1"')
    done = command("update", incident.id, "--edit", "--yes")
    assert done.code == 2
    assert "Nothing was sent: the message was emptied in the editor." in done.err
    assert slack.messages == ()


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--say", 'it\'s $HOME; "done"'),
        ("--say", "key AKIAIOSFODNN7EXAMPLE of dana@example.org"),
        ("--say", "two\nlines \x1b[31m"),
        ("--email",),
        ("--security", "--say", "two words"),
        ("--email", "--security"),
    ],
)
def test_the_command_that_a_dry_run_names_sends_what_it_showed(command, incident, slack, words) -> None:
    shown = command("update", incident.id, *words, "--dry-run")
    said = shlex.split(
        shown.out.splitlines()[-1].removeprefix("Nothing was sent. ").removesuffix(" sends it.")
    )
    assert said[:3] == ["vmq", "update", incident.id]
    assert "AKIAIOSFODNN7EXAMPLE" not in shown.out
    assert "\x1b" not in shown.out
    mails = "--email" in words or "--security" in words
    sent = command(*said[1:], "--yes", "--json")
    assert sent.code == (3 if mails else 0), sent.err  # 4 would be another digest; no way for mails is set up
    assert (
        sent.json["digest"] == command("update", incident.id, *words, "--dry-run", "--json").json["digest"]
        or not mails
    )
    assert len(sent.json["sent"]) == max(1, sum(word in ("--email", "--security") for word in words))


@pytest.mark.parametrize("how", ["edit", "text", "stdin"])
def test_what_was_written_for_a_dry_run_can_be_sent(
    command, incident, slack, tmp_path: Path, monkeypatch, how: str
) -> None:
    words = "Subject: By hand\nIt's nearly over.\n- key AKIAIOSFODNN7EXAMPLE\n\n## Next\n    vmq show\nand so on\n"
    written = tmp_path / "my text.txt"
    written.write_text(words)
    _editor(monkeypatch, tmp_path, f"cat '{written}' > \"$1\"")
    monkeypatch.setattr("sys.stdin", io.StringIO(words))
    given = {"edit": ["--edit"], "text": ["--text", str(written)], "stdin": ["--text", "-"]}[how]
    shown = command("update", incident.id, *given, "--dry-run")
    said = shlex.split(
        shown.out.splitlines()[-1].removeprefix("Nothing was sent. ").removesuffix(" sends it.")
    )
    if how != "text":
        assert "AKIAIOSFODNN7EXAMPLE" not in Path(said[said.index("--text") + 1]).read_text()
    sent = command(*said[1:], "--yes")
    assert sent.code == 0, sent.err
    assert slack.messages[0].text.startswith("By hand\nIt's nearly over.")


def test_each_message_that_is_due_has_its_own_text(
    command, incident, slack, tmp_path: Path, monkeypatch
) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("Subject: To them\nfirst")
    second.write_text("Subject: To security\nsecond")
    one = command("update", incident.id, "--email", "--security", "--text", str(first), "--dry-run")
    assert one.code == 2
    assert "stakeholders, security" in one.err
    both = command(
        "update", incident.id, "--email", "--security", "--text", str(first), "--text", str(second),
        "--dry-run", "--json",
    )  # fmt: skip
    assert [each["subject"] for each in both.json["messages"]] == ["To them", "To security"]
    assert both.json["command"].endswith(f"--digest {both.json['digest']}")


def test_the_notice_to_security_asks_of_objects_only_where_some_were_seen(command, incident) -> None:
    (shown,) = command("update", incident.id, "--security", "--dry-run", "--json").json["messages"]
    assert "these objects" not in shown["text"]


def test_no_is_no_error(command, incident, slack, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for words in (("update", incident.id), ("ack", incident.id, "--post")):
        monkeypatch.setattr("sys.stdin", Terminal("n\n"))
        done = command(*words)
        assert done.code == 130
        assert done.err.endswith("Send it? [y/N]: Nothing was sent.\n")  # a person's Enter ends the line
        assert "Error" not in done.err
    assert incident.state.acknowledged_at is not None
    assert slack.messages == ()
