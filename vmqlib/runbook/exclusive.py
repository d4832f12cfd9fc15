"""One change at a time in an incident: two people who type the same command do not do it twice."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vmqlib.errors import LockHeld
from vmqlib.record.storage import storage_errors

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["exclusive"]

_ROUND = 0.05


@contextmanager
def exclusive(incident: Incident, *, patience: float = 30.0) -> Iterator[None]:
    """Within the block nobody else changes a schedule, or starts or stops a sync job, in this incident's name.

    The lock is on the incident's folder: it dies with its process, and leaves nothing behind. It is held from the look
    before a change to the line that says how the change went, never while something is waited for.

    Parameters
    ----------
    patience:
        Seconds to wait for somebody else to be done.

    Raises
    ------
    LockHeld
        When somebody else is not.
    StorageError
        When the folder cannot be opened.
    """
    with storage_errors(incident.dir, "lock"):
        descriptor = os.open(incident.dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _take(descriptor, incident, patience)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, incident: Incident, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise LockHeld(
                    f"Another process changes something in {incident.id}, and has not come to an end.",
                    hint="Wait until it is done, or stop it, and try again.",
                ) from None
            time.sleep(_ROUND)
        except OSError as error:
            with storage_errors(incident.dir, "lock"):
                raise error
