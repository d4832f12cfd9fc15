"""Were people told every 30 minutes? Against a model that walks the clock minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vmqlib.runbook.retro import cadence

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
EVERY = timedelta(minutes=30)
MINUTES = st.integers(0, 400)


def minute(n: int) -> datetime:
    return START + timedelta(minutes=n)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[int], int]:
    edges = sorted(draw(st.lists(MINUTES, min_size=2, max_size=6, unique=True)))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    return spans, draw(st.lists(MINUTES, max_size=10)), draw(st.integers(1, 90))


def walked(
    spans: list[tuple[int, int]], updates: list[int], every: int
) -> tuple[list[tuple[str, int, int]], int]:
    """The same by walking: outcome, due minute and lateness of each update; the longest silence."""
    found, longest = [], 0
    for start, end in spans:
        last = start
        for now in range(start, end + 1):
            longest = max(longest, now - last)
            for _ in range(updates.count(now)):
                found.append(
                    ("kept" if now <= last + every else "late", last + every, max(0, now - last - every))
                )
                last = now
        if end > last + every:
            found.append(("missing", last + every, end - last - every))
    return found, longest


@given(histories())
def test_as_by_walking_the_clock(history: tuple[list[tuple[int, int]], list[int], int]) -> None:
    spans, updates, every = history
    made = cadence(
        [(minute(a), minute(b)) for a, b in spans], [minute(n) for n in updates], timedelta(minutes=every)
    )
    outcomes = [
        ("kept" if one.kept else "late" if one.sent else "missing", (one.due - START) // timedelta(minutes=1),
         one.late // timedelta(minutes=1))
        for one in made.owed
    ]  # fmt: skip
    expected, longest = walked(spans, updates, every)
    assert outcomes == expected
    assert made.longest == timedelta(minutes=longest)
    assert len(made.kept) + len(made.late) + len(made.missing) == len(made.owed)


def test_by_hand() -> None:
    made = cadence([(minute(0), minute(150))], [minute(30), minute(78)], EVERY)
    assert [(one.due, one.sent, one.late) for one in made.owed] == [
        (minute(30), minute(30), timedelta(0)),
        (minute(60), minute(78), timedelta(minutes=18)),
        (minute(108), None, timedelta(minutes=42)),
    ]
    assert made.longest == timedelta(minutes=72)


def test_closed_before_anything_was_due() -> None:
    assert cadence([(minute(0), minute(30))], [], EVERY).owed == ()
    assert cadence([(minute(0), minute(31))], [], EVERY).missing
    assert cadence([], [minute(3)], EVERY).owed == ()


def test_what_is_late_by_no_more_than_the_tolerance_is_in_time() -> None:
    spans = [(minute(0), minute(61))]
    made = cadence(spans, [minute(31)], EVERY, tolerance=timedelta(minutes=1))
    assert [(one.kept, one.late) for one in made.owed] == [(True, timedelta(0))]
    made = cadence(spans, [minute(32)], EVERY, tolerance=timedelta(minutes=1))
    assert [(one.kept, one.late) for one in made.owed] == [(False, timedelta(minutes=2))]
