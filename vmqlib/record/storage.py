"""Writing to a disk that may be full, read-only, or about to lose power."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from vmqlib.errors import StorageError

__all__ = ["link_or_rename", "storage_errors", "sync_file", "sync_folder", "temporary", "write_atomically"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def storage_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turns the operating system's errors into :class:`StorageError` with a way out.

    Parameters
    ----------
    path:
        What is being written or read: named in the message.
    doing:
        The verb of the message, ``write`` or ``read``.
    """
    try:
        yield
    except OSError as error:
        raise explain(error, path, doing) from error


def explain(error: OSError, path: Path, doing: str = "write") -> StorageError:
    """The sentence and the way out for one error of the operating system."""
    if error.errno in _FULL:
        return StorageError(
            f"The disk is full: cannot {doing} {path}.",
            hint="Make room (df -h), or set VMQ_INCIDENTS to another disk; what was recorded before is safe.",
        )
    if error.errno == errno.EROFS:
        return StorageError(
            f"The disk is read-only: cannot {doing} {path}.",
            hint="Set VMQ_INCIDENTS to a folder that can be written, or mount the disk read-write.",
        )
    if error.errno in _REFUSED:
        return StorageError(
            f"Not allowed to {doing} {path}.",
            hint=f"Check the owner and mode of {path.parent}, or set VMQ_INCIDENTS to a folder of your own.",
        )
    reason = error.strerror or type(error).__name__
    return StorageError(
        f"Cannot {doing} {path}: {reason}.", hint="Check that the path exists and the disk is well."
    )


def sync_file(descriptor: int) -> None:
    """Makes the operating system put the file's bytes (and its length) on the disk before it returns."""
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes a new, renamed or removed name in ``folder`` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot, and do it anyway
            raise
    finally:
        os.close(descriptor)


def temporary(path: Path) -> Path:
    """A hidden name beside ``path`` that nobody else uses."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write_atomically(
    path: Path, content: bytes, *, mode: int = 0o644, replace: bool = True, durable: bool = True
) -> None:
    """Writes a whole file or nothing: temporary file, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path, content, mode:
        The file.
    replace:
        Whether it may be there already.
    durable:
        False leaves the two fsyncs out, some milliseconds that the disk takes: whoever looks sees the old
        file or the new one, also when this process is killed; only a loss of power may cost the file. For
        what is soon written again.

    Raises
    ------
    StorageError
        When the disk refuses. ``path`` is then what it was before.
    FileExistsError
        When ``replace`` is false and ``path`` is there already.
    """
    draft = temporary(path)
    try:
        with storage_errors(path):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if durable:
                    sync_file(file.fileno())
            if replace:
                draft.replace(path)
        if not replace:
            link_or_rename(draft, path)
        if durable:
            with storage_errors(path):
                sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def link_or_rename(draft: Path, path: Path) -> None:
    """Gives ``draft`` the name ``path``, and never takes that name from another file.

    Raises
    ------
    FileExistsError
        When ``path`` is there already.
    StorageError
        When the disk refuses.
    """
    try:
        os.link(draft, path)
        draft.unlink()
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}:
            raise explain(error, path) from error
        if path.exists():  # a file system without hard links: the check is all there is
            raise FileExistsError(path) from error
        with storage_errors(path):
            draft.rename(path)
