"""Slack: a bot's token, whose messages of one incident hang in one thread, or an incoming webhook.

A message is never posted twice in silence. After "slow down" (429) it certainly was not posted, nor when no connection
came about: it is sent again. When the answer was lost, nobody knows: with a token the channel is looked through for the
message's marker (its metadata), and only where it is not there it is sent again; a webhook cannot look, and says that
it may have been posted. slack-sdk's own retries are off: they post again after a connection that was reset.
"""

from __future__ import annotations

import errno
import http.client
import logging
import socket
import ssl
import urllib.error
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from vmqlib.errors import DeliveryFailed
from vmqlib.runbook.communicate.receipts import Image, Outgoing, Receipt, Via
from vmqlib.runbook.communicate.slackerrors import MAYBE, refused
from vmqlib.runbook.communicate.trying import NotYet, Unknown, Waits, keep_trying

if TYPE_CHECKING:
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web import SlackResponse

__all__ = ["METADATA", "SlackBot", "SlackWebhook"]

METADATA: Final = "vmq_message"
"""The event type of our messages' metadata."""

_TIMEOUT_S = 10
_PAGE, _PAGES = 200, 10
_LOOKS = 3
# A channel is looked through from so long before the message was sent: more than any two clocks differ.
_CLOCKS_DIFFER = timedelta(days=1)
_LARGEST_IMAGE = 2_000_000
# What happens before a request has left: then it certainly did not arrive.
_NOT_LEFT = frozenset(
    {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)


class SlackBot:
    """A Slack app's bot.

    Parameters
    ----------
    token:
        Its token. Never shown.
    channel:
        Where to post: a name with ``#``, or an id.
    base_url:
        Slack's API.
    waits:
        How long to keep at it.
    """

    via: Via = "slack"

    def __init__(
        self, token: str, channel: str, base_url: str = "https://slack.com/api/", waits: Waits | None = None
    ) -> None:
        from slack_sdk.web import WebClient

        self.where = channel
        self._waits = waits or Waits()
        self._client = WebClient(
            token, base_url=base_url, timeout=_TIMEOUT_S, retry_handlers=[], logger=_quiet_logger()
        )
        # urllib reads the environment's proxies itself, and NO_PROXY with them; slack-sdk does not know that one.
        self._client.proxy = None

    def deliver(self, outgoing: Outgoing) -> Receipt:
        """Posts it (chat.postMessage), in the thread where there is one. Raises as the protocol says."""
        self._waits.begin()
        thread = outgoing.thread[0] if outgoing.thread else None
        said = outgoing.message.slack(outgoing.whole)

        def post() -> Mapping[str, Any]:
            return self._call(
                self._client.chat_postMessage,
                channel=self.where,
                text=said["text"],
                blocks=said["blocks"],
                thread_ts=thread,
                metadata={
                    "event_type": METADATA,
                    "event_payload": {"incident": outgoing.message.incident_id, "marker": outgoing.marker},
                },
                mrkdwn=False,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )

        receipt = keep_trying(
            lambda: self._receipt(post(), thread), self._waits, self.where, lambda: self.find(outgoing)
        )
        return self._finished(receipt, outgoing.image)

    def find(self, outgoing: Outgoing) -> Receipt | None:
        """Looks for its marker in the thread, or in the channel (conversations.replies, conversations.history)."""
        for _ in range(_LOOKS):
            try:
                return self._find(outgoing)
            except NotYet as error:
                why = str(error)
                if not self._waits.allow(error.after + 0.1):
                    break
            except Unknown as error:
                why = str(error)
                break
        raise DeliveryFailed(f"{self.where} cannot be looked through: {why}.", hint="Look there yourself.")

    def _find(self, outgoing: Outgoing) -> Receipt | None:
        thread = outgoing.thread[0] if outgoing.thread else ""
        channel = self._channel_id()
        cursor = ""
        for _ in range(_PAGES):
            asked: dict[str, Any] = {"channel": channel, "limit": _PAGE, "include_all_metadata": True}
            if outgoing.at is not None and not thread:
                asked["oldest"] = f"{(outgoing.at - _CLOCKS_DIFFER).timestamp():.6f}"
            if cursor:
                asked["cursor"] = cursor
            if thread:
                page = self._call(self._client.conversations_replies, ts=thread, **asked)
            else:
                page = self._call(self._client.conversations_history, **asked)
            for message in page.get("messages", []):
                payload = (message.get("metadata") or {}).get("event_payload") or {}
                if payload.get("marker") == outgoing.marker:
                    return self._receipt({"ts": message["ts"], "channel": channel}, thread or None)
            cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                return None
        # "Not there" takes a look at all of it.
        raise Unknown(f"{_PAGE * _PAGES:,} messages were looked through, and there are more")

    def _channel_id(self) -> str:
        """conversations.history takes ids only; a name is looked for among the app's own channels."""
        if not self.where.startswith("#"):
            return self.where
        # Private ones take another scope (groups:read): they are asked for only where no public one has the name.
        for kind in ("public_channel", "private_channel"):
            if found := self._named(self.where.lstrip("#"), kind):
                return found
        raise refused("channel_not_found", self.where)

    def _named(self, name: str, kind: str) -> str:
        """The id of the app's channel of that name and kind, or nothing."""
        cursor = ""
        while True:
            page = self._call(
                self._client.users_conversations,
                types=kind,
                limit=200,
                exclude_archived=True,
                **({"cursor": cursor} if cursor else {}),
            )
            for channel in page.get("channels", []):
                if channel.get("name") == name:
                    return str(channel["id"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                return ""

    def _receipt(self, answer: Mapping[str, Any], thread: str | None) -> Receipt:
        ts, channel = str(answer["ts"]), str(answer["channel"])
        return Receipt("slack", self.where, ts, thread or ts, answer=channel)

    def _finished(self, receipt: Receipt, image: Image | None) -> Receipt:
        """Adds the permalink and the picture. The message stands whatever becomes of these."""
        permalink, remarks = "", []
        try:
            answer = self._call(
                self._client.chat_getPermalink, channel=receipt.answer, message_ts=receipt.reference
            )
            permalink = str(answer.get("permalink", ""))
        except (DeliveryFailed, Unknown, NotYet) as error:
            remarks.append(f"Its permalink is not known: {error}")
        if image is not None:
            try:
                self._upload(image, receipt)
            except (DeliveryFailed, Unknown, NotYet) as error:
                remarks.append(f"The picture was not uploaded: {error}")
        return replace(receipt, permalink=permalink, remark=" ".join(remarks))

    def _upload(self, image: Image, receipt: Receipt) -> None:
        """files.getUploadURLExternal, the upload itself, files.completeUploadExternal."""
        if len(image.png) > _LARGEST_IMAGE:
            raise Unknown(f"it has {len(image.png):,} bytes")
        self._call(
            self._client.files_upload_v2,
            file=image.png,
            filename=image.name,
            title=image.name,
            alt_txt=image.alt[:1000],
            channel=receipt.answer,
            thread_ts=receipt.thread,
        )

    def _call(self, method: Callable[..., SlackResponse], **arguments: Any) -> Mapping[str, Any]:
        """One request. Raises what was made of its error."""
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            answer = method(**arguments)
        except SlackApiError as error:
            raise self._said_no(error) from None
        except SlackClientError as error:
            raise Unknown(type(error).__name__) from None
        except (OSError, http.client.HTTPException) as error:
            raise _lost(error) from None
        data = answer.data
        return data if isinstance(data, dict) else {}

    def _said_no(self, error: SlackApiError) -> Exception:
        answer = error.response
        code, status = str(answer.get("error", "")), int(answer.status_code)
        if status == 429 or code in ("ratelimited", "rate_limited"):
            return NotYet("Slack asks to slow down", _seconds(answer.headers))
        if status >= 500 or code in MAYBE:
            return Unknown(f"Slack failed while it worked ({code if code in MAYBE else f'HTTP {status}'})")
        return refused(code, self.where, needed=str(answer.get("needed", "")), status=status)


class SlackWebhook:
    """An incoming webhook: posts into the channel that it was made for. Nothing can be looked up or threaded.

    Parameters
    ----------
    url:
        Its address, which is a secret. Never shown.
    channel:
        The channel's name, for people.
    waits:
        How long to keep at it.
    """

    via: Via = "webhook"

    def __init__(self, url: str, channel: str, waits: Waits | None = None) -> None:
        from slack_sdk.webhook import WebhookClient

        self.where = channel
        self._waits = waits or Waits()
        self._client = WebhookClient(url, timeout=_TIMEOUT_S, retry_handlers=[], logger=_quiet_logger())
        self._client.proxy = None

    def deliver(self, outgoing: Outgoing) -> Receipt:
        """Posts it. Raises as the protocol says."""
        self._waits.begin()
        return keep_trying(
            lambda: self._post(outgoing),
            self._waits,
            self.where,
            lambda: self.find(outgoing),
            can_look=False,
        )

    def find(self, outgoing: Outgoing) -> Receipt | None:
        """A webhook cannot look."""
        raise DeliveryFailed(
            f"A webhook cannot look whether the message is in {self.where}.",
            hint="Look there yourself; with a bot's token (VMQ_SLACK_TOKEN) the kit can.",
        )

    def _post(self, outgoing: Outgoing) -> Receipt:
        said = outgoing.message.slack(outgoing.whole)
        try:
            answer = self._client.send_dict({**said, "unfurl_links": False, "unfurl_media": False})
        except (OSError, http.client.HTTPException) as error:
            raise _lost(error) from None
        if answer.status_code == 429:
            raise NotYet("Slack asks to slow down", _seconds(answer.headers))
        if answer.status_code >= 500:
            raise Unknown(f"Slack failed while it worked (HTTP {answer.status_code})")
        if answer.status_code != 200 or answer.body != "ok":
            raise refused(answer.body.strip(), self.where, status=answer.status_code)
        remark = "" if outgoing.image is None else "A webhook takes no picture."
        return Receipt("webhook", self.where, answer="ok", remark=remark)


def _lost(error: BaseException) -> Exception:
    """What a failed connection means: whether the request can have arrived."""
    reason = getattr(error, "reason", error)  # urllib's URLError wraps what happened before an answer
    if isinstance(reason, socket.gaierror):
        return NotYet("Slack's name cannot be resolved")
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = "The certificate of Slack, or of a proxy before it, is not trusted."
        return DeliveryFailed(
            f"Not posted: {why}",
            hint="Where a proxy opens TLS, name its certificates in SSL_CERT_FILE.",
            why=why,
        )
    if isinstance(reason, OSError) and reason.errno in _NOT_LEFT:
        return NotYet("no connection to Slack")
    # urllib wraps what happens before all of a request has left, and nothing else.
    if isinstance(error, urllib.error.URLError) and isinstance(reason, TimeoutError):
        return NotYet(f"no connection to Slack within {_TIMEOUT_S} s")
    if isinstance(error, TimeoutError):
        return Unknown(f"no answer within {_TIMEOUT_S} s")
    return Unknown("the connection broke before an answer came")


def _seconds(headers: Mapping[str, Any]) -> float:
    """``Retry-After``; 1 where it is no number. A header may come as a list."""
    value = next((value for name, value in dict(headers).items() if name.lower() == "retry-after"), "1")
    text: Any = value[0] if isinstance(value, list) and value else value
    try:
        return max(0.0, float(text))
    except (TypeError, ValueError):
        return 1.0


def _quiet_logger() -> logging.Logger:
    """slack-sdk logs errors, with addresses, to whoever listens: ours are told in our own words."""
    logger = logging.getLogger("vmqlib.slack")
    logger.propagate = False
    logger.setLevel(logging.CRITICAL)
    return logger
