"""LookupEvents.

API reference: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError

from vmqlib.simulator.aws_gaps.cloudtrail.events import ManagementEvent, events_of
from vmqlib.simulator.aws_gaps.gap import now, replace

__all__ = ["install"]

_MOST = 50
_KEPT = timedelta(days=90)
_ATTRIBUTES: Mapping[str, Callable[[ManagementEvent], tuple[str, ...]]] = {
    "EventId": lambda event: (event.event_id,),
    "EventName": lambda event: (event.name,),
    "ReadOnly": lambda event: (str(event.read_only).lower(),),
    "Username": lambda event: (event.username,),
    "ResourceType": lambda event: tuple(kind for kind, _ in event.resources),
    "ResourceName": lambda event: tuple(name for _, name in event.resources),
    "EventSource": lambda event: (event.source,),
    "AccessKeyId": lambda event: (event.access_key_id,),
}


def _moment(value: Any) -> datetime:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return datetime.fromisoformat(str(value)).astimezone(UTC)


def _test(asked: Mapping[str, Any]) -> Callable[[ManagementEvent], bool]:
    attributes = asked.get("LookupAttributes") or []
    if len(attributes) > 1 or any(one.get("AttributeKey") not in _ATTRIBUTES for one in attributes):
        raise JsonRESTError(
            "InvalidLookupAttributesException", "One lookup attribute can be given, of a known key."
        )
    earliest = now() - _KEPT
    start = max(_moment(asked["StartTime"]), earliest) if asked.get("StartTime") else earliest
    end = _moment(asked["EndTime"]) if asked.get("EndTime") else None
    if end is not None and asked.get("StartTime") and _moment(asked["StartTime"]) > end:
        raise JsonRESTError("InvalidTimeRangeException", "The start time is later than the end time.")

    def test(event: ManagementEvent) -> bool:
        return (
            start <= event.at
            and (end is None or event.at <= end)
            and all(one["AttributeValue"] in _ATTRIBUTES[one["AttributeKey"]](event) for one in attributes)
        )

    return test


def lookup_events(self: CloudTrailResponse) -> str:
    asked: dict[str, Any] = json.loads(self.body or "{}")
    most = int(asked.get("MaxResults") or _MOST)
    if not 1 <= most <= _MOST:
        raise JsonRESTError("InvalidMaxResultsException", f"The number of results must be from 1 to {_MOST}.")
    token = str(asked.get("NextToken") or "")
    everything, test = events_of(self.cloudtrail_backend), _test(asked)
    # The token names the last event given: events that come later do not move the pages.
    rows = sorted((event for event in everything if test(event)), key=lambda event: event.at)[::-1]
    known = [event.event_id for event in rows]
    if token and token not in known:
        raise JsonRESTError("InvalidNextTokenException", "The next token is invalid.")
    begin = known.index(token) + 1 if token else 0
    page = rows[begin : begin + most]
    answer: dict[str, Any] = {"Events": [_row(event) for event in page]}
    if begin + most < len(rows):
        answer["NextToken"] = page[-1].event_id
    return json.dumps(answer)


def _row(event: ManagementEvent) -> dict[str, Any]:
    return {
        "EventId": event.event_id,
        "EventName": event.name,
        "ReadOnly": str(event.read_only).lower(),
        "AccessKeyId": event.access_key_id,
        "EventTime": event.at.timestamp(),
        "EventSource": event.source,
        "Username": event.username,
        "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in event.resources],
        "CloudTrailEvent": event.record,
    }


def install() -> None:
    """Sets LookupEvents on moto's CloudTrail."""
    replace(CloudTrailResponse, lookup_events=lookup_events)
