"""What the runbook says to do next, with the exact command, from what was seen so far.

The rules are data (``templates/next-steps.toml``, read by :mod:`vmqlib.runbook.steprules`); the facts that they ask
about are listed in :mod:`vmqlib.runbook.stepfacts` and read off an incident by :mod:`vmqlib.runbook.stepevidence`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmqlib.runbook.stepevidence import facts
from vmqlib.runbook.stepfacts import VOCABULARY, Facts, Rollback, values_of
from vmqlib.runbook.steprules import NextStep, Rule, apply_rules, read_rules

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.changes import Ranking
    from vmqlib.runbook.triggers import Detection

__all__ = ["RULES", "Facts", "NextStep", "Rollback", "facts", "next_steps", "plan_next", "rules"]

RULES = "next-steps.toml"
"""The file of the rules, among the templates."""


def rules() -> tuple[Rule, ...]:
    """The rules that come with the kit.

    Raises
    ------
    SettingsError
        When the file was changed and is wrong: it names the rule and the key.
    """
    from vmqlib.record.notebook import templates_dir

    return read_rules(templates_dir() / RULES, VOCABULARY)


def plan_next(known: Facts) -> tuple[NextStep, ...]:
    """The steps that remain, in the runbook's order."""
    return apply_rules(rules(), values_of(known))


def next_steps(
    incident: Incident,
    detection: Detection | None = None,
    found: Affected | None = None,
    ranking: Ranking | None = None,
) -> tuple[NextStep, ...]:
    """What to do next in this incident, from its journal and evidence.

    Parameters
    ----------
    detection, found, ranking:
        What the triggers say, who is affected, and which change to look at first, where that is known already; by
        default told from the incident's
        evidence.
    """
    return plan_next(facts(incident, detection, found, ranking))
