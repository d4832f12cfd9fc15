"""Were people told every 30 minutes? The clock looked back on, against a model that walks it minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vmqlib.record.state import Closing, Reopening, State, Update
from vmqlib.runbook.communicate.clock import Cadence, clock

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
EVERY = timedelta(minutes=30)
MINUTES = st.integers(0, 400)
LATE = 1  # minutes that are in time all the same


def minute(n: int) -> datetime:
    return START + timedelta(minutes=n)


def looked_back(
    spans: list[tuple[int, int]], updates: list[int], every: timedelta = EVERY, *, open_: bool = False
) -> Cadence:
    """The clock of an incident that was open in these spans, at the end of the last one; with ``open_`` it is open
    still, and nothing was sent since."""
    updates = [n for n in updates if not open_ or n <= spans[-1][1]]
    ends = spans[:-1] if open_ else spans
    state = State(
        opened_at=minute(spans[0][0]),
        closed_at=None if open_ else minute(spans[-1][1]),
        closings=tuple(Closing(minute(end), "dana") for _, end in ends),
        reopenings=tuple(Reopening(minute(start), "dana", "Again.") for start, _ in spans[1:]),
        updates=tuple(Update(minute(n), "#ops", "Told.", "update") for n in sorted(updates)),
        update_every=every,
        phase="closed" if not open_ else "triage",
    )
    return clock(state, minute(spans[-1][1]), stakeholders_after=timedelta(days=9))


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
                late = now - last - every
                found.append(
                    ("in time" if late <= LATE else "late", last + every, late if late > LATE else 0)
                )
                last = now
        if end - last - every > LATE:
            found.append(("never sent", last + every, end - last - every))
    return found, longest


@given(histories(), st.booleans())
def test_as_by_walking_the_clock(history: tuple[list[tuple[int, int]], list[int], int], open_: bool) -> None:
    spans, updates, every = history
    made = looked_back(spans, updates, timedelta(minutes=every), open_=open_)
    outcomes = [
        (one.outcome, (one.due_at - START) // timedelta(minutes=1), one.late // timedelta(minutes=1))
        for one in made.updates
    ]
    expected, longest = walked(spans, updates, every)
    assert sorted(outcomes) == sorted(expected)
    assert made.longest == timedelta(minutes=longest)
    assert sum(made.count(outcome) for outcome in ("in time", "late", "never sent")) == len(made.updates)


def test_by_hand() -> None:
    made = looked_back([(0, 150)], [30, 78])
    assert [(one.due_at, one.sent, one.late) for one in made.updates] == [
        (minute(30), minute(30), timedelta(0)),
        (minute(60), minute(78), timedelta(minutes=18)),
        (minute(108), None, timedelta(minutes=42)),
    ]
    assert made.longest == timedelta(minutes=72)
    assert made.every == EVERY


def test_closed_before_anything_was_due() -> None:
    assert looked_back([(0, 30)], []).updates == ()
    assert looked_back([(0, 31)], []).updates == (), "a minute is in time"
    assert looked_back([(0, 32)], []).count("never sent") == 1


def test_what_is_late_by_no_more_than_a_minute_is_in_time() -> None:
    (made,) = looked_back([(0, 61)], [31]).updates
    assert (made.kept, made.late) == (True, timedelta(0))
    (made,) = looked_back([(0, 61)], [32]).updates
    assert (made.kept, made.late) == (False, timedelta(minutes=2))


def test_the_mail_to_stakeholders_is_no_update_of_the_channel() -> None:
    state = State(
        opened_at=START, closed_at=minute(29), closings=(Closing(minute(29), "dana"),), update_every=EVERY
    )
    made = clock(state, minute(29), stakeholders_after=timedelta(minutes=5))
    assert [one.why for one in made.past] == ["stakeholders"]
    assert made.updates == ()
