"""A listing is the same whether it is read page by page or at many places at once, whatever the keys and the faults."""

from __future__ import annotations

import gc
import random
import threading
import tracemalloc
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.stub_versions import Entry, VersionServer, by_thirty, rendered

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, ResourceMissing, Unreachable
from vmqlib.s3 import S3, Answer
from vmqlib.settings import Settings
from vmqlib.sources.keyspace import Keyspace, in_bytes
from vmqlib.sources.sharding import sharded
from vmqlib.sources.versionlisting import Listing, list_versions
from vmqlib.sources.versionpages import ObjectVersion, Page


@pytest.fixture(scope="module")
def aws() -> Aws:
    """One session for all: boto3 takes a quarter of a second to read what S3 is."""
    return Aws(Settings.load(region="eu-west-1"), max_attempts=3)


Serve = Callable[..., Any]


@pytest.fixture
def serve(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """``with serve(entries, page=…, spoil=…) as (server, s3)``."""
    monkeypatch.setattr(S3, "pause", staticmethod(lambda attempt, stop=None: None))

    @contextmanager
    def start(entries: list[Entry], **how: Any) -> Iterator[tuple[VersionServer, S3]]:
        with VersionServer(entries, **how) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
            with S3(aws, "bucket") as s3:
                yield server, s3

    return start


def entry(
    key: str, version: str = "v", *, latest: bool = True, marker: bool = False, second: int = 0
) -> Entry:
    return key, version, latest, marker, f"2026-11-23T10:00:{second:02d}.000Z"


def brief(rows: Iterator[ObjectVersion]) -> list[tuple[str, str]]:
    return [(row.key, row.version_id) for row in rows]


def expected(entries: list[Entry]) -> list[tuple[str, str]]:
    return [one[:2] for one in entries]


# Order, scope, pages


def test_rows_are_what_was_listed(serve: Serve) -> None:
    with serve([entry("a b", "v2", marker=True, second=5), entry("a b", "null", latest=False)]) as (_, s3):
        found = list(list_versions(s3))
    assert found == [
        ObjectVersion("a b", "v2", True, True, "2026-11-23T10:00:05.000000Z"),
        ObjectVersion(
            "a b", "null", False, False, "2026-11-23T10:00:00.000000Z", 2048, "null", "STANDARD", "CRC64NVME"
        ),
    ]


def test_within_a_second_the_current_one_is_newest_then_the_listing_counts(serve: Serve) -> None:
    listed = [
        entry("k", "v2", latest=False, second=5),
        entry("k", "v1", latest=False, second=5),
        entry("k", "old", latest=False, second=4),
        entry("k", "newer", latest=False, second=6),
        entry("k", "marker", marker=True, second=5),
    ]
    for page in (1, 2, 9):
        with serve(listed, page=page) as (_, s3):
            found = [version for _, version in brief(list_versions(s3))]
        assert found == ["newer", "marker", "v2", "v1", "old"]


def test_pages_of_markers_alone(serve: Serve) -> None:
    markers = [entry(f"{n:03d}", f"m{n}", marker=True) for n in range(40)]
    with serve(markers, page=7) as (_, s3):
        assert brief(list_versions(s3)) == expected(markers)


@pytest.mark.parametrize("shards", [0, 1, 4])
def test_prefix_and_exclusions(serve: Serve, shards: int) -> None:
    keys = [f"{top}/{n:03d}" for top in ("a", "audit", "b", "ci", "d") for n in range(60)]
    listed = [entry(key, f"v-{key}") for key in keys]
    with serve(listed, page=10) as (server, s3):
        found = brief(list_versions(s3, exclude=("audit/", "ci/", ""), shards=shards))
        assert found == [(key, f"v-{key}") for key in keys if not key.startswith(("audit/", "ci/"))]
        asked = len(server.asked)
        assert brief(list_versions(s3, "ci/", shards=shards)) == [
            (key, f"v-{key}") for key in keys if key.startswith("ci/")
        ]
        assert list(list_versions(s3, "ci/", exclude=("c",), shards=shards)) == []
        assert all(one["prefix"] == "ci/" for one in server.asked[asked:])
    if shards == 1:
        assert asked == 20, "two of the excluded pages, and no more, are seen on the way"


def test_small_buckets_cost_no_more_requests(serve: Serve) -> None:
    for count, asked in ((0, 1), (9, 1), (10, 1), (11, 2), (20, 2)):
        with serve([entry(f"{n:03d}") for n in range(count)], page=10) as (server, s3):
            assert len(list(list_versions(s3))) == count
            assert len(server.asked) == asked


def test_only_some_keys(serve: Serve) -> None:
    listed = [entry(f"k{n:04d}", f"v{v}", latest=v == 2, second=v) for n in range(300) for v in (2, 1)]
    listed += [entry("k0007x", "x")]
    listed.sort(key=lambda one: one[0])
    with serve(listed) as (server, s3):
        found = brief(list_versions(s3, keys=["k0200", "k0007", "gone", "k0007"]))
        assert found == [("k0007", "v2"), ("k0007", "v1"), ("k0200", "v2"), ("k0200", "v1")]
        assert len(server.asked) == 3
        assert {one["max-keys"] for one in server.asked} == {"50"}
        assert list(list_versions(s3, "other/", keys=["k0007"])) == []
        assert list(list_versions(s3, exclude=["k0"], keys=["k0007"])) == []
        assert len(server.asked) == 3


def test_a_key_of_many_versions_alone(serve: Serve) -> None:
    versions = [entry("k", f"v{n:03d}", latest=n == 0, second=0) for n in range(130)]
    with serve([*versions, entry("k2")]) as (_, s3):
        assert brief(list_versions(s3, keys=["k"])) == expected(versions)


def test_progress_counts_what_was_read(serve: Serve) -> None:
    seen: list[int] = []
    with serve([entry(f"{n:03d}") for n in range(95)], page=10) as (_, s3):
        assert len(list(list_versions(s3, progress=seen.append))) == 95
    assert sum(seen) == 95


# Many places at once


alphabets = st.sampled_from(
    [
        "ab",
        "01/",
        "0123456789abcdef",
        "aé😀𝄞\x01\U0010ffff\ud7ff\ue000",
        "a b+%&<",
        "docs/-.md19",
        "日月火水木金土",
    ]
)
key_sets = alphabets.flatmap(lambda letters: st.sets(st.text(letters, min_size=1, max_size=8), max_size=60))


@examples(max_examples=120)
@given(
    keys=key_sets,
    versions=st.integers(1, 4),
    size=st.integers(1, 5),
    threads=st.integers(2, 6),
    excluded=st.booleans(),
)
def test_what_is_read_at_many_places_is_what_is_read_page_by_page(
    keys: set[str], versions: int, size: int, threads: int, excluded: bool
) -> None:
    ordered = sorted(keys, key=in_bytes)
    rows = [
        ObjectVersion(key, f"v{number}", number == 0, False, "t")
        for key in ordered
        for number in range(1 + len(key) % versions)
    ]
    places = [(in_bytes(row.key), -int(row.version_id[1:])) for row in rows]
    out = ordered[0][:1] if excluded and ordered else "none"
    places = [(key, -number) for key, number in places]

    class Synthetic:
        prefix = ""
        stuck = AssertionError

        def page(self, key: str, version: str, /, *, stop: object = None) -> Page:
            after = (in_bytes(key), int(version[1:]) if version else 99)
            start = bisect_right(places, after) if key else 0
            here = rows[start : start + size]
            kept = [row for row in here if not row.key.startswith(out)]
            if start + size >= len(rows):
                return Page(kept, None, "")
            return Page(kept, here[-1].key, here[-1].version_id)

        def folders(self, prefix: str, after: str, /, *, stop: object = None) -> list[str]:
            behind = [key for key in ordered if key.startswith(prefix) and in_bytes(key) > in_bytes(after)]
            cut = {key[: key.find("/", len(prefix)) + 1] for key in behind if "/" in key[len(prefix) :]}
            return sorted(one for one in cut if one > after)[:3]

    first = Synthetic().page("", "")
    if first.next_key is None or not first.entries:
        return
    known = Keyspace()
    known.learn([row.key for row in first.entries])
    seen = first.entries[0].key, first.entries[-1].key
    rest = sharded(Synthetic(), (first.next_key, first.next_version), known, (seen[0], *seen), 1, threads)
    found = [*first.entries, *(row for several in rest for row in several)]
    assert found == [row for row in rows if not row.key.startswith(out)]


@pytest.mark.parametrize("shape", ["numbers", "folders", "digests", "one letter", "words", "one key"])
@pytest.mark.parametrize("shards", [0, 3, 16])
def test_shapes_of_buckets_over_http(serve: Serve, shape: str, shards: int) -> None:
    chance = random.Random(f"{shape}, always the same")
    keys = {
        "numbers": [f"doc-{n:05d}" for n in range(700)],
        "folders": [f"{a}/{b}/{c}.md" for a in "abc" for b in range(12) for c in range(20)],
        "digests": [f"{chance.getrandbits(64):016x}" for _ in range(700)],
        "one letter": ["x" * n for n in range(1, 700)],
        "words": [
            "/".join(chance.choice(["é", "a b", "😀", "plan", "文"]) for _ in range(5)) for _ in range(700)
        ],
        "one key": ["only"],
    }[shape]
    several = 300 if shape == "one key" else 2
    listed = [
        entry(key, f"{key}-{n}", latest=n == 0, second=50 - min(n, 50))
        for key in sorted(set(keys), key=in_bytes)
        for n in range(several)
    ]
    with serve(listed, page=20) as (server, s3):
        assert brief(list_versions(s3, shards=shards)) == expected(listed)
        assert len(server.asked) < 4 * len(listed) / 20


def test_many_answers_are_waited_for_at_once(serve: Serve) -> None:
    """Counted, not timed: requests stand in the server until twelve of them are there."""
    listed = by_thirty(6000)
    met, lock, standing, vain = threading.Event(), threading.Lock(), 0, 0

    def wait(number: int, answer: bytes) -> bytes:
        nonlocal standing, vain
        with lock:
            standing += 1
            if standing == 12:
                met.set()
            # A listing begins with few, and on a slow machine the others take long to come.
            patience = 0.1 + 0.03 * vain
        if not met.wait(patience):
            vain += 1
        with lock:
            standing -= 1
        return answer

    with serve(listed, page=50, spoil=wait) as (_, s3):
        assert brief(list_versions(s3)) == expected(listed)
    assert met.is_set()


def test_a_server_that_sorts_otherwise_is_read_page_by_page(serve: Serve) -> None:
    keys = [f"{n:03d}" for n in range(100)]
    random.Random(3).shuffle(keys)

    pages: list[Page] = []
    for start in range(0, 100, 10):
        here = [
            ObjectVersion(key, "v", True, False, "2026-11-23T10:00:00.000000Z")
            for key in keys[start : start + 10]
        ]
        pages.append(Page(here, here[-1].key if start < 90 else None, "v"))
    with serve([]) as (_, s3):
        listing = Listing(s3, "", ())
        by_marker = {
            "": pages[0],
            **{page.next_key: after for page, after in pairwise(pages)},
        }
        listing.page = lambda key="", version="", *, stop=None: by_marker[key]  # type: ignore[method-assign]
        assert [row.key for page in listing.pages(16) for row in page] == keys


# Faults


def faulty(faults: dict[int, bytes | Callable[[bytes], bytes]]) -> Callable[[int, bytes], bytes]:
    def spoil(number: int, answer: bytes) -> bytes:
        fault = faults.get(number)
        return answer if fault is None else fault(answer) if callable(fault) else fault

    return spoil


def said(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


FAULTS: dict[str, bytes | Callable[[bytes], bytes]] = {
    "SlowDown": said(503, "<Error><Code>SlowDown</Code></Error>"),
    "InternalError": said(500, "<Error><Code>InternalError</Code></Error>"),
    "error in a 200": said(200, "<Error><Code>InternalError</Code></Error>"),
    "closed": b"",
    "cut short": lambda answer: answer[:-100],
    "cut short, but said so": lambda answer: said(200, answer.partition(b"\r\n\r\n")[2][:-100].decode()),
    "a page of a proxy": said(200, "<html><body>Sign in</body></html>"),
    "a bad gateway": said(502, "<html>Bad gateway</html>"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("shards", [0, 1])
def test_a_page_that_fails_is_asked_for_again(serve: Serve, fault: str, shards: int) -> None:
    listed = [entry(f"{n:04d}", f"v{n}") for n in range(200)]
    faults = dict.fromkeys((1, 3, 4, 9), FAULTS[fault])

    with serve(listed, page=10, spoil=faulty(faults)) as (_, s3):
        assert brief(list_versions(s3, shards=shards)) == expected(listed)


@pytest.mark.parametrize("shards", [0, 1])
def test_a_page_that_keeps_failing_ends_the_listing_at_its_place(serve: Serve, shards: int) -> None:
    listed = [entry(f"{n:04d}", f"v{n}") for n in range(200)]

    def spoil(number: int, answer: bytes) -> bytes:
        return said(200, "<html/>") if b"<Key>0150</Key>" in answer else answer

    found: list[str] = []

    def read(s3: S3) -> None:
        for row in list_versions(s3, shards=shards):
            found.append(row.key)  # noqa: PERF401 - what came before the error counts

    with serve(listed, page=10, spoil=spoil) as (_, s3), pytest.raises(Unreachable, match="cannot be read"):
        read(s3)
    assert found == [f"{n:04d}" for n in range(len(found))]
    assert len(found) <= 150
    assert not ours()


def test_a_bucket_that_is_gone(serve: Serve) -> None:
    gone = said(404, "<Error><Code>NoSuchBucket</Code><Message>No.</Message></Error>")
    with serve([], spoil=lambda number, answer: gone) as (server, s3):
        with pytest.raises(ResourceMissing, match="Bucket bucket does not exist"):
            list(list_versions(s3))
        assert len(server.asked) == 1


@pytest.mark.parametrize(("shards", "ring"), [(0, 1), (1, 1), (1, 2), (1, 5)])
def test_a_listing_that_goes_in_a_circle(serve: Serve, shards: int, ring: int) -> None:
    listed = [entry(f"{n:04d}", f"v{n}") for n in range(400)]
    served: list[bytes] = []

    def spoil(number: int, answer: bytes) -> bytes:
        served.append(answer)
        return served[3 + (number - 4) % ring] if number > 3 + ring else answer

    with serve(listed, page=10, spoil=spoil) as (server, s3):
        with pytest.raises(AwsError, match="does not get beyond"):
            for _ in islice(list_versions(s3, shards=shards), 5000):
                pass
        assert len(server.asked) < 200


# Ending early, and memory


def ours() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("listing-")]


def test_closing_ends_the_threads(serve: Serve) -> None:
    with serve(by_thirty(30_000), page=50) as (server, s3):
        rows = list_versions(s3)
        assert len(list(islice(rows, 1000))) == 1000
        assert ours()
        rows.close()  # type: ignore[attr-defined]
        assert not ours()
        asked = len(server.asked)
        assert asked < 300, "of 600"
        rows = list_versions(s3)
        next(rows)
        del rows
        gc.collect()
        assert not ours()


def test_an_interrupt_ends_the_threads(serve: Serve) -> None:
    def read(s3: S3) -> None:
        for number, _ in enumerate(list_versions(s3)):
            if number == 2000:
                raise KeyboardInterrupt

    with serve(by_thirty(6000), page=50) as (_, s3), pytest.raises(KeyboardInterrupt):
        read(s3)
    gc.collect()
    assert not ours()


def test_nobody_reads_on_while_nobody_takes(serve: Serve) -> None:
    with serve(by_thirty(30_000), page=50) as (server, s3):
        rows = list_versions(s3, shards=4)
        list(islice(rows, 200))
        before = -1
        while before != len(server.asked):
            before = len(server.asked)
            threading.Event().wait(0.2)
        assert before < 4 * 4 * 3, "read-ahead is bounded"
        rows.close()  # type: ignore[attr-defined]


class Endless:
    """A bucket whose keys are made when they are asked for, so that they take no memory here either."""

    bucket = "bucket"
    max_attempts = 1

    def __init__(self, count: int) -> None:
        self.count = count

    def ask(self, method: str, *, operation: str, query: dict[str, str], stop: object = None) -> Answer:
        marker = query.get("key-marker", "")
        start = bisect_right(range(self.count), marker, key=lambda n: f"k{n:07d}") if marker else 0
        here = [entry(f"k{n:07d}", f"v{n}") for n in range(start, min(start + 50, self.count))]
        more = start + 50 < self.count
        last = f"<NextKeyMarker>{here[-1][0]}</NextKeyMarker>" if more else ""
        head = f"<ListVersionsResult><IsTruncated>{str(more).lower()}</IsTruncated>{last}"
        body = head.encode() + b"".join(map(rendered, here)) + b"</ListVersionsResult>"
        return Answer(200, {}, body)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 8])
def test_memory_does_not_grow_with_the_keys(shards: int) -> None:
    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            rows = list_versions(Endless(count), shards=shards)  # type: ignore[arg-type]
            assert sum(1 for _ in rows) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2_000)  # what is imported and cached at first
    small, large = peak(8_000), peak(32_000)
    assert large < 1.5 * small + 500_000
