"""Where a rollback goes back to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from vmqlib.errors import BadInput
from vmqlib.runbook.lastgood import CameIn
from vmqlib.runbook.rollback.target import as_of, last_good, parse_to, previous

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPENED = NOW - timedelta(hours=1)


def jobs(*rows: tuple[str, str, float, float | None], source: str = "ds") -> pd.DataFrame:
    """``(execution, status, hours before the incident that it started, and ended)``."""

    def at(hours: float | None) -> datetime | None:
        return None if hours is None else OPENED - timedelta(hours=hours)

    frame = pd.DataFrame(
        [(source, name, status, at(started), at(ended)) for name, status, started, ended in rows],
        columns=["data_source_id", "execution_id", "status", "started_at", "ended_at"],
    )
    return frame.astype({"started_at": "datetime64[us, UTC]", "ended_at": "datetime64[us, UTC]"})


def parse(text: str, **given: Any) -> Any:
    options: dict[str, Any] = {"now": NOW, "jobs": jobs, "before": OPENED} | given
    return parse_to(text, **options)


def test_the_start_of_the_last_sync_that_had_succeeded() -> None:
    seen = jobs(
        ("old", "SUCCEEDED", 30, 29),
        ("good", "SUCCEEDED", 20, 19),
        ("bad", "FAILED", 10, 9),
        ("half", "INCOMPLETE", 5, 4),
        ("late", "SUCCEEDED", 0.5, -0.5),  # ended after the incident was opened
        ("after", "SUCCEEDED", -0.7, -0.8),
    )
    target = last_good(seen, OPENED)
    assert (target.kind, target.at) == ("last-good", OPENED - timedelta(hours=20))
    assert "good" in target.why
    assert "2026-11-22 12:00:00 UTC" in target.why


def test_without_a_good_sync_a_person_has_to_give_a_time() -> None:
    for seen in (jobs(), jobs(("bad", "FAILED", 10, 9)), jobs(("late", "SUCCEEDED", 0.5, -0.5))):
        with pytest.raises(BadInput, match="No sync ever succeeded before 2026-11-23 08:00:00 UTC") as told:
            last_good(seen, OPENED)
        assert "--to 2026-" in told.value.hint


def test_of_the_data_source_that_is_meant() -> None:
    both = pd.concat([jobs(("a", "SUCCEEDED", 9, 8)), jobs(("b", "SUCCEEDED", 5, 4), source="other")])
    assert last_good(both, OPENED, data_source_id="ds").at == OPENED - timedelta(hours=9)
    assert last_good(both, OPENED).at == OPENED - timedelta(hours=5)
    with pytest.raises(BadInput, match="of data source nobody"):
        last_good(both, OPENED, data_source_id="nobody")


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("6h", "as-of", NOW - timedelta(hours=6)),
        (" 2026-11-20T10:00Z ", "as-of", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00.250+02:00", "as-of", datetime(2026, 11, 20, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("now", "as-of", NOW),
        ("previous", "previous", None),
    ],
)
def test_what_people_type(text: str, kind: str, at: datetime | None) -> None:
    target = parse(text)
    assert (target.kind, target.at) == (kind, at)
    assert target.why.endswith(".")


def test_last_good_is_looked_for_only_when_it_is_asked_for() -> None:
    def never() -> pd.DataFrame:
        raise AssertionError("asked for the jobs")

    assert parse("6h", jobs=never).at == NOW - timedelta(hours=6)
    assert parse("last-good", jobs=lambda: jobs(("good", "SUCCEEDED", 20, 19))).kind == "last-good"


def test_previous_since() -> None:
    assert parse("previous", since="2h").at == NOW - timedelta(hours=2)
    with pytest.raises(BadInput, match="--since"):
        parse("6h", since="2h")
    with pytest.raises(BadInput, match="in the future"):
        parse("previous", since="2026-11-24")
    assert previous().at is None


@pytest.mark.parametrize("text", ["2026-11-23T09:00:01Z", "2027-01-01"])
def test_the_future_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="in the future"):
        parse(text)


@pytest.mark.parametrize("text", ["", "yesterday", "lastgood", "2026-13-01", "99999999999d"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(BadInput, match="no target for a rollback") as told:
        parse(text)
    assert "last-good, previous" in told.value.hint


def test_a_target_of_ones_own() -> None:
    assert as_of(NOW, "Before the move.").why == "Before the move."


def test_a_sync_that_took_in_what_is_unauthorized_is_not_good_and_the_plan_says_so() -> None:
    seen = jobs(("good", "SUCCEEDED", 20, 19), ("tainted", "SUCCEEDED", 5, 4), ("later", "SUCCEEDED", 2, 1))
    entered = CameIn(OPENED - timedelta(hours=5), by_sync=True)
    target = parse("last-good", jobs=lambda: seen, came_in=entered)
    assert target.at == OPENED - timedelta(hours=20)
    assert target.why.endswith("The sync of 2026-11-23 03:00:00 UTC took in what is unauthorized.")
    assert parse("last-good", jobs=lambda: seen).at == OPENED - timedelta(hours=2)
    with pytest.raises(BadInput, match="before 2026-11-23 03:00:00 UTC"):
        last_good(seen.iloc[1:], OPENED, came_in=entered)
