"""Runbook step 1: SEV2 by default, SEV1 when customers are hit. The rule's figures are in the settings.

The rule advises; it raises an incident only where nobody said how severe it is, and never lowers one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from vmqlib.errors import VmqError
from vmqlib.runbook.ownquestions import own_of_rows
from vmqlib.runbook.questions import Asked, Questions, points_of_rows, questions
from vmqlib.sources.syncjobs import TERMINAL, last_good_row
from vmqlib.times import parse_iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident
    from vmqlib.settings import SeverityRule

__all__ = [
    "DEFAULT",
    "Advice",
    "WebExperience",
    "advice_from_evidence",
    "advise",
    "given_by_person",
    "judge",
    "note_given",
    "raise_if_hit",
    "web_experiences",
]

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
    figures:
        The figures of it alone, where customers are hit.
    """

    severity: Literal["SEV1", "SEV2"]
    customers: Literal["hit", "not-hit", "unknown"]
    reason: str
    figures: str = ""


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
        return Advice("SEV1", "hit", f"Customers are hit: {told['hit']}.", told["hit"])
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
    if not asked.complete:
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


def advice_from_evidence(incident: Incident) -> Advice:
    """The rule's advice on an incident about failing syncs, from its evidence's rows: quick, and without pandas.

    The same as :func:`vmqlib.runbook.affected.affected_by` gives without a detection.
    """
    opened = incident.state.opened_at or incident.seen_at
    rows = {name: _rows(incident, name) for name in ("sync-jobs", "metrics", "resources", "own-questions")}
    jobs = rows["sync-jobs"] or []
    signs = [_first_bad(jobs, opened, one) for one in sorted({str(job["data_source_id"]) for job in jobs})]
    since = min((one for one in signs if one is not None), default=None)
    metrics, seen = incident.observed("metrics"), None
    if rows["metrics"] is not None:
        stopped = "" if metrics.complete else metrics.stopped or "they stopped early"
        seen = points_of_rows(
            rows["metrics"], metrics.at or opened, stopped, own_of_rows(rows["own-questions"])
        )
    weeks = incident.judged_by.detection.baseline_weeks
    asked = questions(
        metrics if seen is None else seen, since, incident.seen_at, baseline=timedelta(weeks=weeks)
    )
    found = rows["resources"]
    complete = incident.observed("resources").complete
    return advise(
        asked,
        web_experiences(found or [], complete=complete and found is not None),
        incident.judged_by.severity_rule,
    )


def web_experiences(rows: Iterable[Mapping[str, Any]], *, complete: bool) -> tuple[WebExperience, ...] | None:
    """Those among the rows of ``resources``; ``None`` where none is there and the rows are not all."""
    found = tuple(
        WebExperience(*(str(row.get(name) or "") for name in ("id", "name", "status")))
        for row in rows
        if row.get("kind") == "web-experience"
    )
    return found if found or complete else None


def _rows(incident: Incident, name: str) -> list[dict[str, Any]] | None:
    """The rows of what was seen, or ``None``."""
    seen = incident.observed(name)
    if not seen.available or seen.evidence is None:
        return None
    return list(incident.evidence.open(seen.evidence).rows())


def _first_bad(jobs: Sequence[Mapping[str, Any]], opened: datetime, data_source_id: str) -> datetime | None:
    """End of the first run that did not succeed, after the last one before the opening that did: the first bad sign."""
    good = last_good_row(jobs, opened, data_source_id=data_source_id)
    since = good["started_at"] if good else ""
    bad = [
        (job["started_at"], job["ended_at"] or job["started_at"])
        for job in jobs
        if job["data_source_id"] == data_source_id
        and job["status"] in TERMINAL - {"SUCCEEDED"}
        and (job["started_at"] or "") > since
    ]
    return parse_iso(min(bad)[1]) if bad else None


def raise_if_hit(incident: Incident, advice: Advice) -> Event | None:
    """Makes it SEV1 where the rule says that customers are hit, unless a person said how severe it is.

    Returns
    -------
    Event or None
        The journal's event, with the reason and its evidence; ``None`` where nothing was changed.
    """
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


def judge(incident: Incident, given: str = "") -> Event | None:
    """Runbook, step 1, once an incident was looked at: how severe it is. Never raises for evidence that is missing or
    broken: that must not cost the record.

    Parameters
    ----------
    given:
        What the person who opened it said; empty lets the rule raise it.

    Returns
    -------
    Event or None
        What was written; ``None`` where nothing was.
    """
    if given:
        return note_given(incident, given)
    try:
        advice = _advice(incident)
    except VmqError as error:
        words = f"How severe it is could not be judged: {error.message}"
        return incident.failed("triage", words, {"problem": error.message, "hint": error.hint})
    return raise_if_hit(incident, advice)


def _advice(incident: Incident) -> Advice:
    # The other triggers need no plan of a rollback, which leaves the time for pandas and the whole picture.
    if incident.identity.trigger == "sync-failed":
        return advice_from_evidence(incident)
    from vmqlib.runbook.affected import affected_by
    from vmqlib.runbook.triggers import detect

    said = detect(incident.observations(), incident.judged_by, incident.seen_at)
    return affected_by(incident, said).severity
