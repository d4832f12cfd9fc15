"""The S3 connector's access control file: who may read what. A prefix that it does not name is open to everyone.

User guide: *How Amazon Q Business connector crawls Amazon S3 ACLs*.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError, ResourceMissing
from vmqlib.sources.base import (
    TEXT,
    TIME,
    Column,
    Reading,
    Row,
    Source,
    data_source_ids,
    gather,
    moment,
    not_asked,
)

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["MOST_BYTES", "RECENT", "SOURCE", "current", "older", "open_to_everyone", "read"]

MOST_BYTES = 32 * 1024 * 1024
"""A larger file is not read: it would be half a million entries."""

RECENT = timedelta(days=7)
"""How far back changes of the file are looked at: its versions that were replaced since are read, too."""

_CALL = "s3:GetObject"
_CALL_OLDER = "s3:GetObjectVersion"
_MOST_OLDER = 5
_TYPES = frozenset({"USER", "GROUP"})
_ACCESS = frozenset({"ALLOW", "DENY"})
_EMPTY = {"prefix": "", "name": "", "type": "", "access": "", "problem": ""}

_COLUMNS = {
    "data_source_id": Column(TEXT, "", "the connector's data source"),
    "prefix": Column(TEXT, "", "keyPrefix as a key's beginning, without s3:// and the bucket"),
    "name": Column(TEXT, "", "the user or group"),
    "type": Column(TEXT, "", "USER or GROUP"),
    "access": Column(TEXT, "", "ALLOW or DENY"),
    "bucket": Column(TEXT, "", "the bucket of the file"),
    "key": Column(TEXT, "", "the file's key; empty where the connector names none"),
    "modified_at": Column(TIME, "", "when S3 got the file (LastModified)"),
    "replaced_at": Column(
        TIME, "", "of an older version: when the next one replaced it; missing for the file as it is now"
    ),
    "problem": Column(
        TEXT, "", "what is wrong with the file, the prefix or the entry; empty when nothing is"
    ),
}


def read(aws: Aws, settings: Settings, window: Window, *, data_source_id: str = "") -> Reading:
    """One row for each entry of each S3 connector's file, now (``qbusiness:GetDataSource``, ``s3:GetObject``), and of
    its versions that were replaced in the last days of the window (:data:`RECENT`; ``s3:ListBucketVersions``,
    ``s3:GetObjectVersion``), five at most.

    A connector without a file, a file that is missing or broken, a prefix without entries: each is a row that says so
    in ``problem``. Connectors of other kinds have no such file, and no row. An older version that cannot be read
    is such a row as well, with ``replaced_at``: the file as it is now is complete without it.

    Raises
    ------
    AwsError
        Where no connector's configuration or file could be read.
    SettingsError
        Where no application, index or data source is set.
    """
    settings.require("app_id", "index_id")
    ids = data_source_ids(settings, data_source_id)
    files = gather([partial(_look, aws, settings, one, window.until) for one in ids])
    errors = [one.error for one in files if one.error]
    if len(errors) == len(files):
        raise errors[0]
    missing = {one.data_source_id: one.stopped for one in files if one.stopped}
    return Reading(
        source="acl",
        call=_CALL,
        parameters={
            "dataSourceIds": ids,
            "files": [f"s3://{one.bucket}/{one.key}" for one in files if one.key],
        },
        rows=(row for one in files for each in (one, *one.older) for row in _rows(each)),
        complete=not missing,
        stopped="; ".join(why if one in why else f"{one}: {why}" for one, why in missing.items()),
        missing=missing | not_asked(settings, ids),
    )


SOURCE = Source("acl", "Access control file", read, _COLUMNS)


def open_to_everyone(keys: pd.Series[str], acl: pd.DataFrame, data_source_id: str = "") -> pd.Series[bool]:
    """Which of ``keys`` no prefix of the file names: everybody who may use the assistant is answered from them.

    Parameters
    ----------
    keys:
        Keys of documents.
    acl:
        A frame of this source. It must be complete: what was not read names nothing. Entries with a
        problem do not count.
    data_source_id:
        The connector that reads them; empty for the only one.
    """
    named = current(acl)
    named = named[named["problem"] == ""]
    if data_source_id:
        named = named[named["data_source_id"] == data_source_id]
    return ~keys.str.startswith(tuple(named["prefix"].unique())).astype(bool)


def current(acl: pd.DataFrame) -> pd.DataFrame:
    """The rows of a frame of this source that tell the file as it is now."""
    return acl[acl["replaced_at"].isna()]


def older(acl: pd.DataFrame) -> pd.DataFrame:
    """Those of its older versions, newest version first."""
    return acl[acl["replaced_at"].notna()].sort_values("replaced_at", ascending=False, kind="stable")


@dataclass(frozen=True)
class _File:
    """One connector's file, as far as it was got."""

    data_source_id: str
    bucket: str = ""
    key: str = ""
    body: bytes | None = None
    modified_at: str | None = None
    problem: str = ""
    error: AwsError | None = None
    stopped: str = ""
    is_s3: bool = True
    replaced_at: str | None = None
    older: tuple[_File, ...] = ()


def _look(aws: Aws, settings: Settings, data_source_id: str, until: datetime) -> _File:
    try:
        config = _configuration(aws, settings, data_source_id)
        if str(config.get("type", "S3")).upper() != "S3":
            return _File(data_source_id, is_s3=False)
        bucket, key = _place(config, settings.bucket_of(settings.connector(data_source_id)))
        if not key:
            return _File(data_source_id, bucket, problem="the connector names no access control file")
        return _fetch(aws, data_source_id, bucket, key, until - RECENT)
    except AwsError as error:
        return _File(data_source_id, error=error, stopped=error.message)


def _configuration(aws: Aws, settings: Settings, data_source_id: str) -> Mapping[str, Any]:
    with aws_errors("qbusiness:GetDataSource", f"data source {data_source_id}"):
        answer = aws.client("qbusiness").get_data_source(
            applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=data_source_id
        )
    config: Any = answer.get("configuration")
    return config if isinstance(config, Mapping) else {}


def _place(config: Mapping[str, Any], bucket: str) -> tuple[str, str]:
    """Bucket and key of the file. The path is a key, or has the form ``s3://bucket/key``."""
    parts = [config.get(name) for name in ("additionalProperties", "accessControlConfiguration")]
    paths = [part.get("aclConfigurationFilePath") for part in parts if isinstance(part, Mapping)]
    path = next((path for path in paths if isinstance(path, str) and path), "")
    if path.startswith("s3://"):
        bucket, _, path = path.removeprefix("s3://").partition("/")
    return bucket, path.lstrip("/")


def _fetch(aws: Aws, data_source_id: str, bucket: str, key: str, since: datetime) -> _File:
    known = _File(data_source_id, bucket, key)
    try:
        with aws_errors(_CALL, f"s3://{bucket}/{key}"):
            answer = aws.client("s3").get_object(Bucket=bucket, Key=key)
            body = answer["Body"].read(MOST_BYTES + 1)
            answer["Body"].close()
    except ResourceMissing:
        return _with(known, problem="the file does not exist")
    changed: datetime | None = answer.get("LastModified")
    modified = moment(changed)
    if len(body) > MOST_BYTES:
        said = f"the file is larger than {MOST_BYTES // 1024**2} MiB and was not read"
        return _with(known, modified_at=modified, problem=said, stopped=said)
    now = _with(known, modified_at=modified, body=body)
    if changed is None or changed < since:
        return now
    return _with(now, older=tuple(_older(aws, known, str(answer.get("VersionId") or ""), changed, since)))


def _older(aws: Aws, known: _File, newest: str, changed: datetime, since: datetime) -> Iterator[_File]:
    """The versions that were replaced since then, newest first; where they cannot be read, one that says why."""
    s3, where = aws.client("s3"), f"the older versions of s3://{known.bucket}/{known.key}"
    replaced = changed
    try:
        with aws_errors("s3:ListObjectVersions", where):
            # The key itself is listed first, its newest version first: one page has more of them than are read.
            listed = s3.list_object_versions(Bucket=known.bucket, Prefix=known.key).get("Versions", [])
        mine = [one for one in listed if one["Key"] == known.key and one["LastModified"] <= changed]
        for one in [each for each in mine if each["VersionId"] != newest][:_MOST_OLDER]:
            if replaced < since:
                return
            with aws_errors(_CALL_OLDER, where):
                answer = s3.get_object(Bucket=known.bucket, Key=known.key, VersionId=one["VersionId"])
                body = answer["Body"].read(MOST_BYTES + 1)
                answer["Body"].close()
            file = _with(known, modified_at=moment(one["LastModified"]), replaced_at=moment(replaced))
            is_large = len(body) > MOST_BYTES
            yield _with(file, problem="it is too large to be read") if is_large else _with(file, body=body)
            replaced = one["LastModified"]
    except AwsError as error:
        yield _with(known, replaced_at=moment(replaced), problem=str(error))


def _with(file: _File, **changes: Any) -> _File:
    return replace(file, **changes)


def _rows(file: _File) -> Iterator[Row]:
    if file.error or not file.is_s3:
        return
    common = {
        "data_source_id": file.data_source_id,
        "bucket": file.bucket,
        "key": file.key,
        "modified_at": file.modified_at,
        "replaced_at": file.replaced_at,
    }
    if file.body is None:
        yield common | _EMPTY | {"problem": file.problem}
        return
    try:
        rules = json.loads(file.body)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be decoded"
        yield common | _EMPTY | {"problem": f"the file is not JSON: {why}"}
        return
    if not isinstance(rules, list):
        yield common | _EMPTY | {"problem": "the file is not a list of prefixes"}
        return
    for number, rule in enumerate(rules, 1):
        for row in _rule(rule, number, file.bucket):
            yield common | _EMPTY | row


def _rule(rule: Any, number: int, bucket: str) -> Iterator[dict[str, str]]:
    said = rule.get("keyPrefix") if isinstance(rule, Mapping) else None
    if not isinstance(said, str):
        yield {"problem": f"entry {number} of the file names no keyPrefix"}
        return
    home, prefix = _prefix(said, bucket)
    elsewhere = "" if home == bucket else f"the prefix is of another bucket, {home}"
    entries = rule.get("aclEntries")
    if not isinstance(entries, list) or not entries:
        yield {"prefix": prefix, "problem": elsewhere or "the prefix has no aclEntries"}
        return
    for entry in entries:
        yield {"prefix": prefix} | _entry(entry, elsewhere)


def _entry(entry: Any, elsewhere: str) -> dict[str, str]:
    given = entry if isinstance(entry, Mapping) else {}
    name, kind, access = (given.get(key) for key in ("Name", "Type", "Access"))
    row = {"name": str(name or ""), "type": str(kind or "").upper(), "access": str(access or "").upper()}
    is_good = row["name"] and row["type"] in _TYPES and row["access"] in _ACCESS
    return row | {"problem": elsewhere or ("" if is_good else "an entry without Name, Type or Access")}


def _prefix(said: str, bucket: str) -> tuple[str, str]:
    if said.startswith("s3://"):
        bucket, _, said = said.removeprefix("s3://").partition("/")
    return bucket, said.lstrip("/")
