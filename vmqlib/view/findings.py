"""What the frames say, as facts: which runs failed, since when an alarm stands, what changed in the bucket.

Pure functions over frames with the columns of :mod:`vmqlib.sources`. Plots draw these facts and put them in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.sources import syncjobs
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = [
    "AlarmSpan",
    "SyncFacts",
    "alarm_spans",
    "bucket_counts",
    "last_good",
    "looked_until",
    "moment",
    "runs",
    "sync_facts",
]


_BEFORE = timedelta(days=30)
_SAME_LOOK = timedelta(minutes=1)
"""Sources that are looked at together are not asked in the same instant."""


@dataclass(frozen=True)
class SyncFacts:
    """The state of a connector's sync runs.

    Parameters
    ----------
    total:
        How many runs were seen.
    streak:
        How many finished runs in a row, up to the newest, did not succeed.
    last_good:
        Start of the newest run that SUCCEEDED; None when there is none.
    first_bad:
        Start of the oldest run of the streak: it showed at its end. None when the newest finished run succeeded.
    newest_status:
        Status of the newest run; empty when there is none.
    failed_documents:
        Documents that failed in the newest finished run.
    error:
        Error message of the newest run of the streak that has one.
    recovered_from:
        Where the newest finished run succeeded: how many in a row, when the incident was opened or right before
        that run, had not.
    outage_began:
        Start of the first of those.
    good_before:
        Start of the last run that SUCCEEDED before those.
    """

    total: int
    streak: int
    last_good: datetime | None
    first_bad: datetime | None
    newest_status: str
    failed_documents: int
    error: str
    recovered_from: int = 0
    outage_began: datetime | None = None
    good_before: datetime | None = None

    @property
    def reference(self) -> datetime | None:
        """The last good sync before things went wrong, also when they went right since: what to compare with."""
        return self.last_good if self.streak else self.good_before


@dataclass(frozen=True)
class AlarmSpan:
    """A time during which an alarm kept one state.

    Parameters
    ----------
    name:
        The alarm's name.
    state:
        OK, ALARM or INSUFFICIENT_DATA.
    start:
        When it began, UTC.
    end:
        When it ended, UTC; the time of the look where it had not.
    open:
        True when it had not ended.
    """

    name: str
    state: str
    start: datetime
    end: datetime
    open: bool

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def moment(value: Any) -> datetime | None:
    """A cell of a time column as a datetime, or None where it is missing."""
    import pandas as pd

    if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)):
        return None
    stamp = pd.Timestamp(value)
    return (stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")).to_pydatetime(
        warn=False
    )


def runs(frame: pd.DataFrame, data_source_id: str = "") -> pd.DataFrame:
    """Sync runs oldest first, of one data source when it is named; runs without a start are left out."""
    if data_source_id and "data_source_id" in frame:
        frame = frame[frame["data_source_id"] == data_source_id]
    frame = frame[frame["started_at"].notna()]
    return frame.sort_values("started_at", kind="stable").reset_index(drop=True)


def sync_facts(frame: pd.DataFrame, data_source_id: str = "", opened: datetime | None = None) -> SyncFacts:
    """The facts about the runs in a ``sync-jobs`` frame.

    Parameters
    ----------
    data_source_id:
        Only its runs; all by default.
    opened:
        When the incident was opened: an outage that it was about is told however many runs succeeded since.
    """
    ordered = runs(frame, data_source_id)
    if ordered.empty:
        return SyncFacts(0, 0, None, None, "", 0, "")
    finished = ordered[~ordered["status"].isin(syncjobs.RUNNING)].reset_index(drop=True)
    good = finished.index[finished["status"] == "SUCCEEDED"]
    bad = finished.iloc[(int(good[-1]) + 1) if len(good) else 0 :]
    errors = bad["error_message"].fillna("")
    errors = errors[errors != ""]
    failed = finished["failed"].iloc[-1:].fillna(0)
    healed, began, before = (
        _outage(finished, [int(i) for i in good], opened) if len(good) and bad.empty else (0, None, None)
    )
    return SyncFacts(
        total=len(ordered),
        streak=len(bad),
        last_good=moment(finished["started_at"].loc[good[-1]]) if len(good) else None,
        first_bad=moment(bad["started_at"].iloc[0]) if len(bad) else None,
        newest_status=str(ordered["status"].iloc[-1]),
        failed_documents=int(failed.sum()),
        error=str(errors.iloc[-1]) if len(errors) else "",
        recovered_from=healed,
        outage_began=began,
        good_before=before,
    )


def _outage(
    finished: pd.DataFrame, good: list[int], opened: datetime | None
) -> tuple[int, datetime | None, datetime | None]:
    """The runs that had not succeeded before a good one came: how many, since when; the good one before them.

    They are those around the opening of the incident; else those right before the newest run.
    """
    started = finished["started_at"]
    last, before = good[-1], good[-2] if len(good) > 1 else -1
    if opened is not None:
        earlier = [i for i in good if started.loc[i] <= opened]
        later = [i for i in good if started.loc[i] > opened]
        known = earlier[-1] if earlier else -1
        if later and later[0] - known > 1:
            last, before = later[0], known
    if last - before < 2:
        return 0, None, None
    return (
        last - before - 1,
        moment(started.loc[before + 1]),
        moment(started.loc[before]) if before >= 0 else None,
    )


def last_good(
    jobs: Observation, before: datetime | None = None, *, data_source_id: str = ""
) -> datetime | None:
    """Start of the last sync that SUCCEEDED, before a moment where one is given; None where it is not known."""
    if not jobs.available:
        return None
    row = syncjobs.last_good(jobs.frame, before, data_source_id=data_source_id)
    return None if row is None else moment(row["started_at"])


def alarm_spans(
    history: pd.DataFrame, until: datetime, alarms: pd.DataFrame | None = None
) -> list[AlarmSpan]:
    """Alarm history as spans, oldest first; the newest span of each alarm is open and ends at ``until``.

    What ``alarms``, the frame of present states, says since the last change wins: the two are not asked at once.
    Before its first change an alarm was in that change's old state, since when is not known: it is drawn a month long.
    History goes back 30 days at most, and an alarm that never changed has none: its one span comes from ``alarms``,
    when that is given.
    """
    import pandas as pd

    end = pd.Timestamp(until)
    history = history[history["at"].notna() & (history["at"] <= end)].sort_values("at", kind="stable")
    history = history[(history["new_state"].fillna("") != "")]
    if alarms is not None:
        history = _with_present(history, alarms[alarms["since"] <= end])
    first = history.drop_duplicates("name", keep="first")
    following = history.groupby("name")["at"].shift(-1)
    spans = [
        AlarmSpan(str(name), str(state), start, stop or until, stop is None)
        for name, state, start, stop in zip(
            history["name"],
            history["new_state"],
            map(moment, history["at"]),
            map(moment, following),
            strict=True,
        )
        if start is not None
    ]
    spans += [
        AlarmSpan(str(name), str(state), end - _BEFORE, end, open=False)
        for name, state, end in zip(
            first["name"], first["old_state"].fillna(""), map(moment, first["at"]), strict=True
        )
        if state and end is not None
    ]
    if alarms is not None:
        silent = alarms[~alarms["name"].isin(history["name"]) & alarms["since"].notna()]
        spans += [
            AlarmSpan(str(name), str(state), start, max(until, start), True)
            for name, state, start in zip(
                silent["name"], silent["state"], map(moment, silent["since"]), strict=True
            )
            if start is not None
        ]
    return sorted(spans, key=lambda span: (span.start, span.name))


def _with_present(history: pd.DataFrame, alarms: pd.DataFrame) -> pd.DataFrame:
    """The history, and each present state that is newer than its alarm's last change and another."""
    import pandas as pd

    last = history.drop_duplicates("name", keep="last")
    known = dict(zip(last["name"], zip(last["at"], last["new_state"], strict=True), strict=True))
    newer = [
        {"name": name, "at": since, "new_state": state}
        for name, since, state in zip(
            alarms["name"], alarms["since"], alarms["state"].fillna(""), strict=True
        )
        if state and name in known and since > known[name][0] and state != known[name][1]
    ]
    if not newer:
        return history
    return pd.concat([history, pd.DataFrame(newer)], ignore_index=True).sort_values("at", kind="stable")


def looked_until(seen: Observation | None, until: datetime) -> tuple[datetime, str]:
    """Where what is told of a source ends on an axis that ends at ``until``: at its own look; and, where that was
    earlier, words that say so."""
    if seen is None or seen.at is None or until - seen.at < _SAME_LOOK:
        return until, ""
    return (
        seen.at,
        f"as seen at {show_time(seen.at)}; nothing is known of later",
    )


def bucket_counts(versions: pd.DataFrame) -> pd.DataFrame:
    """How many objects, and how many bytes, were current after each change: columns ``at``, ``objects``, ``bytes``.

    Every version replaces the one before it, so the count rises by one where an object appears and falls by one at a
    delete marker; a running sum over all keys gives the whole bucket's history without going through time.
    """
    ordered = versions[versions["at"].notna()].sort_values(
        ["key", "order"], ascending=[True, False], kind="stable"
    )
    there = ordered["is_delete_marker"].eq(False).fillna(False).astype(int)
    size = ordered["size"].fillna(0).astype("int64") * there
    before = there.groupby(ordered["key"]).shift(1).fillna(0).astype(int)
    size_before = size.groupby(ordered["key"]).shift(1).fillna(0).astype("int64")
    steps = ordered.assign(objects=there - before, bytes=size - size_before)
    total = steps.groupby("at")[["objects", "bytes"]].sum().cumsum()
    return total.reset_index()
