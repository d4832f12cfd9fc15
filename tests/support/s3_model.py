"""S3 with versions, in plain Python: what a bucket does, and what it held at any moment.

The model keeps what S3 does not tell: the moment of every change, to the microsecond. What it lists is dated to the
second, newest first, as :func:`vmqlib.sources.versionlisting.list_versions` gives it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from vmqlib.runbook.rollback.items import Item
from vmqlib.sources.versionlisting import ObjectVersion
from vmqlib.times import iso

START = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
NULL = "null"


@dataclass(frozen=True)
class Stored:
    """A version, or a delete marker (``content`` is ``None``)."""

    version_id: str
    content: str | None
    at: datetime


@dataclass
class S3Model:
    """One bucket.

    Parameters
    ----------
    status:
        Of versioning: empty (never on), ``Enabled`` or ``Suspended``.
    resolution:
        Of LastModified, in microseconds: a second on AWS.
    """

    status: str = "Enabled"
    resolution: int = 1_000_000
    now: datetime = START
    keys: dict[str, list[Stored]] = field(default_factory=dict)  # newest first
    seen: dict[str, list[tuple[datetime, str | None]]] = field(
        default_factory=dict
    )  # what could be read, since when
    nulls: dict[str, list[datetime]] = field(
        default_factory=dict
    )  # when null versions or markers were written
    destroyed: set[str] = field(default_factory=set)  # keys of which something went without a trace
    count: int = 0

    # What people do

    def put(self, key: str, content: str) -> str:
        return self._add(key, content)

    def delete(self, key: str) -> str:
        if not self.status:  # without versioning a delete leaves nothing
            self.keys.pop(key, None)
            self.destroyed.add(key)
            self._see(key)
            return ""
        return self._add(key, None)

    def copy(self, key: str, version_id: str) -> str:
        """The old version on top, with a time of its own."""
        content = next(one.content for one in self.keys[key] if one.version_id == version_id)
        assert content is not None, "a delete marker cannot be copied"
        return self._add(key, content)

    def destroy(self, key: str, version_id: str) -> None:
        """DELETE with a version id: the entry is gone without a trace. (A marker's removal brings the key back.)"""
        self.keys[key] = [one for one in self.keys[key] if one.version_id != version_id]
        self.destroyed.add(key)
        self._see(key)

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    def _add(self, key: str, content: str | None) -> str:
        self.now += timedelta(microseconds=7)
        self.count += 1
        version_id = f"v{self.count}" if self.status == "Enabled" else NULL
        older = self.keys.get(key, [])
        if version_id == NULL:
            older = [one for one in older if one.version_id != NULL]
            self.nulls.setdefault(key, []).append(self.now)
        self.keys[key] = [Stored(version_id, content, self.now), *older]
        self._see(key)
        return version_id

    def _see(self, key: str) -> None:
        entries = self.keys.get(key)
        self.seen.setdefault(key, []).append((self.now, entries[0].content if entries else None))

    # What there is

    def visible(self) -> dict[str, str]:
        """What can be read now: content by key."""
        return {key: one[0].content for key, one in self.keys.items() if one and one[0].content is not None}

    def visible_at(self, at: datetime) -> dict[str, str]:
        """What could be read at ``at``."""
        state = {}
        for key, log in self.seen.items():
            content = next((content for when, content in reversed(log) if when <= at), None)
            if content is not None:
                state[key] = content
        return state

    def left_at(self, key: str, at: datetime) -> str | None:
        """What could have been read at ``at`` if what was destroyed since had never been made."""
        return next((one.content for one in self.keys.get(key, ()) if one.at <= at), None)

    def dated(self, at: datetime) -> datetime:
        """The LastModified that the bucket gives to that moment."""
        return at - timedelta(microseconds=(at - START) // timedelta(microseconds=1) % self.resolution)

    def rows(self, prefix: str = "") -> list[ObjectVersion]:
        """Keys in S3's order, versions newest first."""
        return [
            ObjectVersion(
                key=key,
                version_id=one.version_id,
                is_latest=number == 0,
                is_delete_marker=one.content is None,
                at=iso(self.dated(one.at)),
                size=len(one.content or ""),
                etag="" if one.content is None else hashlib.md5(one.content.encode()).hexdigest(),
                storage_class="" if one.content is None else "STANDARD",
                checksum="",
            )
            for key in sorted(self.keys, key=str.encode)
            for number, one in enumerate(self.keys[key])
            if key.startswith(prefix)
        ]

    def apply(self, items: Iterable[Item]) -> list[Item]:
        """Does what a plan says, on its conditions; returns the items that were done."""
        done = []
        for item in items:
            if item.action not in {"COPY", "UNDELETE", "DELETE"}:
                continue
            assert self.keys[item.key][0].version_id == item.current.version_id, "the world changed"
            if item.action == "DELETE":
                self.delete(item.key)
            else:
                self.copy(item.key, item.target.version_id)
            done.append(item)
        return done
