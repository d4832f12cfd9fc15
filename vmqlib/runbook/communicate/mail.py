"""E-mail: one message as text and HTML, with its files, in the thread of the mails before it.

Headers are made by the standard library's ``email`` (RFC 5322, 2045, 2047), never by joining text. What could begin
another header, the end of a line or any control character in a subject, an address or a file's name, is refused.
"""

from __future__ import annotations

import re
from datetime import datetime
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

from vmqlib.errors import BadInput, DeliveryFailed
from vmqlib.runbook.communicate.receipts import Attachment, Outgoing, Receipt, Via
from vmqlib.runbook.communicate.trying import Waits, keep_trying

__all__ = ["MailChannel", "Transport", "build_mail"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_REFERENCES = 20


class Transport(Protocol):
    """What carries mails."""

    @property
    def via(self) -> Via:
        """Its name."""
        ...

    def send(self, mail: EmailMessage, sender: str, to: tuple[str, ...]) -> Receipt:
        """Hands the mail over, once.

        Raises
        ------
        DeliveryFailed
            When it was refused, and another try is no use.
        NotYet, Unknown
            As :func:`vmqlib.runbook.communicate.trying.keep_trying` takes them.
        """
        ...


class MailChannel:
    """Mails to some people.

    Parameters
    ----------
    transport:
        What carries them.
    sender:
        Who they come from.
    to:
        Who gets them.
    waits:
        How long to keep at it.
    """

    def __init__(
        self, transport: Transport, sender: str, to: tuple[str, ...], waits: Waits | None = None
    ) -> None:
        self.via: Via = transport.via
        self.where = ", ".join(to)
        self._transport, self._sender, self._to = transport, sender, to
        self._waits = waits or Waits()

    def deliver(self, outgoing: Outgoing) -> Receipt:
        """Sends it. Raises as the protocol says, and ``BadInput`` where a header cannot be made of what is given."""
        mail = build_mail(outgoing, self._sender, self._to)
        self._waits.begin()
        return keep_trying(
            lambda: self._transport.send(mail, self._sender, self._to),
            self._waits,
            self.where,
            lambda: self.find(outgoing),
            can_look=False,
        )

    def find(self, outgoing: Outgoing) -> Receipt | None:
        """Nobody can look into another's mailbox."""
        raise DeliveryFailed("Whether a mail arrived cannot be looked up.", hint="Ask who should have it.")


def build_mail(outgoing: Outgoing, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The mail, ready to be sent.

    Parameters
    ----------
    outgoing:
        What is sent; its thread holds the Message-IDs of the mails before it, without angle brackets.
    sender, to:
        Addresses.

    Raises
    ------
    BadInput
        When an address, the subject or a name cannot stand in a header.
    """
    if not to:
        raise BadInput("The mail has no recipient.", hint="Name some under [email] in vmq.toml.")
    message = outgoing.message
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = _address(sender)
    mail["To"] = [_address(one) for one in to]
    mail["Subject"] = _header(message.subject, "subject")
    mail["Message-ID"] = _identifier(f"{message.incident_id}.{outgoing.marker}@{_domain(sender)}")
    if outgoing.thread:
        mail["In-Reply-To"] = _identifier(outgoing.thread[-1])
        kept = (outgoing.thread[0], *outgoing.thread[1:][-_MOST_REFERENCES:])
        mail["References"] = " ".join(_identifier(one) for one in kept)
    if outgoing.at is not None:
        mail["Date"] = _date(outgoing.at)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail["X-Incident"] = _header(message.incident_id, "incident's id")
    # Quoted-printable: no line is longer than a mail server takes, whatever was put in.
    told = tuple(one.words for one in outgoing.attachments if one.words)
    below = "\n".join((*told, message.footer))
    mail.set_content(f"{message.text}\n\n-- \n{below}\n", cte="quoted-printable")
    mail.add_alternative(message.page(told), subtype="html", cte="quoted-printable")
    for attachment in outgoing.attachments:
        _attach(mail, attachment)
    return mail


def _attach(mail: EmailMessage, attachment: Attachment) -> None:
    main, _, sub = attachment.kind.partition("/")
    name = _header(attachment.name, "file's name")
    mail.add_attachment(attachment.content, maintype=main, subtype=sub, filename=name)


def _date(at: datetime) -> str:
    return format_datetime(at)


def _address(text: str) -> Address:
    bare = _header(text, "address")
    try:
        bare.encode("ascii")
        return Address(addr_spec=bare)
    except (ValueError, IndexError, MessageError) as error:  # UnicodeEncodeError is a ValueError
        raise BadInput(
            f"{bare[:80]!r} is not an e-mail address.",
            hint="Write one such as 'oncall@vaultmesh.io': ASCII, no name beside it.",
        ) from error


def _domain(address: str) -> str:
    return address.rpartition("@")[2] or "localhost"


def _identifier(text: str) -> str:
    bare = _header(text, "Message-ID")
    if re.search(r"[\s<>]", bare):
        raise BadInput(
            f"{bare[:80]!r} is not a Message-ID.", hint="The journal's entry of that mail was changed."
        )
    return f"<{bare}>"


def _header(text: str, what: str) -> str:
    """``text``, if it stays on its line."""
    if _CONTROL.search(text):
        raise BadInput(
            f"The {what} has a line's end or a control character in it: {text[:80]!r}.",
            hint="It would begin another header: leave it out.",
        )
    return text
