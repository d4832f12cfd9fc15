"""What a check says: the doctor's, the proof's after a sync, and those before an incident is closed.

A check that could not be made is neither passed nor failed: it says why it cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

__all__ = ["CheckResult", "Outcome", "outcome", "worst"]

Outcome = Literal["pass", "fail", "cannot tell"]


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at, and how it is.

    Parameters
    ----------
    name:
        What was checked, in a few words; the same each time that it is checked.
    ok:
        Whether it is so; None when it cannot be told.
    finding:
        What was found, or why it cannot be told, in a sentence.
    subject:
        What it is about: an alarm's name, a data source's id; ``""`` where the name says it.
    mend:
        What to do about it, exactly: a sentence, a command or a changed template, perhaps of several lines; ``""``
        where there is nothing to do.
    evidence:
        The names of the sources that it rests on.
    """

    name: str
    ok: bool | None
    finding: str
    subject: str = ""
    mend: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """``ok`` in words."""
        return outcome(self.ok)

    def as_dict(self) -> Mapping[str, Any]:
        """JSON types, with the outcome in words."""
        return asdict(self) | {"outcome": self.outcome, "evidence": list(self.evidence)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> CheckResult:
        """What :meth:`as_dict` told."""
        known = {field.name: told[field.name] for field in fields(cls) if field.name in told}
        return cls(**known | {"evidence": tuple(told.get("evidence", ()))})


def outcome(ok: bool | None) -> Outcome:
    """``pass``, ``fail`` or ``cannot tell``."""
    return {True: "pass", False: "fail", None: "cannot tell"}[ok]  # type: ignore[return-value]


def worst(checks: Iterable[CheckResult]) -> bool | None:
    """What they come to: False when one failed, else None when one cannot be told, else True."""
    said = {check.ok for check in checks}
    return False if False in said else None if None in said else True
