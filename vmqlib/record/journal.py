"""The journal: one append-only file of JSON lines, each chained to the one before by SHA-256.

An event counts once :meth:`Journal.append` has returned: its line is on the disk then, whatever happens next.
Several processes may append to one journal; each takes the file's lock, looks at what the others added, and
chains on to it. A process that died half-way leaves a torn last line: the next append sets it aside, byte for
byte, into ``journal.torn-<n>`` and notes that. Readers never change anything."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vmqlib.errors import BadInput, CorruptRecord, LockHeld
from vmqlib.record.canonical import canonical, digest, jsonable
from vmqlib.record.chain import JournalReport, Place, last_line, read_line, verify_lines
from vmqlib.record.events import EVENT_TYPES, Actor, Event, EvidenceRef, Kind, read_event
from vmqlib.record.storage import storage_errors, sync_file, sync_folder, write_atomically
from vmqlib.times import Clock, SystemClock, iso

__all__ = ["Entry", "Journal", "JournalReport", "Masks"]


class Masks(Protocol):
    """What the journal needs of a redactor."""

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        ...

    def value(self, value: Any) -> Any:
        """JSON types without secrets."""
        ...


@dataclass(frozen=True)
class Entry:
    """An event before it has a place in the journal.

    Parameters
    ----------
    kind:
        One of the kinds of :mod:`vmqlib.record.events`.
    summary:
        One sentence for people.
    step:
        The runbook's step, or ``""``.
    data:
        What the kind's model asks for, and more where useful. JSON types, times, NumPy scalars.
    evidence:
        The files it rests on.
    """

    kind: Kind
    summary: str
    step: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[EvidenceRef] = ()


def _now_unknown() -> Actor:
    return Actor()


class Journal:
    """One incident's journal.

    Parameters
    ----------
    path:
        The file. It need not be there yet.
    actor:
        Says who appends; asked at the first append.
    clock:
        Tells the events' time.
    masks:
        Masks secrets in summaries and data before they reach the disk.
    patience:
        Seconds to wait for the lock.
    """

    def __init__(
        self,
        path: Path,
        *,
        actor: Callable[[], Actor] = _now_unknown,
        clock: Clock | None = None,
        masks: Callable[[], Masks] | None = None,
        patience: float = 10.0,
    ) -> None:
        self.path = path
        self._actor = actor
        self._clock: Clock = clock or SystemClock()
        self._masks = masks
        self._patience = patience
        self._seen: Place | None = None
        self._mutex = threading.Lock()

    # -- writing

    def append(
        self,
        kind: Kind,
        summary: str,
        *,
        step: str = "",
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        """Appends one event and returns when it is on the disk.

        Raises
        ------
        LockHeld
            When another process kept the lock for longer than ``patience``.
        StorageError
            When the disk refuses. The journal is then as it was.
        CorruptRecord
            When the journal is not the one that this process has seen, or its last event was changed.
        BadInput
            When ``data`` is not what the kind asks for.
        """
        return self.append_many([Entry(kind, summary, step, data or {}, evidence)])[0]

    def append_many(self, entries: Iterable[Entry]) -> list[Event]:
        """Appends several events with one fsync: after a crash the first few of them may be there. Raises as
        :meth:`append` does."""
        bodies = [self._body(entry) for entry in entries]
        if not bodies:
            return []
        with self._mutex, self._locked() as descriptor:
            last = self._mend(descriptor, self._look(descriptor))
            events, self._seen = self._write(descriptor, last, bodies)
        return events

    def _body(self, entry: Entry) -> dict[str, Any]:
        """The event without its place in the chain: masked, in JSON types, checked."""
        if entry.kind not in EVENT_TYPES:
            raise BadInput(
                f"{entry.kind!r} is not a kind of event.", hint=f"Kinds are {', '.join(EVENT_TYPES)}."
            )
        model = EVENT_TYPES[entry.kind].model_fields["data"].annotation
        assert model is not None
        try:
            data = model.model_validate(jsonable(entry.data)).model_dump(mode="json")
        except ValueError as error:
            raise BadInput(f"The data of a {entry.kind!r} event cannot be used: {error}") from error
        summary = entry.summary
        if self._masks:
            masks = self._masks()
            # How many of each kind were masked: by its name, {"password": 2} looks like a secret itself.
            counts = {"redactions": data["redactions"]} if entry.kind == "observed" else {}
            summary, data = masks.text(summary), masks.value(data) | counts
        return {
            "actor": self._actor().model_dump(),
            "kind": entry.kind,
            "step": entry.step,
            "summary": summary,
            "data": data,
            "evidence": [ref.model_dump(mode="json") for ref in entry.evidence],
        }

    def _write(
        self, descriptor: int, last: Place, bodies: Sequence[dict[str, Any]]
    ) -> tuple[list[Event], Place]:
        events: list[Event] = []
        lines: list[bytes] = []
        place = last
        for body in bodies:
            raw = {**body, "seq": place.seq + 1, "at": iso(self._clock.now()), "prev": place.hash}
            raw["hash"] = digest(canonical(raw))
            line = canonical(raw) + b"\n"
            place = Place(place.end, place.end + len(line), raw["seq"], raw["hash"])
            lines.append(line)
            events.append(read_event(raw))
        with storage_errors(self.path):
            _write_or_take_back(descriptor, last.end, b"".join(lines))
        return events, place

    # -- the lock

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The journal file, open and locked for this process alone."""
        with storage_errors(self.path):
            descriptor = self._open()
        try:
            self._wait_for_lock(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)  # which also gives the lock back

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            if self._seen:
                raise CorruptRecord(
                    f"{self.path} is gone.",
                    hint="Restore the incident folder from a copy, or open a new incident.",
                ) from None
        descriptor = os.open(self.path, flags | os.O_CREAT, 0o644)
        sync_folder(self.path.parent)
        return descriptor

    def _wait_for_lock(self, descriptor: int, mode: int = fcntl.LOCK_EX) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockHeld(
                        f"Another process is writing to {self.path}{_holder(descriptor)}.",
                        hint="Wait until it is done, or stop it, and try again.",
                    ) from None
            except OSError as error:
                with storage_errors(self.path, "lock"):
                    raise error
            # Short and uneven: a process that appends in a loop lets go for a fraction of a millisecond only, and
            # a waiter that slept longer and longer would never meet it.
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - nothing secret

    # -- what is at the end of the file

    def _look(self, descriptor: int) -> Place:
        """The last whole event. What comes after its end is torn."""
        with storage_errors(self.path, "read"):
            size = os.fstat(descriptor).st_size
            seen = self._seen
            if seen is not None and size < seen.end:
                raise _not_ours(self.path, "it became shorter")
            last = last_line(descriptor, size, self.path)
            if seen is not None and last != seen:
                self._follow(os.pread(descriptor, last.end - seen.start, seen.start), seen)
            return last

    def _follow(self, tail: bytes, seen: Place) -> None:
        """Walks from the event that this process saw last over what other processes appended since."""
        place = None
        for line in tail.split(b"\n")[:-1]:
            raw, reason = read_line(line)
            if place is None:
                good = raw.get("hash") == seen.hash
                place = seen
            else:
                good = raw.get("prev") == place.hash and raw.get("seq") == place.seq + 1
                place = Place(place.end, place.end + len(line) + 1, place.seq + 1, str(raw.get("hash")))
            if reason or not good:
                raise _not_ours(self.path, f"event {place.seq} was changed")
        if place is None:
            raise _not_ours(self.path, f"event {seen.seq} is gone")

    def _mend(self, descriptor: int, last: Place) -> Place:
        """Sets a torn tail aside and notes every torn file that no event mentions yet."""
        with storage_errors(self.path):
            torn = _read_from(descriptor, last.end)
            if torn:
                self._set_aside(torn)
                os.ftruncate(descriptor, last.end)
                sync_file(descriptor)
        if not torn and self._seen is not None:
            return last
        names = self._unmentioned()
        if not names:
            return last
        entry = Entry(
            "noted",
            f"A torn last line of the journal was set aside in {', '.join(names)}: a process died while it wrote, "
            "and what it wrote had not been acknowledged.",
            data={"torn": names},
        )
        return self._write(descriptor, last, [self._body(entry)])[1]

    def _set_aside(self, torn: bytes) -> None:
        n = 1
        while True:
            path = self.path.with_name(f"journal.torn-{n}")
            try:
                return write_atomically(path, torn, replace=False)
            except FileExistsError:
                if path.read_bytes() == torn:  # a crash came between this file and the truncation
                    return None
                n += 1

    def _unmentioned(self) -> list[str]:
        names = {path.name for path in self.path.parent.glob("journal.torn-*")}
        if names:
            names -= {
                name for raw in self._raw() if raw["kind"] == "noted" for name in raw["data"].get("torn", [])
            }
        return sorted(names, key=lambda name: (len(name), name))

    # -- reading

    def events(self, start: int = 0) -> Iterator[Event]:
        """The events from byte ``start`` of the file on (a line's beginning), typed. A torn last line is left
        out.

        Raises
        ------
        CorruptRecord
            When a line is no event. The chain is :meth:`verify`'s affair.
        """
        for _, event in self.events_with_ends(start):
            yield event

    def events_with_ends(self, start: int = 0) -> Iterator[tuple[int, Event]]:
        """As :meth:`events`, with the byte at which each event's line ends."""
        for number, (end, line) in enumerate(self._lines(start), 1):
            try:
                yield end, read_event(json.loads(line))
            except (ValueError, AttributeError) as error:
                where = f"line {number}" + (f" after byte {start}" if start else "")
                raise CorruptRecord(
                    f"{self.path}, {where}, is not an event.",
                    hint=f"Run `vmq verify {self.path.parent.name}`; restore the folder from a copy.",
                ) from error

    def _raw(self) -> Iterator[dict[str, Any]]:
        for _, line in self._lines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def _lines(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        with storage_errors(self.path, "read"), self.path.open("rb") as file:
            file.seek(start)
            end = start
            for line in file:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield end, line[:-1]

    def contains(self, seq: int, sha: str) -> bool:
        """Whether event ``seq`` is there and has that hash."""
        return any(raw.get("seq") == seq and raw.get("hash") == sha for raw in self._raw())

    def torn(self) -> int:
        """How many bytes a torn last line has; 0 when there is none. (While another process appends, its line
        may look torn for a moment.)"""
        with storage_errors(self.path, "read"), self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            return size - last_line(file.fileno(), size, self.path).end

    def verify(self) -> JournalReport:
        """Walks the whole chain. Streams: memory does not grow with the journal.

        Raises
        ------
        StorageError
            When the file cannot be read.
        """
        with storage_errors(self.path, "read"), self.path.open("rb") as file:
            with contextlib.suppress(LockHeld):  # so that nobody is half-way through a line
                self._wait_for_lock(file.fileno(), fcntl.LOCK_SH)
            size = os.fstat(file.fileno()).st_size
            fcntl.flock(file, fcntl.LOCK_UN)
            return verify_lines(file, size)


def _not_ours(path: Path, why: str) -> CorruptRecord:
    return CorruptRecord(
        f"{path} was changed behind this process: {why}.",
        hint=f"Run `vmq verify {path.parent.name}`, and load the incident again.",
    )


def _read_from(descriptor: int, start: int) -> bytes:
    return os.pread(descriptor, max(0, os.fstat(descriptor).st_size - start), start)


def _write_or_take_back(descriptor: int, end: int, payload: bytes) -> None:
    """Writes at ``end`` and syncs, or cuts the file back to ``end``: half a line is never left by a living
    process."""
    try:
        written = 0
        while written < len(payload):
            written += os.pwrite(descriptor, payload[written:], end + written)
        sync_file(descriptor)
    except BaseException:
        os.ftruncate(descriptor, end)
        raise


def _holder(descriptor: int) -> str:
    """`` (process 123: vmq open)`` when the kernel tells who holds the lock (Linux), else nothing."""
    try:
        inode = os.fstat(descriptor).st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
                words = Path(f"/proc/{fields[4]}/cmdline").read_bytes().decode(errors="replace").split("\0")
                return f" (process {fields[4]}: {' '.join(words).strip()[:80]})"
    except (OSError, IndexError):
        pass
    return ""
