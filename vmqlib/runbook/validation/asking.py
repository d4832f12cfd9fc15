"""*Verify user queries succeed in the Web Experience*: questions, prompts, and what people saw. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.validation.names import PROMPT, QUESTION_CHECK, WEB
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.validation.moves import Move
    from vmqlib.settings import Settings
    from vmqlib.sources.canaries import Answer

__all__ = ["QUESTION", "Witness", "answered_by_people", "by_canaries", "by_web_experience"]

QUESTION = "question"
"""In the data of a note: the question that a person asked; ``ok`` beside it says whether the answer was as expected."""

_EVIDENCE = ("canaries",)


@dataclass(frozen=True)
class Witness:
    """What a person saw who asked a question themselves.

    Parameters
    ----------
    question:
        The question or prompt, as in the settings.
    ok:
        Whether it was treated as expected.
    said:
        What they noted.
    by, at:
        Who, and when.
    """

    question: str
    ok: bool
    said: str
    by: str
    at: datetime


def answered_by_people(events: Iterable[Event], moved: Move | None = None) -> Mapping[str, Witness]:
    """The newest word of a person on each question.

    Parameters
    ----------
    moved:
        When something changed, or a sync ran, last: what was seen before says nothing.
    """
    found: dict[str, Witness] = {}
    for event in events:
        if event.kind != "noted" or (moved is not None and event.seq < moved.seq):
            continue
        data = event.data.model_dump()
        if isinstance(data.get(QUESTION), str) and isinstance(data.get("ok"), bool):
            found[data[QUESTION]] = Witness(
                data[QUESTION], data["ok"], event.summary, event.actor.user, event.at
            )
    return found


def by_canaries(
    seen: Observation,
    settings: Settings,
    incident_id: str,
    people: Mapping[str, Witness],
    moved: Move | None = None,
) -> list[CheckResult]:
    """One check for each question and prompt. What the kit could not ask counts as a person saw it.

    Parameters
    ----------
    seen:
        The ``canaries`` observation.
    people:
        What people saw: :func:`answered_by_people`.
    moved:
        When something changed, or a sync ran, last: what was answered before says nothing.
    """
    from vmqlib.sources.canaries import answers

    why = seen.problem
    if not why and moved is not None and seen.at is not None and seen.at < moved.at:
        why = f"It was asked at {show_time(seen.at)}; since then something was changed, or a sync ran."
    asked = {} if why or not seen.available else {one.text: one for one in answers(seen.frame)}
    todo: Sequence[tuple[str, str]] = [
        *((QUESTION_CHECK, one.question) for one in settings.canaries),
        *((PROMPT, one.text) for one in settings.guardrail_prompts),
    ]
    return [_check(name, text, asked.get(text), people.get(text), why, incident_id) for name, text in todo]


def _check(
    name: str, text: str, answer: Answer | None, person: Witness | None, problem: str, incident_id: str
) -> CheckResult:
    ok, finding = (
        (None, problem or "It was not asked.")
        if answer is None
        else _judged(answer)
    )  # fmt: skip
    if ok is None and person is not None:
        how = "as expected" if person.ok else "not as expected"
        finding = f"{person.by} asked, and it was {how}, {show_time(person.at)}: {person.said}"
        return CheckResult(name, person.ok, finding, text, "" if person.ok else _MEND[name], _EVIDENCE)
    if ok is None:
        command = (
            f"vmq note {shlex.quote(incident_id)} --question {shlex.quote(text)} --as-expected "
            f"{shlex.quote('what it answered')}"
        )
        hint = f"{answer.hint} " if answer is not None and answer.hint else ""
        mend = f"{hint}Ask it in the web experience, then (or with --not-as-expected): {command}"
        return CheckResult(name, None, finding, text, mend, _EVIDENCE)
    return CheckResult(name, ok, finding, text, "" if ok else _MEND[name], _EVIDENCE)


_MEND = {
    QUESTION_CHECK: "Is its document indexed? Does a guardrail block it? vmq detect --canaries",
    PROMPT: "Compare the guardrails with the ops repo's: a phrase or topic is missing, or one too many.",
}


def _judged(answer: Answer) -> tuple[bool | None, str]:
    """Whether that is what a good answer is, and a sentence on it."""
    cited = ", ".join(answer.sources[:3])
    by = f"Asked as {answer.identity}: " if answer.identity else ""
    if answer.outcome == "not-asked":
        return None, f"It could not be asked: {answer.problem}"
    if answer.expect == "blocked":
        if answer.outcome == "unclear":
            return (
                None,
                f"{by}no document was cited, and whether a guardrail blocked it cannot be told: “{answer.said}”",
            )
        return answer.outcome == "blocked", f"{by}it is {answer.outcome}, and is to be blocked."
    if answer.outcome == "blocked":
        return False, f"{by}it is blocked, and is to be answered: “{answer.said}”"
    wanted = " or ".join(answer.wanted)
    if answer.outcome == "unclear":
        return False, f"{by}no document was cited: “{answer.said}”"
    if answer.wanted and not answer.cites_wanted:
        return False, f"{by}it is answered from {cited}, and is to be answered from {wanted}."
    return True, f"{by}it is answered, from {cited}."


def by_web_experience(resources: Observation, app_id: str) -> list[CheckResult]:
    """Whether each web experience is ACTIVE. One that AWS says does not exist fails.

    Parameters
    ----------
    resources:
        The ``resources`` observation, looked at just now.
    app_id:
        For what to type.
    """
    kept = ("resources",)
    again = (
        f"Put it back, or name the one that users have as WEB_EXPERIENCE_ID in .env: "
        f"aws qbusiness list-web-experiences --application-id {shlex.quote(app_id)}"
    )
    if resources.gone:
        return [CheckResult(WEB, False, resources.problem, mend=resources.hint, evidence=kept)]
    if not resources.available or resources.problem:
        return [CheckResult(WEB, None, resources.problem, mend=resources.hint, evidence=kept)]
    rows = resources.frame
    rows = rows[rows["kind"].eq("web-experience")].fillna({"status": "", "name": "", "error": "", "code": ""})
    if rows.empty:
        if "ListWebExperiences" in resources.stopped:
            return [CheckResult(WEB, None, resources.stopped, evidence=kept)]
        return [CheckResult(WEB, False, "The application has no web experience.", mend=again, evidence=kept)]

    def told(name: str, identifier: str, status: str, error: str, code: str) -> CheckResult:
        subject = name or identifier
        if code == _NOT_FOUND:
            return CheckResult(WEB, False, "It does not exist.", subject, again, kept)
        if not status:
            return CheckResult(WEB, None, f"It could not be read: {error}", subject, _LOOK, kept)
        return CheckResult(
            WEB, status == "ACTIVE", f"It is {status}.", subject, "" if status == "ACTIVE" else _LOOK, kept
        )

    return [told(*row) for row in rows[["name", "id", "status", "error", "code"]].itertuples(index=False)]


_NOT_FOUND = "ResourceNotFoundException"
_LOOK = "Look at it in the console: Amazon Q Business, web experience."
