"""A bucket in an empty local AWS of this process, and the example's evidence."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.versioned import VersionedBucket


@pytest.fixture(scope="module")
def empty(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def bucket(empty: Any, point_at: Any, request: pytest.FixtureRequest) -> Iterator[VersionedBucket]:
    point_at(empty)
    empty.faults.clear()
    yield VersionedBucket.made(empty, f"kb-{zlib.crc32(request.node.name.encode()):x}")
    empty.faults.clear()


@pytest.fixture
def example_id(project: Path) -> str:
    """The id of the incident whose record is the example."""
    (folder,) = (one for one in (project / "notebooks" / "examples").glob("INC-*") if one.is_dir())
    return folder.name
