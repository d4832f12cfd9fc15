"""Keeps the record on disk true while its cells run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import vmqlib
from vmqlib.record._outcome import (
    BANNER_ID,
    BANNER_TAGS,
    Status,
    Stop,
    banner_source,
    headline,
    incident_of,
    what_to_do,
)
from vmqlib.record._saving import NotebookText, node, sweep
from vmqlib.record.storage import write_atomically
from vmqlib.times import Clock, SystemClock, iso, parse_iso, show_time

__all__ = ["Progress", "RecordKeeper"]

_AUTOSAVE = 5.0
"""Seconds after which the output of a cell that still runs is saved."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    done:
        Code cells that are done.
    total:
        Code cells there are.
    section:
        The heading above the cell that runs now.
    """

    done: int
    total: int
    section: str


class RecordKeeper:
    """The state of a run, written into the notebook and saved once for each code cell.

    The file is right at every moment: cells that ran say ``completed``, the one that runs says ``running``,
    the others ``pending``, and until the run is over a banner at the top says that the record is not
    finished. So a process that is killed outright leaves a record that tells the truth, as does one that
    ends in any other way. The first save and the last are on the disk when they return; those between may be
    lost with the machine's power.

    Parameters
    ----------
    nb:
        The notebook that is run; cells' metadata are written in papermill's form, the run's under
        ``metadata.vmq.run``.
    path:
        Where it is saved; None to save nothing.
    clock:
        Tells the times in the metadata.
    progress:
        Called before every code cell and at the end.
    clean:
        Takes out of a text what must not reach the disk.
    """

    def __init__(
        self,
        nb: Any,
        path: Path | None,
        *,
        clock: Clock | None = None,
        progress: Callable[[Progress], None] | None = None,
        clean: Callable[[str], str] | None = None,
    ) -> None:
        self.nb = nb
        self.path = path
        self.clock: Clock = clock or SystemClock()
        self._progress = progress
        self._clean = clean
        self._text = NotebookText()
        self._saved_at = self._began = self.clock.now()
        self._sections = _sections(nb.cells)
        self._code = [i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]

    # --- what the run tells -----------------------------------------------------------------------

    def begin(self) -> None:
        """Empties the outputs, sets every cell to pending and saves the record with its banner."""
        self._began = self.clock.now()
        for cell in self.nb.cells:
            cell.metadata["papermill"] = {
                "duration": None, "end_time": None, "exception": None, "start_time": None, "status": "pending"
            }  # fmt: skip
            if cell.cell_type == "code":
                cell.outputs = []
                cell.execution_count = None
        self._note_run(Stop("running", "", ""), exception=None)
        if self.path:
            sweep(self.path)
        self.save(durable=True)

    def skipped(self, index: int) -> None:
        """Cell ``index`` holds nothing to run."""
        self._set(index, status="completed", exception=False)

    def started(self, index: int) -> None:
        """Cell ``index`` is about to run. The record is saved: this is the one save for each cell."""
        self._set(index, status="running", exception=False, start_time=iso(self.clock.now()))
        self._note_run(Stop("running", "", "", index), exception=None)
        self._tell(index)
        self.save()

    def finished(self, index: int) -> None:
        """Cell ``index`` ran to its end."""
        self._close(index, "completed")

    def stopped(self, index: int) -> None:
        """Cell ``index`` did not."""
        self._close(index, "failed")

    def changed(self, index: int) -> None:
        """The output of cell ``index`` was changed from elsewhere."""
        self._text.forget(self.nb.cells[index])

    def autosave_cell(self) -> None:
        """Called with every message of the kernel: saves when the last time is some seconds ago."""
        if (self.clock.now() - self._saved_at).total_seconds() >= _AUTOSAVE:
            self.save()

    def end(self, stop: Stop | None) -> str:
        """The run is over, too early if there is a ``stop``. Saves, and returns what happened."""
        if stop is None:
            self._note_run(None, exception=None)
            self._tell(None)
            self.save(durable=True)
            return ""
        if self._clean is not None:
            stop = replace(stop, value=self._clean(stop.value))
        self._note_run(stop, exception=True)
        self.save(durable=True)
        self.nb.cells = [*self._banner(), *self.nb.cells]
        return headline(stop, self._where(stop.cell))

    # --- how it is kept ---------------------------------------------------------------------------

    @property
    def cells_run(self) -> int:
        """Code cells that ran to their end."""
        return self._count("completed")

    def save(self, *, durable: bool = False) -> None:
        """Writes the record as it stands. Raises StorageError when the disk refuses."""
        if self.path:
            running = next((i for i in self._code if self._status(i) == "running"), None)
            if running is not None:
                self.changed(running)
            text = self._text.text(self.nb, self._banner())
            write_atomically(self.path, text.encode("utf-8", errors="backslashreplace"), durable=durable)
        self._saved_at = self.clock.now()

    def _banner(self) -> list[Any]:
        run = self.nb.metadata["vmq"]["run"]
        if run["status"] == "completed":
            return []
        title = "This record is not finished." if run["status"] == "running" else "This record is incomplete."
        source = banner_source(title, [f"{run['what']} {run['when']}", run["counts"], run["hint"]])
        cell = {
            "cell_type": "markdown",
            "id": BANNER_ID,
            "metadata": {"tags": list(BANNER_TAGS)},
            "source": source,
        }
        self._text.forget(cell)
        return [node(cell)]

    def _note_run(self, stop: Stop | None, *, exception: bool | None) -> None:
        """Writes what is known of the run into the notebook's metadata."""
        now = self.clock.now()
        status: Status = stop.status if stop else "completed"
        over = status != "running"
        papermill = self.nb.metadata.setdefault("papermill", {})
        papermill["start_time"] = iso(self._began)
        papermill["end_time"] = iso(now) if over else None
        papermill["duration"] = (now - self._began).total_seconds() if over else None
        papermill["exception"] = exception
        run: dict[str, Any] = {
            "status": status,
            "kit": vmqlib.__version__,
            "started_at": iso(self._began),
            "ended_at": iso(now) if over else None,
            "cells": {name: self._count(name) for name in ("completed", "failed", "running", "pending")},
        }
        if stop is not None:
            at = stop.cell
            run |= {
                "what": headline(stop, self._where(at)),
                "when": f"{'Stopped' if over else 'Saved'} {show_time(now)}.",
                "counts": self._counts(),
                "hint": what_to_do(stop, incident_of(self.nb.metadata)),
                "cell_id": self.nb.cells[at]["id"] if at is not None else None,
                "section": self._sections[at] if at is not None else "",
                "error": {"name": stop.name, "value": stop.said} if over else None,
            }
        vmq = self.nb.metadata.setdefault("vmq", {})
        vmq["run"] = run

    def _close(self, index: int, status: str) -> None:
        now = self.clock.now()
        cell = self.nb.cells[index]
        started = cell.metadata["papermill"].get("start_time")
        took = (now - parse_iso(started)).total_seconds() if started else None
        self._set(index, status=status, exception=status == "failed", end_time=iso(now), duration=took)
        if self._clean is not None:
            for output in cell.outputs:
                _clean_output(output, self._clean)

    def _set(self, index: int, **values: object) -> None:
        self.nb.cells[index].metadata["papermill"].update(values)
        self._text.forget(self.nb.cells[index])

    def _status(self, index: int) -> str:
        return str(self.nb.cells[index].metadata["papermill"]["status"])

    def _count(self, status: str) -> int:
        return sum(self._status(i) == status for i in self._code)

    def _counts(self) -> str:
        ran, left = self._count("completed"), self._count("pending")
        return f"{ran} of {len(self._code)} code cells ran to their end, {left} did not run at all."

    def _where(self, index: int | None) -> str:
        if index is None:
            return "Before the first cell"
        section = f" (“{self._sections[index]}”)" if self._sections[index] else ""
        return f"Code cell {self._code.index(index) + 1} of {len(self._code)}{section}"

    def _tell(self, index: int | None) -> None:
        if self._progress is not None:
            section = self._sections[index] if index is not None else ""
            self._progress(Progress(self.cells_run, len(self._code), section))

    @property
    def began(self) -> datetime:
        """When the run began."""
        return self._began


def _sections(cells: list[Any]) -> list[str]:
    """For each cell, the heading that stands above it."""
    current, found = "", []
    for cell in cells:
        if cell.cell_type == "markdown":
            lines = [line for line in cell.source.splitlines() if line.startswith("#")]
            current = (
                lines[-1].lstrip("#").strip().replace("`", "").replace("*", "")[:80] if lines else current
            )
        found.append(current)
    return found


def _clean_output(output: Any, clean: Callable[[str], str]) -> None:
    """Masks the texts that are not made by a view: what a cell printed, and an error with its traceback."""
    if output.output_type == "stream":
        output["text"] = clean(output["text"])
    elif output.output_type == "error":
        output["evalue"] = clean(output["evalue"])
        output["traceback"] = [clean(line) for line in output["traceback"]]
