"""The runbook's first trigger: “SyncFailed” for more than 15 minutes.

Three witnesses, each shown: the alarm, the sync history, the metric that the alarm looks at. The history decides,
since an alarm can be blind; the alarm and the metric may know of syncs that it does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.findings import Finding, Level
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
from vmqlib.runbook.wording import many
from vmqlib.sources.base import as_time
from vmqlib.times import duration

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import Settings

__all__ = ["sync_failed"]

_SETTLES = timedelta(minutes=30)
"""An alarm that still stands so long after a sync that SUCCEEDED is only slow: its metric is published for a while."""


@dataclass(frozen=True)
class _History:
    """What the sync history says of one data source."""

    data_source_id: str
    reason: Reason
    cause: str = ""
    good_at: datetime | None = None


def sync_failed(seen: Seen, settings: Settings, now: datetime) -> tuple[Verdict, list[Finding]]:
    """The verdict, and where the witnesses disagree. Pure.

    Parameters
    ----------
    seen:
        ``sync-jobs``, ``alarms`` (or ``alarm-history``), ``metrics``.
    settings:
        ``detection.sync_failed_minutes``, the alarm's name, the connectors.
    now:
        The moment that this is to be true for, UTC.
    """
    limit = timedelta(minutes=settings.detection.sync_failed_minutes)
    known = alarm(seen, settings.alarms.sync_failed)
    histories = _histories(seen, settings, now, limit)
    recovered = min((one.good_at for one in histories if one.good_at), default=None)
    if len([one for one in histories if one.good_at]) < len(histories):
        recovered = None
    told = _alarm_reason(known, seen, now, limit, recovered)
    measured = _metric_reason(seen, now, limit, recovered)
    by_history = [one.reason for one in histories]
    reasons = _sorted([*by_history, told, measured])
    # An alarm that has nothing to say was looked at, too; the metric is published only while something is wrong.
    needed = [*by_history, *([] if known.exists is not None else [told])]
    verdict = overall(reasons, needed=needed)
    findings = _disagreements(known, histories, told, measured, seen)
    if verdict != "firing":
        return Verdict("sync-failed", verdict, None, _calm(verdict, told), tuple(reasons)), findings
    worst = min(
        (one for one in histories if one.reason.says == "firing"),
        key=lambda one: one.reason.since or now,
        default=None,
    )
    if worst is not None:
        agree = "firing" in (told.says, measured.says)
        return (
            Verdict(
                "sync-failed", "firing", worst.reason.since, "high" if agree else "medium", tuple(reasons),
                worst.data_source_id, worst.cause,
            ),
            findings,
        )  # fmt: skip
    since = min((one.since for one in (told, measured) if one.says == "firing" and one.since), default=None)
    sure: Confidence = "medium" if told.says == "firing" else "low"
    only = settings.data_sources[0].data_source_id if len(settings.data_sources) == 1 else ""
    cause = f"sync-failed/alarm/{since.isoformat(timespec='seconds') if since else known.name}"
    return Verdict("sync-failed", "firing", since, sure, tuple(reasons), only, cause), findings


def _sorted(reasons: list[Reason]) -> list[Reason]:
    order = {"firing": 0, "unknown": 1, "quiet": 2}
    return sorted(reasons, key=lambda one: order[one.says])


def _calm(verdict: str, told: Reason) -> Confidence:
    return (
        "high" if verdict == "quiet" and told.says == "quiet" else "medium" if verdict == "quiet" else "low"
    )


def _histories(seen: Seen, settings: Settings, now: datetime, limit: timedelta) -> list[_History]:
    missing = not_seen(seen, "sync-jobs")
    if missing is not None:
        return [_History("", missing)]
    jobs, now = seen["sync-jobs"].frame, looked_at(seen, "sync-jobs", now)
    found = [
        _history(one, jobs, seen, settings, now, limit)
        for one in data_sources(settings, jobs)
    ]  # fmt: skip
    return found or [_History("", Reason("unknown", "No data source is known.", "sync-jobs"))]


def _history(
    data_source_id: str, jobs: pd.DataFrame, seen: Seen, settings: Settings, now: datetime, limit: timedelta
) -> _History:
    called = name(settings, data_source_id)
    kept = evidence(seen, "sync-jobs")
    cut = incomplete(seen, "sync-jobs", data_source_id)
    ended = ended_jobs(jobs, data_source_id)
    if ended.empty:
        why = f"{called}: no sync was seen to end{f': {cut}' if cut else ''}."
        return _History(data_source_id, Reason("unknown", why, "sync-jobs", evidence=kept))
    good = ended.index[ended["status"].eq("SUCCEEDED")]
    bad = ended.iloc[int(good[-1]) + 1 :] if len(good) else ended
    good_at = as_time(ended.loc[good[-1], "ended"]) if len(good) else None
    if bad.empty:
        assert good_at is not None
        text = f"{called}: the newest sync that ended SUCCEEDED at {ago(good_at, now)}."
        if cut:
            reason = Reason(
                "unknown", f"{text} But the history is incomplete: {cut}.", "sync-jobs", evidence=kept
            )
        else:
            reason = Reason("quiet", text, "sync-jobs", evidence=kept)
        return _History(data_source_id, reason, good_at=good_at)
    first = as_time(bad["ended"].iloc[0])
    assert first is not None
    text = f"{called}: {_streak(bad)} since {ago(first, now)}{_error(bad)}."
    # Without a good one before them nobody knows which was the first.
    started = str(bad["execution_id"].iloc[0]) if len(good) and not cut else ""
    cause = f"sync-failed/{data_source_id}/{started or 'from-the-beginning'}"
    if now - first > limit:
        return _History(data_source_id, Reason("firing", text, "sync-jobs", first, kept), cause)
    text = f"{text[:-1]}; it fires after {duration(limit)}."
    return _History(
        data_source_id, Reason("unknown" if cut else "quiet", text, "sync-jobs", first, kept), cause
    )


def _streak(bad: pd.DataFrame) -> str:
    counts = bad["status"].value_counts()
    kinds = " and ".join(f"{count} {status}" for status, count in counts.items())
    return f"the newest sync is {bad['status'].iloc[-1]}; {kinds}, none SUCCEEDED"


def _error(bad: pd.DataFrame) -> str:
    last = bad.iloc[-1]
    parts = [last[column] for column in ("error_code", "error_message")]
    said = ": ".join(str(part) for part in parts if isinstance(part, str) and part)
    failed = (
        ""
        if bad["failed"].isna().iloc[-1]
        else f"{many(int(last['failed']), 'document')} failed in that sync"
    )
    return "".join(f"; {part}" for part in (failed, said.rstrip(".")) if part)


def _alarm_reason(
    known: Alarm, seen: Seen, now: datetime, limit: timedelta, recovered: datetime | None
) -> Reason:
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
    if recovered is not None and now - recovered <= _SETTLES + known.settles:
        text = f"{text}; a sync SUCCEEDED at {ago(recovered, now)}, and the alarm takes a while to see that."
        return Reason("quiet", text, known.source, known.since, kept)
    if now - known.since > limit:
        return Reason("firing", f"{text}.", known.source, known.since, kept)
    return Reason("quiet", f"{text}; it fires after {duration(limit)}.", known.source, known.since, kept)


def _metric_reason(seen: Seen, now: datetime, limit: timedelta, recovered: datetime | None) -> Reason:
    missing = not_seen(seen, "metrics")
    if missing is not None:
        return missing
    kept = evidence(seen, "metrics")
    frame = seen["metrics"].frame
    mine = frame[frame["metric"].eq("SyncFailed") & frame["namespace"].eq("VaultMesh/QBusiness")]
    mine = mine[mine["value"].notna() & mine["at"].notna()].sort_values("at", kind="stable")
    cut = incomplete(seen, "metrics")
    if mine.empty or cut:
        why = f"is incomplete: {cut}" if cut else "has no datapoint in the time that was looked at"
        return Reason("unknown", f"The metric SyncFailed {why}.", "metrics", evidence=kept)
    # The finest there is: of a long period only that it was above 0 at some moment, and not whether it went on.
    mine = mine[mine["period_s"].eq(mine[mine["at"].eq(mine["at"].max())]["period_s"].min())]
    period = timedelta(seconds=float(mine["period_s"].iloc[-1]))
    bad = mine["value"].gt(0)
    newest = as_time(mine["at"].iloc[-1])
    assert newest is not None
    # Of the period that is going on only a part is there; one that ended longer ago than two says nothing of now.
    stale = now - (newest + period) > max(2 * period, timedelta(minutes=15))
    if stale or not bad.iloc[-1]:
        text = f"The metric SyncFailed was last published at {ago(newest, now)}"
        return Reason(
            "quiet", f"{text}, {'no' if stale else 'with 0: no'} failure since.", "metrics", evidence=kept
        )
    first = as_time(mine[_tail(bad, mine["at"], period)]["at"].iloc[0])
    assert first is not None
    # It rose at some moment of the first period: at its end it certainly had.
    since = min(first + period, now)
    text = (
        f"The metric SyncFailed has been above 0 since {ago(since, now)} at the latest "
        f"(in periods of {duration(period)})"
    )
    if recovered is not None and recovered > newest - _SETTLES:
        return Reason("quiet", f"{text}; a sync SUCCEEDED at {ago(recovered, now)}.", "metrics", since, kept)
    if min(now, newest + period) - since <= limit:
        return Reason("quiet", f"{text}; it fires after {duration(limit)}.", "metrics", since, kept)
    return Reason("firing", f"{text}.", "metrics", since, kept)


def _tail(bad: pd.Series[bool], at: pd.Series[Any], period: timedelta) -> pd.Series[bool]:
    """The last stretch of bad periods without a good one, or a gap of more than two periods, in between."""
    broken = ~bad | (at.diff() > 2 * period)
    stretch = broken.cumsum()
    return bad & stretch.eq(stretch.iloc[-1])


def _disagreements(
    known: Alarm, histories: list[_History], told: Reason, measured: Reason, seen: Seen
) -> list[Finding]:
    firing = [one for one in histories if one.reason.says == "firing"]
    quiet = [one for one in histories if one.reason.says == "quiet"]
    found: list[Finding] = []
    if known.exists is False:
        text = f"There is no alarm {known.name}: nobody is paged when syncs fail."
        found.append(
            Finding("alarm-missing", "problem", text, "`vmq doctor` shows how to make it.", "alarms")
        )
    if firing and known.exists and known.state != "ALARM":
        text = f"Syncs fail, and the alarm {known.name} is {known.state or 'not in ALARM'}: {firing[0].reason.text}"
        remedy = "Nobody is paged by it. `vmq doctor` checks what it looks at, and shows the mend."
        found.append(Finding("alarm-disagrees", "problem", text, remedy, "alarms"))
    if (
        known.state == "ALARM"
        and quiet
        and len(quiet) == len(histories)
        and all(one.good_at for one in quiet)
    ):
        level: Level = "warning" if told.says == "firing" else "note"
        text = f"The newest sync SUCCEEDED, and the alarm {known.name} is in ALARM: {told.text}"
        remedy = (
            "It counts what the settings do not name, or its metric is still published: see who publishes SyncFailed."
            if level == "warning"
            else "Wait some minutes: it follows its metric with a delay."
        )
        found.append(Finding("alarm-disagrees", level, text, remedy, "alarms"))
    if measured.says == "firing" and told.says != "firing" and quiet and len(quiet) == len(histories):
        text = f"{measured.text} Neither the alarm nor the sync history say so: {quiet[0].reason.text}"
        remedy = "It counts what the settings do not name, or it is published wrongly: see who publishes SyncFailed."
        found.append(Finding("metric-disagrees", "warning", text, remedy, "metrics"))
    return [*found, *blindness(seen, known.name)]
