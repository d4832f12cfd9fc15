"""Nothing is wrong: three weeks of daily syncs, a few promotions, people who get answers."""

from __future__ import annotations

from dataclasses import dataclass

from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.routine import Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["Healthy"]


@dataclass(frozen=True)
class Healthy:
    """The healthy account."""

    name: str = "healthy"
    summary: str = "Three weeks of daily syncs and routine promotions; nothing is wrong."

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets three weeks pass."""
        routine = Routine(stage)
        routine.prepare()
        routine.play()
        return routine.truth()
