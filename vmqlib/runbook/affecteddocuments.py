"""The documents in an incident: which fail, which changed, and how they spread over the prefixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from vmqlib.runbook.affectedconnectors import AffectedConnector
from vmqlib.sources.crawlscope import METADATA_SUFFIX, crawl_scope
from vmqlib.sources.versions import changed_since

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation
    from vmqlib.settings import Settings

__all__ = ["FAILED", "GONE", "AffectedDocuments", "affected_documents", "document_keys"]

FAILED = ("FAILED", "DOCUMENT_FAILED_TO_INDEX")
GONE = ("DELETED", "DELETING")
"""Statuses of documents that failed, and of those that are not in the index any more (botocore's model)."""

_EXAMPLES = 10


@dataclass(frozen=True)
class AffectedDocuments:
    """Documents in question.

    Parameters
    ----------
    failing:
        How many failed; ``None`` where that is not known.
    changed:
        How many documents in the bucket differed, themselves or by their metadata files, when the incident was opened,
        from those of the last good sync; ``None`` where that is not known.
    failing_changed:
        How many of the failing ones, or their metadata files, are among the changed ones.
    examples:
        Keys of failing documents, in order, ten at most.
    unwanted:
        Keys in the index that the setting ``forbidden`` names, or in a folder that is never documents, in order, ten
        at most; ``None`` where that is not known.
    forbidden:
        Those of them that the setting names, which belong nowhere: the others belong where they are, and not into the
        index. In order, ten at most.
    unwanted_count:
        How many documents are indexed that the trigger ``content`` says must not be; ``None`` where it cannot tell.
    unindexed_count:
        How many documents in the bucket are in no index; ``None`` where that is not known.
    unindexed:
        Their keys, in order, ten at most.
    """

    failing: int | None = None
    changed: int | None = None
    failing_changed: int | None = None
    examples: tuple[str, ...] = ()
    unwanted: tuple[str, ...] | None = None
    forbidden: tuple[str, ...] = ()
    unwanted_count: int | None = None
    unindexed_count: int | None = None
    unindexed: tuple[str, ...] = ()


def document_keys(names: pd.Series[str]) -> pd.Series[str]:
    """Documents' ids or URIs as keys of their bucket: what follows the host or bucket; anything else as it is."""
    text = names.fillna("").astype(object)
    parts = text.str.split("/", n=3).str[3]
    keys = text.where(~text.str.contains("://", regex=False) | parts.isna(), parts)
    # A web address is encoded; an `s3://` name is the key as it is.
    return keys.where(~text.str.match(r"https?://"), keys.map(unquote))


def affected_documents(
    there: Mapping[str, Observation],
    settings: Settings,
    connectors: Sequence[AffectedConnector],
    until: datetime | None = None,
    misplaced: Sequence[str] | None = None,
) -> tuple[AffectedDocuments, pd.DataFrame]:
    """Documents in question, and how they spread over the prefixes: see :class:`~vmqlib.runbook.affected.Affected`.

    Parameters
    ----------
    there:
        Observations that were seen, by source name.
    settings:
        Forbidden keys, and connectors with the folders that they leave out.
    connectors:
        The last good sync is that of the affected one.
    until:
        Changes after this moment are not counted: a rollback that followed is no part of what went wrong.
    misplaced:
        Keys of the documents that the trigger ``content`` says must not be in the index; ``None`` where it cannot tell.
    """
    import pandas as pd

    listed = failing = None
    unwanted: tuple[str, ...] | None = None
    forbidden: tuple[str, ...] = ()
    if "documents" in there:
        frame = there["documents"].frame
        frame = frame[~frame["status"].fillna("").isin(GONE)]
        listed = document_keys(frame["document_id"])
        failing = listed[frame["status"].fillna("").isin(FAILED)]
        if failing.empty and not there["documents"].complete:
            failing = None  # those that were not seen may fail
        never = tuple({folder for one in settings.data_sources for folder in one.exclude})
        said = [key for key in listed if settings.forbids(key)]
        kept = [key for key in listed if key.startswith(never)]
        unwanted = tuple(sorted({*said, *kept})[:_EXAMPLES])
        forbidden = tuple(sorted(said)[:_EXAMPLES])
    changed = _changed(there, connectors, until)
    absent = _absent(there, connectors)
    documents = AffectedDocuments(
        failing=None if failing is None else len(failing),
        changed=None if changed is None else int(changed["document"].sum()),
        failing_changed=None if failing is None or changed is None else _both(failing, changed["key"]),
        examples=() if failing is None else tuple(sorted(failing)[:_EXAMPLES]),
        unwanted=unwanted,
        forbidden=forbidden,
        unwanted_count=None if misplaced is None else len(misplaced),
        unindexed_count=None if absent is None else len(absent),
        unindexed=() if absent is None else tuple(absent[:_EXAMPLES]),
    )
    counts = {
        "documents": _by_prefix(listed),
        "failing": _by_prefix(failing),
        "unwanted": None if misplaced is None else _by_prefix(pd.Series(misplaced, dtype="str")),
        "changed": None if changed is None else _by_prefix(changed.loc[changed["document"], "key"]),
    }
    known = [one for one in counts.values() if one is not None]
    prefixes = sorted(set().union(*(one.index for one in known))) if known else []
    table = pd.DataFrame({"prefix": pd.Series(prefixes, dtype="str")})
    for name, one in counts.items():
        values = [pd.NA] * len(prefixes) if one is None else [int(one.get(each, 0)) for each in prefixes]
        table[name] = pd.Series(values, dtype="Int64")
    order = ["failing", "unwanted", "changed", "documents"]
    return documents, table.sort_values(order, ascending=False, kind="stable", ignore_index=True)


def _absent(there: Mapping[str, Observation], connectors: Sequence[AffectedConnector]) -> list[str] | None:
    """Documents of the bucket that the index does not list, in order; ``None`` where one of the two was not seen whole.
    What was written after the index was listed is left out: nobody has looked for it there."""
    index, versions = there.get("documents"), there.get("versions")
    if (
        index is None
        or versions is None
        or "resources" not in there
        or not versions.complete
        or not connectors
    ):
        return None
    # Of several connectors the listing is of one bucket: that of the one which is hit.
    source = min(connectors, key=lambda one: not one.hit).data_source_id
    if index.missing_of(source) or (not index.complete and not index.missing):
        return None
    resources = there["resources"].frame
    known = resources["kind"].eq("data-source") & resources["id"].eq(source)
    if not resources.loc[known, "config"].fillna("").any():
        return None
    listed = index.frame[index.frame["data_source_id"].eq(source)]
    listed = listed[~listed["status"].fillna("").isin(GONE)]
    frame = versions.frame
    frame = frame[frame["order"].eq(0) & ~frame["is_delete_marker"]]
    if index.at is not None:
        frame = frame[frame["at"] <= index.at]
    keys = frame["key"]
    keys = keys[crawl_scope(resources, source).documents(keys)] if len(keys) else keys
    there_too = keys.isin(set(document_keys(listed["document_id"])))
    # With not one in common it may be the listing of another connector's bucket.
    return sorted(keys[~there_too]) if there_too.any() else None


def _by_prefix(keys: pd.Series[str] | None) -> pd.Series[int] | None:
    """How many of the keys are in each first folder; ``""`` for those that are in none."""
    if keys is None:
        return None
    first = keys.astype(object).str.partition("/")
    return (
        (first[0] + first[1]).where(first[1] == "/", "").value_counts() if len(keys) else keys.value_counts()
    )


def _changed(
    there: Mapping[str, Observation], connectors: Sequence[AffectedConnector], until: datetime | None
) -> pd.DataFrame | None:
    """Keys whose content differs from that of the last good sync, and which of them are documents; and documents of
    which only the metadata file does."""
    import pandas as pd

    versions = there.get("versions")
    goods = [one for one in connectors if one.last_good_at is not None]
    # Of several connectors the listing is of one bucket: that of the one which is hit.
    goods = sorted(goods, key=lambda one: not one.hit)
    if versions is None or not versions.complete or not goods:
        return None
    first = goods[0]
    assert first.last_good_at is not None
    frame = versions.frame
    if until is not None and until > first.last_good_at:
        frame = frame[frame["at"] <= until]
        frame = frame.assign(order=frame["order"] - frame.groupby("key")["order"].transform("min"))
    found = changed_since(frame, first.last_good_at)
    found = found.loc[~found["same_content"], ["key"]]
    now = frame.loc[frame["order"].eq(0) & ~frame["is_delete_marker"], "key"]
    described = now[now.isin(_described(found["key"])) & ~now.isin(found["key"])]
    found = pd.concat([found, described.to_frame()], ignore_index=True)
    if "resources" in there:
        scope = crawl_scope(there["resources"].frame, first.data_source_id)
        return found.assign(document=scope.documents(found["key"]) if len(found) else False)
    return found.assign(document=~found["key"].str.endswith(METADATA_SUFFIX))


def _both(failing: pd.Series[str], changed: pd.Series[str]) -> int:
    """How many failing documents, or their metadata files, are among the changed."""
    return int(failing.isin(set(changed) | _described(changed)).sum())


def _described(keys: pd.Series[str]) -> set[str]:
    """What the metadata files among the keys (``<prefix>/<key>.metadata.json``) may describe."""
    described = {key.removesuffix(METADATA_SUFFIX) for key in keys if key.endswith(METADATA_SUFFIX)}
    return {"/".join(key.split("/")[place:]) for key in described for place in range(key.count("/") + 1)}
