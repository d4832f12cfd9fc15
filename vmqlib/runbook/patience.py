"""Going on when AWS throttles or cannot be reached for a moment: beyond what boto3 repeats by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from vmqlib.errors import AwsError, Throttled, Unreachable

__all__ = ["PASSING", "Patience"]

T = TypeVar("T")

PASSING: tuple[type[AwsError], ...] = (Throttled, Unreachable)
"""Errors that go away by themselves. All others stay until somebody acts."""

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 1.0, 15.0, 1.6


@dataclass(frozen=True)
class Patience:
    """How long to go on with something that may be asked again.

    Parameters
    ----------
    seconds:
        In all.
    sleep, monotonic, rng:
        Waits; tells how long it was; the jitter of the pauses.
    """

    seconds: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def __call__(self, ask: Callable[[], T], *, on: tuple[type[AwsError], ...] = PASSING) -> T:
        """What ``ask`` returns, asked again while it fails with one of ``on`` and there is time.

        Raises
        ------
        AwsError
            The last such error when the time is up; any other at once.
        """
        until, pause = self.monotonic() + self.seconds, _FIRST_PAUSE
        while True:
            try:
                return ask()
            except on as error:
                left = until - self.monotonic()
                if left <= 0:
                    raise
                asked_for = error.retry_after if isinstance(error, Throttled) else 0.0
                self.sleep(min(left, max(asked_for, pause * self.rng.uniform(0.8, 1.2))))
                pause = min(_LONGEST_PAUSE, pause * _GROWTH)
