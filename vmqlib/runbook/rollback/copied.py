"""Which versions this incident's rollbacks made, and of which each is a copy: what an ETag does not tell where KMS
encrypts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmqlib.errors import VmqError
from vmqlib.runbook.rollback.sidebyside import log_of
from vmqlib.runbook.rollback.standing import read_plan
from vmqlib.runbook.rollback.story import story

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["copies"]


def copies(incident: Incident) -> dict[str, str]:
    """From plans and apply logs alone: each version id that was made, with the id of the version that it is a copy of
    (the first one, where copies were copied). What cannot be read is left out.
    """
    made: dict[str, str] = {}
    told = story(incident)
    for digest in told.applies:
        try:
            plan = read_plan(incident, told.plans[digest])
            log = log_of(incident, plan)
            outcomes = dict(log.outcomes()) if log is not None else {}
            for number, item in enumerate(plan.iter_items()):
                outcome, original = outcomes.get(number), item.target.version_id
                applied = outcome is not None and outcome.result in {"done", "found"}
                if outcome is not None and applied and outcome.version_id and item.target.there:
                    made[outcome.version_id] = made.get(original, original)
        except (VmqError, KeyError):
            continue
    return made
