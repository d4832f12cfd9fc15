"""What messages are made of: how an incident stands, from its journal and evidence, in sentences.

What was seen is told as of the last look, and all else as of the journal's last entry: the same journal gives the same
brief. AWS is asked nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.record.state import Reopening, State
from vmqlib.runbook.communicate.conditions import moment
from vmqlib.runbook.keyevents import WAITING
from vmqlib.runbook.opening import alarmed, condition
from vmqlib.runbook.recordplace import record_address
from vmqlib.runbook.rollback.purposes import PURPOSES, PurposeName, command
from vmqlib.runbook.rollback.standing import status
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Applying, Event
    from vmqlib.record.identity import Identity
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.communicate.conditions import Looks
    from vmqlib.runbook.nextsteps import NextStep
    from vmqlib.runbook.rollback.results import Applied

__all__ = ["Brief", "brief"]

_MOST = 8
_NEEDS = 3
_COMMUNICATE = "5 Communicate"
_SYNC = "sync"
_NO_CHANGE = ("communicate", "stabilize", "publish")
"""Steps that change neither the bucket nor the index."""
_FIGURES = re.compile(r"\d[\d.,:-]*")
_IDS = re.compile(r"\bsync job [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@dataclass(frozen=True)
class Brief:
    """How an incident stands. Templates of messages use these names.

    Parameters
    ----------
    id, title, trigger, connector, channel:
        What it is; the trigger in the runbook's words where it was seen that the alarm triggered, else what was found;
        ``connector`` is empty where none is in question.
    severity, severity_before, severity_reason:
        As it is now; what it was before the last change, and why that was made; empty where it never changed.
    opened_at, acknowledged_at, closed_at:
        Times, UTC; ``None`` for what has not happened.
    acknowledged_by, closed_by, lasted:
        Who has it; who closed it; how long it was open. Empty where that has not happened.
    reopened:
        The reopening that those who read this do not know of: the last they heard is that it is over; else ``None``.
    history:
        Its earlier closings, each with its reopening and why.
    since, until, impaired:
        The first bad sign; when it was over (:mod:`vmqlib.runbook.ended`), once it is closed, and unless it was
        reopened after that; how long that was.
        ``None``, and empty, where that was not seen.
    over:
        What says that it was over, as of when and by which source; without ``until`` it was by that look. Empty where
        that was not seen.
    now, checked_at:
        What customers see now, as far as it was validated, and when; ``None`` where it was not since the last change.
    back:
        When the first sync ended that succeeded again, also while it is open; ``None`` where something was changed
        since then, or documents or a check were found failing, and of what syncs did not break.
    passed:
        How many checks the last validation made, where all of them passed and nothing was changed since; else 0.
    proved:
        How the last sync ended, what was proved of it, and what the alarms said, since the last change.
    seen_at:
        When AWS was looked at last; ``None`` where it never was.
    conditions:
        What fires, and who and what is hit.
    impact:
        The same in words for people who do not run it.
    content:
        Documents that are indexed and must not be.
    not_seen:
        What could not be seen.
    first:
        Whether nothing was said in the channel before.
    actions:
        What was changed, checked and remarked since the last message in the channel.
    done:
        Every change that stands.
    waiting:
        What was begun, and of which nobody knows how it ended.
    needs:
        What is to be done next.
    number:
        Which update this one is, counted from 1.
    next_update_at:
        When the next one is due after this one; ``None`` where none is.
    update_minutes, knowledge_ops, record_url:
        As in the settings.
    closing_impact, closing_cause, closing_remediation, closing_outcome:
        The closing words.
    meeting_at:
        When the review is; ``None`` where that is not known.
    say:
        What a person adds.
    """

    id: str
    title: str
    trigger: str
    severity: str
    opened_at: datetime
    channel: str
    connector: str = ""
    severity_before: str = ""
    severity_reason: str = ""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    closed_at: datetime | None = None
    closed_by: str = ""
    lasted: str = ""
    reopened: Reopening | None = None
    history: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    now: tuple[str, ...] = ("What customers see now could not be told.",)
    checked_at: datetime | None = None
    over: str = ""
    impaired: str = ""
    back: datetime | None = None
    passed: int = 0
    proved: tuple[str, ...] = ()
    seen_at: datetime | None = None
    conditions: tuple[str, ...] = ()
    impact: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()
    first: bool = True
    actions: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    needs: tuple[NextStep, ...] = ()
    number: int = 1
    next_update_at: datetime | None = None
    update_minutes: int = 30
    knowledge_ops: str = ""
    record_url: str = ""
    closing_impact: str = ""
    closing_cause: str = ""
    closing_remediation: str = ""
    closing_outcome: str = ""
    meeting_at: datetime | None = None
    say: str = ""


def brief(
    incident: Incident,
    *,
    say: str = "",
    next_update_at: datetime | None = None,
    meeting_at: datetime | None = None,
) -> Brief:
    """How the incident stands, from its folder alone.

    Parameters
    ----------
    say:
        What a person adds.
    next_update_at, meeting_at:
        As in :class:`Brief`.

    Raises
    ------
    CorruptRecord, StorageError
        When the journal cannot be read. Evidence that is missing or broken is said, and stops nothing.
    """
    still = _offline(incident)
    events = list(still.journal.events())
    state, identity, settings = still.state, still.identity, still.settings
    opened = state.opened_at or identity.opened_at
    told = next((one.at for one in reversed(state.updates) if one.counts), None)
    severities = [
        event for event in events if event.kind == "severity" and event.data.previous != event.data.severity
    ]
    closing = state.closing
    known = Brief(
        id=identity.id,
        title=" ".join(identity.title.split()),
        trigger=condition(identity.trigger, by_alarm=_paged(identity)),
        connector=identity.data_source_id,
        severity=state.severity,
        severity_before=(severities[-1].data.previous or "") if severities else "",
        severity_reason=state.severity_reason,
        opened_at=opened,
        acknowledged_at=state.acknowledged_at,
        acknowledged_by=state.acknowledged_by,
        closed_at=state.closed_at,
        closed_by=closing.by if closing else "",
        lasted=duration(state.open_for(state.closed_at)) if state.closed_at else "",
        history=tuple(
            f"Closed at {show_time(closed.at)}, reopened at {show_time(again.at)}: {again.reason}"
            for closed, again in zip(state.closings, state.reopenings, strict=False)
        ),
        channel=settings.slack_channel,
        first=told is None,
        actions=_some(_actions(events, told)),
        waiting=_some(_waiting(still, events)),
        proved=tuple(_proved(events)),
        number=1 + sum(one.message in ("", "update") and not one.fallback for one in state.updates),
        next_update_at=None if state.closed_at else next_update_at,
        update_minutes=settings.update_minutes,
        knowledge_ops=settings.contacts.knowledge_ops,
        record_url=record_address(still),
        closing_impact=closing.impact if closing else "",
        closing_cause=closing.cause if closing else "",
        closing_remediation=closing.remediation if closing else "",
        closing_outcome=closing.outcome if closing else "",
        meeting_at=meeting_at,
        say=say,
    )
    done = [*_done(state)]
    try:
        return _with_evidence(replace(known, done=tuple(done)), still)
    except Exception as error:  # noqa: BLE001 - people must be told, whatever is wrong with the evidence
        words = f"What was seen could not be made out ({type(error).__name__}): look at the record."
        return replace(
            known, done=_some(done), conditions=(words,), impact=("How much users notice could not be told.",)
        )


def _with_evidence(known: Brief, still: Incident) -> Brief:
    """Adds what is told from evidence."""
    from vmqlib.runbook.affected import affected_by
    from vmqlib.runbook.communicate.conditions import Looks, conditions, content, impact
    from vmqlib.runbook.communicate.ending import now
    from vmqlib.runbook.ended import BY_RULE, ended
    from vmqlib.runbook.nextsteps import next_steps
    from vmqlib.runbook.triggers import detect
    from vmqlib.runbook.validation import validated

    seen = still.observations()
    said = detect(seen, still.judged_by, still.seen_at)
    found = affected_by(still, said)
    mine = next((one for one in said.triggers if one.trigger == still.identity.trigger), None)
    by_alarm = _paged(still.identity) or (mine is not None and alarmed(mine))
    looks = Looks(seen, still.as_of)
    checked = validated(still)
    over = ended(still, said, found)
    back = over.at if over is not None and still.identity.trigger not in BY_RULE else None
    if back is not None and (
        _changed(still, back) or _ill(found, looks, back) or (checked and checked.failing)
    ):
        back = None
    if known.closed_at is None:
        over = None
    since, until = (over.since or found.since, over.at) if over else (found.since, None)
    return replace(
        known,
        trigger=condition(still.identity.trigger, by_alarm=by_alarm),
        connector=_connector(found, known.connector),
        since=since,
        until=until,
        over=over.words if over else "",
        impaired=duration(until - since) if until and since and until > since else "",
        done=_some(sorted((*known.done, *_mended(found, known.opened_at)))),
        now=tuple(now(checked)),
        checked_at=checked.at if checked is not None and not checked.stale else None,
        back=back,
        passed=len(checked.checks) if checked is not None and checked.ok and not checked.stale else 0,
        seen_at=still.state.seen_at,
        conditions=_some(conditions(said, found, looks)),
        impact=_some(impact(found, looks, back)),
        content=_some(content(said, found, looks)),
        not_seen=_some(f"{one.title}: {one.problem}" for one in seen.values() if not one.available),
        needs=_needs(next_steps(still, said, found)),
    )


def _changed(incident: Incident, since: datetime) -> bool:
    """Whether the bucket was changed since that sync: the next one has to take it over."""
    return any(
        one.at > since and one.step not in _NO_CHANGE and one.action != _SYNC
        for one in incident.state.applied
    )


def _ill(found: Affected, looks: Looks, since: datetime) -> bool:
    """Whether documents were seen failing since that sync."""
    return bool(found.index.failing) and not looks.before("documents", since)


def _offline(incident: Incident) -> Incident:
    """The same incident, for which "now" is the journal's last entry and to which AWS answers nothing."""
    if incident.aws is None:
        return incident
    from vmqlib.record.incident import Incident as Opened

    return Opened(incident.dir, incident.identity, incident.settings, None, incident.clock, incident.sources)


def _paged(identity: Identity) -> bool:
    """Whether it was opened for an alarm's page (:attr:`vmqlib.runbook.pages.Page.cause`)."""
    return identity.cause.startswith(f"{identity.trigger}/alarm/")


def _connector(found: Affected, data_source_id: str) -> str:
    name = next((one.name for one in found.connectors if one.data_source_id == data_source_id), "")
    return f"{name} ({data_source_id})" if name and data_source_id else data_source_id


def _some(lines: Iterable[str]) -> tuple[str, ...]:
    """As many as a message bears; how many more there are is said."""
    every = list(lines)
    if len(every) <= _MOST:
        return tuple(every)
    return (*every[: _MOST - 1], f"And {len(every) - _MOST + 1} more: they are in the record.")


def _actions(events: Sequence[Event], told: datetime | None) -> Iterable[str]:
    """What happened since the last message, in the words of the journal: changes and how they ended, people's remarks.
    Of proofs, and of looks at the alarms, the last is told where it says another thing than the last one that was told.
    What is remembered for the review is not told."""
    silent: set[int] = set()
    for action in WAITING:
        looks = [one for one in events if one.kind == "verified" and one.data.action == action]
        before = [one for one in looks if told is not None and one.at <= told]
        news = looks[-1:] if not before or _says(looks[-1]) != _says(before[-1]) else []
        silent |= {one.seq for one in looks} - {one.seq for one in news}
    for event in events:
        if event.seq in silent:
            continue
        if (told is None or event.at > told) and event.step != "communicate" and _matters(event):
            yield f"{moment(event.at)}: {event.summary}"


def _says(proof: Event) -> str:
    """What a proof says, without times and counts."""
    return _FIGURES.sub("", proof.summary)


def _matters(event: Event) -> bool:
    match event.kind:
        case "applied" | "verified":
            return True
        case "undone":
            return event.step != "stabilize"  # a schedule that was put back is told by the change that did it
        case "failed":
            return not event.data.source
        case "noted":
            return not (event.step or event.data.torn or event.data.retro)
    return False


def _done(state: State) -> Iterable[str]:
    """Every change that stands, for people who know no ids."""
    return (
        f"{moment(one.at)}: {_IDS.sub('a sync job', one.summary)}"
        for one in state.applied
        if not one.undone and not one.item and one.step != "communicate"
    )


def _mended(found: Affected, opened: datetime) -> Iterable[str]:
    """What was changed of the guardrails since the opening: that is done elsewhere, and seen in CloudTrail."""
    for one in found.guardrail.changes or ():
        if one.at is not None and one.at >= opened and not one.refused:
            yield f"{moment(one.at)}: The guardrails were changed: {one.words} (seen in CloudTrail)."


def _proved(events: Sequence[Event]) -> Iterable[str]:
    """How the last sync ended, the last proof and the last look at the alarms; of each only since the last change: what
    was so before says nothing of now."""
    changed = max(
        (one.seq for one in events if one.kind in ("applied", "undone") and one.step not in _NO_CHANGE),
        default=0,
    )
    last: dict[str, Event] = {}
    for event in events:
        if event.seq > changed and event.kind in ("verified", "failed"):
            action = event.data.action
            if action in WAITING or action == _SYNC:
                last[action] = event
    for one in sorted(last.values(), key=lambda event: event.seq):
        yield f"{moment(one.at)}: {_IDS.sub('a sync job', one.summary)}"


def _waiting(incident: Incident, events: Sequence[Event]) -> Iterable[str]:
    """Changes that were begun and of which the journal has no end. A rollback and a touch have a log beside it: of
    those it is told how far they came instead."""
    half_done = {
        now.applied.digest: _how_far(incident, purpose, now.applied, now.command)
        for purpose in PURPOSES
        if (now := status(incident, purpose)).state in {"unfinished", "interrupted"} and now.applied
    }
    begun: dict[tuple[str, str], Applying] = {}
    for event in events:
        if event.step == "communicate" or event.kind not in ("applying", "applied", "failed", "undone"):
            continue
        key = (event.step, event.data.item)
        if event.kind == "applying":
            begun[key] = event
        else:
            begun.pop(key, None)
    for one in begun.values():
        if one.data.digest not in half_done:
            yield f"begun at {moment(one.at)}, its end is not on record: {one.summary}"
    yield from half_done.values()


def _how_far(incident: Incident, purpose: PurposeName, applied: Applied, on: str) -> str:
    """How far a rollback or a touch came, and what goes on with it or takes it back; in a closed incident neither."""
    if not on:
        return applied.sentence
    undo = "" if applied.kind == "undo" else f"; back: {command(purpose, 'undo', incident.id)}"
    return f"{applied.sentence} On: {on}{undo}"


def _needs(steps: Iterable[NextStep]) -> tuple[NextStep, ...]:
    """The next steps, but for telling people: that is being done."""
    return tuple(one for one in steps if one.step != _COMMUNICATE)[:_NEEDS]
