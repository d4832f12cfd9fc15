"""Whether a text can be a sync schedule: looked at before AWS is asked, which only says that it is not valid. Pure.

The form is that of AWS's schedule expressions ("Schedule expressions" in the EventBridge user guide), in UTC:
``cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)`` with ``?`` for one of the two day fields, or ``rate(VALUE UNIT)``.
"""

from __future__ import annotations

import re

from vmqlib.errors import BadInput

__all__ = ["check_expression"]

_CRON = re.compile(r"cron\(([^()]*)\)")
_RATE = re.compile(r"rate\([1-9]\d* (minute|hour|day)s?\)")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 1, 7, _DAYS),
    ("year", 1970, 2199, ()),
)
_SPECIAL = {
    "day of the month": re.compile(r"\?|L|LW|([1-9]|[12]\d|3[01])W"),
    "day of the week": re.compile(r"\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])"),
}
_EXAMPLES = (
    "Six fields, in UTC, one of the two day fields a question mark: 'cron(0 3 * * ? *)' is daily at 03:00, "
    "'cron(30 2 ? * MON-FRI *)' on weekdays at 02:30; or 'rate(12 hours)'."
)


def check_expression(text: str) -> None:
    """Raises what is wrong with a schedule expression, if anything is.

    Raises
    ------
    BadInput
        It is none; the hint has examples.
    """
    if problem := _problem(text):
        raise BadInput(f"{text!r} is no schedule expression: {problem}.", hint=_EXAMPLES)


def _problem(text: str) -> str:
    if _RATE.fullmatch(text):
        return ""
    match = _CRON.fullmatch(text)
    if match is None:
        return "it is neither cron(…) nor rate(…)"
    fields = match[1].split(" ")
    if len(fields) != len(_FIELDS) or not all(fields):
        return f"cron(…) takes six fields with one space between them, and it has {len(match[1].split())}"
    for field, (name, least, most, words) in zip(fields, _FIELDS, strict=True):
        special = _SPECIAL.get(name)
        if special is not None and special.fullmatch(field):
            continue
        if not all(_fits(part, least, most, words) for part in field.split(",")):
            return f"{field!r} is no {name}"
    if (fields[2] == "?") == (fields[4] == "?"):
        return "exactly one of day of the month and day of the week is to be '?'"
    return ""


def _fits(part: str, least: int, most: int, words: tuple[str, ...]) -> bool:
    """Whether it is ``*``, a value or a span of them, perhaps with a step."""
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    return span == "*" or all(_value(one, least, most, words) for one in span.split("-", 1))


def _value(text: str, least: int, most: int, words: tuple[str, ...]) -> bool:
    if text.upper() in words:
        return True
    return text.isascii() and text.isdigit() and least <= int(text) <= most
