"""The end of a log capture: spilled parts become one ordered file, and the failures in it are counted."""

from __future__ import annotations

import gzip
import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmqlib.sources.logevents import Failures, fields
from vmqlib.sources.logstore import KEY, PartStore

__all__ = ["Merged", "merge"]

_LEVEL = 1  # log text shrinks tenfold even so, and a higher level would take longer than all the rest


@dataclass(frozen=True)
class Merged:
    """What a merge wrote.

    Parameters
    ----------
    events:
        Lines written.
    first, last:
        Milliseconds since 1970 of the first and the last; ``None`` where there is none.
    """

    events: int
    first: int | None
    last: int | None


def merge(store: PartStore, path: Path, failures: Failures | None = None) -> Merged:
    """Writes a part's events to ``path`` as gzip JSON lines, all or nothing.

    Parameters
    ----------
    failures:
        Where the failures in it are counted, if they are.
    """
    new = store.folder / "merged.gz"
    events, first, last = 0, None, None
    with _gzip(new) as write:
        for lines in store.merged():
            events += len(lines)
            first = int(lines[0][:15]) if first is None else first
            last = int(lines[-1][:15])
            write(b"".join([line[KEY:] + b"\n" for line in lines]))
            if failures is not None:
                _count(lines, failures)
    new.replace(path)
    return Merged(events, first, last)


def _count(lines: list[bytes], failures: Failures) -> None:
    for line in lines:
        if b"FAILED" in line:
            event: dict[str, Any] = json.loads(line[KEY:])
            failures.add(event["at"], fields(event["message"], event["stream"]))


@contextmanager
def _gzip(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A gzip file that another thread compresses, while Python goes on. No time, no name in its header."""
    blocks: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
    broken: list[OSError] = []

    def work() -> None:
        try:
            with (
                path.open("wb") as raw,
                gzip.GzipFile("", "wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as file,
            ):
                while (block := blocks.get()) is not None:
                    file.write(block)
        except OSError as error:
            broken.append(error)
            while blocks.get() is not None:
                pass

    def write(block: bytes) -> None:
        if broken:
            raise broken[0]
        blocks.put(block)

    thread = threading.Thread(target=work, name="vmq-gzip", daemon=True)
    thread.start()
    try:
        yield write
    finally:
        blocks.put(None)
        thread.join()
    if broken:
        raise broken[0]
