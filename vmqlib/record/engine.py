"""A papermill engine whose record tells the truth however the run ends.

Registered as ``vmq`` (entry point group ``papermill.engine``): ``papermill --engine vmq template.ipynb
out.ipynb``.

papermill imports this module whenever it is imported itself, in the middle of its own import: so nothing is
imported here that is not needed to define the class, papermill least of all.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput

if TYPE_CHECKING:
    from vmqlib.record._keeper import Progress
    from vmqlib.record.kernel import KernelHandle
    from vmqlib.times import Clock

__all__ = ["HonestEngine"]

_OURS = frozenset({"", "python", "python3", "vmq"})
"""Names under which notebooks know a Python kernel: all are this environment's Python."""


class HonestEngine:
    """Runs a notebook; saves it whole after every cell; raises when it did not run to its end.

    However the run ends — an exception, a time-out, a dead kernel, ``sys.exit``, SIGINT, SIGTERM, even
    SIGKILL — the saved notebook says which cells ran, which one stopped and which did not run, in the
    cells' papermill metadata, in ``metadata.vmq.run`` and, for people, in a banner at its top. Saves are
    atomic.

    papermill asks for the three class methods of an engine; this class has those and no base class, for the
    reason given in the module's text.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = False,
        log_output: bool = False,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        *,
        record_path: Path | None = None,
        run_timeout: float | None = None,
        kernel: KernelHandle | None = None,
        progress: Callable[[Progress], None] | None = None,
        clock: Clock | None = None,
        clean: Callable[[str], str] | None = None,
        stdout_file: Any = None,
        stderr_file: Any = None,
        **_: Any,
    ) -> Any:
        """Runs ``nb`` and returns it.

        Parameters
        ----------
        nb:
            The notebook, parameters injected.
        kernel_name:
            papermill's; only names of a Python kernel are taken, and that kernel is this environment's
            Python.
        output_path:
            papermill's: where to save.
        progress_bar:
            papermill's: show a bar on stderr.
        log_output:
            papermill's: log what cells print.
        start_timeout, execution_timeout:
            papermill's: seconds to wait for the kernel and for each cell.
        record_path:
            Where to save, instead of ``output_path``: papermill then writes nothing itself.
        run_timeout:
            Seconds for the whole run.
        kernel:
            A kernel that was started before; it is closed here.
        progress:
            Called before each code cell.
        clock:
            For the times in the metadata.
        clean:
            Masks secrets in what cells print and in errors; :class:`vmqlib.record.redaction.Redactor`'s by
            default.

        Raises
        ------
        RunFailed
            A cell failed or left the run, or the kernel died.
        DeadlinePassed
            A time-out.
        Interrupted
            SIGINT or SIGTERM.
        StorageError
            The record could not be saved.
        """
        if kernel_name not in _OURS:
            raise BadInput(
                f"A record is run by this environment's Python, not by a kernel named {kernel_name!r}.",
                hint="Leave --kernel out, or run papermill without --engine vmq.",
            )
        from vmqlib.record._execution import Limits, execute
        from vmqlib.record._keeper import RecordKeeper
        from vmqlib.record._outcome import error_for
        from vmqlib.record.kernel import start_kernel

        path = record_path or (Path(output_path) if output_path and output_path != "-" else None)
        _settle_ids(nb)
        if record_path is not None:
            # The names suffice: where the kit and the incident lie is this machine's affair.
            about = nb.metadata.setdefault("papermill", {})
            about["input_path"], about["output_path"] = (
                Path(str(about.get("input_path"))).name,
                record_path.name,
            )
        with kernel or start_kernel() as running, _bar(progress_bar, progress) as tell:
            keeper = RecordKeeper(nb, path, clock=clock, progress=tell, clean=clean or _redactor())
            keeper.begin()
            options = {"log_output": log_output, "stdout_file": stdout_file, "stderr_file": stderr_file}
            limits = Limits(start=start_timeout, cell=execution_timeout, run=run_timeout)
            stop = execute(keeper, running, limits, **options)
            happened = keeper.end(stop)
        if stop is not None:
            raise error_for(stop, happened, str(path or ""))
        return nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The kernel's name: the one asked for, else the notebook's, else ``python3``."""
        return name or nb.metadata.get("kernelspec", {}).get("name") or "python3"

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The notebook's language: ``python`` where it does not say."""
        return language or nb.metadata.get("kernelspec", {}).get("language") or "python"


def _settle_ids(nb: Any) -> None:
    """Gives every cell an id that is the same in every run: what papermill injects has a random one."""
    nb.nbformat_minor = max(nb.nbformat_minor, 5)
    taken: set[str] = set()
    for number, cell in enumerate(nb.cells):
        name = str(cell.get("id") or f"cell-{number}")
        if "injected-parameters" in cell.metadata.get("tags", ()):
            name = "injected-parameters"
        while name in taken:
            name = f"{name[:50]}-{number}"
        cell["id"] = name
        taken.add(name)


def _redactor() -> Callable[[str], str] | None:
    from vmqlib.record.redaction import Redactor

    return Redactor().text


class _bar:  # noqa: N801 - a context manager, used as a function
    """papermill's progress bar, when it is wanted, beside whoever else wants to know."""

    def __init__(self, wanted: bool | dict[str, Any], other: Callable[[Progress], None] | None) -> None:
        self._wanted = wanted
        self._other = other
        self._bar: Any = None

    def __enter__(self) -> Callable[[Progress], None] | None:
        if self._wanted is False:
            return self._other
        tqdm: Any = import_module("tqdm").tqdm

        given = self._wanted if isinstance(self._wanted, dict) else {}
        self._bar = tqdm(**{"unit": "cell", "desc": "Executing", **given})
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _tell(self, progress: Progress) -> None:
        self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)
        if self._other is not None:
            self._other(progress)
