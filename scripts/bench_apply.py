#!/usr/bin/env python3
"""Restoring objects in place to what they were, beside boto3, rclone, s5cmd and s3-pit-restore.

    python scripts/bench_apply.py [--objects 5000] [--workers 16] [--rounds 3] [--json FILE]

Every client gets a bucket of its own with the same objects of 2 to 10 KB, all of which were overwritten, the same
number of workers, and a process of its own: objects a second, CPU time (user and system) of the client alone, and how
far its memory rose; all above what it takes to start. Ours writes its apply log (fdatasync) and looks whether each
object is still what was planned for; the others do neither. rclone and s3-pit-restore list the bucket themselves, so
ours is measured with listing and planning, too; boto3 and s5cmd are told what to copy, as ours is by a plan. Afterwards
every object must have its old content.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench_listing
import bench_peers

OBJECTS = 5_000
WORKERS = 16
PREFIX = "handbook/"
LABELS = {
    "vmq": "apply",
    "vmq_planned": "the same, listing and planning included",
    "boto3": "boto3 threads",
    "s5cmd": "`s5cmd run` of copies",
    "rclone": "`rclone sync`",
    "s3-pit-restore": "`s3-pit-restore`",
}
SERVERS = {"ministack": "MiniStack", "seaweedfs": "SeaweedFS"}
_TOOLS = ("rclone", "s5cmd", "s3-pit-restore")  # the rest are imported
_BIN = Path(sys.executable).parent


# The buckets


def fill(server: Any, bucket: str, objects: int) -> dict[str, Any]:
    """Puts every object, waits for a second of its own, and overwrites it: what to go back to."""
    from support.s3_servers import s3_of

    chance = random.Random(objects)  # noqa: S311 - nothing secret
    bodies = {
        f"{PREFIX}page-{n:06d}.md": chance.randbytes(chance.randint(2_000, 10_000)) for n in range(objects)
    }

    def put(item: tuple[str, bytes]) -> str:
        done = s3.send("PUT", item[0], body=item[1])
        if done.status != 200:
            raise SystemExit(f"PUT was answered with {done}")
        return done.headers["x-amz-version-id"]

    with s3_of(server, bucket) as s3, ThreadPoolExecutor(8) as pool:
        versions = dict(zip(bodies, pool.map(put, bodies.items()), strict=True))
        time.sleep(1.1)  # LastModified has whole seconds
        at = datetime.now(UTC).replace(microsecond=0)
        time.sleep(1.1)
        list(pool.map(put, ((key, body[::-1]) for key, body in bodies.items())))
    etags = {key: hashlib.md5(body, usedforsecurity=False).hexdigest() for key, body in bodies.items()}
    return {"bucket": bucket, "at": at.isoformat(), "versions": versions, "etags": etags}


def wrong(server: Any, told: Mapping[str, Any]) -> int:
    """How many objects do not have their old content."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=told["bucket"], Prefix=PREFIX)
    now = {one["Key"]: one["ETag"].strip('"') for page in pages for one in page.get("Contents", ())}
    return sum(now.get(key) != etag for key, etag in told["etags"].items()) + len(
        now.keys() - told["etags"].keys()
    )


# The clients, each in a process of its own


def ours(told: Mapping[str, Any], folder: Path, workers: int, *, planned: bool) -> dict[str, Any]:
    """The kit's engine, from a plan; ``planned``: which is made first, and counted."""
    from vmqlib.aws import Aws
    from vmqlib.runbook.rollback.applylog import ApplyLog, Head
    from vmqlib.runbook.rollback.engine import run
    from vmqlib.runbook.rollback.items import Item, Scope, Target
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.runbook.rollback.planner import plan_items
    from vmqlib.s3 import S3
    from vmqlib.settings import Settings
    from vmqlib.sources.versionlisting import list_versions

    target = Target("as-of", datetime.fromisoformat(told["at"]))
    with S3(Aws(Settings.load()), told["bucket"], connections=workers) as s3:

        def plan() -> Iterator[Item]:
            scope = Scope(s3.bucket, PREFIX)
            rows = list_versions(s3, PREFIX)
            for item in plan_items(rows, target, scope, versioning="Enabled", documents=bool):
                yield replace(item, properties={})  # a plan knows them

        def apply(items: Any) -> int:
            with ApplyLog(folder / "apply-bench.jsonl", Head("bench")) as log:
                tally = run(items, Objects(s3), log, workers=workers)
                log.digest()
            if tally.done != len(told["etags"]):
                raise SystemExit(f"the apply ended with {tally}")
            return tally.done

        if planned:
            return measured(lambda: apply(plan()))
        items = list(plan())
        return measured(lambda: apply(items))


def boto3_threads(told: Mapping[str, Any], workers: int) -> dict[str, Any]:
    """What people write themselves."""
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", config=Config(max_pool_connections=workers))
    client.head_bucket(Bucket=told["bucket"])

    def copy(item: tuple[str, str]) -> None:
        key, version = item
        source = {"Bucket": told["bucket"], "Key": key, "VersionId": version}
        client.copy_object(Bucket=told["bucket"], Key=key, CopySource=source)

    def work() -> int:
        with ThreadPoolExecutor(workers) as pool:
            return sum(1 for _ in pool.map(copy, told["versions"].items()))

    return measured(work)


def measured(work: Callable[[], int]) -> dict[str, Any]:
    """A client inside this process, beyond imports and the first connection."""
    memory, cpu, began = bench_listing.peak_mb(), time.process_time(), time.perf_counter()
    objects = work()
    return {
        "objects": objects,
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "memory_mb": bench_listing.peak_mb() - memory,
    }


def tool(
    name: str, told: Mapping[str, Any], folder: Path, env: Mapping[str, str], workers: int
) -> dict[str, Any]:
    """A command, less what it takes to start."""
    url, bucket = env["AWS_ENDPOINT_URL"], told["bucket"]
    at = datetime.fromisoformat(told["at"])
    command = str(_BIN / name)
    if name == "rclone":
        start = [command, "version"]
        remote = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENV_AUTH": "true",
            "ENDPOINT": url,
            "REGION": env["REGION"],
        }
        env = {**env, **{f"RCLONE_CONFIG_W_{key}": value for key, value in remote.items()}}
        words = [
            *(
                command,
                "sync",
                f"W,version_at='{at:%Y-%m-%d %H:%M:%S}':{bucket}/{PREFIX}",
                f"W:{bucket}/{PREFIX}",
            ),
            *("--checksum", "--server-side-across-configs"),
            *("--transfers", str(workers), "--checkers", str(workers)),
        ]
    elif name == "s5cmd":
        start = [command, "version"]
        copies = folder / "copies"
        copies.write_text(
            "".join(
                f"cp --version-id {version} s3://{bucket}/{key} s3://{bucket}/{key}\n"
                for key, version in told["versions"].items()
            )
        )
        words = [command, "--endpoint-url", url, "--numworkers", str(workers), "run", str(copies)]
    else:
        start = [command, "--help"]
        words = [command, "-b", bucket, "-B", bucket, "-p", PREFIX, "-t", f"{at:%m-%d-%Y %H:%M:%S} +0"]
        words += ["--max-workers", str(workers)]
    begun, whole = bench_listing.command(start, env), bench_listing.command(words, env)
    found = {key: whole[key] - begun[key] for key in ("cpu_s", "seconds", "memory_mb")}
    return found | {"objects": len(told["etags"])}


# The run


def run(
    objects: int = OBJECTS, workers: int = WORKERS, rounds: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Every client on every server, one after the other; of several rounds the median.

    Parameters
    ----------
    rounds:
        How often, by server; a server that is not named is left out.
    """
    rounds = rounds or {"ministack": 3, "seaweedfs": 1}
    starts: dict[str, tuple[bool, Callable[[Path], AbstractContextManager[Any]]]] = {
        "ministack": (bool(bench_peers.ministack_command()), bench_peers.ministack),
        "seaweedfs": (bool(bench_peers.weed_command()), bench_peers.seaweedfs),
    }
    absent = [server for server in rounds if not starts[server][0]]
    result: dict[str, Any] = {"objects": objects, "workers": workers, "servers": {}, "absent": absent}
    for server, (there, start) in starts.items():
        if there and server in rounds:
            with tempfile.TemporaryDirectory() as folder, start(Path(folder) / "server") as served:
                result["servers"][server] = measure(served, Path(folder), objects, workers, rounds[server])
    return result


def measure(server: Any, folder: Path, objects: int, workers: int, rounds: int) -> dict[str, Any]:
    """Every client on one server."""
    common = {"PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "UTC", "RCLONE_CONFIG": os.devnull}
    env = common | dict(server.env)
    seen: dict[str, list[dict[str, Any]]] = {}
    for number in range(rounds):
        for name in LABELS:
            if name in _TOOLS and not (_BIN / name).exists():
                continue
            where = folder / f"{name}-{number}"
            where.mkdir()
            told = fill(server, server.bucket(), objects)
            found = client(name, told, where, env, workers)
            found["wrong"] = wrong(server, told)
            seen.setdefault(name, []).append(found)
    return {
        name: {key: statistics.median(one[key] for one in each) for key in each[0] if key != "wrong"}
        | {"wrong": max(one["wrong"] for one in each)}
        for name, each in seen.items()
    }


def client(
    name: str, told: Mapping[str, Any], folder: Path, env: Mapping[str, str], workers: int
) -> dict[str, Any]:
    """One client in a process of its own; ``name`` is a key of ``LABELS``."""
    if name in _TOOLS:
        return tool(name, told, folder, env, workers)
    work = folder / "told.json"
    work.write_text(json.dumps(told))
    done = subprocess.run(
        [sys.executable, __file__, "--client", name, str(work), "--workers", str(workers)],
        env={**os.environ, **env},
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def markdown(result: dict[str, Any]) -> str:
    """The result as tables."""
    lines = []
    for server, seen in result["servers"].items():
        lines += [
            f"{result['objects']:,} objects restored in place on {SERVERS[server]}, {result['workers']} workers:",
            "",
            "| client | objects/s | client CPU, ms per object | memory growth, MB | objects not restored |",
            "|---|---:|---:|---:|---:|",
        ]
        for name, label in LABELS.items():
            if name not in seen:
                lines.append(f"| {label} | absent | | | |")
                continue
            one = seen[name]
            lines.append(
                f"| {label} | {one['objects'] / one['seconds']:,.0f} | {one['cpu_s'] * 1e3 / one['objects']:.2f} "
                f"| {one['memory_mb']:.0f} | {one['wrong']:,} |"
            )
        lines.append("")
    lines += [f"Not measured on {SERVERS[server]}: it is absent." for server in result["absent"]]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Restoring objects beside boto3, rclone, s5cmd, s3-pit-restore."
    )
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=3, help="on MiniStack; once on SeaweedFS")
    parser.add_argument("--server", choices=SERVERS, help="one of them")
    parser.add_argument("--json", type=Path, help="write the result there, too")
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        name, work = given.client
        told = json.loads(Path(work).read_text())
        if name == "boto3":
            seen = boto3_threads(told, given.workers)
        else:
            seen = ours(told, Path.cwd(), given.workers, planned=name == "vmq_planned")
        print(json.dumps(seen))
        return
    rounds = {"ministack": given.rounds, "seaweedfs": 1}
    result = run(
        given.objects, given.workers, {given.server: rounds[given.server]} if given.server else rounds
    )
    print(markdown(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
