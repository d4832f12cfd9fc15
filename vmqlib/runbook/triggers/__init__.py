"""The runbook's four triggers, each a rule over what was seen."""

from __future__ import annotations

from vmqlib.runbook.triggers.detection import NEEDED, detect, live, sources_for
from vmqlib.runbook.triggers.verdicts import BY_SEVERITY, Detection, Reason, Verdict

__all__ = [
    "BY_SEVERITY",
    "NEEDED",
    "Detection",
    "Reason",
    "Verdict",
    "detect",
    "live",
    "sources_for",
]
