"""How a journal's bytes are read: lines, their hashes, the chain, a torn end. No files are opened here.

A line is canonical JSON of one event. Its ``hash`` is the SHA-256 of the canonical JSON without ``hash``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmqlib.errors import CorruptRecord
from vmqlib.record.canonical import digest
from vmqlib.record.events import NO_HASH

__all__ = ["START", "JournalReport", "Place", "last_line", "read_line", "verify_lines"]

_BLOCK = 64 * 1024


@dataclass(frozen=True)
class JournalReport:
    """What :meth:`Journal.verify` found.

    Parameters
    ----------
    ok:
        Whether every line is what it was when it was written.
    events:
        How many events are good, from the first on.
    last_hash:
        The hash of the last good one.
    bad_seq:
        The number of the first event that is not good; ``None`` when all are.
    reason:
        What is wrong with it.
    torn:
        Bytes of a torn last line. The next append sets them aside.
    """

    ok: bool
    events: int
    last_hash: str
    bad_seq: int | None = None
    reason: str = ""
    torn: int = 0


@dataclass(frozen=True)
class Place:
    """A line's place in the file: where it begins and ends, which event it is, and its hash."""

    start: int
    end: int
    seq: int
    hash: str


START = Place(0, 0, 0, NO_HASH)


def verify_lines(lines: Iterable[bytes], size: int) -> JournalReport:
    seq, prev, read = 0, NO_HASH, 0
    for line in lines:
        read += len(line)
        if read > size:  # appended since
            break
        if not line.endswith(b"\n"):
            reason = "the last line is torn: a process died while it wrote, or the file was cut"
            return JournalReport(False, seq, prev, seq + 1, reason, len(line))
        raw, reason = read_line(line[:-1])
        if not reason and raw.get("seq") != seq + 1:
            reason = f"it says that it is event {raw.get('seq')}"
        if not reason and raw.get("prev") != prev:
            reason = "it does not follow the event before it"
        if reason:
            return JournalReport(False, seq, prev, seq + 1, reason)
        seq, prev = seq + 1, raw["hash"]
    return JournalReport(True, seq, prev)


def read_line(line: bytes) -> tuple[dict[str, Any], str]:
    """A line's content and what is wrong with it (``""``: nothing).

    The line is canonical JSON, in which ``hash`` stands before ``kind``: without that member it is exactly
    what was hashed. Cutting it out is several times quicker than writing the JSON again, and no byte escapes
    the check."""
    try:
        raw = json.loads(line.decode())
    except (ValueError, RecursionError):
        return {}, "it is not JSON"
    stored = raw.get("hash") if isinstance(raw, dict) else None
    if not isinstance(stored, str):
        return {}, "it is not an event"
    member = b'"hash":"' + stored.encode("utf-8", "replace") + b'",'
    if digest(line.replace(member, b"", 1)) != stored:
        return raw, "its content does not match its hash"
    return raw, ""


def last_line(descriptor: int, size: int, path: Path) -> Place:
    """The last line that is whole: it ends in a newline and is JSON. What follows it is torn."""
    length = min(size, _BLOCK)
    while True:
        begin = size - length
        lines = os.pread(descriptor, length, begin).split(b"\n")
        end = size - len(lines.pop())
        while len(lines) > (1 if begin else 0):  # the first of a block may be half a line
            line = lines.pop()
            start = end - len(line) - 1
            raw, reason = read_line(line)
            if raw and reason:
                raise CorruptRecord(
                    f"{path}: event {raw.get('seq')} was changed after it was written.",
                    hint=f"Run `vmq verify {path.parent.name}`; restore the folder from a copy before going on.",
                )
            if raw:
                return Place(start, end, int(raw["seq"]), str(raw["hash"]))
            end = start
        if begin == 0:
            break
        length = min(size, length * 4)
    _refuse_garbage(os.pread(descriptor, size, 0), path)
    return START


def _refuse_garbage(content: bytes, path: Path) -> None:
    """A first line that is torn was never acknowledged; whole lines of which none is an event are no
    journal."""
    if b"\n" in content:
        raise CorruptRecord(
            f"{path} is not a journal: none of its lines is an event.",
            hint="Restore the incident folder from a copy, or open a new incident.",
        )
