"""Runbook step 4, *Force resync*: start a sync job, or join the one that runs, and wait for its end.

    started = resync.start(aws, settings, data_source_id)          or journaled_start(incident, …)
    job = resync.wait(aws, settings, data_source_id, started.execution_id)
    resync.journal_outcome(incident, job)

A job that was found running is told apart by when it began (:mod:`vmqlib.runbook.resync.ownership`).
"""

from __future__ import annotations

from vmqlib.runbook.resync.estimate import Estimate, estimate
from vmqlib.runbook.resync.failures import FailedDocument, FailedDocuments, failed_documents
from vmqlib.runbook.resync.jobs import (
    MEANING,
    SyncJob,
    choose,
    choose_all,
    describe,
    find,
    history,
    latest,
    listed,
)
from vmqlib.runbook.resync.journal import Begun, begun, journal_outcome
from vmqlib.runbook.resync.ownership import Whose, whose
from vmqlib.runbook.resync.plan import StartPlan, plan_starts
from vmqlib.runbook.resync.readiness import (
    DataSource,
    Readiness,
    data_source,
    must_be_ready,
    readiness,
    rollbacks,
)
from vmqlib.runbook.resync.recorded import journaled_start, settle
from vmqlib.runbook.resync.several import Ended, Watch, wait_all
from vmqlib.runbook.resync.starting import OutcomeUnknown, Started, start
from vmqlib.runbook.resync.stopping import Stopped, stop, unsettled_stops
from vmqlib.runbook.resync.waiting import Trouble, wait

__all__ = [
    "MEANING",
    "Begun",
    "DataSource",
    "Ended",
    "Estimate",
    "FailedDocument",
    "FailedDocuments",
    "OutcomeUnknown",
    "Readiness",
    "StartPlan",
    "Started",
    "Stopped",
    "SyncJob",
    "Trouble",
    "Watch",
    "Whose",
    "begun",
    "choose",
    "choose_all",
    "data_source",
    "describe",
    "estimate",
    "failed_documents",
    "find",
    "history",
    "journal_outcome",
    "journaled_start",
    "latest",
    "listed",
    "must_be_ready",
    "plan_starts",
    "readiness",
    "rollbacks",
    "settle",
    "start",
    "stop",
    "unsettled_stops",
    "wait",
    "wait_all",
    "whose",
]
