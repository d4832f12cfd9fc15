"""`make demo`, whole: every step ends as it should, and the messages are shown."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.groups import run_group

TOP = Path(__file__).parents[2]
MADE = {"incidents", "scripts", ".git", ".env", "vmq.toml"}
SHOWN = (
    "$ vmq detect",
    "checks passed.",
    ": acknowledged",
    "(SEV1): update 2",
    "• Object versions of the last good sync were copied back, and the index synced.",
    # What people are to do, and when they hear more, of the first update; the links and the next commands, whole.
    "A promotion broke documents. Rolling back next. Conditions",
    "Next update • By ",
    "vmq schedule disable INC-",
    "Next: `vmq rollback verify INC-",
    ", 99 modified, 0 deleted, 0 failed.",
    "alarm to opening",
    "To: head-of-support@vaultmesh.io",
    ": review on ",
    "Attached: retro.ics",
    "time to resolve",
)


@pytest.mark.slow
@pytest.mark.notebooks
@pytest.mark.timeout(500)
def test_the_demo_runs_from_page_to_review_and_shows_the_messages(tmp_path: Path) -> None:
    # A checkout of its own: what the demo makes stands beside its scripts.
    for entry in TOP.iterdir():
        if entry.name not in MADE:
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "scripts").mkdir()
    shutil.copy(TOP / "scripts" / "demo.py", tmp_path / "scripts")
    # Settings of whoever runs it are not the demo's: neither an account nor a channel.
    env = os.environ | {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "VMQ_SLACK_WEBHOOK": "http://127.0.0.1:9/hook",
        "COLUMNS": "80",
    }
    done = run_group(
        [sys.executable, str(tmp_path / "scripts" / "demo.py")], env=env, cwd=tmp_path, timeout=460
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    shown = " ".join(done.stdout.replace("↳", " ").split())
    assert not [text for text in SHOWN if text not in shown]
    cut = [line for line in done.stdout.splitlines() if line.rstrip().endswith("…")]
    assert not cut
    # A command is typed as one line, and no link is broken; everything else fits.
    long = [
        line.lstrip(" \N{DOWNWARDS ARROW WITH TIP RIGHTWARDS}")
        for line in done.stdout.splitlines()
        if len(line) > 80
    ]
    assert all(len(line.split()) <= 2 or line.startswith(("$ ", "vmq ")) for line in long), long
    # Each plot stands below its own message, not all below the first.
    first, *others = done.stdout.split("\nSlack, #")[1].split("E-mail")[0].split("(SEV1): ")[1:]
    assert first.count("File: ") == 1
    assert any("File: " in one for one in others)
    (folder,) = (tmp_path / "incidents").glob("INC-*")
    assert {"incident.html", "MANIFEST.json", "retro.html", "retro.ics"} <= {
        one.name for one in folder.iterdir()
    }
    entry = (tmp_path / "incidents" / "OPERATIONS-RUNBOOK.md").read_text("utf-8")
    told = [line for line in entry.splitlines() if line.startswith("| 2")]
    assert folder.name in entry
    first = ("Seen, not proved to be the cause: promotion", "First bad sign", "into ALARM", "Opened")
    for line, words in zip(told, first, strict=False):
        assert words in line
    assert sum("The schedule of s3" in line and "again" in line for line in told) == 1
