"""A program that starts others, in a test: however it ends, none of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

__all__ = ["run_group"]


def run_group(words: Sequence[str], *, timeout: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs it in a process group of its own, which ends with it, also where the time is over; its output, as text."""
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, **options,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(words, process.returncode, out, err)
