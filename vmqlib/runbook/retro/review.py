"""The review of an incident: everything that its notebook shows, from journal and evidence alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.record.events import Event, Noted
from vmqlib.runbook.communicate.clock import Cadence, clock
from vmqlib.runbook.guardrailchanges import GuardrailChange, taken_back
from vmqlib.runbook.keyevents import key_events
from vmqlib.runbook.retro.invitation import appointment
from vmqlib.runbook.retro.measures import Measure, Moments, measures
from vmqlib.runbook.retro.moments import moments, syncs_that_succeeded
from vmqlib.runbook.retro.phases import Span, spans
from vmqlib.runbook.retro.prompts import Proposal, facts, proposals
from vmqlib.runbook.retro.witnesses import (
    Witness,
    alarm_witnesses,
    doctors_findings,
    first_looks,
    rings,
    trigger_witnesses,
)
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.record.summary import Summary
    from vmqlib.runbook.triggers import Detection

__all__ = ["Entry", "Remark", "Review", "load_review", "review"]


@dataclass(frozen=True)
class Entry:
    """One of the events that tell what happened.

    Parameters
    ----------
    at, kind, step, actor, summary:
        As in the journal.
    """

    at: datetime
    kind: str
    step: str
    actor: str
    summary: str


@dataclass(frozen=True)
class Remark:
    """What a person said for the review (``vmq note --retro``, ``--action``).

    Parameters
    ----------
    kind:
        ``well``, ``badly``, ``lucky`` or ``action``.
    text:
        Their words.
    at, by:
        When, and who.
    owner, due:
        Of an action item: who does it, until when; ``""`` where that is open.
    """

    kind: str
    text: str
    at: datetime
    by: str
    owner: str = ""
    due: str = ""


@dataclass(frozen=True)
class Review:
    """An incident in review.

    Parameters
    ----------
    summary:
        The incident at a glance.
    channel:
        Where updates go.
    moments, measures:
        When what happened, and how long it took.
    cadence:
        The updates.
    spans, entries:
        What the response was at, and the events that tell what happened.
    until:
        The end of what is told: the closing, or the journal's last entry.
    witnesses:
        Which alarms and triggers saw it.
    doctor:
        What checks of the alarms' wiring found; ``None`` where nobody looked.
    proposals:
        What the facts suggest.
    remarks:
        What people said.
    meeting:
        When the review is, as its invitation says; ``None`` where there is none.
    seen:
        What it was made from: the first look at each source, which the triggers were judged by, and as ``last …`` the
        last look at alarms' history and syncs, where that is another one.
    """

    summary: Summary
    channel: str
    moments: Moments
    measures: tuple[Measure, ...]
    cadence: Cadence
    spans: tuple[Span, ...]
    entries: tuple[Entry, ...]
    until: datetime
    witnesses: tuple[Witness, ...]
    doctor: tuple[Mapping[str, Any], ...] | None
    proposals: tuple[Proposal, ...]
    remarks: tuple[Remark, ...]
    meeting: datetime | None
    seen: Mapping[str, Observation]

    def said(self, kind: str) -> tuple[Remark, ...]:
        """What people said of that kind."""
        return tuple(one for one in self.remarks if one.kind == kind)

    def proposed(self, kind: str) -> tuple[Proposal, ...]:
        """What the facts suggest of that kind."""
        return tuple(one for one in self.proposals if one.kind == kind)

    def as_dict(self) -> dict[str, Any]:
        """For programs, in JSON types: what the review says, and what it rests on. Spans of time are seconds."""
        told = self.summary
        shown = ("id", "title", "trigger", "severity", "phase", "opened_at", "acknowledged_at", "closed_at")
        kept = self.cadence
        owed = [
            {"due": one.due_at, "sent": one.sent, "late": one.late, "why": one.why} for one in kept.updates
        ]
        document = {
            **{name: getattr(told, name) for name in shown},
            "reopened": len(told.reopenings),
            "closing": asdict(told.closing) if told.closing else None,
            "measures": [asdict(one) for one in self.measures],
            "updates": {
                "every": kept.every, "kept": kept.count("in time"), "late": kept.count("late"),
                "missing": kept.count("never sent"), "longest_silence": kept.longest, "owed": owed,
            },
            "phases": [asdict(one) for one in self.spans],
            "witnesses": [asdict(one) | {"blind": one.blind} for one in self.witnesses],
            "doctor": None if self.doctor is None else [dict(one) for one in self.doctor],
            "proposals": [asdict(one) for one in self.proposals],
            "remarks": [asdict(one) for one in self.remarks],
            "meeting": self.meeting,
            "evidence": {
                name: {"file": one.evidence.file, "sha256": one.evidence.sha256, "complete": one.complete}
                for name, one in self.seen.items() if one.available and one.evidence
            },
            "unavailable": {name: one.problem for name, one in self.seen.items() if not one.available},
        }  # fmt: skip
        plain: dict[str, Any] = _json(document)
        return plain


def _json(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    return [_json(one) for one in value] if isinstance(value, list | tuple) else value


def load_review(incident_id: str, *, incidents: str = "") -> Review:
    """The review of an incident on disk: what the notebook's first cell calls. Asks AWS nothing.

    Parameters
    ----------
    incidents:
        The incidents folder; empty: from the settings.

    Raises
    ------
    UnknownIncident
        When there is no such incident.
    """
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

    settings = Settings.load(incidents=Path(incidents) if incidents else None)
    return review(Incident.load(incident_id, settings=settings))


def review(incident: Incident) -> Review:
    """The review of an incident. Asks AWS nothing, and writes nothing.

    Raises
    ------
    CorruptRecord
        When journal or evidence cannot be read.
    """
    from vmqlib.runbook.triggers import detect

    events: Sequence[Event] = tuple(incident.journal.events())
    state, settings, trigger = incident.state, incident.judged_by, incident.identity.trigger
    opened_at = state.opened_at or incident.identity.opened_at
    until = state.closed_at or _last(events, opened_at)
    first = first_looks(incident, events)
    last = {
        name: incident.observed(name) for name in ("alarm-history", "sync-jobs") if name in incident.sources
    }
    judged_at = max((one.at for one in first.values() if one.at), default=opened_at)
    detection = detect(first, settings, judged_at)
    found = moments(
        trigger, state, events, detection,
        rings(first.get("alarm-history"), last.get("alarm-history")),
        syncs_that_succeeded(events, last.get("sync-jobs"), incident.identity.data_source_id),
        _mend(incident, detection),
    )  # fmt: skip
    measured = measures(found)
    kept = clock(state, until, stakeholders_after=timedelta(hours=settings.stakeholder_hours))
    since = found.first_bad.at or opened_at
    witnesses = (
        *alarm_witnesses(trigger, settings, first, last, since, until),
        *trigger_witnesses(trigger, detection),
    )
    doctor = doctors_findings(events)
    values = facts(
        incident_id=incident.id, trigger=trigger, channel=settings.slack_channel, state=state, events=events,
        measured=measured, kept=kept, witnesses=witnesses, doctor=doctor is not None,
        unseen=[one.title for one in first.values() if not one.available],
        alarm=found.alarm,
        by_alarm=_by_alarm(found, first.get("alarm-history"), last.get("alarm-history")),
    )  # fmt: skip
    return Review(
        summary=incident.summary(),
        channel=settings.slack_channel,
        moments=found,
        measures=measured,
        cadence=kept,
        spans=spans(events, found, until),
        entries=tuple(
            Entry(one.at, one.kind, one.step, str(one.actor), one.summary) for one in key_events(events)
        ),
        until=until,
        witnesses=witnesses,
        doctor=doctor,
        proposals=proposals(values),
        remarks=tuple(_remarks(events)),
        meeting=appointment(incident),
        seen=first | _others(first, last),
    )


def _mend(incident: Incident, detection: Detection) -> GuardrailChange | None:
    """The change of the guardrails that took back all of what was seen to be added since they blocked too much."""
    verdict = next((one for one in detection.triggers if one.trigger == "guardrail"), None)
    if verdict is None or verdict.since is None or "trail" not in incident.sources:
        return None
    found = taken_back(incident.observed("trail"), verdict.since)
    return found[0] if found and not found[1] else None


def _by_alarm(found: Moments, *histories: Observation | None) -> bool | None:
    """Whether an alarm rang before the opening; ``None`` where that, or what it would have rung for, is not known."""
    if found.first_bad.at is None or not any(one is not None and one.available for one in histories):
        return None
    return bool(found.alarm)


def _others(first: Mapping[str, Observation], last: Mapping[str, Observation]) -> dict[str, Observation]:
    """Later looks that were used, too."""
    return {
        f"last {name}": one
        for name, one in last.items()
        if one.available and name in first and one.evidence != first[name].evidence
    }


def _last(events: Sequence[Event], opened_at: datetime) -> datetime:
    """The journal's last entry about the incident itself: what is said for the review afterwards is not."""
    told = [one.at for one in events if not (isinstance(one, Noted) and one.data.retro)]
    return max(told, default=opened_at)


def _remarks(events: Sequence[Event]) -> list[Remark]:
    return [
        Remark(one.data.retro, one.summary, one.at, one.actor.user, one.data.owner, one.data.due)
        for one in events
        if isinstance(one, Noted) and one.data.retro
    ]
