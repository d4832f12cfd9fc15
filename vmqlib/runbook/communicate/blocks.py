"""A message as Slack shows it: Block Kit, within Slack's limits.

Everything that comes from an incident is a ``text`` element of a ``rich_text`` block. Slack reads no markup in those:
a log line with ``<!channel>``, ``<@U…>`` or ``*stars*`` is shown as it stands and pages nobody, and a command can be
copied as it is. The fallback text of notifications is no such element: there ``&``, ``<`` and ``>`` are escaped
(docs.slack.dev: Formatting message text; Blocks; chat.postMessage).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from vmqlib.runbook.communicate.documents import Document, Part

__all__ = ["LONGEST_TEXT", "MOST_BLOCKS", "blocks", "escaped", "fallback_text"]

MOST_BLOCKS: Final = 50
"""Blocks of a message."""
LONGEST_TEXT: Final = 40_000
"""Characters of a message's text; Slack cuts longer ones without a word."""

_HEADER, _BLOCK = 150, 3_000
# All blocks together: not documented; msg_blocks_too_long came at about 13,200 characters (bolt-js, issue 2509).
_ALL = 10_000
# Header and footer, and blocks that begin because the one before is full: of 10,000 characters that is seven at most.
_SPARE = 2 + 8
_SHORT = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    """``text`` with Slack's three control characters escaped: it mentions nobody and links nothing."""
    return "".join(_SHORT.get(char, char) for char in text)


def fallback_text(document: Document, rest: str) -> str:
    """The text of notifications and screen readers.

    Parameters
    ----------
    rest:
        Where the whole of it is, should it be too long.
    """
    whole = escaped(f"{document.subject}\n{document.text}")
    if len(whole) <= LONGEST_TEXT:
        return whole
    note = f"\n… cut; {escaped(rest)}"
    kept = whole[: LONGEST_TEXT - len(note)]
    # Half an entity would be shown as it stands.
    return kept[: kept.rfind("&")] + note if "&" in kept[-5:] else kept + note


def blocks(document: Document, footer: str, rest: str) -> list[dict[str, Any]]:
    """The message's blocks: a header, one block for each heading with what is below it, and a footer.

    Parameters
    ----------
    footer:
        A line below everything.
    rest:
        Where the whole of it is, should it be too long.
    """
    groups = _groups(_within(document.parts, rest))
    note = {"type": "plain_text", "text": _cut(footer, _HEADER), "emoji": False}
    return [
        _header(document.subject),
        *({"type": "rich_text", "elements": list(_elements(group))} for group in groups),
        {"type": "context", "elements": [note]},
    ]


def _header(subject: str) -> dict[str, Any]:
    # No markup is read in plain_text, and emoji are off.
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": _cut(subject, _HEADER), "emoji": False},
    }


def _cut(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _within(parts: Sequence[Part], rest: str) -> Iterator[Part]:
    """The parts as far as they fit, then a note on what was left out. None is longer than a block may be."""
    left = _ALL
    for number, part in enumerate(parts):
        room = min(left, _BLOCK)
        if len(part.text) <= room:
            left -= len(part.text)
            yield part
            continue
        if room > 100:
            left -= room
            yield Part(part.kind, part.text[: room - 1].rstrip() + "…")
            if left >= _BLOCK:  # this part alone was too long for a block
                yield Part("paragraph", f"… the part above was cut; {rest}")
                continue
        out = len(parts) - number - (1 if room > 100 else 0)
        yield Part("paragraph", f"… cut here{f' ({out:,} more lines)' if out else ''}; {rest}")
        return


def _groups(parts: Iterable[Part]) -> list[list[Part]]:
    """Parts by block: a heading begins one, and so does what does not fit any more."""
    groups: list[list[Part]] = []
    size = 0
    for part in parts:
        fits = groups and size + len(part.text) + 1 <= _BLOCK
        # Of more headings than there may be blocks, the last ones share one.
        new = part.kind == "heading" and len(groups) < MOST_BLOCKS - _SPARE
        if not groups or new or not fits:
            groups.append([])
            size = 0
        groups[-1].append(part)
        size += len(part.text) + 1
    return groups


def _elements(parts: Sequence[Part]) -> Iterator[Mapping[str, Any]]:
    place = 0
    while place < len(parts):
        part = parts[place]
        if part.kind == "item":
            items = []
            while place < len(parts) and parts[place].kind == "item":
                items.append(_section(parts[place].text))
                place += 1
            yield {"type": "rich_text_list", "style": "bullet", "elements": items}
            continue
        place += 1
        if part.kind == "command":
            yield {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": part.text}]}
        else:
            yield _section(f"{part.text}\n", bold=part.kind == "heading")


def _section(text: str, *, bold: bool = False) -> dict[str, Any]:
    element: dict[str, Any] = {"type": "text", "text": text}
    if bold:
        element["style"] = {"bold": True}
    return {"type": "rich_text_section", "elements": [element]}
