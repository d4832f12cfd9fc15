"""Every command that the README shows is run, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.groups import run_group

TOP = Path(__file__).parents[2]
SHOWN_ID = "INC-20261123-001"
SHOWN_DAY = "2026-12-04"  # a week or so later: until then something is to be done
# The first that was opened, whatever day it was by then: midnight may come between any two commands.
OPENED_ID = "$(ls incidents | grep -m 1 ^INC-)"
# What a command makes in the folder it is run in: not to be found there from before.
MADE = {
    "incidents",
    "logs",
    "OPERATIONS-RUNBOOK.md",
    "sim.env",
    "slack.env",
    "mail.env",
    "out.ipynb",
    ".git",
    ".env",
    "vmq.toml",
}


def commands(text: str) -> list[str]:
    """The lines after ``$`` in the console blocks of a Markdown text."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ]


def test_the_parser_sees_commands() -> None:
    assert commands("text\n```console\n$ vmq list\noutput\n```\n$ not this\n") == ["vmq list"]


def test_every_vmq_command_is_shown() -> None:
    from vmqlib.cli.main import _COMMANDS

    text = (TOP / "README.md").read_text("utf-8")
    missing = [name for name in _COMMANDS if f"vmq {name}" not in text]
    assert not missing


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_readme_commands_run(tmp_path: Path) -> None:
    for entry in TOP.iterdir():
        if entry.name not in MADE:
            (tmp_path / entry.name).symlink_to(entry)
    # make knows its checkout by its path: it is told the real one.
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "make"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("make")} -C {TOP} "$@"\n')
    wrapper.chmod(0o755)
    shown = commands((TOP / "README.md").read_text("utf-8"))
    assert len(shown) > 15
    later = f"{datetime.now(UTC) + timedelta(days=11):%Y-%m-%d}"
    script = "\n".join(
        [
            "set -eu",
            "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
            *(f"echo '=== '{index} >&2\n{line}" for index, line in enumerate(shown)),
        ]
    )
    assert SHOWN_DAY in script
    script = script.replace(SHOWN_ID, OPENED_ID).replace(SHOWN_DAY, later)
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    done = run_group(["bash", "-c", script], cwd=tmp_path, env=env, timeout=560)
    last = re.findall(r"^=== (\d+)$", done.stderr, re.MULTILINE)[-1]
    assert done.returncode == 0, f"`{shown[int(last)]}` failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    first = min((tmp_path / "incidents").glob("INC-*"))
    assert (first / "MANIFEST.json").is_file()
