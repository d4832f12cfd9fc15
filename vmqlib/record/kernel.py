"""Starting the kernel of a record, early, and never leaving one behind.

Only the standard library is imported here: the kernel is to be on its way within milliseconds of the start
of a command, so that it gets ready on the other core while AWS is asked and papermill is imported.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from vmqlib.errors import RunFailed, StorageError

__all__ = ["WARM_MODULES", "KernelHandle", "runs", "start_kernel"]

WARM_MODULES = (
    "pandas",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.dates",
    "vmqlib.view",
    "vmqlib.runbook.opening",
    "vmqlib.runbook.nextsteps",
    "vmqlib.runbook.overview",
    "vmqlib.runbook.rollback.planfile",
    "vmqlib.runbook.communicate.plan",
    "vmqlib.runbook.proof",
    "vmqlib.runbook.suspects",
    "vmqlib.runbook.validation",
    "markdown_it.tree",
)
"""What the cells of a record import: loaded by the kernel as soon as it listens."""

_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
_LONGEST_SOCKET = 100
"""Bytes: a Unix socket's address has 107."""

_NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}
"""Nobody listens there: what should look at no AWS fails at once if it does."""


class KernelHandle:
    """A kernel process that is ours: its connection, its life and its end.

    Parameters
    ----------
    process:
        The process, started in a session of its own, so that Ctrl-C in the terminal reaches us and not it.
    folder:
        A private folder with the connection file, the sockets, an empty IPython profile and what the
        process wrote to its standard streams. It is removed with the kernel.
    connection:
        Jupyter's connection information: transport, ports, key.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, connection: Mapping[str, Any]) -> None:
        self.process = process
        self.folder = folder
        self.connection = connection
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def interrupt(self) -> None:
        """What Ctrl-C does in a notebook: KeyboardInterrupt in the running cell."""
        self._signal(signal.SIGINT)

    def close(self) -> None:
        """Kills the kernel and whatever it started, and removes its folder. Harmless when done twice."""
        atexit.unregister(self.close)
        self._signal(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def death(self) -> str:
        """How the process ended, for people, with the last line it wrote; empty while it lives."""
        code = self.process.poll()
        if code is None:
            return ""
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            how = f"killed by {name}" + (
                ", often a sign of too little memory" if -code == signal.SIGKILL else ""
            )
        else:
            how = f"exit code {code}"
        said = self._last_words()
        return f"{how}; it said: {said}" if said else how

    def _last_words(self) -> str:
        try:
            text = (self.folder / "kernel.log").read_text("utf-8", errors="replace")
        except OSError:
            return ""
        return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "")

    def _signal(self, number: signal.Signals) -> None:
        # The process group, since a cell may have started processes. It outlives its leader, but once we
        # have waited for the leader its number may be somebody else's: then only a group that is still ours
        # is there.
        if self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def __enter__(self) -> KernelHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_kernel(
    *, warm: Sequence[str] = WARM_MODULES, offline: bool = False, environment: Mapping[str, str] | None = None
) -> KernelHandle:
    """Starts a kernel of this very Python and returns at once, before it is ready.

    No installed kernel specification is needed, and no TCP port is opened: the two talk over Unix sockets
    in a private folder.

    Parameters
    ----------
    warm:
        Modules that the kernel imports as soon as it listens.
    offline:
        The kernel's environment then sends every AWS call to an address where nobody listens.
    environment:
        Variables to add to, or replace in, the kernel's environment.

    Raises
    ------
    StorageError
        When there is no place for the kernel's folder.
    RunFailed
        When the process cannot be started.
    """
    folder = _private_folder()
    connection: dict[str, Any] = {f"{channel}_port": n for n, channel in enumerate(_CHANNELS, 1)}
    connection |= {
        "transport": "ipc",
        "ip": str(folder / "k"),
        "key": secrets.token_hex(32),
        "signature_scheme": "hmac-sha256",
        "kernel_name": "python3",
    }
    file = folder / "connection.json"
    file.write_text(json.dumps(connection), encoding="utf-8")
    file.chmod(0o600)
    command = [sys.executable, "-P", "-m", "vmqlib.record._kernel", str(file), *warm]
    env = {**os.environ, **_environment(folder), **(_NOWHERE if offline else {}), **(environment or {})}
    try:
        with (folder / "kernel.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RunFailed(
            f"The notebook's kernel could not be started: {error}.",
            hint=f"Check that {sys.executable} can be run.",
        ) from error
    return KernelHandle(process, folder, connection)


def _sweep(place: Path) -> None:
    """Removes the folders of kernels whose owner was killed: the kernel ends by itself, its folder stays."""
    for folder in place.glob("vmq-kernel-*-*"):
        owner = folder.name.split("-")[2]
        with suppress(OSError):
            if owner.isdecimal() and folder.stat().st_uid == os.getuid() and not runs(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)


def runs(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _environment(folder: Path) -> dict[str, str]:
    return {
        "IPYTHONDIR": str(folder / "ipython"),
        "JPY_PARENT_PID": str(os.getpid()),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _private_folder() -> Path:
    """A folder only we can enter, with a name short enough for the address of a Unix socket."""
    for place in (tempfile.gettempdir(), "/var/tmp", "/tmp"):  # noqa: S108 - mkdtemp's names cannot be guessed
        if len(os.fsencode(place)) + len("/vmq-kernel-1234567-12345678/k-5") > _LONGEST_SOCKET:
            continue
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=f"vmq-kernel-{os.getpid()}-", dir=place))
            _sweep(folder.parent)
            return folder
    raise StorageError(
        "There is no temporary folder to run the notebook in.",
        hint="Free some space, or set TMPDIR to a short path.",
    )
