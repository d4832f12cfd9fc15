"""``vmq lab`` in Chromium: it starts a local AWS, all cells run, the picker works, and nothing leaves the machine."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

# Loaded by every Python that the lab starts: whoever asks for another machine is written down and refused.
GUARD = """
import ipaddress, os, socket, sys

def _here(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified

def _watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if not _here(host):
        with open(os.environ["VMQ_TEST_REACHED"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError(f"not in a test: {host}")

sys.addaudithook(_watch)
"""


@dataclass(frozen=True)
class Lab:
    """A running lab: its address, token, and the file that names whoever was reached for."""

    url: str
    token: str
    reached: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}?token={self.token}", timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def guard(tmp_path: Path) -> dict[str, str]:
    """An environment in which every Python is watched."""
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(GUARD, "utf-8")
    return {"PYTHONPATH": str(folder), "VMQ_TEST_REACHED": str(tmp_path / "reached")}


@pytest.fixture
def lab(tmp_path: Path, guard: dict[str, str], project: Path) -> Iterator[Lab]:
    # A copy: JupyterLab saves by itself every two minutes.
    notebook = shutil.copy(project / "notebooks" / "investigate.ipynb", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_TOKEN": token,
        **guard,
        "VMQ_INCIDENTS": str(tmp_path / "incidents"),
    }
    log = tmp_path / "lab.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "vmqlib.cli",
                "lab",
                "--port",
                str(port),
                "--no-browser",
                "--notebook",
                notebook,
            ],
            env=environment,
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    made = Lab(f"http://127.0.0.1:{port}", token, tmp_path / "reached", process)
    try:
        until(lambda: answers(made) or process.poll() is not None, 90)
        assert process.poll() is None, log.read_text("utf-8")[-3000:]
        yield made
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(lab: Lab) -> bool:
    try:
        return "version" in lab.get("/api")
    except (urllib.error.URLError, OSError):
        return False


def until(done: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:g} s")
        time.sleep(0.1)


def kernel_is_ready(lab: Lab) -> bool:
    """The indicator on the page says idle too early: the server knows when a browser is connected to the kernel."""
    sessions = lab.get("/api/sessions")
    kernel = sessions[0]["kernel"] if sessions else {}
    return kernel.get("execution_state") == "idle" and kernel.get("connections", 0) > 0


def test_the_guard_sees_who_reaches_out(guard: dict[str, str]) -> None:
    program = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **guard}, check=False, capture_output=True
    )
    assert done.returncode != 0
    assert "192.0.2.1" in Path(guard["VMQ_TEST_REACHED"]).read_text("utf-8")


def test_investigate_in_jupyterlab(lab: Lab, page: Page, outside: list[str]) -> None:
    page.set_default_timeout(60_000)
    page.goto(f"{lab.url}/lab/tree/investigate.ipynb?reset&token={lab.token}")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    until(lambda: kernel_is_ready(lab), 60)
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()

    # Nothing is chosen yet: every section says so, and none fails.
    button = page.get_by_role("button", name="Observe")
    button.wait_for()
    page.get_by_text("No incident is chosen").first.wait_for()
    button.click()
    page.locator(".jp-OutputArea-output", has_text="everything was looked at").first.wait_for()

    outputs = page.locator(".jp-OutputArea-output")
    outputs.locator("img[alt^='Sync history']").scroll_into_view_if_needed()
    assert outputs.locator("img").count() >= 1
    assert all(image.get_attribute("alt") for image in outputs.locator("img").all())

    # Another window: the sections follow without a cell being run.
    before = outputs.locator("img[alt^='Sync history']").get_attribute("alt")
    page.get_by_role("combobox").filter(has_text="last 24 hours").select_option(label="last 24 hours")
    page.wait_for_function(
        "before => { const i = document.querySelector(\"img[alt^='Sync history']\"); return i && i.alt !== before; }",
        arg=before,
    )

    failed = page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]')
    assert failed.count() == 0
    assert page.get_by_text("could not be drawn").count() == 0
    assert outside == []
    assert not lab.reached.exists(), lab.reached.read_text("utf-8")


def test_the_lab_takes_its_simulator_with_it(lab: Lab) -> None:
    children = subprocess.run(
        ["pgrep", "-P", str(lab.process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert len(children) == 2
    lab.process.send_signal(signal.SIGTERM)
    assert lab.process.wait(30) == 0
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 20)
