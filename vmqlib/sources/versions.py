"""Every version of every object in a connector's scope (runbook step 3): ``s3:ListObjectVersions``.

The rows of the evidence; :mod:`vmqlib.sources.versionlisting` asks S3 for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from vmqlib.sources.base import COUNT, FLAG, TEXT, TIME, Column, Reading, Row, Source
from vmqlib.sources.versionlisting import list_versions
from vmqlib.sources.versionpages import CALL, parse_page

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = [
    "SOURCE",
    "BucketSummary",
    "bucket_summary",
    "changed_between",
    "changed_since",
    "iter_versions",
    "parse_page",
    "read",
    "state_at",
]

_COLUMNS = {
    "key": Column(TEXT, "", "the object's key, decoded"),
    "version_id": Column(TEXT, "", "its version; null where versioning was not on"),
    "is_latest": Column(FLAG, "", "whether it is the current one"),
    "is_delete_marker": Column(FLAG, "", "whether it stands for a deletion"),
    "at": Column(TIME, "", "LastModified, in whole seconds"),
    "size": Column(COUNT, "bytes", "missing for a delete marker"),
    "etag": Column(TEXT, "", "without quotes; empty for a delete marker"),
    "storage_class": Column(TEXT, "", "STANDARD, GLACIER …; empty for a delete marker"),
    "order": Column(COUNT, "", "0 is the newest of its key; right within one second, too"),
}


def read(aws: Aws, settings: Settings, _window: Window, *, data_source_id: str = "") -> Reading:
    """Every version in the connector's bucket and prefix, without its excluded prefixes; keys in S3's order,
    newest version first. The window is not used: what was there before it is what a rollback goes back to.

    The rows are a generator that asks S3 page by page: :class:`vmqlib.errors.AwsError` may come on the way.

    Raises
    ------
    SettingsError
        Where no bucket is set.
    """
    connectors = [one for one in settings.data_sources if one.bucket]
    connector = settings.connector(data_source_id or (connectors[0].data_source_id if connectors else ""))
    bucket = settings.bucket_of(connector)
    return Reading(
        source="versions",
        call=CALL,
        parameters={"bucket": bucket, "prefix": connector.prefix, "exclude": list(connector.exclude)},
        rows=iter_versions(aws, bucket, connector.prefix, connector.exclude),
    )


SOURCE = Source("versions", "Object versions", read, _COLUMNS)


def iter_versions(aws: Aws, bucket: str, prefix: str = "", exclude: Sequence[str] = ()) -> Iterator[Row]:
    """Streams the rows of this source. Memory grows with the versions of one key, not with the bucket.

    Parameters
    ----------
    bucket, prefix:
        What to list.
    exclude:
        Prefixes that are left out. A long one is jumped over, not read.

    Raises
    ------
    AwsError
        The bucket cannot be listed.
    """
    from vmqlib.s3 import S3

    with S3(aws, bucket) as s3:
        for _, entries in groupby(list_versions(s3, prefix, exclude), key=attrgetter("key")):
            for order, entry in enumerate(entries):
                yield {
                    "key": entry.key,
                    "version_id": entry.version_id,
                    "is_latest": entry.is_latest,
                    "is_delete_marker": entry.is_delete_marker,
                    "at": entry.at,
                    "size": None if entry.is_delete_marker else entry.size,
                    "etag": entry.etag,
                    "storage_class": entry.storage_class,
                    "order": order,
                }


# Questions to a frame of this source


def state_at(versions: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """The bucket as it was at ``at``: for each key that was there, its row.

    A further column ``ambiguous`` (bool) says that the key changed within the very second of ``at``: S3 does
    not tell whether before or after. Such a change counts as made before.
    """
    then = _then(versions, at)
    return then[~then["is_delete_marker"].astype(bool)].reset_index(drop=True)


def _then(versions: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """Per key the newest version or marker at or before ``at``, in the frame's order of keys."""
    import pandas as pd

    before = versions[versions["at"] <= at].sort_values("order", kind="stable")
    newest = before.drop_duplicates("key", keep="first").sort_index()
    second = pd.Timestamp(at).floor("s")
    unsure = set(versions.loc[versions["at"] == second, "key"])
    return newest.assign(ambiguous=newest["key"].isin(unsure))


def changed_since(versions: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """The keys whose current version is not the one of ``at``, newest change first.

    Parameters
    ----------
    versions:
        A frame of this source.
    at:
        The moment to compare with, most often the start of the last good sync.

    Returns
    -------
    pandas.DataFrame
        ``key``; ``action``: what happened since: ``rewritten``, ``deleted``, ``added`` (the key was new) or
        ``restored`` (it was deleted at ``at``); ``current_…`` and ``then_…`` ``version_id``, ``at``, ``size``
        (bytes), ``etag``, missing where there was none; ``changes`` (versions and markers since ``at``);
        ``same_content`` (bool: equal ETag and size); ``ambiguous`` (bool, see :func:`state_at`). A key that
        came and went since is left out: nothing of it is left to see.
    """
    fields = ["version_id", "at", "size", "etag", "is_delete_marker"]
    current = versions[versions["order"] == 0].set_index("key")[fields].add_prefix("current_")
    earlier = _then(versions, at).set_index("key")
    then = earlier[fields].add_prefix("then_")
    table = current.join(then, how="left")
    table["changes"] = (
        versions[versions["at"] > at].groupby("key").size().reindex(table.index).astype("Int64")
    )
    table["changes"] = table["changes"].fillna(0)
    table["ambiguous"] = earlier["ambiguous"].reindex(table.index).eq(True)

    gone = table["current_is_delete_marker"].fillna(False).astype("bool")
    unknown = table["then_version_id"].isna()
    was_gone = unknown | table["then_is_delete_marker"].fillna(False).astype("bool")
    table["action"] = "rewritten"
    table.loc[gone, "action"] = "deleted"
    table.loc[was_gone, "action"] = "restored"
    table.loc[unknown, "action"] = "added"
    same = table["current_etag"].eq(table["then_etag"]) & table["current_size"].eq(table["then_size"])
    table["same_content"] = same.fillna(False).astype("bool") & ~gone & ~was_gone

    changed = table["current_version_id"].ne(table["then_version_id"]) & ~(gone & was_gone)
    names = [f"{when}_{field}" for when in ("current", "then") for field in fields[:-1]]
    columns = ["key", "action", *names, "changes", "same_content", "ambiguous"]
    table = table[changed].reset_index()[columns]
    return table.sort_values(["current_at", "key"], ascending=[False, True], kind="stable", ignore_index=True)


def changed_between(
    versions: pd.DataFrame, since: datetime, until: datetime, copies: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The keys whose version at ``until`` was not the one of ``since``, and what has become of each by now.

    Parameters
    ----------
    versions:
        A frame of this source.
    since, until:
        Most often the start of the last good sync, and the opening of the incident.
    copies:
        Ids of versions that are known to be copies, with the ids of their originals: a copy has another ETag where KMS
        encrypts.

    Returns
    -------
    pandas.DataFrame
        As of :func:`changed_since`, where ``current_…`` is what there was at ``until``; and ``now``: ``back`` (the
        content of ``since``, or gone again where there was none), ``still changed`` (the content of ``until``),
        ``same size`` (other content by its ETag, of the size of ``since``: a copy has another ETag where KMS
        encrypts) or ``changed since``.
    """
    import pandas as pd

    known = versions[versions["at"] <= until].sort_values("order", kind="stable")
    order = known.groupby("key").cumcount().astype("Int64")
    table = changed_since(known.assign(order=order).sort_index(), since)

    newest = versions[versions["order"] == 0].drop_duplicates("key").set_index("key")
    current = newest.reindex(table["key"]).reset_index(drop=True)
    gone = current["is_delete_marker"].fillna(True).astype("bool")

    def same(when: str, *fields: str) -> pd.Series[bool]:
        there = (
            table["action"].ne("deleted")
            if when == "current"
            else ~table["action"].isin(["added", "restored"])
        )
        equal = pd.Series(True, index=table.index)
        for field in fields:
            equal &= current[field].eq(table[f"{when}_{field}"]).fillna(False).astype("bool")
        return (equal & there & ~gone) | (gone & ~there)

    table["now"] = "changed since"
    table.loc[same("then", "size") & ~gone, "now"] = "same size"
    table.loc[same("current", "etag", "size"), "now"] = "still changed"
    table.loc[same("then", "etag", "size"), "now"] = "back"
    if copies:
        original = current["version_id"].map(copies).astype("str")
        table.loc[original.eq(table["then_version_id"]).fillna(False) & ~gone, "now"] = "back"
    return table


@dataclass(frozen=True)
class BucketSummary:
    """What the bucket holds now, within the scope.

    Parameters
    ----------
    objects:
        Objects that are there now.
    size:
        Their size in bytes.
    versions:
        Versions in all, without delete markers.
    delete_markers:
        Delete markers in all.
    """

    objects: int
    size: int
    versions: int
    delete_markers: int


def bucket_summary(versions: pd.DataFrame, exclude: Sequence[str] = ()) -> BucketSummary:
    """Counts the objects and bytes of a frame of this source, without the prefixes in ``exclude``."""
    if exclude:
        versions = versions[~versions["key"].str.startswith(tuple(exclude))]
    marker = versions["is_delete_marker"].astype(bool)
    current = versions[(versions["order"] == 0) & ~marker]
    return BucketSummary(
        objects=len(current),
        size=int(current["size"].sum()),
        versions=int((~marker).sum()),
        delete_markers=int(marker.sum()),
    )
