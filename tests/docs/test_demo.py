"""`make demo`, whole: every step ends as it should, and the messages are shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
MADE = {"incidents", "scripts", ".git", ".env", "vmq.toml"}
SHOWN = (
    "$ vmq detect",
    "checks passed.",
    ": acknowledged",
    "(SEV1): update 2",
    "↳ • Object versions of the last good sync were copied back, and the index synced.",
    "To: head-of-support@vaultmesh.io",
    ": review on ",
    "Attached: retro.ics",
    "time to resolve",
)


@pytest.mark.slow
@pytest.mark.notebooks
@pytest.mark.timeout(240)
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
        "COLUMNS": "140",  # as wide as where there is no terminal
    }
    done = subprocess.run(
        [sys.executable, str(tmp_path / "scripts" / "demo.py")],
        check=False, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=220,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert not [text for text in SHOWN if text not in done.stdout]
    (folder,) = (tmp_path / "incidents").glob("INC-*")
    assert {"incident.html", "MANIFEST.json", "retro.html", "retro.ics"} <= {
        one.name for one in folder.iterdir()
    }
    assert folder.name in (tmp_path / "incidents" / "OPERATIONS-RUNBOOK.md").read_text("utf-8")
