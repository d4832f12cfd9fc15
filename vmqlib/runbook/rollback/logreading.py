"""Reading an apply log: its lines, where each item stands, and what came of it. Changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from vmqlib.errors import CorruptRecord
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.rollback.outcome import Outcome

__all__ = ["IN_DOUBT", "NUMBER", "STATES", "Head", "Logged", "Reader", "State", "counted", "put", "read"]

State = Literal["none", "in-doubt", "done", "found", "changed", "failed"]
"""Of an item: nothing was asked for it; it was asked and nobody knows what came of it; else its outcome."""

STATES: tuple[State, ...] = get_args(State)
NUMBER = {state: number for number, state in enumerate(STATES)} | {"unsent": 0}
IN_DOUBT = NUMBER["in-doubt"]
_LINE = re.compile(rb'\{"(?:intent":(\d+),"key":|outcome":(\d+),"result":"([a-z]+)")[ -~]*\}')


@dataclass(frozen=True)
class Head:
    """Which plan is applied, where and by whom.

    Parameters
    ----------
    plan:
        The plan's digest.
    incident:
        The incident's id.
    actor:
        Who applies it.
    at:
        When that began, as :func:`vmqlib.times.iso` writes it; the log fills it in.
    """

    plan: str
    incident: str = ""
    actor: str = ""
    at: str = ""


@dataclass
class Logged:
    """An apply log as :func:`read` found it.

    Parameters
    ----------
    path:
        The file.
    head:
        Its first line.
    sha256:
        Of all its whole lines: what :meth:`ApplyLog.digest` gave when it was ended properly.
    torn:
        Bytes after the last whole line: a process was killed while it wrote them, or is writing them now.
    resumed:
        Who continued it, and when.
    """

    path: Path
    head: Head = field(default_factory=lambda: Head(""))
    sha256: str = ""
    torn: int = 0
    resumed: tuple[tuple[str, str], ...] = ()
    _states: bytearray = field(default_factory=bytearray, repr=False)
    _places: array[int] = field(default_factory=lambda: array("q"), repr=False)

    def state(self, number: int) -> State:
        """Where item ``number`` of the plan stands."""
        return STATES[self._states[number]] if number < len(self._states) else "none"

    @property
    def counts(self) -> Mapping[State, int]:
        """How many items stand where (``none`` is left out)."""
        return counted(self._states)

    def outcome(self, number: int) -> Outcome | None:
        """What came of item ``number``; ``None`` when nothing is known of it."""
        if self.state(number) in {"none", "in-doubt"}:
            return None
        with storage_errors(self.path, "read"), self.path.open("rb") as file:
            return self._outcome(file, number)

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        """Every item that has an outcome with it, in the plan's order. Streams.

        Raises
        ------
        CorruptRecord
            When the file is not what was read before.
        """
        with storage_errors(self.path, "read"), self.path.open("rb") as file:
            for number, state in enumerate(self._states):
                if state > IN_DOUBT:
                    yield number, self._outcome(file, number)

    def _outcome(self, file: BinaryIO, number: int) -> Outcome:
        file.seek(self._places[number])
        try:
            raw = json.loads(file.readline())
            if raw.pop("outcome") != number:
                raise ValueError
            return Outcome(**raw)
        except (ValueError, KeyError, TypeError) as error:
            raise _corrupt(self.path, f"the outcome of item {number} is not where it was") from error


def read(path: Path) -> Logged:
    """Reads an apply log, also one that is being written. Changes nothing; a torn end is left out. Takes nine bytes for
    each item of the plan.

    Raises
    ------
    StorageError
        When there is none or it cannot be read.
    CorruptRecord
        When it is no apply log, or a line in it was damaged.
    """
    found = Logged(path)
    with storage_errors(path, "read"), path.open("rb") as file:
        places = found._places
        reader = Reader(file, path, found._states)
        for place, number in reader.outcomes():
            if number >= len(places):
                places.frombytes(bytes(8 * (number + 1 - len(places))))
            places[number] = place
        if reader.head is None:
            raise _corrupt(path, "its first line is missing")
        found.head, found.resumed = reader.head, tuple(reader.resumed)
        found.sha256 = reader.hash.hexdigest()
        found.torn = os.fstat(file.fileno()).st_size - reader.end
    return found


class Reader:
    """Walks over a log once: fills in the items' states, and stops before a torn end."""

    def __init__(self, file: BinaryIO, path: Path, states: bytearray) -> None:
        self.head: Head | None = None
        self.resumed: list[tuple[str, str]] = []
        self.hash = hashlib.sha256()
        self.end = 0
        self._file, self._path, self._states = file, path, states

    def outcomes(self) -> Iterator[tuple[int, int]]:
        """Each outcome's byte and item number, as they come."""
        states = self._states
        for line in self._file:
            if not line.endswith(b"\n"):
                return
            match = _LINE.fullmatch(line, 0, len(line) - 1) if self.head else None
            if match is None:
                if not self._other(line):
                    return
            elif match[1]:
                put(states, int(match[1]), IN_DOUBT)
            else:
                number, state = int(match[2]), NUMBER.get(match[3].decode())
                if state is None:
                    raise _corrupt(self._path, f"an outcome at byte {self.end} is of no known kind")
                put(states, number, state)
                yield self.end, number
            self.hash.update(line)
            self.end += len(line)

    def _other(self, line: bytes) -> bool:
        """Takes in a line that is no item's; whether it is whole. A file system may leave zeros where a write was under
        way when the power went: all of it came after the last fdatasync, so nothing was sent for it."""
        try:
            raw: Any = json.loads(line)
            if self.head is None:
                if raw["apply"] != 1:
                    raise ValueError
                self.head = Head(raw["plan"], raw["incident"], raw["actor"], raw["at"])
            elif "resumed" in raw:
                self.resumed.append((raw["resumed"], raw["at"]))
            elif not isinstance(raw["at"], str) or len(raw) != 1:
                raise ValueError
        except (ValueError, KeyError, TypeError) as error:
            if b"\0" in line:
                return False
            raise _corrupt(self._path, f"the line at byte {self.end} was damaged") from error
        return True


def put(states: bytearray, number: int, state: int) -> None:
    if number >= len(states):
        states.extend(bytes(number + 1 - len(states)))
    states[number] = state


def counted(states: bytearray) -> Mapping[State, int]:
    found = Counter({state: states.count(number) for number, state in enumerate(STATES) if number})
    return +found


def _corrupt(path: Path, why: str) -> CorruptRecord:
    return CorruptRecord(
        f"{path} cannot be relied on: {why}.",
        hint="Move it away and plan again: a new plan starts from what the bucket really holds.",
    )
