"""After the incident: the runbook's *Post-incident review*, a 30-minute retro within 5 business days."""

from __future__ import annotations

from vmqlib.runbook.retro.invitation import INVITATION, invitation
from vmqlib.runbook.retro.slot import SlotRule, retro_slot, slot_rule

__all__ = ["INVITATION", "SlotRule", "invitation", "retro_slot", "slot_rule"]
