"""One clock, and the only place where times are read or written. Every datetime is aware and UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from vmqlib.errors import BadInput

__all__ = [
    "Clock",
    "FixedClock",
    "SystemClock",
    "Window",
    "duration",
    "iso",
    "parse_iso",
    "parse_span",
    "parse_when",
    "show_time",
]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(?:\d+[smhdw])+")


class Clock(Protocol):
    """Tells the time. Everything that needs "now" is given one."""

    def now(self) -> datetime:
        """The present moment, timezone-aware UTC."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still: for tests, examples and records rendered again.

    Parameters
    ----------
    at:
        What it says, timezone-aware.
    """

    at: datetime

    def now(self) -> datetime:
        return self.at.astimezone(UTC)


@dataclass(frozen=True)
class Window:
    """A span of time, both ends included.

    Parameters
    ----------
    since:
        Its first moment, timezone-aware UTC.
    until:
        Its last moment, timezone-aware UTC.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since > self.until:
            raise BadInput(
                f"The window ends ({show_time(self.until)}) before it begins ({show_time(self.since)}).",
                hint="Give --since an earlier time than --until.",
            )

    @property
    def length(self) -> timedelta:
        return self.until - self.since


def iso(moment: datetime) -> str:
    """``moment`` as ISO 8601 with microseconds and ``Z``: how times are written to disk."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Reads what :func:`iso` wrote, or any ISO 8601 time; a time without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def parse_span(text: str) -> timedelta:
    """Reads a length of time as people type it: ``90s``, ``20m``, ``1d12h``.

    Raises
    ------
    BadInput
        When it is none, or not longer than nothing.
    """
    try:
        span = _length(text.strip())
    except OverflowError:
        span = None
    if not span:
        raise BadInput(f"{text!r} is not a length of time.", hint="Write one such as 90s, 20m or 2h.")
    return span


def _length(text: str) -> timedelta | None:
    """``1d12h`` as a length of time; ``None`` where it is none."""
    if not _AGO.fullmatch(text):
        return None
    parts = re.findall(r"(\d+)([smhdw])", text)
    return sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in parts), timedelta())


def parse_when(text: str, now: datetime) -> datetime:
    """Reads a time as people type it: ``2h``, ``90m``, ``1d12h`` (ago), ``now``, or ISO 8601 (UTC unless it says).

    Raises
    ------
    BadInput
        When it is neither.
    """
    text = text.strip()
    if text == "now":
        return now
    try:
        length = _length(text)
        return parse_iso(text) if length is None else now - length
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{text!r} is not a time.",
            hint="Write an age such as 2h, 90m or 1d12h, or a UTC time such as 2026-11-20T10:00Z.",
        ) from error


def show_time(moment: datetime) -> str:
    """``moment`` for people: ``2026-11-23 09:12:05 UTC``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(span: timedelta) -> str:
    """A span for people, two units at most: ``3 d 4 h``, ``12 min``, ``41 s``."""
    seconds = round(span.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return sign + " ".join(parts)
