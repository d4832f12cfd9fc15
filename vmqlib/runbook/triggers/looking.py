"""A look at AWS for the triggers, once or again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from vmqlib.runbook.triggers.detection import detect, live, sources_for
from vmqlib.sources import REGISTRY
from vmqlib.times import Window, parse_when

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.triggers.verdicts import Detection
    from vmqlib.settings import Settings
    from vmqlib.sources.canaries import Answer

__all__ = ["Look"]

_SLOW = frozenset({"documents", "versions", "resources", "acl"})
"""What lists a whole index or bucket: not each minute, when a look is repeated."""
_KEPT = timedelta(minutes=10)


class Look:
    """Looks at what some triggers need, and says what they make of it. Nothing is written.

    Parameters
    ----------
    aws, settings:
        Whom to ask, and what the rules go by.
    triggers:
        Which ones.
    since:
        Where the window begins, as an age or a time.
    canaries:
        Whether to ask the canary questions, too.
    """

    def __init__(
        self,
        aws: Aws,
        settings: Settings,
        triggers: Iterable[str],
        *,
        since: str = "21d",
        canaries: bool = False,
    ) -> None:
        self.aws = aws
        self.settings = settings
        self.triggers = tuple(triggers)
        self.seen: dict[str, Observation] = {}
        self._since = since
        self._canaries = canaries and "guardrail" in self.triggers
        parse_when(since, aws.clock.now())  # a word that is no time is told before anything is asked

    def __call__(self, *, progress: Callable[[str], None] = lambda _: None) -> Detection:
        """One look. What was listed at length less than ten minutes ago is not listed again."""
        now = self.aws.clock.now()
        names = [name for name in sources_for(self.triggers, self.settings) if not self._is_fresh(name)]
        window = Window(parse_when(self._since, now), now)
        self.seen |= live(self.aws, self.settings, window, names=names, progress=progress)
        answers = self._ask() if self._canaries else None
        return detect(self.seen, self.settings, self.aws.clock.now(), answers=answers, triggers=self.triggers)

    @property
    def problems(self) -> dict[str, str]:
        """What could not be seen, by title, with the reason and the way out."""
        return {
            one.title: f"{one.problem or one.stopped} {one.hint}".strip()
            for one in self.seen.values()
            if not one.available or not one.complete
        }

    @property
    def problems_by_hint(self) -> dict[str, dict[str, str]]:
        """The same by the way out, which is one for many where AWS cannot be reached: titles and reasons."""
        found: dict[str, dict[str, str]] = {}
        for one in self.seen.values():
            if not one.available or not one.complete:
                found.setdefault(one.hint, {})[one.title] = one.problem or one.stopped
        return found

    @property
    def blind(self) -> bool:
        """Whether nothing at all could be seen."""
        return not any(one.available for name, one in self.seen.items() if REGISTRY[name].asks_aws)

    def _is_fresh(self, name: str) -> bool:
        one = self.seen.get(name)
        if one is None or name not in _SLOW or one.at is None or not one.available or not one.complete:
            return False
        return self.aws.clock.now() - one.at < _KEPT

    def _ask(self) -> tuple[Answer, ...]:
        from vmqlib.sources.canaries import ask

        return ask(self.aws, self.settings)
