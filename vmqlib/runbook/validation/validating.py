"""All the checks of an incident: looked at anew, kept as evidence, and noted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput, VmqError
from vmqlib.runbook.alarmdue import due
from vmqlib.runbook.checks import CheckResult, outcome, worst
from vmqlib.runbook.dashboard import SOURCES as DASHBOARD
from vmqlib.runbook.validation.agreeing import agreeing
from vmqlib.runbook.validation.asking import answered_by_people, by_canaries, by_web_experience
from vmqlib.runbook.validation.halves import half_applied
from vmqlib.runbook.validation.moves import changes, last_move, started
from vmqlib.runbook.validation.names import essential
from vmqlib.runbook.validation.opened import SOURCES as OPENED
from vmqlib.runbook.validation.opened import by_access_control
from vmqlib.runbook.validation.ordering import rollback_first
from vmqlib.runbook.validation.syncs import Sought, by_alarms, by_schedules, by_syncs, sought
from vmqlib.times import Window, show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.proof import Proof

__all__ = ["NEEDED", "Validation", "in_the_way", "validate", "validated"]

_STEP = "validate"
_WIRING = ("alarm-config", "metric-names")
"""What tells whether an alarm sees anything."""

NEEDED = (
    "alarms", "alarm-history", "metrics", "own-questions", *_WIRING, "resources", "sync-jobs", *DASHBOARD, "acl",
    "canaries",
)  # fmt: skip
"""What is looked at anew, beside what the proof looks at: also what the record's plots show beside the checks.
``canaries`` asks: that is a conversation, which stands in the application's logs, and which CloudWatch counts."""

_MENDS = {"guardrail": ("trail", "chat-controls")}
"""What shows, by the incident's trigger, what people mended elsewhere."""


@dataclass(frozen=True)
class Validation:
    """Whether an incident is over.

    Parameters
    ----------
    at:
        When that was looked at.
    checks:
        Each check, in the runbook's order.
    seq:
        The journal's event that says so.
    stale:
        What was changed, or synced, since: then it says nothing of now. Empty where nothing was.
    """

    at: datetime
    checks: tuple[CheckResult, ...]
    seq: int = 0
    stale: str = ""

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
        total = len(self.checks)
        if self.failing:
            told = "; ".join(map(_named, self.failing))
            return f"It is not over: {len(self.failing)} of {total} checks failed: {told}."
        if self.unknown:
            told = "; ".join(map(_named, self.unknown))
            return f"Nothing failed; {len(self.unknown)} of {total} checks cannot be told: {told}."
        return f"All {total} checks passed."


def in_the_way(made: Validation, trigger: str) -> tuple[CheckResult, ...]:
    """The checks that keep an incident open: those that failed, and of those that cannot be told the ones without which
    nobody knows whether it is over (:func:`~vmqlib.runbook.validation.names.essential`)."""
    needed = essential(trigger)
    return (*made.failing, *(check for check in made.unknown if check.name in needed))


def _named(check: CheckResult) -> str:
    return f"{check.name}{f' ({check.subject})' if check.subject else ''}"


def validate(
    incident: Incident, *, ask: bool = True, progress: Callable[[str], None] = lambda _: None
) -> Validation:
    """Looks at everything again, and notes each check and what they come to. Changes nothing in AWS.

    Of a change whose process died the world is asked first what became of it.

    Parameters
    ----------
    ask:
        Whether to ask the canary questions and guardrail prompts.
    progress:
        Told the name of each source when it was looked at.

    Raises
    ------
    BadInput
        The incident is closed, or was loaded offline: nothing is looked at, and nothing written.
    VmqError
        What was seen cannot be written down. What could not be seen never raises: the check says so.
    """
    from vmqlib.runbook.opening import about
    from vmqlib.runbook.rollback.ground import connected

    aws = connected(incident)
    if incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is closed: its record is complete, and nothing is added to it.",
            hint="`vmq detect --canaries` looks and writes nothing; `vmq reopen` lets the incident go on.",
        )
    _settle(incident, aws)
    index, proofs = _index(incident, aws, progress)
    # First what asks: whoever counts the questions is to know which of them were the kit's own.
    asking = ["canaries"] if ask else []
    looking = [name for name in NEEDED if name != "canaries"]
    for names in (asking, [*looking, *_MENDS.get(incident.identity.trigger, ()), *about(incident)]):
        incident.observe(names, refresh=True, step=_STEP, progress=progress)
    made = Validation(incident.clock.now(), tuple(_checks(incident, index, proofs)))
    data = {"verdict": outcome(made.ok), "checks": [dict(check.as_dict()) for check in made.checks]}
    event = incident.conclude(_STEP, made.sentence, data)
    return replace(made, at=event.at, seq=event.seq)


def validated(incident: Incident) -> Validation | None:
    """The last validation, as the journal has it; None where there was none. Works offline."""
    found = None
    events = list(incident.journal.events())
    for event in events:
        if event.kind == "concluded" and event.step == _STEP:
            checks = event.data.model_dump().get("checks")
            if checks is not None:
                found = Validation(event.at, tuple(map(CheckResult.from_dict, checks)), event.seq)
    moved = last_move(events)
    if found is None or moved is None or moved.seq < found.seq:
        return found
    return replace(found, stale=f"After it, at {show_time(moved.at)}: {moved.what}")


def _settle(incident: Incident, aws: Aws) -> None:
    """Finds out what became of changes whose process died; where that cannot be had, they stay open, and are told."""
    from vmqlib.runbook import resync, stabilize

    with contextlib.suppress(VmqError):
        stabilize.settle(incident, aws, incident.settings)
    for source, start in resync.begun(incident).items():
        if not start.ended:
            with contextlib.suppress(VmqError):
                resync.settle(incident, aws, incident.settings, source)
    with contextlib.suppress(VmqError):
        resync.unsettled_stops(incident, aws, incident.settings)


def _index(
    incident: Incident, aws: Aws, progress: Callable[[str], None]
) -> tuple[Sequence[CheckResult], Mapping[str, Proof]]:
    """Whether the index holds what the bucket holds, for each connector: the checks of a proof. How the sync went is
    told apart, by what changed since: the proofs, by data source. Only the incident's own is kept as such."""
    from vmqlib.runbook.proof import AGREE, SYNCED, look, prove

    settings = incident.settings
    mine = incident.identity.data_source_id or settings.ds_id
    if not mine:
        why = "The incident is about no data source, and DS_ID is not set."
        return [CheckResult(AGREE, None, why, mend="Set DS_ID in .env.")], {}
    proof = prove(incident, step=_STEP, progress=progress)
    proofs = {mine: proof}
    found = [agreeing(one, proof.later, mine, incident.id) for one in proof.checks if one.name != SYNCED]
    others = [one for one in settings.data_sources if one.data_source_id and one.data_source_id != mine]
    if others:
        name = settings.connector(mine).name or mine
        found = [replace(check, subject=check.subject or name) for check in found]
    for one in others:
        seen = proofs[one.data_source_id] = look(aws, settings, one.data_source_id, progress=progress)
        told = [agreeing(each, seen.later, one.data_source_id, incident.id) for each in seen.checks]
        found += [
            replace(check, subject=check.subject or one.name or one.data_source_id, evidence=())
            for check in told
            if check.name != SYNCED
        ]
    return found, proofs


def _opened(incident: Incident) -> list[CheckResult]:
    """What the access control file of the incident's own connector leaves open that it had closed."""
    mine = incident.identity.data_source_id or incident.settings.ds_id
    if not mine or "acl" not in incident.sources:
        return []
    return by_access_control(
        {name: incident.observed(name) for name in OPENED},
        incident.settings,
        mine,
        incident.clock.now(),
        trigger=incident.identity.trigger,
        incident_id=incident.id,
    )


def _synced(incident: Incident, mine: Observation, wanted: Iterable[Sought]) -> Iterator[CheckResult]:
    """How the syncs of each data source went. An incident's own look is at one alone: the others are looked at here."""
    from vmqlib.runbook.rollback.ground import connected
    from vmqlib.runbook.triggers.detection import live

    now = incident.clock.now()
    for one in wanted:
        if one.data_source_id == incident.identity.data_source_id or not mine.missing_of(one.data_source_id):
            yield from by_syncs(mine, [one], incident.id)
            continue
        jobs = live(
            connected(incident), incident.settings, Window(now, now), names=["sync-jobs"],
            data_source_id=one.data_source_id,
        )["sync-jobs"]  # fmt: skip
        for check in by_syncs(jobs, [one], incident.id):
            yield replace(check, subject=check.subject or one.name, evidence=())


def _checks(
    incident: Incident, index: Sequence[CheckResult], proofs: Mapping[str, Proof]
) -> Sequence[CheckResult]:
    from vmqlib.runbook.dashboardchecks import dashboard_checks
    from vmqlib.runbook.rollback.ground import bucket_of
    from vmqlib.runbook.stabilize.story import schedules_off, story
    from vmqlib.runbook.wiring import blind_alarms
    from vmqlib.sources.alarms import missing

    settings = incident.settings
    events = list(incident.journal.events())
    seen = {name: incident.observed(name) for name in NEEDED}
    moved = last_move(events)
    alarms = seen["alarms"]
    blind = {one.name: one.text for one in blind_alarms({name: seen[name] for name in _WIRING})}
    absent = missing(alarms.frame, settings) if alarms.available else []
    syncs = sought(
        settings.data_sources, incident.identity.data_source_id, changes(events, bucket_of(incident)),
        started(events), settings.bucket_name,
    )  # fmt: skip
    syncs = tuple(
        replace(one, later=proof.later, unseen=proof.unseen)
        if (proof := proofs.get(one.data_source_id))
        else one
        for one in syncs
    )
    first = incident.first_seen(["resources"])["resources"]
    made = [
        *by_web_experience(seen["resources"], settings.app_id),
        *by_canaries(seen["canaries"], settings, incident.id, answered_by_people(events, moved), moved),
        *by_alarms(alarms, blind, absent, incident.id, due(seen, settings, incident.clock.now())),
        *_synced(incident, seen["sync-jobs"], syncs),
        *index,
        *_opened(incident),
        *by_schedules(story(incident), schedules_off(incident), first, seen["resources"], incident.id),
        *dashboard_checks(seen, incident.clock.now(), settings),
        half_applied(incident),
    ]
    return rollback_first(made, incident)
