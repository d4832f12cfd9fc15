"""What ``vmq lab`` starts, without starting it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vmqlib.cli import lab
from vmqlib.errors import UnknownIncident


def test_jupyterlab_listens_here_alone_and_fetches_nothing(project):
    command = lab.jupyter_command(project / "notebooks" / "investigate.ipynb")
    assert "--ip=127.0.0.1" in command
    assert "--LabApp.news_url=None" in command
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in command
    assert "--LabApp.extension_manager=readonly" in command
    assert not any("token" in word for word in command)
    assert f"--ServerApp.root_dir={project}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/investigate.ipynb" in command


def test_another_notebook_is_shown_in_its_own_folder(tmp_path):
    command = lab.jupyter_command(tmp_path / "incident.ipynb", 8899, browser=False)
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/incident.ipynb" in command
    assert {"--port=8899", "--ServerApp.port_retries=0", "--no-browser"} <= set(command)


def test_the_notebook_is_found_from_anywhere(project):
    assert lab.notebook_path() == project / "notebooks" / "investigate.ipynb"


@pytest.mark.parametrize("words", [["--notebook", "nowhere.ipynb"], ["--scenario"]])
def test_bad_input_is_exit_code_2(words):
    done = subprocess.run(
        [sys.executable, "-m", "vmqlib.cli", "lab", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_incident_that_is_not_there_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("VMQ_INCIDENTS", str(tmp_path))
    monkeypatch.setattr(lab, "_serve", lambda *_: pytest.fail("JupyterLab was started"))
    done = CliRunner().invoke(lab.lab_command, ["nope", "--no-simulator"])
    assert isinstance(done.exception, UnknownIncident)
    assert "There is no incident 'nope'" in done.exception.message


def test_its_settings_are_gone_afterwards(monkeypatch):
    with lab._state_folder() as state:
        folder = Path(state["JUPYTERLAB_SETTINGS_DIR"])
        assert '"fetchNews": "false"' in next(folder.rglob("notification.jupyterlab-settings")).read_text(
            "utf-8"
        )
    assert not folder.exists()
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", "/mine")
    with lab._state_folder() as state:
        assert state == {}
