"""How far an apply is, how fast, and how long it will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Meter", "Progress"]

_SMOOTH_S = 3.0


@dataclass(frozen=True)
class Progress:
    """Where an apply stands, earlier runs of the same log included.

    Parameters
    ----------
    done, found, changed, failed:
        Items with that outcome.
    left:
        Items that have none yet; -1 when nobody knows how many there are.
    total:
        Items that change something; 0 when not known.
    seconds:
        Since this run began.
    rate:
        Items a second, smoothed over some seconds.
    eta:
        Seconds that the rest takes at that rate; ``None`` when that cannot be said.
    workers:
        How many requests may be under way now.
    """

    done: int = 0
    found: int = 0
    changed: int = 0
    failed: int = 0
    left: int = -1
    total: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    eta: float | None = None
    workers: int = 0

    @property
    def decided(self) -> int:
        """Items that have an outcome."""
        return self.done + self.found + self.changed + self.failed


class Meter:
    """Turns counts into :class:`Progress`.

    Parameters
    ----------
    total:
        Items that change something; 0: unknown.
    earlier:
        Outcomes of earlier runs.
    monotonic:
        A clock that never goes back, in seconds.
    """

    def __init__(self, total: int, earlier: Mapping[str, int], monotonic: Callable[[], float]) -> None:
        self._total, self._earlier, self._monotonic = total, earlier, monotonic
        self._began = self._at = monotonic()
        self._decided = 0
        self._rate = 0.0

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return self._monotonic() - self._began

    def look(self, counts: Mapping[str, int], workers: int) -> Progress:
        """The progress now; ``counts`` are this run's."""
        now, decided = self._monotonic(), sum(counts.values())
        if (span := now - self._at) > 0:
            # The mean since the beginning at first, then one that forgets what is some seconds old.
            weight = max(1 - math.exp(-span / _SMOOTH_S), span / max(span, now - self._began))
            self._rate += weight * ((decided - self._decided) / span - self._rate)
            self._at, self._decided = now, decided
        both = {name: count + self._earlier.get(name, 0) for name, count in counts.items()}
        left = max(0, self._total - sum(both.values())) if self._total else -1
        eta = left / self._rate if left >= 0 and self._rate > 0 else (0.0 if left == 0 else None)
        return Progress(
            **both,
            left=left,
            total=self._total,
            seconds=now - self._began,
            rate=self._rate,
            eta=eta,
            workers=workers,
        )
