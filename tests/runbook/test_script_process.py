"""A program and all that it starts: read line by line, ended as a group, whatever it does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmqlib.errors import BadInput
from vmqlib.runbook.targeted import process
from vmqlib.runbook.targeted.process import Ended, follow

Lines = list[tuple[str, bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Ended, Lines]]:
    def call(script: str, *, timeout_s: float = 20, grace_s: float = 5, **more: Any) -> tuple[Ended, Lines]:
        path = tmp_path / "script"
        path.write_text(script)
        path.chmod(0o755)
        lines: Lines = []
        more.setdefault("on_line", lambda stream, line: lines.append((stream, line)))
        env = {"PATH": os.environ["PATH"], "HERE": str(tmp_path)}
        ended = follow([str(path)], cwd=tmp_path, env=env, timeout_s=timeout_s, grace_s=grace_s, **more)
        return ended, lines

    return call


def gone(pid: int) -> bool:
    """Whether a process runs no more; one that nobody has collected yet does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class UpWhen:
    """A clock by which a time-out passes at the moment at which a file was written, however slow the machine is."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s

    def __call__(self) -> float:
        written = self._path.exists() and self._path.read_text().endswith("\n")
        return time.monotonic() + self._timeout_s * written


def pid_of(path: Path) -> int:
    for _ in range(500):
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        time.sleep(0.01)
    raise AssertionError(f"{path} was never written")


def test_both_streams_the_status_and_a_last_line_without_an_end(run: Any) -> None:
    ended, lines = run("#!/bin/sh\necho out; echo err >&2; printf 'a\\rb\\r\\nlast'; exit 7\n")
    assert (ended.why, ended.status) == ("ended", 7)
    assert sorted(lines) == sorted(
        [("stdout", b"out"), ("stderr", b"err"), ("stdout", b"a"), ("stdout", b"b"), ("stdout", b"last")]
    )


def test_its_environment_is_the_given_one_and_its_input_is_empty(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("NOT_FOR_IT", "secret")
    _, lines = run("#!/bin/sh\nenv; cat; echo done\n")
    said = b"\n".join(line for _, line in lines)
    assert b"NOT_FOR_IT" not in said
    assert said.endswith(b"done")


def test_a_signal_is_its_status(run: Any) -> None:
    ended, _ = run("#!/bin/sh\nkill -SEGV $$\n")
    assert ended.status == -signal.SIGSEGV


def test_what_cannot_be_started_says_what_to_look_at(run: Any) -> None:
    with pytest.raises(BadInput, match="cannot be started") as raised:
        run("#!/no/such/interpreter\n")
    assert "first line" in raised.value.hint


def test_its_time_out_ends_grandchildren_too(run: Any, tmp_path: Path) -> None:
    script = "#!/bin/sh\n(sh -c 'echo $$ > \"$HERE/grand\"; exec sleep 600') &\nsleep 600\n"
    ended, _ = run(script, timeout_s=100, grace_s=30, monotonic=UpWhen(tmp_path / "grand", 100))
    assert ended.why == "timed out"
    assert ended.status == -signal.SIGTERM
    assert not ended.killed
    assert gone(pid_of(tmp_path / "grand"))
    assert 100 <= ended.seconds < 130, "nobody waited for the end of the grace"


def test_who_ignores_the_request_to_end_is_killed(run: Any, tmp_path: Path) -> None:
    script = (
        "#!/bin/sh\ntrap '' TERM\n(trap '' TERM; sh -c 'echo $$ > \"$HERE/grand\"; exec sleep 600') &\n"
        "echo ready; while :; do sleep 0.05; done\n"
    )
    ended, _ = run(script, timeout_s=100, grace_s=0.2, monotonic=UpWhen(tmp_path / "grand", 100))
    assert ended.killed
    assert ended.status == -signal.SIGKILL
    assert gone(pid_of(tmp_path / "grand"))


def test_what_it_leaves_running_is_ended(run: Any, tmp_path: Path) -> None:
    script = (
        "#!/bin/sh\n(sh -c 'echo $$ > \"$HERE/grand\"; exec sleep 600' > /dev/null 2>&1) &\n"
        'while [ ! -s "$HERE/grand" ]; do sleep 0.02; done; echo bye\n'
    )
    ended, lines = run(script)
    assert (ended.why, ended.status, ended.left_behind) == ("ended", 0, True)
    assert lines == [("stdout", b"bye")]
    assert gone(pid_of(tmp_path / "grand"))


def test_who_left_the_group_is_told_of(run: Any, tmp_path: Path) -> None:
    daemon = (
        "import os, time; os.setsid(); open(os.environ['HERE'] + '/daemon', 'w').write(str(os.getpid())); "
        "time.sleep(30)"
    )
    ended, _ = run(
        f'#!/bin/sh\n{sys.executable} -c "{daemon}" &\nwhile [ ! -s "$HERE/daemon" ]; do sleep 0.02; done\n'
    )
    pid = pid_of(tmp_path / "daemon")
    try:
        assert ended.escaped
        assert not gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_ctrl_c_ends_the_group_and_comes_back(run: Any, tmp_path: Path) -> None:
    script = "#!/bin/sh\n(sh -c 'echo $$ > \"$HERE/grand\"; exec sleep 600') &\necho go; sleep 600\n"
    lines: Lines = []

    def on_line(stream: str, line: bytes) -> None:
        lines.append((stream, line))
        pid_of(tmp_path / "grand")
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ended, _ = run(script, on_line=on_line)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.why == "interrupted"
    assert gone(pid_of(tmp_path / "grand"))


def test_a_line_that_cannot_be_kept_ends_it(run: Any, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run('#!/bin/sh\necho $$ > "$HERE/own"; echo x; exec sleep 600\n', on_line=full)
    assert gone(pid_of(tmp_path / "own"))


def test_an_endless_line_is_cut_and_that_is_said(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(process, "MOST_LINE", 1000)
    _, lines = run("#!/bin/sh\nhead -c 5000 /dev/zero | tr '\\0' x; echo; echo next\n")
    assert len(lines) == 2
    assert lines[0][1].startswith(b"x" * 1000 + b" [... 4,000 bytes more")
    assert lines[1] == ("stdout", b"next")


def test_a_flood_is_read_whole_and_in_order(run: Any) -> None:
    _, lines = run("#!/bin/sh\nseq 1 20000\n")
    assert [line for _, line in lines] == [str(number).encode() for number in range(1, 20001)]
