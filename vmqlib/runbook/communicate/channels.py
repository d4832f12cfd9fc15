"""Where messages go, from settings and secrets. Secrets come from the environment or Secrets Manager, and stay there.

========================  ==============================================================
``VMQ_SLACK_TOKEN``       the bot's token of a Slack app
``VMQ_SLACK_WEBHOOK``     an incoming webhook's address; the token wins where both are set
``VMQ_SMTP_USER``,        for the mail server's AUTH
``VMQ_SMTP_PASSWORD``
========================  ==============================================================
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmqlib.errors import SettingsError, VmqError
from vmqlib.runbook.communicate.mail import MailChannel, Transport
from vmqlib.runbook.communicate.receipts import Channel
from vmqlib.runbook.communicate.slack import SlackBot, SlackWebhook
from vmqlib.runbook.communicate.transports import SesTransport, SmtpTransport
from vmqlib.runbook.communicate.trying import Waits

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

__all__ = ["SECRETS", "Channels", "open_channels", "slack_is_set"]

TOKEN, WEBHOOK = "VMQ_SLACK_TOKEN", "VMQ_SLACK_WEBHOOK"
USER, PASSWORD = "VMQ_SMTP_USER", "VMQ_SMTP_PASSWORD"
SECRETS = (TOKEN, WEBHOOK, USER, PASSWORD)
"""Environment variables that hold secrets."""

_TOKEN_FORM = re.compile(r"xox[a-z.]{1,8}-[A-Za-z0-9._-]{8,}")
_WEBHOOK_FORM = re.compile(
    r"https://hooks\.slack(?:-gov)?\.com/[A-Za-z0-9/_-]+|http://(?:127\.0\.0\.1|localhost)(?::\d+)?/[A-Za-z0-9/_-]+"
)


@dataclass(frozen=True)
class Channels:
    """The ways that are set up.

    Parameters
    ----------
    slack:
        The Slack channel; ``None`` where it is not set up.
    why_no_slack:
        Why not, in a sentence.
    carrier:
        What carries mails; ``None`` where nothing is set up.
    why_no_mail:
        Why not, in a sentence.
    sender:
        Who mails come from.
    waits:
        How long mails are kept at.
    """

    slack: Channel | None = None
    why_no_slack: str = ""
    carrier: Transport | None = None
    why_no_mail: str = ""
    sender: str = ""
    waits: Waits = field(default_factory=Waits, repr=False)

    def mail(self, to: tuple[str, ...]) -> Channel | None:
        """Mails to these people; ``None`` where that is not possible."""
        if self.carrier is None or not to:
            return None
        return MailChannel(self.carrier, self.sender, to, self.waits)


def slack_is_set(settings: Settings, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a token, a webhook or a secret is named. Nothing is asked."""
    return bool(environ.get(TOKEN) or environ.get(WEBHOOK) or settings.slack_secret)


def open_channels(
    settings: Settings,
    aws: Callable[[], Aws],
    environ: Mapping[str, str] = os.environ,
    waits: Waits | None = None,
) -> Channels:
    """The ways that settings and environment set up. One that is set up wrongly counts as not set up, and says why: the
    other one is needed all the more.

    Parameters
    ----------
    aws:
        Gives the session, where a secret or SES needs one.
    environ:
        The environment.
    waits:
        How long deliveries are kept at.
    """
    waits = waits or Waits()
    slack = carrier = None
    no_slack = f"Neither {TOKEN} nor {WEBHOOK} is set, and slack_secret names no secret."
    no_mail = "No transport is set under [email] in vmq.toml."
    try:
        slack = _slack(settings, aws, environ, waits)
    except VmqError as error:
        no_slack = str(error)
    try:
        carrier = _carrier(settings, aws, environ)
    except VmqError as error:
        no_mail = str(error)
    return Channels(
        slack=slack,
        why_no_slack="" if slack else no_slack,
        carrier=carrier,
        why_no_mail="" if carrier else no_mail,
        sender=settings.email.sender or "",
        waits=waits,
    )


def _slack(
    settings: Settings, aws: Callable[[], Aws], environ: Mapping[str, str], waits: Waits
) -> Channel | None:
    token, webhook = environ.get(TOKEN, "").strip(), environ.get(WEBHOOK, "").strip()
    if not token and not webhook and settings.slack_secret:
        token, webhook = _kept(aws(), settings.slack_secret)
    if token:
        if not _TOKEN_FORM.fullmatch(token):
            raise SettingsError(
                f"{TOKEN} is not of a Slack token's form.",
                hint="A bot's token is xoxb-, numbers and letters, as Slack shows it; it is not repeated here.",
            )
        return SlackBot(token, settings.slack_channel, settings.slack_api_url, waits)
    if webhook:
        if not _WEBHOOK_FORM.fullmatch(webhook):
            raise SettingsError(
                f"{WEBHOOK} is no Slack webhook.",
                hint="Its address begins with https://hooks.slack.com/; it is not shown here.",
            )
        return SlackWebhook(webhook, settings.slack_channel, waits)
    return None


def _kept(aws: Aws, name: str) -> tuple[str, str]:
    """Token and webhook from Secrets Manager: the bare value, or JSON with ``token`` or ``webhook``."""
    from vmqlib.aws import aws_errors

    client = aws.own_client("secretsmanager")
    try:
        with aws_errors("secretsmanager:GetSecretValue", resource=f"secret {name}"):
            text = str(client.get_secret_value(SecretId=name).get("SecretString", "")).strip()
    finally:
        client.close()
    if text.startswith("{"):
        try:
            values = json.loads(text)
            return str(values.get("token", "")).strip(), str(values.get("webhook", "")).strip()
        except ValueError:
            text = ""
    if text.startswith("xox"):
        return text, ""
    if text.startswith("http"):
        return "", text
    raise SettingsError(
        f"The secret {name} holds neither a Slack token nor a webhook.",
        hint='Keep the bare value in it, or JSON: {"token": "xoxb-…"} or {"webhook": "https://hooks.slack.com/…"}.',
    )


def _carrier(settings: Settings, aws: Callable[[], Aws], environ: Mapping[str, str]) -> Transport | None:
    email = settings.email
    if not email.transport:
        return None
    if email.sender is None:
        raise SettingsError(
            "email.sender is not set.", hint="Write who mails come from under [email] in vmq.toml."
        )
    if email.transport == "ses":
        return SesTransport(aws())
    if not email.smtp_host:
        raise SettingsError(
            "email.smtp_host is not set.", hint="Name the mail server under [email] in vmq.toml."
        )
    return SmtpTransport(
        email.smtp_host, email.smtp_port, email.smtp_security, environ.get(USER, ""), environ.get(PASSWORD, ""),
        email.smtp_ca,
    )  # fmt: skip
