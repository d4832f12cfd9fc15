"""One listing, read at several places at the same time, handed out in order.

S3 can only be asked for what comes behind a key. The listing is therefore cut into ranges of keys: whoever has nothing
to read takes the far part of the range that seems to have most left (:mod:`vmqlib.sources.keyspace`), so that cuts are
made where they turn out to be needed, in flat buckets as in deep ones. What is read ahead is bounded, and only what
comes next is cut, so that memory depends on neither the number of keys nor how unevenly they are spread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from vmqlib.errors import AwsError
from vmqlib.sources.keyspace import Keyspace, in_bytes
from vmqlib.sources.versionpages import CALL, ObjectVersion, Page

__all__ = ["OtherOrder", "Pages", "Ring", "in_order", "sharded"]

_AHEAD = 4  # pages for each thread: what is read before it is asked for
_WORTH = 2.0  # pages that a range must seem to have left to be cut
_STEP = 8.0  # by which a wrong estimate is corrected
_PATIENCE_S = 2.0  # for threads to end: one that waits for a dead server is left behind


class Pages(Protocol):
    """Asks for one page behind these markers."""

    def __call__(self, key_marker: str, version_marker: str, /, *, stop: threading.Event) -> Page: ...


class Ring:
    """Notices a listing that comes back to where it was, without keeping every marker."""

    def __init__(self) -> None:
        self._saved: tuple[str, str] | None = None
        self._count = self._until = 1

    def closed(self, marker: tuple[str, str]) -> bool:
        """Whether this marker was there before; asked for each once."""
        if marker == self._saved:
            return True
        if self._count == self._until:
            self._saved, self._until = marker, 2 * self._until
        self._count += 1
        return False


def in_order(page: Page) -> bool:
    """Whether a page is sorted as S3 sorts: a server that is not cannot be read in ranges."""
    keys = [entry.key for entry in page.entries]
    return keys == sorted(keys)  # by code points: the order of the bytes, for all that is UTF-8


class OtherOrder(AwsError):
    """What was read at several places does not fit together: the server has another order than S3, or somebody writes
    just where two ranges meet. What was handed out before is right."""


class _Range:
    """The keys behind a marker, up to ``end`` (included; ``None``: all), and what was read of them."""

    def __init__(self, marker: tuple[str, str], end: str | None) -> None:
        self.marker = marker
        self.end = end
        self.pages: deque[list[ObjectVersion]] = deque()
        self.reading = False
        self.done = False
        self.whole = False  # cannot be cut further
        self.beyond: ObjectVersion | None = None  # what was seen behind its end
        self.last_of_all = False  # the listing ended here
        self.error: BaseException | None = None
        self.first = self.last = ""  # keys of the last page
        self.guess = 0.0  # pages, before the first of them
        self.stretch = 1.0  # by how much more there seems to be than there is
        self.ring = Ring()


def sharded(
    pages: Pages,
    marker: tuple[str, str],
    known: Keyspace,
    seen: tuple[str, str],
    threads: int,
    stuck: Callable[[str], Exception],
) -> Iterator[list[ObjectVersion]]:
    """The pages behind ``marker``, in order, read by that many threads. Closing the iterator ends them.

    Parameters
    ----------
    pages:
        Asks for one page; thread-safe.
    marker:
        Key and version behind which to go on.
    known:
        What the pages before have taught.
    seen:
        First and last key of the page before.
    stuck:
        Makes the error for a listing that does not get beyond a key.
    """
    work = _Work(pages, marker, known, seen, threads, stuck)
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

    def __init__(
        self,
        pages: Pages,
        marker: tuple[str, str],
        known: Keyspace,
        seen: tuple[str, str],
        threads: int,
        stuck: Callable[[str], Exception],
    ) -> None:
        self._pages = pages
        self._known = known
        self._threads = threads
        self._stuck = stuck
        self._stop = threading.Event()
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)  # something to hand out
        self._room = threading.Condition(lock)  # something to read
        self._read_ahead = 0  # pages
        self._owed: ObjectVersion | None = None  # what the next range has to begin with
        self._over = False  # nothing may come any more
        self._useful = self._wasted = 0  # answers
        first = _Range(marker, None)
        first.first, first.last = seen
        self._ranges = [first]

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
            while self._ranges:
                front = self._ranges[0]
                if front.pages:
                    page = front.pages.popleft()
                    self._fits(page[0])
                    self._owed = None
                    self._read_ahead -= 1
                    self._room.notify()
                    return page
                if front.error is not None:
                    raise front.error
                if front.done:
                    if front.beyond is not None:
                        self._fits(front.beyond)
                        self._owed = front.beyond
                    self._over = self._over or front.last_of_all
                    del self._ranges[0]
                    self._room.notify()
                else:
                    self._arrived.wait()
            self._room.notify_all()
            if self._owed is not None:
                self._fits(None)
            return None

    def _fits(self, entry: ObjectVersion | None) -> None:
        """Whether a range begins with what the one before saw behind its end: then nothing is lost between them."""
        if self._over or (self._owed is not None and (entry is None or entry[:2] != self._owed[:2])):
            raise OtherOrder(
                f"The listing does not fit together at {(entry or self._owed or ('its end',))[0]!r}.",
                hint="List with shards=1: one page after the other.",
                operation=CALL,
            )

    def run(self) -> None:
        """What each thread does."""
        while (mine := self._found()) is not None:
            marker = mine.marker
            try:
                page = self._pages(*marker, stop=self._stop)
            except BaseException as raised:  # noqa: BLE001 - it is raised where its place in the order is
                error: BaseException | None = raised
            else:
                error = None
            with self._arrived:
                mine.reading = False
                if error is None:
                    self._take(mine, marker, page)
                else:
                    mine.error, mine.done = error, True
                self._arrived.notify()
                self._room.notify()

    def _found(self) -> _Range | None:
        """What to read next; ``None`` when there will be nothing more."""
        with self._room:
            while not self._stop.is_set() and not all(one.done for one in self._ranges):
                mine = self._next()
                if mine is not None:
                    mine.reading = True
                    self._room.notify()  # perhaps there is something for another, too
                    return mine
                self._room.wait()
            self._room.notify_all()
            return None

    def _next(self) -> _Range | None:
        """The first range that may be read on; else the far part of the one that seems to have most left.

        Only ranges within the window: what is read ahead, and what seems to come before them, bounds the memory.
        """
        window = _AHEAD * self._threads
        best, most, before = -1, _WORTH, 0.0
        for number, one in enumerate(self._ranges):
            if before >= window or (self._read_ahead >= 2 * window and number > 0):
                break
            if not one.done and not one.reading and (self._read_ahead < window or not one.pages):
                return one
            left = self._left(one)
            if left > most and not one.whole:
                best, most = number, left
            before += left + len(one.pages)
        if best < 0 or self._read_ahead >= window or self._wasted > self._useful / 2 + self._threads:
            return None
        return self._cut(best, most, window)

    def _left(self, one: _Range) -> float:
        """How many pages a range seems to have."""
        if one.done:
            return 0.0
        return self._known.left(one.first, one.last, one.end) / one.stretch if one.last else one.guess

    def _cut(self, number: int, left: float, window: int) -> _Range | None:
        one = self._ranges[number]
        share = 0.5 if left <= 2 * window or left == float("inf") else window / left
        low = max(
            one.last, one.marker[0], key=in_bytes
        )  # the marker is further where a prefix was jumped over
        start = self._known.between(low, one.end, share)
        if start is None:
            one.whole = True
            return self._next()
        far = _Range((start, ""), one.end)
        far.stretch = one.stretch
        if one.end is not None and left != float("inf"):
            far.guess = min(left * (1 - share), _AHEAD)  # guesses upon guesses would cut into nothing
        one.end, one.guess = start, left * share
        self._ranges.insert(number + 1, far)
        return far

    def _take(self, mine: _Range, marker: tuple[str, str], page: Page) -> None:
        """Puts away what was read."""
        expected = self._left(mine) if mine.last else _WORTH
        entries, following = page.entries, (page.next_key or "", page.next_version)
        mine.done = mine.last_of_all = page.next_key is None
        if mine.end is not None:
            inside = next((n for n, entry in enumerate(entries) if entry.key > mine.end), len(entries))
            if inside < len(entries):
                mine.beyond = entries[inside]
                mine.done, mine.last_of_all = True, False
                entries = entries[:inside]
            self._correct(mine, expected, nothing=mine.done and not entries)
        if not mine.done and (following == marker or mine.ring.closed(following)):
            mine.error, mine.done = self._stuck(following[0]), True
        mine.marker = following
        self._useful += bool(entries)
        self._wasted += not entries
        if entries:
            mine.pages.append(entries)
            self._read_ahead += 1
            mine.first, mine.last = entries[0].key, entries[-1].key
            mine.whole = False
            self._known.learn((mine.first, mine.last))

    def _correct(self, mine: _Range, expected: float, *, nothing: bool) -> None:
        """Keys come in clusters, such as folders: what lies between two of them was taken for more than it is."""
        if nothing and not mine.last:
            before = self._ranges[self._ranges.index(mine) - 1]
            before.stretch *= _STEP
        elif not mine.done and expected < 1:
            mine.stretch = max(1.0, mine.stretch / _STEP)
