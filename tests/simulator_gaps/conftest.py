from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

RUN = Path(__file__).parent / "checks" / "run.py"


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """What every check found, on plain moto and with the patches: empty where it passed. Run once for all."""
    shared = tmp_path_factory.getbasetemp().parent / "gap-findings"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = shared / "findings.json"
        if not (kept.exists() and tmp_path_factory.getbasetemp().name.startswith("popen-")):
            kept.write_text(json.dumps(_run_both()))
        return json.loads(kept.read_text())


def _run_both() -> dict[str, dict[str, str]]:
    kinds = ("plain", "patched")
    running = [
        subprocess.Popen(
            [sys.executable, str(RUN), kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for kind in kinds
    ]
    results = {}
    try:
        for kind, process in zip(kinds, running, strict=True):
            out, errors = process.communicate(timeout=280)
            assert process.returncode == 0, errors
            results[kind] = json.loads(out)
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return results


class PatchedAws:
    """moto with the patches, within this process: boto3 clients, and the backends behind them."""

    account = "123456789012"
    region = "eu-west-1"

    def client(self, service: str) -> Any:
        return boto3.client(
            service, region_name=self.region, aws_access_key_id="testing", aws_secret_access_key="testing"
        )

    @property
    def s3_backend(self) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends[self.account]["aws"]


@pytest.fixture
def aws_with_gaps() -> Iterator[PatchedAws]:
    from moto import mock_aws

    from vmqlib.simulator.aws_gaps import install

    install()
    with mock_aws():
        yield PatchedAws()
