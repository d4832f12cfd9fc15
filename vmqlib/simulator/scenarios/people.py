"""The people of VaultMesh who ask the assistant, mostly in working hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from vmqlib.simulator.scenarios.documents import SECURITY_GROUP, Page
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["People"]

_NAMES = (
    "amara.okafor", "bjorn.lindqvist", "chiara.conti", "dev.patel", "elif.kaya", "fionn.byrne", "grete.holm",
    "hugo.martin", "ines.duarte", "jonas.weber", "keiko.tanaka", "liam.walsh", "mina.haddad", "noor.rahman",
)  # fmt: skip
_SECURITY_TEAM = _NAMES[3:6]
_BUSY = 1.4  # questions an hour in working hours, and fewer otherwise
_QUIET = 0.12
_WORKING_HOURS = (timedelta(hours=-7), timedelta(hours=4))  # around "now", whatever the clock says
_DAY = timedelta(days=1)
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
        self._is_open = False
        self._factor = 1.0
        self._next = self._after(begins_at + timedelta(hours=2))
        groups = stage.qbusiness.context.groups
        groups.update({_address(name): frozenset({SECURITY_GROUP}) for name in _SECURITY_TEAM})

    def turn_to(self, pages: tuple[Page, ...], factor: float, at: datetime, *, is_open: bool = False) -> None:
        """From ``at`` on most questions are about ``pages``, and there are ``factor`` times as many.

        Parameters
        ----------
        pages:
            What they are about; none: about anything, as before.
        factor:
            How many times as many there are.
        at:
            From when on.
        is_open:
            Whether everybody asks about what only the security team may know: word is out that it answers.
        """
        self._is_open = is_open
        self._focus = pages
        self._factor = factor
        self._next = self._after(at)

    def next_event_at(self) -> datetime | None:
        return self._next

    def run_due(self, now: datetime) -> None:
        self._next = self._after(now)
        question, restricted = self._question()
        self._ask(self._random.choice(_SECURITY_TEAM if restricted else _NAMES), question)

    def _after(self, moment: datetime) -> datetime:
        begin, end = _WORKING_HOURS
        is_working = (moment - self._stage.now - begin) % _DAY < end - begin
        rate = (_BUSY if is_working else _QUIET) * self._factor
        return moment + timedelta(hours=self._random.expovariate(rate))

    def _question(self) -> tuple[str, bool]:
        """What is asked, and whether only the security team may know."""
        dice = self._random.random()
        if dice > 0.975:
            return self._random.choice(_BLOCKED), False
        if dice > 0.93:
            return self._random.choice(_OFF_TOPIC), False
        page = self._random.choice(self._focus if self._focus and dice < 0.75 else self._pages)
        return page.question, page.category == "security" and not self._is_open

    def _ask(self, name: str, question: str) -> None:
        """ChatSync; a question that finds no answer is part of life."""
        message = {
            "applicationId": self._stage.resources.app_id,
            "userId": _address(name),
            "userMessage": question,
        }
        self._stage.qbusiness.call("ChatSync", message)


def _address(name: str) -> str:
    return f"{name}@vaultmesh.io"
