"""Runbook step 4, *Targeted resync*: the script that a connector names, run as an approved plan.

    plan = targeted.plan(settings, connector)              looks: which script, which words, which environment
    ended = targeted.run(plan, settings, connector, …)     runs it, streamed, within its time, and journals it
    targeted.problem(plan, ended)                          what is to be said of one that did not end well

What was run before, :func:`vmqlib.runbook.resyncstory.script_runs` reads from journal and evidence.
"""

from __future__ import annotations

# The module `plan` and the function of that name share a name: the module is loaded first, so that the function stays.
from vmqlib.runbook.targeted.plan import ScriptPlan, plan  # isort: skip
from vmqlib.runbook.targeted.process import Ended
from vmqlib.runbook.targeted.running import Line, problem, run

__all__ = ["Ended", "Line", "ScriptPlan", "plan", "problem", "run"]
