"""Every short history of one key: the planner decides just where the listing leaves one answer, and that is its answer.

Histories that list alike cannot be told apart. What they held at the target is compared: where they differ nobody can
know, and the key must be held back; where they agree the planner must say what they agree on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest
from support.s3_model import NULL, START, S3Model

from vmqlib.runbook.rollback.items import Scope, Target
from vmqlib.runbook.rollback.planner import plan_items
from vmqlib.sources.versionlisting import ObjectVersion

Listing = tuple[tuple[ObjectVersion, ...], str]

TARGET = START + timedelta(seconds=1, milliseconds=250)  # changes at 1.0 came before it, at 1.5 after it
HALF = timedelta(milliseconds=500)
LOST = -1
STEPS = ("put", "delete", "half", "switch")


def histories(length: int) -> Iterator[S3Model]:
    for status in ("", "Enabled", "Suspended"):
        for steps in product(STEPS, repeat=length):
            model = S3Model(status=status)
            for number, step in enumerate(steps):
                if step == "put":
                    model.put("k", f"{number}")
                elif step == "delete":
                    model.delete("k")
                elif step == "half":
                    model.now += HALF
                else:
                    model.status = "Suspended" if model.status == "Enabled" else "Enabled"
            # What went without a trace (a delete before versioning was on) no listing tells of.
            if model.status and model.keys.get("k") and not model.destroyed:
                yield model


def alike(model: S3Model) -> Listing:
    """The listing, with all names taken out that say more than a listing can."""
    rows = model.rows()
    return tuple(
        row._replace(
            version_id=row.version_id if row.version_id == NULL else f"v{len(rows) - number}",
            etag="" if row.is_delete_marker else f"e{number}",
            size=0,
        )
        for number, row in enumerate(rows)
    ), model.status


def held(model: S3Model, at: datetime) -> int | None:
    """Which of the listed entries could be read then: its number, ``None`` for none, LOST for one no longer listed."""
    content = model.visible_at(at).get("k")
    if content is None:
        return None
    entries = model.keys["k"]
    return next((number for number, one in enumerate(entries) if one.content == content), LOST)


def decision(listing: Listing) -> int | str | None:
    """What the planner takes for the state of then, or why it does not know."""
    rows, _ = listing
    items = list(
        plan_items(
            rows,
            Target("as-of", TARGET),
            Scope("bucket"),
            versioning="Enabled",  # a suspended bucket holds every change back, for another reason
            documents=lambda key: True,
        )
    )
    if not items:
        return None if rows[0].is_delete_marker else 0
    (item,) = items
    if item.action == "BLOCKED":
        return item.code
    if not item.target.there:
        return None
    return next(number for number, row in enumerate(rows) if row.version_id == item.target.version_id)


def known(length: int) -> dict[Listing, set[int | None]]:
    found: dict[Listing, set[int | None]] = defaultdict(set)
    for model in histories(length):
        found[alike(model)].add(held(model, TARGET))
    return found


@pytest.mark.parametrize("length", [4, pytest.param(7, marks=pytest.mark.slow)])
def test_decided_is_what_every_possible_history_held(length: int) -> None:
    for listing, answers in known(length).items():
        said = decision(listing)
        if isinstance(said, str):
            assert said in {"ambiguous", "unknown"}
        else:
            assert answers == {said}, listing


@pytest.mark.slow
def test_held_back_is_what_possible_histories_differ_on() -> None:
    """The listings of short histories, and all that longer ones could make of them."""
    answers = known(7)
    for listing in known(3):
        if isinstance(decision(listing), str):
            assert len(answers[listing]) > 1, listing
