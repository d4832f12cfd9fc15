"""When the review is: "Conduct a 30-minute retro within 5 business days". Pure, but for the calendar of holidays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from vmqlib.errors import SettingsError

if TYPE_CHECKING:
    from holidays import HolidayBase

    from vmqlib.settings import Retro

__all__ = ["SlotRule", "business_days", "retro_slot", "slot_rule"]


@dataclass(frozen=True)
class SlotRule:
    """How the review's time is chosen.

    Parameters
    ----------
    zone:
        The time zone of ``hour``, and of the days.
    calendar:
        Which days are holidays and weekends.
    hour:
        The local hour, of a working day.
    business_day:
        On which business day after the closing.
    within:
        At the latest on this one.
    """

    zone: ZoneInfo
    calendar: HolidayBase
    hour: int = 10
    business_day: int = 3
    within: int = 5


def slot_rule(retro: Retro) -> SlotRule:
    """The rule that the settings say.

    Raises
    ------
    SettingsError
        When no calendar is known for that country or subdivision.
    """
    import holidays

    try:
        calendar = (
            holidays.country_holidays(retro.country, subdiv=retro.subdivision or None)
            if retro.country
            else holidays.HolidayBase()
        )
    except NotImplementedError as error:
        raise SettingsError(
            f"There is no calendar of holidays for retro.country {retro.country!r}"
            f"{f', retro.subdivision {retro.subdivision!r}' if retro.subdivision else ''}.",
            hint="Write codes of ISO 3166, such as country = 'DE' and subdivision = 'BY'; '' counts weekends alone.",
        ) from error
    return SlotRule(
        ZoneInfo(retro.time_zone), calendar, retro.hour, retro.business_day, retro.within_business_days
    )


def business_days(after: date, calendar: HolidayBase) -> Iterator[date]:
    """The business days after a day: neither weekend nor holiday, where the calendar is."""
    day = after
    while True:
        day += timedelta(days=1)
        # A Saturday that is worked in place of a bridge day is no day for a meeting, either.
        if calendar.is_working_day(day) and not calendar.is_weekend(day):
            yield day


def retro_slot(closed_at: datetime, rule: SlotRule) -> datetime:
    """When the review begins, UTC: at the rule's local hour of a business day after the closing's, within the limit.

    Parameters
    ----------
    closed_at:
        When the incident was closed, timezone-aware.
    """
    nth = min(rule.business_day, rule.within)
    closed_on = closed_at.astimezone(rule.zone).date()
    day = next(islice(business_days(closed_on, rule.calendar), nth - 1, None))
    return datetime.combine(day, time(rule.hour), rule.zone).astimezone(UTC)
