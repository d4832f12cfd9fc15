"""What goes first among what the checks say to do: a sync of objects that are still to be put back indexes them as they
must not stay. Pure but for the journal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.rollback import status
from vmqlib.runbook.wording import many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmqlib.record.incident import Incident
    from vmqlib.runbook.checks import CheckResult

__all__ = ["rollback_first"]

_AFTER: Final = ("vmq sync start", "vmq sync touch")


def rollback_first(checks: Sequence[CheckResult], incident: Incident) -> list[CheckResult]:
    """The checks; where a rollback waits, each that tells to sync tells that first."""
    now = status(incident)
    begun = now.state in {"unfinished", "interrupted", "failed"}
    if not now.command or not (begun or now.state == "planned"):
        return list(checks)
    changes = now.plan.changes if now.plan is not None else 0
    what = f"{now.state}" if begun else f"planned, and not applied ({many(changes, 'object')})"
    first = f"First the rollback, which is {what}: {now.command}"
    return [
        replace(check, mend=f"{first}\n{check.mend}")
        if check.ok is not True and any(one in check.mend for one in _AFTER)
        else check
        for check in checks
    ]
