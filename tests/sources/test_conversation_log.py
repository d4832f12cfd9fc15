"""What users asked: read only where the settings say so, and without the users."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.records import FakeAws, MovingClock, source
from support.stub_aws import Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, SettingsError
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY, Reading, Source, conversations, frame
from vmqlib.times import SystemClock, Window

AT = 1_795_430_000_000  # 2026-11-23, 10:33 UTC


@pytest.fixture
def allowed(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_conversations": True})


def logged(number: int, **said: Any) -> dict[str, Any]:
    return {
        "eventId": f"{number:05}",
        "logStreamName": "EVENT_LOGS/x",
        "timestamp": AT + number,
        "ingestionTime": AT + number,
        "message": said.pop("raw", None) or json.dumps(said),
    }


def test_what_became_of_questions(sync_failed_aws: Any, point_at: Callable[[Any], None]) -> None:
    point_at(sync_failed_aws)
    aws = Aws(Settings.load(read_conversations=True))
    now = SystemClock().now()
    reading = conversations.read(aws, aws.settings, Window(now - timedelta(days=7), now))
    rows = list(reading.rows)
    aws.close()
    assert reading.outcome() == (True, "")
    table = frame(conversations.SOURCE, rows)
    assert set(table["kind"]) == {"Message"}
    assert table["no_answer"].any()
    assert not table["no_answer"].all()
    assert (table["question"] != "").all()
    assert "@vaultmesh.io" not in json.dumps(rows)


def test_not_without_leave(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    with pytest.raises(SettingsError, match="do not allow") as refused:
        conversations.read(aws, settings, window)
    assert "read_conversations = true" in refused.value.hint
    assert stub.asked == []


def test_without_leave_it_is_neither_asked_nor_missed(tmp_path: Path) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked")

    kept = replace(conversations.SOURCE, read=never)
    settings = Settings.load(incidents=tmp_path)
    incident = Incident.open(settings, None, trigger="guardrail", sources={"conversations": kept})
    incident.aws = Any  # type: ignore[assignment]  # nothing is asked of it
    assert incident.observe() == {}
    assert incident.observations() == {}


def test_what_was_seen_with_leave_stays_in_the_record(tmp_path: Path) -> None:
    kept = replace(source("conversations", [{"key": "k"}]), wanted=conversations.SOURCE.wanted)
    aws: Any = FakeAws(MovingClock())
    settings = Settings.load(incidents=tmp_path, read_conversations=True)
    incident = Incident.open(settings, aws, trigger="guardrail", sources={"conversations": kept})
    assert list(incident.observe()) == ["conversations"]
    later = Incident.load(
        incident.id, settings=Settings.load(incidents=tmp_path), sources={"conversations": kept}
    )
    assert later.observations()["conversations"].available


def test_fields_of_many_forms(stub: StubAws, aws: Aws, allowed: Settings, window: Window) -> None:
    blocked, unanswered = "output_metrics_is_message_blocked", "output_metrics_is_message_with_no_answer"
    events = [
        logged(
            0, log_type="Message", user_message="a", conversation_id="c", **{blocked: True, unanswered: False}
        ),
        logged(1, log_type="Message", user_message="b", **{blocked: "true", unanswered: "FALSE"}),
        logged(2, log_type="Feedback", user_message=None, **{blocked: None}),
        logged(3, log_type="Message", event_timestamp=str(AT - 60_000), user_message={"odd": [1]}),
        logged(
            4,
            log_type="Message",
            event_timestamp="yesterday",
            user_message="word " * 1000,
            user_email="me@x.example",
        ),
        logged(5, raw="no JSON: me@x.example asked"),
        logged(6, raw="[1]"),
        logged(7, raw="[" * 100_000),
        logged(8, event_timestamp=10**30),
    ]
    stub.on["FilterLogEvents"] = lambda _: {"events": events}
    rows = list(conversations.read(aws, allowed, window).rows)
    table = frame(conversations.SOURCE, rows)
    assert len(table) == 9
    assert "x.example" not in json.dumps(rows)
    table = frame(conversations.SOURCE, rows[:5])
    by_kind = table.set_index("question")
    assert by_kind.loc["a", ["is_blocked", "no_answer"]].tolist() == [True, False]
    assert by_kind.loc["b", ["is_blocked", "no_answer"]].tolist() == [True, False]
    assert by_kind.loc["", "is_blocked"] is pd.NA
    assert table["question"].str.len().max() <= 502
    assert str(table["at"].iloc[0]) == "2026-11-23 10:32:20+00:00"


def test_a_long_question_is_not_cut_within_a_secret(
    stub: StubAws, aws: Aws, allowed: Settings, window: Window
) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY"
    said = ["w " * 240 + secret + " and more", secret * 20]
    stub.on["FilterLogEvents"] = lambda _: {
        "events": [logged(n, user_message=one) for n, one in enumerate(said)]
    }
    first, second = (row["question"] for row in conversations.read(aws, allowed, window).rows)
    assert first == "w " * 240 + "…"
    assert second == "…"


def test_an_interruption_keeps_what_was_read(
    stub: StubAws, aws: Aws, allowed: Settings, window: Window
) -> None:
    def answer(asked: Asked) -> Any:
        if asked.values.get("nextToken"):
            return error("AccessDeniedException", 400)
        return {"events": [logged(n) for n in range(3)], "nextToken": "more"}

    stub.on["FilterLogEvents"] = answer
    reading = conversations.read(aws, allowed, window)
    assert len(list(reading.rows)) == 3
    complete, stopped = reading.outcome()
    assert not complete
    assert "logs:FilterLogEvents" in stopped


def test_refused(stub: StubAws, aws: Aws, allowed: Settings, window: Window) -> None:
    stub.on["FilterLogEvents"] = lambda _: error("AccessDeniedException", 400)
    with pytest.raises(AccessDenied):
        list(conversations.read(aws, allowed, window).rows)


def test_how_far_back_sources_look_by_themselves(window: Window) -> None:
    month = Window(window.until - timedelta(days=30), window.until)
    for name, days in (("trail", 7), ("conversations", 7), ("commits", 30), ("metrics", 30)):
        assert REGISTRY[name].within(month) == Window(window.until - timedelta(days=days), window.until)
    assert REGISTRY["trail"].within(window) == window


def test_an_incident_keeps_to_it_unless_told_otherwise(tmp_path: Path) -> None:
    asked: list[timedelta] = []

    def read(_aws: Any, _settings: Any, window: Window, /, *, data_source_id: str = "") -> Reading:
        asked.append(window.length)
        return Reading("s", "test:Look", {}, ())

    short = Source("s", "S", read, {}, reach=timedelta(days=7))
    clock = MovingClock()
    aws: Any = FakeAws(clock)
    incident = Incident.open(
        Settings.load(incidents=tmp_path), aws, trigger="x", clock=clock, sources={"s": short}
    )
    month = Window(clock.at - timedelta(days=30), clock.at)
    incident.observe(window=month)
    incident.observe(window=month, windows={"s": month}, refresh=True)
    assert asked == [timedelta(days=7), timedelta(days=30)]
