"""A bad promotion: a third of the documents broken, some gone, syncs INCOMPLETE, the alarm on.

What happened: CI's build step was changed to compress its output, and the promotion copied compressed files over
the Markdown (``InvalidEncoding``). A few files were cut to nothing when the build's disk ran full
(``EmptyDocument``), metadata files were cut short (``InvalidMetadata``), and one folder's clean-up rule removed
guides that were still wanted.
"""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.bucket import STAGING
from vmqlib.simulator.scenarios.documents import Page, metadata_key
from vmqlib.simulator.scenarios.routine import CI_ROLE, Promotion, Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["SyncFailed"]

_BUILD = timedelta(minutes=118)  # before "now", as all of these
_PROMOTION = timedelta(minutes=100)
_RETRY = timedelta(minutes=40)
_BROKEN_SHARE = 1 / 3
_QUESTIONS = 12.0  # times as many as on other days
_EMPTY, _CUT_METADATA = 14, 12
_DELETED = 19  # of some 300: under the deletion safeguard's 15 %, so the index loses them


@dataclass(frozen=True)
class SyncFailed:
    """The account after the bad promotion."""

    name: str = "sync-failed"
    summary: str = (
        "A promotion breaks a third of the documents and deletes some; syncs are INCOMPLETE, "
        "SyncFailed is in ALARM, and people get no answers."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up, lets three weeks pass, and the bad promotion with them."""
        routine = Routine(stage)
        routine.prepare()
        accident = _Accident(stage, routine)
        stage.at(stage.now - _BUILD, accident.build)
        stage.at(stage.now - _PROMOTION, accident.promote)
        stage.at(stage.now - _RETRY, lambda moment: routine.sync(moment, "retry by ops-sync-retry"))
        routine.play()
        return accident.truth()


@dataclass
class _Accident:
    stage: Stage
    routine: Routine
    broken: dict[str, str] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    promotion: Promotion | None = None

    def build(self, moment: datetime) -> None:
        """The broken build goes to ``_staging/``."""
        rng = self.stage.random("accident")
        pages = self.routine.live_pages()
        self.deleted = tuple(sorted(_some_guides(rng, pages)))
        left = [page for page in pages if page.key not in self.deleted]
        victims = _victims(rng, left, round(len(pages) * _BROKEN_SHARE))
        changes: list[tuple[str, bytes | None]] = []
        for number, page in enumerate(victims):
            code, objects = _break(page, number)
            self.broken[page.key] = code
            changes += [(STAGING + key, body) for key, body in objects]
        changes += [(STAGING + key, None) for key in self.deleted]
        self.stage.bucket.write(changes, moment)

    def promote(self, moment: datetime) -> None:
        """It is promoted; CI starts a sync; once that is done, people begin to miss answers."""
        self.promotion = self.routine.promote_and_sync(moment)
        self.stage.at(moment + timedelta(minutes=10), self.people_miss_answers)

    def people_miss_answers(self, moment: datetime) -> None:
        """Word gets round: more people ask, mostly for what is gone and in no other document."""
        pages = self.routine.pages
        missing = [pages[key] for key in (*sorted(self.broken), *self.deleted)]
        index = self.stage.qbusiness.index(self.stage.resources.index_id)
        lost = [
            page for page in missing if not any(hit.coverage >= 0.5 for hit in index.search(page.question))
        ]
        self.routine.people.turn_to(tuple(lost), _QUESTIONS, moment)

    def truth(self) -> Truth:
        """What happened."""
        if self.promotion is None:
            raise RuntimeError("The bad promotion has not happened.")
        return replace(
            self.routine.truth(),
            promotion_at=self.promotion.at,
            promotion_key=self.promotion.key,
            ci_sha=self.promotion.ci_sha,
            broken=dict(sorted(self.broken.items())),
            rewritten_keys=self.promotion.written,
            deleted_keys=self.promotion.deleted,
            fires=frozenset({"sync-failed"}),
            suspect="promotion",
            who=CI_ROLE,
        )


def _some_guides(rng: random.Random, pages: list[Page]) -> list[str]:
    return rng.sample([page.key for page in pages if page.key.startswith("guides/")], _DELETED)


def _victims(rng: random.Random, pages: list[Page], count: int) -> list[Page]:
    """The pages that break: those with metadata files first, then phases-mirage.md, which everybody reads."""
    with_metadata = [page for page in pages if page.has_metadata]
    cut = rng.sample(with_metadata, _CUT_METADATA)
    others = [page for page in pages if page not in cut and page.key != "phases-mirage.md"]
    mirage = [page for page in pages if page.key == "phases-mirage.md"]
    return cut + rng.sample(others, count - len(cut) - len(mirage)) + mirage


def _break(page: Page, number: int) -> tuple[str, list[tuple[str, bytes]]]:
    """What becomes of a page, and the connector's error code for it."""
    good = page.render(0)
    if number < _CUT_METADATA:
        return "InvalidMetadata", [(metadata_key(page.key), page.metadata(0)[:-40]), (page.key, good)]
    if number < _CUT_METADATA + _EMPTY:
        return "EmptyDocument", [(page.key, b"")]
    return "InvalidEncoding", [(page.key, gzip.compress(good, mtime=0))]
