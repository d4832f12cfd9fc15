"""StartQuery, StopQuery, GetQueryResults.

API reference: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from moto.logs.exceptions import InvalidParameterException, LogsClientError, ResourceNotFoundException
from moto.logs.models import LogGroup, LogQuery
from moto.logs.responses import LogsResponse

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.logs.conditions import BadQuery
from vmqlib.simulator.aws_gaps.logs.index import event_id, index_of
from vmqlib.simulator.aws_gaps.logs.insights import Row, run_query
from vmqlib.simulator.aws_gaps.logs.reading import find_group

__all__ = ["install"]


class MalformedQueryException(LogsClientError):
    """The query string cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedQueryException", message)


def _rows(groups: list[LogGroup], start: int, end: int) -> Iterator[Row]:
    """Events of the groups between two times in seconds, both included."""
    for group in groups:
        for name, stream in sorted(group.streams.items()):
            index = index_of(stream)
            for event in index.events:
                if start * 1000 <= event.timestamp <= end * 1000 + 999:
                    yield {
                        "@timestamp": event.timestamp,
                        "@message": event.message,
                        "@logStream": name,
                        "@log": f"{group.account_id}:{group.name}",
                        "@ingestionTime": event.ingestion_time,
                        "@ptr": event_id(event),
                    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def start_query(self: LogsResponse) -> str:
    asked: dict[str, Any] = json.loads(self.body or "{}")
    given = [asked.get(name) for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers")]
    if sum(one is not None for one in given) != 1:
        message = "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers is needed."
        raise InvalidParameterException(message)
    names = given[1] or given[2] or [given[0]]
    groups = [find_group(self.logs_backend, {"logGroupIdentifier": name}) for name in names]
    start, end = int(asked["startTime"]), int(asked["endTime"])
    if start > end:
        raise InvalidParameterException("Query's end date and time is before its start date and time.")
    rows = list(_rows(groups, start, end))
    try:
        found = run_query(asked["queryString"], rows, asked.get("limit"))
    except BadQuery as error:
        raise MalformedQueryException(str(error)) from error
    query_id = self.logs_backend.start_query([group.name for group in groups], 1, 0, "fields @message")
    query = self.logs_backend.queries[query_id]
    query.query, query.start_time, query.end_time = asked["queryString"], start, end
    query.results = [{name: _text(value) for name, value in row.items()} for row in found]
    query.__dict__["statistics"] = {
        "recordsMatched": float(len(found)),
        "recordsScanned": float(len(rows)),
        "bytesScanned": float(sum(len(str(row["@message"]).encode()) for row in rows)),
    }
    return json.dumps({"queryId": query_id})


def _query(self: LogsResponse) -> LogQuery:
    query_id = json.loads(self.body or "{}").get("queryId")
    if query_id not in self.logs_backend.queries:
        raise ResourceNotFoundException(f"Query {query_id} does not exist.")
    return self.logs_backend.queries[query_id]


def _get_query_results(original: Callable[..., str]) -> Callable[..., str]:
    def get_query_results(self: LogsResponse) -> str:
        query = _query(self)
        answer: dict[str, Any] = json.loads(original(self))
        answer["statistics"] = query.__dict__.get("statistics", {})
        return json.dumps(answer)

    return get_query_results


def stop_query(self: LogsResponse) -> str:
    """StopQuery. Queries here end at once, and a query that has ended cannot be stopped."""
    query = _query(self)
    raise InvalidParameterException(f"Query {query.query_id} has already ended with status {query.status}.")


def install() -> None:
    """Sets queries on moto's CloudWatch Logs."""
    replace(
        LogsResponse,
        start_query=start_query,
        stop_query=stop_query,
        get_query_results=_get_query_results(LogsResponse.get_query_results),
    )
