"""What is entered into the operations runbook about an incident, as Markdown. Pure; every word from outside is escaped.

Runbook step 6: "Record timeline, impact, and remediation in OPERATIONS-RUNBOOK.md".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from vmqlib.record.state import Closing, Reopening, open_for
from vmqlib.runbook.wording import one_line
from vmqlib.times import duration, show_time

__all__ = ["EntryFacts", "entry_lines", "escape"]

_LONGEST_WORDS = 2_000
_LONGEST_ROW = 300
_MOST_ROWS = 40

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[\\`*_\[\]|~$&<>]|:(?=//)|(?<=\bwww)\.|^[#+=-]|#(?=\s*$)")

_OUT_OF_CODE = re.compile(r"[`<>|]")
"""What a code span does not keep in every reader."""


@dataclass(frozen=True)
class EntryFacts:
    """What an entry is made of.

    Parameters
    ----------
    id, title, severity:
        The incident's.
    opened_at:
        When it was opened.
    closings, reopenings:
        Every closing (the last one has the words) and reopening, oldest first.
    timeline:
        When and what, oldest first.
    record:
        Where the record is (:mod:`~vmqlib.runbook.recordplace`): an address, its path from the operations runbook's
        folder, or its name.
    linked:
        Whether ``record`` is to be a link.
    record_note:
        How to get at it, in Markdown; empty where that is clear.
    """

    id: str
    title: str
    severity: str
    opened_at: datetime
    closings: tuple[Closing, ...]
    reopenings: tuple[Reopening, ...]
    timeline: Sequence[tuple[datetime, str]]
    record: str
    linked: bool = True
    record_note: str = ""


def escape(text: str, limit: int = _LONGEST_WORDS) -> str:
    """``text`` on one line of Markdown, on which nothing of it is markup: no link, heading, table cell, code, comment.

    Control characters and marks that hide or reorder text are taken out; what is longer than ``limit`` is cut.
    """
    return _SPECIAL.sub(lambda found: _HTML.get(found[0], f"\\{found[0]}"), one_line(text, limit))


def entry_lines(facts: EntryFacts) -> list[str]:
    """The entry's lines, without the marks around it and without line ends."""
    last = facts.closings[-1]
    lines = [
        f"### {facts.id}: {escape(facts.title, _LONGEST_ROW)}",
        "",
        f"- **Severity:** {escape(facts.severity)}",
        f"- **Opened:** {show_time(facts.opened_at)}",
    ]
    for closing, again in zip(facts.closings, facts.reopenings, strict=False):
        reason = escape(again.reason) or "no reason stated"
        lines += [f"- **Closed at first:** {show_time(closing.at)}; reopened {show_time(again.at)}: {reason}"]
    lines += [
        f"- **Closed:** {show_time(last.at)} by {escape(last.by)}, {_lasted(facts)}",
        f"- **Impact:** {_stated(last.impact)}",
        f"- **Customers affected:** {_stated(last.customers)}",
        f"- **Root cause:** {_stated(last.cause)}",
        f"- **Remediation:** {_stated(last.remediation)}",
    ]
    if last.outcome:
        lines += [f"- **Outcome:** {escape(last.outcome)}"]
    lines += [f"- **Record:** {_record(facts)}", "", "| time (UTC) | what |", "| --- | --- |"]
    rows = [
        f"| {show_time(at).removesuffix(' UTC')} | {escape(what, _LONGEST_ROW)} |"
        for at, what in facts.timeline
    ]
    half = _MOST_ROWS // 2
    if (left_out := len(rows) - _MOST_ROWS) > 0:
        rows[half:-half] = [f"| … | {left_out:,} more in the record |"]
    return [*lines, *rows]


def _lasted(facts: EntryFacts) -> str:
    """How long it was open; the time in which it was closed counts nowhere."""
    begins = [facts.opened_at, *(one.at for one in facts.reopenings)]
    span = open_for(
        tuple(zip(begins, (one.at for one in facts.closings), strict=False)), facts.closings[-1].at
    )
    return f"open for {duration(span)} in all" if facts.reopenings else f"after {duration(span)}"


def _stated(words: str) -> str:
    return escape(words) or "not stated"


def _record(facts: EntryFacts) -> str:
    shown = escape(facts.record)
    if not facts.linked and "://" in facts.record and not _OUT_OF_CODE.search(facts.record):
        # Nothing is markup in a code span, and what stands there can be copied from the file as it is.
        return f"`{one_line(facts.record, _LONGEST_WORDS)}`{facts.record_note}"
    # Of an address the parts stay as they are; what would end the link does not.
    safe = ":/?#[]@!$&'*+,;=%" if "://" in facts.record else "/"
    place = f"[{shown}]({quote(facts.record, safe=safe)})" if facts.linked else shown
    return f"{place}{facts.record_note}"
