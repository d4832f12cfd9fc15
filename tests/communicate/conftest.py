"""An incident with a clock that is moved by hand, a local Slack, a mail server with TLS, waiting that takes no time."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from support.records import MovingClock

from vmqlib.record.incident import Incident
from vmqlib.runbook.communicate.channels import Channels, open_channels
from vmqlib.runbook.communicate.trying import Waits
from vmqlib.settings import Settings
from vmqlib.simulator.mail import OnAnyPort
from vmqlib.simulator.slack import LocalSlack


@dataclass
class Idle:
    """Waiting that takes no time and is remembered."""

    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    now: float = 0.0

    def waits(self, patience: float = 90.0) -> Waits:
        return Waits(self.sleep, lambda: self.now, patience, self.told.append)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def idle() -> Idle:
    return Idle()


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(incidents=tmp_path / "incidents")


@pytest.fixture
def incident(settings: Settings, clock: MovingClock) -> Incident:
    return Incident.open(settings, None, trigger="sync-failed", title="Syncs fail", clock=clock)


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with LocalSlack() as made:
        yield made


@pytest.fixture
def ways(slack: LocalSlack, idle: Idle) -> Callable[..., Channels]:
    """``ways(incident)``: the channels of an incident, on the local Slack."""

    def opened(incident: Incident, settings: Settings | None = None, **environ: str) -> Channels:
        env = {"VMQ_SLACK_TOKEN": slack.token, **environ}
        known = (settings or incident.settings).model_copy(update={"slack_api_url": slack.api_url})
        return open_channels(known, lambda: pytest.fail("AWS was asked for"), env, idle.waits())

    return opened


@dataclass
class MailServer:
    """A mail server on loopback, and what it was given.

    Parameters
    ----------
    port:
        Where it listens.
    ca:
        A file with the certificate that its own is signed by.
    mails:
        Mails that it took.
    envelopes:
        Sender and recipients of each.
    refuse:
        Recipients that it refuses.
    answer:
        What it says to a mail; ``cut`` hangs up instead, after it has taken it.
    user, password:
        What its AUTH takes; empty asks for none.
    """

    port: int = 0
    ca: Path = Path()
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    answer: list[str] = field(default_factory=list)
    user: str = ""
    password: str = ""

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        answer = self.answer.pop(0) if self.answer else "250 2.0.0 queued as 4711"
        if answer.startswith("250") or answer == "cut":
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            self.envelopes.append((envelope.mail_from or "", tuple(envelope.rcpt_tos)))
        if answer == "cut":
            server.transport.abort()
        return answer

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            self.user.encode(),
            self.password.encode(),
        )
        return AuthResult(success=good, handled=good)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def mail_server(authority: trustme.CA, tmp_path: Path) -> Iterator[Callable[..., MailServer]]:
    """``mail_server(tls="starttls"|"tls"|"none", user=…)`` starts one."""
    started: list[Controller] = []

    def start(tls: str = "starttls", name: str = "127.0.0.1", **given: Any) -> MailServer:
        made = MailServer(**given)
        made.ca = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(made.ca)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        options: dict[str, Any] = {}
        if tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if tls == "tls":
            options |= {"ssl_context": context}
        if made.user:
            options |= {
                "authenticator": made.authenticate, "auth_required": True, "auth_require_tls": tls == "starttls",
            }  # fmt: skip
        controller = OnAnyPort(made, hostname="127.0.0.1", port=0, **options)
        controller.start()
        made.port = controller.listening_at
        started.append(controller)
        return made

    yield start
    for controller in started:
        controller.stop()
