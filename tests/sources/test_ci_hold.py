"""CI's note that it starts no syncs: there or not, and what it says; one that cannot be read is not taken for gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from vmqlib.aws import Aws
from vmqlib.errors import AwsError
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY
from vmqlib.times import Window

BUCKET, KEY = "vaultmesh-kb", "ci/hold.json"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=1), NOW)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="eu-west-1")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield client


def read(bucket: str = BUCKET) -> Any:
    settings = Settings.load(bucket_name=bucket, region="eu-west-1")
    return next(iter(REGISTRY["ci-hold"].read(Aws(settings), settings, WINDOW).rows))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b'{"ts": "2026-11-20T16:45:00Z", "by": "marco", "reason": "work"}',
            {"at": "2026-11-20T16:45:00.000000Z", "by": "marco", "reason": "work", "problem": ""},
        ),
        (b'{"reason": "work"}', {"by": "", "problem": "it does not say since when (ts)"}),
        (b"[]", {"reason": "", "problem": "it is not a JSON object"}),
        (b"\xff", {"reason": "", "problem": "it is not a JSON object"}),
    ],
)
def test_what_the_note_says(s3: Any, body: bytes, told: dict[str, str]) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)
    row = read()
    assert row["held"] is True
    assert row["at"]
    assert told.items() <= row.items()


def test_without_the_note_nothing_is_held(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{KEY}.old", Body=b"{}")
    assert read()["held"] is False


def test_a_bucket_that_is_not_there_says_nothing_of_a_note(s3: Any) -> None:
    with pytest.raises(AwsError):
        read("another-bucket")
