"""Action items: until when they are to be done."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vmqlib.errors import BadInput
from vmqlib.runbook.retro.duedate import due_day

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-23", "2026-11-24", "2027-01-01", "20261123"])
def test_today_and_later_are_taken(text: str) -> None:
    day = due_day(text, NOW)
    assert due_day(day, NOW) == day
    assert len(day) == 10


def test_no_day_is_none() -> None:
    assert due_day("", NOW) == ""


@pytest.mark.parametrize("text", ["2026-11-22", "2025-12-04", "0001-01-01"])
def test_a_day_that_is_over_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=f"{text} is over") as caught:
        due_day(text, NOW)
    assert caught.value.exit_code == 2
    assert "Today is 2026-11-23" in caught.value.hint


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30", "4.12.2026"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a day"):
        due_day(text, NOW)


def test_where_it_is_still_yesterday_yesterday_is_today() -> None:
    assert due_day("2026-11-22", NOW, "America/New_York") == "2026-11-22"
    assert due_day("2026-11-23", NOW, "Pacific/Auckland") == "2026-11-23"
    with pytest.raises(BadInput, match="is over"):
        due_day("2026-11-21", NOW, "America/New_York")
