"""Whether what an incident rests on is wired up: alarms, logs, bucket, role, ids, settings. One module for each kind.

Each check is a function of what was seen, the settings and the moment, and gives
:class:`~vmqlib.runbook.checks.CheckResult`. :mod:`vmqlib.runbook.doctor` puts them together.
"""

from __future__ import annotations

from vmqlib.runbook.wiring.blindness import BlindAlarm, blind_alarms, is_blind

__all__ = ["BlindAlarm", "blind_alarms", "is_blind"]
