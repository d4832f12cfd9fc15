"""What was done for a targeted resync: scripts that were run, documents that were uploaded.

Read from the journal, and from the evidence that it names; nothing is asked.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from vmqlib.errors import VmqError

if TYPE_CHECKING:
    from vmqlib.record.events import Event, EvidenceRef
    from vmqlib.record.incident import Incident

__all__ = [
    "SCRIPT",
    "STEP",
    "UPLOAD",
    "ResyncStory",
    "ScriptRun",
    "Upload",
    "resync_story",
    "script_runs",
    "uploaded",
    "uploaded_by",
    "uploads",
]

SCRIPT, UPLOAD = "sync-script", "sync-docs"
"""``data.action`` of their events."""
STEP = "resync"
_TAIL = 40
_TROUBLES = 25


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


@dataclass(frozen=True)
class Upload:
    """One upload of a folder's documents.

    Parameters
    ----------
    digest:
        Of the plan.
    at:
        When it was begun, UTC.
    by:
        Who approved it.
    where:
        ``s3://bucket/prefix``.
    planned:
        Items by action.
    ending:
        ``applied``, ``changed``, ``failed``, ``interrupted``; ``unknown`` while nobody has noted an end.
    sentence:
        How it ended, in words.
    results:
        Items by result.
    troubles:
        Items that are not as planned, the first of them: ``key``, ``action``, ``result``, ``problem``.
    undo:
        The command that takes it back; empty where nothing was written.
    verified, verification:
        Whether another look found what was done, None where that cannot be told; the same in words.
    """

    digest: str
    at: datetime
    by: str
    where: str
    planned: Mapping[str, int]
    ending: str = "unknown"
    sentence: str = (
        "Begun; nobody has noted its end: it is under way, or it was killed. The same command goes on."
    )
    results: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[Mapping[str, Any], ...] = ()
    undo: str = ""
    verified: bool | None = None
    verification: str = ""


@dataclass(frozen=True)
class ResyncStory:
    """The targeted resyncs of an incident: its ``scripts`` and its ``uploads``, the oldest first."""

    scripts: tuple[ScriptRun, ...] = ()
    uploads: tuple[Upload, ...] = ()


def resync_story(incident: Incident) -> ResyncStory:
    """Both of them."""
    return ResyncStory(script_runs(incident), uploads(incident))


def uploads(incident: Incident) -> tuple[Upload, ...]:
    """Every upload, the oldest first."""
    found: list[Upload] = []
    for event in incident.journal.events():
        data = event.data.model_dump()
        if data.get("action") != UPLOAD:
            continue
        if event.kind == "applying":
            where = f"s3://{data.get('bucket', '')}/{data.get('prefix', '')}"
            digest = str(data.get("digest", ""))
            found.append(Upload(digest, event.at, event.actor.user, where, data.get("counts") or {}))
        elif event.kind in ("applied", "failed") and found:
            found[-1] = replace(
                found[-1],
                ending=str(data.get("ending", "unknown")),
                sentence=event.summary,
                results=data.get("results") or {},
                troubles=_troubles(incident, event),
                undo=str(data.get("undo", "")),
            )
        elif event.kind == "verified" and found:
            found[-1] = replace(found[-1], verified=data.get("ok"), verification=event.summary)
    return tuple(found)


def uploaded(incident: Incident) -> Iterator[tuple[datetime, str, str]]:
    """Each version or delete marker that an upload of this incident made: when that upload ended (UTC), the key as
    evidence has it (masked), the version. What cannot be read is left out."""
    for event in incident.journal.events():
        ended = event.kind in ("applied", "failed") and event.data.model_dump().get("action") == UPLOAD
        if not ended or not event.evidence:
            continue
        with contextlib.suppress(VmqError):
            for row in incident.evidence.open(event.evidence[0]).rows():
                if row.get("result") in ("done", "found") and row.get("version_id"):
                    yield event.at, str(row["key"]), str(row["version_id"])


def uploaded_by(incident: Incident, event: Event) -> tuple[frozenset[str], bool]:
    """The versions and delete markers that the upload made which ended with that event, and whether these are all of
    them: S3 answered each request. Of what cannot be read nothing is known."""
    if not event.evidence:
        return frozenset(), False
    try:
        rows = list(incident.evidence.open(event.evidence[0]).rows())
    except VmqError:
        return frozenset(), False
    carried = [row for row in rows if row.get("result") in ("done", "found")]
    made = frozenset(str(row.get("version_id") or "") for row in carried) - {"", "null"}
    return made, len(made) == len(carried) and not any(row.get("result") == "unknown" for row in rows)


def _troubles(incident: Incident, event: Event) -> tuple[Mapping[str, Any], ...]:
    if not event.evidence:
        return ()
    try:
        rows = incident.evidence.open(event.evidence[0]).rows()
        return tuple(
            islice((row for row in rows if row["result"] in ("changed", "failed", "unknown")), _TROUBLES)
        )
    except VmqError as error:
        return (
            {"key": event.evidence[0].file, "action": "", "result": "cannot tell", "problem": error.message},
        )


def script_runs(incident: Incident, *, tail: int = _TAIL) -> tuple[ScriptRun, ...]:
    """Every run, the oldest first.

    Parameters
    ----------
    tail:
        How many of each run's last lines are read.
    """
    found: list[ScriptRun] = []
    for event in incident.journal.events():
        data = event.data.model_dump()
        if data.get("action") != SCRIPT:
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
