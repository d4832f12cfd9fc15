"""Until when an action item of the review is to be done. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from vmqlib.errors import BadInput

__all__ = ["due_day"]


def due_day(text: str, now: datetime, zone: str = "UTC") -> str:
    """A day as it is kept, ``2026-12-04``; empty where none is given.

    Parameters
    ----------
    text:
        What a person wrote.
    now:
        The moment, UTC.
    zone:
        Where people work: it may be yesterday there, and today still be a day to be done by.

    Raises
    ------
    BadInput
        When it is no day, or one that is over.
    """
    if not text:
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is not a day.", hint="Write one such as 2026-12-04.") from error
    today = min(now.astimezone(UTC).date(), now.astimezone(ZoneInfo(zone)).date())
    if day < today:
        raise BadInput(
            f"{day.isoformat()} is over: nothing can be done by then.",
            hint=f"Today is {today.isoformat()}; give that day or a later one.",
        )
    return day.isoformat()
