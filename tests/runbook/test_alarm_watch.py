"""Watching alarms until they clear: when that can be, which never will, and what happens on the way."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, DeadlinePassed, Throttled, Unreachable
from vmqlib.record.incident import Incident
from vmqlib.runbook.alarmlook import Look
from vmqlib.runbook.alarmwatch import Alarm, Watched, clears_by, journal_watch, wait
from vmqlib.settings import Settings

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALARM = Alarm(
    "QBusinessSyncFailed",
    "ALARM",
    since=AT,
    as_of=AT,
    period=5 * MINUTE,
    treat_missing="notBreaching",
    last_breach=AT,
)


class TestClearsBy:
    def test_after_the_last_breach_has_left_all_that_is_looked_at(self) -> None:
        assert clears_by(ALARM) == AT + 3 * 5 * MINUTE + MINUTE
        assert clears_by(replace(ALARM, evaluation_periods=3)) == AT + 5 * 5 * MINUTE + MINUTE

    def test_without_a_known_breach_it_counts_from_now(self) -> None:
        assert clears_by(replace(ALARM, last_breach=None, as_of=AT + 10 * MINUTE)) == AT + 26 * MINUTE

    def test_never_in_the_past(self) -> None:
        late = AT + 120 * MINUTE
        assert clears_by(replace(ALARM, as_of=late)) == late + MINUTE

    @pytest.mark.parametrize("treat", ["missing", "ignore", "breaching"])
    def test_where_missing_data_do_not_help_nobody_can_say(self, treat: str) -> None:
        alarm = replace(ALARM, treat_missing=treat)
        assert clears_by(alarm) is None
        assert treat in alarm.sentence
        assert clears_by(replace(alarm, good_since=1)) is not None, "good datapoints have come"

    def test_a_datapoint_that_comes_once_a_day_is_named(self) -> None:
        daily = replace(ALARM, treat_missing="ignore", next_by=AT + timedelta(days=1))
        assert "The next datapoint is expected by 2026-11-24 09:00:00 UTC." in daily.sentence

    @pytest.mark.parametrize(
        "more",
        [{"state": "OK"}, {"state": "INSUFFICIENT_DATA"}, {"period": None}, {"sees_nothing": "blind."}],
    )
    def test_where_it_is_not_in_alarm_or_follows_others_or_sees_nothing(self, more: dict[str, Any]) -> None:
        assert clears_by(replace(ALARM, **more)) is None


class TestPromise:
    """What was said at one look holds at the next: a time is the data's, or there is none."""

    def test_the_time_does_not_move_with_the_looks(self) -> None:
        good = replace(ALARM, good_since=1, good_by=AT + 5 * MINUTE)
        for alarm in (ALARM, good):
            said = {
                replace(alarm, as_of=AT + timedelta(seconds=seconds)).sentence
                for seconds in (0, 64, 107, 191)
            }
            assert len(said) == 1
        assert "OK by 2026-11-23 09:07:00" in good.sentence

    @pytest.mark.parametrize(
        "more",
        [
            {"good_since": 1, "good_by": AT - 5 * MINUTE},
            {"good_since": 1},
            {"last_breach": AT - 60 * MINUTE},
        ],
        ids=["good long since", "good, nobody knows when", "the breach is long gone"],
    )
    def test_where_only_the_evaluation_is_awaited_no_time_is_said(self, more: dict[str, Any]) -> None:
        assert "it is OK within a minute or two." in replace(ALARM, **more).sentence

    def test_where_the_breach_is_not_known_it_is_a_span(self) -> None:
        assert "it is OK within 16 min." in replace(ALARM, last_breach=None).sentence


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def wait(self, look: Callable[[], Watched], minutes: int = 30, **more: Any) -> Watched:
        return wait(
            look,
            deadline=minutes * MINUTE,
            sleep=self.sleep,
            monotonic=lambda: self.now,
            rng=random.Random(1),
            **more,
        )


def scripted(*steps: str | Exception) -> Callable[[], Watched]:
    """A look at one alarm that is in these states, one after the other; the last for ever."""
    left = list(steps)

    def look() -> Watched:
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, Exception):
            raise step
        return Watched((replace(ALARM, state=step),), (), AT)

    return look


def test_it_ends_when_all_are_ok() -> None:
    time = Time()
    seen = time.wait(scripted("ALARM", "ALARM", "INSUFFICIENT_DATA", "OK"))
    assert seen.ok is True
    assert len(time.pauses) == 3
    assert time.pauses == sorted(time.pauses), "ever slower"


def test_throttling_and_a_lost_endpoint_are_borne() -> None:
    time, told = Time(), []
    trouble = [Throttled("Slow down."), Unreachable("No answer."), Unreachable("No answer.")]
    seen = time.wait(scripted("ALARM", *trouble, "OK"), progress=lambda _, problem: told.append(problem))
    assert seen.ok is True
    assert told == ["", "Slow down.", "No answer.", "No answer.", ""]


def test_a_refusal_is_told_at_once() -> None:
    with pytest.raises(AccessDenied):
        Time().wait(scripted(AccessDenied("cloudwatch:DescribeAlarms")))


def test_the_deadline_says_what_is_left() -> None:
    time = Time()
    with pytest.raises(DeadlinePassed, match="QBusinessSyncFailed is ALARM") as caught:
        time.wait(scripted("ALARM"), minutes=3)
    assert caught.value.exit_code == 5
    assert 180 <= time.now < 181


def test_never_reached_is_told_at_the_deadline() -> None:
    told: list[Any] = []
    with pytest.raises(DeadlinePassed, match=r"could not be seen within 1 min\. No answer\.") as caught:
        Time().wait(scripted(Unreachable("No answer.")), minutes=1, progress=lambda *each: told.append(each))
    assert caught.value.exit_code == 5
    assert told[0] == (None, "No answer."), "that nothing is seen is told at once"


def test_a_blind_alarm_is_not_waited_for() -> None:
    blind = Watched((replace(ALARM, sees_nothing="It never sees a datapoint."),), (), AT)
    assert "It never sees a datapoint." in blind.sentence
    assert "never" not in blind.alarms[0].brief, "while it is watched that is not said again and again"
    assert "It sees nothing." in blind.alarms[0].brief
    time = Time()
    seen = time.wait(lambda: blind)
    assert time.pauses == []
    assert seen.ok is False
    assert "never sees" in seen.sentence
    quiet = Watched((replace(ALARM, state="OK", sees_nothing="It never sees a datapoint."),), (), AT)
    assert quiet.ok is False, "an OK that says nothing is not fine"


def test_no_alarm_is_not_fine() -> None:
    assert Watched((), ("QBusinessSyncFailed",), AT).ok is None


# -- on the local AWS


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def aws(local: Any, point_at: Callable[[Any], None]) -> Iterator[Aws]:
    point_at(local)
    aws = Aws(Settings.load(app_id="e3e70682-c209-4cac-a29f-6fbed82c07cd"), local.clock)
    yield aws
    aws.client("cloudwatch").delete_alarms(AlarmNames=["QBusinessSyncFailed"])
    local.faults.clear()


def alarm(aws: Aws, treat: str = "notBreaching", **dimensions: str) -> None:
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="QBusinessSyncFailed",
        Namespace="VaultMesh/QBusiness",
        MetricName="SyncFailed",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData=treat,
    )


def publish(aws: Aws, app: str, value: float) -> None:
    aws.client("cloudwatch").put_metric_data(
        Namespace="VaultMesh/QBusiness",
        MetricData=[
            {"MetricName": "SyncFailed", "Value": value, "Dimensions": [{"Name": "App", "Value": app}]}
        ],
    )


def sees(local: Any, aws: Aws) -> Watched:
    local.clock.advance(2 * MINUTE)
    return Look(aws, aws.settings)()


def test_it_clears_by_the_time_that_was_said(local: Any, aws: Aws) -> None:
    alarm(aws, App="clears")
    publish(aws, "clears", 1)
    seen = sees(local, aws)
    (one,) = seen.alarms
    assert (one.state, one.sees_nothing) == ("ALARM", "")
    at = clears_by(one)
    assert at is not None
    assert one.as_of is not None
    assert at > one.as_of
    local.clock.advance(at - local.clock.now())
    time = Time()
    look = Look(aws, aws.settings)
    done = wait(look, sleep=lambda _: pytest.fail("it was not OK by then"), monotonic=lambda: time.now)
    assert done.ok is True


def test_an_alarm_without_the_metrics_dimensions_is_blind(local: Any, aws: Aws) -> None:
    aws = Aws(
        Settings.load(app_id=aws.settings.app_id, ds_id="f7c1bd87-4da5-4709-9471-3d60c8a70639"), local.clock
    )
    alarm(aws)
    publish(aws, aws.settings.app_id, 1)
    seen = sees(local, aws)
    (one,) = seen.alarms
    assert one.state == "OK"
    assert f"published with App={aws.settings.app_id}" in one.sees_nothing
    assert "no dimensions" in one.sees_nothing
    assert seen.ok is False


@pytest.mark.parametrize(("treat", "state"), [("breaching", "ALARM"), ("missing", "INSUFFICIENT_DATA")])
def test_what_gets_no_data_never_clears(local: Any, aws: Aws, treat: str, state: str) -> None:
    alarm(aws, treat, App=f"nobody-{treat}")
    local.clock.advance(10 * MINUTE)
    seen = wait(Look(aws, aws.settings), sleep=lambda _: pytest.fail("there is nothing to wait for"))
    (one,) = seen.alarms
    assert one.state == state
    assert "no datapoint" in one.sees_nothing
    assert clears_by(one) is None
    assert seen.ok is False


def test_without_the_permission_to_see_metrics_it_is_unsure(local: Any, aws: Aws) -> None:
    alarm(aws, App="unsure")
    publish(aws, "unsure", 0)
    local.faults.add(service="cloudwatch", operation="GetMetricData", status=403, code="AccessDenied")
    seen = sees(local, aws)
    assert seen.ok is None
    assert "cloudwatch:GetMetricData" in seen.unsure


def test_what_was_seen_is_in_the_journal(local: Any, aws: Aws) -> None:
    alarm(aws, App="kept")
    publish(aws, "kept", 0)
    incident = Incident.open(aws.settings, aws, trigger="sync-failed", clock=local.clock)
    journal_watch(incident, sees(local, aws))
    event = list(incident.journal.events())[-1]
    assert (event.kind, event.step) == ("verified", "resync")
    data = event.data.model_dump()
    assert data["ok"] is True
    assert [one["name"] for one in data["alarms"]] == ["QBusinessSyncFailed"]


def test_a_good_datapoint_gives_a_time_that_stays(local: Any, aws: Aws) -> None:
    local.clock.advance(
        5 * MINUTE - timedelta(seconds=local.clock.now().timestamp() % 300)
    )  # a period begins
    alarm(aws, App="promised")
    publish(aws, "promised", 1)
    local.clock.advance(5 * MINUTE)
    publish(aws, "promised", 0)
    local.clock.advance(MINUTE)
    look = Look(aws, aws.settings)
    (first,) = look().alarms
    local.clock.advance(timedelta(seconds=40))
    (second,) = look().alarms
    assert first.good_by is not None
    assert first.good_by.timestamp() % 300 == 0
    assert (first.good_by, clears_by(first)) == (second.good_by, clears_by(second))
