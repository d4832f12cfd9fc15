"""Runs the cells of a notebook in one kernel and says truthfully how that went.

Built on papermill's client, of which it keeps how messages become outputs, and replaces the rest: how the
kernel is connected to, how long is waited, and what counts as an end. papermill itself notices only
exceptions in a cell; after a time-out, a signal or the death of the kernel it saves cells that never ran as
completed.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from vmqlib.record._keeper import RecordKeeper
from vmqlib.record._outcome import Stop
from vmqlib.record._saving import node
from vmqlib.record.kernel import KernelHandle
from vmqlib.times import duration

__all__ = ["Limits", "execute"]

_NOTICE_DEATH = 0.2
"""Seconds between two looks at whether the kernel lives."""

_LAST_WORDS = 100
"""Hundredths of a second that a dead kernel's messages are given to be read."""

_TRACEBACK_WAIT = 2.0
"""Seconds that a stuck cell is given to say where it was, once interrupted."""


@dataclass(frozen=True)
class Limits:
    """How long is waited for what, in seconds; None for ever.

    Parameters
    ----------
    start:
        For the kernel to answer.
    cell:
        For one cell.
    run:
        For the whole run.
    """

    start: float = 60.0
    cell: float | None = None
    run: float | None = None


def execute(keeper: RecordKeeper, kernel: KernelHandle, limits: Limits, **options: Any) -> Stop | None:
    """Runs every cell; returns why it stopped before the end, or None.

    SIGINT and SIGTERM end the run in an orderly way when this is the main thread. Works also where an event
    loop is running already, as in JupyterLab.

    Parameters
    ----------
    keeper:
        The notebook and where it is kept.
    kernel:
        Where the cells run; closed by whoever started it.
    limits:
        How long is waited.
    options:
        Passed on to papermill's client: ``log_output``, ``stdout_file``, ``stderr_file``.

    Raises
    ------
    StorageError
        When the record cannot be saved.
    """
    client = _RecordClient(keeper, kernel, limits, **options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(client.run_all())
    return _in_thread(lambda: asyncio.run(client.run_all()))


class _KernelClient(AsyncKernelClient):
    """A client whose kernel is a process of ours: whether that lives is asked of the process."""

    handle: KernelHandle | None = None

    async def _async_is_alive(self) -> bool:
        return self.handle is not None and self.handle.alive

    is_alive = _async_is_alive


class _RecordClient(PapermillNotebookClient):  # type: ignore[misc]
    def __init__(self, keeper: RecordKeeper, kernel: KernelHandle, limits: Limits, **options: Any) -> None:
        super().__init__(
            keeper,
            timeout=None,
            force_raise_errors=True,
            record_timing=False,
            iopub_timeout=30,
            coalesce_streams=True,
            **options,
        )
        self.keeper = keeper
        self.kernel = kernel
        self.limits = limits
        self.on_cell_executed = self._note_reply
        self.kc: Any = None
        self._asked_to_exit = False
        self._last: int | None = None

    # --- the run ----------------------------------------------------------------------------------

    async def run_all(self) -> Stop | None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self.limits.run if self.limits.run else None
        self._signalled: asyncio.Future[Any] = loop.create_future()
        self.reset_execution_trackers()
        with _on_signals(loop, self._signal):
            try:
                return await self._connect() or await self._run_cells()
            finally:
                if self.kc is not None:
                    self.kc.stop_channels()
                    self.kc = None

    async def _run_cells(self) -> Stop | None:
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                self.keeper.skipped(index)
                continue
            if self._asked_to_exit:
                return Stop("exited", "exit()", "", self._last)
            self._last = index
            self.keeper.started(index)
            stop = await self._run_cell(cell, index)
            if stop is not None:
                self._show(cell, stop)
                self.keeper.stopped(index)
                return stop
            self.keeper.finished(index)
        self.set_widgets_metadata()
        return None

    async def _run_cell(self, cell: Any, index: int) -> Stop | None:
        limit, what = self._limit()
        task = asyncio.ensure_future(self.async_execute_cell(cell, index))
        await asyncio.wait({task, self._signalled}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return self._verdict(task, cell, index)
        if self._signalled.done():
            stop = cast("Stop", self._signalled.result())
        else:
            stop = Stop("timed-out", "TimeoutError", what)
            # Interrupted as by Ctrl-C, the cell says in its output where it was.
            self.kernel.interrupt()
            await asyncio.wait({task}, timeout=_TRACEBACK_WAIT)
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
        return Stop(stop.status, stop.name, stop.value, index)

    def _verdict(self, task: asyncio.Future[Any], cell: Any, index: int) -> Stop | None:
        """What became of a cell that is over."""
        error = task.exception()
        match error:
            case None:
                # A traceback that was printed and not raised: papermill takes that for a failure, too.
                shown = next((output for output in cell.outputs if output.output_type == "error"), None)
                return Stop("failed", shown.ename, shown.evalue, index) if shown else None
            case CellExecutionError():
                status: Any = "exited" if error.ename == "SystemExit" else "failed"
                return Stop(status, error.ename, error.evalue, index)
            case DeadKernelError():
                return Stop("kernel-died", "DeadKernelError", self.kernel.death(), index)
            case CellTimeoutError():
                return Stop(
                    "timed-out",
                    "TimeoutError",
                    f"{self.iopub_timeout} s without the end of its output",
                    index,
                )
            case _:
                raise error

    def _limit(self) -> tuple[float | None, str]:
        """Seconds that the next cell may take, and what that limit is called."""
        left = (
            None if self._deadline is None else max(0.0, self._deadline - asyncio.get_running_loop().time())
        )
        if left is not None and (self.limits.cell is None or left < self.limits.cell):
            return left, f"{_seconds(self.limits.run)}, the time given to the whole run"
        return self.limits.cell, f"{_seconds(self.limits.cell)}, the time given to one cell"

    def _show(self, cell: Any, stop: Stop) -> None:
        """Gives the cell an error output where the kernel did not get to send one."""
        if not any(output.output_type == "error" for output in cell.outputs):
            value = stop.value or stop.name
            line = f"{stop.name}: {value}"
            error = {"output_type": "error", "ename": stop.name, "evalue": value, "traceback": [line]}
            cell.outputs = [*cell.outputs, node(error)]

    def _signal(self, number: signal.Signals) -> None:
        if not self._signalled.done():
            self._signalled.set_result(Stop("interrupted", number.name, ""))

    def _note_reply(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        payload = (execute_reply.get("content") or {}).get("payload") or []
        self._asked_to_exit |= any(item.get("source") == "ask_exit" for item in payload)

    # --- the kernel -------------------------------------------------------------------------------

    async def _connect(self) -> Stop | None:
        """Waits until the kernel answers and its outputs arrive: jupyter_client's wait less its pauses."""
        self.kc = _KernelClient()
        self.kc.handle = self.kernel
        self.kc.load_connection_info(dict(self.kernel.connection))
        self.kc.start_channels(stdin=False, hb=False, control=False)
        self.kc.allow_stdin = False
        ready: asyncio.Future[Any] = asyncio.ensure_future(self._answered())
        limit = min(self.limits.start, self.limits.run or self.limits.start)
        loop = asyncio.get_running_loop()
        until = loop.time() + limit
        while not ready.done() and self.kernel.alive and loop.time() < until and not self._signalled.done():
            await asyncio.wait(
                {ready, self._signalled}, timeout=_NOTICE_DEATH, return_when=asyncio.FIRST_COMPLETED
            )
        if ready.done() and not self._signalled.done():
            ready.result()
            return None
        ready.cancel()
        if self._signalled.done():
            return cast("Stop", self._signalled.result())
        if not self.kernel.alive:
            return Stop("kernel-died", "DeadKernelError", self.kernel.death())
        return Stop("timed-out", "TimeoutError", f"{_seconds(limit)} without an answer of the kernel")

    async def _answered(self) -> None:
        """Returns once the kernel answers on one channel and what it publishes comes in on the other."""
        assert self.kc is not None
        asked = self.kc.kernel_info()
        heard = False
        while True:
            if not heard:
                reply = await self.kc.shell_channel.get_msg(timeout=None)
                heard = reply["msg_type"] == "kernel_info_reply"
                if heard:
                    self.nb.metadata["language_info"] = reply["content"]["language_info"]
                continue
            if not await self.kc.iopub_channel.msg_ready():
                # Published before our subscription had arrived: ask again until something is heard.
                await asyncio.sleep(0.02)
                if not await self.kc.iopub_channel.msg_ready():
                    asked, heard = self.kc.kernel_info(), False
                continue
            message = await self.kc.iopub_channel.get_msg(timeout=None)
            if (
                message["parent_header"].get("msg_id") == asked
                and message["content"].get("execution_state") == "idle"
            ):
                return

    async def _async_poll_kernel_alive(self) -> None:
        while True:
            await asyncio.sleep(_NOTICE_DEATH)
            if not self.kernel.alive:
                for _ in range(_LAST_WORDS):  # what it managed to say is still to be read
                    if not await self.kc.iopub_channel.msg_ready():
                        break
                    await asyncio.sleep(0.01)
                if self.task_poll_for_reply is not None:
                    self.task_poll_for_reply.cancel()
                return

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        super()._update_display_id(display_id, msg)
        for index in self._display_id_map.get(display_id, {}):
            self.keeper.changed(index)


@contextmanager
def _on_signals(loop: asyncio.AbstractEventLoop, tell: Callable[[signal.Signals], None]) -> Iterator[None]:
    """SIGINT and SIGTERM are told of instead of ending the process, until the block is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, tell, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _in_thread(call: Callable[[], Stop | None]) -> Stop | None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def _seconds(limit: float | None) -> str:
    from datetime import timedelta

    if limit is None:
        return ""
    return f"{limit:g} s" if limit < 60 else duration(timedelta(seconds=limit))
