#!/usr/bin/env python3
"""How fast a log capture is, and how much memory it takes, beside awslogs on the same server in the same run.

    python scripts/bench_logs.py [--events 1000000] [--peer-events 50000] [--json FILE]

A server in a process of its own hands out pages that were rendered before, so that it is not what is measured. Each
client is a process of its own: events a second over its wall time from the first request on, CPU seconds, and how far
its memory rose above what it was after its imports. awslogs looks every event up in a list of the last 10,000, so it
gets fewer events (its rate does not depend on their number beyond that).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GROUP = "/aws/qbusiness/0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9"
SOURCE = "9d1f4a7c-3b2e-4f6a-8c5d-e0b1a2c3d4f5"
START = datetime(2026, 11, 20, tzinfo=UTC)
STREAMS = 8
PAGE = 2000  # events; their JSON is just below 1 MB
LENGTH = 300  # bytes of a message


# The server: pages that are rendered before anything is measured


def rendered(events: int) -> dict[str, list[bytes]]:
    """Pages of every stream, without what ends them: the token is put in when they are sent."""
    first = int(START.timestamp() * 1000)
    pages: dict[str, list[bytes]] = {}
    for number in range(STREAMS):
        stream = f"{SOURCE}/2026-11-20-{number:02d}"
        mine = range(number, events, STREAMS)
        pages[stream] = []
        for begin in range(0, len(mine), PAGE):
            batch = [
                {
                    "eventId": f"{39_000_000_000_000_000_000_000_000 + place:056d}",
                    "ingestionTime": first + place + 900,
                    "logStreamName": stream,
                    "message": message(place),
                    "timestamp": first + place,
                }
                for place in mine[begin : begin + PAGE]
            ]
            pages[stream].append(json.dumps(batch, separators=(",", ":")).encode())
    return pages


def message(place: int) -> str:
    """A connector's line of just that length."""
    line = json.dumps(
        {
            "LogLevel": "Info",
            "Message": "Crawled s3://vaultmesh-knowledge-base/handbook/page.md",
            "DocumentId": f"s3://vaultmesh-knowledge-base/handbook/section-{place % 97}/page-{place}.md",
            "DataSourceId": SOURCE,
            "Padding": "",
        }
    )
    return line[:-2] + "x" * (LENGTH - len(line)) + line[-2:]


def serve(events: int) -> None:
    """Serves until its input ends; says its port first."""
    pages = rendered(events)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = answer(self.headers["X-Amz-Target"].rsplit(".", 1)[-1], asked, pages)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def answer(operation: str, asked: dict[str, Any], pages: dict[str, list[bytes]]) -> bytes:
    """DescribeLogGroups, DescribeLogStreams and FilterLogEvents; the window is always all there is."""
    if operation == "DescribeLogGroups":
        return json.dumps({"logGroups": [{"logGroupName": GROUP}]}).encode()
    if operation == "DescribeLogStreams":
        prefix = asked.get("logStreamNamePrefix", "")
        names = [{"logStreamName": name} for name in pages if name.startswith(prefix)]
        return json.dumps({"logStreams": names}).encode()
    wanted = asked.get("logStreamNames") or list(pages)
    line = [(name, place) for name in wanted for place in range(len(pages.get(name, [])))]
    here = int(asked.get("nextToken", "0"))
    if here >= len(line):
        return b'{"events":[],"searchedLogStreams":[]}'
    name, place = line[here]
    more = b',"nextToken":"%d"' % (here + 1) if here + 1 < len(line) else b""
    return b'{"events":' + pages[name][place] + more + b',"searchedLogStreams":[]}'


_LABELS = {"vmq": "`vmq logs`", "vmq_unmasked": "the same, secrets not masked", "awslogs": "`awslogs get`"}


# The clients, each in a process of its own


def memory_mb(field: str) -> float:
    """VmRSS or VmHWM of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return float("nan")


class Meter:
    """Wall time, CPU time and memory from where it is made to where it is read."""

    def __init__(self) -> None:
        self._memory = memory_mb("VmRSS")
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def read(self, events: int) -> dict[str, Any]:
        """What it took to handle that many events."""
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        return {
            "events": events,
            "seconds": round(seconds, 2),
            "events_per_s": round(events / seconds),
            "cpu_us_per_event": round(cpu / events * 1e6, 1),
            "memory_growth_mb": round(memory_mb("VmHWM") - self._memory, 1),
        }


def ours(out: Path, *, masked: bool) -> dict[str, Any]:
    """`vmq logs`, from the first request to the last file."""
    import boto3  # noqa: F401 - imported before memory is looked at

    from vmqlib.aws import Aws
    from vmqlib.record.redaction import Redactor
    from vmqlib.settings import Settings
    from vmqlib.sources.logs import LogQuery, capture
    from vmqlib.times import Window

    settings = Settings.load(app_id=GROUP.rsplit("/", 1)[-1], ds_id=SOURCE)
    aws = Aws(settings)
    query = LogQuery.of_data_source(settings, SOURCE, Window(START, START + timedelta(days=1)))
    meter = Meter()
    found = capture(aws, settings, query, out, Redactor().text if masked else str)
    result = meter.read(found.events)
    with gzip.open(out / "connector-log.jsonl.gz") as file:
        lines = sum(1 for _ in file)
    if not (found.complete and found.events == lines):
        raise SystemExit(f"the capture is not what was served: {found}")
    return result


def peer(url: str, out: Path) -> dict[str, Any]:
    """`awslogs get`, its output into a file."""
    from awslogs.bin import main

    arguments = ["get", GROUP, "ALL", "--start", "2026-11-20T00:00", "--timestamp", "--ingestion-time"]
    arguments += ["--aws-region", "eu-west-1", "--aws-endpoint-url", url, "--color", "never"]
    out.mkdir(parents=True)
    meter = Meter()
    with (out / "awslogs.txt").open("w") as file, contextlib.redirect_stdout(file):
        main(["awslogs", *arguments])
    with (out / "awslogs.txt").open() as file:
        return meter.read(sum(1 for _ in file))


# The run


def run(events: int = 1_000_000, peer_events: int = 50_000) -> dict[str, Any]:
    """Every client, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "events": events,
            "message_bytes": LENGTH,
            "vmq": measure("vmq", events, Path(folder)),
            "vmq_unmasked": measure("vmq_unmasked", events, Path(folder)),
            "awslogs": measure("awslogs", peer_events, Path(folder)),
        }


def measure(name: str, events: int, folder: Path) -> dict[str, Any]:
    """One client in a process of its own, against a server in another; ``name`` is a key of ``_LABELS``."""
    script = [sys.executable, __file__]
    server = subprocess.Popen(
        [*script, "--serve", str(events)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        environment = os.environ | {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "REGION": "eu-west-1",
        }
        done = subprocess.run(
            [*script, "--client", name, url, str(folder / name)],
            env=environment,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if seen["events"] != events:
        raise SystemExit(f"{name} brought {seen['events']:,} of {events:,} events")
    return seen


def markdown(result: dict[str, Any]) -> str:
    """The result as a table."""
    lines = [
        "| client | events | seconds | events/s | CPU µs/event | memory growth, MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, label in _LABELS.items():
        one = result[name]
        lines.append(
            f"| {label} | {one['events']:,} | {one['seconds']:.1f} | {one['events_per_s']:,} "
            f"| {one['cpu_us_per_event']:.1f} | {one['memory_growth_mb']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Log capture beside awslogs.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--peer-events", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="write the result there, too")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
    elif arguments.client:
        name, url, out = arguments.client
        seen = peer(url, Path(out)) if name == "awslogs" else ours(Path(out), masked=name == "vmq")
        print(json.dumps(seen))
    else:
        result = run(arguments.events, arguments.peer_events)
        print(markdown(result))
        print(json.dumps(result, indent=1))
        if arguments.json:
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
