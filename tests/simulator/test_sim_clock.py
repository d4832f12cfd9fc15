"""The simulated clock, and moto living by it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from vmqlib.simulator.clock import SimClock, moto_time
from vmqlib.simulator.server import LocalAws

THEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_it_says_the_real_time_until_told_otherwise():
    before = datetime.now(UTC)
    assert before <= SimClock().now() <= datetime.now(UTC)


def test_pinned_it_stands_and_moves_only_when_advanced():
    clock = SimClock()
    clock.set(THEN)
    assert clock.now() == THEN
    assert clock.advance(timedelta(hours=2)) == THEN + timedelta(hours=2)
    assert clock.now() == THEN + timedelta(hours=2)


def test_let_run_it_goes_on_from_where_it_stood():
    clock = SimClock()
    clock.set(THEN)
    clock.run()
    assert THEN <= clock.now() < THEN + timedelta(seconds=5)


def test_a_running_clock_can_be_moved_ahead():
    clock = SimClock()
    clock.advance(timedelta(days=1))
    assert clock.now() - datetime.now(UTC) > timedelta(hours=23)


def test_it_never_goes_back():
    with pytest.raises(ValueError, match="forward"):
        SimClock().advance(timedelta(seconds=-1))


def test_another_time_in_one_thread_leaves_the_others_alone():
    clock = SimClock()
    clock.set(THEN)
    seen = []
    with clock.at(THEN - timedelta(days=3)):
        other = threading.Thread(target=lambda: seen.append(clock.now()))
        other.start()
        other.join()
        assert clock.now() == THEN - timedelta(days=3)
    assert seen == [THEN]
    assert clock.now() == THEN


def test_moto_and_modules_loaded_later_live_by_it():
    from moto.core import utils

    clock = SimClock()
    clock.set(THEN)
    imported_by_name = utils.utcnow
    with moto_time(clock):
        from moto.sqs import models as loaded_now

        assert imported_by_name() == utils.utcnow() == THEN.replace(tzinfo=None)
        assert loaded_now.unix_time() == THEN.timestamp()
        with clock.at(THEN - timedelta(days=9)):
            assert utils.utcnow() == (THEN - timedelta(days=9)).replace(tzinfo=None)
    assert abs(imported_by_name() - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=5)


def test_two_clocks_at_once_are_refused():
    with moto_time(SimClock()), pytest.raises(RuntimeError, match="another clock"), moto_time(SimClock()):
        pass


def test_what_is_made_over_http_is_dated_by_it_and_signed_by_the_real_one(client_of):
    with LocalAws(now=THEN) as aws:
        s3, logs, cloudwatch = (client_of(aws, name) for name in ("s3", "logs", "cloudwatch"))
        s3.create_bucket(Bucket="dated", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket="dated", Key="k", Body=b"x")
        aws.clock.advance(timedelta(hours=1))
        logs.create_log_group(logGroupName="g")
        cloudwatch.put_dashboard(DashboardName="d", DashboardBody='{"widgets": []}')
        assert s3.list_buckets()["Buckets"][0]["CreationDate"] == THEN
        assert s3.head_object(Bucket="dated", Key="k")["LastModified"] == THEN
        created = logs.describe_log_groups()["logGroups"][0]["creationTime"]
        assert created == (THEN + timedelta(hours=1)).timestamp() * 1000
        assert cloudwatch.list_dashboards()["DashboardEntries"][0]["LastModified"].date() == THEN.date()
