"""Capturing logs (runbook step 2, ``make logs``): many streams at once, resumable, ordered, no duplicates."""

from __future__ import annotations

import fcntl
import json
import math
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import InvalidRequest
from vmqlib.errors import AwsError, BadInput, Interrupted, LockHeld, StorageError, Throttled, Unreachable
from vmqlib.sources.base import gather
from vmqlib.sources.logevents import Failures
from vmqlib.sources.logmerge import merge
from vmqlib.sources.logpages import EventPages, Page, streams_of
from vmqlib.sources.logquery import (
    Capture,
    CaptureProgress,
    LogPart,
    LogQuery,
    PartResult,
    Span,
    span_of,
    time_of,
)
from vmqlib.sources.logstore import PartStore, Redact, Unit, render
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

__all__ = ["capture"]

_BATCH = 100  # stream names a call (FilterLogEvents)
_LEAST_SLICE_MS = 60_000
_LATE = timedelta(minutes=5)  # how long CloudWatch Logs may take to show an event
_PATIENCE_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_TICK_S = 0.1

Progress = Callable[[CaptureProgress], None]


def capture(
    aws: Aws,
    settings: Settings,
    query: LogQuery,
    out: Path,
    redact: Redact,
    progress: Progress | None = None,
    *,
    workers: int = 8,
    patience_s: Sequence[float] = _PATIENCE_S,
) -> Capture:
    """Reads the logs that ``query`` names into ``out``: one ``<part>.jsonl.gz`` each, and ``summary.json``.

    Lines are ``{"at", "event_id", "stream", "ingested_at", "message"}``, ordered by time. An interruption of any
    kind loses at most the pages under way; the same call goes on where it stopped (``out/.partial``). What could
    be read before AWS refused is written all the same, and the result says that it is not complete.

    Parameters
    ----------
    redact:
        What every message goes through before it touches the disk.
    progress:
        Told how far it is, several times a second, in the calling thread.
    workers:
        Requests at a time.
    patience_s:
        Waits, in seconds, before work that was throttled or got no answer is tried again (after boto3's own
        retries).

    Raises
    ------
    AwsError
        Where nothing at all could be read.
    Interrupted
        On Ctrl-C.
    BadInput
        ``out`` holds an unfinished capture of something else.
    LockHeld
        Another process captures into ``out``.
    StorageError
        ``out`` cannot be written.
    """
    try:
        with _locked(out):
            job = _Job(aws, query, out, redact, max(1, workers), tuple(patience_s))
            return job.run(settings, progress)
    except KeyboardInterrupt as error:
        raise Interrupted(
            "The capture was stopped by hand.",
            hint=f"Nothing that was read is lost ({out / '.partial'}): the same command goes on from there.",
        ) from error
    except OSError as error:
        raise StorageError(
            f"{out} cannot be written: {error.strerror or error}.",
            hint="Free some space or give --out another folder; the same command goes on where it stopped.",
        ) from error


class _Part:
    """One part while it is read."""

    def __init__(self, part: LogPart, folder: Path) -> None:
        self.part = part
        self.store = PartStore(folder)
        self.units: list[Unit] = []
        self.planned = False
        self.problem: AwsError | None = None

    def count(self) -> tuple[int, int, int]:
        """Events read, streams done, streams in all."""
        cursors = [self.store.cursor(unit.number) for unit in self.units]
        done = sum(len(unit.streams) for unit, cursor in zip(self.units, cursors, strict=True) if cursor.done)
        return sum(cursor.events for cursor in cursors), done, sum(len(unit.streams) for unit in self.units)

    @property
    def done(self) -> bool:
        return self.planned and all(self.store.cursor(unit.number).done for unit in self.units)


class _Job:
    """One start of a capture."""

    def __init__(
        self,
        aws: Aws,
        query: LogQuery,
        out: Path,
        redact: Redact,
        workers: int,
        patience_s: tuple[float, ...],
    ) -> None:
        self.aws = aws
        self.query = query
        self.out = out
        self.folder = out / ".partial"
        self.redact = redact
        self.workers = workers
        self.patience_s = patience_s
        self.pages = EventPages(aws)
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.work: queue.SimpleQueue[tuple[_Part, Unit]] = queue.SimpleQueue()
        self.size = 0
        self.latest = 0
        self.crash: BaseException | None = None

    def run(self, settings: Settings, progress: Progress | None) -> Capture:
        known = self._take_up(settings)
        try:
            return self._capture(settings, known, progress)
        except AwsError:
            # Nothing was read, so nothing is left behind that a later start would have to agree with.
            if known is None:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _capture(self, settings: Settings, known: Span | None, progress: Progress | None) -> Capture:
        parts = [_Part(part, self.folder / part.name) for part in self.query.parts]
        gather([partial(self._plan, part, known) for part in parts], workers=self.workers)
        self._save_query(settings)
        _raise_if_nothing(parts)
        self._read(parts, progress)
        _raise_if_nothing(parts)
        failures = Failures()
        results = tuple(self._finish(part, failures) for part in parts)
        problem = next((part.problem for part in parts if part.problem), None)
        found = Capture(self.out, self.query, results, failures.groups(), known is not None, problem)
        _write_json(self.out / "summary.json", found.to_json())
        if all(part.done for part in parts if part.planned):
            shutil.rmtree(self.folder, ignore_errors=True)
        return found

    # what is there already

    def _take_up(self, settings: Settings) -> Span | None:
        """Compares with what an earlier start left, and widens our window to cover its. Its span, if any."""
        path = self.folder / "query.json"
        if not path.exists():
            for entry in self.folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
            self._save_query(settings)
            return None
        known = json.loads(path.read_text(encoding="utf-8"))
        identity = self._identity(settings)
        span = Span(known["since"], known["until"])
        if self.query.continues(known, identity):
            self.query = self.query.covering(span)
            return span
        if self.query.outlived(known, identity):
            # The same words meant another time then. What was read then stays, out of the way.
            self._set_aside(f"unfinished-{time_of(span.since):%Y%m%dT%H%M%SZ}")
            return self._take_up(settings)
        raise BadInput(
            f"{self.out} holds an unfinished capture of something else.",
            hint=f"Give --out another folder, or delete {self.folder}.",
        )

    def _set_aside(self, name: str) -> None:
        """Moves what an earlier start left to a folder beside; the lock stays where it is."""
        aside = self.out / name
        aside.mkdir(exist_ok=True)
        for entry in list(self.folder.iterdir()):
            if entry.name != "lock":
                shutil.move(entry, aside / entry.name)

    def _identity(self, settings: Settings) -> dict[str, Any]:
        return self.query.identity(settings.region, str(self.aws.client("logs").meta.endpoint_url))

    def _save_query(self, settings: Settings) -> None:
        span = span_of(self.query.window)
        identity = self._identity(settings)
        _write_json(self.folder / "query.json", identity | {"since": span.since, "until": span.until})

    def _plan(self, part: _Part, known: Span | None) -> None:
        """Which unit reads what. Units of an earlier start stay; what it did not cover is added."""
        part.units = part.store.load_plan()
        part.store.load_pages()
        whole = span_of(self.query.window)
        missing = _beyond(known, whole) if part.units and known else [whole]
        try:
            for span in missing:
                streams = streams_of(self.aws, part.part.group, part.part.prefixes, span)
                part.units += _units(streams, span, self.workers, first=len(part.units))
        except AwsError as error:
            part.problem = error
            return
        if missing:
            part.store.save_plan(part.units)
        part.planned = True

    # reading

    def _read(self, parts: list[_Part], progress: Progress | None) -> None:
        for part in parts:
            for unit in part.units:
                if part.planned and not part.store.cursor(unit.number).done:
                    self.work.put((part, unit))
        threads = [
            threading.Thread(target=self._worker, name=f"vmq-logs-{number}", daemon=True)
            for number in range(min(self.workers, self.work.qsize()))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_TICK_S)
                    self._tell(parts, progress)
            self._tell(parts, progress)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(2.0)
        if self.crash is not None:
            raise self.crash

    def _tell(self, parts: list[_Part], progress: Progress | None) -> None:
        if progress is None:
            return
        events, done, streams = (
            sum(column) for column in zip(*(part.count() for part in parts), strict=True)
        )
        progress(
            CaptureProgress(events, self.size, done, streams, time_of(self.latest) if self.latest else None)
        )

    def _worker(self) -> None:
        while not self.stop.is_set():
            try:
                part, unit = self.work.get_nowait()
            except queue.Empty:
                return
            if part.problem is not None:
                continue
            try:
                self._unit(part, unit)
            except AwsError as error:
                # What refuses one unit of a part refuses them all: no use in asking a thousand times.
                part.problem = error
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                self.crash = error
                self.stop.set()

    def _unit(self, part: _Part, unit: Unit) -> None:
        """Reads a unit to its end, from wherever it is."""
        tries, read, restarted = 0, 0, False
        while not self.stop.is_set():
            try:
                self._pages(part, unit)
                return
            except (Throttled, Unreachable):
                size = part.store.cursor(unit.number).size
                tries, read = (tries + 1 if size == read else 1), size
                if tries > len(self.patience_s) or self.stop.wait(self.patience_s[tries - 1]):
                    raise
            except InvalidRequest:
                # A token that AWS has forgotten (after 24 hours): from the start, then.
                if restarted or not part.store.cursor(unit.number).token:
                    raise
                part.store.restart(unit.number)
                restarted = True

    def _pages(self, part: _Part, unit: Unit) -> None:
        store, number = part.store, unit.number
        pages = self.pages.pages(
            part.part.group,
            Span(unit.since, unit.until),
            streams=unit.streams,
            pattern=part.part.pattern,
            token=store.cursor(number).token,
        )
        for page in pages:
            if self.stop.is_set():
                return
            lines = self._lines(page, unit, store.cursor(number).events)
            store.append(number, lines, page.token)
            with self.lock:
                self.size += page.size
                self.latest = max(self.latest, int(lines[-1][:15]) if lines else 0)

    def _lines(self, page: Page, unit: Unit, place: int) -> list[str]:
        # A server that ignores the stream names must not make every unit bring everything.
        wanted = set(unit.streams)
        events = [event for event in page.events if event["logStreamName"] in wanted]
        return render(events, unit.number, place, self.redact)

    # the end

    def _finish(self, part: _Part, failures: Failures) -> PartResult:
        streams = len({stream for unit in part.units for stream in unit.streams})
        name, group = part.part.name, part.part.group
        stopped = part.problem.message if part.problem else ""
        if not part.planned:
            return PartResult(name, group, None, streams, 0, 0, None, None, complete=False, stopped=stopped)
        read = part.count()[0]
        path = self.out / f"{name}.jsonl.gz"
        merged = merge(part.store, path, failures if name == "document-report" else None)
        return PartResult(
            name,
            group,
            path,
            streams,
            merged.events,
            read - merged.events,
            None if merged.first is None else time_of(merged.first),
            None if merged.last is None else time_of(merged.last),
            complete=part.done,
            stopped=stopped or ("" if part.done else "not all streams were read"),
            note=self._note(part, streams),
        )

    def _note(self, part: _Part, streams: int) -> str:
        if not streams:
            begins = " or ".join(part.part.prefixes)
            return f"The group has no stream in this window{f' that begins with {begins}' if begins else ''}."
        if self.query.window.until > self.aws.clock.now() - _LATE:
            return f"Events of the minutes before {show_time(self.query.window.until)} may still arrive."
        return ""


def _raise_if_nothing(parts: list[_Part]) -> None:
    """One part that cannot be read is told in the result; when none can, it is an error."""
    if parts and all(part.problem and not part.count()[0] for part in parts):
        raise next(part.problem for part in parts if part.problem)


def _beyond(known: Span, whole: Span) -> list[Span]:
    """What of ``whole`` is before or after ``known``."""
    spans = [Span(whole.since, known.since - 1), Span(known.until + 1, whole.until)]
    return [span for span in spans if span.since <= span.until]


def _units(streams: list[str], span: Span, workers: int, first: int) -> list[Unit]:
    """Shares the streams out: few go one by one and in slices of time, thousands a hundred at a time."""
    size = max(1, min(_BATCH, math.ceil(len(streams) / (4 * workers))))
    batches = [tuple(streams[i : i + size]) for i in range(0, len(streams), size)]
    slices = _slices(span, workers // len(batches) if batches else 1)
    pairs = [(batch, part) for batch in batches for part in slices]
    return [Unit(first + number, batch, part.since, part.until) for number, (batch, part) in enumerate(pairs)]


def _slices(span: Span, wanted: int) -> list[Span]:
    length = span.until - span.since + 1
    number = max(1, min(wanted, length // _LEAST_SLICE_MS))
    edges = [span.since + length * i // number for i in range(number + 1)]
    return [Span(begin, end - 1) for begin, end in pairwise(edges)]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Makes the folder and keeps other captures out of it."""
    folder = out / ".partial"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(
                f"Another capture is writing to {out}.", hint="Wait for it, or give --out another folder."
            ) from None
        yield
