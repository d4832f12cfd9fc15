"""Whether CI is told to start no syncs: the ops repo's note ``ci/hold.json`` in the bucket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import ResourceMissing
from vmqlib.sources.base import FLAG, TEXT, TIME, Column, Reading, Row, Source, moment
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["KEY", "SOURCE", "read"]

KEY = "ci/hold.json"

_CALL = "s3:GetObject"
_MOST_BYTES = 65_536

_COLUMNS = {
    "held": Column(FLAG, "", "whether the note is there"),
    "at": Column(TIME, "", "since when, as the note says (ts); when it was written, where it does not"),
    "by": Column(TEXT, "", "who holds them, as it says"),
    "reason": Column(TEXT, "", "why, as it says"),
    "bucket": Column(TEXT, "", "the bucket of the note"),
    "key": Column(TEXT, "", "the note's key"),
    "problem": Column(TEXT, "", "what is wrong with the note; empty when nothing is"),
}


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row: whether the note is there, and what it says (``s3:ListObjectsV2``, ``s3:GetObject``).

    Raises
    ------
    AwsError
        Refused or not reached.
    """
    bucket = settings.bucket_name
    return Reading(
        source="ci-hold",
        call=_CALL,
        parameters={"bucket": bucket, "key": KEY},
        rows=[_row(aws, bucket)],
    )


SOURCE = Source("ci-hold", "CI's hold on syncs", read, _COLUMNS, routine=False)


def _row(aws: Aws, bucket: str) -> Row:
    row: dict[str, Any] = {"held": False, "bucket": bucket, "key": KEY, "by": "", "reason": "", "problem": ""}
    client = aws.client("s3")
    with aws_errors("s3:ListObjectsV2", f"bucket {bucket}"):
        listed = client.list_objects_v2(Bucket=bucket, Prefix=KEY, MaxKeys=1).get("Contents", [])
    if not any(one["Key"] == KEY for one in listed):
        return row
    try:
        with aws_errors(_CALL, f"s3://{bucket}/{KEY}"):
            answer = client.get_object(Bucket=bucket, Key=KEY)
            body = answer["Body"].read(_MOST_BYTES)
    except ResourceMissing:  # removed in between
        return row
    row |= {"held": True, "at": moment(answer["LastModified"])}
    told = _content(body)
    if told is None:
        return row | {"problem": "it is not a JSON object"}
    row |= {name: str(told.get(name) or "") for name in ("by", "reason")}
    try:
        return row | {"at": moment(parse_iso(str(told.get("ts"))))}
    except ValueError:
        return row | {"problem": "it does not say since when (ts)"}


def _content(body: bytes) -> Mapping[str, Any] | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return told if isinstance(told, Mapping) else None
