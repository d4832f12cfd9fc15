"""What a scenario is played on: the empty account, its clock and its course of events."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.simulator.clock import SimClock
from vmqlib.simulator.faults import Fault
from vmqlib.simulator.identity import ACCOUNT_ID, REGION, Resources
from vmqlib.simulator.inprocess import Clients
from vmqlib.simulator.protocols import Answer, Environ
from vmqlib.simulator.scenarios.bucket import Bucket
from vmqlib.simulator.world import World

if TYPE_CHECKING:
    from vmqlib.simulator.qbusiness.models import QBusinessBackend

__all__ = ["WATCH_EVERY", "Progress", "Stage"]

Progress = Callable[[str, float], None]
_ROUND = timedelta(minutes=5)
WATCH_EVERY = timedelta(minutes=5)
"""How often the account's watcher of syncs looks, and the period of its alarm, unless a drill wants it shorter."""


class Stage:
    """The account to be set up.

    Parameters
    ----------
    clock:
        The simulated clock.
    world:
        Its course of events.
    answer:
        Answers requests to the services, faults left out.
    seed:
        Of everything random.
    progress:
        Told what is being done, and how much of it is done (0 to 1).
    watch_every:
        How often the account's watcher of syncs looks, and the period of its alarm QBusinessSyncFailed.

    Attributes
    ----------
    faults:
        What callers from outside meet once the account is set up. What the scenario itself does meets none of it.
    """

    def __init__(
        self,
        clock: SimClock,
        world: World,
        answer: Callable[[Environ], Answer],
        seed: int,
        progress: Progress | None = None,
        watch_every: timedelta = WATCH_EVERY,
    ) -> None:
        self.clock = clock
        self.world = world
        self.seed = seed
        self.watch_every = watch_every
        self.client = Clients(answer)
        self.resources = Resources()
        self.present = clock.now()
        self.now = _floor(self.present)
        self.faults: list[Fault] = []
        self._progress = progress

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that one does not disturb another."""
        return random.Random(f"{self.seed}/{purpose}")

    def ago(self, **span: float) -> datetime:
        """That long before ``now``, for example ``ago(hours=9)``."""
        return self.now - timedelta(**span)

    def at(self, moment: datetime, action: Callable[[datetime], object]) -> None:
        """Lets ``action`` happen at ``moment``."""
        self.world.script.at(moment, action)

    def report(self, text: str, share: float) -> None:
        """Tells how far the set-up is."""
        if self._progress is not None:
            self._progress(text, share)

    def play(self, begins_at: datetime, steps: int = 12) -> None:
        """Lets everything happen from ``begins_at`` up to the present."""
        span = self.present - begins_at
        for step in range(1, steps + 1):
            self.world.advance(begins_at + span * step / steps)
            self.report("playing three weeks", step / steps)

    @property
    def bucket(self) -> Bucket:
        """The knowledge base's bucket, in process."""
        return Bucket(self.resources.bucket_name, self.clock)

    @property
    def qbusiness(self) -> QBusinessBackend:
        """The Q Business backend of the account, in process."""
        from vmqlib.simulator.qbusiness.models import qbusiness_backends

        return qbusiness_backends[ACCOUNT_ID][REGION]

    @property
    def data_source(self) -> dict[str, Any]:
        """The parameters that name the data source in every call."""
        ids = self.resources
        return {"applicationId": ids.app_id, "indexId": ids.index_id, "dataSourceId": ids.ds_id}


def _floor(moment: datetime) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (moment - day) // _ROUND * _ROUND
