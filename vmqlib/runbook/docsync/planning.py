"""Folder against bucket: what is to be added, updated, deleted, and what is left alone. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmqlib.awserrors import InvalidRequest
from vmqlib.errors import AwsError, BadInput, ResourceMissing
from vmqlib.runbook.docsync.plan import DocItem, DocPlan
from vmqlib.runbook.docsync.walking import SUFFIX, Document, Walk, hidden, walk
from vmqlib.runbook.objectcontent import holds
from vmqlib.runbook.rollback.ground import versioning
from vmqlib.runbook.rollback.items import NOTHING, Entry
from vmqlib.runbook.wording import many
from vmqlib.sources.crew import Crew
from vmqlib.sources.versionlisting import list_versions

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.s3 import S3
    from vmqlib.settings import Connector, Settings

__all__ = ["HOUSEKEEPING", "WORKERS", "current_entries", "decide", "plan", "versioned"]

HOUSEKEEPING = ("_staging/", "ci/", "audit/")
"""Prefixes that hold no documents, whatever a connector's settings say: nothing is written or deleted there."""
WORKERS = 8
_LONGEST_KEY = 1024  # bytes
_ARCHIVED = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})


def plan(
    aws: Aws,
    settings: Settings,
    connector: Connector,
    folder: Path,
    *,
    prefix: str | None = None,
    delete: bool = False,
    workers: int = WORKERS,
) -> DocPlan:
    """Compares a folder's ``*.md`` with the connector's bucket, by content. Changes nothing.

    Parameters
    ----------
    folder:
        Where the files are; a file's key is ``prefix`` and its path in the folder.
    prefix:
        Empty, or with a slash at its end; None takes the connector's own.
    delete:
        Whether documents that the folder does not have are to go.
    workers:
        Requests at a time, where content cannot be told by a listing.

    Raises
    ------
    BadInput
        No folder; no ``*.md`` in it; a prefix that is housekeeping or outside of the connector's; a bucket that keeps
        no versions, since nothing could be taken back there.
    AwsError
        The bucket cannot be asked.
    StorageError
        A file cannot be read.
    """
    from vmqlib.s3 import S3

    bucket = settings.bucket_of(connector)
    where = _prefix(connector, prefix)
    exclude = tuple(dict.fromkeys((*HOUSEKEEPING, *(one for one in connector.exclude if one))))
    found = walk(folder)
    if not any(one.content is not None for one in found.documents):
        raise BadInput(
            f"There is no *.md in {folder} that could be uploaded.",
            hint="An empty folder never means that every document is to go. Give the folder that holds them.",
        )
    with S3(aws, bucket, connections=max(32, workers)) as s3:
        versioned(s3)
        there = current_entries(s3, where, exclude)
        same = _compared(s3, where, found, there, workers)
    items, unchanged, gone = decide(
        found, there, same, prefix=where, exclude=exclude, forbids=settings.forbids, delete=delete
    )
    in_scope = sum(1 for entry in there.values() if entry.etag)
    made = DocPlan(
        found.folder, connector.name, bucket, where, exclude, delete, items, unchanged, in_scope, gone
    )
    return replace(made, warnings=tuple(_warnings(made, found)))


def versioned(s3: S3) -> None:
    """Makes sure that the bucket keeps versions: else an upload destroys what was there.

    Raises
    ------
    BadInput
        It does not, or not now.
    """
    if versioning(s3) != "Enabled":
        raise BadInput(
            f"Versioning of bucket {s3.bucket} is suspended: an upload would destroy what is there now.",
            hint=f"aws s3api put-bucket-versioning --bucket {s3.bucket} --versioning-configuration Status=Enabled",
        )


def current_entries(s3: S3, prefix: str, exclude: Sequence[str]) -> dict[str, Entry]:
    """What is on top of each document's key in the scope: a version, or a delete marker (s3:ListObjectVersions)."""
    return {
        row.key: Entry(row.version_id, row.at, row.is_delete_marker, row.size, row.etag, row.storage_class)
        for row in list_versions(s3, prefix, exclude)
        if row.is_latest and row.key.endswith(SUFFIX) and not hidden(row.key[len(prefix) :])
    }


def decide(
    found: Walk,
    there: Mapping[str, Entry],
    same: Mapping[str, bool | None],
    *,
    prefix: str,
    exclude: Sequence[str],
    forbids: Callable[[str], str] = lambda _: "",
    delete: bool = False,
) -> tuple[tuple[DocItem, ...], int, tuple[str, ...]]:
    """The rules. Pure.

    Parameters
    ----------
    found, there:
        The folder; what is on top of each key in the scope.
    same:
        For keys that are in both: whether their content is the same; None where that cannot be told.
    prefix, exclude, forbids, delete:
        The scope; says which entry of ``forbidden`` a key falls under; whether to delete.

    Returns
    -------
    The items by key, how many documents are unchanged, and the keys that the folder does not have and that stay.
    """
    items: list[DocItem] = []
    unchanged = 0
    names: set[str] = set()
    for document in found.documents:
        key = prefix + document.path
        names.add(key)
        entry = there.get(key, NOTHING)
        reason = document.problem or _held(key, exclude, forbids)
        if reason:
            items.append(DocItem(key, "HELD", document.path, document.content, entry, reason))
        elif not entry.version_id or entry.is_delete_marker:
            items.append(DocItem(key, "ADD", document.path, document.content, entry))
        elif same.get(key) is None:
            reason = "encrypted with a key that its writer keeps (SSE-C): it cannot be compared"
            items.append(DocItem(key, "HELD", document.path, document.content, entry, reason))
        elif same[key]:
            unchanged += 1
        else:
            items.append(DocItem(key, "UPDATE", document.path, document.content, entry))
    gone = [key for key, entry in there.items() if key not in names and not entry.is_delete_marker]
    behind_links = tuple(prefix + one for one in found.not_entered)
    unknown = [key for key in gone if key.startswith(behind_links)] if behind_links else []
    items += [
        DocItem(key, "HELD", current=there[key], reason="behind a link to a folder, which is not followed")
        for key in unknown
    ]
    left = sorted(set(gone) - set(unknown))
    if delete:
        items += [DocItem(key, "DELETE", current=there[key]) for key in left]
    return tuple(sorted(items, key=lambda one: one.key)), unchanged, () if delete else tuple(left)


def _held(key: str, exclude: Sequence[str], forbids: Callable[[str], str]) -> str:
    if housekeeping := next((one for one in exclude if key.startswith(one)), ""):
        return f"below {housekeeping}, which is housekeeping"
    if entry := forbids(key):
        return f"forbidden by the settings ({entry!r})"
    if len(key.encode("utf-8", "surrogateescape")) > _LONGEST_KEY:
        return f"its key is longer than {_LONGEST_KEY} bytes"
    return ""


def _prefix(connector: Connector, given: str | None) -> str:
    where = connector.prefix if given is None else given
    if where.startswith("/") or (where and not where.endswith("/")):
        raise BadInput(
            f"{where!r} cannot be the prefix: a file's key would be {where + 'a.md'!r}.",
            hint=f"Give --prefix {where.strip('/') + '/'!r}, or '' for the whole bucket.",
        )
    if not where.startswith(connector.prefix):
        raise BadInput(
            f"{where!r} is outside of what connector {connector.name} reads ({connector.prefix!r}).",
            hint="Give a prefix within it, or another --connector.",
        )
    if housekeeping := next(
        (one for one in (*HOUSEKEEPING, *connector.exclude) if one and where.startswith(one)), ""
    ):
        raise BadInput(
            f"{housekeeping} is housekeeping: documents there are not indexed.", hint="Give another --prefix."
        )
    return where


def _compared(
    s3: S3, prefix: str, found: Walk, there: Mapping[str, Entry], workers: int
) -> dict[str, bool | None]:
    both = [
        (prefix + one.path, one)
        for one in found.documents
        if one.content is not None and (entry := there.get(prefix + one.path)) and not entry.is_delete_marker
    ]

    def same(pair: tuple[str, Document]) -> bool | None:
        key, document = pair
        entry = there[key]
        assert document.content is not None
        try:
            return holds(s3, key, document.content, size=entry.size, etag=entry.etag)
        except InvalidRequest:  # SSE-C
            return None
        except ResourceMissing:  # gone since it was listed: the condition of the write will say so
            return False
        except AwsError as error:
            if error.code in _ARCHIVED:
                return False
            raise

    with Crew(workers, "vmq-compare") as pool:
        try:
            return dict(zip((key for key, _ in both), pool.map(same, both), strict=True))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _warnings(made: DocPlan, found: Walk) -> Iterable[str]:
    for what, why in (
        ("empty", "The connector fails empty documents"),
        ("not UTF-8", "The connector fails documents that it cannot decode"),
    ):
        bad = [one.path for one in found.documents if one.warning == what]
        if bad:
            yield f"{many(len(bad), 'file')} {'is' if len(bad) == 1 else 'are'} {what}, {bad[0]!r} first. {why}."
    if made.gone:
        yield f"Not in the folder, and kept: {many(len(made.gone), 'document')} of the bucket; --delete deletes."
    if made.deletes_most:
        yield (
            f"{made.counts['DELETE']:,} of {many(made.in_scope, 'document')} would be deleted, more than 15 %: "
            "that needs --delete-most. The connector's own safeguard, where it is on, skips as many deletions."
        )
