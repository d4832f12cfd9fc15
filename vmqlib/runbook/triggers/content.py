"""The runbook's fourth trigger: unauthorized content in the index.

What is indexed is held against the folders that are never documents, against ``forbidden`` in the settings, against
the connector's own filter, and against the bucket as it was when a later sync SUCCEEDED; the ACL file against its own
older versions: a rule that it lost opens documents to everyone. What else it leaves open, and folders that no earlier
sync had, are told beside it: whether that is meant, nobody can see from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.findings import Finding
from vmqlib.runbook.triggers.indexed import (
    Unwanted,
    indexed_documents,
    named_documents,
    unwanted_documents,
)
from vmqlib.runbook.triggers.verdicts import Confidence, Reason, Verdict, overall
from vmqlib.runbook.triggers.witnesses import (
    Seen,
    ago,
    ended_jobs,
    evidence,
    incomplete,
    name,
    not_seen,
)
from vmqlib.sources.acl import RECENT, current, older, open_to_everyone
from vmqlib.sources.base import as_time
from vmqlib.sources.crawlscope import CrawlScope, crawl_scope
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import Connector, Settings

__all__ = ["content"]

_SHOWN = 3
_WHY = {
    "housekeeping": "from folders that are never documents",
    "forbidden": "that the setting `forbidden` names",
    "outside": "that the connector's own filter leaves out",
    "gone": "whose object is deleted, although a later sync SUCCEEDED",
}
_SOURCE = {"housekeeping": "documents", "forbidden": "documents", "outside": "resources", "gone": "versions"}


@dataclass(frozen=True)
class _Part:
    """What was found of one connector."""

    data_source_id: str
    reasons: list[Reason]
    unwanted: list[Unwanted]
    indexed: pd.DataFrame
    since: datetime | None = None
    cause: str = ""


def content(seen: Seen, settings: Settings, now: datetime) -> tuple[Verdict, list[Finding]]:
    """The verdict, and what the ACL file leaves open. Pure.

    Parameters
    ----------
    seen:
        ``documents``, ``resources``, ``versions``, ``sync-jobs``, ``acl``.
    settings:
        ``forbidden``, and the connectors with their excluded prefixes. Connectors without a bucket are not S3's, and
        are not looked at.
    now:
        The moment that this is to be true for, UTC.
    """
    missing = not_seen(seen, "documents")
    if missing is not None:
        return Verdict("content", "unknown", None, "low", (missing,)), []
    connectors = [one for one in settings.data_sources if one.data_source_id and one.bucket]
    if not connectors:
        why = Reason("unknown", "No S3 connector is in the settings.", "documents")
        return Verdict("content", "unknown", None, "low", (why,)), []
    parts = [_part(one, seen, settings) for one in connectors]
    # Of a connector whose documents were not seen nothing else can be told: its one reason says why.
    unseen = seen["documents"].missing
    told = [_acl_reason(one, seen) for one in connectors if one.data_source_id not in unseen]
    order = {"firing": 0, "unknown": 1, "quiet": 2}
    # What was closed and is open to everyone comes first: it was kept from people for a reason.
    reasons = tuple(
        sorted([*(one for part in parts for one in part.reasons), *told], key=lambda one: order[one.says])
    )
    findings = [one for each in connectors for one in _acl_findings(each, seen, settings, now)]
    findings += [
        one
        for each, part in zip(connectors, parts, strict=True)
        for one in _new_folders(each, part, seen, settings, now)
    ]
    verdict = overall(reasons)
    if verdict != "firing":
        return Verdict("content", verdict, None, "high" if verdict == "quiet" else "low", reasons), findings
    firing = [part for part in parts if part.cause]
    worst = min(firing, key=lambda part: (part.since or now, -sum(len(one.keys) for one in part.unwanted)))
    plain = {one.why for part in firing for one in part.unwanted} & {"housekeeping", "forbidden"}
    sure: Confidence = "high" if plain else "medium"
    return (
        Verdict(
            "content",
            "firing",
            worst.since,
            sure,
            reasons,
            worst.data_source_id,
            worst.cause,
            tuple(key for part in parts for one in part.unwanted for key in one.keys),
        ),
        findings,
    )


def _part(connector: Connector, seen: Seen, settings: Settings) -> _Part:
    one = connector.data_source_id
    called, bucket = name(settings, one), settings.bucket_of(connector)
    if one in seen["documents"].missing:
        text = f"{called}: its documents could not be seen: {incomplete(seen, 'documents', one)}."
        why = Reason("unknown", text, "documents", evidence=evidence(seen, "documents"))
        return _Part(one, [why], [], indexed_documents(seen["documents"].frame, one, bucket))
    indexed = indexed_documents(seen["documents"].frame, one, bucket)
    jobs = None if not_seen(seen, "sync-jobs") else ended_jobs(seen["sync-jobs"].frame, one)
    scope, no_scope = _scope(connector, seen)
    deleted, no_bucket = _deleted(connector, seen, settings)
    good = None if jobs is None else jobs[jobs["status"].eq("SUCCEEDED")]
    found = unwanted_documents(indexed, settings, connector, scope=scope, deleted=deleted, good_syncs=good)
    # What an older filter let in is taken out by the next sync, unless the deletion safeguard keeps it.
    changed = _changed_since(connector, seen, jobs) if any(each.why == "outside" for each in found) else None
    unwanted = [each for each in found if changed is None or each.why != "outside"]
    reasons = [*_opened(connector, seen, indexed, jobs)]
    reasons += [_firing(each, called, seen, jobs) for each in unwanted]
    reasons += [
        each for each in (no_scope, no_bucket, _no_jobs(connector, seen), changed) if each is not None
    ]
    if cut := incomplete(seen, "documents", one):
        text = f"{called}: the list of documents is incomplete: {cut}."
        reasons.append(Reason("unknown", text, "documents", evidence=evidence(seen, "documents")))
    judged = indexed["is_known"] | indexed["key"].isin([key for each in unwanted for key in each.keys])
    if strange := list(indexed.loc[~judged, "document_id"]):
        text = f"{called}: the ids of {len(strange):,} documents tell no key, such as {strange[0]!r}."
        reasons.append(Reason("unknown", text, "documents", evidence=evidence(seen, "documents")))
    if not reasons:
        text = f"{called}: each of the {len(indexed):,} documents in the index is one that the connector is to index."
        reasons.append(Reason("quiet", text, "documents", evidence=evidence(seen, "documents")))
    since = min((each.since for each in reasons if each.says == "firing" and each.since), default=None)
    sync = _sync_of(since, jobs)
    cause = f"content/{one}/{sync or (since.isoformat(timespec='seconds') if since else 'unknown')}"
    fires = any(each.says == "firing" for each in reasons)
    return _Part(one, reasons, unwanted, indexed, since, cause if fires else "")


def _firing(found: Unwanted, called: str, seen: Seen, jobs: pd.DataFrame | None) -> Reason:
    shown = ", ".join(found.keys[:_SHOWN]) + (" …" if len(found.keys) > _SHOWN else "")
    many = "1 document is" if len(found.keys) == 1 else f"{len(found.keys):,} documents are"
    text = f"{called}: {many} indexed {_WHY[found.why]}: {shown}"
    since = _end_of_sync(found.since, jobs)
    if since is not None:
        text = f"{text}; since {show_time(since)}"
    source = _SOURCE[found.why]
    return Reason("firing", f"{text}.", source, since, evidence(seen, source))


def _end_of_sync(moment: datetime | None, jobs: pd.DataFrame | None) -> datetime | None:
    """The end of the sync in which ``moment`` lies: from then on all that it brought was there. Else the moment."""
    if moment is None or jobs is None:
        return moment
    around = jobs[(jobs["started_at"] <= moment) & (jobs["ended"] >= moment)]
    return moment if around.empty else as_time(around["ended"].iloc[-1])


def _sync_of(moment: datetime | None, jobs: pd.DataFrame | None) -> str:
    if moment is None or jobs is None:
        return ""
    around = jobs[(jobs["started_at"] <= moment) & (jobs["ended"] >= moment)]
    return "" if around.empty else str(around["execution_id"].iloc[-1])


def _no_jobs(connector: Connector, seen: Seen) -> Reason | None:
    """Why nobody knows which syncs should have taken something out; ``None`` where all syncs were seen."""
    missing = not_seen(seen, "sync-jobs")
    if missing is None and (cut := incomplete(seen, "sync-jobs", connector.data_source_id)):
        text = f"{connector.name}: the sync history is incomplete: {cut}."
        missing = Reason("unknown", text, "sync-jobs", evidence=evidence(seen, "sync-jobs"))
    return missing


def _scope(connector: Connector, seen: Seen) -> tuple[CrawlScope | None, Reason | None]:
    """What the connector takes for documents, or why that is not known."""
    missing = not_seen(seen, "resources")
    if missing is not None:
        return None, missing
    row = _data_source(connector, seen)
    if row is None or not isinstance(row["config"], str) or not row["config"]:
        text = f"{connector.name}: the connector's configuration was not seen."
        return None, Reason("unknown", text, "resources", evidence=evidence(seen, "resources"))
    return crawl_scope(seen["resources"].frame, connector.data_source_id), None


def _changed_since(connector: Connector, seen: Seen, jobs: pd.DataFrame | None) -> Reason | None:
    """That the connector was changed after its last sync began; ``None`` where it was not."""
    row = _data_source(connector, seen)
    changed = None if row is None else as_time(row["updated_at"])
    last = None if jobs is None or jobs.empty else as_time(jobs["started_at"].iloc[-1])
    if changed is None or last is None or changed <= last:
        return None
    text = (
        f"{connector.name}: documents are indexed that the connector's filter leaves out; but it was changed at "
        f"{show_time(changed)}, after the last sync began: the next one shows what stays."
    )
    return Reason("unknown", text, "resources", changed, evidence(seen, "resources"))


def _data_source(connector: Connector, seen: Seen) -> Mapping[str, Any] | None:
    frame = seen["resources"].frame
    mine = frame[frame["kind"].eq("data-source") & frame["id"].eq(connector.data_source_id)]
    return None if mine.empty else {str(key): value for key, value in mine.iloc[0].to_dict().items()}


def _deleted(
    connector: Connector, seen: Seen, settings: Settings
) -> tuple[Mapping[str, datetime] | None, Reason | None]:
    """The keys whose newest version is a delete marker, with its time, or why that is not known."""
    missing = not_seen(seen, "versions")
    if missing is not None:
        return None, missing
    kept = evidence(seen, "versions")
    if cut := incomplete(seen, "versions"):
        return None, Reason(
            "unknown", f"The list of objects is incomplete: {cut}.", "versions", evidence=kept
        )
    first = next(one for one in settings.data_sources if one.bucket)
    if (connector.bucket, connector.prefix) != (first.bucket, first.prefix):
        text = f"{connector.name}: its bucket was not listed; only that of {first.name} was."
        return None, Reason("unknown", text, "versions", evidence=kept)
    frame = seen["versions"].frame
    gone = frame[frame["order"].eq(0) & frame["is_delete_marker"].fillna(False).astype(bool)]
    return dict(zip(gone["key"], gone["at"], strict=True)), None


# -- the ACL file


def _acl_reason(connector: Connector, seen: Seen) -> Reason:
    missing = not_seen(seen, "acl")
    if missing is not None:
        return missing
    kept = evidence(seen, "acl")
    if cut := incomplete(seen, "acl", connector.data_source_id):
        text = f"{connector.name}: the access control file was not seen: {cut}."
        return Reason("unknown", text, "acl", evidence=kept)
    broken, rules = _acl_rows(connector, seen)
    if broken:
        text = f"{connector.name}: {broken[0]}: whether any folder is closed is not known."
        says: Any = "quiet" if "names no access control file" in broken[0] else "unknown"
        text = f"{connector.name}: {broken[0]}: everything is open to everyone." if says == "quiet" else text
        return Reason(says, text, "acl", evidence=kept)
    closed = ", ".join(sorted(rules["prefix"].unique())) or "nothing"
    return Reason(
        "quiet", f"{connector.name}: the access control file has rules for {closed}.", "acl", evidence=kept
    )


def _opened(
    connector: Connector, seen: Seen, indexed: pd.DataFrame, jobs: pd.DataFrame | None
) -> list[Reason]:
    """Prefixes that an older version of the ACL file closed and that it does not close now, with documents below."""
    if not_seen(seen, "acl") or incomplete(seen, "acl", connector.data_source_id):
        return []
    broken, rules = _acl_rows(connector, seen)
    frame = seen["acl"].frame
    before = older(frame[frame["data_source_id"].eq(connector.data_source_id)])
    if broken or before.empty:
        return []
    kept = evidence(seen, "acl")
    keys = indexed.loc[indexed["is_known"], "key"].astype("str")
    is_open = keys[open_to_everyone(keys, rules, connector.data_source_id)]
    # The newest version that closed it says when it was lost.
    closed = before[before["problem"].fillna("").eq("")].drop_duplicates("prefix")
    reasons = []
    for prefix, at in zip(closed["prefix"], closed["replaced_at"], strict=True):
        moment = as_time(at)
        if (
            prefix in set(rules["prefix"])
            or moment is None
            or not (n := int(is_open.str.startswith(prefix).sum()))
        ):
            continue
        since = _taken_in(moment, jobs)
        many = "1 indexed document is" if n == 1 else f"{n:,} indexed documents are"
        text = f"{connector.name}: the access control file lost its rule for {prefix} at {show_time(moment)}"
        text += f": {many} open to everyone"
        text += f" since {show_time(since)}." if since else " as soon as a sync takes it in."
        reasons.append(Reason("firing", text, "acl", since or moment, kept))
    unread = before[before["prefix"].fillna("").eq("") & before["problem"].fillna("").ne("")]
    if len(unread) and not reasons:
        why = str(unread["problem"].iloc[0]).rstrip(".")
        text = f"{connector.name}: whether the access control file lost a rule is not known: {why}."
        reasons.append(Reason("unknown", text, "acl", evidence=kept))
    return reasons


def _taken_in(moment: datetime, jobs: pd.DataFrame | None) -> datetime | None:
    """The end of the first sync after it that SUCCEEDED; ``None`` where there is none."""
    if jobs is None:
        return None
    good = jobs[jobs["status"].eq("SUCCEEDED") & (jobs["started_at"] >= moment)]
    return None if good.empty else as_time(good["ended"].iloc[0])


def _new_folders(
    connector: Connector, part: _Part, seen: Seen, settings: Settings, now: datetime
) -> list[Finding]:
    """First folders of which no earlier sync had a document, and that no rule forbids."""
    documents = seen["documents"]
    jobs = (
        None if not_seen(seen, "sync-jobs") else ended_jobs(seen["sync-jobs"].frame, connector.data_source_id)
    )
    if jobs is None or documents.missing_of(connector.data_source_id):
        return []
    frame = documents.frame
    bucket = settings.bucket_of(connector)
    # Deleted ones count as well: their folder is not new.
    every = frame[frame["data_source_id"].eq(connector.data_source_id)]
    every = every.assign(**named_documents(every["document_id"], bucket))
    every = every[every["is_known"] & every["key"].str.contains("/", regex=False)]
    folder = every["key"].str.partition("/")[0] + "/" if len(every) else every["key"]
    first = every.groupby(folder)["created_at"].agg(lambda times: times.min(skipna=False))
    unwanted = {key for each in part.unwanted for key in each.keys}
    found = []
    for name_of, at in first.dropna().items():
        moment = as_time(at)
        if moment is None or now - moment > RECENT:
            continue
        good = jobs[jobs["status"].eq("SUCCEEDED") & (jobs["ended"] < moment)]
        mine = [key for key in part.indexed["key"] if key.startswith(str(name_of)) and key not in unwanted]
        # Where no older sync is known to have filled the index, everything in it is new.
        if good.empty or not mine or not (first < good["ended"].iloc[-1]).any():
            continue
        many = "1 document" if len(mine) == 1 else f"{len(mine):,} documents"
        be = "is" if len(mine) == 1 else "are"
        since = _end_of_sync(moment, jobs) or moment
        text = (
            f"{connector.name}: {many} below {name_of} {be} new in the index since {show_time(since)}; no earlier sync "
            "had that folder. Is that meant to be there?"
        )
        remedy = f"If it is not, name {name_of} under `forbidden` in the settings: then it is found wherever it is."
        found.append(Finding("new-folder", "warning", text, remedy, "documents"))
    return found


def _acl_rows(connector: Connector, seen: Seen) -> tuple[list[str], pd.DataFrame]:
    """What is wrong with the file as a whole, and its rules."""
    frame = current(seen["acl"].frame)
    mine = frame[frame["data_source_id"].eq(connector.data_source_id)]
    whole = mine[mine["prefix"].fillna("").eq("") & mine["problem"].fillna("").ne("")]
    return list(whole["problem"]), mine[mine["problem"].fillna("").eq("")]


def _acl_findings(connector: Connector, seen: Seen, settings: Settings, now: datetime) -> list[Finding]:
    if not_seen(seen, "acl") or incomplete(seen, "acl", connector.data_source_id):
        return []
    frame = current(seen["acl"].frame)
    mine = frame[frame["data_source_id"].eq(connector.data_source_id)]
    wrong = list(mine.loc[mine["problem"].fillna("").ne(""), "problem"].unique())
    found: list[Finding] = []
    named = [one for one in wrong if "names no access control file" not in one]
    if named:
        text = f"{connector.name}: {'; '.join(named[:_SHOWN])}."
        found.append(Finding("acl-broken", "problem", text, "Mend the file and sync.", "acl"))
    changed = as_time(mine["modified_at"].max()) if len(mine) else None
    bucket = settings.bucket_of(connector)
    indexed = indexed_documents(seen["documents"].frame, connector.data_source_id, bucket)
    keys = indexed.loc[indexed["is_known"], "key"].astype("str")
    if keys.empty or mine.empty:
        return found
    is_open = keys[open_to_everyone(keys, mine, connector.data_source_id)]
    folders = sorted({key.split("/", 1)[0] + "/" for key in is_open if "/" in key})
    # That most is open is how it is meant to be; that the file was changed lately is worth a look.
    if changed is not None and now - changed <= RECENT and folders:
        text = (
            f"{connector.name}: the access control file was changed at {ago(changed, now)}. It names "
            f"{', '.join(sorted(mine['prefix'].unique())) or 'nothing'}; open to everyone: {', '.join(folders)}."
        )
        remedy = "See whether each of these is meant to be open; `vmq versions --key` shows the file's older versions."
        found.append(Finding("open-prefixes", "warning", text, remedy, "acl"))
    return found
