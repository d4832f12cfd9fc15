"""Which alarms and triggers saw the incident, and which were blind, as far as the evidence tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.errors import VmqError
from vmqlib.record.events import Concluded, Event, Failed, Observed
from vmqlib.record.observation import Observation
from vmqlib.record.tables import source_table
from vmqlib.runbook.triggers import witnesses as looks
from vmqlib.runbook.triggers.verdicts import Detection
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["Witness", "alarm_witnesses", "doctors_findings", "first_looks", "rings", "trigger_witnesses"]

DOCTOR = "vmq doctor: "
"""How the journal's line begins that tells what the doctor found (:func:`vmqlib.runbook.doctor.diagnose`)."""


@dataclass(frozen=True)
class Witness:
    """Something that could have seen the incident.

    Parameters
    ----------
    kind:
        ``alarm`` or ``trigger``.
    name:
        Its name.
    saw:
        Whether it saw it; ``None`` where that cannot be told.
    expected:
        Whether it is there for this kind of incident: only then not to have seen it is to have been blind.
    at:
        Since when it saw it.
    finding:
        What it said, or why that cannot be told, in a sentence.
    """

    kind: str
    name: str
    saw: bool | None
    expected: bool
    at: datetime | None
    finding: str

    @property
    def blind(self) -> bool:
        """Whether it ought to have seen it, and did not."""
        return self.expected and self.saw is False


def first_looks(incident: Incident, events: Sequence[Event]) -> dict[str, Observation]:
    """What was seen when the incident was opened: the first look at each source, whatever was looked at since."""
    found: dict[str, Observation] = {}
    for event in events:
        name = event.data.source if isinstance(event, Observed | Failed) else ""
        if not name or name in found:
            continue
        source = incident.sources.get(name)
        title = source.title if source else name
        nothing = source_table(source, tuple)
        if isinstance(event, Failed):
            about = event.data
            found[name] = Observation(name, title, nothing, False, about.problem, about.hint, event.at, False)
            continue
        ref = event.evidence[0]
        try:
            kept = incident.evidence.open(ref)
            rows = source_table(source, kept.rows)
        except VmqError as error:
            found[name] = Observation(name, title, nothing, False, error.message, error.hint, ref.at, False)
            continue
        found[name] = Observation(
            name, title, rows, True, "", "", ref.at, ref.complete, ref.stopped, ref, kept.header.missing
        )
    return found


def rings(*histories: Observation | None) -> list[tuple[datetime, str]]:
    """When which alarm went into ALARM, oldest first, as looks at the alarm history tell."""
    found: set[tuple[datetime, str]] = set()
    for seen in histories:
        if seen is None or not seen.available:
            continue
        frame = seen.frame[seen.frame["new_state"].eq("ALARM") & seen.frame["at"].notna()]
        found |= {
            (at.to_pydatetime(warn=False), str(name))
            for at, name in zip(frame["at"], frame["name"], strict=True)
        }
    return sorted(found)


def alarm_witnesses(
    trigger: str,
    settings: Settings,
    first: Mapping[str, Observation],
    last: Mapping[str, Observation],
    since: datetime | None,
    until: datetime,
) -> Iterator[Witness]:
    """Each alarm that the settings name, and every other one that rang meanwhile.

    Parameters
    ----------
    first, last:
        What was seen when the incident was opened, and last.
    since, until:
        From the first bad sign (or the opening, where none is known) to the closing.
    """
    watches = {settings.alarms.sync_failed: "sync-failed", settings.alarms.no_sync: "no-sync"}
    histories = [one for one in (first.get("alarm-history"), last.get("alarm-history")) if one is not None]
    rang = rings(*histories)
    # What came after the last look nobody saw: no alarm is called blind for it.
    looked = [one for one in histories if one.available and one.at]
    until = min(until, max((one.at for one in looked if one.at), default=until))
    whole = bool(looked) and all(one.complete for one in looked)
    meanwhile = [(at, name) for at, name in rang if since is not None and since <= at <= until]
    names = list(dict.fromkeys([*watches, *(name for _, name in meanwhile)]))
    for name in names:
        expected = watches.get(name) == trigger
        at = next((at for at, other in meanwhile if other == name), None)
        if at is not None:
            late = f", {duration(at - since)} after the first bad sign" if since and at >= since else ""
            yield Witness("alarm", name, True, expected, at, f"Went into ALARM at {show_time(at)}{late}.")
            continue
        yield _silent(name, expected, first, until, whole=whole)


def _silent(
    name: str, expected: bool, first: Mapping[str, Observation], until: datetime, *, whole: bool
) -> Witness:
    """An alarm whose history has no change to ALARM in that time."""
    now = looks.alarm(first, name)
    if now.exists is False:
        return Witness(
            "alarm", name, False, expected, None, "There was no such alarm when the incident was opened."
        )
    if now.exists is None:
        return Witness("alarm", name, None, expected, None, f"Cannot be told: {now.problem}")
    if now.state == "ALARM":
        since = f" since {show_time(now.since)}" if now.since else ""
        finding = f"It was in ALARM{since}, from before the first bad sign: it said nothing new."
        return Witness("alarm", name, None, expected, now.since, finding)
    if not whole:
        missing = looks.not_seen(first, "alarm-history")
        why = missing.text if missing else "the alarm history is incomplete."
        return Witness("alarm", name, None, expected, None, f"Cannot be told: {why}")
    state = now.state or "in no state"
    return Witness(
        "alarm", name, False, expected, None, f"It was {state}, and did not ring until {show_time(until)}."
    )


def trigger_witnesses(trigger: str, detection: Detection) -> Iterator[Witness]:
    """What each trigger's rule says of the evidence of the opening."""
    for verdict in detection.triggers:
        saw = {"firing": True, "quiet": False, "unknown": None}[verdict.verdict]
        # The rule spoke at the opening; what is read months later has times, and no ages.
        finding = looks.ageless(verdict.reasons[0].text) if verdict.reasons else "It gave no reason."
        yield Witness("trigger", verdict.trigger, saw, verdict.trigger == trigger, verdict.since, finding)


def doctors_findings(events: Sequence[Event]) -> tuple[Mapping[str, Any], ...] | None:
    """What `vmq doctor --incident` last found wrong, or could not tell, of the alarms' wiring: name, subject, outcome
    and finding of each check. Empty where all was well; ``None`` where nobody looked."""
    from vmqlib.runbook.doctor import ALARM_CHECKS

    parts = {check.title for check in ALARM_CHECKS}
    found: tuple[Mapping[str, Any], ...] | None = None
    for event in events:
        if isinstance(event, Concluded) and event.summary.startswith(DOCTOR):
            checks = event.data.model_dump().get("checks") or ()
            found = tuple(
                {**one, "finding": looks.ageless(str(one.get("finding", "")))}
                for one in checks
                if isinstance(one, Mapping) and one.get("part") in parts
            )
    return found
