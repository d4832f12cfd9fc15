"""Changes in processes of their own that are killed at a given moment: before and after each request and each line of
the journal.

    python -m support.kill_child      (with the local AWS's environment)

Reads lines ``{"do": "disable" | "restore" | "start", "incident": ID, "moment": N}``; forks for each, kills the child by
itself at its N-th moment, and answers with how it ended: 9 for a kill, 0 when it came to its end before that moment.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Killer", "killer"]

_TESTS = Path(__file__).resolve().parents[1]


class Killer:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **what: Any) -> int:
        """Lets a child do it, killed at that moment; the signal that ended it, or 0."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        """The next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process that forks ended: {self._process.wait()}"
        return int(line)


@contextmanager
def killer() -> Iterator[Killer]:
    """A process that has everything imported."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.kill_child"],
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    found = Killer(process)
    try:
        assert found.answer() == 0
        yield found
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait(30)


def _main() -> None:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

    settings = Settings.load()
    Aws(settings).client("qbusiness")  # what boto3 reads from disk is read once
    print(0, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        assert threading.active_count() == 1  # what forks must have no threads
        if not (pid := os.fork()):
            _child(asked)
        status = os.waitpid(pid, 0)[1]
        print(status if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)


def _child(asked: dict[str, Any]) -> None:
    from botocore.httpsession import URLLib3Session

    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.record.journal import Journal
    from vmqlib.runbook import resync, stabilize
    from vmqlib.settings import Settings

    left = asked["moment"]
    guard = threading.Lock()

    def moment() -> None:
        nonlocal left
        with guard:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def watched(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **more: Any) -> Any:
            moment()
            made = real(*args, **more)
            moment()
            return made

        setattr(owner, name, call)

    code = 1
    try:
        settings = Settings.load()
        aws = Aws(settings, max_attempts=1)
        incident = Incident.load(asked["incident"], settings=settings, aws=aws)
        incident.actor()
        watched(URLLib3Session, "send")
        watched(Journal, "append_many")
        chosen = resync.choose_all(settings)
        if asked["do"] == "start":
            resync.journaled_start(incident, aws, settings, settings.ds_id)
        else:
            make = stabilize.plan_disable if asked["do"] == "disable" else stabilize.plan_restore
            plan = make(incident, aws, settings, chosen)
            stabilize.apply(incident, plan, settings, digest=plan.digest)
        code = 0
    except BaseException:  # noqa: BLE001 - nothing above would tell it
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _main()
