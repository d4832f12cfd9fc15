"""Into which ranges of keys a listing is cut, so that several can be read at the same time. No threads, no requests.

Whoever has nothing to read takes the far part of the range that seems to have most left. Where to cut is best known
where keys have folders: S3 names those in one answer. Otherwise it is guessed (:mod:`vmqlib.sources.keyspace`); a wrong
guess costs a request, and the next ones are corrected by it. Only what comes next is cut, and what is read ahead is
bounded, so that memory depends on neither the number of keys nor how they are spread.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque
from typing import NamedTuple

from vmqlib.sources.keyspace import Keyspace, in_bytes, shared
from vmqlib.sources.versionpages import ObjectVersion, Page

__all__ = ["Look", "Range", "Ranges", "Ring"]

_AHEAD = 4  # pages for each thread: what is read before it is asked for
_WORTH = 2.0  # pages that a range must seem to have left to be cut
_MORE = 4.0  # times as much as was read of a folder
_STEP = 8.0  # by which a wrong estimate is corrected
_KEPT = 10_000  # folders and the like that are remembered


class Look(NamedTuple):
    """A question for the folders below a prefix.

    Parameters
    ----------
    prefix:
        What they begin with.
    after:
        The key behind which they come.
    """

    prefix: str
    after: str


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


class Range:
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
        self.stuck = False  # the server answers the same again
        self.error: BaseException | None = None
        self.origin = self.last = ""  # the pages that were read are between these keys …
        self.count = 0  # … and so many
        self.first = ""  # of the last of them
        self.guess = 0.0  # pages, before the first of them
        self.by_folders = False  # it begins with one, and there may be more in it
        self.left: float | None = None  # pages, as far as that was worked out
        self.ring = Ring()


def _folder(one: Range) -> str:
    """The folder that the whole of a range's last page is in; empty: it is in none, or in several."""
    folder = one.last[: one.last.rfind("/") + 1]
    return folder if one.first.startswith(folder) and one.first.rfind("/") < len(folder) else ""


class Ranges:
    """The ranges of a listing, in order. Not safe to share between threads.

    Parameters
    ----------
    marker:
        Key and version behind which the listing goes on.
    seen:
        The first key of the listing, and the first and the last of the page before.
    count:
        How many pages there were.
    prefix:
        What every key begins with.
    known:
        What the pages before have taught.
    readers:
        How many will read at the same time.
    """

    def __init__(
        self,
        marker: tuple[str, str],
        seen: tuple[str, str, str],
        count: int,
        prefix: str,
        known: Keyspace,
        readers: int,
    ) -> None:
        self._known = known
        self._readers = readers
        self._prefix = prefix
        self._read_ahead = 0  # pages
        self._useful = self._wasted = 0  # answers
        # By how much more there seems to be than there is.
        self._stretch: defaultdict[tuple[int, int], float] = defaultdict(lambda: 1.0)
        self._folders: list[str] = []
        self._read_in: Counter[str] = Counter()  # pages, by folder
        self._looks: deque[Look] = deque()
        self._looked: set[str] = set()
        self._looking = 0
        first = Range(marker, None)
        first.origin, first.first, first.last = seen
        first.count = count
        self._ranges = [first]
        self._read_in[_folder(first)] = count
        self._look_around(first)

    @property
    def front(self) -> Range | None:
        """The range whose pages come next; ``None`` when all were handed out."""
        return self._ranges[0] if self._ranges else None

    @property
    def all_read(self) -> bool:
        """Whether there is nothing left to read."""
        return all(one.done for one in self._ranges)

    def hand_out(self) -> list[ObjectVersion]:
        """The next page of the front."""
        self._read_ahead -= 1
        return self._ranges[0].pages.popleft()

    def drop_front(self) -> None:
        """The front was handed out wholly."""
        del self._ranges[0]
        if self._ranges:
            del self._folders[: bisect_left(self._folders, self._ranges[0].origin)]
        for kept in (self._looked, self._read_in, self._stretch):
            if len(kept) > _KEPT:
                kept.clear()

    def next(self) -> Range | Look | None:
        """What to ask for next; ``None``: nothing for now."""
        job = self._next()
        if isinstance(job, Range):
            job.reading = True
        elif job is not None:
            self._looking += 1
        return job

    def learn(self, folders: list[str]) -> None:
        """The answer to a :class:`Look`."""
        self._looking -= 1
        if len(self._folders) < _KEPT:
            self._folders = sorted({*self._folders, *folders})
            for one in self._ranges:
                one.left = None

    def _next(self) -> Range | Look | None:
        """The first range that may be read on; else the far part of the one that seems to have most left.

        Only ranges within the window: what is read ahead, and what seems to come before them, bounds the memory.
        """
        window = _AHEAD * self._readers
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
        if self._looks:
            return self._looks.popleft()
        if best < 0 or self._read_ahead >= window or (self._looking and not self._folders):
            return None
        if self._wasted > self._useful / 2 + self._readers:
            return None
        return self._cut(best, most, window)

    def _left(self, one: Range) -> float:
        """How many pages a range seems to have."""
        if one.done or not one.last:
            return 0.0 if one.done else one.guess
        if one.left is None:
            one.left = self._estimate(one)
        return one.left

    def _estimate(self, one: Range) -> float:
        passed, inside = self._between(one.origin, one.last), self._between(one.last, one.end)
        if inside[1] and (passed[1] or _folder(one)):
            return inside[1] * one.count / max(passed[1], 0.5)
        left = max(
            one.count * self._known.left(one.origin, one.last, one.end),
            self._known.left(one.first, one.last, one.end) / self._stretch[self._level(one)],
        )
        folder = _folder(one)
        if folder and one.end is not None:
            # Of a folder of which so much was read there may be some times as much; that it ends here is as likely.
            left = min(left, _MORE * self._read_in[folder])
        return left

    def _between(self, low: str, end: str | None) -> tuple[int, int]:
        """Where in the known folders those begin that start between two keys, and how many they are."""
        start = bisect_right(self._folders, low)
        return start, (bisect_left(self._folders, end) if end is not None else len(self._folders)) - start

    def _cut(self, number: int, left: float, window: int) -> Range | Look | None:
        one = self._ranges[number]
        share = 0.5 if left <= 2 * window or left == float("inf") else window / left
        # The marker is further where a prefix was jumped over.
        low = max(one.last, one.marker[0], key=in_bytes)
        place, several = self._between(low, one.end)
        start: str | None = None
        if several:
            start = self._folders[place + int(share * several)]
        elif one.last or not one.by_folders:  # of a folder that nobody has read in, nothing can be guessed
            if _folder(one) and one.end is not None:
                share = min(0.5, 0.5 * left / self._known.left(one.first, one.last, one.end))
            start = self._known.between(low, one.end, share)
        if start is None:
            one.whole = True
            return self._next()
        far = Range((start, ""), one.end)
        far.origin = start
        if several:
            far.guess, far.by_folders = left * (1 - share), True
        elif one.end is not None and left != float("inf"):
            far.guess = min(left * (1 - share), _AHEAD)  # guesses upon guesses would cut into nothing
        one.end, one.guess, one.left = start, left * share, None
        self._ranges.insert(number + 1, far)
        return far

    def _look_around(self, one: Range) -> None:
        """Asks for the folders that may begin in a range: those beside and above its last key's own."""
        least = max(shared(one.last, one.end or self._prefix).rfind("/") + 1, len(self._prefix))
        place = one.last.rfind("/")
        while place >= 0:
            place = one.last.rfind("/", 0, place)
            prefix = one.last[: place + 1]
            if len(prefix) < least:
                return
            if prefix not in self._looked and one.first.startswith(prefix):
                self._looked.add(prefix)
                self._looks.append(Look(prefix, one.origin))

    def take(self, mine: Range, page: Page) -> None:
        """Puts away what was read of a range."""
        marker = mine.marker
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
            mine.stuck, mine.done = True, True
        mine.marker = following
        self._useful += bool(entries)
        self._wasted += not entries
        if entries:
            mine.pages.append(entries)
            self._read_ahead += 1
            mine.first, mine.last = entries[0].key, entries[-1].key
            mine.count += 1
            mine.left = None
            self._read_in[_folder(mine)] += 1
            mine.whole = False
            self._known.learn((mine.first, mine.last))
            if not mine.done:
                self._look_around(mine)

    def _correct(self, mine: Range, expected: float, *, nothing: bool) -> None:
        """Keys come in clusters, such as folders: what lies between two of them was taken for more than it is."""
        if nothing and not mine.last:
            before = self._ranges[self._ranges.index(mine) - 1]
            before.left = None
            self._stretch[self._level(before)] *= _STEP
        elif not mine.done and expected < 1:
            level = self._level(mine)
            self._stretch[level] = max(1.0, self._stretch[level] / _STEP)

    @staticmethod
    def _level(one: Range) -> tuple[int, int]:
        """Where the keys of its last page differ, and where what it has left does: folders in folders have a level of
        their own."""
        return len(shared(one.first, one.last)), len(shared(one.last, one.end or ""))
