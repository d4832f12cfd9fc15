"""Threads for looks, which nobody has to wait for: a look changes nothing, so one that hangs may be dropped."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from concurrent.futures import TimeoutError as LateError
from typing import Any, Final, ParamSpec, TypeVar

from vmqlib.errors import Unreachable

__all__ = ["GRACE_S", "Crew", "unless", "within"]

P = ParamSpec("P")
T = TypeVar("T")
_TICK_S = 0.05

GRACE_S: Final = 5.0
"""Seconds that changes in flight have to end after Ctrl-C: an orchestrator's time-out is ten."""


class Crew(Executor):
    """A pool of daemon threads: Ctrl-C ends the process at once, even while AWS keeps one of them waiting.

    ``ThreadPoolExecutor`` waits for its threads where a ``with`` block is left, and again when the interpreter ends.
    This one waits in the ``with`` block too, but not for what is interrupted, and never at the end.

    Parameters
    ----------
    workers:
        How many threads at most.
    name:
        What they are called.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._todo: queue.SimpleQueue[tuple[Future[Any], Callable[[], None]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._workers, self._name = workers, name

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has it called by one of the threads."""
        future: Future[T] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
                future.set_exception(error)

        self._todo.put((future, task))
        if len(self._threads) < self._workers:
            name = f"{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads when they have done what there is to do; nothing more may be submitted."""
        if cancel_futures:
            with contextlib.suppress(queue.Empty):
                while (left := self._todo.get_nowait()) is not None:
                    left[0].cancel()
        for _ in self._threads:
            self._todo.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for what runs, unless somebody interrupts; after an error, what has not begun is left out."""
        interrupted = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=not interrupted, cancel_futures=kind is not None)

    def _work(self) -> None:
        while (one := self._todo.get()) is not None:
            one[1]()


def unless(stop: threading.Event | None, look: Callable[[], T]) -> T:
    """What ``look`` returns or raises, unless somebody wants an end first: then it is dropped.

    For where Ctrl-C sets an event instead of being raised: a call to an AWS that does not answer would not notice.

    Parameters
    ----------
    stop:
        Set by whoever wants it to end; ``None``: nobody can.
    look:
        Something that changes nothing.

    Raises
    ------
    KeyboardInterrupt
        ``stop`` was set.
    """
    if stop is None:
        return look()
    crew = Crew(1, "vmq-unless")
    late = crew.submit(look)
    crew.shutdown(wait=False)
    while not stop.is_set():
        if wait([late], _TICK_S).done:
            return late.result()
    raise KeyboardInterrupt


def within(seconds: float, look: Callable[[], T], what: str) -> T:
    """What ``look`` returns or raises, where it does so in time. One that takes longer is dropped.

    Parameters
    ----------
    seconds:
        How long to wait, by the real clock.
    look:
        Something that changes nothing.
    what:
        The call that it makes, in IAM's spelling.

    Raises
    ------
    Unreachable
        There was no answer in time.
    """
    crew = Crew(1, "vmq-within")
    late = crew.submit(look)
    crew.shutdown(wait=False)
    try:
        return late.result(seconds)
    except LateError as error:
        if late.done():  # the look's own
            raise
        raise Unreachable(
            f"AWS does not answer {what}: nothing came for {seconds:.0f} s.",
            hint="Check the network, the VPN or proxy, and AWS_ENDPOINT_URL if it is set.",
            operation=what,
            late=True,
        ) from error
