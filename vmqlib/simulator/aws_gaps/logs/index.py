"""The events of moto's log streams in the order of time, and the simulator's knobs for reading them."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from moto.logs.models import LogEvent, LogsBackend, LogStream

__all__ = ["Knobs", "StreamIndex", "event_id", "index_of", "knobs"]

_BY_TIME = attrgetter("timestamp", "event_id")


@dataclass
class Knobs:
    """How reading logs behaves where AWS leaves it open.

    Parameters
    ----------
    empty_page_every:
        Every n-th page of FilterLogEvents is empty and has a nextToken; 0: none is.
    scanned_a_page:
        How many events a page of FilterLogEvents looks at, at most: a rare match then comes after empty pages, too.
    """

    empty_page_every: int = 0
    scanned_a_page: int = 100_000


def knobs(backend: LogsBackend) -> Knobs:
    """The knobs of an account and region. They go back when the backend is reset."""
    kept = backend.__dict__.setdefault("_vmq_knobs", None) or Knobs()
    backend.__dict__["_vmq_knobs"] = kept
    return kept


@dataclass(frozen=True)
class StreamIndex:
    """A stream's events, ordered by time.

    Parameters
    ----------
    events:
        The events.
    times:
        Their timestamps, milliseconds since 1970.
    """

    events: list[LogEvent]
    times: list[int]


def index_of(stream: LogStream) -> StreamIndex:
    """The index of a stream, made anew only when events came."""
    kept: StreamIndex | None = stream.__dict__.get("_vmq_index")
    if kept is None or len(kept.events) != len(stream.events):
        events = sorted(stream.events, key=_BY_TIME)
        kept = StreamIndex(events, [event.timestamp for event in events])
        stream.__dict__["_vmq_index"] = kept
    return kept


def event_id(event: LogEvent) -> str:
    """The id as AWS writes it: 56 digits."""
    return f"{event.event_id:056d}"
