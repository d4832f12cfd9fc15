"""Where an entry stands in the operations runbook: bytes in, bytes out. What is not the entry stays byte for byte.

An entry stands between two comments that name its incident, so that it is found again however the file was edited
around it. Headings are found by a CommonMark parser: one in a code block or a comment is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vmqlib.errors import BadInput

__all__ = ["HEADING", "TITLE", "place"]

HEADING = "Incidents"
"""The heading that entries stand under."""
TITLE = "Operations runbook"
"""The first heading of a file that is made."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_MARK = re.compile(
    r"[ \t]*<!-- vmq:incident (INC-\d{8}-\d{3,}) (begin|end)\b[^\r\n]*-->[ \t]*(?:\r\n|\r|\n)?\Z"
)
_BOM = "\ufeff"


def place(document: bytes | None, incident_id: str, entry: Sequence[str]) -> bytes:
    """The document with that entry in it, once. Pure; the same again changes nothing.

    An entry that is there is replaced where it stands. A new one goes under the heading ``Incidents`` (made at the
    end where there is none), before the first one that is older. Line ends are those of the lines around it.

    Parameters
    ----------
    document:
        The file; ``None`` where there is none yet.
    incident_id:
        Whose entry it is.
    entry:
        Its lines, without line ends.

    Raises
    ------
    BadInput
        When the document is not UTF-8, the marks of the entry are damaged or doubled, or the document ends in the
        middle of a code block or a comment, so that nothing can be added to it.
    """
    if document is None:
        document = f"# {TITLE}\n".encode()
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"It is not UTF-8: byte {error.start} cannot be read.", hint="Save it as UTF-8."
        ) from error
    bom, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    lines = _LINE.findall(text)
    made = _replaced(lines, incident_id, entry)
    if made is None:
        made = _inserted(lines, incident_id, entry)
        if not _stands(made, incident_id):
            raise BadInput(
                "It ends inside a code block or a comment that is never closed.",
                hint="Close it, then try again.",
            )
    return (bom + made).encode("utf-8")


@dataclass(frozen=True)
class _Mark:
    line: int
    incident: str
    begin: bool


def _marks(lines: Sequence[str]) -> list[_Mark]:
    found = ((number, _MARK.match(line)) for number, line in enumerate(lines))
    return [_Mark(number, mark[1], mark[2] == "begin") for number, mark in found if mark]


def _block(incident_id: str, entry: Sequence[str], newline: str) -> str:
    begin = f"<!-- vmq:incident {incident_id} begin (written by vmq: what is changed in here is lost) -->"
    return newline.join([begin, *entry, "", f"<!-- vmq:incident {incident_id} end -->"])


def _end_of(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _replaced(lines: Sequence[str], incident_id: str, entry: Sequence[str]) -> str | None:
    """The text with the entry that is there replaced; ``None`` where there is none."""
    marks = _marks(lines)
    _check(marks)
    mine = [mark.line for mark in marks if mark.incident == incident_id]
    if not mine:
        return None
    first, last = mine
    block = _block(incident_id, entry, _end_of(lines[first]))
    return "".join(lines[:first]) + block + _end_of(lines[last]) + "".join(lines[last + 1 :])


def _check(marks: Sequence[_Mark]) -> None:
    """Refuses marks that do not come in pairs, or come twice: what belongs to whom would be a guess."""
    pairs = list(zip(marks[::2], marks[1::2], strict=False))
    good = {
        one.incident
        for one, other in pairs
        if one == _Mark(one.line, other.incident, True) and not other.begin
    }
    bad = [mark for mark in marks if mark.incident not in good or len(marks) != 2 * len(good)]
    if bad:
        where = ", ".join(
            f"{mark.line + 1} ({mark.incident} {'begin' if mark.begin else 'end'})" for mark in bad
        )
        raise BadInput(
            f"The comments around its entries are damaged or doubled: line {where}.",
            hint="Mend them by hand, or take such an entry out with both of its comments, and try again.",
        )


def _inserted(lines: Sequence[str], incident_id: str, entry: Sequence[str]) -> str:
    """The text with a new entry in its place."""
    section = _section(lines)
    at = len(lines) if section is None else _place_in(lines, section, incident_id)
    ends = [end for line in (*lines[at - 1 : at], *lines) if (end := _end_of(line))]
    newline = ends[0] if ends else "\n"
    block = _block(incident_id, entry, newline)
    if section is None:
        block = f"## {HEADING}{newline}{newline}{block}"
    before, after = "".join(lines[:at]), "".join(lines[at:])
    return before + _gap(lines[:at], newline) + block + _tail(lines, at, newline) + after


def _gap(before: Sequence[str], newline: str) -> str:
    """What makes a blank line before the entry."""
    if not before or not before[-1].strip():
        return newline if before and not _end_of(before[-1]) else ""
    return newline if _end_of(before[-1]) else newline * 2


def _tail(lines: Sequence[str], at: int, newline: str) -> str:
    """What makes a blank line after it; at the document's end a line end only if there was one."""
    if at < len(lines):
        return newline if not lines[at].strip() else newline * 2
    return newline if not lines or _end_of(lines[-1]) else ""


def _headings(lines: Sequence[str]) -> list[tuple[int, int, int, str]]:
    """Every heading that is not inside something else: its first line, the line after it, its level, its text."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").disable("inline").parse("".join(lines))
    return [
        (*token.map, int(token.tag[1:]), tokens[number + 1].content.strip())  # type: ignore[misc]
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def _section(lines: Sequence[str]) -> tuple[int, int, int] | None:
    """The section of the incidents: the line after its heading, its first heading inside (or its end), its end."""
    headings = _headings(lines)
    for number, (_, after, level, text) in enumerate(headings):
        if level == 2 and text.casefold() == HEADING.casefold():
            rest = headings[number + 1 :]
            end = next((line for line, _, level, _ in rest if level <= 2), len(lines))
            inner = next((line for line, *_ in rest), end)
            return after, min(inner, end), end
    return None


def _place_in(lines: Sequence[str], section: tuple[int, int, int], incident_id: str) -> int:
    """The line before which the entry goes: before the first older one, else after the last newer one."""
    start, inner, end = section
    marks = [mark for mark in _marks(lines) if start <= mark.line < end]
    for mark in marks:
        if mark.begin and _age(mark.incident) < _age(incident_id):
            return mark.line
    ended = [mark.line for mark in marks if not mark.begin]
    return ended[-1] + 1 if ended else inner


def _age(incident_id: str) -> tuple[int, int]:
    _, day, number = incident_id.split("-")
    return int(day), int(number)


def _stands(text: str, incident_id: str) -> bool:
    """Whether a reader sees the entry: its own heading, below that of the incidents."""
    headings = _headings(_LINE.findall(text))
    names = [name.casefold() for _, _, level, name in headings if level == 2]
    return HEADING.casefold() in names and any(
        level == 3 and name.startswith(f"{incident_id}:") for _, _, level, name in headings
    )
