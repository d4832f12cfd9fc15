#!/usr/bin/env python3
"""Every benchmark in one run, with the peers side by side (``make bench``).

    python scripts/bench.py                     prints the tables
    python scripts/bench.py --write             and puts them into docs/benchmarks.md
    python scripts/bench.py --only journal      one of: open, logs, journal, listing, planning, apply

Absolute figures belong to the machine they were made on; the ratios are what can be compared.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import bench_apply
import bench_journal
import bench_listing
import bench_logs
import bench_open
import bench_peers
import bench_planning

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

BENCHES: dict[str, Callable[[bool], str]] = {
    "open": lambda quick: bench_open.markdown(bench_open.bench(1 if quick else 5)),
    "logs": lambda quick: bench_logs.markdown(bench_logs.run(*((20_000, 2_000) if quick else ()))),
    "journal": lambda quick: bench_journal.markdown(
        bench_journal.bench(Path.cwd(), **({"appends": 20, "events": 1_000, "rounds": 1} if quick else {}))
    ),
    "listing": lambda quick: (
        bench_listing.markdown(bench_listing.run(*((3_000, 0.005) if quick else ())))
        if bench_peers.weed_command()
        else "Not measured: SeaweedFS is absent."
    ),
    "planning": lambda quick: bench_planning.markdown(
        bench_planning.run(*((20_000, 10_000) if quick else ()))
    ),
    "apply": lambda quick: bench_apply.markdown(
        bench_apply.run(*((40, 4, {"seaweedfs": 1}) if quick else ()))
    ),
}


def put(page: str, name: str, made: str) -> str:
    """``page`` with what stands between the marks of ``name`` replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    page, times = re.subn(
        pattern, lambda found: f"{found[1]}{made.strip()}\n{found[2]}", page, flags=re.DOTALL
    )
    if times != 1:
        raise SystemExit(f"{PAGE} has no place for {name!r}")
    return page


def machine() -> str:
    """Where and when the figures were made."""
    kit = ", ".join(f"{name} {version(name)}" for name in ("papermill", "boto3", "pandas", "awslogs"))
    return (
        f"Made {datetime.now(UTC):%Y-%m-%d} with `make bench` on {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; {kit}; {bench_peers.peers()}."
    )


def main() -> None:
    """The command."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=BENCHES, help="one of them")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it runs, not how fast")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    given = parser.parse_args()
    for name, bench in BENCHES.items():
        if given.only in (None, name):
            made = bench(given.quick)
            print(f"\n## {name}\n\n{made}", flush=True)
            if given.write:
                page = put(PAGE.read_text("utf-8"), name, made)
                PAGE.write_text(put(page, "machine", machine()), "utf-8")


if __name__ == "__main__":
    main()
