"""The planner against a bucket that remembers everything: random histories, random targets."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.s3_model import START, S3Model

from vmqlib.errors import BadInput
from vmqlib.runbook.rollback.items import CHANGES, Item, Scope, Target
from vmqlib.runbook.rollback.planner import Seen, plan_items

SCOPE = Scope("bucket")
KEYS = ("a", "a/b", "z")
SECOND = timedelta(seconds=1)
MICRO = timedelta(microseconds=1)

steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from("xyz")),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.tuples(st.just("destroy"), st.sampled_from(KEYS), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([1, 150_000, 600_000, 1_000_000, 2_300_000])),
    st.tuples(st.sampled_from(["Enabled", "Suspended"])),
)


@st.composite
def histories(draw: Any, resolutions: tuple[int, ...] = (1_000_000,)) -> tuple[S3Model, datetime]:
    """A bucket with a past, and a moment in it (or before it, or after it)."""
    model = S3Model(
        status=draw(st.sampled_from(["", "Enabled", "Enabled", "Enabled", "Suspended"])),
        resolution=draw(st.sampled_from(resolutions)),
    )
    moments = [model.now]
    for step in draw(st.lists(steps, min_size=1, max_size=16)):
        play(model, step)
        moments.append(model.now)
    moment = draw(st.sampled_from(moments)) + timedelta(
        microseconds=draw(st.sampled_from([-1_000_000, -500_000, -1, 0, 1, 500_000, 1_000_000]))
    )
    return model, moment.replace(microsecond=0) if draw(st.booleans()) else moment


def play(model: S3Model, step: tuple[Any, ...]) -> None:
    what, *given = step
    if what == "put":
        model.put(*given)
    elif what == "delete":
        model.delete(*given)
    elif what == "destroy":
        key, number = given
        if len(model.keys.get(key, ())) > number:
            model.destroy(key, model.keys[key][number].version_id)
    elif what == "wait":
        model.wait(microseconds=given[0])
    else:
        model.status = what


def planned(model: S3Model, at: datetime, **options: Any) -> dict[str, Item]:
    items = plan_items(
        model.rows(),
        Target("as-of", at),
        SCOPE,
        versioning=model.status,
        documents=lambda key: True,
        **options,
    )
    return {item.key: item for item in items}


def outcome(model: S3Model, key: str, item: Item | None) -> str | None:
    """What could be read after the item."""
    if item is None or item.action == "SKIP":
        return model.visible().get(key)
    if not item.target.there:
        return None
    return next(one.content for one in model.keys[key] if one.version_id == item.target.version_id)


def second_of(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def check(model: S3Model, at: datetime, ambiguous: str) -> None:
    if not model.status:
        with pytest.raises(BadInput, match="never had versioning on"):
            planned(model, at)
        return
    items = planned(model, at, ambiguous=ambiguous)
    # A person's decision moves the moment to the end of its second, or before it.
    moment = {"hold": at, "include": second_of(at) + SECOND - MICRO, "exclude": second_of(at) - MICRO}[
        ambiguous
    ]
    for key in model.keys:
        item = items.get(key)
        if item is not None and item.action == "BLOCKED":
            assert item.reason
            assert item.remedy
            assert held_back_for_a_reason(model, key, item.code, at, moment)
        if item is not None and item.code in {"ambiguous", "unknown"}:
            continue
        wanted = model.left_at(key, moment) if key in model.destroyed else model.visible_at(moment).get(key)
        assert outcome(model, key, item) == wanted, (key, item)
        if (
            item is not None
        ):  # an item there is only where something is to be done, or was and is undone already
            there = model.visible().get(key)
            assert (item.action == "SKIP") == (wanted == there), (key, item)
            assert (item.action == "DELETE") <= (there is not None)
            assert (item.action == "UNDELETE") <= (there is None)
    apply_and_undo(model, items)


def held_back_for_a_reason(model: S3Model, key: str, code: str, at: datetime, moment: datetime) -> bool:
    if code == "ambiguous":
        return any(second_of(one.at) == second_of(at) for one in model.keys[key])
    if code == "unknown":
        return any(when > moment for when in model.nulls[key])
    return code == "suspended" and model.status == "Suspended"


def apply_and_undo(model: S3Model, items: dict[str, Item]) -> None:
    before = model.visible()
    model.wait(seconds=2)
    then = model.now
    model.wait(seconds=2)
    wanted = {key: outcome(model, key, items.get(key)) for key in model.keys}
    held = {key for key, item in items.items() if item.action == "BLOCKED"}
    done = model.apply(items.values())
    assert bool(done) == any(item.action in CHANGES for item in items.values())
    after = model.visible()
    for key in model.keys:
        assert after.get(key) == (before.get(key) if key in held else wanted[key])
    model.wait(seconds=2)
    back = planned(model, then)
    assert "BLOCKED" not in {item.action for item in back.values()} or model.status == "Suspended"
    model.apply(back.values())
    assert model.visible() == before


any_history = histories()
decisions = st.sampled_from(["hold", "hold", "include", "exclude"])


@given(any_history, decisions)
def test_planned_state_is_the_state_of_then(history: tuple[S3Model, datetime], ambiguous: str) -> None:
    check(*history, ambiguous)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=3000)
@given(any_history, decisions)
def test_planned_state_is_the_state_of_then_in_thousands(
    history: tuple[S3Model, datetime], ambiguous: str
) -> None:
    check(*history, ambiguous)


@settings(max_examples=60)
@given(histories(resolutions=(1, 1_000)))
def test_servers_that_date_within_the_second(history: tuple[S3Model, datetime]) -> None:
    check(*history, "hold")


@settings(max_examples=60)
@given(any_history)
def test_every_key_is_accounted_for(history: tuple[S3Model, datetime]) -> None:
    model, at = history
    if not model.status:
        return
    seen = Seen()
    items = planned(model, at, seen=seen)
    rows = model.rows()
    assert (seen.listed, seen.keys) == (len(rows), len({row.key for row in rows}))
    assert seen.unchanged == seen.keys - len(items)
    assert seen.there == seen.documents == len(model.visible())


@settings(max_examples=60)
@given(any_history, st.sampled_from([None, START + SECOND]))
def test_previous_is_the_newest_version_below_the_current_one(
    history: tuple[S3Model, datetime], since: datetime | None
) -> None:
    model, _ = history
    if model.status != "Enabled":
        return
    found = plan_items(
        model.rows(),
        Target("previous", since),
        Scope("bucket", keys=KEYS),
        versioning="Enabled",
        documents=lambda key: True,
        ambiguous="exclude",
    )
    items = {item.key: item for item in found}
    for key in KEYS:
        stored = model.keys.get(key)
        if not stored:
            assert items.pop(key).code == "missing"
            continue
        item = items.pop(key, None)
        if since is not None and second_of(stored[0].at) < since:
            assert item is None
            continue
        assert item is not None
        older = [one for one in stored[1:] if one.content is not None]
        if older:
            assert item.target.version_id == older[0].version_id
            same = older[0].content == stored[0].content
            assert item.action == ("UNDELETE" if stored[0].content is None else "SKIP" if same else "COPY")
        else:
            assert (item.action, item.code) == ("BLOCKED", "no-previous")
    assert not items


def test_the_model_itself() -> None:
    """A day in a bucket, told step by step: what the planner is held against is held against something, too."""
    model = S3Model()
    first = model.put("k", "one")
    morning = model.now
    model.wait(seconds=5)
    marker = model.delete("k")
    model.wait(seconds=5)
    assert model.visible() == {}
    assert model.visible_at(morning) == {"k": "one"}
    model.destroy("k", marker)
    assert model.visible() == {"k": "one"}
    assert model.visible_at(model.now - SECOND) == {}
    model.status = "Suspended"
    assert [model.put("k", "two"), model.put("k", "three"), model.delete("k")] == ["null"] * 3
    assert [(one.version_id, one.content) for one in model.keys["k"]] == [("null", None), (first, "one")]
    rows = model.rows()
    assert Counter(row.is_latest for row in rows) == {True: 1, False: 1}
    assert [row.at for row in rows] == ["2026-11-20T10:00:10.000000Z", "2026-11-20T10:00:00.000000Z"]
