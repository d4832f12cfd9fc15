"""botocore's credential providers make clients of their own, for services that the kit never asks."""

from __future__ import annotations

from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.settings import Settings


@pytest.mark.parametrize("service", ["sso", "sso-oidc", "sts", "signin"])
def test_a_credential_provider_finds_its_service(service: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    aws = Aws(Settings.load())
    aws.client("sts")
    assert aws._session is not None
    if service not in aws._session.get_available_services():
        pytest.skip(f"this botocore has no {service}")
    assert aws._session.client(service, region_name="eu-west-1")
