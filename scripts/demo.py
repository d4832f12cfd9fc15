"""A SyncFailed incident from page to closed record, on the local AWS, with the commands that an engineer would type.

Run by ``make demo``. Exits 0 only if the last sync succeeded and the index holds what the bucket held at the last
good sync. Nothing outside the checkout is touched, and no real AWS account can be reached: every ``AWS_*`` variable
of the caller is replaced.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from vmqlib.simulator.process import served

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
VMQ = [sys.executable, "-m", "vmqlib.cli"]

SUSPECT = "phases-mirage.md"

BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def main() -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say("A local AWS with a broken knowledge base", "three weeks of history are being made …")
    with served("sync-failed") as served_env:
        # The operations runbook of the demo's own, beside its incidents: nobody's ops repo is written to.
        env = {**served_env, "VMQ_OPERATIONS_RUNBOOK": str(TOP / "incidents" / "OPERATIONS-RUNBOOK.md")}
        say("The page", "SyncFailed is in ALARM. One command gathers everything and writes the record:")
        opened = run(env, "open", "--trigger", "sync-failed", "--json", capture=True)
        incident = json.loads(opened)
        identity, folder = incident["id"], Path(incident["dir"])
        print(f"  {identity}: {incident['html']}")

        say(
            "A suspect", "one of the objects that the promotion rewrote, and how it differs from what it was:"
        )
        run(env, "versions", "--key", SUSPECT, "--diff")

        say("Step 3 of the runbook", "plan the rollback to the last good sync; nothing changes yet:")
        run(env, "rollback", "plan", identity)
        say("Approved", "each object is put back only if it is still what was planned for:")
        run(env, "rollback", "apply", identity, "--yes")
        run(env, "rollback", "verify", identity)

        say("Step 4", "force a resync and wait for its end:")
        run(env, "sync", "start", "--incident", identity, "--yes")
        run(env, "sync", "wait", "--incident", identity)

        say("Look again", "the same notebook, with what AWS says now:")
        run(env, "render", identity, "--refresh")

        say("Proof", "does the index hold what the bucket held at the last good sync?")
        run(env, identity, script="check_index.py")

        say(
            "Step 6",
            "close: the final record, and a manifest of every file's hash. (The alarm itself resets some",
        )
        print("minutes after the first good sync, as on AWS; the record says what it was at closing.)")
        run(
            env, "close", identity,
            "--impact", "Questions about a third of the documents got no answer.",
            "--root-cause", "A promotion from _staging/ overwrote documents with broken ones.",
            "--remediation", "Object versions of the last good sync were copied back, and the index synced.",
        )  # fmt: skip
        run(env, "verify", identity)
        say(
            "Afterwards",
            "the post-incident review: times, who saw it, what went well and badly, action items:",
        )
        run(env, "retro", identity)
    say("Done", f"in {time.monotonic() - began:.0f} s. The incident record:")
    print(f"  {folder / 'incident.html'}   opens in any browser, offline")
    print(f"  {folder / 'incident.ipynb'}  the notebook itself: `make lab`")
    print(f"  {folder / 'retro.html'}      the review; retro.ics invites to it")
    print(f"  {folder / 'journal.jsonl'}   what happened, hash by hash: `vmq verify {identity}`")
    return 0


def say(title: str, text: str) -> None:
    print(f"\n{BOLD}{title}{PLAIN} — {text}", flush=True)


def run(env: Mapping[str, str], *arguments: str, script: str = "", capture: bool = False) -> str:
    """One command, shown as a person would type it. The demo ends where one fails."""
    if script:
        command, shown = [sys.executable, str(HERE / script)], [f"scripts/{script}"]
    else:
        command, shown = VMQ, ["vmq"]
    words = shlex.join([*shown, *arguments])
    print(f"{DIM}$ {words}{PLAIN}", flush=True)
    done = subprocess.run(
        [*command, *arguments],
        env=dict(env),
        cwd=TOP,
        text=True,
        stdout=subprocess.PIPE if capture else None,
        check=False,
    )
    if done.returncode:
        sys.exit(f"demo: `{words}` exited {done.returncode}")
    return done.stdout or ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
