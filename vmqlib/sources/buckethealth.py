"""Whether a bucket keeps what a rollback needs: versioning, lifecycle rules, default encryption (runbook step 3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources.base import TEXT, Column, Reading, Row, Source, gather

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "read"]

_COLUMNS = {
    "bucket": Column(TEXT, "", "the bucket's name"),
    "aspect": Column(TEXT, "", "versioning, lifecycle or encryption"),
    "value": Column(
        TEXT, "",
        "JSON: versioning: Enabled, Suspended or empty; lifecycle: its rules; encryption: algorithm and key. "
        "Empty where it could not be read",
    ),
    "problem": Column(TEXT, "", "why it could not be read"),
    "hint": Column(TEXT, "", "what to do about that"),
}  # fmt: skip

# Not set up at all: AWS answers that with an error.
_NONE = {"NoSuchLifecycleConfiguration", "ServerSideEncryptionConfigurationNotFoundError"}


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """Three rows for each bucket that a connector of the settings reads.

    Raises
    ------
    AwsError
        Where nothing at all could be read. What else could not has its row, with the reason.
    """
    buckets = sorted({one.bucket for one in settings.data_sources if one.bucket})
    looks: list[tuple[str, str, Callable[[Any, str], Any], str]] = [
        (bucket, *aspect) for bucket in buckets for aspect in _ASPECTS
    ]
    seen = gather([partial(_look, aws, *one) for one in looks])
    errors = [error for _, error in seen if error is not None]
    if errors and len(errors) == len(seen):
        raise errors[0]
    return Reading(
        source="bucket-health",
        call="s3:GetBucketVersioning",
        parameters={"buckets": buckets},
        rows=[row for row, _ in seen],
        complete=not errors,
        stopped=" ".join(dict.fromkeys(error.message for error in errors)),
    )


SOURCE = Source("bucket-health", "What the bucket keeps", read, _COLUMNS, order=("bucket",), routine=False)


def _look(
    aws: Aws, bucket: str, aspect: str, ask: Callable[[Any, str], Any], operation: str
) -> tuple[Row, AwsError | None]:
    row = {"bucket": bucket, "aspect": aspect, "value": ""}
    try:
        with aws_errors(operation, f"bucket {bucket}"):
            value = ask(aws.client("s3"), bucket)
    except AwsError as error:
        if error.code not in _NONE:
            return row | {"problem": error.message, "hint": error.hint}, error
        value = []
    return row | {"value": json.dumps(value, sort_keys=True, default=str)}, None


def _versioning(s3: Any, bucket: str) -> str:
    return str(s3.get_bucket_versioning(Bucket=bucket).get("Status", ""))


def _lifecycle(s3: Any, bucket: str) -> list[Mapping[str, Any]]:
    return list(s3.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", []))


def _encryption(s3: Any, bucket: str) -> list[Mapping[str, str]]:
    answer = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    rules = [one.get("ApplyServerSideEncryptionByDefault", {}) for one in answer.get("Rules", [])]
    return [{"algorithm": one.get("SSEAlgorithm", ""), "key": one.get("KMSMasterKeyID", "")} for one in rules]


_ASPECTS = (
    ("versioning", _versioning, "s3:GetBucketVersioning"),
    ("lifecycle", _lifecycle, "s3:GetBucketLifecycleConfiguration"),
    ("encryption", _encryption, "s3:GetBucketEncryption"),
)
