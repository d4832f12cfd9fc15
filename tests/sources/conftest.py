"""A stub AWS whose log groups, objects and Q Business answers a test writes down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from support.stub_aws import StubAws

from vmqlib.aws import Aws
from vmqlib.settings import Settings
from vmqlib.times import FixedClock, Window

APP = "0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9"
INDEX = "1c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9"
SOURCE = "9d1f4a7c-3b2e-4f6a-8c5d-e0b1a2c3d4f5"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubAws]:
    with StubAws() as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stub.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        yield stub


@pytest.fixture
def settings() -> Settings:
    return Settings.load(app_id=APP, index_id=INDEX, ds_id=SOURCE)


@pytest.fixture
def aws(stub: StubAws, settings: Settings) -> Iterator[Aws]:
    aws = Aws(settings, FixedClock(NOW), max_attempts=1)
    yield aws
    aws.close()


@pytest.fixture
def window() -> Window:
    """The day before now."""
    return Window(NOW - timedelta(days=1), NOW)
