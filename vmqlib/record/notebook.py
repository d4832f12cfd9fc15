"""From a template to a finished record: the run that `vmq open` and `vmq render` make.

A record is the template's notebook, executed: its cells render evidence that an incident holds. The run
goes through papermill's Python API with :class:`vmqlib.record.engine.HonestEngine`; papermill itself writes
nothing, since its writes are not atomic.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.errors import BadInput, CorruptRecord, DeadlinePassed, Interrupted, RunFailed
from vmqlib.record._saving import NotebookText, notebook_json
from vmqlib.record.kernel import KernelHandle, start_kernel
from vmqlib.record.parameters import Parameter, declared_parameters, validated_parameters
from vmqlib.record.storage import storage_errors, write_atomically

if TYPE_CHECKING:
    from vmqlib.record._keeper import Progress
    from vmqlib.times import Clock

__all__ = [
    "RECORD_MIME",
    "RunResult",
    "parameters_of",
    "prepare",
    "read_record",
    "render",
    "run",
    "template",
    "templates_dir",
]

RECORD_MIME = "application/vnd.vmq.record+json"
"""The type of the output that holds what a record says, for programs."""

CELL_TIMEOUT = 120.0
"""Seconds that one cell may take: drawing from evidence takes well under one."""


@dataclass(frozen=True)
class RunResult:
    """A run that came to its end.

    Parameters
    ----------
    path:
        The finished notebook.
    seconds:
        How long it took.
    cells:
        Code cells that ran.
    status:
        ``completed``: a run that ends in any other way raises.
    html:
        The notebook as a page, when one was asked for.
    """

    path: Path
    seconds: float
    cells: int
    status: Literal["completed"] = "completed"
    html: Path | None = None


def templates_dir() -> Path:
    """The folder of templates: inside an installed package, else at the top of the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_templates"
    return installed if installed.is_dir() else package.parent / "templates"


def template(name: str) -> Path:
    """The path of the template called ``name``, for example ``incident``.

    Raises
    ------
    BadInput
        When there is none; it names those there are.
    """
    path = templates_dir() / f"{name}.ipynb"
    if Path(name).name != name or not path.is_file():
        known = ", ".join(sorted(found.stem for found in templates_dir().glob("*.ipynb"))) or "none"
        raise BadInput(f"There is no template {name!r}.", hint=f"There are: {known}.")
    return path


def parameters_of(path: Path) -> tuple[Parameter, ...]:
    """What the template at ``path`` declares in its ``parameters`` cell.

    Raises
    ------
    BadInput
        When it is no notebook, or its parameters cell cannot be read.
    """
    return declared_parameters(notebook_json(path)["cells"])


def run(
    template: Path,
    output: Path,
    parameters: Mapping[str, Any],
    *,
    kernel: KernelHandle | None = None,
    progress: Callable[[Progress], None] | None = None,
    deadline: float | None = None,
    cell_timeout: float | None = CELL_TIMEOUT,
    html: Path | None = None,
    clock: Clock | None = None,
    clean: Callable[[str], str] | None = None,
) -> RunResult:
    """Runs ``template`` with ``parameters`` and leaves the record at ``output``, whatever happens.

    Parameters
    ----------
    template:
        The notebook to run.
    output:
        Where the record goes; its folder must exist. Saved, atomically, after every code cell.
    parameters:
        Values for parameters that the template declares.
    kernel:
        A kernel from :func:`vmqlib.record.kernel.start_kernel`, started while something else was done;
        closed here.
    progress:
        Called before each code cell and at the end.
    deadline:
        Seconds for the whole run; None for ever.
    cell_timeout:
        Seconds for one cell; None for ever.
    html:
        Where to put the record as a page; it is written for a failed run, too.
    clock:
        For the times in the notebook's metadata.
    clean:
        Masks what cells print and what errors say, before it is saved; by default with a key of this run's own.

    Raises
    ------
    BadInput
        The template or a parameter cannot be used; nothing was written.
    RunFailed
        A cell failed or left the run, or the kernel died; the record says so.
    DeadlinePassed
        A time-out; the record says so.
    Interrupted
        SIGINT or SIGTERM; the record says so.
    StorageError
        The disk refused.
    """
    began = time.monotonic()
    page = html is not None
    job = _Job(template, parameters, kernel, progress, deadline, cell_timeout, clock, clean, page=page)
    try:
        nb = _execute(job, output)
    except (RunFailed, DeadlinePassed, Interrupted):
        if html is not None and output.exists():
            _export(output, html)
        raise
    if html is not None:
        _export(output, html)
    return RunResult(output, time.monotonic() - began, _cells_run(nb), html=html)


def render(
    template: Path,
    output: Path,
    parameters: Mapping[str, Any],
    *,
    kernel: KernelHandle | None = None,
    progress: Callable[[Progress], None] | None = None,
    deadline: float | None = None,
    cell_timeout: float | None = CELL_TIMEOUT,
    html: Path | None = None,
    clock: Clock | None = None,
    clean: Callable[[str], str] | None = None,
) -> RunResult:
    """Runs ``template`` again from evidence alone: ``offline``, in a kernel from which AWS is out of reach.

    A finished record at ``output`` is only replaced by another finished one. What is rendered stands beside
    it as ``<name>.unfinished.ipynb`` until then, and stays there when the run fails. Parameters and errors
    are those of :func:`run`; a ``kernel`` should have been started with ``offline=True``.
    """
    began = time.monotonic()
    kernel = kernel or start_kernel(offline=True)
    given = {**parameters, "offline": True}
    if run_status(output) != "completed":
        options: dict[str, Any] = {"progress": progress, "deadline": deadline, "cell_timeout": cell_timeout}
        return run(template, output, given, kernel=kernel, html=html, clock=clock, clean=clean, **options)
    draft = output.with_name(f"{output.stem}.unfinished.ipynb")
    page = html is not None
    job = _Job(template, given, kernel, progress, deadline, cell_timeout, clock, clean, page=page)
    nb = _execute(job, draft)
    # Written from what this run holds, and not the draft renamed: another run may be writing to that by now.
    nb.metadata["papermill"]["output_path"] = output.name
    write_atomically(output, NotebookText().text(nb).encode("utf-8", errors="backslashreplace"))
    draft.unlink(missing_ok=True)
    if html is not None:
        _export(output, html)
    return RunResult(output, time.monotonic() - began, _cells_run(nb), html=html)


def run_status(path: Path) -> str:
    """How the run went that left the notebook at ``path``: ``completed``, ``failed`` … Empty when that is unknown."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(path.read_text("utf-8"))["metadata"]["vmq"]["run"]["status"])
    return ""


def read_record(path: Path) -> dict[str, Any]:
    """What the record at ``path`` says, for programs: the last output of type :data:`RECORD_MIME`.

    Raises
    ------
    BadInput
        When there is no notebook at ``path``.
    CorruptRecord
        When the notebook holds no such output.
    """
    found: dict[str, Any] | None = None
    for cell in notebook_json(path)["cells"]:
        for output in cell.get("outputs", ()):
            found = output.get("data", {}).get(RECORD_MIME, found)
    if not isinstance(found, dict):
        raise CorruptRecord(
            f"{path} holds no record.",
            hint="Its run may have stopped before it was written: see the banner at the top, and run vmq render.",
        )
    return found


@dataclass(frozen=True)
class _Job:
    """What is to be run, with what, and for how long; see :func:`run`. ``page``: an export follows."""

    template: Path
    parameters: Mapping[str, Any]
    kernel: KernelHandle | None
    progress: Callable[[Progress], None] | None
    deadline: float | None
    cell_timeout: float | None
    clock: Clock | None
    clean: Callable[[str], str] | None
    page: bool


def _execute(job: _Job, output: Path) -> Any:
    """Runs the job, keeps the record at ``output``, closes the kernel; returns the notebook."""
    kernel = job.kernel
    try:
        given = validated_parameters(parameters_of(job.template), job.parameters)
        with storage_errors(output):
            output.parent.stat()
        kernel = kernel or start_kernel()
        return _papermill(job, output, given, kernel)
    finally:
        if kernel is not None:
            kernel.close()


def prepare() -> None:
    """Imports what :func:`run` needs and makes the checker of the notebook format, which takes as long as to
    draw a plot: for a thread, while something else is waited for."""
    from vmqlib.record._quick import quick_imports

    with quick_imports():
        import nbformat.validator
        import papermill  # noqa: F401
    from vmqlib.record import _execution, _keeper  # noqa: F401

    checker: Any = nbformat.validator.get_validator
    checker(4, 5)


def _papermill(job: _Job, output: Path, parameters: dict[str, Any], kernel: KernelHandle) -> Any:
    prepare()
    import papermill

    if job.page:
        # The exporter takes as long to import as several cells to run; from here on we mostly wait for the kernel.
        from vmqlib.record.html import preload

        threading.Thread(target=preload, name="vmq-preload", daemon=True).start()
    return papermill.execute_notebook(
        str(job.template).replace("{", "{{").replace("}", "}}"),  # papermill fills in what stands in braces
        None,
        parameters,
        engine_name="vmq",
        kernel_name="python3",
        language="python",
        progress_bar=False,
        record_path=output,
        kernel=kernel,
        progress=job.progress,
        run_timeout=job.deadline,
        execution_timeout=job.cell_timeout,
        clock=job.clock,
        clean=job.clean,
    )


def _cells_run(nb: Any) -> int:
    return int(nb.metadata["vmq"]["run"]["cells"]["completed"])


def _export(notebook: Path, page: Path) -> None:
    from vmqlib.record.html import export

    export(notebook, page)
