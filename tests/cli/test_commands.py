"""Commands as people and scripts meet them: help with examples, one JSON document, tables that pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

from vmqlib.cli.main import vmq
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    with click.Context(group) as context:
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            yield (*path, name)
            if isinstance(found, click.Group):
                yield from every_command(found, (*path, name))


COMMANDS = list(every_command(vmq))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_examples(command: Any, path: tuple[str, ...]) -> None:
    done = command(*path, "--help")
    assert done.code == 0
    assert "Examples:" in done.out
    assert f"vmq {' '.join(path)}" in done.out.split("Examples:")[1]


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_help_fits_80_columns(command: Any, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """But for examples that are one command: these are to be copied whole."""
    monkeypatch.setenv("COLUMNS", "80")
    wide = [line for line in command(*path, "--help").out.splitlines() if len(line) > 80]
    assert [line for line in wide if not line.startswith("    ") or "   " in line.strip()] == []


def test_closing_lists_every_exit_code_that_it_has(command: Any) -> None:
    told = (
        " ".join(command("close", "--help").out.split())
        .partition("Exit codes: ")[2]
        .partition("Examples:")[0]
    )
    assert [code for code in ("0", "1", "2", "3", "4", "5", "130") if f"{code} " not in f"{told} "] == []
    assert "2 bad input or settings, or it is closed already" in told


def test_the_help_goes_by_the_steps_of_the_runbook(command: Any) -> None:
    from vmqlib.cli.main import _STEPS

    out = command("--help").out
    told = out.split("Exit codes:")[1]
    places = [told.index(f"\n{step}:") for step in _STEPS]
    assert places == sorted(places)
    for step, several in _STEPS.items():
        for name, (_, what) in several.items():
            assert f"  {name} " in told.split(f"\n{step}:")[1]
            assert what in told, "whole, also at 80 columns"
    steps = [
        "detect",
        "open",
        "ack",
        "schedule disable",
        "rollback apply",
        "sync start",
        "update",
        "validate",
        "close",
    ]
    examples = [out.index(f"\n    vmq {name} ") for name in steps[1:]]
    assert examples == sorted(examples)
    assert max(map(len, told.split("Options:")[1].splitlines())) <= 80


def test_every_group_says_when_the_word_is_unknown(command: Any) -> None:
    done = command("sync", "strat")
    assert done.code == 2
    assert "strat" in done.err


@pytest.fixture
def incident() -> Incident:
    made = Incident.open(Settings.load(), None, trigger="sync-failed", title="<b>Hostile</b> \x1b[31mtitle")
    made.note("first")
    return made


@pytest.mark.parametrize(
    "arguments", [("list",), ("show", "ID"), ("verify", "ID"), ("note", "ID", "x"), ("sim", "list")]
)
def test_json_is_one_document_and_nothing_else(
    command: Any, incident: Incident, arguments: tuple[str, ...]
) -> None:
    done = command(*(incident.id if word == "ID" else word for word in arguments), "--json")
    assert done.code == 0
    assert done.json
    assert done.err == ""


def test_show_says_state_timeline_and_what_was_not_seen(command: Any, incident: Incident) -> None:
    done = command("show", incident.id)
    assert done.code == 0
    for words in (incident.id, "SEV2", "first", "not seen: Sync history", "Next steps"):
        assert words in done.out


def test_text_from_outside_cannot_steer_the_terminal(command: Any, incident: Incident) -> None:
    incident.note("\x1b]0;owned\x07 [bold]plain[/bold] \u202eevil")
    for arguments in (("list",), ("show", incident.id)):
        out = command(*arguments).out
        assert "\x1b" not in out
        assert "\u202e" not in out
    assert "[bold]plain[/bold]" in command("show", incident.id).out


def test_a_secret_in_a_note_is_masked(command: Any, incident: Incident) -> None:
    command("note", incident.id, "the key is AKIAIOSFODNN7EXAMPLE and jane@example.com saw it")
    written = (incident.dir / "journal.jsonl").read_text()
    assert "AKIAIOSFODNN7EXAMPLE" not in written
    assert "jane@example.com" not in written


def test_a_reader_that_leaves_early_is_no_error(incident: Incident) -> None:
    for number in range(300):
        incident.note(f"line {number} " + "x" * 300)
    code = f"{sys.executable} -m vmqlib.cli show {incident.id} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_a_change_without_a_terminal_wants_yes(command: Any, healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    done = command("sync", "start")
    assert done.code == 2
    assert "--yes" in done.err


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    words = [sys.executable, "-m", "vmqlib.cli", "show", "INC-20200101-001"]
    plain = subprocess.run(words, capture_output=True, text=True, check=False)
    debug = subprocess.run([*words, "--debug"], capture_output=True, text=True, check=False)
    assert "Traceback" not in plain.stderr
    assert plain.returncode == 2
    assert "Traceback" in debug.stderr
