"""Runbook step 3, *Rollback via S3 versioning*: plan, apply, resume, verify, undo.

    plan = rollback.plan(incident)                          looks, and writes down what would be done
    rollback.apply(incident, plan, digest=plan.digest)      does it: the digest is the approval
    rollback.verify(incident)                               looks again, and reports every difference
    undo = rollback.undo(incident)                          plans the way back; applied in the same way
    rollback.status(incident)                               where it stands, from the journal alone

No version is ever destroyed: an old one is copied on top, or a delete marker is put on top.
"""

from __future__ import annotations

# The module `plan` and the function of that name share a name: the module is loaded first, so that the function stays.
from vmqlib.runbook.rollback.plan import Plan, PlanHead  # isort: skip
from vmqlib.runbook.rollback.applying import apply, resume
from vmqlib.runbook.rollback.archives import Thawing, thaw_archived
from vmqlib.runbook.rollback.copied import copies
from vmqlib.runbook.rollback.items import CHANGES, Action, Ambiguous, Entry, Item, Scope, Target
from vmqlib.runbook.rollback.planning import plan
from vmqlib.runbook.rollback.results import Applied, Difference, Problem, Status, Verification
from vmqlib.runbook.rollback.standing import planned, status
from vmqlib.runbook.rollback.thawing import Thaw
from vmqlib.runbook.rollback.undoing import undo
from vmqlib.runbook.rollback.verifying import verify

__all__ = [
    "CHANGES",
    "Action",
    "Ambiguous",
    "Applied",
    "Difference",
    "Entry",
    "Item",
    "Plan",
    "PlanHead",
    "Problem",
    "Scope",
    "Status",
    "Target",
    "Thaw",
    "Thawing",
    "Verification",
    "apply",
    "copies",
    "plan",
    "planned",
    "resume",
    "status",
    "thaw_archived",
    "undo",
    "verify",
]
