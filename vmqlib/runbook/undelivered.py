"""Messages that did not reach people, in one line: for the operations runbook, where each attempt would be noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vmqlib.record.events import Concluded, Event, Failed, Notified
from vmqlib.runbook.wording import many

__all__ = ["is_attempt", "undelivered"]

_STEP = "communicate"


@dataclass
class _Lost:
    """A message that did not reach its channel.

    Parameters
    ----------
    news:
        A hash of what is new in it: the same at every attempt.
    kind, channel:
        Which, and where it should have gone.
    at:
        When it was tried last.
    maybe:
        Whether it may have arrived all the same.
    mailed:
        Who got it by mail instead; empty for nobody.
    item:
        The marker of the last attempt.
    """

    news: str
    kind: str
    channel: str
    at: datetime
    maybe: bool
    mailed: str = ""
    item: str = ""


def is_attempt(event: Event) -> bool:
    """Whether an event is an attempt that failed to send a message, or the mail that stood in for it."""
    failed = isinstance(event, Failed) and event.step == _STEP
    return failed or (isinstance(event, Notified) and event.data.fallback)


def undelivered(events: Iterable[Event]) -> tuple[datetime, str] | None:
    """When the last of them was tried, and in a sentence how many messages did not reach whom; ``None`` where all did.
    What arrived in the end, at another try or by hand, is not counted. Pure."""
    lost = list(_lost(events))
    if not lost:
        return None
    channels = dict.fromkeys(one.channel for one in lost)
    return max(one.at for one in lost), "; ".join(
        words
        for channel in channels
        for words in _words(channel, [one for one in lost if one.channel == channel])
    )


def _lost(events: Iterable[Event]) -> Iterator[_Lost]:
    waiting: dict[tuple[str, str], _Lost] = {}
    for event in events:
        if event.step != _STEP or not isinstance(event, Failed | Notified | Concluded):
            continue
        told: Mapping[str, Any] = event.data.model_dump()
        key = (str(told.get("message", "")), str(told.get("channel", "")))
        if isinstance(event, Concluded):
            # It was looked for, and is not there.
            for one in waiting.values():
                one.maybe = one.maybe and one.item != told.get("item")
        elif isinstance(event, Notified) and event.data.fallback:
            # It stands in for the attempt just before it.
            for one in list(waiting.values())[-1:]:
                one.mailed = event.data.channel
        elif isinstance(event, Notified):
            waiting.pop(key, None)
        elif told.get("written"):
            news = str(told.get("news", ""))
            made = _Lost(
                news, *key, event.at, bool(told.get("maybe")), str(told.get("mailed_to", "")),
                str(told.get("item", "")),
            )  # fmt: skip
            before = waiting.pop(key, None)
            if before is not None and before.news == made.news:
                made.mailed = made.mailed or before.mailed
            elif before is not None:
                yield before
            waiting[key] = made
    yield from waiting.values()


def _words(channel: str, lost: list[_Lost]) -> Iterator[str]:
    gone = [one for one in lost if not one.maybe]
    if gone:
        mailed = [one.mailed for one in gone if one.mailed]
        noun = "update" if all(one.kind == "update" for one in gone) else "message"
        text = f"{many(len(gone), noun)} did not reach {channel}"
        if len(mailed) == len(gone):
            text = f"{text}; mailed to {mailed[-1]} instead"
        elif mailed:
            text = f"{text}; {len(mailed)} of them mailed to {mailed[-1]} instead"
        yield text
    if unsure := len(lost) - len(gone):
        yield f"of {many(unsure, 'message')} it is not known whether {channel} was reached"
