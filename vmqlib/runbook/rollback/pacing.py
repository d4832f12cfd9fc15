"""How fast an apply goes: a limit that a person sets, a number of workers that follows SlowDown, and pauses."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

__all__ = ["Rate", "Workers", "backoff"]

_BASE_S = 0.1
_CAP_S = 20.0
_ROUNDS = 4
_NEARLY = 1e-9  # of a token: what floating point loses


class Rate:
    """A token bucket: in any span of t seconds at most ``per_second * t + burst`` tokens are given out. Thread-safe.

    Parameters
    ----------
    per_second:
        Tokens a second, above 0.
    burst:
        How many may go at once after a rest; by default a twentieth of a second's, at least 1.
    monotonic:
        A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        per_second: float,
        *,
        burst: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_second = per_second
        self.burst = max(1.0, per_second / 20 if burst is None else burst)
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._tokens = self.burst
        self._at = monotonic()

    def take(self, sleep: Callable[[float], object]) -> bool:
        """Waits for a token and takes it; whoever came first gets it first.

        Parameters
        ----------
        sleep:
            Waits that many seconds. When it returns something true (an Event's ``wait`` does), the wait is given up.

        Returns
        -------
        bool
            Whether a token was taken.
        """
        # Whose turn it is waits inside: a token is taken when it is used, so that late sleepers make no burst.
        with self._turn:
            while True:
                now = self._monotonic()
                self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
                self._at = now
                if self._tokens >= 1 - _NEARLY:
                    self._tokens -= 1
                    return True
                if sleep((1 - self._tokens) / self.per_second):
                    return False


class Workers:
    """How many workers may send at a time: halved when S3 says SlowDown, one more after some rounds without. Never 0.

    Workers are numbered; those from :attr:`limit` on wait.

    Parameters
    ----------
    most:
        The highest number, and the first.
    """

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.limit = self.most
        self.round = 0
        """Which halving a request was sent after; given back to :meth:`slower`."""
        self.lowest = self.most
        self._good = 0
        self._open = True
        self._changed = threading.Condition()

    def admit(self, index: int) -> None:
        """Returns when worker ``index`` may send, or all are let go."""
        if index < self.limit or not self._open:
            return
        with self._changed:
            self._changed.wait_for(lambda: index < self.limit or not self._open)

    def slower(self, round_: int) -> None:
        """Halves, for a request that was sent in that round: of many that were under way together, one counts."""
        with self._changed:
            if round_ == self.round:
                self.round += 1
                self.limit = max(1, self.limit // 2)
                self.lowest = min(self.lowest, self.limit)
            self._good = 0

    def faster(self) -> None:
        """Counts a request that S3 took; after four for each worker there is now, there is one more."""
        if self.limit >= self.most:
            return
        with self._changed:
            self._good += 1
            if self._good >= _ROUNDS * self.limit and self.limit < self.most:
                self._good = 0
                self.limit += 1
                self._changed.notify_all()

    def release(self) -> None:
        """Lets all go: the end."""
        with self._changed:
            self._open = False
            self._changed.notify_all()


def backoff(
    attempt: int, asked: float = 0.0, *, chance: Callable[[], float] = random.random, base: float = _BASE_S
) -> float:
    """Seconds to wait before the next try: twice as long each time, up to 20 s, of which a random half.

    Parameters
    ----------
    attempt:
        How many tries there were, from 1.
    asked:
        Seconds that S3 asked for (``Retry-After``): at least these.
    chance:
        Random numbers from 0 to 1.
    base:
        The first wait.
    """
    longest = min(_CAP_S, base * 2.0 ** min(attempt - 1, 30))
    return max(asked, longest / 2) + chance() * longest / 2
