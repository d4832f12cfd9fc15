"""The command that makes a plan again, with what is in the bucket by then."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from vmqlib.runbook.rollback.ground import scope_of
from vmqlib.runbook.rollback.purposes import command
from vmqlib.times import iso

if TYPE_CHECKING:
    from datetime import datetime

    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.plan import PlanHead

__all__ = ["plan_again"]

_MOST_KEYS = 20


def plan_again(incident: Incident, head: PlanHead) -> str:
    """What to type for a plan with the same target and scope, quoted for the shell.

    Parameters
    ----------
    head:
        Of the plan that does not fit any more.
    """
    target, scope = head.target, head.scope
    if target.kind == "undo":
        return command(head.purpose, "undo", incident.id)
    keys = scope.keys if len(scope.keys) <= _MOST_KEYS else ()
    named = [word for key in keys for word in ("--key", key)]
    if target.kind == "touch":
        if keys:
            return f"{command(head.purpose, 'apply', incident.id)} {shlex.join(named)}"
        return command(head.purpose, "plan", incident.id)
    words: list[str] = []
    if target.kind == "as-of" and target.at is not None:
        words += ["--to", _moment(target.at)]
    elif target.kind == "previous":
        words += ["--to", "previous"]
        words += ["--since", _moment(target.at)] if target.at is not None else []
    usual = scope_of(incident, None, None, keys)
    words += ["--prefix", scope.prefix] if scope.prefix != usual.prefix else []
    words += [word for each in scope.exclude if each not in usual.exclude for word in ("--exclude", each)]
    words += named
    words += ["--ambiguous", head.ambiguous] if head.ambiguous != "hold" else []
    return " ".join([command(head.purpose, "plan", incident.id), *map(shlex.quote, words)])


def _moment(at: datetime) -> str:
    """Whole seconds as people write them: with a fraction they would mean that very moment."""
    return iso(at) if at.microsecond else iso(at)[:19] + "Z"
