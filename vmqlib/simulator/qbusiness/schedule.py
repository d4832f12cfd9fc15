"""Sync schedules: AWS's cron and rate expressions, in UTC. Pure.

"Schedule expressions" in the EventBridge user guide: six fields, one day field is ``?``; Sunday is 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from croniter import croniter

from vmqlib.simulator.qbusiness.exceptions import Validation

__all__ = ["Schedule"]

_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)s?\)")
_DAYS_AHEAD = 366 * 5


@dataclass(frozen=True)
class Schedule:
    """When a data source syncs by itself.

    Parameters
    ----------
    expression:
        ``cron(0 3 * * ? *)``, ``rate(12 hours)``, or "" for on demand.
    """

    expression: str

    def __post_init__(self) -> None:
        text = self.expression
        if text and not _RATE.fullmatch(text):
            self._expanded(text)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first firing later than ``moment`` (timezone-aware UTC), None for never."""
        text = self.expression
        if not text:
            return None
        if rate := _RATE.fullmatch(text):
            return moment + timedelta(**{f"{rate[2]}s": int(rate[1])})
        fields, years = self._expanded(text)
        upcoming = croniter(fields, moment)
        latest = moment + timedelta(days=_DAYS_AHEAD)
        while True:
            firing: datetime = upcoming.get_next(datetime)
            if firing > latest:
                return None
            if years is None or firing.year in years:
                return firing

    def _expanded(self, text: str) -> tuple[str, frozenset[int] | None]:
        """croniter's five fields, and the years (None for any).

        Raises
        ------
        Validation
            When the expression is not one.
        """
        match = _CRON.fullmatch(text)
        if match is None:
            raise _invalid(text)
        minute, hour, day, month, weekday, year = match.groups()
        if (day == "?") == (weekday == "?"):
            raise _invalid(text)
        fields = " ".join([minute, hour, day.replace("?", "*"), month, _weekday(weekday)])
        try:
            croniter(fields)
            return fields, _years(year)
        except (ValueError, KeyError) as error:
            raise _invalid(text) from error


def _invalid(text: str) -> Validation:
    return Validation(
        f"The schedule expression {text!r} is not valid.",
        [("syncSchedule", "is not a valid cron or rate expression")],
    )


def _weekday(text: str) -> str:
    """croniter counts the days from 0 for Sunday, AWS from 1."""
    if text == "?":
        return "*"
    if match := re.fullmatch(r"([1-7])L", text):
        return f"L{int(match[1]) - 1}"
    head, hash_, nth = text.partition("#")
    head = re.sub(r"(?<!/)\b[1-7]\b", lambda match: str(int(match[0]) - 1), head)
    return head + hash_ + nth


def _years(text: str) -> frozenset[int] | None:
    if text == "*":
        return None
    years: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = 1970 if first == "*" else int(first)
        end = 2199 if first == "*" or (step and not last) else int(last or first)
        years.update(range(begin, end + 1, int(step or 1)))
    return frozenset(years)
