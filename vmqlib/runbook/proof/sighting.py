"""From observations to what can be asked by key: jobs, report lines, documents of the index."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.affecteddocuments import FAILED
from vmqlib.runbook.proof.seen import Indexed, Job, Reported, Sight
from vmqlib.runbook.triggers.indexed import named_documents
from vmqlib.sources.base import as_time
from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.sources.syncjobs import RUNNING, TERMINAL

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = ["SOURCES", "sight_of"]

SOURCES = ("sync-jobs", "document-report", "documents", "resources", "versions")
"""What a proof looks at."""


def sight_of(
    seen: Mapping[str, Observation],
    data_source_id: str,
    bucket: str,
    keys: Collection[str],
    *,
    execution_id: str = "",
    incident: str = "",
) -> Sight:
    """What was seen, by key.

    Parameters
    ----------
    seen:
        Observations of :data:`SOURCES`.
    data_source_id, bucket:
        Whose documents, and where their objects are.
    keys:
        Keys in question: of a document with several names the one that is among them counts.
    execution_id:
        Only this sync job; empty: all.
    incident:
        For what to type.
    """
    jobs, running = _jobs(seen["sync-jobs"], data_source_id, execution_id)
    told, report_unnamed, counts, aliases = _report(seen["document-report"], jobs or {}, bucket, keys)
    index, index_unnamed = _index(seen["documents"], data_source_id, bucket, keys, aliases)
    ended = None
    if jobs is not None:
        rows = jobs.values()
        ended = [_job(row, counts.get(row["execution_id"], 0)) for row in rows if row["status"] in TERMINAL]
    resources = seen["resources"]
    return Sight(
        jobs=ended,
        jobs_why=_why(seen["sync-jobs"], data_source_id),
        running=running,
        report=told,
        report_why=_why(seen["document-report"], data_source_id),
        report_unnamed=report_unnamed,
        index=index,
        index_why=_why(seen["documents"], data_source_id),
        index_unnamed=index_unnamed,
        scope=crawl_scope(resources.frame, data_source_id) if resources.available else None,
        incident=incident,
    )


def _why(one: Observation, data_source_id: str) -> str:
    """Why it could not be seen, or not all of it; empty where it was."""
    if not one.available:
        return f"{one.problem} {one.hint}".strip()
    if one.problem:  # an older look, since the newer one failed
        return f"{one.problem} {one.hint}".strip()
    return one.missing_of(data_source_id)


def _jobs(
    one: Observation, data_source_id: str, execution_id: str
) -> tuple[dict[str, dict[str, Any]] | None, str]:
    """Jobs by id, newest first, and the one that runs."""
    if not one.available or one.problem:
        return None, ""
    mine = one.frame[one.frame["data_source_id"].eq(data_source_id) & one.frame["started_at"].notna()]
    mine = mine.sort_values("started_at", ascending=False, kind="stable")
    active = mine.loc[mine["status"].isin(RUNNING), "execution_id"]
    if execution_id:
        mine = mine[mine["execution_id"].eq(execution_id)]
    rows = {str(row["execution_id"]): {str(k): v for k, v in row.items()} for row in mine.to_dict("records")}
    return rows, str(active.iloc[0]) if len(active) else ""


def _job(row: Mapping[str, Any], reported: int) -> Job:
    import pandas as pd

    scanned = None if pd.isna(row["scanned"]) else int(row["scanned"])
    error = "" if pd.isna(row["error_message"]) else str(row["error_message"])
    at = row["started_at"].to_pydatetime(warn=False)
    return Job(str(row["execution_id"]), str(row["status"]), at, reported, scanned, error)


def _report(
    one: Observation, jobs: Mapping[str, Any], bucket: str, keys: Collection[str]
) -> tuple[dict[str, list[Reported]] | None, int, dict[str, int], dict[str, str]]:
    """Lines by key, newest first; documents that name no key; lines of each job; what ids are called in it."""
    if not one.available:
        return None, 0, {}, {}
    lines = one.frame[one.frame["execution_id"].isin(jobs)].sort_values("at", ascending=False, kind="stable")
    text = lines.assign(**{name: lines[name].fillna("") for name in _LINE})
    names, known = _keys(text["document_id"], text["uri"], bucket, keys)
    found: dict[str, list[Reported]] = {}
    error = [": ".join(filter(None, pair)) for pair in zip(text["error_code"], text["message"], strict=True)]
    rows = zip(
        names,
        text["execution_id"],
        text["crawl_action"],
        text["status"],
        error,
        text["document_id"],
        strict=True,
    )
    for key, execution_id, action, status, said, document_id in rows:
        found.setdefault(key, []).append(Reported(execution_id, action, status, said, document_id))
    order = {execution_id: place for place, execution_id in enumerate(jobs)}
    for each in found.values():  # of two jobs' lines the newer job's first; within one as they came
        each.sort(key=lambda line: order[line.execution_id])
    counts = text.groupby("execution_id")["document_id"].nunique()
    aliases = dict(zip(text["document_id"][known], names[known], strict=True))
    unnamed = text.loc[~known, "document_id"].nunique()
    return found, int(unnamed), {str(name): int(count) for name, count in counts.items()}, aliases


_LINE = ("document_id", "uri", "execution_id", "crawl_action", "status", "error_code", "message")


def _keys(
    ids: pd.Series[str], uris: pd.Series[str], bucket: str, keys: Collection[str]
) -> tuple[pd.Series[str], pd.Series[bool]]:
    """What each document is called: its id where that names a key, else its address; and whether either does."""
    by_id, by_uri = named_documents(ids, bucket), named_documents(uris, bucket)
    wanted = set(keys)
    id_is_ours, uri_is_ours = by_id["key"].isin(wanted), by_uri["key"].isin(wanted)
    names = by_id["key"].where(id_is_ours | ~(uri_is_ours | ~by_id["is_known"]), by_uri["key"])
    known = by_id["is_known"] | by_uri["is_known"] | id_is_ours
    # An id of another form, and no address: the id itself is all there is.
    return names.where(names.ne(""), by_id["key"]), known.astype(bool)


def _index(
    one: Observation, data_source_id: str, bucket: str, keys: Collection[str], aliases: Mapping[str, str]
) -> tuple[dict[str, Indexed] | None, int]:
    if not one.available:
        return None, 0
    mine = one.frame[one.frame["data_source_id"].eq(data_source_id)]
    ids = mine["document_id"].fillna("")
    named = named_documents(ids, bucket)
    called = ids.map(aliases)
    ours = named["key"].isin(set(keys))
    names = named["key"].where(ours | called.isna(), called)
    known = named["is_known"] | called.notna() | ours
    error = [
        ": ".join(filter(None, pair))
        for pair in zip(mine["error_code"].fillna(""), mine["error_message"].fillna(""), strict=True)
    ]
    rows = zip(names, ids, mine["status"].fillna(""), error, mine["updated_at"], known, strict=True)
    found: dict[str, Indexed] = {}
    for key, document_id, status, said, at, is_known in rows:
        if key in found and found[key].status in FAILED:
            continue  # of two documents of one key the failed one counts
        found[key] = Indexed(document_id, status, said, as_time(at), bool(is_known))
    return found, int((~known).sum())
