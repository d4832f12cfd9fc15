"""What a trigger's rule says, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from vmqlib.runbook.findings import Finding

if TYPE_CHECKING:
    from vmqlib.record.events import EvidenceRef
    from vmqlib.runbook.guardrailchanges import Mended

__all__ = ["BY_SEVERITY", "Confidence", "Detection", "Reason", "Says", "Trigger", "Verdict", "overall"]

Trigger = Literal["sync-failed", "no-sync", "guardrail", "content"]
Says = Literal["firing", "quiet", "unknown"]
Confidence = Literal["high", "medium", "low"]

BY_SEVERITY: Final[tuple[Trigger, ...]] = ("content", "guardrail", "sync-failed", "no-sync")
"""The triggers, what harms people most first: what they see and must not, what they do not get, what is stale."""


@dataclass(frozen=True)
class Reason:
    """One thing that speaks for a verdict, or why it cannot be told.

    Parameters
    ----------
    says:
        What this alone would say.
    text:
        A sentence, with the figures.
    source:
        Name of the observation that it is read from.
    since:
        Since when it is so, UTC; ``None`` where that is not known.
    evidence:
        The evidence file; ``None`` for a look that was not kept.
    until:
        Of what was so and is over: when it was over, at the latest; else ``None``.
    """

    says: Says
    text: str
    source: str
    since: datetime | None = None
    evidence: EvidenceRef | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """What the rule of one trigger says.

    Parameters
    ----------
    trigger:
        Which one.
    verdict:
        ``firing``, ``quiet``, or ``unknown`` where what the rule needs was not seen, or not all of it.
    since:
        Since when the trigger's condition holds, UTC; ``None`` where nothing fires or it is not known.
    confidence:
        ``high`` where independent witnesses agree or the evidence is direct; ``low`` where there is little of it.
    reasons:
        The most telling first.
    data_source_id:
        The connector that is hit most; empty where it is not one's own.
    cause:
        What set it off, the same at every look for as long as it lasts; empty where nothing fires.
    documents:
        Of ``content``: keys of the documents that must not be in the index, one for each document.
    mended:
        Of ``guardrail``, where it is quiet since what blocked was taken back: from when to when, and by whom.
    """

    trigger: Trigger
    verdict: Says
    since: datetime | None
    confidence: Confidence
    reasons: tuple[Reason, ...]
    data_source_id: str = ""
    cause: str = ""
    documents: tuple[str, ...] = field(default=(), repr=False)
    mended: Mended | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Detection:
    """The four triggers at one moment.

    Parameters
    ----------
    at:
        The moment, UTC.
    triggers:
        One verdict for each trigger, in the runbook's order.
    findings:
        What the verdicts do not say by themselves.
    """

    at: datetime
    triggers: tuple[Verdict, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def firing(self) -> tuple[Verdict, ...]:
        """What fires, the most severe first."""
        firing = [one for one in self.triggers if one.verdict == "firing"]
        return tuple(sorted(firing, key=lambda one: BY_SEVERITY.index(one.trigger)))

    @property
    def mended(self) -> Mended | None:
        """What took back what the guardrails blocked, where a verdict says that; else ``None``."""
        return next((one.mended for one in self.triggers if one.mended is not None), None)

    def of(self, trigger: str) -> Verdict:
        """The verdict on one trigger."""
        return next(one for one in self.triggers if one.trigger == trigger)


def overall(reasons: Iterable[Reason], *, needed: Sequence[Reason] | None = None) -> Says:
    """What several reasons say together: one that fires is enough; quiet takes every one that is needed.

    Parameters
    ----------
    reasons:
        All of them.
    needed:
        Those without which nobody can say quiet; all by default.
    """
    said = list(reasons)
    if any(one.says == "firing" for one in said):
        return "firing"
    wanted = said if needed is None else needed
    return "quiet" if wanted and all(one.says == "quiet" for one in wanted) else "unknown"
