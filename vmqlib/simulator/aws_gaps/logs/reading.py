"""FilterLogEvents and GetLogEvents.

API reference: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html and
API_GetLogEvents.html beside it.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.models import LogEvent, LogGroup, LogsBackend, LogStream
from moto.logs.responses import LogsResponse

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.logs.index import event_id, index_of, knobs
from vmqlib.simulator.aws_gaps.logs.patterns import BadPattern, compile_pattern

__all__ = ["find_group", "install"]

_MOST_EVENTS = 10_000
_MOST_BYTES = 1 << 20
_OVERHEAD = 26  # bytes that AWS counts for an event beside its message
_MOST_STREAMS = 100
_BAD_TOKEN = "The specified nextToken is invalid."  # noqa: S105 - an error message


def find_group(backend: LogsBackend, asked: Mapping[str, Any]) -> LogGroup:
    """The group that a request names by ``logGroupName`` or ``logGroupIdentifier`` (name or ARN).

    Raises
    ------
    InvalidParameterException
        When it names both or none.
    ResourceNotFoundException
        When there is none such.
    """
    name, identifier = asked.get("logGroupName"), asked.get("logGroupIdentifier")
    if bool(name) == bool(identifier):
        raise InvalidParameterException("Exactly one of logGroupName and logGroupIdentifier is needed.")
    if identifier:
        name = str(identifier).split(":log-group:", 1)[-1].removesuffix(":*")
    if name not in backend.groups:
        raise ResourceNotFoundException
    return backend.groups[name]


def _limit(asked: Mapping[str, Any]) -> int:
    limit = asked.get("limit")
    limit = _MOST_EVENTS if limit is None else int(limit)
    if not 1 <= limit <= _MOST_EVENTS:
        bound = "less than or equal to 10000" if limit > 1 else "greater than or equal to 1"
        raise InvalidParameterException(
            constraint=f"Member must have value {bound}", parameter="limit", value=limit
        )
    return limit


def _asked(self: LogsResponse) -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(self.body or "{}")
    return asked


# ---- FilterLogEvents


@dataclass(frozen=True)
class _Place:
    """Where a page ended: behind this event, on the so-manyth page."""

    timestamp: int
    number: int
    page: int

    def token(self) -> str:
        text = json.dumps([self.timestamp, self.number, self.page])
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def read(cls, token: str | None) -> _Place | None:
        if not token:
            return None
        try:
            timestamp, number, page = json.loads(base64.urlsafe_b64decode(token.encode()))
            return cls(int(timestamp), int(number), int(page))
        except (binascii.Error, ValueError, TypeError) as error:
            raise InvalidParameterException(_BAD_TOKEN) from error


def _streams(group: LogGroup, asked: Mapping[str, Any]) -> list[LogStream]:
    names, prefix = asked.get("logStreamNames"), asked.get("logStreamNamePrefix")
    if names and prefix:
        message = "LogStreamNames and LogStreamNamePrefix cannot both be given."
        raise InvalidParameterException(message)
    if names:
        if len(names) > _MOST_STREAMS:
            raise InvalidParameterException(
                constraint=f"Member must have length less than or equal to {_MOST_STREAMS}",
                parameter="logStreamNames",
                value=names,
            )
        if any(name not in group.streams for name in names):
            raise ResourceNotFoundException("The specified log stream does not exist.")
        return [group.streams[name] for name in dict.fromkeys(names)]
    return [stream for name, stream in sorted(group.streams.items()) if name.startswith(prefix or "")]


def _merged(
    streams: list[LogStream], start: int, end: int | None
) -> Iterator[tuple[int, int, LogStream, LogEvent]]:
    """Events of all streams by time, from the first at ``start`` to the last at ``end``."""

    def of(stream: LogStream) -> Iterator[tuple[int, int, LogStream, LogEvent]]:
        index = index_of(stream)
        last = len(index.times) if end is None else bisect_right(index.times, end)
        for position in range(bisect_left(index.times, start), last):
            event = index.events[position]
            yield event.timestamp, event.event_id, stream, event

    return heapq.merge(*(of(stream) for stream in streams), key=lambda row: row[:2])


def filter_log_events(self: LogsResponse) -> str:
    asked, backend = _asked(self), self.logs_backend
    group = find_group(backend, asked)
    limit, behind = _limit(asked), _Place.read(asked.get("nextToken"))
    try:
        matches = compile_pattern(asked.get("filterPattern"))
    except BadPattern as error:
        raise InvalidParameterException(str(error)) from error
    turn = knobs(backend)
    page = behind.page + 1 if behind is not None else 1
    start = max(int(asked.get("startTime") or 0), behind.timestamp if behind is not None else 0)
    end = asked.get("endTime")
    empty = bool(turn.empty_page_every) and page % turn.empty_page_every == 0
    found: list[dict[str, Any]] = []
    place = behind or _Place(start, -1, 0)
    size = scanned = 0
    for timestamp, number, stream, event in _merged(_streams(group, asked), start, end):
        if behind is not None and (timestamp, number) <= (behind.timestamp, behind.number):
            continue
        weight = len(event.message.encode()) + _OVERHEAD
        if (
            empty
            or scanned >= turn.scanned_a_page
            or len(found) >= limit
            or (found and size + weight > _MOST_BYTES)
        ):
            token = _Place(place.timestamp, place.number, page).token()
            return json.dumps({"events": found, "searchedLogStreams": [], "nextToken": token})
        place = _Place(timestamp, number, page)
        scanned += 1
        if matches(event.message):
            size += weight
            found.append(
                {
                    "logStreamName": stream.log_stream_name,
                    "timestamp": timestamp,
                    "message": event.message,
                    "ingestionTime": event.ingestion_time,
                    "eventId": event_id(event),
                }
            )
    return json.dumps({"events": found, "searchedLogStreams": []})


# ---- GetLogEvents


def _position(token: str) -> tuple[str, int]:
    direction, _, rest = token.partition("/")
    number = rest.removesuffix("/s")
    if direction not in ("f", "b") or not number.isdigit():
        raise InvalidParameterException(_BAD_TOKEN)
    return direction, int(number)


def get_log_events(self: LogsResponse) -> str:
    """GetLogEvents. At an end the same token comes back: that is how AWS says so."""
    asked = _asked(self)
    group = find_group(self.logs_backend, asked)
    stream = group.streams.get(asked.get("logStreamName") or "")
    if stream is None:
        raise ResourceNotFoundException("The specified log stream does not exist.")
    limit, index = _limit(asked), index_of(stream)
    start, end = asked.get("startTime"), asked.get("endTime")
    low = bisect_left(index.times, start) if start is not None else 0
    high = bisect_left(index.times, end) if end is not None else len(index.times)
    token = asked.get("nextToken")
    if token:
        direction, position = _position(token)
    elif asked.get("startFromHead"):
        direction, position = "f", low
    else:
        direction, position = "b", high
    if direction == "f":
        first = min(max(low, position), max(low, high))
        last = _fits(index.events, range(first, min(high, first + limit)))
    else:
        last = max(min(high, position), low)
        first = _fits(index.events, range(last - 1, max(low, last - limit) - 1, -1))
    events = [
        {"timestamp": one.timestamp, "message": one.message, "ingestionTime": one.ingestion_time}
        for one in index.events[first:last]
    ]
    tokens = {"nextForwardToken": f"f/{last:056d}/s", "nextBackwardToken": f"b/{first:056d}/s"}
    return json.dumps({"events": events, **tokens})


def _fits(events: list[LogEvent], positions: range) -> int:
    """How far a page of 1 MB reaches along ``positions``: the border behind its last event."""
    size = 0
    for count, position in enumerate(positions):
        size += len(events[position].message.encode()) + _OVERHEAD
        if count and size > _MOST_BYTES:
            return position if positions.step > 0 else position + 1
    return positions.stop if positions.step > 0 else positions.stop + 1


def _update(self: LogStream) -> None:
    """First and last timestamp, without going through all events for each DescribeLogStreams."""
    times = index_of(self).times
    bounds: Any = (times[0], times[-1]) if times else (None, None)
    self.first_event_timestamp, self.last_event_timestamp = bounds


def install() -> None:
    """Sets reading on moto's CloudWatch Logs."""
    replace(LogsResponse, filter_log_events=filter_log_events, get_log_events=get_log_events)
    replace(LogStream, _update=_update)
