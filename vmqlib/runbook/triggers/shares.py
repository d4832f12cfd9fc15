"""Whether a share leapt: few counts against few counts, without taking chance for a cause."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

__all__ = ["FEW", "Leap", "compare"]

FEW = 20
"""Fewer questions than this before are nothing to compare with."""
_BY_CHANCE = 1e-4
"""How rarely chance alone may bring as many: it is asked every minute, of many spans of time."""


@dataclass(frozen=True)
class Leap:
    """Blocked questions now and before.

    Parameters
    ----------
    asked, blocked:
        Of the span in question.
    before_asked, before_blocked:
        Of the time it is compared with.
    leapt:
        Whether that is more than chance and more than the factor allows; ``None`` where it looks like it, and there
        is too little to compare with.
    """

    asked: int
    blocked: int
    before_asked: int
    before_blocked: int
    leapt: bool | None

    @property
    def expected(self) -> float | None:
        """How many would have been blocked by the share of before; ``None`` where nobody asked then."""
        return self.asked * self.before_blocked / self.before_asked if self.before_asked else None

    @property
    def share(self) -> float:
        """Which part was blocked."""
        return self.blocked / self.asked if self.asked else 0.0


def compare(
    asked: int, blocked: int, before_asked: int, before_blocked: int, *, factor: float, at_least: int
) -> Leap:
    """Compares two shares. The more of the same questions are blocked, the more it is a leap.

    Parameters
    ----------
    asked, blocked:
        Counts of the span in question. Metrics of one period arrive one after another: more may be blocked than
        asked for a moment, and count as all.
    before_asked, before_blocked:
        Counts to compare with.
    factor:
        How many times the share of before it must be.
    at_least:
        How many must be blocked.
    """
    blocked, before_blocked = min(blocked, asked), min(before_blocked, before_asked)
    leapt: bool | None = False
    if blocked >= at_least:
        if before_asked < FEW:
            leapt = None
        # blocked / asked >= factor * before_blocked / before_asked, without dividing.
        elif blocked * before_asked >= factor * before_blocked * asked:
            leapt = _chance(asked, blocked, before_asked, before_blocked) <= _BY_CHANCE
    return Leap(asked, blocked, before_asked, before_blocked, leapt)


def _chance(asked: int, blocked: int, before_asked: int, before_blocked: int) -> float:
    """How likely it is that so many of all the blocked questions fall into the span in question, were they spread over
    all questions alike (Fisher's exact test, one-sided): right for any counts, however few."""
    total, hits = asked + before_asked, blocked + before_blocked
    ways = sum(
        comb(hits, k) * comb(total - hits, asked - k)
        for k in range(blocked, min(asked, hits) + 1)
        if 0 <= asked - k <= total - hits
    )
    return ways / comb(total, asked)
