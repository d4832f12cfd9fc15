"""A local mail server with STARTTLS: it takes every mail, keeps it in memory, and delivers none.

Its certificate is made up when it starts, and so is the authority that signed it: whoever sends has to trust that one
file (:attr:`LocalMail.ca`), as a company's mail server may ask for.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from vmqlib.simulator.stopping import stoppable

__all__ = ["LocalMail", "OnAnyPort", "TakenMail", "print_mail", "serve"]

_HOST = "127.0.0.1"
_SENDER = "oncall@vaultmesh.io"
_STAKEHOLDERS = ("head-of-support@vaultmesh.io",)


@dataclass(frozen=True)
class TakenMail:
    """A mail that was taken.

    Parameters
    ----------
    sender, recipients:
        As the envelope has them (MAIL FROM, RCPT TO).
    message:
        The mail itself.
    """

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        """Its subject, decoded."""
        return str(self.message["Subject"] or "")

    @property
    def text(self) -> str:
        """Its text for people, lines ended by ``\\n``; empty where it has none."""
        body = self.message.get_body(("plain",))
        return "\n".join(str(body.get_content()).splitlines()) if body is not None else ""

    @property
    def attachments(self) -> tuple[tuple[str, int], ...]:
        """Name and bytes of each file that hangs on it."""
        found = [
            (one.get_filename() or "", one.get_payload(decode=True))
            for one in self.message.iter_attachments()
        ]
        return tuple((name, len(content) if isinstance(content, bytes) else 0) for name, content in found)


class OnAnyPort(Controller):
    """aiosmtpd's server in a thread, on a port that is free: its own check knocks at the port that it was given."""

    def _trigger_server(self) -> None:
        with socket.create_connection((_HOST, self.listening_at)):
            self._factory_invoked.wait(5)

    @property
    def listening_at(self) -> int:
        """The port."""
        assert isinstance(self.server, asyncio.Server)
        return int(self.server.sockets[0].getsockname()[1])


class LocalMail:
    """A mail server in a thread of this process; a context manager.

    Parameters
    ----------
    port:
        Port on 127.0.0.1; 0 takes a free one.
    told:
        Called with each mail that is taken.
    """

    def __init__(self, port: int = 0, *, told: Callable[[TakenMail], None] = lambda _: None) -> None:
        self._port, self._told = port, told
        self._guard = threading.Lock()
        self._taken: list[TakenMail] = []
        self._stack = ExitStack()

    def __enter__(self) -> LocalMail:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmq-mail-"))
            authority = trustme.CA()
            self.ca = Path(folder) / "ca.pem"
            authority.cert_pem.write_to_path(str(self.ca))
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert(_HOST).configure_cert(context)
            self._server = OnAnyPort(
                self, hostname=_HOST, port=self._port, tls_context=context, require_starttls=True
            )
            self._server.start()
            stack.callback(self._server.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.listening_at

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that make the kit send its mails here."""
        return {
            "VMQ_EMAIL__TRANSPORT": "smtp",
            "VMQ_EMAIL__SENDER": _SENDER,
            "VMQ_EMAIL__STAKEHOLDERS": json.dumps(_STAKEHOLDERS),
            "VMQ_EMAIL__SMTP_HOST": _HOST,
            "VMQ_EMAIL__SMTP_PORT": str(self.port),
            "VMQ_EMAIL__SMTP_SECURITY": "starttls",
            "VMQ_EMAIL__SMTP_CA": str(self.ca),
        }

    @property
    def mails(self) -> tuple[TakenMail, ...]:
        """Every mail, in order."""
        with self._guard:
            return tuple(self._taken)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        """aiosmtpd's hook: a mail came."""
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        made = TakenMail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message)
        with self._guard:
            self._taken.append(made)
            number = len(self._taken)
        self._told(made)
        return f"250 2.0.0 kept as {number}"


def serve(port: int = 0, out: TextIO | None = None) -> int:
    """Serves a local mail server until SIGTERM or SIGINT, and returns the exit code 0. Writes ``export NAME=value``
    lines, then ``# ready``, to ``out`` (default: standard output), and each mail to standard error. From the main
    thread.

    Raises
    ------
    OSError
        When the port is taken.
    """
    out = out or sys.stdout
    with stoppable(), LocalMail(port, told=lambda made: print_mail(made, sys.stderr)) as mail:
        for name, value in mail.env.items():
            out.write(f"export {name}={shlex.quote(value)}\n")
        out.write("# ready\n")
        out.flush()
        threading.Event().wait()
    return 0


def print_mail(made: TakenMail, out: TextIO) -> None:
    """One mail as people see it."""
    lines = [f"To: {', '.join(made.recipients)}", f"Subject: {made.subject}"]
    lines += [f"Attached: {name}, {size / 1000:,.1f} kB" for name, size in made.attachments]
    out.write("\n" + "\n".join([*lines, "", *made.text.rstrip().splitlines()]) + "\n")
    out.flush()
