"""What a message says, before it is text, Slack blocks or HTML: a subject, and parts in order.

A template (and a person who edits a message) writes it in a few marks at the beginning of a line::

    Subject: INC-20261123-001 (SEV2): update
    ## Conditions
    - a point
    a paragraph
        a command

What a template takes from an incident is wrapped by :func:`as_data`: there no mark counts, so that a title or a log
line can neither begin a heading nor end a list. Control characters and marks that hide or reorder text are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from vmqlib.errors import BadInput

__all__ = ["Document", "Kind", "Part", "as_data", "clean", "parse", "source"]

Kind = Literal["heading", "paragraph", "item", "command"]

_BEGIN, _END, _NEWLINE = "\x02", "\x03", "\x1f"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_MARKS: Final[tuple[tuple[str, Kind], ...]] = (("## ", "heading"), ("- ", "item"), ("    ", "command"))
_SUBJECT = "Subject:"


@dataclass(frozen=True)
class Part:
    """One piece of a message.

    Parameters
    ----------
    kind:
        What it is.
    text:
        What it says, without marks; may have several lines, unless it is a heading.
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Document:
    """A message before it has a format.

    Parameters
    ----------
    subject:
        One line.
    parts:
        What it says.
    """

    subject: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """As plain text, without the subject."""
        return "\n".join(_plain(self.parts)).strip()


def clean(value: object) -> str:
    """``value`` as text in which nothing is hidden: no control characters but the end of a line, no terminal sequences,
    no marks that reorder or hide what is around them."""
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return _UNSEEN.sub("", _ESCAPES.sub("", text))


def as_data(value: object) -> str:
    """What a template puts in: text in which no mark counts."""
    if value is None or value == "":
        return ""
    return f"{_BEGIN}{clean(value).strip().replace(chr(10), _NEWLINE)}{_END}"


def parse(text: str) -> Document:
    """Reads what a template, or a person, wrote.

    Raises
    ------
    BadInput
        When it has no subject, or says nothing.
    """
    lines = iter(text.split("\n"))
    subject = ""
    for line in lines:
        if line.strip():
            if line.startswith(_SUBJECT):
                subject = " ".join(_said(line.removeprefix(_SUBJECT)).split())
            break
    if not subject:
        raise BadInput(
            f"The message has no subject: its first line is not “{_SUBJECT} …”.",
            hint=f"Begin it with a line such as “{_SUBJECT} how it stands”.",
        )
    parts = tuple(_joined(_parts(lines)))
    if not any(part.kind != "heading" for part in parts):
        raise BadInput("The message says nothing.", hint="Write at least one line below the subject.")
    return Document(subject, parts)


def source(document: Document) -> str:
    """As :func:`parse` reads it: for a person to edit."""
    lines = [f"{_SUBJECT} {document.subject}", ""]
    for part in document.parts:
        first, *rest = part.text.split("\n")
        if part.kind == "command":
            lines += [f"    {line}" for line in (first, *rest)]
        elif part.kind == "heading":
            lines += ["", f"## {first}"]
        else:
            mark = "- " if part.kind == "item" else ""
            lines += [f"{mark}{first}", *(f"  {line.strip()}" for line in rest)]
    return "\n".join(lines) + "\n"


def _parts(lines: Iterator[str]) -> Iterator[Part | str]:
    """Each line as a part; as plain text where it goes on with the part before."""
    for line in lines:
        mark, kind = next((one for one in _MARKS if line.startswith(one[0])), ("", "paragraph"))
        said = _said(line.removeprefix(mark))
        if kind != "command":
            said = said.strip()
        if not said.strip():
            continue
        if not mark and line.startswith("  "):
            yield said
        else:
            yield Part(kind, said)


def _joined(pieces: Iterator[Part | str]) -> Iterator[Part]:
    last: Part | None = None
    for piece in pieces:
        if isinstance(piece, str):
            last = Part("paragraph", piece) if last is None else Part(last.kind, f"{last.text}\n{piece}")
        elif last is not None and last.kind == piece.kind == "command":
            last = Part("command", f"{last.text}\n{piece.text}")
        else:
            if last is not None:
                yield last
            last = piece
    if last is not None:
        yield last


def _said(line: str) -> str:
    """A line without the signs around data."""
    bare = line.replace(_BEGIN, "").replace(_END, "").replace(_NEWLINE, "\n")
    return clean(bare).rstrip()


def _plain(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if part.kind == "heading":
            yield f"\n{part.text}:"
        elif part.kind == "command":
            yield from (f"    {line}" for line in part.text.split("\n"))
        else:
            mark, pad = ("- ", "  ") if part.kind == "item" else ("", "")
            first, *rest = part.text.split("\n")
            yield f"{mark}{first}"
            yield from (f"{pad}{line}" for line in rest)
