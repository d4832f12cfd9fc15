"""A local AWS in a process of its own, and an environment from which nothing but it can be reached."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

__all__ = ["served"]

_READY = "# ready"
_STOP_S = 15.0


@contextmanager
def served(
    scenario: str = "sync-failed",
    *,
    seed: int = 0,
    watch_every: str = "5m",
    environ: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> Iterator[dict[str, str]]:
    """Starts ``vmq sim serve``, gives the environment for whoever is to talk to it, and stops it at the end.

    Every ``AWS_`` variable of the caller is left out and AWS's own configuration files are out of sight: an endpoint
    that is set for one service only would otherwise win over the simulator's.

    Parameters
    ----------
    scenario, seed, watch_every:
        As for ``vmq sim serve``.
    environ:
        What the environment starts from; the process's own by default.
    stderr:
        Where the simulator's messages go; the process's own by default.

    Raises
    ------
    RuntimeError
        When it ends before it is ready.
    """
    given = os.environ if environ is None else environ
    clean = {name: value for name, value in given.items() if not name.startswith("AWS_")}
    clean |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    command = [
        sys.executable,
        "-m",
        "vmqlib.cli",
        "sim",
        "serve",
        "--scenario",
        scenario,
        "--seed",
        str(seed),
        "--watch-every",
        watch_every,
    ]
    # A session of its own: Ctrl-C in the terminal is for the one who started it, who then stops it.
    process = subprocess.Popen(
        command, env=clean, text=True, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
    )
    try:
        yield {**clean, **_exports(process)}
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _exports(process: subprocess.Popen[str]) -> dict[str, str]:
    exports: dict[str, str] = {}
    for line in process.stdout or ():
        if line.startswith(_READY):
            return exports
        name, _, value = line.removeprefix("export ").partition("=")
        exports[name] = "".join(shlex.split(value))
    raise RuntimeError(f"the local AWS ended with exit code {process.wait()} before it was ready")
