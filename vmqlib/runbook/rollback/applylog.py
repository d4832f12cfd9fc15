"""The apply log: what was asked of S3, on the disk before the request leaves, and what came of it.

JSON lines, mode 0600, keys exactly as they are. The first line names the plan; ``{"intent": n, …}`` comes before item
n's request, ``{"outcome": n, …}`` after its answer; ``{"at": …}`` dates what follows. Many intents share one write and
one fdatasync, and outcomes travel with them: a kill may lose an outcome, which leaves its item in doubt, and never
makes one wrong. One process writes at a time, and one apply runs in a folder at a time (flock: it dies with its
process).

Nothing is held but one byte for each item of the plan.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path
from types import TracebackType
from typing import Self

from vmqlib.errors import BadInput, LockHeld, StorageError, VmqError
from vmqlib.record.storage import storage_errors, sync_file, sync_folder, write_atomically
from vmqlib.runbook.rollback.items import Item
from vmqlib.runbook.rollback.logreading import IN_DOUBT, NUMBER, STATES, Reader, State, counted, put
from vmqlib.runbook.rollback.logreading import Head as Head
from vmqlib.runbook.rollback.logreading import Logged as Logged
from vmqlib.runbook.rollback.logreading import read as read
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.times import Clock, SystemClock, iso

__all__ = ["ApplyLog", "Head", "Logged", "State", "read", "unlocked"]


class ApplyLog:
    """The log of one apply, open for writing: a new one, or one that is continued. Thread-safe.

    Parameters
    ----------
    path:
        The file.
    head:
        The plan and who applies it. A log that is there must be of the same plan and incident.
    clock:
        Dates the lines.
    sync:
        Puts a file's bytes on the disk (fdatasync).

    Raises
    ------
    LockHeld
        When another apply of this plan, or of any plan in this folder, is under way.
    BadInput
        When the log that is there is of another plan.
    CorruptRecord
        When a line of it was damaged. A torn end is no damage: it is set aside in ``<name>.torn-<n>``.
    StorageError
        When the disk refuses.
    """

    def __init__(
        self,
        path: Path,
        head: Head,
        *,
        clock: Clock | None = None,
        sync: Callable[[int], None] = sync_file,
    ) -> None:
        self.path = path
        self._clock: Clock = clock or SystemClock()
        self._sync = sync
        self._states = bytearray()
        self._mutex = threading.Lock()  # what is to be written next
        self._disk = threading.Lock()  # who writes
        self._intents: list[str] = []
        self._outcomes: list[str] = []
        self._asked = self._durable = 0
        self._end = 0
        self._hash = hashlib.sha256()
        self._broken: VmqError | None = None
        self._half = False  # whether half a write is at the end and cannot be taken back
        with contextlib.ExitStack() as opening:
            with storage_errors(path):
                folder = _descriptor(opening, path.parent, os.O_RDONLY | os.O_DIRECTORY)
                new = not path.exists()
                self._file = _descriptor(opening, path, os.O_RDWR | os.O_CREAT)
            with contextlib.suppress(StorageError):  # some network file systems lock no folders
                _lock(folder, path.parent)
            _lock(self._file, path.parent)
            self._begin(head)
            if new:
                with storage_errors(path):
                    sync_folder(path.parent)
            self._closing = opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what is known

    def state(self, number: int) -> State:
        """Where item ``number`` of the plan stands, this run's outcomes included."""
        return STATES[self._states[number]] if number < len(self._states) else "none"

    @property
    def counts(self) -> Mapping[State, int]:
        """How many items stand where (``none`` is left out)."""
        return counted(self._states)

    # -- writing

    def intend(self, items: Iterable[tuple[int, Item]]) -> None:
        """Returns when it is on the disk that these items are about to be asked for. Callers in several threads share a
        write; what waits of the outcomes goes along.

        Raises
        ------
        StorageError
            When the disk refuses: no request may leave. The log is as it was before, and takes no further intents.
        """
        items = list(items)
        lines = [
            f'{{"intent":{number},"key":{_quoted(item.key)},"action":"{item.action}",'
            f'"was":{_quoted(item.current.version_id)}}}\n'
            for number, item in items
        ]
        with self._mutex:
            for number, _ in items:
                self._note(number, IN_DOUBT)
            self._intents += lines
            self._asked = ticket = self._asked + 1
        self._write(ticket, intent=True)

    def outcome(self, number: int, outcome: Outcome) -> None:
        """Notes what came of item ``number``; it reaches the disk with the next write (:meth:`flush`)."""
        rest = "".join(
            f',"{name}":{_quoted(value)}'
            for name in ("version_id", "etag", "code", "problem", "hint")
            if (value := getattr(outcome, name))
        )
        self._add(number, outcome.result, f'{{"outcome":{number},"result":"{outcome.result}"{rest}}}\n')

    def unsent(self, number: int) -> None:
        """Notes that item ``number`` was never asked for, or surely refused: it is as if nothing had been intended."""
        self._add(number, "unsent", f'{{"outcome":{number},"result":"unsent"}}\n')

    def flush(self) -> None:
        """Returns when every outcome is on the disk.

        Raises
        ------
        StorageError
            When the disk refuses. The outcomes are kept for another try.
        """
        with self._mutex:
            self._asked += bool(self._outcomes)
            ticket = self._asked
        self._write(ticket, intent=False)

    @property
    def waiting(self) -> int:
        """How many outcomes are not on the disk yet."""
        return len(self._outcomes)

    def digest(self) -> str:
        """SHA-256 of the file, after a flush: what the journal's chain holds."""
        self.flush()
        with self._disk:
            return self._hash.hexdigest()

    def close(self) -> None:
        """Writes what waits, as far as the disk allows, and gives the lock back.

        Raises
        ------
        StorageError
            When outcomes could not be written, unless the disk's refusal was told before: a resume then looks for
            itself.
        """
        with self._closing:
            told = self._broken is not None
            try:
                self.flush()
            except StorageError:
                if not told:
                    raise

    def _add(self, number: int, state: str, line: str) -> None:
        with self._mutex:
            self._note(number, NUMBER[state])
            self._outcomes.append(line)

    def _note(self, number: int, state: int) -> None:
        put(self._states, number, state)

    def _write(self, ticket: int, *, intent: bool) -> None:
        """Group commit: whoever comes to the disk first takes along what all the others want written."""
        with self._disk:
            if self._broken is not None and (intent or self._half):
                raise self._broken  # the intent may have been in the write that failed
            if self._durable >= ticket:
                return
            with self._mutex:
                outcomes, asked = self._outcomes, self._asked
                lines = outcomes if self._broken else outcomes + self._intents  # theirs will be told
                self._intents, self._outcomes = [], []
            if lines:
                # An outcome never shares a write with its own intent, so their order here is free.
                try:
                    self._append([f'{{"at":"{iso(self._clock.now())}"}}\n', *lines])
                except VmqError as error:
                    self._broken = self._broken or error
                    with self._mutex:
                        self._outcomes = outcomes + self._outcomes
                    raise
            self._durable = asked

    def _append(self, lines: list[str]) -> None:
        payload = "".join(lines).encode("ascii")
        with storage_errors(self.path):
            try:
                written = 0
                while written < len(payload):
                    written += os.pwrite(self._file, payload[written:], self._end + written)
                self._sync(self._file)
            except BaseException:
                self._half = True
                os.ftruncate(self._file, self._end)
                self._half = False
                raise
        self._end += len(payload)
        self._hash.update(payload)

    # -- opening

    def _begin(self, head: Head) -> None:
        with storage_errors(self.path, "read"):
            os.lseek(self._file, 0, os.SEEK_SET)
            with open(self._file, "rb", closefd=False) as file:
                reader = Reader(file, self.path, self._states)
                for _ in reader.outcomes():
                    pass
        self._end, self._hash = reader.end, reader.hash
        there = reader.head
        if there and (there.plan, there.incident) != (head.plan, head.incident):
            raise BadInput(
                f"{self.path} is the apply log of another plan ({there.plan[:12]}, {there.incident}).",
                hint="Give each plan a log of its own; a log is never used twice.",
            )
        with storage_errors(self.path):
            if torn := os.pread(self._file, os.fstat(self._file).st_size - self._end, self._end):
                _set_aside(self.path, torn)
                os.ftruncate(self._file, self._end)
        at = iso(self._clock.now())
        if there:
            self._append([json.dumps({"resumed": head.actor, "at": at}) + "\n"])
        else:
            first = {"apply": 1, "plan": head.plan, "incident": head.incident, "actor": head.actor, "at": at}
            self._append([json.dumps(first) + "\n"])


def unlocked(folder: Path) -> None:
    """Returns when no apply is under way in that folder now.

    Raises
    ------
    LockHeld
        When one is.
    """
    with contextlib.ExitStack() as opening:
        for path in (folder, *folder.glob("apply-*.jsonl")):
            with storage_errors(path, "lock"):
                descriptor = _descriptor(opening, path, os.O_RDONLY)
            with contextlib.suppress(StorageError):
                _lock(descriptor, folder)


def _set_aside(path: Path, torn: bytes) -> None:
    n = 1
    while True:
        with contextlib.suppress(FileExistsError):
            return write_atomically(path.with_name(f"{path.name}.torn-{n}"), torn, mode=0o600, replace=False)
        n += 1


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockHeld(
            f"Another apply is under way in {folder}.",
            hint="Wait until it is done, or stop it (Ctrl-C finishes what is in flight), and try again.",
        ) from None
    except OSError as error:
        with storage_errors(folder, "lock"):
            raise error


def _descriptor(opening: contextlib.ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    opening.callback(os.close, descriptor)
    return descriptor
