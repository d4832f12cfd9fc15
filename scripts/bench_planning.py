#!/usr/bin/env python3
"""How fast a rollback is planned, and in how much memory, beside what one would write with pandas or with dicts.

    python scripts/bench_planning.py [--versions 5000000] [--peer-versions 1000000] [--json FILE]

The listing is made up while it is read, in S3's order: keys of five versions, some deleted; one key in ten changed
after the target. Making it up costs something, too: it has a row of its own. Each planner is a process:
versions a second, CPU, and how far its memory rose above what it was after its imports. Ours writes the plan file, with
preview and digest. The others keep the whole listing, as one does, and end with a frame or a list in memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bench_logs

from vmqlib.sources.versionlisting import ObjectVersion
from vmqlib.times import iso

TARGET = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
PER_KEY = 5  # four versions and a marker, or five versions
CHANGED_EVERY = 10


class Meter(bench_logs.Meter):
    """With CPU time as precise as the table needs it."""

    def __init__(self) -> None:
        super().__init__()
        self._before = time.process_time()

    def read(self, events: int) -> dict[str, Any]:
        cpu = time.process_time() - self._before
        return super().read(events) | {
            "cpu_s": round(cpu, 3),
            "cpu_us_per_event": round(cpu / events * 1e6, 3),
        }


def listing(versions: int) -> Iterator[ObjectVersion]:
    """So many versions and markers, as the lister hands them out."""
    times = [iso(TARGET - timedelta(hours=hours)) for hours in (-2, 3, 50, 400, 9000)]
    older = [iso(TARGET - timedelta(hours=hours)) for hours in (1, 3, 50, 400, 9000)]
    etags = [hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest() for number in range(1000)]
    for number in range(versions // PER_KEY):
        key = f"handbook/section-{number // 1000:06d}/page-{number % 1000:03d}.md"
        name = f"{number:032x}"
        dates = older if number % CHANGED_EVERY else times
        deleted = number % 70 == 0  # of the changed ones, one in seven
        yield ObjectVersion(
            key, name + "4", True, deleted, dates[0], 0 if deleted else 2048,
            "" if deleted else etags[number % 1000], "" if deleted else "STANDARD", "",
        )  # fmt: skip
        for age in (1, 2, 3, 4):
            etag = etags[(number + age) % 1000]
            yield ObjectVersion(
                key, name + str(4 - age), False, False, dates[age], 2000 + age, etag, "STANDARD", ""
            )


# The planners, each in a process of its own


def ours(versions: int, folder: Path) -> dict[str, Any]:
    """The kit: a plan file on the disk."""
    from vmqlib.runbook.rollback import planfile
    from vmqlib.runbook.rollback.items import Scope
    from vmqlib.runbook.rollback.plan import PlanHead
    from vmqlib.runbook.rollback.planner import Seen, plan_items
    from vmqlib.runbook.rollback.target import as_of
    from vmqlib.sources.crawlscope import CrawlScope

    crawl = CrawlScope(include=("*.md", "*.pdf"), exclude=("*/drafts/*",))
    scope, target, seen = Scope("bucket"), as_of(TARGET), Seen()
    meter = Meter()
    items = plan_items(
        listing(versions), target, scope, versioning="Enabled", documents=crawl.is_document, seen=seen
    )
    head = PlanHead("INC-1", scope, target, made_at=TARGET)
    plan = planfile.write(folder, head, items, seen=seen, crawl=crawl)
    result = meter.read(versions)
    if seen.listed != versions:
        raise SystemExit(f"{seen.listed:,} of {versions:,} versions were seen")
    return result | {"changes": plan.changes, "file_mb": round(plan.path.stat().st_size / 1e6, 1)}


def unchanged(versions: int, _folder: Path) -> dict[str, Any]:
    """The kit, where nothing has changed: a target later than every version."""
    from vmqlib.runbook.rollback.items import Scope
    from vmqlib.runbook.rollback.planner import Seen, plan_items
    from vmqlib.runbook.rollback.target import as_of

    seen, target = Seen(), as_of(TARGET + timedelta(days=1))
    meter = Meter()
    items = plan_items(
        listing(versions), target, Scope("bucket"), versioning="Enabled", documents=bool, seen=seen
    )
    return {"changes": sum(1 for _ in items)} | meter.read(versions)


def with_pandas(versions: int, _folder: Path) -> dict[str, Any]:
    """A frame of the whole listing; per key the newest row by then, beside the current one."""
    import pandas as pd

    meter = Meter()
    frame = pd.DataFrame(listing(versions), columns=list(ObjectVersion._fields))
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    frame = frame.sort_values(["key", "at"], ascending=[True, False], kind="stable")
    current = frame[frame["is_latest"]].set_index("key")
    then = frame[frame["at"] <= TARGET].groupby("key").first()
    both = current.join(then, rsuffix="_then", how="left")
    changed = both[both["version_id"] != both["version_id_then"]]
    return meter.read(versions) | {"changes": len(changed)}


def with_dicts(versions: int, _folder: Path) -> dict[str, Any]:
    """Dicts as boto3 hands them out, grouped by key."""
    meter = Meter()
    by_key: dict[str, list[dict[str, Any]]] = {}
    for one in listing(versions):
        row = {
            "Key": one.key,
            "VersionId": one.version_id,
            "IsLatest": one.is_latest,
            "Marker": one.is_delete_marker,
            "LastModified": datetime.fromisoformat(one.at),
            "Size": one.size,
            "ETag": one.etag,
        }
        by_key.setdefault(one.key, []).append(row)
    changed = []
    for rows in by_key.values():
        rows.sort(key=lambda row: row["LastModified"], reverse=True)
        then = next((row for row in rows if row["LastModified"] <= TARGET), None)
        if then is not rows[0]:
            changed.append((rows[0], then))
    return meter.read(versions) | {"changes": len(changed)}


def nothing(versions: int, _folder: Path) -> dict[str, Any]:
    """The made-up listing alone."""
    meter = Meter()
    for _ in listing(versions):
        pass
    return meter.read(versions) | {"changes": 0}


CLIENTS = {
    "vmq": ("`vmq rollback plan`, into a plan file", ours),
    "vmq_unchanged": ("the same, nothing has changed", unchanged),
    "pandas": ("pandas: sort and group the listing", with_pandas),
    "dicts": ("dicts by key, as boto3 gives them", with_dicts),
    "listing": ("the made-up listing alone", nothing),
}


# The run


def run(versions: int = 5_000_000, peer_versions: int = 1_000_000, rounds: int = 3) -> dict[str, Any]:
    """Every planner, one after the other; ours also with a tenth of the versions. The best of some rounds: whatever
    else the machine does only ever adds to the time."""
    sizes = {"vmq": versions, "vmq_unchanged": versions, "listing": versions}
    jobs = {name: (name, sizes.get(name, peer_versions)) for name in CLIENTS}
    jobs["tenth"] = ("vmq", versions // 10)
    seen = [{name: measure(*job) for name, job in jobs.items()} for _ in range(rounds)]
    result: dict[str, Any] = {"versions": versions, "rounds": rounds}
    result |= {name: min((one[name] for one in seen), key=lambda found: found["cpu_s"]) for name in jobs}
    result["ten_times_takes"] = round(result["vmq"]["cpu_s"] / result["tenth"]["cpu_s"], 2)
    return result


def measure(name: str, versions: int) -> dict[str, Any]:
    """One planner in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--client", name, str(versions), folder]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def markdown(result: dict[str, Any]) -> str:
    """The result as a table."""
    lines = [
        "| planner | versions | changes | seconds | versions/s | CPU µs/version | memory growth, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, (label, _) in CLIENTS.items():
        one = result[name]
        lines.append(
            f"| {label} | {one['events']:,} | {one['changes']:,} | {one['seconds']:.1f} | {one['events_per_s']:,} "
            f"| {one['cpu_us_per_event']:.2f} | {one['memory_growth_mb']:.0f} |"
        )
    lines += ["", f"Ten times the keys take {result['ten_times_takes']:.2f} times the CPU time."]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Planning a rollback, beside pandas and dicts.")
    parser.add_argument("--versions", type=int, default=5_000_000)
    parser.add_argument("--peer-versions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    parser.add_argument("--json", type=Path, help="write the result there, too")
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        name, versions, folder = arguments.client
        print(json.dumps(CLIENTS[name][1](int(versions), Path(folder))))
        return
    result = run(arguments.versions, arguments.peer_versions, arguments.rounds)
    print(markdown(result))
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
