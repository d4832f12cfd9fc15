"""The simulator's time. The clients' clocks are never touched: boto3 goes on signing with the real one.

moto asks one function for the time, ``moto.core.utils.utcnow``, which its modules import by name. Its *code*
is replaced here, so every importer sees the simulated time, whether it was loaded before or is loaded later.
A few modules call ``datetime.now`` themselves; these get a ``datetime`` class whose ``now`` is simulated.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

__all__ = ["SimClock", "moto_time"]

_CALLS_NOW_ITSELF = ("moto.s3.models", "moto.cloudwatch.models", "moto.ses.models")
_READERS: list[Callable[[], datetime]] = []  # at most one: the clock that moto lives by


class SimClock:
    """What the simulator takes for "now": the real time, unless it was shifted or pinned.

    Safe to use from several threads. :meth:`at` affects the calling thread only, so that a request that is
    working through past events does not change what another thread reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shift = timedelta()
        self._pinned: datetime | None = None
        self._here = threading.local()

    def now(self) -> datetime:
        """The simulated present, timezone-aware UTC."""
        moment: datetime | None = getattr(self._here, "moment", None)
        if moment is not None:
            return moment
        with self._lock:
            return self._pinned if self._pinned is not None else datetime.now(UTC) + self._shift

    def set(self, moment: datetime) -> None:
        """Pins the clock: it says ``moment`` (timezone-aware) until told otherwise."""
        with self._lock:
            self._pinned = moment.astimezone(UTC)

    def advance(self, span: timedelta) -> datetime:
        """Moves the clock forward by ``span``, whether it stands or runs, and returns the new time.

        Raises
        ------
        ValueError
            When ``span`` is negative: what has happened cannot unhappen.
        """
        if span < timedelta():
            raise ValueError(f"The simulator's clock only moves forward, not by {span}.")
        with self._lock:
            if self._pinned is not None:
                self._pinned += span
            else:
                self._shift += span
        return self.now()

    def run(self) -> None:
        """Lets a pinned clock run on from where it stands, at the real pace."""
        with self._lock:
            if self._pinned is not None:
                self._shift = self._pinned - datetime.now(UTC)
                self._pinned = None

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """In this thread, within the block, it is ``moment`` (timezone-aware)."""
        before = getattr(self._here, "moment", None)
        self._here.moment = moment.astimezone(UTC)
        try:
            yield
        finally:
            self._here.moment = before


def _read_simulated() -> datetime:
    """The simulated time as moto wants it: naive UTC. Called by the replaced ``utcnow``."""
    read = _READERS[-1] if _READERS else SimClock().now
    return read().replace(tzinfo=None)


class _DatetimeType(type(datetime)):  # type: ignore[misc]
    """Makes plain datetimes instances of the stand-in class, too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class _SimulatedDatetime(datetime, metaclass=_DatetimeType):
    """``datetime`` whose ``now`` and ``utcnow`` are simulated; everything it makes is a plain datetime."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        aware = _read_simulated().replace(tzinfo=UTC)
        return aware.astimezone(tz) if tz is not None else aware.astimezone().replace(tzinfo=None)

    @classmethod
    def utcnow(cls) -> datetime:  # type: ignore[override]
        return _read_simulated()


def _utcnow_code() -> CodeType:
    def utcnow() -> Any:
        from vmqlib.simulator.clock import _read_simulated as read

        return read()

    return utcnow.__code__


def _stand_in(module: ModuleType) -> object:
    """What takes the place of the module's global ``datetime``: the class, or a namespace that holds it."""
    current = module.__dict__["datetime"]
    if isinstance(current, type):
        return _SimulatedDatetime
    return SimpleNamespace(**{**vars(current), "datetime": _SimulatedDatetime})


@contextmanager
def moto_time(clock: SimClock) -> Iterator[None]:
    """Within the block moto lives by ``clock``. For one simulator at a time: moto's state is the process's.

    Raises
    ------
    RuntimeError
        When moto already lives by another clock.
    """
    if _READERS:
        raise RuntimeError("moto already lives by another clock in this process.")
    from moto.core.utils import utcnow

    with ExitStack() as undo:
        original = utcnow.__code__
        _READERS.append(clock.now)
        undo.callback(_READERS.clear)
        utcnow.__code__ = _utcnow_code()
        undo.callback(setattr, utcnow, "__code__", original)
        for name in _CALLS_NOW_ITSELF:
            module = importlib.import_module(name)
            undo.callback(setattr, module, "datetime", module.__dict__["datetime"])
            module.__dict__["datetime"] = _stand_in(module)
        yield
