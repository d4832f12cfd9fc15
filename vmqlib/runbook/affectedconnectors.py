"""The data sources in an incident: which are affected, and what says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.sources.base import as_time
from vmqlib.sources.syncjobs import TERMINAL, last_good

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation
    from vmqlib.runbook.triggers import Verdict
    from vmqlib.settings import Settings

__all__ = ["AffectedConnector", "affected_connectors"]


@dataclass(frozen=True)
class AffectedConnector:
    """A data source of the index.

    Parameters
    ----------
    data_source_id, name:
        Its id, and what people call it.
    hit:
        Whether it is affected; ``None`` where that is not known.
    why:
        What says so, in a few words.
    last_status, last_ended_at:
        Of its newest sync job that has ended.
    last_good_at:
        Start of the last one that SUCCEEDED before things went wrong.
    doubt:
        Why that may be no good one; empty where it is.
    first_bad_at:
        Start of the first one since then that did not.
    first_sign_at:
        Its end: when that was to be seen first.
    schedule:
        Its sync schedule; empty means on demand, ``None`` not seen.
    """

    data_source_id: str
    name: str
    hit: bool | None = None
    why: str = ""
    last_status: str = ""
    last_ended_at: datetime | None = None
    last_good_at: datetime | None = None
    doubt: str = ""
    first_bad_at: datetime | None = None
    first_sign_at: datetime | None = None
    schedule: str | None = None


def affected_connectors(
    there: Mapping[str, Observation],
    settings: Settings,
    verdicts: Sequence[Verdict],
    opened: datetime | None,
    came_in: datetime | None = None,
) -> tuple[AffectedConnector, ...]:
    """Every data source that is known, and whether it is hit. From ``came_in`` on no sync is good, though it SUCCEEDED:
    it took in what is unauthorized."""
    names = {one.data_source_id: one.name for one in settings.data_sources if one.data_source_id}
    schedules: dict[str, str] = {}
    if "resources" in there:
        rows = there["resources"].frame
        rows = rows[rows["kind"].eq("data-source")]
        names = {**dict(zip(rows["id"], rows["name"].fillna(""), strict=True)), **names}
        read = rows[rows["status"].fillna("") != ""]
        schedules = dict(zip(read["id"], read["sync_schedule"].fillna(""), strict=True))
    jobs = there["sync-jobs"].frame if "sync-jobs" in there else None
    if jobs is not None:
        names = {**dict.fromkeys(jobs["data_source_id"].unique(), ""), **names}
    missing = there["sync-jobs"].missing if "sync-jobs" in there else {}
    return tuple(
        _connector(
            one, name or one, jobs, missing.get(one, ""), schedules.get(one), verdicts, opened, came_in
        )
        for one, name in names.items()
    )


def _connector(
    data_source_id: str,
    name: str,
    jobs: pd.DataFrame | None,
    not_seen: str,
    schedule: str | None,
    verdicts: Sequence[Verdict],
    opened: datetime | None,
    came_in: datetime | None,
) -> AffectedConnector:
    firing = [
        one.trigger
        for one in verdicts
        if one.verdict == "firing" and one.data_source_id == data_source_id and one.trigger != "guardrail"
    ]
    told = AffectedConnector(data_source_id, name, schedule=schedule)
    ended = None
    if jobs is not None:
        mine = jobs[jobs["data_source_id"].eq(data_source_id) & jobs["started_at"].notna()]
        ended = mine[mine["status"].isin(TERMINAL)].sort_values("started_at", kind="stable")
    if ended is None or ended.empty:
        why = f"{' and '.join(firing)} fires" if firing else not_seen or "no sync of it was seen to end"
        return replace(told, hit=True if firing else None, why=why)
    newest = ended.iloc[-1]
    good, bad = _outage(ended, opened)
    if came_in is not None and good is not None and good["started_at"] >= came_in:
        good = last_good(ended, came_in)
    hit = bool(firing) or bad is not None
    if firing:
        why = f"{' and '.join(firing)} fires"
    elif bad is not None:
        why = f"its syncs since {bad['started_at']:%Y-%m-%d %H:%M} UTC did not succeed"
        if newest["status"] == "SUCCEEDED":
            why = f"its sync of {bad['started_at']:%Y-%m-%d %H:%M} UTC did not succeed; the newest did"
    else:
        why = "its newest sync succeeded"
    return replace(
        told,
        hit=hit,
        why=why,
        last_status=str(newest["status"]),
        last_ended_at=as_time(newest["ended_at"]),
        last_good_at=None if good is None else as_time(good["started_at"]),
        first_bad_at=None if bad is None else as_time(bad["started_at"]),
        first_sign_at=None if bad is None else as_time(bad["ended_at"]) or as_time(bad["started_at"]),
    )


def _outage(ended: pd.DataFrame, opened: datetime | None) -> tuple[Any, Any]:
    """The last good run before things went wrong, and the first bad one after it, or ``None`` each."""
    good = last_good(ended, opened)
    since = ended if good is None else ended[ended["started_at"] > good["started_at"]]
    bad = since[since["status"].ne("SUCCEEDED")]
    if bad.empty:
        return good, None
    # Of an incident's outage, the first run after it that succeeded is the end.
    before = since[since["started_at"] < bad["started_at"].iloc[0]]
    newest_good = before[before["status"].eq("SUCCEEDED")]
    return (newest_good.iloc[-1] if len(newest_good) else good), bad.iloc[0]
