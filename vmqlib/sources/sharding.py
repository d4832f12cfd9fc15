"""One listing, read at several places at the same time, handed out in order.

S3 can only be asked for what comes behind a key, so the listing is cut into ranges of keys
(:mod:`vmqlib.sources.keyranges`), which threads read. That nothing is lost where two meet is checked, not believed:
what one has seen behind its end must be what the next begins with.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Protocol

from vmqlib.errors import AwsError
from vmqlib.sources.keyranges import Look, Range, Ranges
from vmqlib.sources.keyspace import Keyspace
from vmqlib.sources.versionpages import CALL, ObjectVersion, Page

__all__ = ["OtherOrder", "Source", "in_order", "sharded"]

_PATIENCE_S = 0.5  # for threads to end: one that waits for a dead server is left behind


class Source(Protocol):
    """What is listed. Safe to share between threads."""

    prefix: str

    def page(self, key_marker: str, version_marker: str, /, *, stop: threading.Event) -> Page:
        """The page behind these markers."""
        ...

    def folders(self, prefix: str, key_marker: str, /, *, stop: threading.Event) -> list[str]:
        """The first of the prefixes that begin so, go on to the next slash, and come behind that key."""
        ...

    def stuck(self, key: str) -> AwsError:
        """The error of a listing that does not get beyond a key."""
        ...


def in_order(page: Page) -> bool:
    """Whether a page is sorted as S3 sorts: a server that is not cannot be read in ranges."""
    keys = [entry.key for entry in page.entries]
    return keys == sorted(keys)  # by code points: the order of the bytes, for all that is UTF-8


class OtherOrder(AwsError):
    """What was read at several places does not fit together: the server has another order than S3, or somebody writes
    just where two ranges meet. What was handed out before is right."""


def sharded(
    source: Source,
    marker: tuple[str, str],
    known: Keyspace,
    seen: tuple[str, str, str],
    count: int,
    threads: int,
) -> Iterator[list[ObjectVersion]]:
    """The pages behind ``marker``, in order, read by that many threads. Closing the iterator ends them.

    Parameters
    ----------
    source:
        What is listed.
    marker:
        Key and version behind which to go on.
    known:
        What the pages before have taught.
    seen:
        The first key of the listing, and the first and the last of the page before.
    count:
        How many pages there were.
    threads:
        How many read.

    Raises
    ------
    OtherOrder
        What was read does not fit together. All that was handed out does.
    AwsError
        A page could not be read: at its place in the order.
    """
    work = _Work(source, Ranges(marker, seen, count, source.prefix, known, threads))
    crew = [threading.Thread(target=work.run, name=f"listing-{n}", daemon=True) for n in range(threads)]
    try:
        for one in crew:
            one.start()
        yield from work.read()
    finally:
        work.end()
        deadline = time.monotonic() + _PATIENCE_S
        for one in crew:
            if one.ident is not None:
                one.join(max(0.0, deadline - time.monotonic()))


class _Work:
    """What the threads share."""

    def __init__(self, source: Source, ranges: Ranges) -> None:
        self._source = source
        self._ranges = ranges
        self._stop = threading.Event()
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)  # something to hand out
        self._room = threading.Condition(lock)  # something to read
        self._owed: ObjectVersion | None = None  # what the next range has to begin with
        self._over = False  # nothing may come any more

    def end(self) -> None:
        """Lets every thread end after the request that it is at."""
        self._stop.set()
        with self._room:
            self._room.notify_all()

    def read(self) -> Iterator[list[ObjectVersion]]:
        """The pages of the first range, then of the next."""
        while (page := self._handed_out()) is not None:
            yield page

    def _handed_out(self) -> list[ObjectVersion] | None:
        with self._arrived:
            while (front := self._ranges.front) is not None:
                if front.pages:
                    self._check(front.pages[0][0])
                    self._owed = None
                    self._room.notify()
                    return self._ranges.hand_out()
                if front.error is not None:
                    raise front.error
                if front.stuck:
                    raise self._source.stuck(front.marker[0])
                if front.done:
                    if front.beyond is not None:
                        self._check(front.beyond)
                        self._owed = front.beyond
                    self._over = self._over or front.last_of_all
                    self._ranges.drop_front()
                    self._room.notify()
                else:
                    self._arrived.wait()
            self._room.notify_all()
            if self._owed is not None:
                self._check(None)
            return None

    def _check(self, entry: ObjectVersion | None) -> None:
        """That a range begins with what the one before has seen behind its end: then nothing is between them."""
        if self._over or (self._owed is not None and (entry is None or entry[:2] != self._owed[:2])):
            where = entry or self._owed
            raise OtherOrder(
                f"The listing does not fit together at {where.key if where else 'its end'!r}.",
                hint="List with shards=1: one page after the other.",
                operation=CALL,
            )

    def run(self) -> None:
        """What each thread does."""
        while (job := self._found()) is not None:
            if isinstance(job, Look):
                self._look(job)
            else:
                self._read(job)

    def _found(self) -> Range | Look | None:
        """What to do next; ``None`` when there will be nothing more."""
        with self._room:
            while not self._stop.is_set() and not self._ranges.all_read:
                if (job := self._ranges.next()) is not None:
                    self._room.notify()  # perhaps there is something for another, too
                    return job
                self._room.wait()
            self._room.notify_all()
            return None

    def _look(self, look: Look) -> None:
        try:
            folders = self._source.folders(look.prefix, look.after, stop=self._stop)
        except Exception:  # noqa: BLE001 - without them it is guessed where to cut
            folders = []
        with self._room:
            self._ranges.learn(folders)
            self._room.notify()

    def _read(self, mine: Range) -> None:
        page: Page | BaseException
        try:
            page = self._source.page(*mine.marker, stop=self._stop)
        except BaseException as error:  # noqa: BLE001 - it is raised where its place in the order is
            page = error
        with self._arrived:
            mine.reading = False
            if isinstance(page, BaseException):
                mine.error, mine.done = page, True
            else:
                self._ranges.take(mine, page)
            self._arrived.notify()
            self._room.notify()
