"""The first questions about an incident and their answers: what is wrong, since when, how bad, what changed, what next.

One look at the evidence for all of them: the notebook's first screen, its sections and ``vmq show`` say the same.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vmqlib.runbook.changes import Ranking, WhatChanged, first_sign, rank, what_changed

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.ended import Ended
    from vmqlib.runbook.nextsteps import NextStep
    from vmqlib.runbook.triggers import Detection

__all__ = ["Overview"]


class Overview:
    """An incident's answers, from its evidence and as of its present moment. Each is told when it is first asked for,
    and then kept: what one cell has worked out the next one need not.

    Parameters
    ----------
    incident:
        The incident. Nothing is asked of AWS.
    """

    def __init__(self, incident: Incident) -> None:
        self.incident = incident

    @cached_property
    def detection(self) -> Detection:
        """What the four triggers say."""
        from vmqlib.runbook.triggers import detect

        return detect(self.incident.observations(), self.incident.judged_by, self.incident.seen_at)

    @cached_property
    def affected(self) -> Affected:
        """Who and what is hit."""
        from vmqlib.runbook.affected import affected_by

        return affected_by(self.incident, self.detection)

    @cached_property
    def ended(self) -> Ended | None:
        """When what it was opened for was over: blocked questions, documents that must not be indexed. Of syncs the
        sync history tells it."""
        from vmqlib.runbook.ended import BY_RULE, ended

        if self.incident.identity.trigger not in BY_RULE:
            return None
        return ended(self.incident, self.detection, self.affected)

    @cached_property
    def changed(self) -> WhatChanged:
        """Everything that changed in the three weeks before, and what this incident changed."""
        from vmqlib.runbook.owndeeds import deeds_of

        incident = self.incident
        return what_changed(
            incident.observations(),
            incident.judged_by,
            incident.seen_at,
            data_source_id=incident.identity.data_source_id,
            own=deeds_of(incident),
        )

    @cached_property
    def ranking(self) -> Ranking:
        """Which of it to look at first."""
        incident = self.incident
        sign = first_sign(
            self.detection,
            incident.observations(),
            incident.judged_by,
            trigger=incident.identity.trigger,
            opened=incident.state.opened_at,
        )
        return rank(self.changed.changes, sign)

    @cached_property
    def steps(self) -> tuple[NextStep, ...]:
        """What to do next."""
        from vmqlib.runbook.nextsteps import next_steps

        return next_steps(self.incident, self.detection, self.affected, self.ranking)
