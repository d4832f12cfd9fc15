"""The runbook's second trigger: no sync for more than 24 hours, of any connector, by the clock and by the alarm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.runbook.findings import Finding
from vmqlib.runbook.triggers.verdicts import Confidence, Reason, Verdict, overall
from vmqlib.runbook.triggers.witnesses import (
    Alarm,
    Seen,
    ago,
    alarm,
    blindness,
    data_sources,
    ended_jobs,
    evidence,
    incomplete,
    looked_at,
    name,
    not_seen,
)
from vmqlib.sources.base import as_time
from vmqlib.times import duration

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import Settings

__all__ = ["no_sync"]

_DAILY = timedelta(hours=25)
"""Its metric is published once a day: the alarm follows that much later."""


@dataclass(frozen=True)
class _Age:
    """How old the last good sync of one data source is."""

    data_source_id: str
    reason: Reason
    cause: str = ""
    good_at: datetime | None = None


def no_sync(seen: Seen, settings: Settings, now: datetime) -> tuple[Verdict, list[Finding]]:
    """The verdict, and where alarm and clock disagree. Pure.

    Parameters
    ----------
    seen:
        ``sync-jobs``, ``alarms`` (or ``alarm-history``); ``metrics``, where they were looked at, tell if the alarm is
        blind.
    settings:
        ``detection.no_sync_hours``, the alarm's name, the connectors.
    now:
        The moment that this is to be true for, UTC.
    """
    limit = timedelta(hours=settings.detection.no_sync_hours)
    known = alarm(seen, settings.alarms.no_sync)
    ages = _ages(seen, settings, now, limit)
    by_clock = [one.reason for one in ages]
    told = _alarm_reason(known, ages, seen, now)
    reasons = tuple(
        sorted(
            [*by_clock, told],
            key=lambda one: ({"firing": 0, "unknown": 1, "quiet": 2}[one.says], one.since or now),
        )
    )
    verdict = overall(reasons, needed=[*by_clock, *([] if known.exists is not None else [told])])
    findings = [*_disagreements(known, ages, told, now), *blindness(seen, known.name)]
    if verdict != "firing":
        calm: Confidence = "low" if verdict == "unknown" else "high" if told.says == "quiet" else "medium"
        return Verdict("no-sync", verdict, None, calm, reasons), findings
    firing = [one for one in ages if one.reason.says == "firing"]
    if firing:
        worst = min(firing, key=lambda one: one.reason.since or now)
        sure: Confidence = "high" if worst.good_at is not None else "medium"
        return (
            Verdict(
                "no-sync", "firing", worst.reason.since, sure, reasons, worst.data_source_id, worst.cause
            ),
            findings,
        )
    only = settings.data_sources[0].data_source_id if len(settings.data_sources) == 1 else ""
    cause = f"no-sync/alarm/{told.since.isoformat(timespec='seconds') if told.since else known.name}"
    return Verdict("no-sync", "firing", told.since, "medium", reasons, only, cause), findings


def _ages(seen: Seen, settings: Settings, now: datetime, limit: timedelta) -> list[_Age]:
    missing = not_seen(seen, "sync-jobs")
    if missing is not None:
        return [_Age("", missing)]
    jobs, now = seen["sync-jobs"].frame, looked_at(seen, "sync-jobs", now)
    found = [_age(one, jobs, seen, settings, now, limit) for one in data_sources(settings, jobs)]
    return found or [_Age("", Reason("unknown", "No data source is known.", "sync-jobs"))]


def _age(
    data_source_id: str, jobs: pd.DataFrame, seen: Seen, settings: Settings, now: datetime, limit: timedelta
) -> _Age:
    called, kept = name(settings, data_source_id), evidence(seen, "sync-jobs")
    cut = incomplete(seen, "sync-jobs", data_source_id)
    ended = ended_jobs(jobs, data_source_id)
    good = ended[ended["status"].eq("SUCCEEDED")]
    if len(good):
        last = good.iloc[-1]
        at = as_time(last["ended"])
        assert at is not None
        text = f"{called}: the last sync that SUCCEEDED ended at {ago(at, now)}"
        cause = f"no-sync/{data_source_id}/{last['execution_id']}"
        if now - at <= limit:  # a newer one could only be newer still
            return _Age(data_source_id, Reason("quiet", f"{text}.", "sync-jobs", evidence=kept), "", at)
        if cut:
            text = f"{text}; but the history is incomplete: {cut}."
            return _Age(data_source_id, Reason("unknown", text, "sync-jobs", evidence=kept), cause, at)
        text = f"{text}; {duration(limit)} are allowed."
        return _Age(data_source_id, Reason("firing", text, "sync-jobs", at + limit, kept), cause, at)
    mine = jobs[jobs["data_source_id"].eq(data_source_id) & jobs["started_at"].notna()]
    if mine.empty or cut:
        why = f"{called}: no sync that SUCCEEDED was seen{f': {cut}' if cut else ', and no other either'}."
        return _Age(data_source_id, Reason("unknown", why, "sync-jobs", evidence=kept))
    oldest = as_time(mine["started_at"].min())
    assert oldest is not None
    many = "the one sync" if len(mine) == 1 else f"the {len(mine)} syncs"
    text = f"{called}: none of {many} seen SUCCEEDED, in the {duration(now - oldest)} that the history reaches back"
    if now - oldest <= limit:
        return _Age(data_source_id, Reason("unknown", f"{text}.", "sync-jobs", evidence=kept))
    text = f"{text}; {duration(limit)} are allowed, so it holds since then at the latest."
    cause = f"no-sync/{data_source_id}/none"
    return _Age(data_source_id, Reason("firing", text, "sync-jobs", oldest + limit, kept), cause)


def _alarm_reason(known: Alarm, ages: list[_Age], seen: Seen, now: datetime) -> Reason:
    kept = evidence(seen, known.source)
    if known.exists is None:
        return Reason("unknown", known.problem, known.source)
    if not known.exists:
        return Reason("unknown", f"There is no alarm {known.name}.", known.source, evidence=kept)
    if known.state == "OK" and blindness(seen, known.name):
        text = f"The alarm {known.name} is OK, which says nothing: it never sees its metric."
        return Reason("unknown", text, known.source, known.since, kept)
    if known.state == "OK":
        since = f" since {ago(known.since, now)}" if known.since else ""
        return Reason("quiet", f"The alarm {known.name} is OK{since}.", known.source, evidence=kept)
    if known.state != "ALARM" or known.since is None:
        text = f"The alarm {known.name} is {known.state or 'in no state'}: it gets no data."
        return Reason("unknown", text, known.source, known.since, kept)
    text = f"The alarm {known.name} has been in ALARM since {ago(known.since, now)}"
    if ages and all(one.reason.says == "quiet" for one in ages):
        newest = min(one.good_at for one in ages if one.good_at is not None)
        if now - newest <= _DAILY:
            text = f"{text}; but every connector synced since {ago(newest, now)}, and its metric comes once a day."
            return Reason("quiet", text, known.source, known.since, kept)
    return Reason("firing", f"{text}.", known.source, known.since, kept)


def _disagreements(known: Alarm, ages: list[_Age], told: Reason, now: datetime) -> list[Finding]:
    firing = [one for one in ages if one.reason.says == "firing"]
    found: list[Finding] = []
    if known.exists is False:
        text = f"There is no alarm {known.name}: nobody is paged when syncs stay away."
        found.append(
            Finding("alarm-missing", "problem", text, "`vmq doctor` shows how to make it.", "alarms")
        )
    if firing and known.exists and known.state != "ALARM":
        late = [one for one in firing if one.reason.since is not None and now - one.reason.since > _DAILY]
        text = f"No sync for too long, and the alarm {known.name} is {known.state}: {firing[0].reason.text}"
        remedy = (
            "It should have seen that by now: `vmq doctor` checks what it looks at."
            if late
            else "Its metric is published once a day; it may still come."
        )
        found.append(Finding("alarm-disagrees", "problem" if late else "note", text, remedy, "alarms"))
    if known.state == "ALARM" and ages and all(one.reason.says == "quiet" for one in ages):
        text = f"Every connector synced in time, and the alarm {known.name} is in ALARM: {told.text}"
        remedy = "Its metric is published once a day: it should be OK within a day of the sync."
        found.append(
            Finding("alarm-disagrees", "warning" if told.says == "firing" else "note", text, remedy, "alarms")
        )
    return found
