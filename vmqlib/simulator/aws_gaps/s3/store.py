"""The keys of a bucket, kept in listing order, with a memory of the versions that were removed."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey
from moto.s3.utils import _VersionedKeyStore

__all__ = ["LOCK", "KeyStore", "Version", "names_from", "successor", "versions_of"]


Version = FakeKey | FakeDeleteMarker

_AT_ONCE = 256

#: Held by every write to S3, so that a condition and what it guards are one step. moto's own writes race.
LOCK = threading.RLock()


class KeyStore(_VersionedKeyStore):
    """moto's store, plus what a listing needs: the names in order, and where removed versions stood.

    Versions of a key are held oldest first, in the order in which they were made: LastModified has one-second
    resolution and cannot order them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        #: (key, removed version id) -> id of the version that was next older, None where there was none.
        self.removed: dict[tuple[str, str], str | None] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        self._learn(key)
        super().__setitem__(key, value)

    def setlist(self, key: Any, list_: Any) -> None:
        """Sets a key's versions; the bodies of those that are not kept are let go.

        moto looks each old version up in the list of the new ones: a key with thousands would take minutes to write.
        """
        self._learn(key)
        versions = list(list_) if isinstance(list_, (list, tuple)) else [list_]
        before = self.getlist(key, [])
        if versions[: len(before)] != before:
            kept = {id(version) for version in versions}
            for version in before:
                if id(version) not in kept and hasattr(version, "dispose"):
                    version.dispose()
        dict.__setitem__(self, key, versions)

    def pop(self, key: str) -> None:  # type: ignore[override]
        """Removes a key with all its versions.

        Raises
        ------
        KeyError
            When there is no such key.
        """
        if key not in self:
            raise KeyError(key)
        self.setlist(key, [])
        dict.pop(self, key)
        del self.names[bisect_left(self.names, key)]

    def _learn(self, key: str) -> None:
        # UTF-8 keeps the order of code points, so Python's order of strings is S3's order of keys.
        if key not in self:
            insort(self.names, key)


def names_from(bucket: FakeBucket, first: str, *, behind: bool = False) -> Iterator[str]:
    """The bucket's keys in listing order, from ``first`` on (``behind``: without it).

    Taken a few at a time, so that a page costs what is on it, however many keys there are, and others may write
    meanwhile.
    """
    while True:
        with LOCK:
            names = bucket.keys.names if isinstance(bucket.keys, KeyStore) else sorted(bucket.keys)
            start = (bisect_right if behind else bisect_left)(names, first)
            some = names[start : start + _AT_ONCE]
        if not some:
            return
        yield from some
        first, behind = some[-1], True


def versions_of(bucket: FakeBucket, key: str) -> list[Version]:
    """A key's versions and delete markers, oldest first; empty when there is no such key."""
    return list(bucket.keys.getlist(key, []))


def successor(bucket: FakeBucket, key: str, version_id: str) -> tuple[bool, str | None]:
    """Where a listing goes on after ``version_id``, if that was removed meanwhile.

    Returns
    -------
    Whether such a version ever was, and the id of the first version to list (None: none is left of this key).
    """
    removed: dict[tuple[str, str], str | None] = getattr(bucket.keys, "removed", {})
    if (key, version_id) not in removed:
        return False, None
    alive = {version.version_id for version in versions_of(bucket, key)}
    following = removed[key, version_id]
    while following is not None and following not in alive:
        following = removed.get((key, following))
    return True, following
