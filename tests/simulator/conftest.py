"""Plain boto3 for a local AWS, without retries: what the server answers is what the test sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from vmqlib.simulator.server import LocalAws


@pytest.fixture(scope="module")
def empty_aws() -> Iterator[LocalAws]:
    """An empty account in this process. Tests that use it clear their faults."""
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def client_of() -> Callable[..., Any]:
    """``client_of(aws, "s3")``: a client for any local AWS that has ``.env``."""

    def make(aws: Any, service: str, attempts: int = 1) -> Any:
        return boto3.client(
            service,
            endpoint_url=aws.env["AWS_ENDPOINT_URL"],
            region_name=aws.env["AWS_REGION"],
            aws_access_key_id=aws.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws.env["AWS_SECRET_ACCESS_KEY"],
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                connect_timeout=5,
                read_timeout=20,
            ),
        )

    return make
