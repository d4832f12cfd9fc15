"""Times are between moments that are known, and never anything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vmqlib.runbook.retro import Moment, Moments, measures

AT = st.none() | st.integers(0, 10_000).map(
    lambda n: datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=n)
)
MOMENT = st.builds(Moment, AT, st.sampled_from(["the alarm", "the closing", "nobody acknowledged"]))
MOMENTS = st.builds(Moments, MOMENT, MOMENT, MOMENT, MOMENT, MOMENT, MOMENT, MOMENT)
ENDS = {
    "detect": ("first_bad", "detected"),
    "opening": ("rang", "opened"),
    "acknowledge": ("opened", "acknowledged"),
    "mitigate": ("opened", "mitigated"),
    "resolve": ("opened", "resolved"),
    "exposed": ("first_bad", "mitigated"),
}


@given(MOMENTS)
def test_a_time_is_the_difference_of_two_known_moments_in_order(moments: Moments) -> None:
    made = measures(moments)
    assert [one.name for one in made] == list(ENDS)
    for one in made:
        start, end = (getattr(moments, name) for name in ENDS[one.name])
        assert (one.start, one.end) == (start.at, end.at)
        if start.at is None or end.at is None or end.at < start.at:
            assert one.took is None
            assert one.how.startswith("Not known: ")
            assert all(each.how in one.how for each in (start, end) if each.at is None)
        else:
            assert one.took == end.at - start.at >= timedelta(0)
            assert start.how in one.how
            assert end.how in one.how
