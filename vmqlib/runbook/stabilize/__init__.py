"""Runbook step 2, *Stabilize*: a connector's schedule is switched off while its syncs keep failing, and put back.

plan = stabilize.plan_disable(incident, aws, settings, connectors)      a table with a digest; changes nothing
stabilize.apply(incident, plan, settings, digest=plan.digest)           the digest is the approval
stabilize.plan_restore(incident, …)                                     the way back, applied in the same way
stabilize.schedules_off(incident)                                       what is off, from the journal alone
stabilize.recurring(jobs, report, settings.stabilize)                   the rule that proposes it
"""

from __future__ import annotations

from vmqlib.runbook.stabilize.changing import Switched, apply, approve, settle
from vmqlib.runbook.stabilize.closing import no_schedule_left_off
from vmqlib.runbook.stabilize.plan import ScheduleItem, SchedulePlan, plan_disable, plan_restore
from vmqlib.runbook.stabilize.recurrence import Recurring, recurring
from vmqlib.runbook.stabilize.story import Off, Restored, schedules_off, schedules_restored

__all__ = [
    "Off",
    "Recurring",
    "Restored",
    "ScheduleItem",
    "SchedulePlan",
    "Switched",
    "apply",
    "approve",
    "no_schedule_left_off",
    "plan_disable",
    "plan_restore",
    "recurring",
    "schedules_off",
    "schedules_restored",
    "settle",
]
