#!/usr/bin/env python3
"""What listing every version and delete marker of a bucket costs the client, beside boto3, rclone and s5cmd.

    python scripts/bench_listing.py [--entries 60000] [--json FILE]

SeaweedFS runs in a process of its own, and so does each client: CPU time (user and system) of the client alone for
1,000 entries, wall time, and how far its memory rose; all above what it takes to start. Then the same number of entries
comes from a server that does nothing but hand out such pages, each request 50 ms late: one page after the other beside
ranges of keys that are read at the same time, which must give the same in the same order.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

ENTRIES = 60_000
DELAY_S = 0.05
LABELS = {
    "vmq": "`list_versions`",
    "vmq_one": "the same, one page after the other",
    "boto3": "boto3's paginator",
    "rclone": "`rclone lsf --fast-list --s3-version-at`",
    "s5cmd": "`s5cmd ls --all-versions`",
}
_TOOLS = ("rclone", "s5cmd")  # the rest are Python
_BIN = Path(sys.executable).parent


# The bucket


def fill(server: Any, bucket: str, entries: int) -> int:
    """Puts versions and delete markers: three entries to a key, thirty keys to a folder, half of the keys deleted."""
    from support.s3_servers import s3_of

    keys = [f"handbook/section-{n // 30:04d}/page-{n:06d}.md" for n in range(entries // 3)]

    def write(key: str) -> None:
        done = s3.send("PUT", key, body=b"A page of the handbook.")
        if done.status != 200:
            raise SystemExit(f"PUT was answered with {done}")

    def erase(some: list[str]) -> None:
        client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
        )

    client = server.client()
    with s3_of(server, bucket) as s3, ThreadPoolExecutor(16) as pool:
        for half in (0, 1):
            list(pool.map(write, keys))
            list(pool.map(erase, (keys[n + half : n + 1000 : 2] for n in range(0, len(keys), 1000))))
    return 3 * len(keys)


# The clients, each in a process of its own


def peak_mb() -> float:
    """The most memory that this process has had, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(work: Callable[[], tuple[int, str]]) -> dict[str, Any]:
    """A client inside this process: what it lists, and what that took beyond imports and the first connection."""
    memory, cpu, began = peak_mb(), time.process_time(), time.perf_counter()
    entries, digest = work()
    return {
        "entries": entries,
        "digest": digest,
        "cpu_s": time.process_time() - cpu,
        "seconds": time.perf_counter() - began,
        "memory_mb": peak_mb() - memory,
    }


def ours(bucket: str, shards: int) -> dict[str, Any]:
    """The kit's listing."""
    from vmqlib.aws import Aws
    from vmqlib.s3 import S3
    from vmqlib.settings import Settings
    from vmqlib.sources.versionlisting import list_versions

    with S3(Aws(Settings.load()), bucket) as s3:
        assert not list(list_versions(s3, "nothing/"))
        return measured(lambda: counted(list_versions(s3, shards=shards)))


def counted(rows: Iterable[tuple[Any, ...]]) -> tuple[int, str]:
    """How many rows, and a digest of what they are and in which order."""
    number, digest = 0, hashlib.sha256()
    for row in rows:
        number += 1
        digest.update(f"{row[0]}\0{row[1]}\0{row[2]}".encode())
    return number, digest.hexdigest()


def theirs(bucket: str) -> dict[str, Any]:
    """boto3's paginator."""
    import boto3

    pages = boto3.client("s3").get_paginator("list_object_versions")
    assert not any("Versions" in page for page in pages.paginate(Bucket=bucket, Prefix="nothing/"))

    def work() -> tuple[int, str]:
        number = 0
        for page in pages.paginate(Bucket=bucket):
            number += len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))
        return number, ""

    return measured(work)


def command(words: list[str], env: Mapping[str, str]) -> dict[str, Any]:
    """A client of another make; its output is counted in lines."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(words, env=dict(env), stdout=out, stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{words[0]}: {said.decode(errors='replace')[-500:]}")
        out.seek(0)
        lines = sum(1 for _ in out)
    return {
        "lines": lines,
        "cpu_s": used.ru_utime + used.ru_stime,
        "seconds": seconds,
        "memory_mb": used.ru_maxrss / 1024,
    }


def tool(name: str, bucket: str, env: Mapping[str, str]) -> dict[str, Any]:
    """rclone or s5cmd, less what it takes to start."""
    url = env["AWS_ENDPOINT_URL"]
    start = [str(_BIN / name), "version"]
    if name == "rclone":
        where = f":s3,provider=Other,env_auth=true,version_at='2100-01-01 00:00:00',endpoint='{url}':{bucket}"
        words = [start[0], "lsf", "--recursive", "--files-only", "--fast-list", where]
    else:
        words = [start[0], "--endpoint-url", url, "ls", "--all-versions", f"s3://{bucket}/*"]
    begun, whole = command(start, env), command(words, env)
    return {key: whole[key] - begun[key] for key in ("cpu_s", "seconds", "memory_mb")} | {
        "entries": whole["lines"]
    }


# The run


def run(entries: int = ENTRIES, delay_s: float = DELAY_S) -> dict[str, Any]:
    """Every client, one after the other, then the listing of late pages."""
    from support.s3_servers import seaweedfs

    with tempfile.TemporaryDirectory() as folder:
        result: dict[str, Any] = {"delay_ms": round(delay_s * 1000)}
        with seaweedfs(Path(folder) / "seaweedfs") as server:
            bucket = server.bucket()
            result["entries"] = fill(server, bucket, entries)
            env = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "TZ": "UTC",
                "RCLONE_CONFIG": os.devnull,
            } | dict(server.env)
            for name in LABELS:
                if name not in _TOOLS or (_BIN / name).exists():
                    result[name] = client(name, bucket, env)
        expected = dict.fromkeys(LABELS, entries // 3 * 3) | {"rclone": entries // 3 // 2}
        for name, count in expected.items():
            if name in result and result[name]["entries"] != count:
                raise SystemExit(f"{name} listed {result[name]['entries']:,} entries, not {count:,}")
        result["late"] = late(entries, delay_s, folder)
    return result


def client(name: str, bucket: str, env: Mapping[str, str]) -> dict[str, Any]:
    """One client in a process of its own; ``name`` is a key of ``LABELS``."""
    if name in _TOOLS:
        return tool(name, bucket, env)
    done = subprocess.run(
        [sys.executable, __file__, "--client", name, bucket],
        env={**os.environ, **env},
        cwd=env["HOME"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def late(entries: int, delay_s: float, folder: str) -> dict[str, Any]:
    """One page after the other, and several ranges at once, from a server whose answers come late."""
    script = PROJECT / "tests" / "support" / "stub_versions.py"
    with subprocess.Popen(
        [sys.executable, script, str(entries), str(delay_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "REGION": "eu-west-1"}
        env = {"AWS_ENDPOINT_URL": server.stdout.readline().strip(), "HOME": folder, **keys}
        found = {name: client(name, "bucket", env) for name in ("vmq_one", "vmq")}
        server.stdin.close()
    if found["vmq_one"]["digest"] != found["vmq"]["digest"]:
        raise SystemExit("what is read at several places is not what is read page by page")
    return found


def markdown(result: dict[str, Any]) -> str:
    """The result as tables."""
    lines = [
        f"{result['entries']:,} versions and delete markers on SeaweedFS:",
        "",
        "| client | client CPU, ms per 1,000 entries | seconds | memory growth, MB |",
        "|---|---:|---:|---:|",
    ]
    for name, label in LABELS.items():
        if name not in result:
            lines.append(f"| {label} | absent | | |")
            continue
        one = result[name]
        cpu = one["cpu_s"] * 1e6 / result["entries"]
        lines.append(f"| {label} | {cpu:.1f} | {one['seconds']:.1f} | {one['memory_mb']:.0f} |")
    slow, quick = (result["late"][name] for name in ("vmq_one", "vmq"))
    lines += [
        "",
        f"The same number from a server that answers {result['delay_ms']} ms late:",
        "",
        "| reading | seconds | client CPU, s | memory growth, MB |",
        "|---|---:|---:|---:|",
        *(
            f"| {label} | {one['seconds']:.2f} | {one['cpu_s']:.2f} | {one['memory_mb']:.0f} |"
            for label, one in (("one page after the other", slow), ("ranges of keys at the same time", quick))
        ),
        "",
        f"{slow['seconds'] / quick['seconds']:.1f} times as fast, with the same entries in the same order.",
    ]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Listing versions beside boto3, rclone and s5cmd.")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--json", type=Path, help="write the result there, too")
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        name, bucket = arguments.client
        seen = theirs(bucket) if name == "boto3" else ours(bucket, 1 if name == "vmq_one" else 0)
        print(json.dumps(seen))
        return
    result = run(arguments.entries)
    print(markdown(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
