"""When something was changed last: what a sync has to index, and what may change users' answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from vmqlib.runbook.alarmwatch import ACTION as WATCH
from vmqlib.runbook.communicate.sending import ACTION as MESSAGE
from vmqlib.runbook.proof.keeping import ACTION as PROOF
from vmqlib.runbook.publish.applying import ACTION as PUBLISH
from vmqlib.runbook.resync.journal import ACTION as SYNC
from vmqlib.runbook.resync.stopping import ACTION as STOP
from vmqlib.runbook.resyncstory import SCRIPT, UPLOAD
from vmqlib.runbook.rollback.archives import ACTION as THAW
from vmqlib.runbook.stabilize.story import ACTIONS as SCHEDULES

if TYPE_CHECKING:
    from vmqlib.record.events import Event

__all__ = ["Change", "Move", "changes", "last_move", "made_in_part", "started"]

_ELSEWHERE: Final = frozenset({MESSAGE, PROOF, PUBLISH, STOP, SYNC, THAW, WATCH, *SCHEDULES.values()})
"""Actions that change nothing which a sync would have to index. Every other one does, also one that is not known."""


@dataclass(frozen=True)
class Change:
    """Something was changed that a sync has to index.

    Parameters
    ----------
    seq, at:
        The journal's event.
    bucket:
        Where; ``""`` where that is not known.
    data_source_id:
        What it was done for; ``""`` where that is not known.
    """

    seq: int
    at: datetime
    bucket: str = ""
    data_source_id: str = ""


@dataclass(frozen=True)
class Move:
    """The newest event after which users may be answered otherwise: a change, or a sync that began or ended.

    Parameters
    ----------
    seq, at, what:
        The journal's event, and its summary.
    """

    seq: int
    at: datetime
    what: str = ""


def changes(events: Iterable[Event], bucket: str = "") -> tuple[Change, ...]:
    """All of them, oldest first.

    Parameters
    ----------
    bucket:
        The incident's own, which rollbacks and touches change.
    """
    return tuple(found for event in events if (found := _change(event, bucket)) is not None)


def last_move(events: Iterable[Event]) -> Move | None:
    """The newest of them; ``None`` where there was none."""
    found = None
    for event in events:
        synced = event.kind in ("applied", "verified", "failed") and event.data.action == SYNC
        if synced or _change(event, "") is not None:
            found = Move(event.seq, event.at, event.summary)
    return found


def started(events: Iterable[Event]) -> Mapping[str, int]:
    """The sync jobs that this incident started itself, and the event by which it was about to: whatever the clocks say,
    the job began after that. One that was found running is not among them."""
    found: dict[str, int] = {}
    about: dict[str, int] = {}
    for event in events:
        if event.kind not in ("applying", "applied") or event.data.action != SYNC:
            continue
        data: Mapping[str, Any] = event.data.model_dump()
        source, execution = str(data.get("data_source_id", "")), str(data.get("execution_id", ""))
        if event.kind == "applying":
            about[source] = event.seq
        elif execution and data.get("joined") is False and source in about:
            found[execution] = about[source]
    return found


def _change(event: Event, bucket: str) -> Change | None:
    if event.kind not in ("applying", "applied", "failed", "undone"):
        return None
    action = event.data.action
    if action in _ELSEWHERE or (event.kind == "failed" and not action):
        return None
    data: Mapping[str, Any] = event.data.model_dump()
    source = str(data.get("data_source_id", ""))
    if action == SCRIPT:
        # A connector's script may sync by itself, before it ends: what counts is when it began.
        return Change(event.seq, event.at, "", source) if event.kind == "applying" else None
    if event.kind == "applying" or (event.kind == "failed" and not made_in_part(data)):
        return None
    where = str(data.get("bucket", "")) if action == UPLOAD else bucket
    return Change(event.seq, event.at, where, source)


def made_in_part(data: Mapping[str, Any]) -> bool:
    """Whether something was done of a change that failed."""
    results = data.get("results")
    told = results if isinstance(results, Mapping) else {}
    return bool(data.get("done") or told.get("done") or told.get("found"))
