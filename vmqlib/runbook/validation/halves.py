"""*No plan half applied*: changes that were begun and whose end nobody knows. Pure over the journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.validation.names import HALF
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Applying, Event
    from vmqlib.runbook.rollback import Status

__all__ = ["half_applied", "is_change", "last_change"]

_DONE = frozenset({"none", "planned", "applied", "verified", "undone"})
_MESSAGE = "message"
_UNCHANGED = frozenset({"sync", "stop sync", "disable schedule", "restore schedule", _MESSAGE})
"""Actions that change nothing which a sync would have to index, by the names that the journal has for them."""


def half_applied(events: Iterable[Event], rollback: Status) -> CheckResult:
    """Whether every change that was begun has an end: applied, failed, or taken back."""
    open_ends = [f"{one.summary} ({show_time(one.at)})" for one in _open_ends(events)]
    if rollback.state not in _DONE:
        open_ends.append(f"the rollback is {rollback.state}")
    if not open_ends:
        return CheckResult(HALF, True, "Every change that was begun has ended.", evidence=("journal",))
    mend = (
        rollback.command
        or "Run that command again: it looks at the world and goes on, or says that it was done."
    )
    return CheckResult(
        HALF, False, f"Begun, and no end is known: {'; '.join(open_ends)}", mend=mend, evidence=("journal",)
    )


def _open_ends(events: Iterable[Event]) -> list[Applying]:
    """What was about to be done, and neither applied nor failed nor undone afterwards. The rollback has its own log."""
    begun: dict[tuple[str, str, str], Applying] = {}
    for event in events:
        if event.step == "rollback":
            continue
        if event.kind in ("notified", "failed"):  # what became of a message is known by its item alone
            item = str(getattr(event.data, "item", ""))
            begun = {key: one for key, one in begun.items() if key[0] != _MESSAGE or key[2] != item}
        if event.kind not in ("applying", "applied", "failed", "undone"):
            continue
        key = (event.data.action, event.data.digest, event.data.item)
        if event.kind == "applying":
            begun[key] = event
        else:
            begun.pop(key, None)
    return list(begun.values())


def last_change(events: Iterable[Event]) -> datetime | None:
    """When something was last changed that a sync has to index, or that may change what users are answered."""
    return max((event.at for event in events if is_change(event)), default=None)


def is_change(event: Event) -> bool:
    """Whether that event changed what a sync indexes, or what users are answered."""
    return event.kind in ("applied", "undone") and event.data.action not in _UNCHANGED
