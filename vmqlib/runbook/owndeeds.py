"""What this incident changed itself, from its journal: it is told as its own, and suspected of nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.changes.bursts import Own
from vmqlib.runbook.resync.journal import ACTION as SYNC
from vmqlib.runbook.resyncstory import UPLOAD, uploaded_by
from vmqlib.runbook.stabilize.story import ACTIONS as SCHEDULES

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.changes.model import Kind

__all__ = ["deeds_of", "own_deeds"]

_NO_WRITES: Final = frozenset({"sync proof", "stop sync", "thaw"})
"""Actions of the steps that write objects, and write none."""


def deeds_of(incident: Incident) -> tuple[Own, ...]:
    """:func:`own_deeds`, with the versions and delete markers that each made, from apply logs and evidence."""
    events = {event.seq: event for event in incident.journal.events()}
    return tuple(
        _with_versions(incident, one, events) if one.kind == "objects" else one
        for one in own_deeds(events.values())
    )


def _with_versions(incident: Incident, deed: Own, events: Mapping[int, Event]) -> Own:
    data = events[deed.seq].data.model_dump()
    if data.get("action") == UPLOAD:
        # What S3 did not answer may have been found out since: told again, of the same plan.
        made, exact = uploaded_by(incident, _told_last(events.values(), str(data.get("digest", ""))))
    elif data.get("log"):
        from vmqlib.runbook.rollback.copied import made_by

        made, exact = made_by(incident, str(data.get("digest", "")))
    else:  # a connector's script: what it wrote nobody listed
        return deed
    return replace(deed, versions=made, exact=exact)


def _told_last(events: Iterable[Event], digest: str) -> Event:
    """The last event that tells how the upload of that plan ended."""
    ends = [one for one in events if one.kind in ("applied", "failed") and one.data.action == UPLOAD]
    return [one for one in ends if one.data.digest == digest][-1]


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
