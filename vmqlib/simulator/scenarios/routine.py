"""Three weeks of ordinary days: documents are edited, built into ``_staging/``, promoted and synchronised."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.simulator.identity import ACCOUNT_ID
from vmqlib.simulator.scenarios.account import block_phrase, drop_expired_messages, set_up
from vmqlib.simulator.scenarios.automation import DailyAudit, SyncWatch
from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.bucket import STAGING
from vmqlib.simulator.scenarios.documents import ACL_KEY, Page, acl_file, corpus, metadata_key
from vmqlib.simulator.scenarios.people import People
from vmqlib.simulator.scenarios.stage import Stage

if TYPE_CHECKING:
    from vmqlib.simulator.qbusiness.jobs import SyncJob

__all__ = ["CI_ROLE", "Promotion", "Routine"]

# how long before "now" the routine promotions are, and how many documents each brings
_PROMOTIONS = (
    (timedelta(days=19, hours=5), 52),
    (timedelta(days=16, hours=3), 44),
    (timedelta(days=13, hours=7), 57),
    (timedelta(days=10, hours=4), 38),
    (timedelta(days=6, hours=6), 61),
    (timedelta(days=3, hours=4), 47),
    (timedelta(hours=9), 29),
)
# and the days on which somebody pushes a few documents straight to the root
_PUSHES = (18, 15, 12, 11, 8, 5, 4, 2, 1)
CI_ROLE = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/vaultmesh-ci/promote"
_DAILY_SYNC = timedelta(minutes=70)  # before "now", every day
_BEGIN = timedelta(days=21)


@dataclass(frozen=True)
class Promotion:
    """What one promotion did.

    Parameters
    ----------
    at:
        When it began.
    done:
        When its last write was done.
    key:
        Its audit record.
    ci_sha:
        The commit it promoted.
    written, deleted:
        The keys that it wrote and delete-marked.
    """

    at: datetime
    done: datetime
    key: str
    ci_sha: str
    written: tuple[str, ...]
    deleted: tuple[str, ...]


class Routine:
    """The ordinary course of things. ``hold``, when it is not empty, is why CI starts no syncs.

    Parameters
    ----------
    stage:
        The empty account.
    later:
        Keys of pages that are not written until a scenario builds them.
    """

    def __init__(self, stage: Stage, later: Iterable[str] = ()) -> None:
        self.stage = stage
        self.begins_at = stage.now - _BEGIN
        self.pages = {page.key: page for page in corpus(stage.seed)}
        self.people = People(stage, tuple(self.pages.values()), self.begins_at)
        self.hold = ""
        self._random = stage.random("routine")
        self._revision: dict[str, int] = {}
        keys = sorted(self.pages)
        self._later = frozenset(later)
        self._drafts = [key for key in keys[7::50] if key not in self._later]  # come with a promotion each
        self._retired = [key for key in keys if key.startswith("decisions/")][4::15]  # go again

    def prepare(self) -> None:
        """Sets the account up, and puts everything that will happen on the stage's script."""
        stage = self.stage
        daily = stage.now - _DAILY_SYNC
        stage.report("setting the account up", 0.0)
        stage.qbusiness.seed(stage.seed)
        stage.qbusiness.no_sync.time_of_day = (stage.now - timedelta(hours=3)).time()
        set_up(stage, self.begins_at, f"cron({daily.minute} {daily.hour} * * ? *)")
        stage.world.add(stage.qbusiness)
        stage.world.add(SyncWatch(stage))
        stage.world.add(DailyAudit(stage, stage.now - timedelta(days=20, hours=3)))
        stage.world.add(self.people)
        stage.at(self.begins_at + timedelta(minutes=10), self._first_upload)
        stage.at(self.begins_at + timedelta(minutes=40), self.promote_and_sync)
        stage.at(stage.ago(days=12, hours=3), lambda _: block_phrase(stage, "salary", "priya.nair"))
        before = self.begins_at
        for number, (age, size) in enumerate(_PROMOTIONS):
            self._plan_promotion(number, before, stage.now - age, size)
            before = stage.now - age
        for days in _PUSHES:
            stage.at(stage.now - timedelta(days=days, hours=2 + days % 5), self._push)

    def play(self) -> None:
        """Lets everything happen, up to the present."""
        self.stage.play(self.begins_at)
        drop_expired_messages(self.stage)

    def live_pages(self) -> list[Page]:
        """The pages that have been written and not retired, in key order."""
        return [self.pages[key] for key in sorted(self._revision)]

    def build(self, pages: Iterable[Page], moment: datetime) -> None:
        """Edits ``pages`` once more and builds them into ``_staging/``."""
        changes: list[tuple[str, bytes | None]] = []
        for page in pages:
            revision = self._revision.get(page.key, -1) + 1
            self._revision[page.key] = revision
            changes += [(STAGING + key, body) for key, body in _objects(page, revision)]
        self.stage.bucket.write(changes, moment)

    def promote(self, moment: datetime) -> Promotion:
        """Promotes ``_staging/`` to the root and writes the audit record."""
        bucket = self.stage.bucket
        written, deleted, done = bucket.promote(moment)
        key = f"audit/promotions/promotion-{moment:%Y%m%dT%H%M%SZ}.json"
        sha = f"{self._random.getrandbits(160):040x}"
        with self.stage.clock.at(done):
            bucket.put_json(
                key,
                {
                    "event": "promotion",
                    "ts": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
                    "ci_sha": sha,
                    "dr_exec_id": f"dr-{self._random.getrandbits(48):012x}",
                    "source_staging_prefix": f"s3://{bucket.name}/{STAGING}",
                    "performed_by": CI_ROLE,
                },
            )
        return Promotion(moment, done, key, sha, tuple(written), tuple(deleted))

    def sync(self, moment: datetime, why: str) -> None:
        """Starts a sync as CI does, and notes it under ``ci/``. One that is running is left alone.

        While ``hold`` says why not to, none is started, and the note says so.
        """
        backend = self.stage.qbusiness
        if backend.syncs.running(self.stage.resources.ds_id) is not None:
            return
        if self.hold:
            outcome = {"skipped": self.hold}
        else:
            outcome = dict(backend.call("StartDataSourceSyncJob", self.stage.data_source))
        self.stage.bucket.put_json(
            f"ci/sync-jobs-{moment:%Y%m%dT%H%M%SZ}.json",
            {"ts": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "reason": why, **self.stage.data_source, **outcome},
        )

    def promote_and_sync(self, moment: datetime) -> Promotion:
        """A promotion, and the sync that CI starts a minute and a half later."""
        promotion = self.promote(moment)
        self.stage.at(promotion.done + timedelta(seconds=90), lambda at: self.sync(at, "promotion"))
        return promotion

    def last_good(self, before: datetime | None = None) -> SyncJob:
        """The last sync that SUCCEEDED, of those started before ``before`` when that is given."""
        jobs = self.stage.qbusiness.syncs.jobs(self.stage.resources.ds_id)
        return [
            job for job in jobs if job.status == "SUCCEEDED" and (before is None or job.started_at < before)
        ][-1]

    def truth(self, before: datetime | None = None) -> Truth:
        """What is true of the account, whatever else happened.

        Parameters
        ----------
        before:
            When the incident began, where syncs went on to succeed since; None: the last good sync is the last.
        """
        jobs = self.stage.qbusiness.syncs.jobs(self.stage.resources.ds_id)
        good = self.last_good(before)
        later = jobs[jobs.index(good) + 1 :]
        failed = [job for job in later if job.status in ("FAILED", "INCOMPLETE")]
        return Truth(
            now=self.stage.now,
            begins_at=self.begins_at,
            last_good_sync_started_at=good.started_at,
            last_good_execution_id=good.execution_id,
            good_versions=self.stage.bucket.versions_at(good.started_at),
            failed_execution_ids=tuple(job.execution_id for job in failed),
            since=failed[0].ended_at if failed else None,
        )

    def _first_upload(self, moment: datetime) -> None:
        self.stage.bucket.write([(STAGING + ACL_KEY, acl_file(self.stage.resources.bucket_name))], moment)
        drafts = self._later.union(self._drafts)
        self.build([page for key, page in self.pages.items() if key not in drafts], moment)

    def _plan_promotion(self, number: int, before: datetime, moment: datetime, size: int) -> None:
        """Merges spread over the days before it, then the promotion itself."""
        portions = 3
        for portion in range(portions):
            at = before + (moment - before) * ((portion + 0.8) / portions) - timedelta(minutes=20)
            self.stage.at(at, lambda when: self.build(self._some(size // portions), when))
        self.stage.at(moment - timedelta(minutes=12), lambda when: self._come_and_go(number, when))
        self.stage.at(moment, self.promote_and_sync)

    def _come_and_go(self, number: int, moment: datetime) -> None:
        if number < len(self._drafts):
            self.build([self.pages[self._drafts[number]]], moment)
        if number % 2 and number // 2 < len(self._retired):
            key = self._retired[number // 2]
            if self._revision.pop(key, None) is not None:
                self.stage.bucket.write([(STAGING + key, None)], moment)

    def _push(self, moment: datetime) -> None:
        """``sovereign-sync-docs.sh``: a few documents straight to the root, merged into ``_staging/`` as well."""
        pages = self._some(self._random.randint(3, 9))
        self.build(pages, moment)
        changes = [pair for page in pages for pair in _objects(page, self._revision[page.key])]
        self.stage.bucket.write(changes, moment + timedelta(minutes=2))

    def _some(self, count: int) -> list[Page]:
        """Pages to edit; a third of them are edited far more often than the rest."""
        pages = self.live_pages()
        weights = [6 if position % 3 == 0 else 1 for position in range(len(pages))]
        return _sample(self._random, pages, weights, count)


def _objects(page: Page, revision: int) -> list[tuple[str, bytes]]:
    found = [(page.key, page.render(revision))]
    if page.has_metadata:
        found.append((metadata_key(page.key), page.metadata(revision)))
    return found


def _sample(rng: random.Random, pages: list[Page], weights: list[int], count: int) -> list[Page]:
    """``count`` different pages, by weight."""
    ranked = sorted(
        zip(pages, weights, strict=True), key=lambda pair: rng.random() ** (1 / pair[1]), reverse=True
    )
    return [page for page, _ in ranked[:count]]
