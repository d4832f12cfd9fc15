"""A prefix of a real bucket with objects to roll back, and whether that was done: each item exactly once."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from vmqlib.runbook.rollback.items import NOTHING, Entry, Item
from vmqlib.s3 import S3
from vmqlib.sources.versionlisting import ObjectVersion, list_versions

__all__ = ["Bed", "histories", "made", "overwritten"]

_ODD = ("a b+c%20d", "ümläut/日本.md", "#?&=;.md", "emoji-😀", "quote\"'\\")


@dataclass
class Bed:
    """Objects and what is to become of them.

    Parameters
    ----------
    s3:
        The bucket.
    prefix:
        Where they are.
    items:
        In S3's order of keys: of ten, eight are copied, one is deleted, one comes back from under its marker.
    before:
        Each key's versions and markers, newest first.
    bodies:
        What each key's target holds; a key that is to be gone has none.
    """

    s3: S3
    prefix: str
    items: list[Item]
    before: dict[str, list[str]]
    bodies: dict[str, bytes] = field(default_factory=dict)

    def check(self, *, left_alone: Collection[str] = ()) -> None:
        """The bucket is as planned: exactly one new version or marker on each key, with the old content.

        Parameters
        ----------
        left_alone:
            Keys that are looked at by the test itself.
        """
        after = histories(self.s3, self.prefix)
        for item in self.items:
            if item.key in left_alone:
                continue
            now = after[item.key]
            assert [one.version_id for one in now[1:]] == self.before[item.key], item.key
            self.check_top(item, now[0])

    def check_top(self, item: Item, top: ObjectVersion) -> None:
        """A version that is ours has the old content, or is a marker where the key was to go."""
        if item.action == "DELETE":
            assert top.is_delete_marker, item.key
        else:
            body = self.bodies[item.key]
            assert (top.size, top.etag) == (len(body), hashlib.md5(body).hexdigest()), item.key


def made(s3: S3, prefix: str, count: int, *, seed: int = 0, size: int = 64, threads: int = 16) -> Bed:
    """Puts ``count`` keys there: what they held, what they hold now, and the plan back."""
    chance = random.Random(seed)
    names = sorted(
        (f"{prefix}{_ODD[n % len(_ODD)] if n % 50 == 0 else 'page'}-{n:06d}" for n in range(count)),
        key=str.encode,
    )
    old = [chance.randbytes(chance.randint(1, size)) for _ in names]
    with ThreadPoolExecutor(threads) as pool:
        both = list(pool.map(lambda n: _two(s3, names[n], n % 10, old[n]), range(count)))
    items, before, bodies = [], {}, {}
    for n, (name, entries) in enumerate(zip(names, both, strict=True)):
        current = entries[-1]
        before[name] = [entry.version_id for entry in reversed(entries)]
        if n % 10 == 3:
            items.append(Item(name, "DELETE", current, NOTHING))
        else:
            action = "UNDELETE" if current.is_delete_marker else "COPY"
            items.append(Item(name, action, current, entries[0], properties={}))
            bodies[name] = old[n]
    return Bed(s3, prefix, items, before, bodies)


def overwritten(s3: S3, key: str, body: bytes) -> str:
    """Somebody writes a key; the version made."""
    return _put(s3, key, body).version_id


def histories(s3: S3, prefix: str) -> dict[str, list[ObjectVersion]]:
    """Every key's versions and markers, newest first."""
    rows: Iterable[ObjectVersion] = list_versions(s3, prefix)
    return {key: list(entries) for key, entries in groupby(rows, key=lambda row: row.key)}


def _two(s3: S3, key: str, kind: int, old: bytes) -> list[Entry]:
    """Oldest first. One version where the key was not there before, a marker on top where it is gone now."""
    if kind == 3:
        return [_put(s3, key, b"made since")]
    first = _put(s3, key, old)
    if kind == 7:
        answer = s3.send("DELETE", key)
        return [first, Entry(answer.headers["x-amz-version-id"], is_delete_marker=True)]
    return [first, _put(s3, key, b"changed since" + old[:8])]


def _put(s3: S3, key: str, body: bytes) -> Entry:
    answer = s3.send("PUT", key, body=body)
    assert answer.status == 200, answer
    return Entry(answer.headers["x-amz-version-id"], size=len(body), etag=answer.headers["etag"].strip('"'))
