"""The pre-commit configuration is valid, works offline, and strips the notebooks that it should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def hooks(project) -> dict[str, dict]:
    config = yaml.safe_load((project / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    return {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}


def test_is_valid(project):
    subprocess.run([BIN / "pre-commit", "validate-config", project / ".pre-commit-config.yaml"], check=True)


def test_every_hook_runs_from_the_environment(hooks):
    assert set(hooks) == {"ruff", "ruff-format", "mypy", "import-linter", "nbstripout"}
    for hook in hooks.values():
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert (BIN / Path(hook["entry"].split()[0]).name).exists()


@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("templates/incident.ipynb", True),
        ("templates/retro.ipynb", True),
        ("notebooks/investigate.ipynb", True),
        ("notebooks/examples/INC-20261123-001.ipynb", False),
        ("tests/notebooks/begin.ipynb", False),
        ("notebooks/README.md", False),
    ],
)
def test_strips_what_people_edit_and_not_the_examples(hooks, path, stripped):
    hook = hooks["nbstripout"]
    matched = re.search(hook["files"], path) and not re.search(hook["exclude"], path)
    assert bool(matched) is stripped


def test_the_notebooks_are_stripped(hooks, project):
    hook = hooks["nbstripout"]
    paths = [
        path
        for folder in ("templates", "notebooks")
        for path in sorted((project / folder).rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
        and not re.search(hook["exclude"], path.relative_to(project).as_posix())
    ]
    if paths:
        done = subprocess.run(
            [BIN / "nbstripout", "--keep-id", "--verify", *paths], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
