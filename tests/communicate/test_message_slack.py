"""Slack: one thread an incident, never twice in silence, no secret in any word, and its errors with a way out."""

from __future__ import annotations

import socket
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.errors import DeliveryFailed
from vmqlib.runbook.communicate.brief import Brief, brief
from vmqlib.runbook.communicate.message import build
from vmqlib.runbook.communicate.receipts import Image, Outgoing
from vmqlib.runbook.communicate.slack import SlackBot, SlackWebhook
from vmqlib.runbook.communicate.trying import Waits
from vmqlib.simulator.slack import CHANNEL_ID, LocalSlack, SlackFault

POST = "chat.postMessage"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@pytest.fixture
def known(incident) -> Brief:
    return brief(incident)


@pytest.fixture
def bot(slack, idle) -> SlackBot:
    return SlackBot(slack.token, "#ops-escalations", slack.api_url, idle.waits())


@pytest.fixture
def hook(slack, idle) -> SlackWebhook:
    return SlackWebhook(slack.webhook_url, "#ops-escalations", idle.waits())


def outgoing(known: Brief, marker: str = "markerone", **more: Any) -> Outgoing:
    return Outgoing(
        build("update", known, lambda text: text), marker, "the record has the whole of it.", **more
    )


def test_a_message_is_posted_with_its_link_and_hangs_in_the_thread(bot, slack, known) -> None:
    first = bot.deliver(outgoing(known))
    second = bot.deliver(outgoing(known, "markertwo", thread=(first.thread,)))
    one, two = slack.messages
    assert (one.thread_ts, two.thread_ts) == ("", one.ts)
    assert (first.reference, first.thread, second.thread) == (one.ts, one.ts, one.ts)
    assert first.permalink.endswith(f"/archives/{CHANNEL_ID}/p{one.ts.replace('.', '')}")
    assert one.metadata["event_payload"] == {"incident": known.id, "marker": "markerone"}
    assert one.pages == ()


def test_slow_down_is_waited_for_as_long_as_slack_says(bot, slack, known, idle) -> None:
    slack.faults.append(SlackFault(POST, status=429, retry_after=7, times=2))
    bot.deliver(outgoing(known))
    assert idle.slept == [pytest.approx(7.1)] * 2
    assert len(slack.messages) == 1


def test_slow_down_for_longer_than_there_is_patience_ends(slack, known, idle) -> None:
    slack.faults.append(SlackFault(POST, status=429, retry_after=600))
    with pytest.raises(DeliveryFailed, match="slow down") as caught:
        SlackBot(slack.token, "#ops-escalations", slack.api_url, idle.waits()).deliver(outgoing(known))
    assert not caught.value.maybe
    assert idle.slept == []
    assert slack.messages == ()


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        SlackFault(POST, lost=True),
        SlackFault(POST, status=500, times=0),
    ],
    ids=["lost", "none"],
)
def test_after_a_lost_answer_it_is_found_and_not_posted_again(bot, slack, known, fault, thread) -> None:
    root = (bot.deliver(outgoing(known, "root")).thread,) if thread else ()
    slack.faults.append(SlackFault(**vars(fault)))
    receipt = bot.deliver(outgoing(known, thread=root))
    mine = [one for one in slack.messages if one.metadata["event_payload"]["marker"] == "markerone"]
    assert [one.ts for one in mine] == [receipt.reference]
    assert receipt.thread == (root[0] if thread else receipt.reference)


@pytest.mark.parametrize(
    "fault",
    [
        SlackFault(POST, cut=True), SlackFault(POST, status=503), SlackFault(POST, error="fatal_error"),
        SlackFault(POST, status=500),
    ],
    ids=["cut", "503", "fatal", "500"],
)  # fmt: skip
def test_what_is_not_there_after_a_failure_is_posted_again(bot, slack, known, fault) -> None:
    slack.faults.append(SlackFault(**vars(fault)))
    bot.deliver(outgoing(known))
    assert len(slack.messages) == 1
    assert slack.requests.count("conversations.history") == 2


def test_without_the_scope_to_look_it_says_that_nobody_knows(idle, known) -> None:
    with LocalSlack(scopes=frozenset({"chat:write", "channels:read"})) as slack:
        slack.faults.append(SlackFault(POST, lost=True))
        bot = SlackBot(slack.token, "#ops-escalations", slack.api_url, idle.waits())
        with pytest.raises(DeliveryFailed, match="may have arrived") as caught:
            bot.deliver(outgoing(known))
        assert caught.value.maybe
        assert "channels:history" in caught.value.message
        assert len(slack.messages) == 1
        assert slack.requests.count(POST) == 1


def test_a_private_channel_takes_another_scope_to_look(bot, slack, known) -> None:
    slack.faults.append(SlackFault(POST, lost=True))
    slack.faults.append(SlackFault("users.conversations", error="missing_scope"))
    with pytest.raises(DeliveryFailed, match="may have arrived"):
        bot.deliver(outgoing(known))
    slack.channel = "renamed-meanwhile"
    with pytest.raises(DeliveryFailed, match=r"groups:read"):
        bot.find(outgoing(known))


def test_a_webhook_cannot_look_and_is_not_used_again(hook, slack, known) -> None:
    slack.faults.append(SlackFault("webhook", lost=True))
    with pytest.raises(DeliveryFailed, match="may have arrived") as caught:
        hook.deliver(outgoing(known))
    assert caught.value.maybe
    assert len(slack.messages) == 1
    assert slack.requests == ("webhook",)


def test_a_webhook_posts_and_waits_for_slow_down(hook, slack, known, idle) -> None:
    slack.faults.append(SlackFault("webhook", status=429, retry_after=3))
    receipt = hook.deliver(outgoing(known))
    (one,) = slack.messages
    assert (one.via, receipt.via, receipt.reference, receipt.permalink) == ("webhook", "webhook", "", "")
    assert idle.slept == [pytest.approx(3.1)]


def test_where_nobody_listens_it_is_tried_again_and_was_not_sent(known, idle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bot = SlackBot(
        "xoxb-a-token-for-nobody", "#ops-escalations", f"http://127.0.0.1:{port}/api/", idle.waits()
    )
    with pytest.raises(DeliveryFailed, match="no connection to Slack") as caught:
        bot.deliver(outgoing(known))
    assert not caught.value.maybe
    assert idle.slept == [2.0, 4.0], "nobody waits for nothing after the last try"
    assert idle.told == [
        "#ops-escalations: not reached (no connection to Slack), trying again in 2 s (2 of 3)",
        "#ops-escalations: not reached (no connection to Slack), trying again in 4 s (3 of 3)",
    ]


def test_ctrl_c_while_it_waits_ends_the_trying_and_tells_that_it_was_not_sent(slack, known) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    slack.faults.append(SlackFault(POST, status=429, retry_after=60))
    bot = SlackBot(slack.token, "#ops-escalations", slack.api_url, Waits(interrupted))
    with pytest.raises(DeliveryFailed, match="interrupted before it was tried again") as caught:
        bot.deliver(outgoing(known))
    assert (caught.value.stopped, caught.value.maybe) == (True, False)
    slack.faults[:] = [SlackFault(POST, lost=True)]
    with pytest.raises(DeliveryFailed, match="may have arrived") as caught:
        bot.deliver(outgoing(known))
    assert (caught.value.stopped, caught.value.maybe) == (True, True)
    assert slack.requests.count(POST) == 2


def test_a_connection_that_takes_too_long_was_none(known, idle, monkeypatch) -> None:
    def silent(*_: Any, **__: Any) -> Any:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    bot = SlackBot("xoxb-a-token-for-nobody", "#ops-escalations", "http://127.0.0.1:9/api/", idle.waits())
    with pytest.raises(DeliveryFailed, match="no connection to Slack within 10 s") as caught:
        bot.deliver(outgoing(known))
    assert not caught.value.maybe


@pytest.mark.parametrize(
    ("code", "said", "hint"),
    [
        ("invalid_auth", "does not know the token", "VMQ_SLACK_TOKEN"),
        ("token_revoked", "revoked", "VMQ_SLACK_TOKEN"),
        ("not_in_channel", "not in #ops-escalations", "/invite"),
        ("channel_not_found", "no channel #ops-escalations", "slack_channel"),
        ("missing_scope", "lacks the scope", "install it anew"),
        ("is_archived", "archived", "Unarchive"),
        ("something_new", "something_new", "chat.postMessage"),
    ],
)
def test_slacks_refusals_say_what_to_do(bot, slack, known, idle, code, said, hint) -> None:
    slack.faults.append(SlackFault(POST, error=code))
    with pytest.raises(DeliveryFailed) as caught:
        bot.deliver(outgoing(known))
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert (idle.slept, slack.requests) == ([], (POST,)), "waiting does not mend it"
    assert (caught.value.code, caught.value.maybe, caught.value.exit_code) == (code, False, 3)
    assert slack.messages == ()


def test_a_wrong_token_a_foreign_channel_and_an_absent_app_are_refused(slack, known, idle) -> None:
    with pytest.raises(DeliveryFailed, match="does not know the token"):
        SlackBot("xoxb-wrong-token", "#ops-escalations", slack.api_url, idle.waits()).deliver(outgoing(known))
    with pytest.raises(DeliveryFailed, match="no channel #nowhere"):
        SlackBot(slack.token, "#nowhere", slack.api_url, idle.waits()).deliver(outgoing(known))
    slack.member = False
    with pytest.raises(DeliveryFailed, match="not in #ops-escalations"):
        SlackBot(slack.token, "#ops-escalations", slack.api_url, idle.waits()).deliver(outgoing(known))


@pytest.mark.parametrize("code", ["no_service", "channel_is_archived", "invalid_payload"])
def test_a_webhooks_refusals_say_what_to_do(hook, slack, known, idle, code) -> None:
    slack.faults.append(SlackFault("webhook", status=404, error=code))
    with pytest.raises(DeliveryFailed) as caught:
        hook.deliver(outgoing(known))
    assert caught.value.code == code
    assert caught.value.hint
    assert (idle.slept, slack.requests) == ([], ("webhook",))


class TestThePicture:
    def test_is_uploaded_into_the_thread_with_its_words(self, bot, slack, known) -> None:
        receipt = bot.deliver(outgoing(known, image=Image(PNG, "21 runs; the last 5 failed")))
        (one,) = slack.messages
        assert one.files == ("sync-history.png",)
        assert slack.file("sync-history.png") == PNG
        assert receipt.remark == ""

    @pytest.mark.parametrize(
        "method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"]
    )
    def test_that_fails_costs_nothing_but_itself(self, bot, slack, known, method) -> None:
        slack.faults.append(SlackFault(method, status=500))
        receipt = bot.deliver(outgoing(known, image=Image(PNG, "words")))
        assert len(slack.messages) == 1
        assert "picture was not uploaded" in receipt.remark

    def test_needs_a_scope_that_may_be_missing(self, known, idle) -> None:
        with LocalSlack(scopes=frozenset({"chat:write"})) as slack:
            bot = SlackBot(slack.token, "#ops-escalations", slack.api_url, idle.waits())
            receipt = bot.deliver(outgoing(known, image=Image(PNG, "words")))
        assert "files:write" in receipt.remark
        assert receipt.reference


def test_a_permalink_that_is_refused_leaves_the_message_sent(bot, slack, known) -> None:
    slack.faults.append(SlackFault("chat.getPermalink", status=500))
    receipt = bot.deliver(outgoing(known))
    assert receipt.reference
    assert "permalink is not known" in receipt.remark


@pytest.mark.parametrize(
    "fault",
    [
        SlackFault(status=500, times=99),
        SlackFault(cut=True, times=99),
        SlackFault(error="invalid_auth", times=99),
    ],
)
def test_no_secret_is_in_any_error_or_log(slack, known, idle, fault, caplog, capfd) -> None:
    secrets = (slack.token, slack.webhook_url.rpartition("/services/")[2])
    channels = (
        SlackBot(slack.token, "#ops-escalations", slack.api_url, idle.waits()),
        SlackWebhook(slack.webhook_url, "#ops-escalations", idle.waits()),
    )
    for channel in channels:
        slack.faults[:] = [SlackFault(**vars(fault))]
        with pytest.raises(DeliveryFailed) as caught:
            channel.deliver(outgoing(known))
        told = "".join(traceback.format_exception(caught.value)) + caught.value.hint
        assert not [secret for secret in secrets if secret in told]
    out = "".join(capfd.readouterr()) + caplog.text
    assert out == ""


def test_a_look_that_is_to_slow_down_waits_too(bot, slack, known, idle) -> None:
    slack.faults += [
        SlackFault(POST, lost=True),
        SlackFault("conversations.history", status=429, retry_after=4, times=2),
    ]
    bot.deliver(outgoing(known))
    assert len(slack.messages) == 1
    assert idle.slept.count(pytest.approx(4.1)) == 2


def test_old_messages_of_a_busy_channel_are_not_looked_through(bot, slack, known) -> None:
    for number in range(2_100):
        slack.answer(POST, slack.token, {"channel": CHANNEL_ID, "text": f"chatter {number}"})
    slack.faults.append(SlackFault(POST, cut=True))
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    bot.deliver(outgoing(known, at=tomorrow))
    assert slack.requests.count("conversations.history") == 2
    assert len(slack.messages) == 2_101


def test_a_long_thread_is_read_to_its_end(bot, slack, known) -> None:
    root = bot.deliver(outgoing(known, "root")).thread
    for number in range(230):
        slack.answer(
            POST, slack.token, {"channel": CHANNEL_ID, "text": f"chatter {number}", "thread_ts": root}
        )
    slack.faults.append(SlackFault(POST, lost=True))
    receipt = bot.deliver(outgoing(known, thread=(root,)))
    assert receipt.reference == slack.messages[-1].ts
    assert slack.requests.count(POST) == 2
