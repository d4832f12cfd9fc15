"""A message: built from a brief and a template, or from what a person wrote, in the three forms in which it travels."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from vmqlib.errors import BadInput, SettingsError
from vmqlib.record.canonical import canonical, digest, jsonable
from vmqlib.runbook.communicate.blocks import blocks, fallback_text
from vmqlib.runbook.communicate.documents import Document, Part, as_data, clean, parse
from vmqlib.times import show_time

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

    from vmqlib.runbook.communicate.brief import Brief

__all__ = ["KINDS", "Message", "MessageKind", "build", "instead", "kind_of", "rewrite"]

MessageKind = Literal["acknowledged", "update", "severity", "stakeholders", "security", "resolved", "retro"]
KINDS: Final[tuple[MessageKind, ...]] = get_args(MessageKind)
"""Every message, by the name of its template."""

_NUMBERS = re.compile(r"\d[\d.,:%-]*(?: (?:d|h|min|s)\b)?")
_NEWS = 12  # characters: more digits than that in a row might be masked in the journal as a card's number


@dataclass(frozen=True)
class Message:
    """A message, masked and ready to be sent.

    Parameters
    ----------
    kind:
        Which.
    incident_id:
        Of which incident.
    document:
        What it says.
    basis:
        A hash of what it was made from, without the time of the next update: that is known only when it is sent.
    news:
        A hash of what is new in it: two messages with the same one differ in nothing but times and numbers.
    next_update_at:
        By when it says that the next update comes: then that is due. ``None`` where it does not say.
    """

    kind: MessageKind
    incident_id: str
    document: Document
    basis: str
    news: str = ""
    next_update_at: datetime | None = None

    @property
    def subject(self) -> str:
        """One line."""
        return self.document.subject

    @property
    def text(self) -> str:
        """As plain text, without the subject."""
        return self.document.text

    @property
    def html(self) -> str:
        """As an e-mail shows it; every text in it is escaped."""
        return self.page()

    def page(self, attached: Sequence[str] = ()) -> str:
        """The same with what is said of its files, below everything."""
        groups = [
            {"kind": kind, "texts": [part.text for part in parts]}
            for kind, parts in groupby(self.document.parts, key=lambda part: part.kind)
        ]
        page = _environment(html=True).get_template("mail.html.j2")
        return page.render(subject=self.subject, groups=groups, attached=attached, footer=self.footer)

    @property
    def footer(self) -> str:
        """A line below everything."""
        return f"{self.incident_id} · sent with vmq"

    def slack(self, where: str) -> dict[str, Any]:
        """``text`` and ``blocks`` for Slack, within its limits.

        Parameters
        ----------
        where:
            Where the whole text is, should it have to be cut.
        """
        return {
            "text": fallback_text(self.document, where),
            "blocks": blocks(self.document, self.footer, where),
        }


def kind_of(name: str) -> MessageKind:
    """``name``, if it is a message's.

    Raises
    ------
    BadInput
        When it is none; it names those there are.
    """
    for kind in KINDS:
        if kind == name:
            return kind
    raise BadInput(f"There is no message {name!r}.", hint=f"Messages are: {', '.join(KINDS)}.")


def build(kind: str, brief: Brief, mask: Callable[[str], str]) -> Message:
    """The message of that kind, from its template.

    Parameters
    ----------
    kind:
        One of :data:`KINDS`.
    brief:
        How the incident stands.
    mask:
        Takes secrets and personal data out of a text (:meth:`vmqlib.record.redaction.Redactor.text`).

    Raises
    ------
    BadInput
        When there is no such message.
    SettingsError
        When its template was changed and is wrong: it names the file, and the line where that is known.
    """
    which = kind_of(kind)
    basis = _hash(which, replace(brief, next_update_at=None))
    document = _masked(_rendered(which, brief), mask)
    due = _said(document, brief.next_update_at)
    return Message(which, brief.id, document, basis, _news(which, brief), due)


def _hash(kind: MessageKind, brief: Brief, *more: str) -> str:
    return digest(canonical({"kind": kind, "brief": jsonable(asdict(brief)), "more": more}))


def _news(kind: MessageKind, brief: Brief) -> str:
    """What was seen counts without its times and numbers, which move by themselves; what people did and said, whole."""
    seen = (
        *brief.conditions,
        *brief.impact,
        *brief.content,
        *brief.not_seen,
        *(one.why for one in brief.needs),
    )
    still = replace(
        brief, next_update_at=None, seen_at=None, since=None, conditions=(), impact=(), content=(), not_seen=(),
        needs=(),
    )  # fmt: skip
    return _hash(kind, still, *(" ".join(_NUMBERS.sub("", text).split()) for text in seen))[:_NEWS]


def instead(message: Message, channel: str, why: str, mask: Callable[[str], str]) -> Message:
    """The same message for somebody else: it says first that it could not be posted where it belongs.

    Parameters
    ----------
    channel:
        Where it belongs.
    why:
        Why it could not be posted there, a sentence.
    mask:
        Takes secrets out of that.
    """
    said = " ".join(clean(mask(why)).split())
    first = (
        f"{channel} could not be reached: {said} This is the message “{message.kind}” that was meant for it; "
        "please pass it on."
    )
    subject = f"Not posted in {channel}: {message.subject}"
    return replace(message, document=Document(subject, (Part("paragraph", first), *message.document.parts)))


def rewrite(message: Message, text: str, mask: Callable[[str], str]) -> Message:
    """The same message as a person wrote it (:func:`vmqlib.runbook.communicate.documents.source` is what they began
    with). A text without a ``Subject:`` keeps the one it had.

    Raises
    ------
    BadInput
        When it is empty, or says nothing.
    """
    if not text.strip():
        raise BadInput(
            "The message is empty: nothing was sent.", hint="Write at least one line, or run it without."
        )
    lines = text.lstrip("\n")
    if not lines.startswith("Subject:"):
        lines = f"Subject: {message.subject}\n{text}"
    document = _masked(parse(lines), mask)
    said = digest(canonical(asdict(document)))
    due = _said(document, message.next_update_at)
    return replace(message, document=document, basis=said, news=said[:_NEWS], next_update_at=due)


def _said(document: Document, due: datetime | None) -> datetime | None:
    """That time, to the second, as people read it, where the message names it."""
    return due.replace(microsecond=0) if due and _time(due) in document.text else None


def _masked(document: Document, mask: Callable[[str], str]) -> Document:
    """The document without secrets. Each part is masked as a whole: what stands in one line belongs together."""
    parts = tuple(Part(part.kind, mask(part.text)) for part in document.parts)
    return Document(mask(document.subject), parts)


def _rendered(kind: MessageKind, brief: Brief) -> Document:
    from jinja2 import TemplateError

    name = f"{kind}.j2"
    try:
        values = {field.name: getattr(brief, field.name) for field in fields(brief)}
        return parse(_environment().get_template(name).render(**values))
    except TemplateError as error:
        line = f", line {error.lineno}" if getattr(error, "lineno", None) else ""  # type: ignore[attr-defined]
        raise SettingsError(
            f"The message's template {name}{line} cannot be used: {error.message or type(error).__name__}.",
            hint=f"Mend {_folder() / name}; its names are those of vmqlib.runbook.communicate.brief.Brief.",
        ) from error
    except BadInput as error:
        raise SettingsError(
            f"The message's template {name} is wrong: {error.message}", hint=error.hint
        ) from error


def _folder() -> Path:
    from vmqlib.record.notebook import templates_dir

    return templates_dir() / "messages"


@functools.cache
def _environment(*, html: bool = False) -> SandboxedEnvironment:
    """Templates are text that people change: they reach nothing but what they are given. HTML is escaped by Jinja; in
    the others whatever is put in is marked as data (:func:`as_data`)."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_folder()),
        autoescape=html,
        finalize=None if html else as_data,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["time"] = _time
    return made


def _time(moment: datetime | None) -> str:
    return show_time(moment).replace(":00 UTC", " UTC") if moment else "unknown"
