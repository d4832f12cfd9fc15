"""What an incident's journal tells of its rollback, or of its touched objects: plans, applies, verifications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vmqlib.runbook.rollback.items import TargetKind
from vmqlib.runbook.rollback.purposes import PURPOSES, Purpose, PurposeName
from vmqlib.runbook.rollback.results import Applied, Ending, Problem

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident

__all__ = [
    "FOLDER",
    "PLANNED",
    "STEP",
    "Planned",
    "Story",
    "Verified",
    "folder",
    "log_name",
    "story",
]

STEP = "rollback"
FOLDER = "rollback"
PLANNED = "planned"


@dataclass(frozen=True)
class Planned:
    """A plan that was made.

    Parameters
    ----------
    digest, file:
        Of the plan; ``file`` is its name in the incident's folder ``rollback/``.
    kind:
        Where it goes back to.
    of:
        The digest of the plan that it takes back; empty but for an undo.
    at:
        When it was made.
    """

    digest: str
    file: str
    kind: TargetKind
    of: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Verified:
    """A look at the bucket after an apply.

    Parameters
    ----------
    digest:
        Of the plan that it was compared with.
    file:
        In the incident's folder ``rollback/``.
    ok:
        Whether all was as planned.
    at:
        When.
    """

    digest: str
    file: str
    ok: bool
    at: datetime


@dataclass
class Story:
    """All of it, in the order in which it happened.

    Parameters
    ----------
    purpose:
        Whose plans are told of.
    plans:
        By digest; one that was made again stands where it was made last.
    applies:
        By digest, in the order in which each was begun last.
    verified:
        The newest look after each apply, by digest; an apply that goes on makes the earlier looks void.
    """

    purpose: Purpose = PURPOSES["rollback"]
    plans: dict[str, Planned] = field(default_factory=dict)
    applies: dict[str, Applied] = field(default_factory=dict)
    verified: dict[str, Verified] = field(default_factory=dict)

    @property
    def newest(self) -> Planned | None:
        """The plan that was made last. An undo that nobody approved is none: it was looked at and left."""
        made = (plan for plan in reversed(self.plans.values()) if not plan.of or plan.digest in self.applies)
        return next(made, None)

    @property
    def last(self) -> Applied | None:
        """The apply that was begun last."""
        return next(reversed(self.applies.values()), None)

    def take(self, event: Event) -> None:
        """Goes one event further."""
        data: Mapping[str, Any] = event.data.model_dump()
        digest = str(data.get("digest") or "")
        if event.step != self.purpose.step or not digest or data.get("action") not in self.purpose.actions:
            return
        match event.kind:
            case "concluded" if data.get("verdict") == PLANNED:
                self.plans.pop(digest, None)
                self.plans[digest] = Planned(
                    digest, str(data.get("file", "")), _kind(data), str(data.get("of", "")), event.at
                )
            case "applying" if data.get("log"):
                before = self.applies.pop(digest, None)
                resumed = before is not None and not before.undone and before.ending != "applied"
                self.verified.pop(digest, None)
                begun = before.begun_at if before is not None and resumed else event.at
                self.applies[digest] = replace(_applied(event, data, "unfinished"), begun_at=begun)
            case "applied" | "failed" if digest in self.applies and data.get("log"):
                ending = cast("Ending", data.get("ending") or event.kind)
                begun = self.applies[digest].begun_at
                self.applies[digest] = replace(_applied(event, data, ending), begun_at=begun)
            case "undone" if digest in self.applies:
                self.applies[digest] = replace(self.applies[digest], undone=True)
            case "verified":
                self.verified[digest] = Verified(
                    digest, str(data.get("file", "")), bool(data["ok"]), event.at
                )


def story(incident: Incident, purpose: PurposeName = "rollback") -> Story:
    """Reads the journal; nothing else."""
    told = Story(PURPOSES[purpose])
    for event in incident.journal.events():
        told.take(event)
    return told


def folder(incident: Incident) -> Path:
    """Where plans, apply logs and verifications of an incident lie. Need not be there yet."""
    return incident.dir / FOLDER


def log_name(digest: str) -> str:
    """The file name of a plan's apply log."""
    return f"apply-{digest[:12]}.jsonl"


def _kind(data: Mapping[str, Any]) -> TargetKind:
    return cast("TargetKind", str(data.get("kind") or "as-of"))


def _applied(event: Event, data: Mapping[str, Any], ending: Ending) -> Applied:
    numbers: Any = {
        name: int(data.get(name) or 0)
        for name in ("done", "found", "changed", "own", "failed", "left", "unknown")
    }
    return Applied(
        digest=str(data["digest"]),
        kind=_kind(data),
        ending=ending,
        **numbers,
        seconds=float(data.get("seconds") or 0.0),
        at=event.at,
        by=event.actor.user,
        log=str(data.get("log", "")),
        log_sha256=str(data.get("log_sha256") or ""),
        problems=tuple(Problem(**each) for each in data.get("problems") or ()),
        of=str(data.get("of") or ""),
    )
