"""All the checks of an incident: looked at anew, kept as evidence, and noted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult, worst
from vmqlib.runbook.dashboard import SOURCES as DASHBOARD
from vmqlib.runbook.validation.asking import answered_by_people, by_canaries, by_web_experience
from vmqlib.runbook.validation.halves import half_applied, last_change
from vmqlib.runbook.validation.syncs import by_alarms, by_schedules, by_syncs

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["NEEDED", "Validation", "validate", "validated"]

_WIRING = ("alarm-config", "metric-names")
"""What tells whether an alarm sees anything."""

NEEDED = ("alarms", *_WIRING, "resources", "sync-jobs", *DASHBOARD, "canaries")
"""What is looked at anew, beside what the proof looks at. ``canaries`` asks: that is a conversation, which stands in
the application's logs."""

_VERDICT = {True: "pass", False: "fail", None: "cannot tell"}


@dataclass(frozen=True)
class Validation:
    """Whether an incident is over.

    Parameters
    ----------
    at:
        When that was looked at.
    checks:
        Each check, in the runbook's order.
    """

    at: datetime
    checks: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool | None:
        """False when a check failed, None when one cannot be told, True when all passed."""
        return worst(self.checks)

    @property
    def failing(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.ok is False)

    @property
    def unknown(self) -> tuple[CheckResult, ...]:
        """The checks that cannot be told."""
        return tuple(check for check in self.checks if check.ok is None)

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        told = [f"{check.name}{f' ({check.subject})' if check.subject else ''}" for check in self.failing]
        if told:
            return f"It is not over: {len(told)} of {len(self.checks)} checks failed: {'; '.join(told)}."
        if unknown := len(self.unknown):
            return f"Nothing failed; {unknown} of {len(self.checks)} checks cannot be told."
        return f"All {len(self.checks)} checks passed."


def validate(
    incident: Incident, *, ask: bool = True, progress: Callable[[str], None] = lambda _: None
) -> Validation:
    """Looks at everything again, and notes each check and what they come to.

    Parameters
    ----------
    ask:
        Whether to ask the canary questions and guardrail prompts.
    progress:
        Told the name of each source when it was looked at.
    """
    index = _index(incident, progress)
    names = [name for name in NEEDED if ask or name != "canaries"]
    incident.observe(names, refresh=True, progress=progress)
    checks = tuple(_checks(incident, index))
    made = Validation(incident.clock.now(), checks)
    data = {"verdict": _VERDICT[made.ok], "checks": [dict(check.as_dict()) for check in checks]}
    event = incident.conclude("validate", made.sentence, data)
    return Validation(event.at, checks)


def validated(incident: Incident) -> Validation | None:
    """The last validation, as the journal has it; None where there was none. Works offline."""
    found = None
    for event in incident.journal.events():
        if event.kind == "concluded" and event.step == "validate":
            checks = event.data.model_dump().get("checks")
            if checks is not None:
                found = Validation(event.at, tuple(CheckResult.from_dict(one) for one in checks))
    return found


def _index(incident: Incident, progress: Callable[[str], None]) -> Sequence[CheckResult]:
    """Whether the index holds what the bucket holds: the checks of a proof. How the sync went is told apart."""
    from vmqlib.runbook.proof import AGREE, SYNCED, prove

    if not (incident.identity.data_source_id or incident.settings.ds_id):
        why = "The incident is about no data source, and DS_ID is not set."
        return [CheckResult(AGREE, None, why, mend="Set DS_ID in .env.")]
    return [check for check in prove(incident, progress=progress).checks if check.name != SYNCED]


def _checks(incident: Incident, index: Sequence[CheckResult]) -> Sequence[CheckResult]:
    from vmqlib.runbook.dashboardchecks import dashboard_checks
    from vmqlib.runbook.rollback import status
    from vmqlib.runbook.stabilize.story import schedules_off
    from vmqlib.runbook.wiring import blind_alarms
    from vmqlib.sources.alarms import missing

    events = list(incident.journal.events())
    changed = last_change(events)
    seen = {name: incident.observed(name) for name in NEEDED}
    people = answered_by_people(events)
    alarms = seen["alarms"]
    blind = {one.name: one.text for one in blind_alarms({name: seen[name] for name in _WIRING})}
    absent = missing(alarms.frame, incident.settings) if alarms.available else []
    return [
        *by_web_experience(seen["resources"]),
        *by_canaries(seen["canaries"], incident.settings, incident.id, people),
        *by_alarms(alarms, blind, absent),
        *by_syncs(seen["sync-jobs"], changed, _connectors(incident)),
        *index,
        *by_schedules(schedules_off(incident), incident.id),
        *dashboard_checks(seen, incident.clock.now()),
        half_applied(events, status(incident)),
    ]


def _connectors(incident: Incident) -> dict[str, str]:
    """The data sources of the settings, and the one in question, by id."""
    known = {one.data_source_id: one.name for one in incident.settings.data_sources if one.data_source_id}
    mine = incident.identity.data_source_id
    return known | ({mine: known.get(mine, mine)} if mine else {})
