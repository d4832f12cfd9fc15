"""When the review is: within five business days, at a working hour, never on a weekend or a holiday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.errors import SettingsError
from vmqlib.runbook.retro import SlotRule, retro_slot, slot_rule
from vmqlib.settings import Retro, Settings

COUNTRIES = ["", "IE", "DE", "US", "AE", "IL", "CN", "JP", "IR"]
ZONES = ["UTC", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland",
         "Asia/Tehran", "America/Santiago", "Pacific/Kiritimati"]  # fmt: skip

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 12, 1, tzinfo=UTC)
MOMENTS = st.integers(0, int((LAST - FIRST).total_seconds())).map(lambda s: FIRST + timedelta(seconds=s))
RULES = st.builds(
    Retro,
    country=st.sampled_from(COUNTRIES),
    time_zone=st.sampled_from(ZONES),
    hour=st.integers(6, 20),
    business_day=st.integers(1, 12),
    within_business_days=st.integers(1, 10),
)


def is_off(day: date, retro: Retro) -> bool:
    """Whether nobody works: from the lists of holidays and weekends themselves."""
    if not retro.country:
        return day.weekday() >= 5
    calendar = holidays.country_holidays(retro.country, years=day.year)
    return day in calendar or day.weekday() in calendar.weekend


@given(MOMENTS, RULES)
def test_always_a_working_day_within_the_limit_at_the_local_hour(closed_at: datetime, retro: Retro) -> None:
    start = retro_slot(closed_at, slot_rule(retro))
    zone = ZoneInfo(retro.time_zone)
    local, closed_on = start.astimezone(zone), closed_at.astimezone(zone).date()
    assert start.tzinfo is UTC
    assert start > closed_at
    assert (local.hour, local.minute, local.second) == (retro.hour, 0, 0), "across daylight saving, too"
    assert not is_off(local.date(), retro)
    days = [closed_on + timedelta(days=n) for n in range(1, (local.date() - closed_on).days + 1)]
    working = [day for day in days if not is_off(day, retro)]
    assert len(working) == min(retro.business_day, retro.within_business_days)


@given(MOMENTS, RULES)
def test_closing_later_never_gives_an_earlier_review(closed_at: datetime, retro: Retro) -> None:
    rule = slot_rule(retro)
    assert retro_slot(closed_at, rule) <= retro_slot(closed_at + timedelta(hours=7), rule)


@pytest.mark.parametrize(
    ("closed_at", "given", "expected"),
    [
        # Monday noon: the third business day is Thursday.
        ("2026-11-23T12:00Z", {}, "2026-11-26T10:00Z"),
        # Friday evening, over a weekend.
        ("2026-11-27T18:00Z", {"business_day": 1}, "2026-11-30T10:00Z"),
        # Over Christmas in Britain: 24, 29, 30 December (28 is the substitute for Boxing Day).
        ("2026-12-23T18:00Z", {"country": "GB", "time_zone": "Europe/London"}, "2026-12-30T10:00Z"),
        # Daylight saving begins on Sunday 29 March: ten o'clock there is nine o'clock UTC afterwards.
        ("2026-03-27T12:00Z", {"time_zone": "Europe/Dublin", "business_day": 1}, "2026-03-30T09:00Z"),
        # 23:30 UTC is the next day in Auckland already.
        ("2026-11-23T23:30Z", {"time_zone": "Pacific/Auckland", "business_day": 1}, "2026-11-24T21:00Z"),
        # A Friday-Saturday weekend.
        ("2026-11-26T08:00Z", {"country": "IL", "business_day": 1}, "2026-11-29T10:00Z"),
    ],
)
def test_by_hand(closed_at: str, given: dict[str, object], expected: str) -> None:
    found = retro_slot(datetime.fromisoformat(closed_at), slot_rule(Retro(**given)))  # type: ignore[arg-type]
    assert found == datetime.fromisoformat(expected)


def test_the_runbook_is_the_default() -> None:
    rule = slot_rule(Settings.load().retro)
    assert (rule.within, Settings.load().retro.duration_minutes) == (5, 30)
    assert isinstance(rule, SlotRule)


@pytest.mark.parametrize("given", [{"country": "ZZ"}, {"country": "DE", "subdivision": "XX"}])
def test_a_country_without_a_calendar(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"retro\.country") as raised:
        slot_rule(Retro(**given))  # type: ignore[arg-type]
    assert raised.value.hint


@pytest.mark.parametrize(
    ("key", "value"),
    [("time_zone", "Europe/Atlantis"), ("time_zone", "../../etc/passwd"), ("hour", 3), ("country", "Ireland"),
     ("duration_minutes", 0), ("within_business_days", 0)],
)  # fmt: skip
def test_a_bad_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"retro\.{key}") as raised:
        Settings.load(retro={key: value})
    assert "such as" in raised.value.hint or "or ''" in raised.value.hint
