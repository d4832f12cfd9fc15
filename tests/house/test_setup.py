"""Set-up, browser finder and Makefile: what they say on a machine that lacks something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.script import load

NEEDED = ("sh", "cat", "cksum", "dirname", "mkdir")


@pytest.fixture
def checkout(project, tmp_path) -> Path:
    """The parts of a checkout that set-up looks at."""
    top = tmp_path / "a checkout"
    shutil.copytree(project / "scripts", top / "scripts")
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(project / name, top)
    return top


@pytest.fixture
def bare(tmp_path) -> Path:
    """A PATH without any Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def set_up(checkout: Path, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", checkout / "scripts" / "setup"],
        env={"PATH": str(path), "HOME": str(checkout)} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def make(project: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=project,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_python(checkout, bare):
    done = set_up(checkout, bare)
    assert done.returncode == 2
    assert done.stderr.startswith("setup: there is no Python >= 3.11 on the PATH: install one")


def test_with_an_old_python_only(checkout, bare):
    command(bare, "python3", "exit 1")
    done = set_up(checkout, bare)
    assert done.returncode == 2
    assert "no Python >= 3.11" in done.stderr


def test_with_a_python_that_cannot_make_environments(checkout, bare):
    # As on a Debian without python3-venv: the version is right, `import ensurepip` fails.
    command(bare, "python3", 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac')
    done = set_up(checkout, bare)
    assert done.returncode == 2
    assert "python3-venv" in done.stderr


def test_with_a_named_python_that_is_none(checkout, bare):
    done = set_up(checkout, bare, PYTHON="/nowhere/python3")
    assert done.returncode == 2
    assert done.stderr.startswith("setup: /nowhere/python3 is not a Python")


def test_passes_by_a_command_that_does_not_run(checkout, bare):
    # pyenv leaves a python3.13 that only says which versions there are.
    command(bare, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    command(bare, "python3", f'exec {sys.executable} "$@"')
    (checkout / "scripts" / "setup_venv.py").write_text("print('chosen')")
    done = set_up(checkout, bare)
    assert (done.returncode, done.stdout) == (0, "chosen\n")


def test_a_second_run_does_nothing(checkout, bare):
    inputs = ["pyproject.toml", "constraints.txt", "scripts/setup", "scripts/setup_venv.py"]
    sums = subprocess.run(["cksum", *inputs], cwd=checkout, capture_output=True, text=True, check=True).stdout
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "ready").write_text(f"{checkout}\n{sums}".rstrip())
    command(checkout / ".venv" / "bin", "python", "exit 0")
    done = set_up(checkout, bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (checkout / "constraints.txt").write_text("changed")
    assert set_up(checkout, bare).returncode == 2


def test_an_environment_whose_python_is_gone_is_not_ready(checkout, bare):
    inputs = ["pyproject.toml", "constraints.txt", "scripts/setup", "scripts/setup_venv.py"]
    sums = subprocess.run(["cksum", *inputs], cwd=checkout, capture_output=True, text=True, check=True).stdout
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "ready").write_text(f"{checkout}\n{sums}".rstrip())
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    assert set_up(checkout, bare).returncode == 2


def test_help_lists_every_target(project):
    done = make(project)
    for target in ("demo", "test", "lab", "logs", "sync", "wait-sync", "bench", "lint", "clean"):
        assert f"\n  {target} " in done.stdout


def test_make_logs_asks_which_data_source(project):
    done = make(project, "-o", "setup", "logs")
    assert done.returncode == 2
    assert "SYNC_DATA_SOURCE_ID=<id>" in done.stderr


def test_targets_run_what_the_runbook_names(project):
    done = make(project, "-n", "-o", "setup", "sync", "wait-sync", "demo", "lab")
    assert done.stdout.splitlines() == [
        '.venv/bin/vmq sync start --yes ${CONNECTOR:+--connector "$CONNECTOR"}',
        '.venv/bin/vmq sync wait ${CONNECTOR:+--connector "$CONNECTOR"} ${DEADLINE:+--deadline "$DEADLINE"}',
        ".venv/bin/python scripts/demo.py",
        ".venv/bin/vmq lab",
    ]


def test_ci_runs_the_test_command(project):
    assert "\nmake test\n" in (project / ".ci" / "run").read_text()
    assert os.access(project / ".ci" / "run", os.X_OK)


class TestBrowser:
    @pytest.fixture
    def browser(self, project, monkeypatch, tmp_path):
        module = load(project / "scripts" / "browser.py")
        monkeypatch.setattr(module, "_DOWNLOADS", tmp_path / "downloads")
        monkeypatch.setattr(module, "_APPLICATIONS", ())
        monkeypatch.delenv("VMQ_CHROMIUM", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        (tmp_path / "bin").mkdir()
        return module

    def test_takes_the_one_that_is_named(self, browser, tmp_path, monkeypatch):
        command(tmp_path / "bin", "chromium", "exit 0")
        command(tmp_path, "mine", "exit 0")
        monkeypatch.setenv("VMQ_CHROMIUM", str(tmp_path / "mine"))
        assert browser.find() == tmp_path / "mine"

    def test_a_named_one_that_does_not_start_is_not_replaced(self, browser, tmp_path, monkeypatch):
        command(tmp_path / "bin", "chromium", "exit 0")
        monkeypatch.setenv("VMQ_CHROMIUM", "/nowhere/chromium")
        assert browser.find() is None
        assert browser.install() is None
        assert browser.none_found().startswith("VMQ_CHROMIUM names /nowhere/chromium")

    def test_passes_by_one_that_does_not_start(self, browser, tmp_path):
        command(tmp_path / "bin", "chromium-browser", "echo 'install the snap'; exit 1")
        command(tmp_path / "bin", "google-chrome", "exit 0")
        assert browser.find() == tmp_path / "bin" / "google-chrome"

    def test_finds_what_playwright_downloaded(self, browser, tmp_path):
        folder = tmp_path / "downloads" / "chromium-1255" / "chrome-linux64"
        folder.mkdir(parents=True)
        command(folder, "chrome", "exit 0")
        assert browser.find() == folder / "chrome"

    def test_asks_apt_only_as_root(self, browser, tmp_path, monkeypatch, capsys):
        command(tmp_path / "bin", "apt-get", f'echo "$@" >> {tmp_path}/asked')
        monkeypatch.setattr(browser, "_download", lambda: False)
        monkeypatch.setattr(browser.os, "geteuid", lambda: 1000)
        assert browser.install() is None
        assert not (tmp_path / "asked").exists()
        monkeypatch.setattr(browser.os, "geteuid", lambda: 0)
        browser.install()
        update, install = (tmp_path / "asked").read_text().splitlines()
        assert update.endswith("update")
        assert install.endswith("--no-install-recommends chromium")

    def test_a_failed_way_is_one_line(self, browser, capsys):
        script = "import sys; print('noise\\n' * 50); sys.exit('Error: Failed to download, caused by')"
        assert not browser._run("The download", [sys.executable, "-c", script], dict(os.environ), 20)
        assert capsys.readouterr().err.splitlines()[1:] == [
            "browser: The download did not work: Error: Failed to download"
        ]

    def test_a_way_that_hangs_is_given_up(self, browser, capsys):
        script = "import time; time.sleep(60)"
        assert not browser._run("The download", [sys.executable, "-c", script], dict(os.environ), 0.2)
        assert "timed out" in capsys.readouterr().err
