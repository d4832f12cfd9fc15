"""Whether a script that an earlier ``vmq`` started still runs, by what the journal says of its process.

A ``vmq`` that is killed (SIGKILL) ends nothing that it started. The kernel could be asked to end the script with it
(PR_SET_PDEATHSIG), but not what the script started in turn: half of it would run on, unseen. So it is found instead, by
the next run. Linux alone says when a process began; elsewhere nobody can tell, and nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import LockHeld
from vmqlib.runbook.resyncstory import SCRIPT
from vmqlib.runbook.targeted.process import has_members
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["RUNNING", "check_none_runs", "process_identity"]

RUNNING = "running"
"""``data.verdict`` of the event that names a script's process."""


def process_identity(pid: int) -> dict[str, Any]:
    """What tells a process from every other: its number, when it began, since which start of which machine. Empty where
    the system does not say."""
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return {"pid": pid, "began": _began(pid), "boot": boot, "host": os.uname().nodename}
    return {}


def _began(pid: int) -> str:
    # 12 (name) S parent …, the name may hold anything; the 22nd field is the start, in ticks since the machine's.
    return Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()[19]


def check_none_runs(incident: Incident, connector: str) -> None:
    """Whether no script of that connector, started in this incident's name on this machine, still runs.

    Raises
    ------
    LockHeld
        One does, or something that it started.
    """
    begun: dict[str, Mapping[str, Any]] = {}
    for event in incident.journal.events():
        data = event.data.model_dump()
        if data.get("action") != SCRIPT or data.get("connector") != connector:
            continue
        if event.kind in ("applying", "applied", "failed"):
            begun.clear()
        elif data.get("verdict") == RUNNING:
            begun[connector] = {**data, "at": event.at, "by": event.actor.user}
    known = begun.get(connector)
    if known is None or not _runs(known):
        return
    raise LockHeld(
        f"The script of connector {connector} that {known['by']} started at {show_time(known['at'])} (process "
        f"{known['pid']}) still runs: another vmq runs it, or the one that did was killed. Nothing was run.",
        hint=f"Wait for its end, or end it with all that it started: kill -TERM -- -{known['pid']}. Then run it again.",
    )


def _runs(known: Mapping[str, Any]) -> bool:
    now = process_identity(os.getpid())
    if not now or (known.get("boot"), known.get("host")) != (now["boot"], now["host"]):
        return False
    pid = int(known["pid"])
    with suppress(OSError, IndexError):
        if _began(pid) != known.get("began"):
            return False  # the number is somebody else's by now
    # Its group has its number, also when it has ended and what it started has not.
    return has_members(pid)
