"""Runbook step 6, *Validate*: is it over? Each thing is looked at anew; what cannot be told is said, never passed.

    made = validate(incident)      looks, and writes each check into the journal
    validated(incident)            the last one again, from disk

The rules are pure: :mod:`~vmqlib.runbook.validation.asking`, ``syncs``, ``halves``.
"""

from __future__ import annotations

from vmqlib.runbook.validation.asking import QUESTION, answered_by_people, by_canaries
from vmqlib.runbook.validation.halves import half_applied
from vmqlib.runbook.validation.names import ESSENTIAL, SCHEDULE, essential
from vmqlib.runbook.validation.syncs import by_alarms, by_schedules, by_syncs
from vmqlib.runbook.validation.validating import NEEDED, Validation, in_the_way, validate, validated

__all__ = [
    "ESSENTIAL",
    "NEEDED",
    "QUESTION",
    "SCHEDULE",
    "Validation",
    "answered_by_people",
    "by_alarms",
    "by_canaries",
    "by_schedules",
    "by_syncs",
    "essential",
    "half_applied",
    "in_the_way",
    "validate",
    "validated",
]
