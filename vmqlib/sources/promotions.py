"""Promotions from ``_staging/``: the audit records that the ops repo leaves under ``audit/promotions/``."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import ResourceMissing
from vmqlib.sources.base import TEXT, TIME, Column, Reading, Row, Source, gather, moment
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["PREFIX", "SOURCE", "near", "read"]

PREFIX = "audit/promotions/"

# A record is written right after its promotion; a day either way also covers a copied or a re-uploaded one.
_SLACK = timedelta(days=1)
_COMPACT = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T?(\d\d):?-?(\d\d):?-?(\d\d)Z?")

_COLUMNS = {
    "at": Column(TIME, "", "when it was promoted (ts); when the record was written, where it does not say"),
    "ci_sha": Column(TEXT, "", "the commit that was promoted"),
    "performed_by": Column(TEXT, "", "who or what did it"),
    "source_prefix": Column(TEXT, "", "source_staging_prefix: where it was promoted from"),
    "key": Column(TEXT, "", "the audit record's key"),
    "problem": Column(TEXT, "", "what is wrong with the record; empty when nothing is"),
    "written_at": Column(TIME, "", "when S3 got the record (LastModified): right after the promotion"),
}


def read(aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:
    """The promotions of the window, oldest first (``s3:ListObjectsV2``, ``s3:GetObject`` for each record).

    A record that cannot be understood is a row with its ``problem``: a promotion did happen.

    Raises
    ------
    AwsError
        The bucket or a record cannot be read.
    """
    bucket = settings.bucket_name
    kept_near = [
        (key, written)
        for key, written in _records(aws, bucket)
        if window.since - _SLACK <= written <= window.until + _SLACK
    ]
    rows = gather([partial(_record, aws, bucket, key, written) for key, written in kept_near])
    first, last = moment(window.since) or "", moment(window.until) or ""
    kept = sorted(
        (row for row in rows if first <= row["at"] <= last), key=lambda row: (row["at"], row["key"])
    )
    return Reading(
        source="promotions",
        call="s3:GetObject",
        parameters={"bucket": bucket, "prefix": PREFIX, "since": first, "until": last},
        rows=kept,
    )


SOURCE = Source("promotions", "Promotions from staging", read, _COLUMNS, order=("at",))


def near(aws: Aws, settings: Settings, moments: Iterable[datetime]) -> list[Row]:
    """The rows of this source whose record was written within a day of one of ``moments`` (UTC): one object's history
    reaches back years, and only what happened around its versions matters.

    Raises
    ------
    AwsError
        The bucket or a record cannot be read.
    """
    bucket = settings.bucket_name
    known = sorted(moments)
    around = [
        (key, written)
        for key, written in _records(aws, bucket)
        if (at := bisect_left(known, written - _SLACK)) < len(known) and known[at] <= written + _SLACK
    ]
    rows = gather([partial(_record, aws, bucket, key, written) for key, written in around])
    return sorted(rows, key=lambda row: (row["at"], row["key"]))


def _records(aws: Aws, bucket: str) -> list[tuple[str, datetime]]:
    """Key and LastModified of every audit record."""
    found: list[tuple[str, datetime]] = []
    with aws_errors("s3:ListObjectsV2", f"bucket {bucket}"):
        paginator = aws.client("s3").get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=bucket, Prefix=PREFIX):
            found.extend((item["Key"], item["LastModified"]) for item in page.get("Contents", []))
    return [(key, written) for key, written in found if not key.endswith("/")]


def _record(aws: Aws, bucket: str, key: str, written: datetime) -> Row:
    empty = {"ci_sha": "", "performed_by": "", "source_prefix": "", "key": key, "written_at": moment(written)}
    try:
        with aws_errors("s3:GetObject", f"s3://{bucket}/{key}"):
            body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ResourceMissing:
        return empty | {"at": moment(written), "problem": "the record was deleted while it was read"}
    try:
        content: Any = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, Mapping):
        return empty | {"at": moment(written), "problem": "the record is not a JSON object"}
    at = _time(content.get("ts"))
    return {
        "at": moment(at or written),
        "ci_sha": _string(content.get("ci_sha")),
        "performed_by": _string(content.get("performed_by")),
        "source_prefix": _string(content.get("source_staging_prefix")),
        "key": key,
        "problem": "" if at else "the record does not say when (ts)",
        "written_at": moment(written),
    }


def _string(value: object) -> str:
    return "" if value is None else str(value)


def _time(value: object) -> datetime | None:
    """``ts`` as ISO 8601, as the compact form that file names have, or as seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"@{value}"
    text = _string(value).strip()
    try:
        if text.startswith("@"):
            return parse_iso("1970-01-01") + timedelta(seconds=float(text[1:]))
        if match := _COMPACT.fullmatch(text):
            year, month, day, hour, minute, second = match.groups()
            return parse_iso(f"{year}-{month}-{day}T{hour}:{minute}:{second}")
        return parse_iso(text)
    except (ValueError, OverflowError):
        return None
