"""Appends to a journal until it is killed, again and again: one process that forks, so that imports happen once.

Reads lines ``<bytes of each event> <events, 0 for endless>`` from its input; each starts a child. A child says its
process id, then the number of every event that :meth:`Journal.append` acknowledged.
"""

import os
import sys
from pathlib import Path

from vmqlib.record.journal import Journal


def child(path: Path, size: int, count: int) -> None:
    journal = Journal(path)
    os.write(1, f"pid {os.getpid()}\n".encode())
    done = 0
    while not count or done < count:
        event = journal.append("noted", f"process {os.getpid()}", data={"filler": "x" * size})
        os.write(1, f"ack {event.seq}\n".encode())
        done += 1


def main() -> None:
    path = Path(sys.argv[1])
    while line := sys.stdin.readline():
        size, count = map(int, line.split())
        pid = os.fork()
        if pid == 0:
            try:
                child(path, size, count)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        os.write(1, b"ended\n")


main()
