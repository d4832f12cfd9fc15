"""Who was told what and when, on time or late, and when the next message is due (runbook, step 5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from vmqlib.runbook.communicate.clock import Cadence, Slot
from vmqlib.runbook.wording import many
from vmqlib.times import duration, show_time
from vmqlib.view.base import View, guarded, join, plain, tag
from vmqlib.view.layout import MOST_ROWS, Column, chip, line, panel, records, short, table, when

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["communication"]

_WORDS = {
    "acknowledged": "receipt confirmed",
    "severity": "severity changed",
    "stakeholders": "e-mail to stakeholders",
    "security": "security notice",
    "retro": "review's invitation",
}


@guarded
def communication(clock: Cadence | Callable[[], Cadence], events: pd.DataFrame | None = None) -> View:
    """What was sent to whom, on time or by how much late; what is due next; what did not go out.

    Parameters
    ----------
    clock:
        The incident's clock (:func:`vmqlib.runbook.communicate.plan.cadence`), or a function that gives it.
    events:
        The incident's timeline: of it, the messages that failed.
    """
    made = clock() if callable(clock) else clock
    by_message = {id(slot.told): slot for slot in made.past if slot.told is not None}
    rows: list[list[object]] = []
    for one in made.told:
        slot = by_message.get(id(one))
        name = _WORDS.get(one.message, one.message or "message")
        where = f"{one.channel}{' (instead of the channel)' if one.fallback else ''}"
        due = slot.due_at if slot else None
        rows.append([due, one.at, _kept(slot), name, where, one.permalink or one.reference])
    rows += [
        [slot.due_at, None, "never sent", _slot_name(slot), "", ""] for slot in made.past if slot.told is None
    ]
    rows.sort(key=lambda row: str(row[1] or row[0]))
    columns = [
        Column("due (UTC)", short),
        Column("sent (UTC)", short),
        Column("on time", lambda text: chip(text) if text == "never sent" else plain(text)),
        Column("message"),
        Column("to"),
        Column("reference", lambda text: tag("code", plain(text)) if text else ""),
    ]
    lead = " ".join([_counts(made), *_next(made)])
    shown = rows[-MOST_ROWS:]
    extra = []
    if len(rows) > len(shown):
        extra.append(tag("div", f"… {len(rows) - len(shown):,} earlier in journal.jsonl"))
    lost = _failures(events)
    if lost:
        items = (tag("li", f"{when(at)}: {plain(what, 600)}") for at, what in lost[-MOST_ROWS:])
        extra.append(join([tag("div", f"{many(len(lost), 'attempt')} to send failed:"), tag("ul", *items)]))
    body = [table(columns, shown)] if shown else []
    words = [line([when(row[0]), when(row[1]), *row[2:]]) for row in shown]
    words += [f"not sent at {when(at)}: {plain(what, 600)}" for at, what in lost[-MOST_ROWS:]]
    return panel(lead, *body, *extra, text=words)


def _counts(made: Cadence) -> str:
    if not made.told and not made.past:
        return "Nobody was told yet."
    late = [one for one in made.past if one.late]
    worst = max((one.late for one in late), default=timedelta())
    told = f"{many(len(made.told), 'message')} went out."
    times = f"Times to tell people: {len(made.past):,}"
    if not late:
        return f"{told} {times}, all kept."
    kept = len(made.past) - len(late)
    return f"{told} {times}; {kept:,} kept, {len(late):,} late or missed, at most by {duration(worst)}."


def _next(made: Cadence) -> list[str]:
    return [
        f"{name} is due at {show_time(slot.due_at)}"
        + (f": late by {duration(slot.late)}." if slot.late else ".")
        for name, slot in (
            ("The next update", made.update),
            ("The e-mail to stakeholders", made.stakeholders),
        )
        if slot is not None
    ]


def _kept(slot: Slot | None) -> str:
    if slot is None:
        return ""
    return f"{duration(slot.late)} late" if slot.late else "yes"


def _slot_name(slot: Slot) -> str:
    return _WORDS["stakeholders"] if slot.why == "stakeholders" else "update"


def _failures(events: pd.DataFrame | None) -> list[tuple[object, str]]:
    if events is None or events.empty:
        return []
    lost = events[events["kind"].eq("failed") & events["step"].eq("communicate")]
    return [(at, str(what)) for at, what in records(lost, ["at", "summary"])]
