"""The journal's benchmark runs, small, and says what it measured."""

from __future__ import annotations

from pathlib import Path

from support.script import load


def test_the_benchmark_measures_journal_and_peer(project: Path, tmp_path: Path) -> None:
    script = load(project / "scripts" / "bench_journal.py")
    disk = tmp_path / "disk"
    disk.mkdir()
    result = script.bench(disk, appends=10, events=200, rounds=1)
    assert all(
        result[key] > 0 for key in ("append_per_s", "sqlite_per_s", "append_group_per_s", "fsync_per_s")
    )
    assert "Verifying 200 events" in script.markdown(result)
    assert not list(disk.iterdir())
