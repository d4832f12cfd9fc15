"""What was run for an incident's connectors: read from its journal, and the output from its evidence."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.errors import VmqError

if TYPE_CHECKING:
    from vmqlib.record.events import Event, EvidenceRef
    from vmqlib.record.incident import Incident

__all__ = ["ACTION", "STEP", "ScriptRun", "runs"]

ACTION = "sync-script"
"""``data.action`` of its events."""
STEP = "resync"
_TAIL = 40


@dataclass(frozen=True)
class ScriptRun:
    """One run of a connector's script.

    Parameters
    ----------
    connector, script, digest:
        Whose, which, and of which plan.
    at:
        When it was begun, UTC.
    by:
        Who approved it.
    ending:
        ``succeeded``, ``failed``, ``timed out``, ``interrupted``; ``unknown`` while nobody has noted an end: it runs,
        or who ran it was killed.
    status:
        Its exit status, negative for a signal; None where it is not known.
    seconds:
        How long it ran.
    sentence:
        The same in words.
    lines:
        How many lines it wrote.
    complete:
        Whether all of them were kept.
    tail:
        The last of them: ``at``, ``stream``, ``text``, masked.
    evidence:
        The file that holds them; None where nothing was kept.
    """

    connector: str
    script: str
    digest: str
    at: datetime
    by: str
    ending: str = "unknown"
    status: int | None = None
    seconds: float = 0.0
    sentence: str = ""
    lines: int = 0
    complete: bool = True
    tail: tuple[dict[str, Any], ...] = ()
    evidence: EvidenceRef | None = None


def runs(incident: Incident, *, tail: int = _TAIL) -> tuple[ScriptRun, ...]:
    """Every run, the oldest first.

    Parameters
    ----------
    tail:
        How many of each run's last lines are read.
    """
    found: list[ScriptRun] = []
    for event in incident.journal.events():
        data = event.data.model_dump()
        if data.get("action") != ACTION:
            continue
        if event.kind == "applying":
            found.append(_begun(event, data))
        elif event.kind in ("applied", "failed") and found:
            found[-1] = _ended(incident, found[-1], event, data, tail)
    return tuple(found)


def _begun(event: Event, data: dict[str, Any]) -> ScriptRun:
    return ScriptRun(
        connector=str(data.get("connector", "")),
        script=str(data.get("script", "")),
        digest=str(data.get("digest", "")),
        at=event.at,
        by=event.actor.user,
        sentence="Begun; nobody has noted its end: it runs, or the process that ran it was killed.",
    )


def _ended(incident: Incident, run: ScriptRun, event: Event, data: dict[str, Any], tail: int) -> ScriptRun:
    status = data.get("exit_status")
    ref = event.evidence[0] if event.evidence else None
    lines: deque[dict[str, Any]] = deque(maxlen=tail)
    sentence = event.summary
    if ref is not None:
        try:
            lines.extend(incident.evidence.open(ref).rows())
        except VmqError as error:
            sentence += f" Its output cannot be read: {error.message}"
    return ScriptRun(
        connector=run.connector,
        script=run.script,
        digest=run.digest,
        at=run.at,
        by=run.by,
        ending=str(data.get("ending", "unknown")),
        status=int(status) if isinstance(status, int) else None,
        seconds=float(data.get("seconds") or 0.0),
        sentence=sentence,
        lines=ref.rows if ref is not None else 0,
        complete=ref.complete if ref is not None else True,
        tail=tuple(lines),
        evidence=ref,
    )
