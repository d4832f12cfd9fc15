"""Pages of CloudWatch Logs: ``logs:DescribeLogStreams`` and ``logs:FilterLogEvents``.

A page of events has up to 10,000 events or 1 MB, and may be empty although more follow. boto3 would spend
most of the time on turning pages into objects of its own, so their JSON is taken as it comes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmqlib.aws import LONG_READ_S
from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError, ResourceMissing
from vmqlib.sources.logquery import Span

if TYPE_CHECKING:
    from vmqlib.aws import Aws

__all__ = ["EventPages", "Page", "streams_of"]

_BODY = "VmqBody"
_IDENTITY = ("logStreamName", "timestamp", "ingestionTime", "message")
_PATIENCE = 100  # empty pages with one and the same token before it counts as stuck
# A stream's lastIngestionTime lags behind by an hour or, rarely, more (DescribeLogStreams).
_LAG_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Page:
    """One answer of ``FilterLogEvents``.

    Parameters
    ----------
    events:
        As AWS sends them: ``eventId``, ``timestamp``, ``ingestionTime``, ``logStreamName``, ``message``.
    size:
        Bytes of the answer.
    token:
        Where the next page starts; empty on the last page.
    """

    events: list[dict[str, Any]]
    size: int
    token: str


def streams_of(aws: Aws, group: str, prefixes: tuple[str, ...], span: Span) -> list[str]:
    """The names of the group's streams that can have events of the span, sorted.

    Parameters
    ----------
    prefixes:
        Only streams whose names begin with one of these; empty means all.

    Raises
    ------
    ResourceMissing
        There is no such log group.
    AwsError
        ``logs:DescribeLogStreams`` refused or not reached.
    """
    found: set[str] = set()
    paginator = aws.client("logs").get_paginator("describe_log_streams")
    for prefix in prefixes or ("",):
        where: dict[str, Any] = {"logGroupName": group}
        if prefix:
            where["logStreamNamePrefix"] = prefix
        with _log_errors("logs:DescribeLogStreams", group):
            for page in paginator.paginate(**where):
                for stream in page.get("logStreams", []):
                    name = stream["logStreamName"]
                    newest = max(stream.get("lastEventTimestamp", 0), stream.get("lastIngestionTime", 0))
                    # A stream without the fields may be a new one: CloudWatch fills them in later.
                    if name.startswith(prefix) and (not newest or newest >= span.since - _LAG_MS):
                        found.add(name)
    return sorted(found)


@contextmanager
def _log_errors(operation: str, group: str) -> Iterator[None]:
    """:func:`vmqlib.aws.aws_errors` for a log group: says how Q Business comes to have one."""
    try:
        with aws_errors(operation, f"log group {group}"):
            yield
    except ResourceMissing as error:
        known = {"operation": error.operation, "code": error.code}
        cause: Any = error.__cause__
        if "stream" in cause.response["Error"].get("Message", "").lower():
            raise ResourceMissing(
                f"A log stream of {group} was deleted while it was read.", hint="Repeat.", **known
            ) from error
        raise ResourceMissing(
            f"Log group {group} does not exist.",
            hint="Q Business writes it once a log delivery (SYNC_JOB_LOGS) is set up for the application "
            "(in the console, or with logs:PutDeliverySource); check APP_ID and REGION, too.",
            **known,
        ) from error


class EventPages:
    """Reads pages of events. Safe to share between threads."""

    def __init__(self, aws: Aws) -> None:
        self._client = aws.own_client("logs", read_s=LONG_READ_S)
        self._client.meta.events.register("before-parse.cloudwatch-logs.FilterLogEvents", _keep_body)

    def pages(
        self,
        group: str,
        span: Span,
        *,
        streams: tuple[str, ...] = (),
        prefix: str = "",
        pattern: str = "",
        token: str = "",
    ) -> Iterator[Page]:
        """The pages from ``token`` on, to the last one.

        Parameters
        ----------
        streams:
            Up to 100 stream names; or else ``prefix``, the beginning of the names; or else the whole group.
        pattern:
            A CloudWatch Logs filter pattern.
        token:
            Where to go on; AWS forgets a token after 24 hours.

        Raises
        ------
        AwsError
            ``logs:FilterLogEvents`` refused or not reached.
        """
        asked: dict[str, Any] = {"logGroupName": group, "startTime": span.since, "endTime": span.until}
        if streams:
            asked["logStreamNames"] = list(streams)
        elif prefix:
            asked["logStreamNamePrefix"] = prefix
        if pattern:
            asked["filterPattern"] = pattern
        stuck = 0
        while True:
            page = self._page(group, asked | ({"nextToken": token} if token else {}))
            yield page
            if not page.token:
                return
            # AWS repeats a token while it searches through nothing; a server that never ends must not hold us.
            stuck = stuck + 1 if page.token == token and not page.events else 0
            if stuck >= _PATIENCE:
                raise AwsError(
                    f"Log group {group} answers the same empty page again and again.",
                    hint="Repeat later, or with a shorter window.",
                    operation="logs:FilterLogEvents",
                )
            token = page.token

    def _page(self, group: str, asked: dict[str, Any]) -> Page:
        with _log_errors("logs:FilterLogEvents", group):
            answer = self._client.filter_log_events(**asked)
        body = answer[_BODY]
        try:
            content = json.loads(body)
        except ValueError as error:
            raise AwsError(
                f"The answer to logs:FilterLogEvents on {group} cannot be read: {error}.",
                hint="Repeat; it may be cut short.",
                operation="logs:FilterLogEvents",
            ) from error
        events = content.get("events") or []
        if events and "eventId" not in events[0]:
            _identify(events)
        return Page(events, len(body), content.get("nextToken") or "")


def _keep_body(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Takes the JSON past boto3's parser; errors stay with boto3."""
    if response_dict["status_code"] == 200:
        customized_response_dict[_BODY] = response_dict["body"]
        response_dict["body"] = b"{}"


def _identify(events: list[dict[str, Any]]) -> None:
    """Ids for a server that sends none: equal for equal events, but for repetitions within a page."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for event in events:
        key = tuple(
            str(event.get(name)) for name in ("logStreamName", "timestamp", "ingestionTime", "message")
        )
        digest = hashlib.sha256("\0".join((*key, str(seen[key]))).encode(errors="backslashreplace"))
        seen[key] += 1
        event["eventId"] = digest.hexdigest()[:40]
