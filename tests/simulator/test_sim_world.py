"""The course of events: in time order, at their own times, no matter how the clock is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.simulator.clock import SimClock
from vmqlib.simulator.world import World

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


class Ticker:
    """Acts every ``every`` seconds and notes when."""

    def __init__(self, name, every, seen, clock):
        self.name, self.every, self.seen, self.clock = name, timedelta(seconds=every), seen, clock
        self.next = BEGIN + self.every

    def next_event_at(self):
        return self.next

    def run_due(self, now):
        assert self.clock.now() == now == self.next
        self.seen.append((now, self.name))
        self.next += self.every


def world_of(*periods):
    clock, seen = SimClock(), []
    clock.set(BEGIN)
    world = World(clock)
    for number, every in enumerate(periods):
        world.add(Ticker(number, every, seen, clock))
    return world, seen


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.lists(st.integers(0, 300), min_size=1, max_size=6),
)
def test_events_come_in_time_order_and_do_not_depend_on_the_steps(periods, stops):
    whole, at_once = world_of(*periods)
    stepped, in_steps = world_of(*periods)
    end = BEGIN + timedelta(seconds=max(stops))
    whole.advance(end)
    for stop in sorted(stops):
        stepped.advance(BEGIN + timedelta(seconds=stop))
    assert at_once == in_steps == sorted(at_once)
    assert len(at_once) == sum(max(stops) // every for every in periods)


def test_what_an_event_brings_about_happens_in_the_same_advance():
    world, _ = world_of()
    seen = []

    def first(moment):
        seen.append("first")
        world.script.at(moment + timedelta(minutes=1), lambda _: seen.append("second"))

    world.script.at(BEGIN + timedelta(hours=1), first)
    world.script.at(BEGIN + timedelta(hours=2), lambda _: seen.append("third"))
    world.advance(BEGIN + timedelta(hours=1, minutes=30))
    assert seen == ["first", "second"]
    assert world.next_event_at() == BEGIN + timedelta(hours=2)


def test_one_moment_keeps_the_order_of_the_script():
    world, _ = world_of()
    seen = []
    for number in range(5):
        world.script.at(BEGIN, lambda _, number=number: seen.append(number))
    world.advance(BEGIN)
    assert seen == [0, 1, 2, 3, 4]


def test_moving_the_clock_moves_the_world():
    world, seen = world_of(60)
    world.advance_by(timedelta(minutes=10))
    assert len(seen) == 10
    assert world.clock.now() == BEGIN + timedelta(minutes=10)


def test_a_source_that_stands_still_is_an_error_not_a_hang(monkeypatch):
    import vmqlib.simulator.world as module

    monkeypatch.setattr(module, "_ENOUGH", 1000)
    world, _ = world_of(60)
    stuck = Ticker("stuck", 1, [], world.clock)
    stuck.run_due = lambda now: None
    world.add(stuck)
    with pytest.raises(RuntimeError, match="stands still"):
        world.advance(BEGIN + timedelta(hours=1))
