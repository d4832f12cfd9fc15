"""The history of keys as an incident's evidence has it: the same offline, months later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.runbook.keychanges import Changes, Since, changed_keys
from vmqlib.runbook.keyhistory import KeyHistory, alike, bare_key, unknown_key, versions_of
from vmqlib.runbook.lastgood import doubt, good_before
from vmqlib.runbook.promoters import Promoters
from vmqlib.sources import syncjobs

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation

__all__ = ["bucket_of", "histories_of", "kept_changes", "kept_history", "kept_last_good", "kept_promoters"]


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
    if not frame["key"].eq(key).any():
        raise unknown_key(bucket, key, alike(key, frame["key"].drop_duplicates().tolist()))
    return histories_of(incident, [key])[key]


def histories_of(incident: Incident, keys: Sequence[str]) -> dict[str, KeyHistory]:
    """The histories of these keys from the evidence; a key that is not in it is left out.

    Raises
    ------
    BadInput
        When there is no evidence.
    """
    listed = _listed(incident)
    bucket, frame = bucket_of(incident), listed.frame
    promoters = kept_promoters(incident, frame)
    mine = frame[frame["key"].isin(keys)].sort_values(["key", "order"], kind="stable")
    made = {
        key: KeyHistory(
            bucket,
            key,
            versions_of(rows),
            incident.seen_at,
            listed.evidence.file if listed.evidence else "",
            incomplete=_incomplete(listed),
        ).promoted_by(promoters)
        for key, rows in groupby(_rows(mine), key=itemgetter("key"))
    }
    return {key: made[key] for key in keys if key in made}


def kept_changes(
    incident: Incident, since: Since, until: datetime, *, prefix: str = "", every: bool = False
) -> Changes:
    """The keys that changed between two moments, from the incident's evidence.

    Raises
    ------
    BadInput
        When there is no evidence.
    """
    connector = incident.judged_by.connector(incident.identity.data_source_id)
    if any(one and prefix.startswith(one) for one in connector.exclude):
        raise BadInput(f"The evidence leaves out {prefix!r}.", hint="Leave out --incident, to ask AWS.")
    listed = _listed(incident)
    frame = listed.frame
    if prefix:
        frame = frame[frame["key"].str.startswith(prefix)]
    promoters = kept_promoters(incident, listed.frame)
    keys, number, seen = changed_keys(_rows(frame), since.at, until, promoters, every=every)
    file = listed.evidence.file if listed.evidence else ""
    return Changes(
        bucket_of(incident), prefix, tuple(connector.exclude), since, until, keys, number, seen, file,
        promoters.problem, _incomplete(listed),
    )  # fmt: skip


def kept_last_good(incident: Incident) -> Since:
    """The start of the last sync that succeeded before the incident was opened, from its evidence; for content, before
    what is unauthorized came in.

    Raises
    ------
    BadInput
        When there was none, or nobody looked.
    """
    jobs = incident.observed("sync-jobs")
    if not jobs.available:
        raise BadInput(f"{jobs.title}: {jobs.problem}", hint=jobs.hint)
    good = syncjobs.last_good(
        jobs.frame, good_before(incident), data_source_id=incident.identity.data_source_id
    )
    if good is None and (why := jobs.missing_of(incident.identity.data_source_id)):
        raise BadInput(f"The last good sync is not known: {why}", hint="Give a time: --since 2d.")
    if good is None:
        raise BadInput("No sync succeeded before the incident was opened.", hint="Give a time: --since 2d.")
    at, unsure = good["started_at"].to_pydatetime(), doubt(incident)
    if unsure:
        said = unsure[0].lower() + unsure[1:].rstrip(".")
        return Since(at, f"the last sync that SUCCEEDED before the incident; {said}")
    return Since(at, "the last good sync before the incident")


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


def _incomplete(listed: Observation) -> str:
    return "" if listed.complete else listed.stopped or "it stopped early"


def _listed(incident: Incident) -> Observation:
    listed = incident.observed("versions")
    if not listed.available:
        raise BadInput(f"{listed.title}: {listed.problem}", hint=listed.hint)
    return listed


def bucket_of(incident: Incident) -> str:
    """The bucket that the incident's connector reads."""
    connector = incident.judged_by.connector(incident.identity.data_source_id)
    return incident.judged_by.bucket_of(connector)
