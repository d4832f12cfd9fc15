"""What an emptied schedule was: by the calls that were seen, else by when syncs used to begin, else not known."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from support.looks import DS, NOW, job, look

from vmqlib.runbook.formerschedule import former_schedule

MORNING = NOW.replace(hour=10, minute=40, second=2, microsecond=0) - timedelta(days=4)


def call(at: datetime, schedule: str | None, **more: Any) -> dict[str, Any]:
    asked = {"dataSourceId": DS} | ({} if schedule is None else {"syncSchedule": schedule})
    row = {"at": at, "event": "UpdateDataSource", "error_code": "", "parameters": json.dumps(asked)}
    return row | more


def daily(*days: int) -> list[dict[str, Any]]:
    return [job("SUCCEEDED", MORNING - timedelta(days=day)) for day in days]


def told(jobs: list[dict[str, Any]], *calls: dict[str, Any]) -> Any:
    return former_schedule({"sync-jobs": look("sync-jobs", jobs), "trail": look("trail", calls)}, DS)


def test_the_call_before_the_one_that_emptied_it_says_it() -> None:
    before = call(NOW - timedelta(days=5), "cron(5 3 * * ? *)")
    emptied, renamed = call(NOW - timedelta(days=3), ""), call(NOW - timedelta(days=1), None)
    found = told(daily(*range(9)), before, emptied, renamed)
    assert found.schedule == "cron(5 3 * * ? *)"
    assert "UpdateDataSource of" in found.why
    refused = call(NOW - timedelta(days=4), "cron(0)", error_code="AccessDenied")
    long = call(NOW - timedelta(days=4), "", parameters="{ cut")
    assert told([], before, refused, long, emptied) == found


def test_without_such_a_call_the_minute_at_which_syncs_began_speaks_for_one() -> None:
    pushed = [job("SUCCEEDED", MORNING - timedelta(days=day, hours=3, minutes=day)) for day in range(5)]
    found = told([*daily(*range(9)), *pushed], call(NOW - timedelta(days=3), ""))
    assert found.schedule == "cron(40 10 * * ? *)"
    assert "10:40 UTC on 9 of the 9 days" in found.why


def test_a_few_starts_at_the_same_minute_say_nothing() -> None:
    assert told(daily(0, 1)) is None
    assert told(daily(0, 4, 9)) is None
    assert told([]) is None
    assert former_schedule({}, DS) is None
