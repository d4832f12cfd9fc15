#!/usr/bin/env python3
"""How long `vmq open` takes, from the page to the finished record, beside stock papermill on an empty
notebook.

    python scripts/bench_open.py [--pairs 5] [--json FILE]

Both are whole processes, started in turn, on the same machine: `vmq open --trigger sync-failed` asks a
local AWS (a process of its own, whose work counts, since it is waited for), runs the incident notebook and
writes the page; `papermill` does nothing but start a kernel. What matters is the ratio of the two, pair by
pair; the median of it is reported.

One more run of `vmq open` says where the time goes: its stages are measured from within.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmqlib.simulator.process import served

GOAL = 1.5
BIN = Path(sys.executable).parent
OPEN = ["open", "--trigger", "sync-failed", "--json"]
EMPTY = {
    "cells": [],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}

# Runs `vmq` with a stopwatch around its stages. The stages overlap: that is the point of them.
STAGES = r"""
import atexit, functools, importlib, json, os, sys, time
began = float(os.environ["BENCH_BEGAN"])
marks = []

def timed(name, module, *path):
    owner = importlib.import_module(module)
    for part in path[:-1]:
        owner = getattr(owner, part)
    inner = getattr(owner, path[-1])
    @functools.wraps(inner)
    def outer(*args, **kwargs):
        start = time.time()
        try:
            return inner(*args, **kwargs)
        finally:
            marks.append((name, start - began, time.time() - began))
    @functools.wraps(inner)
    async def waiting(*args, **kwargs):
        start = time.time()
        try:
            return await inner(*args, **kwargs)
        finally:
            marks.append((name, start - began, time.time() - began))
    import inspect
    setattr(owner, path[-1], waiting if inspect.iscoroutinefunction(inner) else outer)

def when_loaded(module, *stages):
    import importlib.abc, importlib.util
    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name != module:
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            load = spec.loader.exec_module
            def exec_module(loaded):
                load(loaded)
                for stage in stages:
                    timed(stage[0], module, *stage[1:])
            spec.loader.exec_module = exec_module
            return spec
    sys.meta_path.insert(0, Finder())

marks.append(("Python starts", 0.0, time.time() - began))
when_loaded("vmqlib.runbook.opening",
            ("open the incident (STS, folder, journal)", "open_incident"), ("ask AWS, write evidence", "look"))
when_loaded("vmqlib.record._execution",
            ("wait for the kernel", "_RecordClient", "_connect"), ("cells", "_RecordClient", "_run_cells"))
when_loaded("vmqlib.record.html",
            ("import nbconvert, read the template (beside)", "preload"), ("write the page", "export"))
when_loaded("vmqlib.record.kernel", ("start the kernel's process", "start_kernel"))
timed_import = time.time()

def report():
    marks.append(("whole", 0.0, time.time() - began))
    with open(os.environ["BENCH_STAGES"], "w") as file:
        json.dump(marks, file)
atexit.register(report)

from vmqlib.cli import main
marks.append(("import the command line", timed_import - began, time.time() - began))
sys.argv = ["vmq", *sys.argv[1:]]
main()
"""


def bench(pairs: int = 5) -> dict[str, Any]:
    """Measures; see the module's text. Needs the simulator's extra to be installed.

    Parameters
    ----------
    pairs:
        How many times each of the two is run.
    """
    with tempfile.TemporaryDirectory(prefix="vmq-bench-") as name, served("sync-failed") as aws:
        folder = Path(name)
        env = {**aws, "VMQ_INCIDENTS": str(folder / "incidents")}
        # Where modules come from a wheel they are compiled; in a checkout the first run does it, if it may.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        empty = folder / "empty.ipynb"
        empty.write_text(json.dumps(EMPTY), "utf-8")
        stock = [str(BIN / "papermill"), str(empty), str(folder / "out.ipynb")]
        ours = [str(BIN / "vmq"), *OPEN]
        _seconds(stock, env), _seconds(ours, env)  # what a first run leaves in caches is not what is measured
        measured = [(_seconds(stock, env), _seconds(ours, env)) for _ in range(pairs)]
        return {
            "pairs": [
                {"papermill": round(a, 3), "vmq_open": round(b, 3), "ratio": round(b / a, 3)}
                for a, b in measured
            ],
            "papermill": round(statistics.median(a for a, _ in measured), 3),
            "vmq_open": round(statistics.median(b for _, b in measured), 3),
            "ratio": round(statistics.median(b / a for a, b in measured), 3),
            "goal": GOAL,
            "stages": _stages(env, folder),
            "record": _sizes(folder / "incidents"),
        }


def markdown(result: Mapping[str, Any]) -> str:
    """The result as a section of docs/benchmarks.md."""
    summary = (
        f"Whole processes, median of {len(result['pairs'])} pairs: `vmq open --trigger sync-failed` "
        f"(AWS reads, notebook, page) {result['vmq_open']:.2f} s, "
        f"stock `papermill` on an empty notebook {result['papermill']:.2f} s; "
        f"ratio **{result['ratio']:.2f}** (at most {result['goal']} is wanted)."
    )
    lines = [
        summary,
        "",
        "| pair | papermill, empty (s) | vmq open (s) | ratio |",
        "|---:|---:|---:|---:|",
        *(
            f"| {n} | {pair['papermill']:.2f} | {pair['vmq_open']:.2f} | {pair['ratio']:.2f} |"
            for n, pair in enumerate(result["pairs"], 1)
        ),
        "",
        "Where the time goes, in one run (stages overlap):",
        "",
        "| stage | from (s) | to (s) | took (s) |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {start:.2f} | {end:.2f} | {end - start:.2f} |"
            for name, start, end in result["stages"]
        ),
        "",
        f"The record: {result['record']['notebook_kb']} kB of notebook, {result['record']['html_kb']} kB of page.",
        "",
    ]
    return "\n".join(lines)


def _pair(stock: float, ours: float) -> dict[str, float]:
    return {"papermill": round(stock, 3), "vmq_open": round(ours, 3), "ratio": round(ours / stock, 3)}


def _seconds(command: list[str], env: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return took


def _stages(env: Mapping[str, str], folder: Path) -> list[tuple[str, float, float]]:
    file = folder / "stages.json"
    watched = {**env, "BENCH_STAGES": str(file), "BENCH_BEGAN": repr(time.time())}
    _seconds([sys.executable, "-c", STAGES, *OPEN], watched)
    found = sorted(json.loads(file.read_text("utf-8")), key=lambda mark: (mark[1], -mark[2]))
    return [(name, round(start, 3), round(end, 3)) for name, start, end in found if end - start >= 0.005]


def _sizes(incidents: Path) -> dict[str, int]:
    newest = max(incidents.glob("INC-*/incident.html"), key=lambda path: path.stat().st_mtime)
    return {
        "notebook_kb": newest.with_suffix(".ipynb").stat().st_size // 1000,
        "html_kb": newest.stat().st_size // 1000,
    }


def main() -> None:
    """The command."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the numbers there; - for stdout alone"
    )
    given = parser.parse_args()
    result = bench(given.pairs)
    if str(given.json) == "-":
        print(json.dumps(result, indent=1))
        return
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(markdown(result))


if __name__ == "__main__":
    main()
