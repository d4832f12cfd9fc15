"""The checks' names: said to people, and by which they are told apart."""

from __future__ import annotations

from typing import Final

__all__ = ["ALARM", "ESSENTIAL", "HALF", "PROMPT", "QUESTION_CHECK", "SCHEDULE", "SYNC", "WEB"]

WEB: Final = "web experience is ACTIVE"
QUESTION_CHECK: Final = "canary question is answered"
PROMPT: Final = "guardrail prompt is treated as expected"
ALARM: Final = "alarm is OK"
SYNC: Final = "last sync succeeded after the last change"
SCHEDULE: Final = "schedule is as before"
HALF: Final = "no change half applied"

ESSENTIAL: Final = frozenset({QUESTION_CHECK, SYNC, HALF})
"""Where one of these cannot be told, nobody knows whether users are served again: that keeps an incident open."""
