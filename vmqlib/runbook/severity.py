"""Runbook step 1: SEV2 by default, SEV1 when customers are hit. The rule's figures are in the settings.

The rule advises; it raises an incident only where nobody said how severe it is, and never lowers one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from vmqlib.runbook.questions import Asked, Questions
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.affected import Affected
    from vmqlib.settings import SeverityRule

__all__ = ["DEFAULT", "Advice", "WebExperience", "advise", "given_by_person", "note_given", "raise_if_hit"]

DEFAULT: Final = "SEV2"
"""Runbook, step 1."""

_GIVEN = "severity_given"


@dataclass(frozen=True)
class WebExperience:
    """A web experience as Q Business has it.

    Parameters
    ----------
    id, name:
        Its id and title.
    status:
        ACTIVE, CREATING, DELETING, FAILED or PENDING_AUTH_CONFIG; empty where it could not be read.
    """

    id: str
    name: str
    status: str


@dataclass(frozen=True)
class Advice:
    """How severe an incident is by the rule.

    Parameters
    ----------
    severity:
        SEV1 when customers are hit, else the runbook's default.
    customers:
        Whether customers are hit: ``hit``, ``not-hit``, or ``unknown`` where too little was seen to tell.
    reason:
        Why, in a sentence, with the figures.
    """

    severity: Literal["SEV1", "SEV2"]
    customers: Literal["hit", "not-hit", "unknown"]
    reason: str


def advise(asked: Questions, web: Sequence[WebExperience] | None, rule: SeverityRule) -> Advice:
    """Whether customers are hit. Pure.

    Parameters
    ----------
    asked:
        The questions before and after the first bad sign.
    web:
        The web experiences; ``None`` where they were not seen.
    rule:
        From when on customers are hit (``severity_rule`` in the settings).
    """
    said = [_by_questions(asked, rule), *([_by_web(web)] if rule.web_experience_down else [])]
    told = {
        kind: "; ".join(words for each, words in said if each == kind) for kind in ("hit", "unknown", "fine")
    }
    if told["hit"]:
        return Advice("SEV1", "hit", f"Customers are hit: {told['hit']}.")
    if told["unknown"]:
        known = "; ".join(filter(None, (told["unknown"], told["fine"])))
        return Advice(DEFAULT, "unknown", f"Whether customers are hit is not known: {known}.")
    return Advice(DEFAULT, "not-hit", f"Customers are not hit by the rule: {told['fine']}.")


def _by_questions(asked: Questions, rule: SeverityRule) -> tuple[str, str]:
    """What the questions say: ``hit``, ``unknown`` or ``fine``, and why."""
    after = asked.after
    if after is None:
        return "unknown", asked.problem.rstrip(".") or "nobody counted the questions"
    since = f"since {show_time(after.since)}"
    without, blocked = after.no_answer_share, after.blocked_share
    if after.asked < rule.min_questions or without is None or blocked is None:
        many = f"{after.asked} question{' was' if after.asked == 1 else 's were'} asked {since}"
        return "unknown", f"{many}, fewer than the {rule.min_questions} that count"
    if asked.problem and asked.before is not None:  # what was counted is incomplete, and so are its shares
        return "unknown", asked.problem.rstrip(".")
    told = [
        f"{share:.0%} of the {after.asked:,} questions {since} {words}{_before(asked.before, name)}"
        for share, limit, words, name in (
            (without, rule.failed_share, "had no answer", "no_answer_share"),
            (blocked, rule.blocked_share, "were blocked", "blocked_share"),
        )
        if share >= limit
    ]
    if told:
        return "hit", " and ".join(told)
    return (
        "fine",
        f"of {after.asked:,} questions {since}, {without:.0%} had no answer and {blocked:.0%} were blocked",
    )


def _before(before: Asked | None, name: str) -> str:
    share = getattr(before, name) if before is not None else None
    return "" if before is None or share is None else f" (before: {share:.0%} of {before.asked:,})"


def _by_web(web: Sequence[WebExperience] | None) -> tuple[str, str]:
    if web is None:
        return "unknown", "the web experience was not seen"
    if not web:
        return "unknown", "no web experience was found"
    named = [
        f"{one.name or one.id} is {one.status or 'not readable'}" for one in web if one.status != "ACTIVE"
    ]
    if down := [one for one in web if one.status not in ("", "ACTIVE")]:
        shown = ", ".join(f"{one.name or one.id} is {one.status}" for one in down)
        return "hit", f"the web experience {shown}, not ACTIVE"
    if named:
        return "unknown", f"the web experience {', '.join(named)}"
    return "fine", "the web experience is ACTIVE"


def given_by_person(incident: Incident) -> bool:
    """Whether somebody said how severe this is: when it was opened, or since. The rule then leaves it alone."""
    return incident.identity.severity != DEFAULT or any(
        (event.kind == "severity" and not event.data.by_rule)
        or (event.kind == "concluded" and getattr(event.data, _GIVEN, False))
        for event in incident.journal.events()
    )


def note_given(incident: Incident, severity: str) -> Event:
    """Writes down that whoever opened the incident said how severe it is: the rule is not asked then."""
    words = f"Severity {severity} was given when the incident was opened; the rule does not change it."
    return incident.conclude("triage", words, {"verdict": severity, _GIVEN: True})


def raise_if_hit(incident: Incident, found: Affected) -> Event | None:
    """Makes it SEV1 where the rule says that customers are hit, unless a person said how severe it is.

    Returns
    -------
    Event or None
        The journal's event, with the reason and its evidence; ``None`` where nothing was changed.
    """
    advice = found.severity
    if advice.severity != "SEV1" or incident.state.severity == "SEV1" or incident.state.closed_at:
        return None
    if given_by_person(incident):
        return None
    before = incident.state.severity
    seen = (incident.observed(name) for name in ("metrics", "resources"))
    return incident.journal.append(
        "severity",
        f"Severity {before} to SEV1 by the rule: {advice.reason}",
        step="triage",
        data={"severity": "SEV1", "previous": before, "reason": advice.reason, "by_rule": True},
        evidence=[one.evidence for one in seen if one.evidence is not None],
    )
