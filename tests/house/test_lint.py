"""What `make lint` runs, as tests: one closing line for everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
CHECKS = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "imports": ["lint-imports", "--no-logo"],
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("check", CHECKS)
def test_lint(check, project):
    name, *arguments = CHECKS[check]
    done = subprocess.run([BIN / name, *arguments], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{check}:\n{(done.stdout + done.stderr)[-6000:]}", pytrace=False)


def test_make_lint_runs_the_same(project):
    makefile = (project / "Makefile").read_text()
    for command in CHECKS.values():
        assert f"$(run)/{' '.join(command)}\n" in makefile
