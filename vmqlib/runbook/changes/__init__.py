"""What changed, on one time axis, and which of it to look at first (runbook, step 1).

:func:`what_changed` merges what the sources saw; :func:`first_sign` says when things went wrong; :func:`rank` puts the
changes before it in order, each with its reasons. All of it is pure: the same evidence gives the same answer.
"""

from __future__ import annotations

from vmqlib.runbook.changes.bursts import Own
from vmqlib.runbook.changes.merging import NEEDED, what_changed
from vmqlib.runbook.changes.model import COLUMNS, KINDS, Call, Change, Kind, Unseen, WhatChanged
from vmqlib.runbook.changes.ranking import Part, Ranking, Suspicion, rank
from vmqlib.runbook.changes.signs import Sign, first_sign

__all__ = [
    "COLUMNS",
    "KINDS",
    "NEEDED",
    "Call",
    "Change",
    "Kind",
    "Own",
    "Part",
    "Ranking",
    "Sign",
    "Suspicion",
    "Unseen",
    "WhatChanged",
    "first_sign",
    "rank",
    "what_changed",
]
