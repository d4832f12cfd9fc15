"""Nobody has synchronised for days: the schedule was emptied for a piece of work, and never set again.

What happened: three days ago an operator switched the schedule off (UpdateDataSource with an empty one) and told CI
to hold its syncs, so that work on the index would not be disturbed. The work was done within the hour; the hold
stayed. Documents are edited, pushed and promoted as ever, and none of it is in the index: new pages are not found,
and answers quote figures that have changed since.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.documents import Page, corpus
from vmqlib.simulator.scenarios.operators import harmless_changes, pick
from vmqlib.simulator.scenarios.routine import Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["NoSync"]

_SWITCHED_OFF = timedelta(days=2, hours=22)  # before "now", as all of these; less up to three hours
_WRITTEN = timedelta(hours=11)
_ANNOUNCED = timedelta(hours=7)
_NEW_PAGES = 8
_QUESTIONS = 3.0  # times as many as on other days
_WHY = (
    "index maintenance, schedule off until it is done",
    "capacity units are being changed, no syncs meanwhile",
    "schedule off while the promotion is looked into",
)
_HOLD_KEY = "ci/hold.json"


@dataclass(frozen=True)
class NoSync:
    """The account that has not been synchronised for three days."""

    name: str = "no-sync"
    summary: str = (
        "The sync schedule was emptied three days ago and nothing has synchronised since; "
        "NoSync is in ALARM, and new documents are not found."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets three weeks pass, the last three days of them without a sync."""
        rng = stage.random("no-sync")
        later = _new_pages(rng, corpus(stage.seed))
        routine = Routine(stage, later)
        routine.prepare()
        neglect = _Neglect(stage, routine, pick(rng), rng.choice(_WHY), later)
        harmless_changes(stage, rng)
        stage.at(stage.now - _SWITCHED_OFF + timedelta(minutes=rng.randrange(180)), neglect.switch_off)
        stage.at(stage.now - _WRITTEN, neglect.write)
        stage.at(stage.now - _ANNOUNCED, neglect.announce)
        routine.play()
        return neglect.truth()


@dataclass
class _Neglect:
    stage: Stage
    routine: Routine
    who: str
    why: str
    later: tuple[str, ...]
    pages: tuple[Page, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.pages = tuple(self.routine.pages[key] for key in self.later)

    def switch_off(self, moment: datetime) -> None:
        """The schedule goes, and CI is told to hold its syncs."""
        from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

        with acting_as(self.who):
            self.stage.client("qbusiness").update_data_source(**self.stage.data_source, syncSchedule="")
        self.routine.hold = self.why
        self.stage.bucket.put_json(
            _HOLD_KEY, {"ts": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "by": self.who, "reason": self.why}
        )

    def write(self, moment: datetime) -> None:
        """New pages are merged; the next promotion brings them."""
        self.routine.build(self.pages, moment)

    def announce(self, moment: datetime) -> None:
        """People are told of the new pages, and ask about them."""
        self.routine.people.turn_to(self.pages, _QUESTIONS, moment)

    def truth(self) -> Truth:
        """What happened."""
        ended_at = self.routine.last_good().ended_at
        if ended_at is None:
            raise RuntimeError("The last good sync has no end.")
        return replace(
            self.routine.truth(),
            fires=frozenset({"no-sync"}),
            since=ended_at + timedelta(hours=24),
            suspect="aws-call:UpdateDataSource",
            who=self.who,
            missing_keys=self.later,
        )


def _new_pages(rng: random.Random, pages: tuple[Page, ...]) -> tuple[str, ...]:
    guides = [page.key for page in pages if page.key.startswith("guides/")]
    return tuple(sorted(rng.sample(guides, _NEW_PAGES)))
