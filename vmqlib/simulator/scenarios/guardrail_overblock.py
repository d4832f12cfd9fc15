"""Guardrails that block what people need: an update with words that every other question has.

What happened, one of two by the seed. Either the code names of services were to be kept out of the chat, and each
was added as a blocked phrase; but people name a service when they ask about it. Or a topic was to stop requests to
do things, and its description and examples are so general that ordinary questions are like them. Whoever is blocked
words the question anew, and is blocked again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.operators import harmless_changes, pick
from vmqlib.simulator.scenarios.prose import prose
from vmqlib.simulator.scenarios.routine import Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["GuardrailOverblock"]

_EARLIEST = timedelta(hours=5)  # before "now", as all of these
_LATEST = timedelta(hours=3)
_NOTICED = timedelta(minutes=10)  # after it
_QUESTIONS = 7.0  # times as many as on other days
_CODE_NAMES = 12  # of services; with the phrases that are there already, under the limit of 20
_SYSTEM_MESSAGE = "This assistant does not talk about that. Ask in #ask-vaultmesh."
_TOPIC: dict[str, Any] = {
    "name": "internal-operations",
    "description": "Requests to operate production: MIRAGE, error budgets, main threats, restarts.",
    "exampleChatMessages": [
        "How do I do a safe restart?",
        "What are the request limits of the API?",
        "What are the rules of the policy?",
        "Which team owns the service?",
        "What is the recovery time objective?",
    ],
    "rules": [
        {
            "ruleType": "CONTENT_BLOCKER_RULE",
            "ruleConfiguration": {"contentBlockerRule": {"systemMessageOverride": _SYSTEM_MESSAGE}},
        }
    ],
}


@dataclass(frozen=True)
class GuardrailOverblock:
    """The account whose guardrails block ordinary questions."""

    name: str = "guardrail-overblock"
    summary: str = (
        "New guardrails are far too wide: ordinary questions are blocked, BlockedChatMessages leaps, "
        "and so is the canary question."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets three weeks pass, the last hours of them with the new guardrails."""
        rng = stage.random("guardrail-overblock")
        routine = Routine(stage)
        routine.prepare()
        harmless_changes(stage, rng)
        who, update = pick(rng), _update(rng)
        at = stage.now - _LATEST - (_EARLIEST - _LATEST) * rng.random()
        stage.at(at, lambda _: _deploy(stage, update, who))
        stage.at(at + _NOTICED, lambda moment: routine.people.turn_to((), _QUESTIONS, moment))
        routine.play()
        return replace(
            routine.truth(),
            fires=frozenset({"guardrail"}),
            since=at,
            suspect="aws-call:UpdateChatControlsConfiguration",
            who=who,
        )


def _update(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        names = sorted(rng.sample(sorted(prose().services), _CODE_NAMES))
        return {"blockedPhrasesConfigurationUpdate": {"blockedPhrasesToCreateOrUpdate": ["mirage", *names]}}
    return {"topicConfigurationsToCreateOrUpdate": [_TOPIC]}


def _deploy(stage: Stage, update: dict[str, Any], who: str) -> None:
    from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

    with acting_as(who):
        stage.client("qbusiness").update_chat_controls_configuration(
            applicationId=stage.resources.app_id, **update
        )
