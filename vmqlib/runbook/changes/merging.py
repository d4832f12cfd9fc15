"""Everything that changed, from all sources, on one time axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.changes.bursts import Own, bursts, of_promotion, promoted, written
from vmqlib.runbook.changes.calls import calls, commits
from vmqlib.runbook.changes.model import Change, Unseen, WhatChanged
from vmqlib.runbook.promoters import Promoters
from vmqlib.sources.base import as_time
from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.sources.syncjobs import RUNNING
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.settings import Settings

__all__ = ["NEEDED", "what_changed"]

NEEDED: Final[Mapping[str, str]] = {
    "versions": "S3 changes",
    "promotions": "promotions",
    "trail": "AWS calls and schedule changes, and who made them",
    "commits": "commits in the ops repo",
    "sync-jobs": "syncs",
    "alarm-history": "alarms",
}
"""The sources that are merged, and which changes each knows of."""

_LOOK_BACK = timedelta(days=21)
_CLOCKS = timedelta(seconds=5)
"""How far this machine's clock may be from AWS's for a call to be known as our own."""
_SAME_LOOK = timedelta(minutes=1)
"""Sources that are looked at together are not asked in the same instant."""


def what_changed(
    seen: Mapping[str, Observation],
    settings: Settings,
    now: datetime,
    *,
    since: datetime | None = None,
    data_source_id: str = "",
    own: Sequence[Own] = (),
) -> WhatChanged:
    """One table of all that changed in a span. Pure: observations in, a table out.

    Parameters
    ----------
    seen:
        Observations by source name (:data:`NEEDED`, and ``resources`` for the connectors' files); one that is not
        there counts as not seen, and is named.
    settings:
        The connectors.
    now:
        The end of the span, UTC.
    since:
        Its beginning; three weeks before by default.
    data_source_id:
        The connector in question; the first one of the settings by default.
    own:
        What the kit itself changed meanwhile: it is told also where no source has seen it yet.
    """
    begin = since or now - _LOOK_BACK
    there = {name: one for name, one in seen.items() if one.available}
    found = [
        *_objects(there, begin, now, data_source_id, [one for one in own if one.kind == "objects"]),
        *(calls(there["trail"], _names(settings)) if "trail" in there else _updated(there.get("resources"))),
        *(commits(there["commits"]) if "commits" in there else ()),
        *(_syncs(there["sync-jobs"], settings, now) if "sync-jobs" in there else ()),
        *(_alarms(there["alarm-history"], now) if "alarm-history" in there else ()),
    ]
    found = [*_as_ours(found, own, _names(settings))]
    until = max([now, *(one.until for one in own)])  # what was done since the last look is known without one
    inside = (one for one in found if one.until >= begin and one.at <= until)
    return WhatChanged(
        begin,
        until,
        tuple(sorted(inside, key=lambda one: one.order)),
        tuple(_unseen(seen, settings)),
        tuple(_limits(there)),
    )


def _objects(
    there: Mapping[str, Observation],
    begin: datetime,
    now: datetime,
    data_source_id: str,
    own: Sequence[Own],
) -> Iterator[Change]:
    records = there.get("promotions")
    promoters = Promoters.of_frame(records.frame) if records is not None else Promoters()
    kept = records.evidence if records is not None else None
    versions = there.get("versions")
    if versions is None:
        yield from (of_promotion(one, None, evidence=kept) for one in promoters.promotions)
        return
    acl = crawl_scope(there["resources"].frame, data_source_id).acl_key if "resources" in there else ""
    table = written(versions.frame, begin, now)
    groups, rest = promoted(table, promoters)
    nothing = table.iloc[:0]
    for one in promoters.promotions:
        yield of_promotion(one, groups.get(one, nothing), acl=acl, evidence=kept)
    yield from bursts(rest, _starts(there.get("sync-jobs")), own=own, acl=acl, evidence=versions.evidence)


def _as_ours(found: Iterable[Change], own: Sequence[Own], names: Mapping[str, str]) -> Iterator[Change]:
    """The changes, with those marked that this incident made; and those that it made and no source has seen."""
    told: set[int] = set()
    for change in found:
        mine = next((one for one in own if _is_own(change, one)), None)
        if mine is None:
            yield change
            continue
        told.add(mine.seq)
        what = change.what
        if not change.ours:
            what = f"{what}; started by this incident" if change.kind == "sync" else f"this incident: {what}"
        yield replace(change, ours=True, who=change.who or mine.who, what=what)
    for one in own:
        if one.kind != "sync" and one.seq not in told and one.summary:
            yield Change(
                at=one.at,
                until=one.until,
                kind=one.kind,
                what=f"this incident: {one.summary}",
                name=one.kind,
                who=one.who,
                where=names.get(one.target, one.target),
                areas=frozenset({"schedule" if one.kind == "schedule" else "objects"}),
                target=one.target,
                reference=one.told,
                source="journal",
                ours=True,
            )


def _is_own(change: Change, own: Own) -> bool:
    if change.kind == "sync" or own.kind == "sync":
        return change.kind == own.kind and own.ours and change.reference == own.target
    during = own.at - _CLOCKS <= change.at and change.until <= own.until + _CLOCKS
    if own.kind == "objects":
        return change.ours and change.target == own.told
    return during and change.name == "aws-call:UpdateDataSource" and own.target in change.target


def _names(settings: Settings) -> dict[str, str]:
    """What people call the things that a call may name. The application and the index are in nearly every one: that
    they were meant tells nothing."""
    known = {
        one.data_source_id: f"connector {one.name}" for one in settings.data_sources if one.data_source_id
    }
    return {settings.app_id: "", settings.index_id: "", **known}


def _starts(jobs: Observation | None) -> list[datetime]:
    return (
        [] if jobs is None else [one.to_pydatetime(warn=False) for one in jobs.frame["started_at"].dropna()]
    )


def _syncs(jobs: Observation, settings: Settings, now: datetime) -> Iterator[Change]:
    names = {one.data_source_id: one.name for one in settings.data_sources if one.data_source_id}
    frame = jobs.frame[jobs.frame["started_at"].notna()]
    fields = ["data_source_id", "execution_id", "status", "added", "modified", "deleted", "failed"]
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in fields]
    spans = zip(map(as_time, frame["started_at"]), map(as_time, frame["ended_at"]), strict=True)
    for (at, ended), (source, execution, status, *counts) in zip(
        spans, zip(*columns, strict=True), strict=True
    ):
        assert at is not None
        numbers = [
            f"{number:,} {what}"
            for number, what in zip(counts, ("added", "modified", "deleted", "failed"), strict=True)
            if number
        ]
        state = str(status or "of an unknown status")
        yield Change(
            at=at,
            until=max(at, ended or (min(jobs.at or now, now) if state in RUNNING else at)),
            kind="sync",
            what=f"sync {state}" + (f": {', '.join(numbers)} documents" if numbers else ""),
            name="sync",
            where=names.get(str(source), "") or str(source),
            outcome=state,
            reference=str(execution or ""),
            source="sync-jobs",
            evidence=jobs.evidence,
        )


def _alarms(history: Observation, now: datetime) -> Iterator[Change]:
    """Each time that an alarm stood in ALARM; one that still does reaches to the look that saw it."""
    seen_at = min(history.at or now, now)
    still = ", and still is" if now - seen_at < _SAME_LOOK else f", and still was at {show_time(seen_at)}"
    frame = history.frame[history.frame["at"].notna() & (history.frame["at"] <= now)]
    for name, rows in frame.sort_values(["name", "at"], kind="stable").groupby("name", sort=True):
        states = rows["new_state"].fillna("").tolist()
        times = [as_time(at) for at in rows["at"]]
        for place, (state, at) in enumerate(zip(states, times, strict=True)):
            if state != "ALARM" or at is None or (place and states[place - 1] == "ALARM"):
                continue
            end = next(
                (t for t, s in zip(times[place + 1 :], states[place + 1 :], strict=True) if s != "ALARM"),
                None,
            )
            yield Change(
                at=at,
                until=max(at, end or seen_at),
                kind="alarm",
                what=f"{name} in ALARM" + ("" if end else still),
                name="alarm",
                where=str(name),
                outcome="ALARM",
                reference=str(name),
                source="alarm-history",
                evidence=history.evidence,
            )


def _updated(resources: Observation | None) -> Iterator[Change]:
    """Without CloudTrail: when each data source was last changed, as Q Business says; not what, and not by whom."""
    if resources is None:
        return
    frame = resources.frame[resources.frame["kind"].eq("data-source") & resources.frame["updated_at"].notna()]
    for identity, name, at in zip(
        frame["id"], frame["name"].fillna(""), map(as_time, frame["updated_at"]), strict=True
    ):
        assert at is not None
        yield Change(
            at=at,
            until=at,
            kind="aws-call",
            what="data source last changed; what of it, and by whom, was not seen",
            name="aws-call:UpdateDataSource",
            where=str(name or identity),
            areas=frozenset({"connector", "schedule"}),
            is_sure=False,
            target=str(identity),
            reference=str(identity),
            source="resources",
            evidence=resources.evidence,
        )


def _unseen(seen: Mapping[str, Observation], settings: Settings) -> Iterator[Unseen]:
    for name, what in NEEDED.items():
        one = seen.get(name)
        if one is None:
            yield Unseen(what, f"nobody has looked at {name}")
        elif not one.available:
            yield Unseen(what, one.problem, one.hint)
        elif not one.complete:
            # Nothing seen, and incomplete: nothing is known of it.
            nothing = one.evidence is not None and one.evidence.rows == 0
            yield Unseen(what, one.stopped or "the look stopped early", whole=nothing or not len(one.frame))
    buckets = {(one.bucket, one.prefix) for one in settings.data_sources if one.bucket}
    if len(buckets) > 1:
        yield Unseen(
            "S3 changes", "the bucket of the first S3 connector was listed, and no other", whole=False
        )


def _limits(there: Mapping[str, Observation]) -> Iterator[str]:
    if "versions" in there:
        yield (
            "S3 does not keep who wrote a version: of a promotion it is told what was written during it. Folders that "
            "the connector leaves out are not listed."
        )
    if "trail" in there:
        yield (
            "CloudTrail was asked about its last 7 days at most, and shows a call up to 15 minutes late; who started "
            "or stopped a sync, or wrote an object, is not among its management events."
        )
    if "commits" in there and there["commits"].complete:
        yield "Commits are those of this clone: what nobody has pulled into it is not seen."
