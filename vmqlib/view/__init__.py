"""What a record shows: data in, a :class:`Plot` or a :class:`Panel` out. No AWS, no files.

Every function takes observations, frames or dataclasses and returns something that a notebook can show; none raises:
a section whose evidence is missing says so in its place, and so does one that could not be drawn.
"""

from __future__ import annotations

from vmqlib.view.affected import affected
from vmqlib.view.alarm_plot import alarm_timeline
from vmqlib.view.base import Panel, Plot, View, unavailable
from vmqlib.view.change_plot import change_timeline
from vmqlib.view.changes import suspects, what_changed
from vmqlib.view.checks import checks
from vmqlib.view.communication import communication
from vmqlib.view.comparison import Comparison
from vmqlib.view.dashboard import dashboard
from vmqlib.view.desk import desk
from vmqlib.view.findings import last_good, sync_facts
from vmqlib.view.first_screen import first_screen
from vmqlib.view.index_plot import index_against_bucket
from vmqlib.view.metric_plot import metrics
from vmqlib.view.panels import RECORD_MIME, Record, header, provenance, record
from vmqlib.view.proof import proof
from vmqlib.view.retro import (
    retro_actions,
    retro_events,
    retro_record,
    retro_remarks,
    retro_summary,
    retro_times,
    retro_updates,
    retro_witnesses,
    retro_words,
)
from vmqlib.view.retro_gantt import retro_gantt
from vmqlib.view.rollback import rollback_result, rollback_verification
from vmqlib.view.rollback_plan import rollback_plan
from vmqlib.view.style import Mark
from vmqlib.view.sync_plot import sync_history
from vmqlib.view.tables import (
    actions,
    changed_versions,
    failing_documents,
    log_summary,
    next_steps,
    table,
    timeline,
)
from vmqlib.view.targeted import targeted_resync
from vmqlib.view.validation import validation
from vmqlib.view.verdicts import verdicts
from vmqlib.view.version_diff import version_diff
from vmqlib.view.version_history import suspect_versions, version_history

__all__ = [
    "RECORD_MIME",
    "Comparison",
    "Mark",
    "Panel",
    "Plot",
    "Record",
    "View",
    "actions",
    "affected",
    "alarm_timeline",
    "change_timeline",
    "changed_versions",
    "checks",
    "communication",
    "dashboard",
    "desk",
    "failing_documents",
    "first_screen",
    "header",
    "index_against_bucket",
    "last_good",
    "log_summary",
    "metrics",
    "next_steps",
    "proof",
    "provenance",
    "record",
    "retro_actions",
    "retro_events",
    "retro_gantt",
    "retro_record",
    "retro_remarks",
    "retro_summary",
    "retro_times",
    "retro_updates",
    "retro_witnesses",
    "retro_words",
    "rollback_plan",
    "rollback_result",
    "rollback_verification",
    "suspect_versions",
    "suspects",
    "sync_facts",
    "sync_history",
    "table",
    "targeted_resync",
    "timeline",
    "unavailable",
    "validation",
    "verdicts",
    "version_diff",
    "version_history",
    "what_changed",
]
