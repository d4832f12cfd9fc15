"""The file of a verification: every difference, however many there are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from vmqlib.errors import CorruptRecord
from vmqlib.record.storage import storage_errors, sync_file, sync_folder, temporary
from vmqlib.runbook.rollback.results import Difference, Verification
from vmqlib.times import iso, parse_iso

__all__ = ["Draft", "read"]


class Draft:
    """The file of a verification while it is made: one JSON document, of which the first line, the head, can be read
    alone; then a line for each difference."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = temporary(path)
        self._draft = temporary(path)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Draft:
        with storage_errors(self._path):
            descriptor = os.open(self._rows, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "w+b")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._rows.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)

    def add(self, difference: Difference) -> None:
        """One more row."""
        assert self._file is not None
        with storage_errors(self._path):
            self._file.write(b",\n" if self._file.tell() else b"")
            self._file.write(_json(list(asdict(difference).values())))

    def finish(self, made: Verification) -> str:
        """Writes the head and then the rows, and gives the file its name; its SHA-256."""
        assert self._file is not None
        head = {name: value for name, value in asdict(made).items() if name != "path"}
        head["at"] = iso(made.at)
        with storage_errors(self._path):
            descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w+b") as whole:
                whole.write(b'{"verification":' + _json(head) + b',\n"differences":[\n')
                self._file.seek(0)
                shutil.copyfileobj(self._file, whole)
                whole.write(b"]}\n")
                whole.flush()
                sync_file(whole.fileno())
                whole.seek(0)
                sha256 = hashlib.file_digest(whole, "sha256").hexdigest()
            self._draft.replace(self._path)
            sync_folder(self._path.parent)
        return sha256


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def read(path: Path) -> Verification:
    """A verification from its file. Reads its head alone, however many differences there are.

    Raises
    ------
    StorageError
        It cannot be read.
    CorruptRecord
        It is no verification.
    """
    try:
        with storage_errors(path, "read"), path.open("rb") as file:
            head: Any = json.loads(file.readline().rstrip(b",\n") + b"}")["verification"]
        for name in ("first", "outside_first"):
            head[name] = tuple(Difference(**row) for row in head[name])
        head |= {"at": parse_iso(head["at"]), "held_first": tuple(head["held_first"]), "path": path}
        return Verification(**head)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptRecord(
            f"{path} is not a verification.", hint="Verify again: `vmq rollback verify`."
        ) from error
