"""What people asked the assistant, and what became of it: the conversation log (``EVENT_LOGS``).

It holds personal data. It is read only where the settings say so (``read_conversations``); of whoever asked, and of
what the assistant answered, nothing is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError, SettingsError
from vmqlib.sources.base import FLAG, TEXT, TIME, Column, Progress, Reading, Row, Source, moment, shortened
from vmqlib.sources.logpages import EventPages
from vmqlib.sources.logquery import Span, span_of, time_of

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "STREAMS", "read"]

STREAMS = "EVENT_LOGS"
"""How the names of the conversation log's streams begin."""

_MOST_TEXT = 500

_COLUMNS = {
    "at": Column(TIME, "", "when it was asked (event_timestamp); when it was logged, where it does not say"),
    "conversation_id": Column(TEXT, "", "the conversation"),
    "kind": Column(TEXT, "", "log_type: Message, VendedAnalyticsChat or Feedback"),
    "is_blocked": Column(FLAG, "", "whether a guardrail blocked it; empty where it does not say"),
    "no_answer": Column(FLAG, "", "whether the assistant found no answer; empty where it does not say"),
    "question": Column(
        TEXT, "", "what was asked, at most 500 characters; secrets and personal data are masked on disk"
    ),
}


def read(aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:
    """The conversation log's events in the window, without users and answers (``logs:FilterLogEvents``).

    The rows are a generator. Where AWS refuses before the first row it raises; after that it stops, and the reading's
    outcome says so.

    Raises
    ------
    SettingsError
        Where the settings do not allow it, or APP_ID is not set.
    """
    if not settings.read_conversations:
        raise SettingsError(
            "The settings do not allow reading what users asked.",
            hint="Where you may, write read_conversations = true in vmq.toml.",
        )
    settings.require("app_id")
    progress = Progress()
    return Reading(
        source="conversations",
        call="logs:FilterLogEvents",
        parameters={
            "logGroupName": settings.log_group,
            "logStreamNamePrefix": STREAMS,
            "since": moment(window.since),
            "until": moment(window.until),
        },
        rows=_rows(aws, settings.log_group, span_of(window), progress),
        progress=progress,
    )


SOURCE = Source(
    "conversations",
    "What users asked",
    read,
    _COLUMNS,
    order=("at",),
    reach=timedelta(days=7),
    wanted=lambda settings: settings.read_conversations,
)


def _rows(aws: Aws, group: str, span: Span, progress: Progress) -> Iterator[Row]:
    before: set[str] = set()
    given = False
    try:
        for page in EventPages(aws).pages(group, span, prefix=STREAMS):
            for event in page.events:
                # Two pages may overlap where many streams are read at once.
                if event["eventId"] not in before and event["logStreamName"].startswith(STREAMS):
                    given = True
                    yield _row(event)
            before = {event["eventId"] for event in page.events}
    except AwsError as error:
        if not given:
            raise
        progress.stop(str(error))


def _row(event: Mapping[str, Any]) -> Row:
    said = _content(event["message"])
    return {
        "at": _time(said.get("event_timestamp")) or moment(time_of(int(event["timestamp"]))),
        "conversation_id": _text(said.get("conversation_id")),
        "kind": _text(said.get("log_type")),
        "is_blocked": _flag(said.get("output_metrics_is_message_blocked")),
        "no_answer": _flag(said.get("output_metrics_is_message_with_no_answer")),
        "question": _text(said.get("user_message")),
    }


def _content(message: str) -> Mapping[str, Any]:
    """The event's fields. Of a line that is no JSON nothing is kept: nobody knows what is in it."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _time(value: Any) -> str | None:
    """``event_timestamp``: milliseconds since 1970, as a number or as text."""
    try:
        return moment(time_of(int(value)))
    except (TypeError, ValueError, OverflowError):
        return None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())


def _text(value: Any) -> str:
    return shortened(
        value if isinstance(value, str) else "" if value is None else json.dumps(value), _MOST_TEXT
    )
