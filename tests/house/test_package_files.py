"""What a clone gets is what is here."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_no_source_file_is_ignored(project: Path) -> None:
    """An ignore rule for captured logs once hid a package of that name from every clone."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "--others",
            "--ignored",
            "--exclude-standard",
            "vmqlib",
            "templates",
            "tests",
            "scripts",
            "docs",
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [name for name in listed if "__pycache__" not in name and ".ipynb_checkpoints" not in name] == []
