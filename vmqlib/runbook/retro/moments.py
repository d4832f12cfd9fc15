"""Reads the moments of an incident off its journal and evidence. What is not told there stays unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.record.events import Applied, Event, Verified
from vmqlib.runbook.retro.measures import Moment, Moments
from vmqlib.runbook.triggers.verdicts import Detection

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.record.state import Action, State
    from vmqlib.runbook.guardrailchanges import GuardrailChange

__all__ = ["Rings", "moments", "syncs_that_succeeded"]

Rings = Sequence[tuple[datetime, str]]
"""When which alarm went into ALARM, oldest first."""

# Steps that tell of what was done, and do not themselves mend anything.
_NO_MENDING = frozenset({"resync", "communicate", "validate", "triage", "stabilize"})
# Triggers whose mending reaches people only through another sync.
_BY_SYNC = frozenset({"sync-failed", "no-sync", "content"})


def moments(
    trigger: str,
    state: State,
    events: Sequence[Event],
    detection: Detection,
    rings: Rings,
    syncs: Sequence[tuple[datetime, datetime, str]],
    mend: GuardrailChange | None = None,
) -> Moments:
    """The moments. Pure.

    Parameters
    ----------
    trigger:
        What the incident was opened for.
    state, events:
        Of its journal.
    detection:
        What the triggers' rules say of the evidence that was gathered when it was opened.
    rings:
        When alarms went into ALARM.
    syncs:
        The syncs that succeeded: when they began and ended, and where that is from.
    mend:
        The change of the guardrails by which what blocked was taken back; ``None`` where none was seen.
    """
    first_bad = _first_bad(trigger, detection)
    opened = Moment(state.opened_at, "the opening of the incident")
    ring = _ring(first_bad.at, opened.at, rings)
    rang = Moment(ring[0], f"the alarm {ring[1]} (alarm-history)") if ring else None
    return Moments(
        first_bad=first_bad,
        detected=rang or opened,
        rang=rang or Moment(None, _not_rung(first_bad.at)),
        opened=opened,
        acknowledged=(
            Moment(state.acknowledged_at, f"the acknowledgement by {state.acknowledged_by}")
            if state.acknowledged_at
            else Moment(None, "nobody acknowledged")
        ),
        mitigated=_mitigated(trigger, state, events, syncs, mend),
        resolved=(
            Moment(state.closed_at, "the closing" if len(state.closings) == 1 else "the last closing")
            if state.closed_at
            else Moment(None, "it is not closed")
        ),
        alarm=ring[1] if ring else "",
    )


def _first_bad(trigger: str, detection: Detection) -> Moment:
    """The oldest sign among the reasons for which the incident's own trigger fired."""
    verdict = next((one for one in detection.triggers if one.trigger == trigger), None)
    if verdict is None or verdict.verdict != "firing":
        said = "was not evaluated" if verdict is None else f"was {verdict.verdict}"
        return Moment(None, f"the rule of {trigger} {said} on the evidence of the opening: no first bad sign")
    signs = sorted((one.since, one.source) for one in verdict.reasons if one.says == "firing" and one.since)
    # An alarm is what is measured, and may have stood from before; a metric's figure is for a whole hour.
    direct = [one for one in signs if one[1] not in {"alarms", "alarm-history", "metrics"}]
    counted = [one for one in signs if one[1] == "metrics"]
    if not direct and not counted:
        return Moment(None, f"the rule of {trigger} fired, and nothing but an alarm says since when")
    since, source = (direct or counted)[0]
    return Moment(since, f"the first bad sign ({source}{'' if direct else ', by the hour'})")


def _ring(first_bad: datetime | None, opened: datetime | None, rings: Rings) -> tuple[datetime, str] | None:
    """The first alarm between the first bad sign and the opening."""
    if first_bad is None or opened is None:
        return None
    return next(((at, name) for at, name in rings if first_bad <= at <= opened), None)


def _not_rung(first_bad: datetime | None) -> str:
    between = "between the first bad sign and the opening"
    return f"no alarm is known to have rung {between}" if first_bad else "what would have rung is not known"


def _mitigated(
    trigger: str,
    state: State,
    events: Sequence[Event],
    syncs: Sequence[tuple[datetime, datetime, str]],
    mend: GuardrailChange | None,
) -> Moment:
    changes = [one for one in state.applied if not one.undone and one.step not in _NO_MENDING]
    if trigger in _BY_SYNC:
        return _by_sync(state, changes, syncs)
    again = state.reopenings[-1].at if state.reopenings else None
    if (
        trigger == "guardrail"
        and mend is not None
        and mend.at is not None
        and (not again or mend.at >= again)
    ):
        return Moment(mend.at, "the change of the guardrails that took back what blocked (CloudTrail)")
    if not changes or (again and changes[-1].at < again):
        since = " after it was reopened" if again else ""
        return Moment(None, f"nothing was changed{since}, so that nothing says when it became better")
    last = changes[-1]
    for event in events:
        if isinstance(event, Verified) and event.seq > last.seq and event.data.ok is not False:
            return Moment(event.at, f"the verification of the last change ({last.action or last.step})")
    return Moment(last.at, f"the last change ({last.action or last.step}), which nothing verified")


def _by_sync(
    state: State, changes: Sequence[Action], syncs: Sequence[tuple[datetime, datetime, str]]
) -> Moment:
    """The end of the first sync that succeeded and began after the last change that stands, or after the opening; what
    was before a reopening did not hold."""
    since, after = state.opened_at, "the opening"
    if changes:
        since, after = changes[-1].at, f"the last change ({changes[-1].action or changes[-1].step})"
    if state.reopenings and (since is None or since < state.reopenings[-1].at):
        since, after = state.reopenings[-1].at, "the reopening"
    good = [one for one in syncs if since is not None and one[0] >= since]
    if not good:
        return Moment(None, f"no sync that began after {after} is known to have succeeded")
    _, ended, where = min(good, key=lambda one: one[1])
    return Moment(ended, f"the end of the first sync that began after {after} and succeeded ({where})")


def syncs_that_succeeded(
    events: Sequence[Event], jobs: Observation | None, data_source_id: str
) -> list[tuple[datetime, datetime, str]]:
    """When each sync began and ended that is known to have succeeded: from AWS's list, else from the journal."""
    found: dict[str, tuple[datetime, datetime, str]] = {}
    began: dict[str, datetime] = {}
    for event in events:
        if event.step != "resync" or not isinstance(event, Applied | Verified):
            continue
        about = event.data.model_dump()
        job = str(about.get("execution_id", ""))
        if isinstance(event, Applied):
            began.setdefault(job, event.at)
        elif job in began:
            found[job] = began[job], event.at, "journal"
    found |= dict(_listed(jobs, data_source_id))
    return sorted(found.values())


def _listed(
    jobs: Observation | None, data_source_id: str
) -> Iterator[tuple[str, tuple[datetime, datetime, str]]]:
    if jobs is None or not jobs.available:
        return
    frame = jobs.frame
    good = frame[frame["status"].eq("SUCCEEDED") & frame["started_at"].notna() & frame["ended_at"].notna()]
    if data_source_id:
        good = good[good["data_source_id"].eq(data_source_id)]
    rows: Sequence[Mapping[str, object]] = good.to_dict("records")  # type: ignore[assignment]
    for row in rows:
        start, end = (row[name].to_pydatetime(warn=False) for name in ("started_at", "ended_at"))  # type: ignore[attr-defined]
        yield str(row["execution_id"]), (start, end, "sync-jobs")
