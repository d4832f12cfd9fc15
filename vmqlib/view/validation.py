"""Whether an incident is over: the section *Validation* of a record (runbook, step 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vmqlib.view.base import Html, View, guarded, notice, plain, tag
from vmqlib.view.checks import checks
from vmqlib.view.layout import code, facts, panel, when

if TYPE_CHECKING:
    from vmqlib.runbook.validation import Validation

__all__ = ["validation"]

_MOST_WORDS = 1000


@guarded
def validation(found: Validation | Callable[[], Validation | None] | None, incident_id: str = "ID") -> View:
    """Each check of the last validation, those that failed first, and when it was made.

    Parameters
    ----------
    found:
        The last validation (``validated(incident)``), or a function that gives it: when that fails, the section says
        so. ``None``: there is none.
    incident_id:
        For the command that validates.
    """
    now = found() if callable(found) else found
    again = f"vmq validate {incident_id}"
    if now is None:
        lead = "Nobody has validated yet: whether it is over is not known."
        return panel(lead, tag("div", "To look: ", code(again)), text=[f"To look: {again}"])
    parts: list[Html] = []
    lines = [f"looked at {when(now.at)}"]
    if now.stale:
        words = f"{now.stale} This validation is older: look again."
        parts += [notice(plain(words, _MOST_WORDS), "#E69F00"), tag("div", code(again))]
        lines += [plain(words, _MOST_WORDS), again]
    told = checks(now.checks, "Validation")
    parts.append(told.html)
    lines.append(told.text)
    return panel(plain(now.sentence, _MOST_WORDS), *parts, facts([("looked at", when(now.at))]), text=lines)
