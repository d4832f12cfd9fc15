"""The guardrails as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.stub_aws import Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, AwsError, SettingsError
from vmqlib.settings import Settings
from vmqlib.sources import chatcontrols, frame
from vmqlib.times import Window


def topic(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": "d",
        "exampleChatMessages": ["e"],
        "rules": [{"ruleType": "CONTENT_BLOCKER_RULE"}],
    }


def test_those_of_the_local_aws(
    sync_failed_aws: Any, point_at: Callable[[Any], None], window: Window
) -> None:
    point_at(sync_failed_aws)
    aws = Aws(Settings.load())
    reading = chatcontrols.read(aws, aws.settings, window)
    aws.close()
    table = frame(chatcontrols.SOURCE, reading.rows)
    phrases = table[table["kind"] == "blocked-phrase"]
    assert {"password", "salary"} <= set(phrases["name"])
    assert (phrases["value"] == "").all()
    settings = table[table["kind"] == "setting"].set_index("name")["value"].map(json.loads)
    assert settings["responseScope"] == "ENTERPRISE_CONTENT_ONLY"
    assert settings["blockedPhrases.systemMessageOverride"].startswith("This assistant")
    assert settings["orchestrationConfiguration"] == {"control": "DISABLED"}


def test_every_page_once(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        start = int(asked.values.get("nextToken", 0))
        more = {"nextToken": str(start + 4)} if start < 8 else {}
        return {
            "responseScope": "ENTERPRISE_CONTENT_ONLY",
            "blockedPhrases": {"blockedPhrases": ["a", "b"]},
            "topicConfigurations": [topic(f"t{n}") for n in range(start, min(start + 4, 10))],
        } | more

    stub.on["GetChatControlsConfiguration"] = answer
    table = frame(chatcontrols.SOURCE, chatcontrols.read(aws, settings, window).rows)
    assert table["kind"].tolist() == ["blocked-phrase"] * 2 + ["topic"] * 10 + ["setting"]
    assert table["name"].tolist() == ["a", "b", *(f"t{n}" for n in range(10)), "responseScope"]
    assert json.loads(table["value"].iloc[2]) == topic("t0")


def test_an_application_without_any(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["GetChatControlsConfiguration"] = lambda _: {}
    reading = chatcontrols.read(aws, settings, window)
    assert reading.outcome() == (True, "")
    assert list(reading.rows) == []


def test_pages_that_go_round_in_circles(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["GetChatControlsConfiguration"] = lambda _: {"nextToken": "again"}
    with pytest.raises(AwsError):
        chatcontrols.read(aws, settings, window)


def test_refused(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["GetChatControlsConfiguration"] = lambda _: error("AccessDeniedException", 403)
    with pytest.raises(AccessDenied) as refused:
        chatcontrols.read(aws, settings, window)
    assert "Grant qbusiness:GetChatControlsConfiguration" in refused.value.hint


def test_no_application_is_set(aws: Aws, window: Window) -> None:
    with pytest.raises(SettingsError, match="APP_ID"):
        chatcontrols.read(aws, Settings.load(), window)
