"""A server that keeps keys in folders orders them otherwise than S3, and a listing loses nothing there."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from support.stub_versions import Entry, VersionServer

from vmqlib.aws import Aws
from vmqlib.s3 import S3
from vmqlib.settings import Settings
from vmqlib.sources.versionlisting import list_versions


def in_folders(text: str) -> str:
    """What such a server sorts by: a folder's content comes right behind its name, before ``name.md``."""
    return text.replace("/", "\0")


class FolderServer(VersionServer):
    """As SeaweedFS, and others over a file system."""

    def __init__(self, entries: list[Entry], **how: Any) -> None:
        super().__init__(entries, **how)
        self._keys = [in_folders(entry[0]).encode() for entry in entries]

    def _page(self, asked: Mapping[str, str]) -> bytes:
        paths = {name: in_folders(asked[name]) for name in ("key-marker", "prefix") if name in asked}
        return super()._page({**asked, **paths})


def entries(keys: list[str]) -> list[Entry]:
    return [
        (key, f"{key}-{number}", number == 0, False, f"2026-11-2{3 - number}T10:00:00.000Z")
        for key in sorted(keys, key=in_folders)
        for number in range(3)
    ]


ONE_ORDER = [f"d/{number % 7}/k {number:05d}+.md" for number in range(600)]
TWO_ORDERS = [
    *ONE_ORDER,
    *(f"d/{number}.md" for number in range(7)),
    *(f"d/{number}-more/{page}" for number in range(7) for page in range(30)),
]


@pytest.mark.parametrize("keys", [ONE_ORDER, TWO_ORDERS], ids=["as in S3", "as only there"])
@pytest.mark.parametrize("seed", range(4))
def test_every_version_is_listed_once_where_markers_are_taken_for_paths(
    keys: list[str], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    there = entries(chance.sample(keys, len(keys) - 100 * seed))
    with FolderServer(there, page=chance.choice([20, 50, 90]), delay_s=0.001) as server:
        for name, value in {
            "ENDPOINT_URL": server.url,
            "ACCESS_KEY_ID": "x",
            "SECRET_ACCESS_KEY": "x",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        with S3(Aws(Settings.load(region="eu-west-1")), "bucket") as s3:
            found = [(row.key, row.version_id) for row in list_versions(s3)]
    assert found == [entry[:2] for entry in there]
