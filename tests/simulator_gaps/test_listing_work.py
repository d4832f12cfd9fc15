"""Listing ten times as many versions is ten times the work: counted in function calls, not in seconds."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests

ROWS = 1_000
KEYS: dict[str, Callable[[int], int]] = {
    "many-keys": lambda rows: rows,
    "many-versions": lambda rows: rows // 20,
    "one-key": lambda _: 1,
}


def whole(bucket: str) -> int:
    """Rows of the whole listing, asked for as HTTP and not parsed."""
    rows, query = 0, "versions"
    while query:
        text = requests.get(f"https://{bucket}.s3.eu-west-1.amazonaws.com/?{query}", timeout=60).text
        rows += text.count("<VersionId>")
        ends = re.search(r"<NextKeyMarker>(.*?)</.*<NextVersionIdMarker>(.*?)</", text)
        query = f"versions&key-marker={ends[1]}&version-id-marker={ends[2]}" if ends else ""
    return rows


def calls(function: Callable[[], Any]) -> int:
    """How many Python and C functions are called meanwhile, in this thread."""
    made = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal made
        if event in {"call", "c_call"}:
            made += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("keys_of", KEYS.values(), ids=KEYS)
def test_ten_times_the_versions_are_ten_times_the_work(
    keys_of: Callable[[int], int], aws_with_gaps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, backend = aws_with_gaps.client("s3"), aws_with_gaps.s3_backend
    for name, rows in (("small", ROWS), ("large", 10 * ROWS)):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        backend.put_bucket_versioning(name, "Enabled")
        for number in range(rows):
            backend.put_object(name, f"{number % keys_of(rows):05d}", b"")

    def no_copies(*_: Any) -> None:
        raise AssertionError("a listing copies nothing deeply")

    monkeypatch.setattr(copy, "deepcopy", no_copies)
    assert (whole("small"), whole("large")) == (ROWS, 10 * ROWS)
    small, large = calls(lambda: whole("small")), calls(lambda: whole("large"))
    assert large <= 12 * small, f"{large / small:.1f} times the calls for 10 times the versions"
