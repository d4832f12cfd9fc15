"""Every version and delete marker below a prefix, as a stream: ``s3:ListObjectVersions`` page by page.

boto3's parser takes ten times as long for an entry as everything here together, and hands out versions and delete
markers as two lists: what came first within a second is lost there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from vmqlib.errors import AwsError, Unreachable
from vmqlib.sources.keyranges import Ring
from vmqlib.sources.keyspace import LAST, Keyspace, in_bytes
from vmqlib.sources.sharding import OtherOrder, in_order, sharded
from vmqlib.sources.versionpages import CALL, ObjectVersion, Page, PageReader, folders_of

if TYPE_CHECKING:
    import threading

    from vmqlib.s3 import S3

__all__ = ["ObjectVersion", "list_versions"]

_THREADS = 24
_MISFITS = 3
_KEY, _LATEST, _AT = (ObjectVersion._fields.index(name) for name in ("key", "is_latest", "at"))
_FEW = 50  # entries asked for when only one key is wanted


def list_versions(
    s3: S3,
    prefix: str = "",
    exclude: Sequence[str] = (),
    *,
    keys: Sequence[str] = (),
    shards: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[ObjectVersion]:
    """Streams the entries: keys in S3's order (that of their UTF-8 bytes), each key's newest first.

    S3 lists a key's versions newest first, but dates them in whole seconds only: within a second the current one is
    the newest, then the order of the listing counts. Memory does not grow with the number of keys.

    Parameters
    ----------
    s3:
        The bucket.
    prefix:
        Only keys that begin with it.
    exclude:
        Prefixes that are left out. A long one is jumped over, not read.
    keys:
        Only these keys: one small listing for each.
    shards:
        How many ranges of keys are read at the same time; 1: one page after the other; 0: by itself, one after the
        other until a third page is needed, then 24.
    progress:
        Called with how many entries were read since it was last called.

    Raises
    ------
    AwsError
        The bucket cannot be listed, or its listing does not advance.
    """
    listing = Listing(s3, prefix, tuple(one for one in exclude if one))
    if keys:
        wanted = sorted({key for key in keys if listing.wants(key)}, key=in_bytes)
        pages: Iterator[list[ObjectVersion]] = (page for key in wanted for page in _of_key(listing, key))
    else:
        pages = listing.pages(shards or _THREADS, alone=1 if shards else 2)
    for page in _newest_first(_counted(pages, progress)):
        yield from page


def _of_key(listing: Listing, key: str) -> Iterator[list[ObjectVersion]]:
    own = Listing(listing.s3, key, (), _FEW)
    for page in own.pages():
        found = [entry for entry in page if entry.key == key]
        yield found
        if len(found) < len(page):  # longer keys that begin with it
            return


def _counted(
    pages: Iterator[list[ObjectVersion]], progress: Callable[[int], None] | None
) -> Iterator[list[ObjectVersion]]:
    for page in pages:
        if progress is not None:
            progress(len(page))
        if page:
            yield page


def _newest_first(pages: Iterator[list[ObjectVersion]]) -> Iterator[list[ObjectVersion]]:
    """Pages of whole keys, each key's entries by time, then the current one, then as they were listed."""
    waiting: list[ObjectVersion] = []  # of the last key, which may go on
    for page in pages:
        if waiting and waiting[-1].key == page[-1].key:
            waiting += page
            continue
        page = waiting + page
        end = len(page) - 1
        while end and page[end - 1].key == page[-1].key:
            end -= 1
        waiting = page[end:]
        yield _sorted(page[:end])
    yield _sorted(waiting)


def _sorted(entries: list[ObjectVersion]) -> list[ObjectVersion]:
    """S3 lists them so already, but for ties and odd servers: looking is quicker than sorting."""
    for one, after in pairwise(entries):
        if one.key == after.key and (one.at, one.is_latest) < (after.at, after.is_latest):
            break
    else:
        return entries
    found: list[ObjectVersion] = []
    for _, several in groupby(entries, key=itemgetter(_KEY)):
        # Sorting leaves the listing's own order where time and being current are equal.
        found += sorted(several, key=itemgetter(_AT, _LATEST), reverse=True)
    return found


class Listing:
    """How one listing is asked for.

    Parameters
    ----------
    s3:
        The bucket.
    prefix, exclude:
        As for :func:`list_versions`.
    page_size:
        Entries asked for at a time; 0: as many as S3 gives.
    """

    def __init__(self, s3: S3, prefix: str, exclude: tuple[str, ...], page_size: int = 0) -> None:
        self.s3 = s3
        self.prefix = prefix
        self.exclude = exclude
        self._reader = PageReader()
        self._query = {"versions": "", "encoding-type": "url"}
        if prefix:
            self._query["prefix"] = prefix
        if page_size:
            self._query["max-keys"] = str(page_size)

    def wants(self, key: str) -> bool:
        """Whether a key is within prefix and exclusions."""
        return key.startswith(self.prefix) and not key.startswith(self.exclude)

    def page(
        self, key_marker: str = "", version_marker: str = "", *, stop: threading.Event | None = None
    ) -> Page:
        """The page behind these markers, excluded keys left out of it and jumped over behind it."""
        query = dict(self._query)
        if key_marker:
            query["key-marker"] = key_marker
            if version_marker:
                query["version-id-marker"] = version_marker
        page = self._asked(query, stop)
        if not self.exclude:
            return page
        entries, next_key, next_version = page
        kept = [entry for entry in entries if not entry.key.startswith(self.exclude)]
        inside = next((one for one in self.exclude if next_key and next_key.startswith(one)), None)
        if inside is not None:
            next_key, next_version = inside + LAST, ""
        return Page(kept, next_key, next_version)

    def folders(self, prefix: str, key_marker: str = "", *, stop: threading.Event | None = None) -> list[str]:
        """The first thousand or so of the prefixes that begin so and go on to the next slash, behind a key."""
        query = {**self._query, "delimiter": "/", "prefix": prefix}
        if key_marker:
            query["key-marker"] = key_marker
        found = folders_of(self.s3.ask("GET", operation=CALL, query=query, stop=stop).body)
        return [one for one in found if one > key_marker and self.wants(one)]

    def _asked(self, query: dict[str, str], stop: threading.Event | None) -> Page:
        """One answer, asked for again when it cannot be read."""
        attempt = 1
        while True:
            answer = self.s3.ask("GET", operation=CALL, query=query, stop=stop)
            try:
                return self._reader.read(answer.body)
            except Unreachable:
                if attempt >= self.s3.max_attempts:
                    raise
                self.s3.pause(attempt, stop)
                attempt += 1

    def pages(self, threads: int = 1, *, alone: int = 1) -> Iterator[list[ObjectVersion]]:
        """Page by page; behind the first ``alone`` of them, that many threads read at several places.

        Where these do not fit together it goes on behind what was handed out, one page after the other at first, and
        after the third time to the end.
        """
        asked = ("", "")
        ring = Ring()
        known = Keyspace(self.prefix)
        count = misfits = 0
        origin = ""
        while True:
            page = self.page(*asked)
            yield page.entries
            if page.next_key is None:
                return
            following = page.next_key, page.next_version
            if following == asked or ring.closed(following):
                raise self.stuck(page.next_key)
            asked = following
            count += 1
            if threads > 1 and page.entries:
                known.learn([entry.key for entry in page.entries])
                origin = origin or page.entries[0].key
                threads = threads if in_order(page) else 1
                if threads > 1 and count >= alone:
                    seen = origin, page.entries[0].key, page.entries[-1].key
                    try:
                        for some in sharded(self, asked, known, seen, count, threads):
                            yield some
                            asked = some[-1].key, some[-1].version_id
                        return
                    except OtherOrder:
                        count, misfits, ring, origin = 0, misfits + 1, Ring(), ""
                        threads = threads if misfits < _MISFITS else 1

    def stuck(self, key: str) -> AwsError:
        """The listing goes in a circle."""
        return AwsError(
            f"The listing of bucket {self.s3.bucket} does not get beyond {key!r}.",
            hint="The server answers the same page again: repeat later, and report it with --debug.",
            operation=CALL,
        )
