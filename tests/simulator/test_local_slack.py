"""The local Slack says no where Slack's documentation says so, and works out whom a message pages."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from vmqlib.simulator.slack import CHANNEL_ID, LocalSlack, SlackFault

EMPTY = {"type": "text", "text": ""}


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with LocalSlack() as made:
        yield made


def call(slack: LocalSlack, method: str, token: str = LocalSlack.token, **asked: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        slack.api_url + method,
        json.dumps(asked).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return dict(json.loads(answer.read()))


def post(slack: LocalSlack, **asked: Any) -> dict[str, Any]:
    return call(slack, "chat.postMessage", channel="#ops-escalations", **asked)


def section(text: str, kind: str = "mrkdwn") -> dict[str, Any]:
    return {"type": "section", "text": {"type": kind, "text": text}}


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([section("x" * 3_000)], ""),
        ([section("x" * 3_001)], "invalid_blocks"),
        ([section("")], "invalid_blocks"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "invalid_blocks"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "invalid_blocks"),
        ([section("x")] * 50, ""),
        ([section("x")] * 51, "invalid_blocks"),
        ([section("x" * 2_700)] * 5, "msg_blocks_too_long"),
        ([{"type": "carousel-of-lies"}], "invalid_blocks"),
        ([{"type": "rich_text", "elements": []}], "invalid_blocks"),
        ([{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [EMPTY]}]}], "invalid_blocks"),
        ("nonsense", "invalid_arguments"),
    ],
)  # fmt: skip
def test_blocks_are_checked(slack, blocks, error) -> None:
    answer = post(slack, blocks=blocks)
    assert answer.get("error", "") == error
    assert len(slack.messages) == (not error)


def test_text_tokens_channels_and_threads_are_checked(slack) -> None:
    assert post(slack, text="x" * 40_001)["error"] == "msg_too_long"
    assert post(slack)["error"] == "no_text"
    assert (
        call(slack, "chat.postMessage", token="xoxb-other", channel="#ops-escalations", text="x")["error"]
        == "invalid_auth"
    )
    assert (
        call(slack, "chat.postMessage", token="", channel="#ops-escalations", text="x")["error"]
        == "not_authed"
    )
    assert call(slack, "chat.postMessage", channel="#elsewhere", text="x")["error"] == "channel_not_found"
    assert post(slack, text="x", thread_ts="1.000001")["error"] == "thread_not_found"
    assert call(slack, "conversations.history", channel="#ops-escalations")["error"] == "channel_not_found"
    assert call(slack, "admin.users.remove")["error"] == "unknown_method"
    assert slack.messages == ()


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("<!channel> and <@U0123456>", ("channel", "U0123456")),
        ("&lt;!channel&gt;", ()),
        ("<https://example.com|x> @here", ()),
        ("<!subteam^S0123|ops>", ("S0123",)),
    ],
)
def test_whom_a_text_pages(slack, text, pages) -> None:
    post(slack, text=text)
    post(slack, text="x", blocks=[section(text)])
    rich = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    post(slack, text="x", blocks=[{"type": "rich_text", "elements": [rich]}])
    assert [one.pages for one in slack.messages] == [pages, pages, ()]


def test_rich_text_pages_by_elements(slack) -> None:
    broadcast = {"type": "rich_text_section", "elements": [{"type": "broadcast", "range": "here"}]}
    post(slack, text="x", blocks=[{"type": "rich_text", "elements": [broadcast]}])
    assert slack.messages[0].pages == ("here",)


def test_faults_answer_as_slack_does(slack) -> None:
    slack.faults.append(SlackFault("chat.postMessage", status=429, retry_after=5))
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(slack, text="x")
    with caught.value as error:
        assert (error.code, error.headers["Retry-After"]) == (429, "5")
        assert json.loads(error.read()) == {"ok": False, "error": "ratelimited"}
    slack.faults.append(SlackFault(lost=True))
    with pytest.raises(OSError, match=r".+"):
        post(slack, text="kept all the same")
    assert [one.text for one in slack.messages] == ["kept all the same"]


def test_history_pages_with_metadata_only_where_it_is_asked_for(slack) -> None:
    metadata = {"event_type": "e", "event_payload": {"n": 1}}
    first = post(slack, text="one", metadata=metadata)
    post(slack, text="two", thread_ts=first["ts"])
    post(slack, text="three")
    page = call(slack, "conversations.history", channel=CHANNEL_ID, limit=1)
    assert [one["text"] for one in page["messages"]] == ["three"]
    rest = call(
        slack, "conversations.history", channel=CHANNEL_ID, limit=1, include_all_metadata=True,
        cursor=page["response_metadata"]["next_cursor"],
    )  # fmt: skip
    assert rest["messages"][0]["metadata"] == metadata
    thread = call(slack, "conversations.replies", channel=CHANNEL_ID, ts=first["ts"])
    assert [one["text"] for one in thread["messages"]] == ["one", "two"]
    assert "metadata" not in thread["messages"][0]


def test_the_webhook_answers_in_plain_text(slack) -> None:
    def hook(body: bytes, url: str = "") -> tuple[int, str]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url or slack.webhook_url, body)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    assert hook(b'{"text": "hello"}') == (200, "ok")
    assert hook(b"nonsense") == (400, "invalid_payload")
    assert hook(b"{}") == (400, "no_text")
    assert hook(json.dumps({"text": "x", "blocks": [section("x" * 3_001)]}).encode()) == (
        400,
        "invalid_blocks",
    )
    assert hook(b'{"text": "x"}', f"{slack.url}/services/other") == (404, "no_service")


def test_vmq_sim_slack_serves_and_shows_messages() -> None:
    words = [sys.executable, "-m", "vmqlib.cli", "sim", "slack"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        env: dict[str, str] = {}
        for line in process.stdout:
            if line.startswith("# ready"):
                break
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                env[name] = value.strip("'")
        request = urllib.request.Request(
            env["VMQ_SLACK_API_URL"] + "chat.postMessage",
            json.dumps({"channel": env["VMQ_SLACK_CHANNEL"], "text": "hello there"}).encode(),
            {"Authorization": f"Bearer {env['VMQ_SLACK_TOKEN']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.loads(answer.read())["ok"]
        process.terminate()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "hello there" in err
