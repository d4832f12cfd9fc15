"""One key's versions, newest first. Pure: rows in, facts out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from vmqlib.errors import BadInput
from vmqlib.runbook.promoters import Promoted, Promoters
from vmqlib.times import parse_iso, parse_when, show_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KeyHistory", "Pick", "Version", "alike", "bare_key", "unknown_key", "versions_of"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version or delete marker of a key (API: ObjectVersion, DeleteMarkerEntry).

    Parameters
    ----------
    version_id:
        ``null`` where versioning was not on.
    at:
        LastModified, UTC, in whole seconds.
    is_delete_marker, is_current:
        What it is.
    size:
        Bytes; ``None`` for a marker.
    etag:
        Without quotes; empty for a marker.
    storage_class:
        ``STANDARD`` …; empty for a marker.
    promoted:
        The promotion that it belongs to, as far as that can be told; ``None`` where no record is near.
    same_as:
        The newest older version of equal ETag and size; empty where there is none.
    """

    version_id: str
    at: datetime
    is_delete_marker: bool = False
    is_current: bool = False
    size: int | None = None
    etag: str = ""
    storage_class: str = ""
    promoted: Promoted | None = None
    same_as: str = ""

    @property
    def what(self) -> str:
        """``delete marker`` or ``version``."""
        return "delete marker" if self.is_delete_marker else "version"


def versions_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Version, ...]:
    """Rows of the source ``versions`` about one key, newest first, from AWS or from evidence."""
    made = [_version(row) for row in rows]
    seen: dict[tuple[str, int | None], str] = {}
    for place in range(len(made) - 1, -1, -1):
        one = made[place]
        if one.is_delete_marker or not one.etag:
            continue
        made[place] = replace(one, same_as=seen.get((one.etag, one.size), ""))
        seen[one.etag, one.size] = one.version_id
    return tuple(made)


def _version(row: Mapping[str, Any]) -> Version:
    at, marker = row["at"], bool(row["is_delete_marker"])
    when: datetime = (
        parse_iso(at) if isinstance(at, str) else at.to_pydatetime() if hasattr(at, "to_pydatetime") else at
    )
    size = row.get("size")
    return Version(
        version_id=str(row["version_id"]),
        at=when,
        is_delete_marker=marker,
        is_current=bool(row["is_latest"]),
        size=None if marker or size is None or str(size) == "<NA>" else int(size),
        etag="" if marker else str(row.get("etag") or ""),
        storage_class="" if marker else str(row.get("storage_class") or ""),
    )


@dataclass(frozen=True)
class Pick:
    """A version that was asked for by name or time.

    Parameters
    ----------
    version:
        The version or marker; ``None`` where the key was not there at all.
    words:
        What was asked for, for people: ``the current version``, ``as of 2026-11-20 …``.
    warning:
        What is doubtful about it; empty when nothing is.
    """

    version: Version | None
    words: str
    warning: str = ""


@dataclass(frozen=True)
class KeyHistory:
    """A key's versions, newest first.

    Parameters
    ----------
    bucket, key:
        Which object.
    versions:
        Versions and delete markers, newest first; right within one second, too.
    as_of:
        When it was looked at, UTC: ages are told from it.
    source:
        Where it was seen: the AWS call, or the evidence file.
    problem:
        Why it is not known who promoted what; empty when it is.
    incomplete:
        Where and why the listing stopped; empty when it is whole.
    """

    bucket: str
    key: str
    versions: tuple[Version, ...]
    as_of: datetime
    source: str = ""
    problem: str = ""
    incomplete: str = ""

    @property
    def current(self) -> Version | None:
        """What is there now; it may be a delete marker."""
        return self.versions[0] if self.versions else None

    @property
    def previous(self) -> Version | None:
        """The newest version, not a marker, below the current entry: the runbook's "latest previous version"."""
        return next((one for one in self.versions[1:] if not one.is_delete_marker), None)

    def age(self, version: Version) -> timedelta:
        """How old a version was when it was looked at."""
        return self.as_of - version.at

    def promoted_by(self, promoters: Promoters) -> KeyHistory:
        """The same with the promotion of each version."""
        known = promoters.knowing([*promoters.writes, *(one.at for one in self.versions)])
        versions = tuple(replace(one, promoted=known.of(self.key, one.at)) for one in self.versions)
        return replace(self, versions=versions, problem=promoters.problem)

    def pick(self, name: str, last_good: datetime | None = None) -> Pick:
        """The version that ``name`` means.

        Parameters
        ----------
        name:
            ``current``, ``previous``, ``last-good``, ``@`` and a time (``@2d``, ``@2026-11-20T10:00Z``: what was there
            then), a version id, or the beginning of one.
        last_good:
            The start of the last good sync, for ``last-good``.

        Raises
        ------
        BadInput
            When it means no version, or several.
        """
        if name == "current":
            return Pick(self.current, "the current version")
        if name == "previous":
            if self.previous is None:
                raise BadInput(
                    f"{self.key!r} has no previous version.", hint="`vmq versions --key` shows what there is."
                )
            return Pick(self.previous, "the previous version")
        if name == "last-good":
            if last_good is None:
                raise BadInput(
                    "No sync ever succeeded, so there is no last good version.",
                    hint="Give a time: @2026-11-20T10:00Z.",
                )
            return self._as_of(last_good, f"as of the last good sync, {show_time(last_good)}")
        if name.startswith("@"):
            at = parse_when(name[1:], self.as_of)
            return self._as_of(at, f"as of {show_time(at)}")
        return Pick(self._by_id(name), "")

    def _as_of(self, at: datetime, words: str) -> Pick:
        then = next((one for one in self.versions if one.at <= at), None)
        second = at.replace(microsecond=0)
        warning = ""
        if any(one.at == second for one in self.versions):
            warning = f"It changed within the very second of {show_time(at)}: S3 does not say whether before or after."
        elif any(one.version_id == "null" and one.at > at for one in self.versions):
            warning = (
                "A null version was written since: what it may have replaced is gone and cannot be known."
            )
        return Pick(then, words, warning)

    def _by_id(self, name: str) -> Version:
        exact = [one for one in self.versions if one.version_id == name]
        found = exact or [one for one in self.versions if name and one.version_id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.version_id for one in found[:5])
            raise BadInput(f"{name!r} begins {len(found)} version ids: {ids}.", hint="Give more of it.")
        ids = ", ".join(one.version_id for one in self.versions[:5]) or "none"
        raise BadInput(
            f"{self.key!r} has no version {name!r}.",
            hint=f"Give current, previous, last-good, @TIME, or the beginning of a version id; the newest are: {ids}.",
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row a version, newest first: ``version_id``, ``at`` (UTC), ``age`` (timedelta), ``size`` (bytes),
        ``etag``, ``storage_class``, ``is_delete_marker``, ``is_current``, ``promoted`` (words), ``same_as``."""
        import pandas as pd

        columns = ("version_id", "at", "age", "size", "etag", "storage_class")
        more = ("is_delete_marker", "is_current", "promoted", "same_as")
        rows = [
            (
                one.version_id, one.at, self.age(one), one.size, one.etag, one.storage_class,
                one.is_delete_marker, one.is_current, one.promoted.words if one.promoted else "", one.same_as,
            )
            for one in self.versions
        ]  # fmt: skip
        made = pd.DataFrame(rows, columns=[*columns, *more])
        types = dict.fromkeys(("version_id", "etag", "storage_class", "promoted", "same_as"), "str")
        made = made.astype(types | {"size": "Int64", "is_delete_marker": "bool", "is_current": "bool"})
        return made.assign(
            at=pd.to_datetime(made["at"], utc=True).astype("datetime64[us, UTC]"),
            age=pd.to_timedelta(made["age"]),
        )


def alike(key: str, names: Iterable[str]) -> list[str]:
    """Up to three of ``names`` that may have been meant by ``key``."""
    known = list(names)
    tail = unquote(key).rsplit("/", 1)[-1]
    close = difflib.get_close_matches(key, known, n=3)
    ends = [name for name in known if tail and (name.endswith(f"/{tail}") or name == tail)]
    return list(dict.fromkeys([*ends[:3], *close]))[:3]


def unknown_key(bucket: str, key: str, found: Sequence[str]) -> BadInput:
    """The error for a key that is not there and never was; its hint names ``found``."""
    names = ", ".join(repr(name) for name in found)
    hint = f"Did you mean {names}?" if found else "`vmq versions --all` lists the keys, deleted ones as well."
    return BadInput(f"There is no key {key!r} in {bucket}, and never was.", hint=hint)


def bare_key(text: str, bucket: str) -> str:
    """A key as it was typed, or pasted as ``s3://bucket/key``."""
    return text.removeprefix(f"s3://{bucket}/")
