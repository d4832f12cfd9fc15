"""Whether a sync took over what was restored: the section *Proof* of a record (runbook, steps 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vmqlib.view.base import Html, View, guarded, join, notice, plain, tag
from vmqlib.view.checks import checks
from vmqlib.view.layout import Column, chip, code, facts, line, name, panel, small, table, when

if TYPE_CHECKING:
    from vmqlib.runbook.proof import Proof

__all__ = ["proof"]

MOST_KEYS = 25
FINE_KEYS = 8
"""Rows where every key is as it should be: the evidence has all."""


@guarded
def proof(found: Proof | Callable[[], Proof | None] | None, incident_id: str = "") -> View:
    """Each check, then the keys: those that are not as they should be first.

    Parameters
    ----------
    found:
        The newest proof (``proof.newest(incident)``), or a function that gives it: when that fails, the section says
        so. ``None``: there is none.
    incident_id:
        For the command that proves.
    """
    now = found() if callable(found) else found
    again = f"vmq sync verify --incident {incident_id}" if incident_id else "vmq sync verify"
    if now is None:
        lead = "Nothing was proved yet: nobody has looked whether a sync took over what is in the bucket."
        return panel(lead, tag("div", "To look: ", code(again)), text=[f"To look: {again}"])
    parts: list[Html] = []
    lines: list[str] = []
    if now.stale:
        words = f"{now.stale} This proof is older: look again."
        parts += [notice(words, "#E69F00"), tag("div", code(again))]
        lines += [words, again]
    told = checks(now.checks, "Proof")
    parts.append(told.html)
    lines.append(told.text)
    rows, words_ = _keys(now)
    parts += rows
    lines += words_
    if now.stuck and now.incident:
        touch = f"vmq sync touch {now.incident} --failed"
        parts.append(tag("div", "To have failed documents read again, once the cause is gone: ", code(touch)))
        lines.append(f"To have failed documents read again: {touch}")
    pairs: list[tuple[str, object]] = [
        ("data source", code(now.data_source_id)),
        ("sync", join([code(one) for one in now.executions[:3]], " ") if now.executions else "none"),
        ("looked at", when(now.at)),
    ]
    return panel(now.sentence, *parts, facts(pairs), text=lines)


def _keys(now: Proof) -> tuple[list[Html], list[str]]:
    from vmqlib.runbook.proof.results import LEFT_OUT

    if now.keys.empty:
        return [], []
    columns = [Column("key", name), Column("verdict", chip), Column("wanted"), Column("finding")]
    wrong = bool((~now.keys["ok"].fillna(False).astype(bool) & ~now.keys["verdict"].isin(LEFT_OUT)).any())
    shown = now.keys.head(MOST_KEYS if wrong else FINE_KEYS).to_dict("records")
    rows = [[one["key"], one["verdict"], one["want"], plain(one["finding"], 400)] for one in shown]
    made = [table(columns, rows)]
    words = [line(row) for row in rows]
    if more := len(now.keys) - len(shown):
        rest = ", ".join(f"{count:,} {verdict}" for verdict, count in now.counts.items())
        told = f"… {more:,} more keys in the evidence sync-proof. In all: {rest}."
        made.append(small(told))
        words.append(told)
    return made, words
