"""The wheel holds what an installed kit needs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(project, tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_ships_the_templates(wheel, project):
    templates = {
        f"vmqlib/_templates/{path.relative_to(project / 'templates').as_posix()}"
        for path in (project / "templates").rglob("*")
        if path.is_file() and not {".ipynb_checkpoints", "__pycache__"} & set(path.parts)
    }
    assert "vmqlib/_templates/incident.ipynb" in templates
    assert templates <= set(wheel.namelist())


@pytest.mark.slow
def test_is_typed_and_holds_the_package_only(wheel):
    names = set(wheel.namelist())
    assert {"vmqlib/py.typed", "vmqlib/cli/__init__.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"vmqlib"}


@pytest.mark.slow
def test_finds_its_templates_when_installed(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from vmqlib.record.notebook import templates_dir; print(templates_dir() / 'incident.ipynb')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / "vmqlib" / "_templates" / "incident.ipynb"


def test_finds_its_templates_in_the_checkout(project):
    from vmqlib.record.notebook import templates_dir

    assert templates_dir() == project / "templates"


def test_has_its_command_and_its_engine():
    (command,) = entry_points(group="console_scripts", name="vmq")
    (engine,) = entry_points(group="papermill.engine", name="vmq")
    assert callable(command.load())
    assert engine.load().__name__ == "HonestEngine"


def test_knows_its_version():
    import vmqlib

    assert vmqlib.__version__ == version("vmqlib")
