"""What this incident changed itself, from its journal: it is told as its own, and suspected of nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.changes.bursts import Own
from vmqlib.runbook.resync.journal import ACTION as SYNC
from vmqlib.runbook.stabilize.story import ACTIONS as SCHEDULES

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.runbook.changes.model import Kind

__all__ = ["own_deeds"]

_NO_WRITES: Final = frozenset({"sync proof", "stop sync", "thaw"})
"""Actions of the steps that write objects, and write none."""


def own_deeds(events: Iterable[Event]) -> Iterator[Own]:
    """Each change, from its first "applying" to what ended it. One whose end the journal does not have is left out:
    nobody knows how far it came."""
    begun: dict[tuple[str, str, str], Event] = {}
    for event in events:
        if event.kind not in ("applying", "applied", "failed", "undone"):
            continue
        data = event.data.model_dump()
        action, item = str(data.get("action", "")), str(data.get("item", ""))
        kind, key = _kind(event.step, action), (event.step, action, item)
        if kind is None:
            continue
        if event.kind == "applying":
            begun.setdefault(key, event)
            continue
        if event.kind == "undone" and key not in begun:
            # The undoing of a rollback is begun under its own name, and ends the rollback's.
            key = next((one for one in begun if one[0] == event.step), key)
        first = begun.pop(key, None)
        if first is None or (event.kind == "failed" and kind != "objects"):
            continue
        yield Own(
            first.at, event.at, event.step, first.actor.user, kind, event.summary.rstrip("."),
            str(data.get("execution_id") or "") if kind == "sync" else item, event.seq,
            ours=not data.get("joined"),
        )  # fmt: skip


def _kind(step: str, action: str) -> Kind | None:
    """What kind of change an action is; ``None`` where it changes nothing that is told here."""
    if action in SCHEDULES.values():
        return "schedule"
    if action == SYNC:
        return "sync"
    return "objects" if step in ("rollback", "resync") and action not in _NO_WRITES else None
