"""Looking again and again: what changed is told, and what fires can be acted on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.runbook.triggers.looking import Look
    from vmqlib.runbook.triggers.verdicts import Detection, Verdict

__all__ = ["LONGEST_PAUSE", "Change", "changes", "pause", "watch"]

LONGEST_PAUSE: Final = 900.0
"""Seconds between two looks at most while nothing can be seen, unless one waits longer anyway."""
_JITTER = 0.1


@dataclass(frozen=True)
class Change:
    """Something that is not as it was at the look before.

    Parameters
    ----------
    subject:
        The trigger, or the kind of a finding.
    text:
        One line for people.
    """

    subject: str
    text: str


def watch(
    look: Look,
    every: float,
    *,
    sleep: Callable[[float], object],
    act: Callable[[Detection], None] = lambda _: None,
    chance: Callable[[], float] = random.random,
) -> Iterator[tuple[Detection, tuple[Change, ...]]]:
    """Looks for ever, and gives each look with what changed since the one before.

    While nothing at all can be seen the pauses grow, twice as long each time up to :data:`LONGEST_PAUSE`.

    Parameters
    ----------
    look:
        Looks.
    every:
        Seconds between two looks, more or less: many watchers are not to ask at the same moment.
    sleep:
        Waits so many seconds.
    act:
        Called with each look before it is given.
    chance:
        A number from 0 to 1.
    """
    before: Detection | None = None
    failures = 0
    while True:
        now = look()
        failures = failures + 1 if look.blind else 0
        act(now)
        yield now, changes(before, now)
        before = now
        sleep(pause(every, failures, chance()))


def pause(every: float, failures: int, chance: float) -> float:
    """Seconds until the next look, after so many looks in a row at which nothing could be seen."""
    longest = max(every, LONGEST_PAUSE)
    seconds = min(every * 2.0 ** min(failures, 30), longest)
    return seconds * (1 + _JITTER * (2 * chance - 1))


def changes(before: Detection | None, now: Detection) -> tuple[Change, ...]:
    """What is not as it was: verdicts, their causes, and findings that came or went. Without a look before: all."""
    known = {one.trigger: one for one in before.triggers} if before else {}
    found = [
        Change(one.trigger, _words(known.get(one.trigger), one, now))
        for one in now.triggers
        if one.trigger not in known or _differs(known[one.trigger], one)
    ]
    # A finding's text has ages in it: it is the same as long as its kind and source are.
    there = {(one.kind, one.source): one for one in before.findings} if before else {}
    new = {(one.kind, one.source): one for one in now.findings}
    found += [Change(one.kind, f"{one.level}: {one.text}") for key, one in new.items() if key not in there]
    return (*found, *(Change(one.kind, "no longer so") for key, one in there.items() if key not in new))


def _differs(before: Verdict, now: Verdict) -> bool:
    return (before.verdict, before.cause) != (now.verdict, now.cause)


def _words(before: Verdict | None, now: Verdict, at: Detection) -> str:
    step = (
        now.verdict
        if before is None or before.verdict == now.verdict
        else f"{before.verdict} -> {now.verdict}"
    )
    since = f" since {show_time(now.since)} ({duration(at.at - now.since)})" if now.since else ""
    why = next((one.text for one in now.reasons if one.says == now.verdict), "")
    return f"{step}{since}. {why}".strip()
