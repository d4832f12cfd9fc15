"""Whose a running job is, and how long it usually takes: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.errors import AwsError
from vmqlib.runbook.resync import SyncJob, estimate, whose
from vmqlib.runbook.resync.awstime import offset_of
from vmqlib.runbook.resync.ownership import LONGEST_REQUEST, RESOLUTION, SLACK

SENT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "lost", "owner", "words"),
    [
        (2, True, "ours", "ours, most likely: it began 2 s after our request"),
        (0.3, True, "ours", "ours, most likely: it began within a second of our request"),
        (-14 * 60, True, "another's", "another's: it began 14 min before our request"),
        (-0.9, True, "ours", "ours, most likely: it began within a second of our request"),
        (
            -2,
            True,
            "cannot tell",
            "cannot tell whose: it began 2 s before our request, and the clocks agree to 2 s only",
        ),
        (-4, True, "another's", "another's: it began 4 s before our request"),
        (20 * 60, True, "another's", "another's, most likely: it began 20 min after our request"),
        (2, False, "another's", "another's: it began 2 s after our request, and no answer to us was lost"),
        (
            -14 * 60,
            False,
            "another's",
            "another's: it began 14 min before our request, and no answer to us was lost",
        ),
    ],
)
def test_whose(after: float, lost: bool, owner: str, words: str) -> None:
    found = whose(SENT + timedelta(seconds=after), SENT, lost=lost)
    assert (found.owner, found.why) == (owner, words)


@given(st.floats(-1e5, 1e5), st.booleans(), st.floats(0, 600))
def test_ours_only_where_our_request_can_have_done_it(after: float, lost: bool, slack: float) -> None:
    began, margin = SENT + timedelta(seconds=after), timedelta(seconds=slack)
    found = whose(began, SENT, lost=lost, slack=margin)
    if found.owner == "ours":
        assert lost
        assert margin <= SLACK, "by a clock that nobody compared, nothing can be told"
        assert SENT - RESOLUTION <= began <= SENT + LONGEST_REQUEST + margin
    if found.owner == "another's" and lost:
        assert began < SENT - margin - RESOLUTION or began > SENT + LONGEST_REQUEST + margin
    assert found.why.startswith(found.owner if found.owner != "cannot tell" else "cannot tell whose")


def test_awss_clock_is_read_off_its_answers() -> None:
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 23 Nov 2026 09:05:00 GMT"}}}
    offset = offset_of(answer, SENT)
    assert offset is not None
    assert abs(offset - timedelta(minutes=5)) < SLACK
    for nothing in ({}, {"ResponseMetadata": {"HTTPHeaders": {"date": "soon"}}}, AwsError("no"), None):
        assert offset_of(nothing, SENT) is None


def runs(*minutes: float, status: str = "SUCCEEDED") -> list[SyncJob]:
    return [
        SyncJob("ds", str(number), status, SENT, SENT + timedelta(minutes=each), 0, 0, 0, 0, 0, "", "")
        for number, each in enumerate(minutes)
    ]


def test_usually() -> None:
    usual = estimate(runs(5, 6, 7, 7, 8, 9, 40))
    assert usual is not None
    assert usual.median == timedelta(minutes=7)
    assert usual.usual == "usually 6 to 8 min"
    assert usual.sentence(timedelta(minutes=3)) == "usually 6 to 8 min; 3 min so far, about 4 min left"
    assert usual.sentence(timedelta(minutes=20)) == "usually 6 to 8 min; 20 min so far, longer than usual"


def test_what_says_nothing_is_left_out() -> None:
    assert estimate([]) is None
    assert estimate(runs(1, status="FAILED") + runs(2, status="ABORTED")) is None
    one = estimate(runs(1, status="FAILED") + runs(7))
    assert one is not None
    assert one.sentence(timedelta(minutes=9)) == "7 min the last time; 9 min so far"
    assert estimate(runs(*[1.0] * 20, 99.0)).runs == 20  # type: ignore[union-attr]


@given(st.lists(st.floats(0.01, 500), min_size=1, max_size=30), st.floats(0, 1e6))
def test_an_estimate_never_trips(minutes: list[float], elapsed: float) -> None:
    usual = estimate(runs(*minutes))
    assert usual is not None
    assert usual.low <= usual.median <= usual.high
    assert "so far" in usual.sentence(timedelta(seconds=elapsed))
