"""SIGTERM and SIGINT end what is served in this process, quietly."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

__all__ = ["stoppable"]


class _Stop(BaseException):  # no library may take it for one of its own errors
    """SIGTERM or SIGINT came."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it SIGTERM and SIGINT end the block, and nothing else. From the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for other in before:  # what is being stopped is not stopped again
            signal.signal(other, signal.SIG_IGN)
        raise _Stop

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    except _Stop:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
