"""What the rules read: whether something was seen, what an alarm says, which syncs have ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.findings import Finding
from vmqlib.runbook.triggers.verdicts import Reason
from vmqlib.runbook.wiring.blindness import blind_alarms
from vmqlib.sources.base import as_time
from vmqlib.sources.syncjobs import RUNNING
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.events import EvidenceRef
    from vmqlib.record.observation import Observation
    from vmqlib.settings import Settings

__all__ = [
    "Alarm",
    "Seen",
    "ageless",
    "ago",
    "alarm",
    "blindness",
    "connector_name",
    "data_sources",
    "ended_jobs",
    "evidence",
    "incomplete",
    "looked_at",
    "name",
    "not_seen",
    "number",
]

Seen = Mapping[str, "Observation"]

_AGE = re.compile(r" \([^()]* ago\)|, (?:\d[\d,.]* [a-z]+ )+ago\b")


def not_seen(seen: Seen, source: str) -> Reason | None:
    """Why a source cannot be read, as a reason that says unknown; ``None`` where it can."""
    one = seen.get(source)
    if one is None:
        return Reason("unknown", f"Nobody has looked at {source}.", source)
    if not one.available:
        return Reason("unknown", f"{one.title} could not be seen: {one.problem}", source)
    return None


def incomplete(seen: Seen, source: str, data_source_id: str = "") -> str:
    """Where and why the look at a source stopped; empty where it is complete, or where what is missing is not of the
    data source that is named."""
    return seen[source].missing_of(data_source_id).rstrip(".")


def looked_at(seen: Seen, source: str, now: datetime) -> datetime:
    """The moment that a source is true for: when it was looked at, and never after ``now``. Another source may have
    been looked at since, and nobody knows what this one would have said then."""
    at = seen[source].at
    return now if at is None else min(at, now)


def evidence(seen: Seen, source: str) -> EvidenceRef | None:
    """The evidence file of a source."""
    one = seen.get(source)
    return None if one is None else one.evidence


def number(value: Any, default: float) -> float:
    """A cell of a number column, or ``default`` where it is missing."""
    import pandas as pd

    return default if value is None or pd.isna(value) else float(value)


def ageless(text: str) -> str:
    """A sentence without the ages that stand beside its times, as :func:`ago` puts them: for who reads it
    long after."""
    return _AGE.sub("", text)


def ago(moment: datetime, now: datetime) -> str:
    """A moment with its age: ``2026-11-23 09:12:05 UTC (48 min ago)``."""
    return f"{show_time(moment)} ({duration(max(now - moment, timedelta()))} ago)"


def name(settings: Settings, data_source_id: str) -> str:
    """What people call a connector: its name in the settings, else its id."""
    return connector_name(settings, data_source_id) or data_source_id


def connector_name(settings: Settings, data_source_id: str) -> str:
    """The connector's name in the settings, or ``""``."""
    return next((one.name for one in settings.data_sources if one.data_source_id == data_source_id), "")


def data_sources(settings: Settings, jobs: pd.DataFrame) -> list[str]:
    """The data sources of the settings, and whatever else a frame of ``sync-jobs`` has."""
    known = [one.data_source_id for one in settings.data_sources if one.data_source_id]
    return list(dict.fromkeys([*known, *jobs["data_source_id"].dropna()]))


def ended_jobs(jobs: pd.DataFrame, data_source_id: str) -> pd.DataFrame:
    """The jobs of a data source that came to an end by themselves, oldest first. Its column ``ended`` has no gaps.

    One that somebody aborted says nothing about what is wrong, and is left out.
    """
    mine = jobs[jobs["data_source_id"].eq(data_source_id) & jobs["started_at"].notna()]
    mine = mine[~mine["status"].isin([*RUNNING, "ABORTED"])].sort_values("started_at", kind="stable")
    return mine.assign(ended=mine["ended_at"].fillna(mine["started_at"])).reset_index(drop=True)


@dataclass(frozen=True)
class Alarm:
    """An alarm as it was seen.

    Parameters
    ----------
    name:
        Its name.
    state:
        OK, ALARM, INSUFFICIENT_DATA; empty where there is no such alarm, or it was not seen.
    since:
        Since when it has been in that state.
    settles:
        How long it may take to follow its metric.
    exists:
        Whether there is one; ``None`` where that is not known.
    source:
        The observation that says so.
    problem:
        Why it was not seen.
    row:
        The alarm's row; empty where it is known from its history alone.
    """

    name: str
    state: str = ""
    since: datetime | None = None
    settles: timedelta = timedelta(0)
    exists: bool | None = None
    source: str = "alarms"
    problem: str = ""
    row: Mapping[str, Any] | None = None


def alarm(seen: Seen, alarm_name: str) -> Alarm:
    """The alarm of that name: from the alarms; where those were not seen, from the history."""
    missing = not_seen(seen, "alarms")
    if missing is None:
        frame = seen["alarms"].frame
        found = frame[frame["name"].eq(alarm_name)]
        if len(found):
            row: dict[str, Any] = {str(key): value for key, value in found.iloc[0].to_dict().items()}
            periods = number(row["evaluation_periods"], 1)
            span = timedelta(seconds=number(row["period_s"], 300) * periods)
            return Alarm(alarm_name, str(row["state"]), as_time(row["since"]), span, exists=True, row=row)
        if seen["alarms"].complete:
            return Alarm(alarm_name, exists=False)
        missing = Reason("unknown", f"Alarms are incomplete: {incomplete(seen, 'alarms')}.", "alarms")
    if not_seen(seen, "alarm-history") is None:
        changes = seen["alarm-history"].frame
        mine = changes[changes["name"].eq(alarm_name) & changes["new_state"].fillna("").ne("")]
        if len(mine) and seen["alarm-history"].complete:
            last = mine.iloc[-1]
            since = as_time(last["at"])
            return Alarm(alarm_name, str(last["new_state"]), since, exists=True, source="alarm-history")
    return Alarm(alarm_name, problem=missing.text)


def blindness(seen: Seen, alarm_name: str) -> list[Finding]:
    """That an alarm never sees its metric, where that is so: its state says nothing."""
    found = next((one for one in blind_alarms(seen) if one.name == alarm_name), None)
    if found is None:
        return []
    remedy = "Give it the very dimensions that the metric is published with; `vmq doctor` shows the change."
    return [Finding("blind-alarm", "problem", found.text, remedy, found.sources[0])]
