"""Small notebooks that go wrong in one way each.

Fixtures
--------
``notebook``
    ``notebook("code", "# Heading", ...)``: writes a notebook of these cells and returns its path
``broken``
    ``broken("dies")``: a notebook that goes wrong as named in ``ENDINGS``, in its section "Second"
``run``
    ``run(path, **options)``: runs it and returns the record that is on the disk afterwards
``read``
    ``read(path)``: the record at that path
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PARAMETERS = """\
incident_id: str = ""  # which incident
rows: int = 3  # how many rows to print
offline: bool = False  # from evidence alone"""

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}

ENDINGS = {
    "fails": 'raise ValueError("<img src=x onerror=alert(1)> `code` $x$ | [link](http://evil.example)")',
    "exits": "import sys\nsys.exit(0)",
    "exits-badly": "import sys\nsys.exit(3)",
    "quits": "exit()",
    # The pause lets the message leave the process, which ends without a word to its threads.
    "dies": 'import os, time\nprint("last words", flush=True)\ntime.sleep(0.5)\nos._exit(7)',
    "is-killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "hangs": 'print("going round", flush=True)\nwhile True:\n    pass',
    "sleeps": 'import time\nprint("waiting", flush=True)\ntime.sleep(600)',
}


@dataclass(frozen=True)
class Record:
    """What a run left on the disk, and how it ended."""

    nb: Any
    error: BaseException | None
    path: Path

    @property
    def code(self) -> list[Any]:
        return [cell for cell in self.nb.cells if cell.cell_type == "code"]

    @property
    def states(self) -> list[str]:
        return [cell.metadata.papermill["status"] for cell in self.code]

    @property
    def run(self) -> Any:
        return self.nb.metadata.vmq["run"]

    @property
    def banner(self) -> str:
        top = self.nb.cells[0]
        return str(top.source) if top.id == "vmq-run-banner" else ""

    def printed(self, index: int) -> str:
        return "".join(output.get("text", "") for output in self.code[index].outputs)


@pytest.fixture(autouse=True)
def quiet_papermill() -> Iterator[None]:
    """papermill says at length what it does."""
    logger = logging.getLogger("papermill")
    before, logger.level = logger.level, logging.ERROR
    yield
    logger.level = before


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[..., Path]:
    """A cell that begins with ``#`` is Markdown; one that declares ``incident_id:`` is tagged ``parameters``."""

    def make(*sources: str, name: str = "template") -> Path:
        cells = []
        for number, source in enumerate(sources):
            tags = ["parameters"] if source.startswith("incident_id:") else []
            cell: dict[str, Any] = {"id": f"c{number}", "metadata": {"tags": tags}, "source": source}
            if source.startswith("#"):
                cells.append(cell | {"cell_type": "markdown"})
            else:
                cells.append(cell | {"cell_type": "code", "outputs": [], "execution_count": None})
        nb = {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
        path = tmp_path / f"{name}.ipynb"
        path.write_text(json.dumps(nb), "utf-8")
        return path

    return make


@pytest.fixture
def broken(notebook: Callable[..., Path]) -> Callable[[str], Path]:
    def make(ending: str) -> Path:
        before = ("# Record", "## First", PARAMETERS, 'print("before")')
        return notebook(*before, "## Second", ENDINGS[ending], "## Third", 'print("never")', name=ending)

    return make


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Record]:
    def go(path: Path, parameters: dict[str, Any] | None = None, **options: Any) -> Record:
        from vmqlib.errors import VmqError
        from vmqlib.record import notebook as records
        from vmqlib.record.kernel import start_kernel

        output, error = tmp_path / "record.ipynb", None
        options.setdefault("kernel", start_kernel(warm=()))
        try:
            records.run(path, output, parameters or {}, **options)
        except VmqError as raised:
            error = raised
        return read(output, error)

    return go


@pytest.fixture(name="read")
def reader() -> Callable[..., Record]:
    return read


def read(path: Path, error: BaseException | None = None) -> Record:
    """The record at ``path``: valid by the notebook format's schema, or the test fails."""
    import nbformat

    nb = nbformat.reads(path.read_text("utf-8"), as_version=4)
    nbformat.validate(nb)
    return Record(nb, error, path)
