"""CloudWatch Logs as a stub: streams of events, served in pages, with everything that pages may do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from support.stub_aws import Answer, Asked, StubAws, error

__all__ = ["StubLogs", "event", "events"]


def event(number: int, at: int, stream: str, message: str = "") -> dict[str, Any]:
    return {
        "eventId": f"{number:056d}",
        "timestamp": at,
        "ingestionTime": at + 700,
        "logStreamName": stream,
        "message": message or json.dumps({"LogLevel": "Info", "Message": f"line {number}"}),
    }


def events(stream: str, count: int, first: int, *, step: int = 10, start: int = 0) -> list[dict[str, Any]]:
    return [event(start + number, first + number * step, stream) for number in range(count)]


class StubLogs:
    """Serves ``streams`` through a :class:`StubAws`.

    Parameters
    ----------
    page:
        Events a page.
    empty_every:
        Put an empty page with a token before every so many pages; 0 for none.
    overlap:
        Events of the page before that a page repeats.
    shuffle:
        Seed of the disorder within and between pages; ``None`` for order.
    before:
        Called with each FilterLogEvents request; an answer of its own goes out instead.
    """

    def __init__(
        self,
        stub: StubAws,
        streams: dict[str, list[dict[str, Any]]],
        *,
        group: str,
        page: int = 100,
        empty_every: int = 0,
        overlap: int = 0,
        shuffle: int | None = None,
        before: Callable[[Asked], Answer | None] = lambda asked: None,
    ) -> None:
        self.streams = streams
        self.group = group
        self.page = page
        self.empty_every = empty_every
        self.overlap = overlap
        self.shuffle = shuffle
        self.before = before
        stub.on["DescribeLogStreams"] = self.describe
        stub.on["FilterLogEvents"] = self.filter

    def describe(self, asked: Asked) -> Answer:
        if asked.values["logGroupName"] != self.group:
            return error("ResourceNotFoundException", 400, "The specified log group does not exist.")
        names = sorted(n for n in self.streams if n.startswith(asked.values.get("logStreamNamePrefix", "")))
        start = int(asked.values.get("nextToken", 0))
        body: dict[str, Any] = {"logStreams": [{"logStreamName": name} for name in names[start : start + 50]]}
        if start + 50 < len(names):
            body["nextToken"] = str(start + 50)
        return Answer(body)

    def filter(self, asked: Asked) -> Answer:
        if instead := self.before(asked):
            return instead
        values = asked.values
        if values["logGroupName"] != self.group:
            return error("ResourceNotFoundException", 400, "The specified log group does not exist.")
        names = values.get("logStreamNames") or [
            name for name in self.streams if name.startswith(values.get("logStreamNamePrefix", ""))
        ]
        found = [
            one
            for name in names
            for one in self.streams.get(name, [])
            if values["startTime"] <= one["timestamp"] <= values["endTime"]
        ]
        found.sort(key=lambda one: (one["timestamp"], one["eventId"]))
        if self.shuffle is not None:
            random.Random(self.shuffle).shuffle(found)
        return Answer(self._page(found, values.get("nextToken", "0")))

    def _page(self, found: list[dict[str, Any]], token: str) -> dict[str, Any]:
        place, _, emptied = token.partition("-")
        start = int(place)
        if self.empty_every and not emptied and (start // self.page) % self.empty_every == 0:
            return {"events": [], "nextToken": f"{start}-empty", "searchedLogStreams": []}
        body: dict[str, Any] = {"events": found[max(0, start - self.overlap) : start + self.page]}
        if start + self.page < len(found):
            body["nextToken"] = str(start + self.page)
        return body
