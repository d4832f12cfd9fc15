"""Pages of versions put together are the listing, whatever the page size, prefix and delimiter."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from moto.s3.models import FakeBucket, S3Backend

from vmqlib.simulator.aws_gaps import install
from vmqlib.simulator.aws_gaps.s3.listing import Request, page_of_versions
from vmqlib.simulator.aws_gaps.s3.store import KeyStore

keys = st.lists(st.tuples(st.text("ab/😀", min_size=1, max_size=4), st.integers(1, 3)), max_size=12)


def made(content: list[tuple[str, int]]) -> Any:
    store: Any = KeyStore()
    made_so_far = 0
    for key, versions in content:
        for _ in range(versions):
            made_so_far += 1
            store[key] = SimpleNamespace(name=key, version_id=f"v{made_so_far}")
    return SimpleNamespace(keys=store)


def walk(bucket: Any, prefix: str, delimiter: str, size: int) -> tuple[list[tuple[str, str]], list[str]]:
    rows: list[tuple[str, str]] = []
    prefixes: list[str] = []
    after, version = "", ""
    while True:
        page = page_of_versions(bucket, Request(prefix, delimiter, after, size), version)
        assert len(page.rows) + len(page.prefixes) <= size
        rows += [(row.name, row.version_id) for row, _ in page.rows]
        prefixes += page.prefixes
        if not page.next_key:
            return rows, prefixes
        after, version = page.next_key, page.next_version


@given(keys, st.text("ab/", max_size=2), st.sampled_from(["", "/", "a"]), st.integers(1, 5))
def test_pages_add_up(content: list[tuple[str, int]], prefix: str, delimiter: str, size: int) -> None:
    bucket = made(content)
    whole = walk(bucket, prefix, delimiter, 1000)
    assert walk(bucket, prefix, delimiter, size) == whole
    rows, prefixes = whole
    listed = [key for key in sorted(bucket.keys, key=str.encode) if key.startswith(prefix)]
    plain = [key for key in listed if not delimiter or delimiter not in key[len(prefix) :]]
    assert list(dict.fromkeys(key for key, _ in rows)) == plain
    assert prefixes == sorted(set(prefixes), key=str.encode)
    rolled = [key for key in listed if key not in plain]
    assert all(any(key.startswith(one) for one in prefixes) for key in rolled)


@given(keys)
def test_versions_are_newest_first_and_the_first_is_latest(content: list[tuple[str, int]]) -> None:
    bucket = made(content)
    for (row, latest), before in zip(
        page_of_versions(bucket, Request()).rows,
        [None, *page_of_versions(bucket, Request()).rows],
        strict=False,
    ):
        assert latest == (before is None or before[0].name != row.name)
        assert latest == (bucket.keys[row.name] is row)


@pytest.mark.slow
@pytest.mark.timeout(60)  # plain moto takes minutes
def test_twelve_thousand_versions_are_listed(aws_with_gaps: Any) -> None:
    s3, backend = aws_with_gaps.client("s3"), aws_with_gaps.s3_backend
    s3.create_bucket(Bucket="many", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    backend.put_bucket_versioning("many", "Enabled")
    for number in range(12_000):
        backend.put_object("many", f"{number % 3000:05d}", b"")
    pages, query = 0, "versions"
    while query:
        # Raw: botocore takes five times as long to read a page as it takes to make one.
        text = requests.get(f"https://many.s3.eu-west-1.amazonaws.com/?{query}", timeout=10).text
        assert text.count("<Version>") == 1000
        pages += 1
        ends = re.search(r"<NextKeyMarker>(.*?)</.*<NextVersionIdMarker>(.*?)</", text)
        query = f"versions&key-marker={ends[1]}&version-id-marker={ends[2]}" if ends else ""
    assert pages == 12


def test_buckets_that_were_there_before_are_listed_in_order() -> None:
    install()
    bucket = FakeBucket("old", "123456789012", "eu-west-1")
    assert isinstance(bucket.keys, KeyStore)
    assert S3Backend.put_object.__module__.startswith("vmqlib")
