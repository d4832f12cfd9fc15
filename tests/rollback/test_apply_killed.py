"""Killed at any moment, an apply is gone on with, and each item is carried out exactly once."""

from __future__ import annotations

import pickle
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import apply_bed
from support.apply_child import Nursery, nursery

from vmqlib.runbook.rollback import applylog

SEED = 20261123
PLANS = 5
KILLS = 20  # of the apply of each plan
ITEMS = 500
MOMENTS = 2 * ITEMS  # before and after each request, and some for the log


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_a_hundred_moments(seaweedfs_bucket: Any, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    s3 = seaweedfs_bucket.s3()
    seen = Counter[str]()
    with nursery(seaweedfs_bucket.server.env, seaweedfs_bucket.name) as children:
        for plan in range(PLANS):
            bed = apply_bed.made(s3, f"plan-{plan}/", ITEMS, seed=SEED + plan)
            log = tmp_path / str(plan) / "apply-x.jsonl"
            log.parent.mkdir()
            # Spread over the whole apply: each run begins where the one before was killed, more or less.
            moments = [chance.randrange(2 * MOMENTS // (KILLS + 1)) for _ in range(KILLS)]
            tally, killed = _applied(children, bed, log, moments)
            seen["killed"] += killed
            assert (tally["changed"], tally["failed"], tally["left"]) == (0, 0, 0)
            assert tally["done"] + tally["found"] == ITEMS
            bed.check()
            read = applylog.read(log)
            assert read.torn == 0
            seen.update(read.counts)
    print(f"seed {SEED}: {dict(seen)}")
    assert seen["killed"] >= 0.8 * PLANS * KILLS  # the last ones of a plan may find it done
    assert seen["found"] > PLANS  # killed between a request and the writing of its outcome


def _applied(
    children: Nursery, bed: apply_bed.Bed, log: Path, moments: list[int]
) -> tuple[dict[str, Any], int]:
    """Applies until it is done; each run but the last is killed after so many moments. The last tally, the kills."""
    items = log.with_name("items")
    items.write_bytes(pickle.dumps(bed.items))
    killed = 0
    for moment in moments:
        child = children.apply(items, log, total=ITEMS)
        child.reached(moment)
        end = child.killed()
        assert end["status"] in (0, signal.SIGKILL), end
        killed += end["status"] == signal.SIGKILL
    end = children.apply(items, log, total=ITEMS).ended(60)
    assert end is not None
    assert end["status"] == 0, end
    return end["tally"], killed
