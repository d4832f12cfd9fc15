"""What an incident's journal tells of schedules: which are off, and what nobody knows the outcome of."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.errors import VmqError

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = [
    "ACTIONS",
    "STEP",
    "Change",
    "Off",
    "Restored",
    "ScheduleStory",
    "Verb",
    "schedules_off",
    "schedules_restored",
    "story",
    "switched_off_by",
]

STEP = "stabilize"
Verb = Literal["disable", "restore"]
ACTIONS: Mapping[Verb, str] = {"disable": "disable schedule", "restore": "restore schedule"}
"""What an event calls a change, by the command's verb."""

_VERBS: Mapping[str, Verb] = {action: verb for verb, action in ACTIONS.items()}


@dataclass(frozen=True)
class Change:
    """A change that was announced, and of which no outcome is known.

    Parameters
    ----------
    verb:
        ``disable`` or ``restore``.
    data_source_id:
        Whose schedule.
    before, after:
        What it was, and what it was to become.
    digest:
        Of the plan.
    at:
        When it was announced.
    """

    verb: Verb
    data_source_id: str
    before: str
    after: str
    digest: str
    at: datetime


@dataclass(frozen=True)
class Off:
    """A schedule that this incident switched off, and has not put back.

    Parameters
    ----------
    data_source_id, name:
        Whose schedule.
    before:
        What it was: what a restore puts back.
    at, by:
        When, and who.
    digest:
        Of the plan by which it was switched off.
    certain:
        False where a process died on the way, and the data source was not looked at since.
    """

    data_source_id: str
    name: str
    before: str
    at: datetime
    by: str
    digest: str
    certain: bool = True


@dataclass(frozen=True)
class Restored:
    """A schedule that this incident put back, or set.

    Parameters
    ----------
    after:
        What it has been since.
    at, by:
        When, and who.
    """

    after: str
    at: datetime
    by: str


@dataclass
class ScheduleStory:
    """All of it.

    Parameters
    ----------
    off:
        Schedules that are off, by data source.
    pending:
        Changes whose outcome is not known, by data source.
    restored:
        What was put back or set in this incident, by data source.
    ever:
        Data sources whose schedule this incident has switched off at some time.
    """

    off: dict[str, Off] = field(default_factory=dict)
    pending: dict[str, Change] = field(default_factory=dict)
    restored: dict[str, Restored] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)


def story(incident: Incident) -> ScheduleStory:
    """From the journal alone."""
    told = ScheduleStory()
    for event in incident.journal.events():
        if event.step != STEP or event.kind not in ("applying", "applied", "failed"):
            continue
        data: Mapping[str, Any] = event.data.model_dump()
        verb, source = _VERBS.get(data.get("action", "")), data.get("item", "")
        if verb is None or not source:
            continue
        if event.kind == "applying":
            told.pending[source] = Change(
                verb, source, data["before"], data["after"], data.get("digest", ""), event.at
            )
            continue
        told.pending.pop(source, None)
        if event.kind == "failed":
            continue
        if verb == "disable":
            told.ever.add(source)
            told.off[source] = Off(
                source,
                data.get("name", ""),
                data["before"],
                event.at,
                event.actor.user,
                data.get("digest", ""),
            )
            told.restored.pop(source, None)
        else:
            told.off.pop(source, None)
            told.restored[source] = Restored(data["after"], event.at, event.actor.user)
    return told


def schedules_off(incident: Incident) -> tuple[Off, ...]:
    """The schedules that this incident has switched off and not put back, oldest first. From the journal alone.

    One that was perhaps switched off, since a process died on the way, is among them: not certain.
    """
    told = story(incident)
    found = dict(told.off)
    for source, change in told.pending.items():
        if source in found:
            found[source] = replace(found[source], certain=False)
        elif change.verb == "disable":
            found[source] = Off(source, "", change.before, change.at, "", change.digest, certain=False)
    return tuple(sorted(found.values(), key=lambda one: one.at))


def switched_off_by(settings: Settings, data_source_id: str) -> tuple[str, Off] | None:
    """The incident on this machine that switched that schedule off and has not put it back, the newest of several, and
    what it did; ``None`` where none did. From the journals alone: one that cannot be read tells nothing."""
    from vmqlib.record.incident import Incident

    for entry in Incident.list(settings.incidents):
        with contextlib.suppress(VmqError):
            for off in schedules_off(Incident.load(entry.id, settings=settings)):
                if off.data_source_id == data_source_id:
                    return entry.id, off
    return None


def schedules_restored(incident: Incident) -> Mapping[str, Restored]:
    """What this incident put back or set, and has not switched off again, by data source. From the journal alone."""
    return story(incident).restored
