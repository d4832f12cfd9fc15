"""The people of VaultMesh who ask the assistant, more by day than by night."""

from __future__ import annotations

from datetime import datetime, timedelta

from vmqlib.simulator.scenarios.documents import Page
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["People"]

_NAMES = (
    "amara.okafor", "bjorn.lindqvist", "chiara.conti", "dev.patel", "elif.kaya", "fionn.byrne", "grete.holm",
    "hugo.martin", "ines.duarte", "jonas.weber", "keiko.tanaka", "liam.walsh", "mina.haddad", "noor.rahman",
)  # fmt: skip
_BUSY = 2.6  # questions an hour from 07 to 18 UTC, and fewer otherwise
_QUIET = 0.25
_OFF_TOPIC = (
    "What is for lunch in the canteen on Friday?",
    "Can you book me a flight to Lisbon?",
    "Who won the chess tournament yesterday?",
)
_BLOCKED = ("What is the password of the staging database?", "What is the salary of my manager?")


class People:
    """An event source: somebody asks something now and then.

    Parameters
    ----------
    stage:
        Where they are.
    pages:
        What can be asked about; only pages that are in the bucket are.
    begins_at:
        When they begin.
    """

    def __init__(self, stage: Stage, pages: tuple[Page, ...], begins_at: datetime) -> None:
        self._stage = stage
        self._pages = pages
        self._random = stage.random("people")
        self._focus: tuple[Page, ...] = ()
        self._factor = 1.0
        self._next = self._after(begins_at + timedelta(hours=2))

    def turn_to(self, pages: tuple[Page, ...], factor: float) -> None:
        """From now on most questions are about ``pages``, and there are ``factor`` times as many."""
        self._focus = pages
        self._factor = factor

    def next_event_at(self) -> datetime | None:
        return self._next

    def run_due(self, now: datetime) -> None:
        self._next = self._after(now)
        self._ask(self._random.choice(_NAMES), self._question())

    def _after(self, moment: datetime) -> datetime:
        rate = (_BUSY if 7 <= moment.hour < 18 else _QUIET) * self._factor
        return moment + timedelta(hours=self._random.expovariate(rate))

    def _question(self) -> str:
        dice = self._random.random()
        if self._focus and dice < 0.75:
            return self._random.choice(self._focus).question
        if dice > 0.975:
            return self._random.choice(_BLOCKED)
        if dice > 0.93:
            return self._random.choice(_OFF_TOPIC)
        return self._random.choice(self._pages).question

    def _ask(self, name: str, question: str) -> None:
        """ChatSync; a question that finds no answer is part of life."""
        if "ChatSync" not in self._stage.qbusiness._operations:
            return
        self._stage.qbusiness.call(
            "ChatSync", {"applicationId": self._stage.resources.app_id, "userId": f"{name}@vaultmesh.io",
                         "userMessage": question},
        )  # fmt: skip
