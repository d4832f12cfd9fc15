"""One program and all that it starts: run without a shell, read line by line, and ended as a group."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from vmqlib.errors import BadInput

__all__ = ["Ended", "Stream", "follow", "has_members"]

Stream = Literal["stdout", "stderr"]
Why = Literal["ended", "timed out", "interrupted"]

MOST_LINE = 1024 * 1024
"""Bytes of one line that are read; what is more is left out, and said."""
_LOOK_S = 0.1
_DRAIN_S = 1.0  # for what is still in the pipes when the program has ended
_KILLED_S = 2.0  # for the kernel to end what was killed


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Parameters
    ----------
    why:
        ``ended``: by itself. ``timed out``, ``interrupted``: it was ended.
    status:
        Its exit status; negative: the signal that ended it.
    seconds:
        How long it ran.
    left_behind:
        Whether it ended and left programs running, which were ended, too.
    killed:
        Whether some of the group did not end on SIGTERM, and were killed.
    escaped:
        Whether something that it started has left its group and still holds its output open: that runs on.
    """

    why: Why
    status: int
    seconds: float
    left_behind: bool = False
    killed: bool = False
    escaped: bool = False


def follow(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
    on_line: Callable[[Stream, bytes], None],
    on_start: Callable[[int], None] = lambda _: None,
    grace_s: float = 5.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> Ended:
    """Runs a program to its end, or ends it: with all that it started and that stayed in its group.

    Parameters
    ----------
    argv, cwd, env:
        Its words, its folder, its whole environment. Its input is empty.
    timeout_s:
        Seconds after which it is ended.
    on_line:
        Given each line of its output without its end; a carriage return ends one, too. What it raises ends the program.
    on_start:
        Given its process id, which is its group's, too. What it raises ends the program.
    grace_s:
        Seconds between SIGTERM and SIGKILL.

    Raises
    ------
    BadInput
        It cannot be started.
    """
    begun = monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a group of its own; the terminal's Ctrl-C reaches us alone
        )
    except OSError as error:
        raise BadInput(
            f"{argv[0]} cannot be started: {error.strerror or error}.",
            hint="Its first line has to name its interpreter, such as #!/usr/bin/env bash, and that has to be there.",
        ) from error
    with process, _Pipes(process, on_line) as pipes:
        group = _Group(process, pipes, grace_s, monotonic)
        try:
            on_start(process.pid)
            why: Why = _wait(process, pipes, begun + timeout_s, monotonic)
            if why == "ended":
                pipes.drain(_DRAIN_S, monotonic)
            left_behind = why == "ended" and group.alive()
            group.end()
        except KeyboardInterrupt:
            why, left_behind = "interrupted", False
            group.end()
        finally:
            group.kill()
        pipes.drain(_DRAIN_S, monotonic)
        escaped = not pipes.closed
        pipes.finish()
        return Ended(why, process.wait(), monotonic() - begun, left_behind, group.killed, escaped)


def _wait(
    process: subprocess.Popen[bytes], pipes: _Pipes, until: float, monotonic: Callable[[], float]
) -> Why:
    while process.poll() is None:
        left = until - monotonic()
        if left <= 0:
            return "timed out"
        pipes.pump(min(left, _LOOK_S))
    return "ended"


class _Group:
    """The process group of a program."""

    def __init__(
        self, process: subprocess.Popen[bytes], pipes: _Pipes, grace_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._process = process
        self._pipes = pipes
        self._grace_s = grace_s
        self._monotonic = monotonic
        self.killed = False

    def alive(self) -> bool:
        """Whether any of it still runs."""
        leader = self._process.poll() is None
        return leader or has_members(self._process.pid)

    def end(self) -> None:
        """SIGTERM, some patience, SIGKILL. Whoever has none left interrupts once more."""
        with suppress(KeyboardInterrupt):
            if self.alive():
                self._signal(signal.SIGTERM)
                self._until_gone(self._grace_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for what is left."""
        if self.alive():
            self.killed = True
            self._signal(signal.SIGKILL)
            with suppress(KeyboardInterrupt):
                self._until_gone(_KILLED_S)

    def _until_gone(self, patience: float) -> None:
        until = self._monotonic() + patience
        while self.alive() and self._monotonic() < until:
            self._pipes.pump(0.02)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def has_members(group: int) -> bool:
    """Whether a process group has members that run. One that ended and was not collected yet does not count."""
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():  # macOS
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, 0)
            return True
        return False
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # 12 (name) S parent group …: the name may hold anything.
                state, _, number = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()[:3]
                if int(number) == group and state not in "ZX":
                    return True
    return False


class _Pipes:
    """Both outputs of a program, in the order in which they are seen."""

    def __init__(self, process: subprocess.Popen[bytes], on_line: Callable[[Stream, bytes], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._splitters: dict[Stream, _Splitter] = {}
        self._on_line = on_line
        self._process = process
        streams: tuple[tuple[Stream, IO[bytes] | None], ...] = (
            ("stdout", process.stdout),
            ("stderr", process.stderr),
        )
        for name, pipe in streams:
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._splitters[name] = _Splitter()
            self._selector.register(pipe, selectors.EVENT_READ, name)

    @property
    def closed(self) -> bool:
        """Whether nobody holds the other ends any more."""
        return not self._selector.get_map()

    def pump(self, seconds: float) -> None:
        """Reads what is there, or waits for so long."""
        if self.closed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            if self._process.returncode is not None:
                time.sleep(min(seconds, 0.02))
            return
        for key, _ in self._selector.select(seconds):
            try:
                chunk = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            name: Stream = key.data
            if not chunk:
                self._selector.unregister(key.fileobj)
                self._say(name, self._splitters[name].rest())
                continue
            self._say(name, self._splitters[name].feed(chunk))

    def drain(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Reads to the end of both, for so long at most."""
        until = monotonic() + seconds
        while not self.closed and (left := until - monotonic()) > 0:
            self.pump(min(left, 0.05))

    def finish(self) -> None:
        """What was begun and has no end of line."""
        for name, splitter in self._splitters.items():
            self._say(name, splitter.rest())

    def _say(self, name: Stream, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._on_line(name, line)

    def __enter__(self) -> _Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()


class _Splitter:
    """Bytes in, lines out: a line ends with a line feed, a carriage return, or both."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._left_out = 0
        self._after_return = False

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_return = chunk.endswith(b"\r") if chunk else False
        *whole, last = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        lines = []
        for part in whole:
            self._add(part)
            lines.append(self._taken())
        self._add(last)
        return lines

    def rest(self) -> list[bytes]:
        return [self._taken()] if self._begun else []

    def _add(self, part: bytes) -> None:
        room = MOST_LINE - len(self._begun)
        self._begun += part[:room]
        self._left_out += max(0, len(part) - room)

    def _taken(self) -> bytes:
        line = bytes(self._begun)
        if self._left_out:
            line += f" [... {self._left_out:,} bytes more of this line were left out]".encode()
        self._begun.clear()
        self._left_out = 0
        return line
