"""Whether the alarm for missing syncs still tells of before the last sync, and when it can know better.

Its metric comes once a day, so that it stays in ALARM for hours after every connector has synced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.runbook.triggers.witnesses import Seen, data_sources, ended_jobs, looked_at
from vmqlib.runbook.wiring.blindness import blind_alarms
from vmqlib.sources.base import as_time
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import Settings

__all__ = ["Due", "due"]

_FEWEST = 3  # datapoints: fewer say nothing of how often they come
_SELDOM = timedelta(hours=2)  # an alarm whose metric comes more often is waited for
_LATE = timedelta(hours=1)  # what a publisher may be late


@dataclass(frozen=True)
class Due:
    """An alarm in ALARM whose newest datapoint is from before the sync that mended it.

    Parameters
    ----------
    name:
        The alarm.
    every:
        How far it usually is from one of its datapoints to the next.
    newest:
        When the period of the newest one began.
    synced:
        When the newest sync that SUCCEEDED ended.
    at:
        By when the next one is expected.
    """

    name: str
    every: timedelta
    newest: datetime
    synced: datetime
    at: datetime

    @property
    def why(self) -> str:
        """Why its state says nothing yet, and when it can, in two sentences."""
        return (
            f"Its newest datapoint, of the period from {show_time(self.newest)}, is from before the sync that ended at "
            f"{show_time(self.synced)}, and every connector has synced in time since. Its metric comes every "
            f"{duration(self.every)}: the next is expected by {show_time(self.at)}; until then the alarm tells nothing "
            "of that sync."
        )


def due(seen: Seen, settings: Settings, now: datetime) -> Due | None:
    """The alarm for missing syncs, where it is in ALARM for what the newest syncs have mended; ``None`` where it is
    not, or that was not seen. Pure.

    Parameters
    ----------
    seen:
        ``alarms``, ``sync-jobs`` and ``metrics``; ``alarm-config`` and ``metric-names``, where they were looked at,
        tell if the alarm is blind.
    settings:
        The alarm's name, the connectors, ``detection.no_sync_hours``.
    now:
        The moment that this is to be true for, UTC.
    """
    if any(name not in seen or not seen[name].available for name in ("alarms", "sync-jobs", "metrics")):
        return None
    alarms = seen["alarms"].frame
    rows = alarms[alarms["name"].eq(settings.alarms.no_sync) & alarms["state"].eq("ALARM")]
    if rows.empty or any(one.name == settings.alarms.no_sync for one in blind_alarms(seen)):
        return None
    alarm, metrics = rows.iloc[0], seen["metrics"].frame
    mine = metrics["namespace"].eq(alarm["namespace"]) & metrics["metric"].eq(alarm["metric"])
    points = metrics[mine & metrics["dimensions"].eq(alarm["dimensions"])].sort_values("at")
    begun = points["at"].drop_duplicates()
    if len(begun) < _FEWEST:
        return None
    newest = begun.iloc[-1].to_pydatetime()
    every = timedelta(seconds=float(begun.diff().dt.total_seconds().median()))
    ended = newest + timedelta(seconds=float(points["period_s"].iloc[-1]))
    jobs, limit = seen["sync-jobs"].frame, timedelta(hours=settings.detection.no_sync_hours)
    goods = {one: _good(jobs, one) for one in data_sources(settings, jobs)}
    at = looked_at(seen, "sync-jobs", now)
    synced = [as_time(one.iloc[-1]) for one in goods.values() if len(one)]
    if not goods or len(synced) < len(goods) or any(one is None or at - one > limit for one in synced):
        return None
    last = max(one for one in synced if one is not None)
    # What the datapoint said was so then: some connector was over its limit. Otherwise it contradicts the syncs.
    told = any(_over(one, ended, limit) for one in goods.values())
    if newest >= last or not told or every < _SELDOM or now > ended + every + _LATE:
        return None
    return Due(str(alarm["name"]), every, newest, last, ended + every)


def _good(jobs: pd.DataFrame, data_source_id: str) -> pd.Series[pd.Timestamp]:
    """When the syncs of a data source that SUCCEEDED ended, oldest first."""
    ended = ended_jobs(jobs, data_source_id)
    return ended.loc[ended["status"].eq("SUCCEEDED"), "ended"].sort_values()


def _over(good: pd.Series[pd.Timestamp], at: datetime, limit: timedelta) -> bool:
    before = good[good <= at]
    return before.empty or at - before.iloc[-1] > limit
