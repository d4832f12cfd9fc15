"""The guardrails as they are now: blocked phrases, topics and switches of the chat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.sources.base import TEXT, Column, Reading, Source

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "read"]

_CALL = "qbusiness:GetChatControlsConfiguration"
_PAGE = 50
_LISTS = ("blockedPhrases", "topicConfigurations")
_NO_SETTINGS = {*_LISTS, "nextToken", "ResponseMetadata"}

_COLUMNS = {
    "kind": Column(TEXT, "", "blocked-phrase, topic or setting"),
    "name": Column(
        TEXT, "", "the phrase, the topic's name, or the setting's (responseScope …). When it was changed, and by whom, "
        "only CloudTrail says (source trail)",
    ),
    "value": Column(
        TEXT, "", "as JSON text: the topic's configuration, the setting's value; empty for a phrase"
    ),
}  # fmt: skip


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row for each phrase, topic and setting, now (``qbusiness:GetChatControlsConfiguration``).

    Raises
    ------
    AwsError
        Refused or not reached.
    SettingsError
        Where the application's id is not set.
    """
    settings.require("app_id")
    client = aws.client("qbusiness")
    pages: list[Mapping[str, Any]] = []
    with aws_errors(_CALL, f"application {settings.app_id}"):
        paginator = client.get_paginator("get_chat_controls_configuration")
        pages.extend(paginator.paginate(applicationId=settings.app_id, PaginationConfig={"PageSize": _PAGE}))
    return Reading(
        source="chat-controls",
        call=_CALL,
        parameters={"applicationId": settings.app_id},
        rows=[{"kind": kind, "name": name, "value": value} for kind, name, value in _rows(pages)],
    )


SOURCE = Source("chat-controls", "Guardrails (chat controls)", read, _COLUMNS)


def _rows(pages: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Every page repeats phrases and settings; topics are shared out among them."""
    phrases: dict[str, None] = {}
    topics: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for page in pages:
        blocked = page.get("blockedPhrases") or {}
        phrases |= dict.fromkeys(blocked.get("blockedPhrases") or ())
        topics |= {topic["name"]: topic for topic in page.get("topicConfigurations") or ()}
        values |= {name: value for name, value in page.items() if name not in _NO_SETTINGS}
        if message := blocked.get("systemMessageOverride"):
            values["blockedPhrases.systemMessageOverride"] = message
    yield from (("blocked-phrase", phrase, "") for phrase in phrases)
    yield from (("topic", name, _json(topic)) for name, topic in topics.items())
    yield from (("setting", name, _json(values[name])) for name in sorted(values))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
