"""Real processes, really killed: the record stays whole and true, and no kernel is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.notebooks

RUN = """
import sys
from pathlib import Path
from vmqlib.errors import VmqError
from vmqlib.record.kernel import start_kernel
from vmqlib.record.notebook import run

kernel = start_kernel(warm=())
print("kernel", kernel.process.pid, kernel.folder, flush=True)
try:
    run(
        Path(sys.argv[1]), Path(sys.argv[2]), {}, kernel=kernel,
        progress=lambda at: print("section", at.section, flush=True),
    )
except VmqError as error:
    print("ended", type(error).__name__, error.exit_code, flush=True)
    sys.exit(error.exit_code)
"""


class Run:
    """A run in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output = process.stdout
        self.said: list[str] = []
        _, pid, folder = self.until("kernel").split()
        self.kernel, self.folder = int(pid), Path(folder)

    def until(self, start: str) -> str:
        """Reads on until a line begins so."""
        assert self.output
        for line in self.output:
            self.said.append(line.strip())
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"the run ended without saying {start!r}: {self.said}")

    def rest(self) -> str:
        """What it says to its end."""
        return self.process.communicate(timeout=60)[0]

    def kernel_gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while _runs(self.kernel):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def running(template: Path, output: Path) -> Iterator[Run]:
    command = [sys.executable, "-c", RUN, str(template), str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield Run(process)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_in_order(
    broken: Callable[[str], Path], tmp_path: Path, read: Callable[..., Any], number: signal.Signals
) -> None:
    output = tmp_path / "record.ipynb"
    with running(broken("sleeps"), output) as run:
        run.until("section Second")
        run.process.send_signal(number)
        assert "ended Interrupted 130" in run.rest()
        assert run.process.returncode == 130
        assert run.kernel_gone_within(30)
        assert not run.folder.exists()
    record = read(output)
    assert record.states == ["completed", "completed", "failed", "pending"]
    assert record.run["status"] == "interrupted"
    assert f"was interrupted ({number.name})" in record.banner
    assert list(tmp_path.glob(".*")) == []


def test_a_run_killed_outright_leaves_a_record_that_says_it_is_not_finished(
    broken: Callable[[str], Path], tmp_path: Path, read: Callable[..., Any]
) -> None:
    output = tmp_path / "record.ipynb"
    with running(broken("sleeps"), output) as run:
        run.until("section Second")
        wait_until(lambda: read(output).states[2] == "running")
        run.process.kill()
        run.process.wait()
        assert run.kernel_gone_within(30), "the kernel outlived the process that started it"
    record = read(output)
    assert record.states == ["completed", "completed", "running", "pending"]
    assert record.run["status"] == "running"
    assert "not finished" in record.banner
    assert "it was killed" in record.banner


def test_a_kernel_started_early_dies_with_us_before_there_is_a_run() -> None:
    code = (
        "import sys\nfrom vmqlib.record.kernel import start_kernel\nkernel = start_kernel(warm=())\n"
        "print('kernel', kernel.process.pid, kernel.folder, flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        run = Run(process)
        process.send_signal(signal.SIGTERM)
        process.wait()
        assert run.kernel_gone_within(30)
    assert run.folder.exists()
    from vmqlib.record.kernel import start_kernel

    with start_kernel(warm=()) as next_one:
        assert not run.folder.exists(), "what a killed owner left was not swept"
        assert next_one.folder.exists()


def test_what_a_killed_save_left_is_swept_by_the_next_run(
    notebook: Callable[..., Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".record.ipynb.{gone.pid}-0a1b2c3d.tmp"
    others = tmp_path / f".record.ipynb.{os.getpid()}-0a1b2c3d.tmp"
    left.write_text("{")
    others.write_text("{")
    run(notebook("1"))
    assert not left.exists()
    assert others.exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_no_kill_at_any_moment_leaves_a_torn_record(
    notebook: Callable[..., Path], tmp_path: Path, read: Callable[..., Any]
) -> None:
    """24 kills, spread over a run that does little but save: each leaves the last whole record."""
    big = 'from IPython.display import HTML\nHTML("x" * 400_000)'
    template = notebook("# Record", *([big] * 30))
    output = tmp_path / "record.ipynb"
    moments = random.Random(20261123)
    for _ in range(24):
        with running(template, output) as run:
            wanted, line = moments.randrange(1, 28), ""
            for _ in range(wanted):
                line = run.until("section")
            assert line
            _spin(moments.random() * 0.03)
            run.process.send_signal(signal.SIGKILL)
            run.process.wait()
        record = read(output)
        assert record.run["status"] in ("running", "completed")
        assert json.loads(output.read_text("utf-8"))["nbformat"] == 4


def _spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
