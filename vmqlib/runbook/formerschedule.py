"""What the sync schedule of a connector was before somebody emptied it, as far as that can be told. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = ["Former", "former_schedule"]

_SETS = ("CreateDataSource", "UpdateDataSource")
_LEAST_DAYS = 3
_MOST_OF = 0.8  # of the days from the first such sync to the last


@dataclass(frozen=True)
class Former:
    """The schedule as it was.

    Parameters
    ----------
    schedule:
        As Q Business takes it.
    why:
        What says so, in a sentence.
    """

    schedule: str
    why: str


def former_schedule(seen: Mapping[str, Observation], data_source_id: str) -> Former | None:
    """The last schedule that a call of ``trail`` set; else the one that the starts of ``sync-jobs`` speak for: a sync
    at one and the same minute of nearly every day. ``None`` where neither tells.

    Parameters
    ----------
    seen:
        Observations by source name.
    data_source_id:
        Whose.
    """
    trail, jobs = seen.get("trail"), seen.get("sync-jobs")
    if trail is not None and trail.available and (told := _by_call(trail.frame, data_source_id)):
        return told
    return _by_starts(jobs.frame, data_source_id) if jobs is not None and jobs.available else None


def _by_call(trail: pd.DataFrame, data_source_id: str) -> Former | None:
    calls = trail[trail["event"].isin(_SETS) & trail["error_code"].fillna("").eq("") & trail["at"].notna()]
    for call in calls.sort_values("at", ascending=False, kind="stable").to_dict("records"):
        try:
            asked = json.loads(call["parameters"])
        except (TypeError, ValueError):  # a long call's parameters are not in the event
            continue
        if (
            isinstance(asked, dict)
            and asked.get("dataSourceId") == data_source_id
            and isinstance(schedule := asked.get("syncSchedule"), str)
            and schedule
        ):
            return Former(
                schedule, f"{call['event']} of {show_time(call['at'])} had set the schedule to {schedule}."
            )
    return None


def _by_starts(jobs: pd.DataFrame, data_source_id: str) -> Former | None:
    started = jobs.loc[jobs["data_source_id"].eq(data_source_id), "started_at"].dropna().drop_duplicates()
    if started.empty:
        return None
    minutes = started.dt.floor("min").dt.strftime("%H:%M")
    usual = minutes.value_counts().index[0]
    days = started[minutes.eq(usual)].dt.floor("D").drop_duplicates()
    span = (days.max() - days.min()).days + 1
    if len(days) < _LEAST_DAYS or len(days) < _MOST_OF * span:
        return None
    hour, minute = (int(part) for part in usual.split(":"))
    return Former(
        schedule := f"cron({minute} {hour} * * ? *)",
        f"No call that was seen says what the schedule was; a sync began at {usual} UTC on {len(days)} of the {span} "
        f"days up to {days.max():%Y-%m-%d}, which speaks for {schedule}: ask whoever emptied it.",
    )
