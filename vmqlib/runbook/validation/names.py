"""The checks' names: said to people, and by which they are told apart; and which of them may not stay unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vmqlib.runbook.proof.results import AGREE, UNWANTED

__all__ = [
    "ACL",
    "ALARM",
    "ALARMS",
    "ESSENTIAL",
    "HALF",
    "PROMPT",
    "QUESTION_CHECK",
    "SCHEDULE",
    "SYNC",
    "WEB",
    "essential",
]

WEB: Final = "web experience is ACTIVE"
QUESTION_CHECK: Final = "canary question is answered"
PROMPT: Final = "guardrail prompt is treated as expected"
ALARMS: Final = "alarms can be read"
ALARM: Final = "alarm is OK"
SYNC: Final = "last sync succeeded after the last change"
SCHEDULE: Final = "schedule is as before"
ACL: Final = "access control file has its rules"
HALF: Final = "no change half applied"

ESSENTIAL: Final = frozenset({QUESTION_CHECK, ALARMS, SYNC, HALF})
"""Where one of these cannot be told, nobody knows whether it is over: that keeps every incident open. An alarm that was
read and says INSUFFICIENT_DATA is not among them: with little traffic it may stay so for good."""

_MORE: Final[Mapping[str, frozenset[str]]] = {
    "guardrail": frozenset({PROMPT}),
    "content": frozenset({PROMPT, AGREE, UNWANTED, ACL}),
}
"""What an incident is about is known at its end, too: what is blocked, what is in the index."""


def essential(trigger: str) -> frozenset[str]:
    """The checks that have to be told before an incident with that trigger is closed."""
    return ESSENTIAL | _MORE.get(trigger, frozenset())
