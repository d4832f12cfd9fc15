"""What a log capture is asked for, and what it brought."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError
from vmqlib.sources.logevents import Failure
from vmqlib.times import Window, iso

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = [
    "Capture",
    "CaptureProgress",
    "LogPart",
    "LogQuery",
    "PartResult",
    "Span",
    "span_of",
    "time_of",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Span:
    """A window in CloudWatch Logs' terms.

    Parameters
    ----------
    since, until:
        Milliseconds since 1970, both included.
    """

    since: int
    until: int


def span_of(window: Window) -> Span:
    """``window`` in whole milliseconds."""
    return Span((window.since - _EPOCH) // _MS, (window.until - _EPOCH) // _MS)


def time_of(ms: int) -> datetime:
    """The moment that many milliseconds after 1970."""
    return _EPOCH + ms * _MS


@dataclass(frozen=True)
class LogPart:
    """One file of a capture.

    Parameters
    ----------
    name:
        The file's name, without ``.jsonl.gz``.
    group:
        The log group.
    prefixes:
        Beginnings of stream names; empty means every stream.
    pattern:
        A CloudWatch Logs filter pattern; empty means every event.
    """

    name: str
    group: str
    prefixes: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True)
class LogQuery:
    """What is asked for.

    Parameters
    ----------
    data_source_id:
        Whose logs.
    window:
        Over which span.
    parts:
        The files.
    asked:
        The window as it was typed (``--since 2h``). An interrupted capture is taken up by the next one that was
        asked for in the same words, although "two hours ago" has moved on; it then covers both windows.
    """

    data_source_id: str
    window: Window
    parts: tuple[LogPart, ...]
    asked: str = ""

    @classmethod
    def of_data_source(
        cls,
        settings: Settings,
        data_source_id: str,
        window: Window,
        *,
        conversation: bool = False,
        pattern: str = "",
        asked: str = "",
    ) -> LogQuery:
        """Connector log, document-level report, the further groups of the settings, and the conversation log
        only when it is asked for: it holds what people said.

        Raises
        ------
        SettingsError
            Where APP_ID is not set.
        """
        settings.require("app_id")
        group = settings.log_group
        parts = [
            LogPart("connector-log", group, (data_source_id,), pattern),
            LogPart("document-report", group, (f"SYNC_RUN_HISTORY_REPORT/{data_source_id}/",), pattern),
        ]
        if conversation:
            parts.append(LogPart("conversation-log", group, ("EVENT_LOGS",), pattern))
        names = {part.name for part in parts}
        for further in settings.log_groups:
            name = base = re.sub(r"[^A-Za-z0-9_.-]+", "-", further).strip("-.") or "logs"
            number = 2
            while name in names:
                name, number = f"{base}-{number}", number + 1
            names.add(name)
            parts.append(LogPart(name, further, (), pattern))
        return cls(data_source_id, window, tuple(parts), asked)

    def identity(self, region: str, endpoint: str) -> dict[str, Any]:
        """What makes two captures the same but for their windows, JSON types only."""
        return {
            "vmq_capture": 1,
            "region": region,
            "endpoint": endpoint,
            "data_source_id": self.data_source_id,
            "parts": [asdict(part) | {"prefixes": list(part.prefixes)} for part in self.parts],
            "asked": self.asked,
        }

    def continues(self, known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
        """Whether this takes up what ``known`` (identity and span of an earlier start) left."""
        span = span_of(self.window)
        if not self.asked and (known["since"], known["until"]) != (span.since, span.until):
            return False
        return _same(known, identity) and span.since <= known["until"] and known["since"] <= span.until

    def outlived(self, known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
        """Whether ``known`` was asked for in the same words, but so long ago that the windows do not meet."""
        return bool(self.asked) and _same(known, identity) and not self.continues(known, identity)

    def covering(self, known: Span) -> LogQuery:
        """The same over a window that covers ``known``, too."""
        window = Window(
            min(self.window.since, time_of(known.since)), max(self.window.until, time_of(known.until))
        )
        return replace(self, window=window)


@dataclass(frozen=True)
class CaptureProgress:
    """How far a capture is.

    Parameters
    ----------
    events:
        Events read so far, those of an earlier, interrupted start included.
    size:
        Bytes received so far by this start.
    streams_done, streams_total:
        Log streams read to their end, and in all.
    latest:
        Time of the latest event so far.
    """

    events: int
    size: int
    streams_done: int
    streams_total: int
    latest: datetime | None


@dataclass(frozen=True)
class PartResult:
    """One file of a capture.

    Parameters
    ----------
    name, group:
        What it is, and the log group it came from.
    path:
        The file, gzip JSON lines; ``None`` where nothing could be read.
    streams:
        Streams that were looked through.
    events, duplicates:
        Events in the file, and how many more came that were the same as one of them.
    first, last:
        Times of the first and the last event.
    complete, stopped:
        Whether all of the window is there, and why not.
    note:
        What else should be known.
    """

    name: str
    group: str
    path: Path | None
    streams: int
    events: int
    duplicates: int
    first: datetime | None
    last: datetime | None
    complete: bool
    stopped: str = ""
    note: str = ""


@dataclass(frozen=True)
class Capture:
    """What a capture brought.

    Parameters
    ----------
    out:
        The folder.
    query:
        What was asked; its window is the one that was read.
    parts:
        Its files.
    failures:
        Failing documents grouped by error.
    resumed:
        Whether it went on from an earlier, interrupted start.
    problem:
        The first error that kept something away.
    """

    out: Path
    query: LogQuery
    parts: tuple[PartResult, ...]
    failures: tuple[Failure, ...]
    resumed: bool
    problem: AwsError | None = field(default=None, compare=False)

    @property
    def events(self) -> int:
        """Events in all files."""
        return sum(part.events for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether all of it is there."""
        return all(part.complete for part in self.parts)

    @property
    def first(self) -> datetime | None:
        """Time of the first event."""
        return min((part.first for part in self.parts if part.first), default=None)

    @property
    def last(self) -> datetime | None:
        """Time of the last event."""
        return max((part.last for part in self.parts if part.last), default=None)

    def to_json(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        return {
            "data_source_id": self.query.data_source_id,
            "since": iso(self.query.window.since),
            "until": iso(self.query.window.until),
            "events": self.events,
            "first": _text(self.first),
            "last": _text(self.last),
            "complete": self.complete,
            "parts": [
                asdict(part)
                | {"path": part.path.name if part.path else None}
                | {"first": _text(part.first), "last": _text(part.last)}
                for part in self.parts
            ],
            "failing_documents": [asdict(failure) for failure in self.failures],
        }


def _same(known: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    return all(known.get(key) == value for key, value in identity.items())


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
