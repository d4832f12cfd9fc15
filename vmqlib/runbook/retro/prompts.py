"""What went well, badly, and where one was lucky: proposed from the facts, by rules. People say what it was.

The rules are data (``templates/retro-prompts.toml``), read by :mod:`vmqlib.runbook.steprules`; a rule's ``step`` is
``well``, ``badly``, ``lucky`` or ``action``. :data:`VOCABULARY` lists the facts that they may ask about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from vmqlib.errors import SettingsError
from vmqlib.record.events import Event, Failed, Severity, Verified
from vmqlib.runbook.communicate.clock import Cadence
from vmqlib.runbook.keyevents import SWITCHED_OFF, old_proofs
from vmqlib.runbook.retro.measures import Measure
from vmqlib.runbook.retro.witnesses import Witness
from vmqlib.runbook.steprules import Fact, Rule, Value, apply_rules, read_rules
from vmqlib.times import duration

if TYPE_CHECKING:
    from vmqlib.record.state import State

__all__ = ["KINDS", "RULES", "VOCABULARY", "Proposal", "facts", "proposals", "rules"]

RULES = "retro-prompts.toml"
"""The file of the rules, among the templates."""

KINDS = ("well", "badly", "lucky", "action")


@dataclass(frozen=True)
class Proposal:
    """Something that the facts suggest; nobody has said so yet.

    Parameters
    ----------
    kind:
        One of :data:`KINDS`.
    text:
        A sentence, with the figures.
    command:
        What to type to take it on; empty where it is to be put into one's own words.
    """

    kind: str
    text: str
    command: str = ""


VOCABULARY: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        "incident_id": Fact("text", "the incident", always=True),
        "trigger": Fact("text", "what it was opened for", always=True),
        "severity": Fact("text", "as it was at last", always=True),
        "closed": Fact("flag", "whether it is closed", always=True),
        "detect_minutes": Fact("count", "whole minutes from the first bad sign to its detection"),
        "detect_took": Fact("text", "the same, for people"),
        "opening_minutes": Fact("count", "whole minutes from the alarm to the opening"),
        "opening_took": Fact("text", "the same, for people"),
        "alarm": Fact("text", "the alarm that rang first between the first bad sign and the opening"),
        "by_alarm": Fact("flag", "whether an alarm rang between the first bad sign and the opening"),
        "acknowledged": Fact("flag", "whether anybody acknowledged", always=True),
        "acknowledge_minutes": Fact("count", "whole minutes from the opening to the acknowledgement"),
        "acknowledge_took": Fact("text", "the same, for people"),
        "mitigate_minutes": Fact("count", "whole minutes from the opening to the mitigation"),
        "mitigate_took": Fact("text", "the same, for people"),
        "resolve_minutes": Fact("count", "whole minutes from the opening to the closing"),
        "resolve_took": Fact("text", "the same, for people"),
        "channel": Fact("text", "where updates go", always=True),
        "every": Fact("text", "the cadence of updates", always=True),
        "updates": Fact("count", "updates that were sent", always=True),
        "updates_kept": Fact("count", "updates that were sent in time", always=True),
        "updates_late": Fact("count", "updates that were sent late", always=True),
        "updates_missing": Fact("count", "updates that were due and never sent", always=True),
        "updates_worst": Fact("text", "how late the latest of them was"),
        "silence": Fact("text", "the longest time in which nothing was said", always=True),
        "blind": Fact("texts", "alarms that are there for this, and did not see it"),
        "untold": Fact("texts", "alarms of which nobody can tell whether they saw it"),
        "own_rule": Fact("text", "what the incident's own trigger said: firing, quiet or unknown", always=True),
        "unseen": Fact("texts", "titles of the evidence that could not be had when it was opened"),
        "changes": Fact("count", "changes that were made and stand", always=True),
        "undone": Fact("count", "changes that were taken back, other than schedules put back", always=True),
        "failures": Fact("count", "changes that failed", always=True),
        "verified": Fact("count", "verifications that found all as it should be", always=True),
        "unverified": Fact("count", "verifications that did not, unless they only came too early", always=True),
        "raised": Fact("flag", "whether the severity was raised after the opening", always=True),
        "raised_by_rule": Fact("flag", "whether the rule raised it, and not a person", always=True),
        "forced": Fact("text", "why it was closed although a check did not pass"),
        "reopened": Fact("count", "how often it was closed and went on", always=True),
        "reopen_reason": Fact("text", "why, the last time"),
        "no_cause": Fact("flag", "whether it was closed without a root cause", always=True),
        "doctor": Fact("flag", "whether the alarms' wiring was looked at", always=True),
    }
)  # fmt: skip
"""Every name that a rule may use."""


def rules() -> tuple[Rule, ...]:
    """The rules that come with the kit.

    Raises
    ------
    SettingsError
        When the file was changed and is wrong: it names the rule and the key.
    """
    from vmqlib.record.notebook import templates_dir

    found = read_rules(templates_dir() / RULES, VOCABULARY)
    for rule in found:
        if rule.step not in KINDS:
            raise SettingsError(
                f"Rule {rule.name!r} in {RULES}: step is {rule.step!r}.",
                hint=f"Write one of {', '.join(KINDS)}.",
            )
    return found


def proposals(values: Mapping[str, Value]) -> tuple[Proposal, ...]:
    """What the rules propose of these facts (:func:`facts`)."""
    return tuple(Proposal(one.step, one.why, one.command) for one in apply_rules(rules(), values))


def facts(
    *,
    incident_id: str,
    trigger: str,
    channel: str,
    state: State,
    events: Sequence[Event],
    measured: Sequence[Measure],
    kept: Cadence,
    witnesses: Sequence[Witness],
    unseen: Sequence[str],
    by_alarm: bool | None,
    alarm: str,
    doctor: bool,
) -> dict[str, Value]:
    """The facts that the rules may ask about. Pure."""
    own = next((one.saw for one in witnesses if one.kind == "trigger" and one.expected), None)
    closing = state.closings[-1] if state.closings else None
    severities = [one for one in events if isinstance(one, Severity)]
    early = old_proofs(events)
    verifications = [
        one.data.ok is not False for one in events if isinstance(one, Verified) and one.seq not in early
    ]
    late = [one.late for one in kept.updates if one.outcome == "late"]
    values: dict[str, Value] = {
        "incident_id": incident_id,
        "trigger": trigger,
        "severity": state.severity,
        "closed": state.closed_at is not None,
        "alarm": alarm or None,
        "by_alarm": by_alarm,
        "acknowledged": state.acknowledged_at is not None,
        "channel": channel,
        "every": duration(kept.every),
        "updates": sum(one.sent is not None for one in kept.updates),
        "updates_kept": kept.count("in time"),
        "updates_late": kept.count("late"),
        "updates_missing": kept.count("never sent"),
        "updates_worst": duration(max(late)) if late else None,
        "silence": duration(kept.longest),
        "blind": tuple(one.name for one in witnesses if one.kind == "alarm" and one.blind),
        "untold": tuple(
            one.name for one in witnesses if one.kind == "alarm" and one.expected and one.saw is None
        ),
        "own_rule": {True: "firing", False: "quiet", None: "unknown"}[own],
        "unseen": tuple(unseen),
        "changes": sum(not one.undone for one in state.applied if one.step != "resync"),
        "undone": sum(one.undone and one.action != SWITCHED_OFF for one in state.applied),
        "failures": sum(isinstance(one, Failed) and not one.data.source for one in events),
        "verified": sum(verifications),
        "unverified": len(verifications) - sum(verifications),
        "raised": any(_rank(one.data.severity) < _rank(one.data.previous or "SEV3") for one in severities),
        "raised_by_rule": any(one.data.by_rule for one in severities),
        "forced": closing.outcome if closing and closing.outcome else None,
        "reopened": len(state.reopenings),
        "reopen_reason": state.reopenings[-1].reason if state.reopenings else None,
        "no_cause": closing is not None and not closing.cause,
        "doctor": doctor,
    }
    for one in measured:
        if one.name != "exposed":
            values[f"{one.name}_minutes"] = one.took // timedelta(minutes=1) if one.took is not None else None
            values[f"{one.name}_took"] = duration(one.took) if one.took is not None else None
    return values


def _rank(severity: str) -> int:
    return int(severity.removeprefix("SEV"))
