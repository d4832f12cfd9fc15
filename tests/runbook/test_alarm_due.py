"""The alarm for missing syncs once every connector has synced: nothing to wait half an hour for, and no blocker."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.looks import DS, NOW, job, look

from vmqlib.runbook.alarmdue import due
from vmqlib.runbook.validation import by_alarms
from vmqlib.runbook.validation.names import ALARM
from vmqlib.settings import Connector, Settings

OTHER = "11111111-2222-4333-8444-555555555555"
SETTINGS = Settings(ds_id=DS)
LAST = NOW - timedelta(hours=3)  # when the newest datapoint's period began


def alarm(state: str = "ALARM", dimensions: str = '{"App": "a"}') -> dict[str, Any]:
    return {
        "name": "QBusinessNoSync", "state": state, "since": NOW - timedelta(hours=27), "reason": "over",
        "namespace": "VaultMesh/QBusiness", "metric": "NoSync", "dimensions": dimensions, "period_s": 86_400,
    }  # fmt: skip


def daily(*times: datetime) -> list[dict[str, Any]]:
    common = {"metric": "NoSync", "namespace": "VaultMesh/QBusiness", "dimensions": '{"App": "a"}'}
    return [common | {"period_s": 3600, "at": at, "value": 1.0} for at in times]


DAYS = daily(*(LAST - timedelta(days=day) for day in range(4)))
OLD, NEW = job("SUCCEEDED", NOW - timedelta(days=3)), job("SUCCEEDED", NOW - timedelta(minutes=20))


def seen(jobs: list[dict[str, Any]], metrics: list[dict[str, Any]] = DAYS, **row: Any) -> dict[str, Any]:
    return {
        "alarms": look("alarms", [alarm(**row)]),
        "sync-jobs": look("sync-jobs", jobs),
        "metrics": look("metrics", metrics),
    }


def test_after_a_sync_of_every_connector_it_cannot_be_told_before_its_next_datapoint() -> None:
    found = seen([OLD, NEW])
    waits = due(found, SETTINGS, NOW)
    assert waits is not None
    assert waits.at == LAST + timedelta(hours=1, days=1)
    (check,) = by_alarms(found["alarms"], {}, [], "INC-1", waits)
    assert (check.name, check.ok) == (ALARM, None)
    assert f"expected by {waits.at:%Y-%m-%d %H:%M}" in check.finding
    assert check.mend.endswith("vmq alarms wait --incident INC-1")
    (blind,) = by_alarms(found["alarms"], {"QBusinessNoSync": "no datapoints"}, [], "INC-1", waits)
    assert blind.ok is False


@pytest.mark.parametrize(
    "observations",
    [
        pytest.param(seen([OLD]), id="nothing synced"),
        pytest.param(seen([OLD, NEW], state="OK"), id="it is OK"),
        pytest.param(seen([OLD, job("FAILED", NOW - timedelta(minutes=20))]), id="the sync failed"),
        pytest.param(seen([OLD, job("SUCCEEDED", NOW - timedelta(hours=9)), NEW]), id="the syncs contradict it"),
        pytest.param(seen([OLD, job("SUCCEEDED", LAST - timedelta(hours=5))]), id="a datapoint came since"),
        pytest.param(seen([OLD, NEW], DAYS[1:]), id="its datapoint is overdue"),
        pytest.param(seen([OLD, NEW], DAYS[:2]), id="how often it comes is not known"),
        pytest.param(seen([OLD, NEW], dimensions='{"App": "b"}'), id="another metric"),
        pytest.param(
            seen([OLD, NEW], daily(*(LAST - timedelta(minutes=5 * n) for n in range(9)))), id="comes often"
        ),
        pytest.param({k: v for k, v in seen([OLD, NEW]).items() if k != "metrics"}, id="not looked at"),
    ],
)  # fmt: skip
def test_otherwise_it_is_an_alarm_like_any_other(observations: dict[str, Any]) -> None:
    assert due(observations, SETTINGS, NOW) is None


def test_one_connector_without_a_sync_is_enough_for_the_alarm_to_stand() -> None:
    both = Settings(
        connectors=(Connector(name="a", data_source_id=DS), Connector(name="b", data_source_id=OTHER))
    )
    stale = job("SUCCEEDED", NOW - timedelta(days=3), ds=OTHER)
    assert due(seen([OLD, NEW, stale]), both, NOW) is None
    fresh = job("SUCCEEDED", NOW - timedelta(hours=9), ds=OTHER)
    assert due(seen([OLD, NEW, stale, fresh]), both, NOW) is not None
