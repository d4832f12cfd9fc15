"""The assistant shows what it must not: housekeeping prefixes and a payroll folder indexed, a closed folder open.

What happened: an operator widened the connector's filter to JSON and set it from a template that had no exclusions
(UpdateDataSource); the ACL file was written anew in the same piece of work, with a rule for a new folder in place of
the one that closed ``security/``. The sync after that indexed ``_staging/``, ``audit/`` and ``ci/`` and opened
``security/`` to everyone. Hours later a folder of Human Resources was copied to the wrong bucket, and the daily sync
indexed it.

With some seeds somebody has since put the exclusions back, and the daily sync SUCCEEDED: but what was to be taken
out of the index is far more than the deletion safeguard lets go, so it is all still there.
"""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.bucket import HOUSEKEEPING
from vmqlib.simulator.scenarios.documents import ACL_KEY, Page, acl_file
from vmqlib.simulator.scenarios.operators import OPERATORS, harmless_changes, pick
from vmqlib.simulator.scenarios.prose import prose
from vmqlib.simulator.scenarios.routine import Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["UnauthorizedContent"]

_EARLIEST = timedelta(hours=7)  # before "now", as all of these; the last promotion was nine hours ago
_LATEST = timedelta(hours=5)
_ACL = timedelta(minutes=6)  # after the connector's change, as the next
_SYNC = timedelta(minutes=9)
_COPIED = timedelta(hours=3)
_MENDED = timedelta(minutes=100)
_NOTICED = timedelta(minutes=62)
_QUESTIONS = 6.0  # times as many as on other days
_PAYROLL = "hr/payroll/"
_CLOSED = "security/"
_LEGAL = {"legal/": "legal@vaultmesh.io"}


@dataclass(frozen=True)
class UnauthorizedContent:
    """The account whose index holds what nobody may read there."""

    name: str = "unauthorized-content"
    summary: str = (
        "The connector lost its exclusions and the ACL file its rule for security/; staging, audit records and a "
        "payroll folder are indexed and quoted."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets three weeks pass, and the changes of the last hours with them."""
        rng = stage.random("unauthorized-content")
        routine = Routine(stage)
        routine.prepare()
        harmless_changes(stage, rng)
        leak = _Leak(stage, routine, pick(rng), tuple(_payroll(rng, stage.seed)))
        leak.at = stage.now - _LATEST - (_EARLIEST - _LATEST) * rng.random()
        stage.at(leak.at, leak.widen)
        stage.at(leak.at + _ACL, leak.rewrite_acl)
        stage.at(leak.at + _SYNC, lambda moment: routine.sync(moment, "connector changed"))
        stage.at(stage.now - _COPIED - timedelta(minutes=rng.randrange(60)), leak.copy_payroll)
        if rng.random() < 0.4:
            other = rng.choice([name for name in OPERATORS if name != leak.who])
            stage.at(stage.now - _MENDED, lambda _: leak.put_back(other))
        stage.at(stage.now - _NOTICED, leak.notice)
        routine.play()
        return leak.truth()


@dataclass
class _Leak:
    stage: Stage
    routine: Routine
    who: str
    payroll: tuple[Page, ...]
    at: datetime = field(init=False)
    before: dict[str, Any] = field(init=False)

    def widen(self, _: datetime) -> None:
        """The connector's filter is set anew, without exclusions."""
        source = self.stage.client("qbusiness").get_data_source(**self.stage.data_source)
        self.before = source["configuration"]
        after = deepcopy(self.before)
        after["additionalProperties"] |= {"inclusionPatterns": ["*.md", "*.json"], "exclusionPrefixes": []}
        self._configure(after, self.who)

    def put_back(self, who: str) -> None:
        """Somebody puts the exclusions back."""
        self._configure(self.before, who)

    def rewrite_acl(self, _: datetime) -> None:
        """The ACL file closes another folder now, and ``security/`` no longer."""
        bucket = self.stage.bucket
        bucket.put(ACL_KEY, acl_file(bucket.name, _LEGAL))

    def copy_payroll(self, moment: datetime) -> None:
        """Human Resources' folder comes to the root."""
        self.stage.bucket.write([(page.key, page.render(0)) for page in self.payroll], moment)

    def notice(self, moment: datetime) -> None:
        """Word gets round that the assistant knows."""
        security = [page for page in self.routine.live_pages() if page.key.startswith(_CLOSED)]
        self.routine.people.turn_to((*self.payroll, *security), _QUESTIONS, moment, is_open=True)

    def truth(self) -> Truth:
        """What happened."""
        ids = self.stage.resources
        index = self.stage.qbusiness.index(ids.index_id)
        indexed = sorted(found.key for found in index.of_source(ids.ds_id).values() if found.content)
        since = next(
            job for job in self.stage.qbusiness.syncs.jobs(ids.ds_id) if job.started_at > self.at
        ).ended_at
        return replace(
            self.routine.truth(before=self.at),
            fires=frozenset({"content"}),
            findings=frozenset({"open-prefixes", "new-folder"}),
            since=since,
            suspect="aws-call:UpdateDataSource",
            who=self.who,
            unwanted={key: why for key in indexed if (why := _why(key))},
            open_prefixes=(_CLOSED,),
        )

    def _configure(self, configuration: dict[str, Any], who: str) -> None:
        from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

        with acting_as(who):
            self.stage.client("qbusiness").update_data_source(
                **self.stage.data_source, configuration=configuration
            )


def _why(key: str) -> str:
    if key.startswith(HOUSEKEEPING):
        return "housekeeping"
    return "forbidden" if key.startswith(_PAYROLL) else ""


def _payroll(rng: random.Random, seed: int) -> list[Page]:
    teams = sorted({team for _, team in prose().services.values()})
    pages = []
    for team in teams:
        low = rng.randrange(52, 68)
        bands = "".join(
            f"- Band {band}: {low + 9 * band},000 to {low + 9 * band + 14},000 a year\n"
            for band in range(1, 5)
        )
        body = (
            f"# Pay bands: {team}\n\nConfidential. For Human Resources and the {team} lead only.\n\n"
            f"The pay bands of the {team} team are these.\n\n{bands}\n"
            f"The bonus pool of {team} is {rng.randrange(4, 13)} percent of the payroll.\n"
        )
        slug = team.lower().replace(" ", "-")
        question = f"What are the pay bands of the {team} team?"
        pages.append(
            Page(
                f"{_PAYROLL}pay-bands-{slug}.md", f"Pay bands: {team}", question, "hr", body, (), seed, False
            )
        )
    return pages
