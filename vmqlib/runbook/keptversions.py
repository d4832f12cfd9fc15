"""The history of keys as an incident's evidence has it: the same offline, months later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.runbook.keychanges import Changes, Since, changed_keys
from vmqlib.runbook.keyhistory import KeyHistory, alike, bare_key, unknown_key, versions_of
from vmqlib.runbook.promoters import Promoters
from vmqlib.sources import syncjobs

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation

__all__ = ["bucket_of", "kept_changes", "kept_history", "kept_last_good", "kept_promoters"]


def kept_history(incident: Incident, key: str) -> KeyHistory:
    """One key's history from the evidence ``versions`` and ``promotions``.

    Raises
    ------
    BadInput
        When there is no evidence, or no such key in it.
    """
    bucket = bucket_of(incident)
    key = bare_key(key, bucket)
    listed = _listed(incident)
    frame = listed.frame
    mine = frame[frame["key"] == key]
    if mine.empty:
        raise unknown_key(bucket, key, alike(key, frame["key"].drop_duplicates().tolist()))
    return _of_frame(incident, listed, bucket, key, mine, kept_promoters(incident, frame))


def kept_changes(
    incident: Incident, since: Since, until: datetime, *, prefix: str = "", every: bool = False
) -> Changes:
    """The keys that changed between two moments, from the incident's evidence.

    Raises
    ------
    BadInput
        When there is no evidence.
    """
    listed = _listed(incident)
    frame = listed.frame
    if prefix:
        frame = frame[frame["key"].str.startswith(prefix)]
    promoters = kept_promoters(incident, listed.frame)
    keys, number, seen = changed_keys(_rows(frame), since.at, until, promoters, every=every)
    connector = incident.settings.connector(incident.identity.data_source_id)
    file = listed.evidence.file if listed.evidence else ""
    problem = "" if listed.complete else listed.stopped or "stopped early"
    return Changes(
        bucket_of(incident), prefix, tuple(connector.exclude), since, until, keys, number, seen, file,
        promoters.problem, problem,
    )  # fmt: skip


def kept_last_good(incident: Incident) -> Since:
    """The start of the last sync that succeeded before the incident was opened, from its evidence.

    Raises
    ------
    BadInput
        When there was none, or nobody looked.
    """
    jobs = incident.observed("sync-jobs")
    if not jobs.available:
        raise BadInput(f"{jobs.title}: {jobs.problem}", hint=jobs.hint)
    good = syncjobs.last_good(
        jobs.frame, incident.state.opened_at, data_source_id=incident.identity.data_source_id
    )
    if good is None:
        raise BadInput("No sync succeeded before the incident was opened.", hint="Give a time: --since 2d.")
    return Since(good["started_at"].to_pydatetime(), "the last good sync before the incident")


def kept_promoters(incident: Incident, versions: pd.DataFrame) -> Promoters:
    """Who promoted when, from the evidence, with the write times of ``versions``."""
    seen = incident.observed("promotions")
    if not seen.available:
        return Promoters(problem=seen.problem)
    return Promoters.of_frame(seen.frame).knowing(
        versions["at"].drop_duplicates().dt.to_pydatetime().tolist()
    )


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A frame of the source ``versions`` as its rows, in its order."""
    names = ["key", "version_id", "is_latest", "is_delete_marker", "at", "size", "etag", "storage_class"]
    columns = [frame[name].tolist() for name in names]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _of_frame(
    incident: Incident, listed: Observation, bucket: str, key: str, mine: pd.DataFrame, promoters: Promoters
) -> KeyHistory:
    ordered = mine.sort_values("order", kind="stable")
    history = KeyHistory(
        bucket,
        key,
        versions_of(_rows(ordered)),
        incident.as_of,
        listed.evidence.file if listed.evidence else "",
        incomplete="" if listed.complete else listed.stopped or "stopped early",
    )
    return history.promoted_by(promoters)


def _listed(incident: Incident) -> Observation:
    listed = incident.observed("versions")
    if not listed.available:
        raise BadInput(f"{listed.title}: {listed.problem}", hint=listed.hint)
    return listed


def bucket_of(incident: Incident) -> str:
    """The bucket that the incident's connector reads."""
    connector = incident.settings.connector(incident.identity.data_source_id)
    return connector.bucket or incident.settings.bucket_name
