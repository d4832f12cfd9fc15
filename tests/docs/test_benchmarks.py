"""The benchmarks run, and what they write has its place in the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["open", "logs", "journal", "listing", "planning", "apply"])
def test_a_benchmark_runs(name: str, project: Path) -> None:
    if name == "logs":
        pytest.importorskip("awslogs", reason="the peer comes with `make bench`")
    words = [sys.executable, str(project / "scripts" / "bench.py"), "--quick", "--only", name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"## {name}\n\n" in done.stdout
    page = (project / "docs" / "benchmarks.md").read_text("utf-8")
    assert re.search(rf"<!-- {name} -->\n.+<!-- /{name} -->", page, re.DOTALL)
