"""How fast an apply goes: the limit that is never passed, the number of workers, the pauses."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.awserrors import aws_errors
from vmqlib.errors import Throttled
from vmqlib.runbook.rollback.pacing import Rate, Workers, backoff


class Time:
    """A clock that a test moves, and sleeps that last longer than asked."""

    def __init__(self, late: Iterator[float]) -> None:
        self.now = 0.0
        self._late = late

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + next(self._late)


@given(
    rate=st.floats(0.1, 5000),
    burst=st.none() | st.floats(0, 100),
    idle=st.lists(st.floats(0, 3), min_size=1, max_size=80),
    late=st.lists(st.floats(0, 2), min_size=1, max_size=10),
)
def test_never_more_than_rate_times_time_plus_burst(
    rate: float, burst: float | None, idle: list[float], late: list[float]
) -> None:
    time = Time(iter(late * 100_000))
    bucket = Rate(rate, burst=burst, monotonic=lambda: time.now)
    moments = []
    for seconds in idle:
        time.now += seconds
        assert bucket.take(time.sleep)
        moments.append(time.now)
    for first, begun in enumerate(moments):
        for last in range(first, len(moments)):
            count, span = last - first + 1, moments[last] - begun
            assert count <= rate * span + bucket.burst + 1e-6


@given(rate=st.floats(0.5, 2000))
def test_the_rate_is_reached(rate: float) -> None:
    time = Time(iter([0.0] * 100_000))
    bucket = Rate(rate, monotonic=lambda: time.now)
    for _ in range(200):
        bucket.take(time.sleep)
    assert time.now == pytest.approx((200 - bucket.burst) / rate, rel=0.02, abs=2 / rate)


def test_many_threads_share_a_rate() -> None:
    lock, now = threading.Lock(), [0.0]

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    bucket = Rate(10, monotonic=lambda: now[0])
    threads = [threading.Thread(target=lambda: [bucket.take(sleep) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert now[0] == pytest.approx((200 - 1) / 10, abs=0.01)


def test_a_wait_can_be_given_up() -> None:
    bucket = Rate(1, monotonic=lambda: 0.0)
    assert bucket.take(lambda seconds: None)
    assert not bucket.take(lambda seconds: True)


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=400))
def test_workers_are_never_none_and_never_too_many(most: int, answers: list[bool]) -> None:
    pool = Workers(most)
    for fine in answers:
        before = pool.limit
        if fine:
            pool.faster()
            assert before <= pool.limit <= before + 1
        else:
            pool.slower(pool.round)
            assert pool.limit == max(1, before // 2)
        assert 1 <= pool.limit <= most


def test_one_slowdown_of_many_under_way_together_counts() -> None:
    pool = Workers(16)
    sent = pool.round
    for _ in range(10):
        pool.slower(sent)
    assert pool.limit == 8


def test_success_brings_them_all_back() -> None:
    pool = Workers(16)
    for _ in range(5):
        pool.slower(pool.round)
    assert (pool.limit, pool.lowest) == (1, 1)
    for _ in range(4 * 16 * 16):
        pool.faster()
    assert pool.limit == 16


def test_those_above_the_limit_wait_and_are_let_go_at_the_end() -> None:
    pool, let = Workers(4), threading.Event()
    pool.slower(pool.round)

    def wait() -> None:
        pool.admit(3)
        let.set()

    thread = threading.Thread(target=wait)
    thread.start()
    pool.admit(1)
    assert not let.wait(0.02)
    pool.release()
    assert let.wait(10)
    thread.join()


@given(st.integers(1, 200), st.floats(0, 100), st.floats(0, 1))
def test_pauses_grow_have_an_end_and_keep_what_was_asked_for(
    attempt: int, asked: float, chance: float
) -> None:
    pause = backoff(attempt, asked, chance=lambda: chance)
    assert asked <= pause <= max(asked, 10.0) + 10.0
    if not asked:
        assert pause >= min(20.0, 0.1 * 2 ** min(attempt - 1, 20)) / 2


def test_what_s3_asks_for_is_known() -> None:
    answer = {
        "Error": {"Code": "SlowDown", "Message": "Please reduce your request rate."},
        "ResponseMetadata": {"HTTPStatusCode": 503, "HTTPHeaders": {"retry-after": "7"}},
    }
    with pytest.raises(Throttled) as raised, aws_errors("s3:PutObject"):
        raise ClientError(answer, "CopyObject")  # type: ignore[arg-type]
    assert raised.value.retry_after == 7
