"""Applies in processes of their own that can be killed: one process that has everything imported forks for each.

    python -m support.apply_child BUCKET     (with the server's environment)

Reads lines ``{"items": pickle, "log": path, …}``; for each it answers with the child's process id, and when that has
ended, with its exit code and its tally. A child tells each moment at which it could be killed: before and after each
request that changes something, and before and after each time that the log is put on the disk.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Child", "Nursery", "nursery"]

_TESTS = Path(__file__).resolve().parents[1]


class Child:
    """One apply in a process of its own."""

    def __init__(self, nursery: Nursery, pid: int, moments: int) -> None:
        self._nursery, self.pid, self._moments = nursery, pid, moments

    def reached(self, moments: int, within: float = 60) -> bool:
        """Waits for so many moments; whether they came before its end."""
        came = 0
        while came < moments and select.select([self._moments], [], [], within)[0]:
            if not (said := os.read(self._moments, moments - came)):
                return False
            came += len(said)
        return came == moments

    def ended(self, within: float) -> dict[str, Any] | None:
        """Its end, if it comes within that many seconds: ``{"status": wait status, "tally": …}``."""
        said = self._nursery.answer(within)
        if said is not None:
            os.close(self._moments)
        return said

    def killed(self) -> dict[str, Any]:
        """SIGKILL, now."""
        self.signalled(signal.SIGKILL)
        said = self.ended(30)
        assert said is not None
        return said

    def signalled(self, number: int) -> None:
        """Sends it a signal. (It is waited for by its parent only after its end was told here.)"""
        os.kill(self.pid, number)


class Nursery:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def apply(self, items: Path, log: Path, **options: Any) -> Child:
        """Begins an apply; ``options`` are the engine's."""
        fifo = log.with_name("moments")
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo)
        moments = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        line = json.dumps({"items": str(items), "log": str(log), "moments": str(fifo), "options": options})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        answer = self.answer(60)
        assert answer is not None
        os.set_blocking(moments, True)
        return Child(self, answer["pid"], moments)

    def answer(self, within: float) -> dict[str, Any] | None:
        """The next line, if it comes in time."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], within)[0]:
            return None
        line = self._process.stdout.readline()
        assert line, f"the nursery ended: {self._process.wait()}"
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def nursery(env: Mapping[str, str], bucket: str) -> Iterator[Nursery]:
    """A process that has S3 and the engine loaded."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.apply_child", bucket],
        env={**os.environ, **env, "PYTHONPATH": str(_TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C of a terminal is the test's
    )
    try:
        found = Nursery(process)
        assert found.answer(60) == {"ready": True}
        yield found
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait(30)


def _main() -> None:
    from vmqlib.aws import Aws
    from vmqlib.runbook.rollback import engine
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.s3 import S3
    from vmqlib.settings import Settings

    aws = Aws(Settings.load())
    s3 = S3(aws, sys.argv[1], connections=64)
    objects = Objects(s3)
    assert objects, engine
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        assert threading.active_count() == 1  # what forks must have no threads
        read, write = os.pipe()
        sys.stdout.flush()
        if not (pid := os.fork()):
            os.close(read)
            _apply(s3, asked, write)
        os.close(write)
        print(json.dumps({"pid": pid}), flush=True)
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read()
        status = os.waitpid(pid, 0)[1]
        tally = json.loads(said) if said.endswith(b"\n") else None
        print(json.dumps({"status": status, "tally": tally}), flush=True)


def _apply(s3: Any, asked: Mapping[str, Any], write: int) -> None:
    from vmqlib.record.storage import sync_file
    from vmqlib.runbook.rollback.applylog import ApplyLog, Head
    from vmqlib.runbook.rollback.engine import run
    from vmqlib.runbook.rollback.objects import Objects

    def sync(descriptor: int) -> None:
        os.write(moments, b"w")
        sync_file(descriptor)
        os.write(moments, b"d")

    class Telling(Objects):
        def apply(self, *args: Any, **more: Any) -> Any:
            os.write(moments, b"s")
            outcome = super().apply(*args, **more)
            os.write(moments, b"a")
            return outcome

    code = 1
    try:
        moments = os.open(asked["moments"], os.O_WRONLY)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        items = pickle.loads(Path(asked["items"]).read_bytes())
        with ApplyLog(Path(asked["log"]), Head("plan", "INC", "child"), sync=sync) as log:
            tally = run(items, Telling(s3), log, **asked["options"])
        names = ("done", "found", "changed", "failed", "left", "earlier", "interrupted")
        said = {name: getattr(tally, name) for name in names} | {"error": str(tally.error or "")}
        os.write(write, json.dumps(said).encode() + b"\n")
        code = 0
    except BaseException:  # noqa: BLE001 - nothing above would tell it
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _main()
