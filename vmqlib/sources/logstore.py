"""What a log capture has read so far, on disk: parts that survive any interruption, and their merge.

A part's folder holds ``plan.json`` (which streams are read by which unit), a spill file for each unit, and
``pages.jsonl``, which has a line for each page that is safely in a spill file, with the token of the next. A line
of a spill file is a sort key of fixed width, then the event's final JSON: merging moves bytes and parses nothing.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

__all__ = ["KEY", "PartStore", "Unit", "render"]

# Sort key: milliseconds (15 digits), unit (6), place within the unit (9). Then `{"at":"…","event_id":"<id>"`.
KEY = 30
_TIME = 15
_ID = KEY + len('{"at":"2026-11-23T10:00:00.000000Z","event_id":"')
_BLOCK = 1 << 18
_BUFFERS = 48 << 20  # bytes of all runs' buffers together while merging

Redact = Callable[[str], str]


@dataclass(frozen=True)
class Unit:
    """What one worker reads at a time.

    Parameters
    ----------
    number:
        Its number within the part.
    streams:
        At most 100 stream names.
    since, until:
        Milliseconds since 1970, both included.
    """

    number: int
    streams: tuple[str, ...]
    since: int
    until: int


@dataclass
class Cursor:
    """How far a unit is.

    Parameters
    ----------
    token:
        Of the next page.
    size:
        Bytes of its spill file that count.
    events:
        Events in it.
    done:
        Whether the last page was read.
    """

    token: str = ""
    size: int = 0
    events: int = 0
    done: bool = False
    pages: list[tuple[int, int, str, str]] = field(default_factory=list)


def render(events: Iterable[Mapping[str, Any]], unit: int, place: int, redact: Redact) -> list[str]:
    """Events as sorted spill lines.

    Parameters
    ----------
    events:
        As ``FilterLogEvents`` sends them.
    unit, place:
        The unit's number, and how many of its events came before.
    redact:
        What every message goes through.
    """
    lines = []
    mark = f"{unit:06d}"
    second = came = -1
    at = ingested = ""
    # Neighbours mostly share the second: its text is made once for all of them.
    for number, event in enumerate(events, place):
        ms = int(event["timestamp"])
        if ms // 1000 != second:
            second = ms // 1000
            at = _second(second)
        came_ms = int(event.get("ingestionTime") or ms)
        if came_ms // 1000 != came:
            came = came_ms // 1000
            ingested = _second(came)
        lines.append(
            f'{ms:015d}{mark}{number:09d}{{"at":"{at}.{ms % 1000:03d}000Z","event_id":{_quoted(event["eventId"])},'
            f'"stream":{_stream(event["logStreamName"])},"ingested_at":"{ingested}.{came_ms % 1000:03d}000Z",'
            f'"message":{_quoted(redact(event["message"]))}}}\n'
        )
    lines.sort()
    return lines


_quoted = encode_basestring


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


@lru_cache(65_536)
def _stream(name: str) -> str:
    return str(_quoted(name))


class PartStore:
    """One part's folder. Units may be written by several threads, each unit by one at a time.

    Parameters
    ----------
    folder:
        Where it lives; made when there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._cursors: dict[int, Cursor] = {}
        folder.mkdir(parents=True, exist_ok=True)

    # plan

    def load_plan(self) -> list[Unit]:
        """The units of an earlier start; empty where there is none."""
        path = self.folder / "plan.json"
        if not path.exists():
            return []
        units = json.loads(path.read_text(encoding="utf-8"))
        return [Unit(one["number"], tuple(one["streams"]), one["since"], one["until"]) for one in units]

    def save_plan(self, units: Sequence[Unit]) -> None:
        """Writes the units down, all or nothing."""
        path = self.folder / "plan.json.new"
        path.write_text(json.dumps([asdict(unit) for unit in units]), encoding="utf-8")
        path.replace(self.folder / "plan.json")

    # pages

    def load_pages(self) -> None:
        """Takes up where an earlier start stopped. What was cut short is dropped, and read again."""
        path = self.folder / "pages.jsonl"
        whole = 0
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    self._note(json.loads(line))
            with path.open("r+b") as file:
                file.truncate(whole)
        for number, cursor in self._cursors.items():
            spill = self._spill(number)
            if spill.exists():
                with spill.open("r+b") as file:
                    file.truncate(cursor.size)

    def cursor(self, unit: int) -> Cursor:
        """How far that unit is."""
        with self._lock:
            return self._cursors.setdefault(unit, Cursor())

    def append(self, unit: int, lines: list[str], token: str) -> None:
        """Keeps one page: first the events, then the note that they are there."""
        cursor = self.cursor(unit)
        data = "".join(lines).encode("utf-8", "backslashreplace")
        if data:
            with self._spill(unit).open("ab") as file:
                # After a failed write there may be more in the file than counts.
                file.truncate(cursor.size)
                file.seek(cursor.size)
                file.write(data)
        note = {
            "unit": unit,
            "size": cursor.size + len(data),
            "events": cursor.events + len(lines),
            "token": token,
            "first": lines[0][:KEY] if lines else "",
            "last": lines[-1][:KEY] if lines else "",
        }
        with self._lock:
            with (self.folder / "pages.jsonl").open("a", encoding="utf-8") as file_:
                file_.write(json.dumps(note) + "\n")
            self._note(note)

    def restart(self, unit: int) -> None:
        """Forgets what that unit read: its token is no longer known to AWS."""
        with self._lock:
            note = {"unit": unit, "restart": True}
            with (self.folder / "pages.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")
            self._note(note)

    def _note(self, note: Mapping[str, Any]) -> None:
        if note.get("restart"):
            self._cursors[note["unit"]] = Cursor()
            return
        cursor = self._cursors.setdefault(note["unit"], Cursor())
        if note["first"]:
            cursor.pages.append((cursor.size, note["size"], note["first"], note["last"]))
        cursor.size, cursor.events = note["size"], note["events"]
        cursor.token, cursor.done = note["token"], not note["token"]

    def _spill(self, unit: int) -> Path:
        return self.folder / f"unit-{unit:06d}.spill"

    # merge

    def merged(self) -> Iterator[list[bytes]]:
        """All events in order of time, without duplicates, in blocks of spill lines. Memory stays flat.

        Two events are the same when time and event id are. Events of one millisecond stay in the order in
        which they came.
        """
        runs = [run for number, cursor in sorted(self._cursors.items()) for run in self._runs(number, cursor)]
        block = max(1 << 13, min(_BLOCK, _BUFFERS // max(1, len(runs))))
        seen: set[bytes] = set()
        moment = b""
        for lines in _merge([run.blocks(block) for run in runs]):
            kept = []
            for line in lines:
                if line[:_TIME] != moment:
                    moment = line[:_TIME]
                    seen.clear()
                identity = line[_ID : line.index(b'"', _ID)]
                if identity not in seen:
                    seen.add(identity)
                    kept.append(line)
            if kept:
                yield kept

    def _runs(self, number: int, cursor: Cursor) -> Iterator[_Run]:
        """Stretches of the unit's spill file that are in order: pages that follow one another."""
        path = self._spill(number)
        start, end, newest = 0, 0, ""
        for begin, stop, first, last in cursor.pages:
            if first < newest:
                yield _Run(path, start, end)
                start = begin
            end, newest = stop, last
        if end > start:
            yield _Run(path, start, end)


@dataclass(frozen=True)
class _Run:
    path: Path
    start: int
    end: int

    def blocks(self, size: int) -> Iterator[list[bytes]]:
        """Its lines, about ``size`` bytes at a time. No file stays open between two blocks."""
        place, rest = self.start, b""
        while place < self.end:
            with self.path.open("rb") as file:
                file.seek(place)
                data = file.read(min(size, self.end - place))
            if not data:
                raise OSError(f"{self.path} is shorter than what was written to it")
            place += len(data)
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield lines


def _merge(runs: list[Iterator[list[bytes]]]) -> Iterator[list[bytes]]:
    """Merges sorted runs block by block: what is surely next in all of them is sorted at once."""
    buffers: dict[int, list[bytes]] = {}
    waiting = dict(enumerate(runs))
    while waiting or buffers:
        for number in [number for number in waiting if number not in buffers]:
            lines = next(waiting[number], None)
            if lines is None:
                del waiting[number]
            else:
                buffers[number] = lines
        if not buffers:
            return
        # Nothing up to the smallest of the last lines can still be on disk.
        bound = min((buffers[number][-1] for number in waiting), default=None)
        out: list[bytes] = []
        for number in list(buffers):
            lines = buffers[number]
            cut = len(lines) if bound is None else bisect_right(lines, bound)
            out += lines[:cut]
            if cut == len(lines):
                del buffers[number]
            else:
                del lines[:cut]
        out.sort()
        yield out
