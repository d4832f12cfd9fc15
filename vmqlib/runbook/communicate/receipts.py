"""What goes to a channel, and what comes back from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from vmqlib.runbook.communicate.message import Message

__all__ = ["Attachment", "Channel", "Image", "Outgoing", "Receipt", "Via"]

Via = Literal["slack", "webhook", "ses", "smtp", "by hand"]
"""The way a message went."""


@dataclass(frozen=True)
class Image:
    """A picture that goes with a message on Slack.

    Parameters
    ----------
    png:
        Its bytes.
    alt:
        What it shows, in words.
    name:
        Its file's name.
    """

    png: bytes
    alt: str
    name: str = "sync-history.png"


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a mail.

    Parameters
    ----------
    name:
        Its file's name.
    content:
        Its bytes.
    kind:
        Its media type, such as ``text/html``.
    words:
        What the mail says of it, below everything; empty for nothing.
    """

    name: str
    content: bytes = field(repr=False)
    kind: str
    words: str = ""


@dataclass(frozen=True)
class Outgoing:
    """One message on its way to one place.

    Parameters
    ----------
    message:
        What it says.
    marker:
        A random name of this sending, by which it can be found again.
    whole:
        Where the whole text is kept, in words.
    thread:
        What it hangs on: Slack's ts, or the Message-IDs of the mails before it, oldest first; empty begins a thread.
    image:
        A picture for it, where the channel takes one.
    attachments:
        Files for it, where the channel takes them.
    at:
        When it is sent; ``None`` leaves the date to the channel.
    """

    message: Message
    marker: str
    whole: str
    thread: tuple[str, ...] = ()
    image: Image | None = None
    attachments: tuple[Attachment, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True)
class Receipt:
    """What the receiver answered.

    Parameters
    ----------
    via, channel:
        Which way it went, and where to.
    reference:
        Its name there: Slack's ts, a mail's Message-ID up to the ``@``; empty where it has none.
    thread:
        What the thread hangs on; empty where there is none.
    permalink:
        Where people find it; empty where that is not known.
    domain:
        What follows the ``@`` of a mail's Message-ID.
    answer:
        What else the receiver said: a mail server's line, SES's message id.
    remark:
        What did not work beside it, in a sentence; empty where all did.
    """

    via: Via
    channel: str
    reference: str = ""
    thread: str = ""
    permalink: str = ""
    domain: str = ""
    answer: str = ""
    remark: str = ""


class Channel(Protocol):
    """A place where messages are sent to."""

    @property
    def via(self) -> Via:
        """The way."""
        ...

    @property
    def where(self) -> str:
        """Where to, for people."""
        ...

    def deliver(self, outgoing: Outgoing) -> Receipt:
        """Sends it.

        Raises
        ------
        DeliveryFailed
            When it did not go out, or that is not known.
        """
        ...

    def find(self, outgoing: Outgoing) -> Receipt | None:
        """Whether it is there already, by its marker; ``None`` where it is not.

        Raises
        ------
        DeliveryFailed
            When the channel cannot be asked.
        """
        ...
