"""Which of a connector's indexed documents must not be there: by key, by the connector's filter, by the bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.affecteddocuments import FAILED, GONE, document_keys
from vmqlib.sources.crawlscope import CrawlScope

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import Connector, Settings

__all__ = [
    "HOUSEKEEPING",
    "Unwanted",
    "indexed_documents",
    "named_documents",
    "never_documents",
    "unwanted_documents",
]

HOUSEKEEPING: Final = ("_staging/", "audit/", "ci/")
"""Prefixes of the bucket that are never documents (ops repo)."""


@dataclass(frozen=True)
class Unwanted:
    """Documents of one connector that are indexed and must not be, for one reason.

    Parameters
    ----------
    why:
        ``housekeeping``, ``forbidden``, ``outside`` (the connector's filter leaves them out) or ``gone`` (their object
        is deleted).
    keys:
        Which, in order.
    since:
        When the first of them was indexed; for ``gone``, when the first sync that should have taken them out ended.
    detail:
        More about it, for people; may be empty.
    """

    why: str
    keys: tuple[str, ...]
    since: datetime | None
    detail: str = ""


def indexed_documents(documents: pd.DataFrame, data_source_id: str, bucket: str) -> pd.DataFrame:
    """What of a data source is in the index, with the columns of :func:`named_documents`."""
    status = documents["status"].fillna("")
    mine = documents[documents["data_source_id"].eq(data_source_id) & ~status.isin([*GONE, *FAILED])]
    return mine.assign(**named_documents(mine["document_id"], bucket))


def named_documents(names: pd.Series[str], bucket: str) -> pd.DataFrame:
    """Documents' ids or addresses as ``key`` and ``is_known`` (whether its form tells a key).

    The form of an S3 document's id is not documented. What is read: ``s3://bucket/key``, a web address of the
    bucket, and whatever begins with a known folder (see :func:`unwanted_documents`); anything else is unknown.
    """
    import pandas as pd

    ids = names.fillna("").astype(object)
    keys = document_keys(names)
    # A web address may name the bucket as its first folder, and not in its host.
    by_path = ids.str.match(r"https?://s3[.-]") & keys.str.startswith(f"{bucket}/")
    keys = keys.where(~by_path, keys.str.slice(len(bucket) + 1))
    return pd.DataFrame({"key": keys, "is_known": ids.str.contains("://", regex=False).astype(bool)})


def never_documents(connector: Connector) -> tuple[str, ...]:
    """The folders that are never documents: the bucket's, and those that the settings exclude. Not one that the
    connector's own ``prefix`` in the settings lies in: that one is meant."""
    every = dict.fromkeys((*HOUSEKEEPING, *connector.exclude))
    return tuple(one for one in every if not connector.prefix.startswith(one))


def unwanted_documents(
    indexed: pd.DataFrame,
    settings: Settings,
    connector: Connector,
    *,
    scope: CrawlScope | None,
    deleted: Mapping[str, datetime] | None,
    good_syncs: pd.DataFrame | None,
) -> list[Unwanted]:
    """What of it must not be there, each document once, by the first reason that fits.

    Parameters
    ----------
    indexed:
        :func:`indexed_documents`.
    scope:
        What the connector takes for documents; ``None`` where that is not known.
    deleted:
        Keys whose object is deleted now, and since when; ``None`` where the bucket was not seen.
    good_syncs:
        The syncs that SUCCEEDED, oldest first, with ``started_at`` and ``ended``; ``None`` where they were not seen.
    """
    import pandas as pd

    housekeeping = never_documents(connector)
    keys = indexed["key"].astype(object)
    why = pd.Series("", index=indexed.index, dtype=object)
    if len(keys):
        why = why.mask(keys.str.startswith(housekeeping), "housekeeping")
        why = why.mask(why.eq("") & keys.map(lambda key: bool(settings.forbids(key))), "forbidden")
        if scope is not None:
            out = indexed["is_known"] & ~scope.documents(keys.astype("str"))
            why = why.mask(why.eq("") & out, "outside")
    found = [
        Unwanted(kind, _sorted(indexed[why.eq(kind)]), _first(indexed.loc[why.eq(kind), "created_at"]))
        for kind in ("housekeeping", "forbidden", "outside")
        if why.eq(kind).any()
    ]
    gone = _gone(indexed[why.eq("")], deleted, good_syncs)
    return [*found, gone] if gone else found


def _gone(
    indexed: pd.DataFrame, deleted: Mapping[str, datetime] | None, good_syncs: pd.DataFrame | None
) -> Unwanted | None:
    """Documents whose object was deleted before a sync began that SUCCEEDED."""
    if not deleted or good_syncs is None or good_syncs.empty or indexed.empty:
        return None
    last = good_syncs["started_at"].iloc[-1]
    at = indexed["key"].map(deleted)
    at = at[at.notna()]
    late = at[at < last]
    if late.empty:
        return None
    missed = good_syncs[good_syncs["started_at"] > late.min()]["ended"].iloc[0]
    return Unwanted("gone", _sorted(indexed.loc[late.index]), missed.to_pydatetime(warn=False))


def _sorted(part: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(part["key"]))


def _first(times: pd.Series[pd.Timestamp]) -> datetime | None:
    known = times.dropna()
    return None if known.empty else known.min().to_pydatetime(warn=False)
