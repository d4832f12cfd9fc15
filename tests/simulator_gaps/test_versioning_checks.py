"""What S3 documents about versioning, asked of the simulator over HTTP: fifty checks, and the one that it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from support.s3_servers import simulator
from support.s3_versioning_checks import CHECKS, Probe

DEVIATIONS = {
    "odd_keys_are_kept_listed_copied_and_deleted": (
        "XML 1.0 has no control characters, and DeleteObjects names keys in XML"
    ),
}
WANTED = 46

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with simulator() as server:
        yield Probe(server.client(retries={"total_max_attempts": 1}))


@pytest.mark.parametrize("name", CHECKS)
def test_the_simulator_does_as_s3_documents(name: str, probe: Probe) -> None:
    if name not in DEVIATIONS:
        CHECKS[name](probe)
        return
    with pytest.raises((AssertionError, ClientError)):
        CHECKS[name](probe)


def test_deviations_are_few_and_told_with_their_reasons(project: Path) -> None:
    page = " ".join((project / "docs" / "simulator.md").read_text("utf-8").split())
    assert len(CHECKS) == 50
    assert len(CHECKS) - len(DEVIATIONS) >= WANTED
    for name, reason in DEVIATIONS.items():
        assert f"`{name}`: {reason}" in page
    assert f"this one {len(CHECKS) - len(DEVIATIONS)}" in page
