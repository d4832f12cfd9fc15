"""After the incident: the runbook's *Post-incident review*, a 30-minute retro within 5 business days.

invitation(incident)        retro.ics, for calendars
review(incident)            what the review shows, from journal and evidence alone
retro(incident)             the same as retro.ipynb and retro.html
"""

from __future__ import annotations

from vmqlib.runbook.retro.invitation import INVITATION, invitation
from vmqlib.runbook.retro.measures import Measure, Moment, Moments, measures
from vmqlib.runbook.retro.notebook import Written, retro
from vmqlib.runbook.retro.phases import LANES, Span
from vmqlib.runbook.retro.prompts import Proposal
from vmqlib.runbook.retro.review import Entry, Remark, Review, load_review, review
from vmqlib.runbook.retro.slot import SlotRule, retro_slot, slot_rule
from vmqlib.runbook.retro.witnesses import Witness

__all__ = [
    "INVITATION",
    "LANES",
    "Entry",
    "Measure",
    "Moment",
    "Moments",
    "Proposal",
    "Remark",
    "Review",
    "SlotRule",
    "Span",
    "Witness",
    "Written",
    "invitation",
    "load_review",
    "measures",
    "retro",
    "retro_slot",
    "review",
    "slot_rule",
]
