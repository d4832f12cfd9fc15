#!/usr/bin/env python3
"""How fast the journal is: appends that are on the disk when they return, and the verification of a whole chain.

    python scripts/bench_journal.py [--appends 300] [--events 100000] [--folder DIR] [--json FILE]

Beside it, in turn, on the same disk: SQLite, which makes the same promise with a write-ahead log and
``synchronous=FULL`` (one fsync a transaction). SQLite has no hash chain: it is the floor for "on the disk", not a peer
for "cannot be changed unnoticed". What one fsync costs by itself is measured, too; it is most of the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmqlib.record.journal import Entry, Journal
from vmqlib.record.redaction import Redactor

DATA = {
    "source": "sync-jobs",
    "call": "qbusiness:ListDataSourceSyncJobs",
    "rows": 42,
    "complete": True,
    "note": "x" * 120,
}
GROUP = 100


def bench(folder: Path, *, appends: int = 300, events: int = 100_000, rounds: int = 3) -> dict[str, Any]:
    """Everything, as numbers: rates are per second and the median of ``rounds``, taken in turn."""
    trials: dict[str, Callable[[Path], float]] = {
        "fsync": lambda place: _rate(appends, lambda: _fsyncs(place / "bare", appends)),
        "append": lambda place: _rate(appends, lambda: _appends(place / "journal.jsonl", appends)),
        "sqlite": lambda place: _rate(appends, lambda: _sqlite(place / "journal.db", appends, 1)),
        "append_group": lambda place: _rate(
            appends * 10, lambda: _groups(place / "group.jsonl", appends * 10)
        ),
        "sqlite_group": lambda place: _rate(
            appends * 10, lambda: _sqlite(place / "group.db", appends * 10, GROUP)
        ),
    }
    rates: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(rounds):
        for name, trial in trials.items():
            with tempfile.TemporaryDirectory(dir=folder) as place:
                rates[name].append(trial(Path(place)))
    result: dict[str, Any] = {
        f"{name}_per_s": round(statistics.median(found)) for name, found in rates.items()
    }
    with tempfile.TemporaryDirectory(dir=folder) as place:
        result |= _verification(Path(place) / "journal.jsonl", events, rounds)
    return {"appends": appends, "group": GROUP, **result}


def _rate(count: int, work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def _appends(path: Path, count: int) -> None:
    redactor = Redactor()
    journal = Journal(path, masks=lambda: redactor)
    for n in range(count):
        journal.append("observed", f"Sync jobs: {n} rows.", step="triage", data=DATA)


def _groups(path: Path, count: int) -> None:
    redactor = Redactor()
    journal = Journal(path, masks=lambda: redactor)
    for start in range(0, count, GROUP):
        journal.append_many(
            Entry("applied", f"Copied {n}.", "rollback", DATA) for n in range(start, start + GROUP)
        )


def _sqlite(path: Path, count: int, group: int) -> None:
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, line TEXT)")
    line = json.dumps(DATA)
    for _ in range(0, count, group):
        base.execute("BEGIN IMMEDIATE")
        base.executemany("INSERT INTO journal (line) VALUES (?)", [(line,)] * group)
        base.execute("COMMIT")
    base.close()


def _fsyncs(path: Path, count: int) -> None:
    """An append of the same size with nothing around it."""
    line = (json.dumps(DATA) + "\n").encode() * 2
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(count):
        os.write(descriptor, line)
        os.fdatasync(descriptor)
    os.close(descriptor)


def _verification(path: Path, events: int, rounds: int) -> dict[str, Any]:
    journal = Journal(path)
    for start in range(0, events, 5000):
        journal.append_many(
            Entry("observed", f"Sync jobs: {n} rows.", "triage", DATA)
            for n in range(start, min(start + 5000, events))
        )
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        report = journal.verify()
        seconds.append(time.perf_counter() - begun)
        assert report.ok
        assert report.events == events
    return {
        "verify_events": events,
        "verify_s": round(statistics.median(seconds), 3),
        "journal_mb": round(path.stat().st_size / 1e6, 1),
    }


def markdown(result: dict[str, Any]) -> str:
    """The numbers as a Markdown table."""
    rows = [
        ("one event, one fsync", result["append_per_s"], result["sqlite_per_s"]),
        (f"{result['group']} events, one fsync", result["append_group_per_s"], result["sqlite_group_per_s"]),
    ]
    lines = ["| appended per second | journal | SQLite (WAL, synchronous=FULL) |", "|---|---:|---:|"]
    lines += [f"| {name} | {ours:,} | {theirs:,} |" for name, ours, theirs in rows]
    floor = f"A bare write with fdatasync of the same size: {result['fsync_per_s']:,} per second."
    size = f"{result['verify_events']:,} events ({result['journal_mb']} MB)"
    lines += ["", f"{floor} Verifying {size}: {result['verify_s']} s."]
    return "\n".join(lines)


def main() -> int:
    """Measures, prints the table, and the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--appends", type=int, default=300)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="the disk to measure (default: here)")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    options = parser.parse_args()
    result = bench(options.folder, appends=options.appends, events=options.events)
    print(markdown(result))
    print()
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
