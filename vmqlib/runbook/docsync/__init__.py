"""Runbook step 4, *Targeted resync*: a folder's Markdown into the bucket, only what differs by content.

    plan = docsync.plan(aws, settings, connector, folder)         looks: at the folder, and at the bucket
    done = docsync.apply(plan, aws, digest=plan.digest)           writes, each under its condition; looks again
    docsync.problem(plan, done)                                   what is to be said when not all of it was done

    docsync.settle(incident, aws)                                 before it is run again: what S3 never answered

Running it again is how an interrupted one goes on: what is there already is not written again.
"""

from __future__ import annotations

# The module `plan` and the function of that name share a name: the module is loaded first, so that the function stays.
from vmqlib.runbook.docsync.plan import COLUMNS, DocItem, DocPlan  # isort: skip
from vmqlib.runbook.docsync.applying import Uploaded, apply, problem
from vmqlib.runbook.docsync.planning import plan
from vmqlib.runbook.docsync.settling import Settled, settle

__all__ = ["COLUMNS", "DocItem", "DocPlan", "Settled", "Uploaded", "apply", "plan", "problem", "settle"]
