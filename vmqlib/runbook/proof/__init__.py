"""Runbook steps 3 and 4: the proof that a sync took over what was restored.

    found = proof.prove(incident)          looks, keeps what it saw as evidence, writes the verdict into the journal
    found = proof.newest(incident)         the same verdict again, from disk
    found = proof.look(aws, settings, id)  without an incident: the newest sync against the bucket

Nothing is changed. The rules are in :mod:`vmqlib.runbook.proof.judging`, and pure.
"""

from __future__ import annotations

from vmqlib.runbook.proof.keeping import newest
from vmqlib.runbook.proof.looking import look, prove
from vmqlib.runbook.proof.results import AGREE, COLUMNS, SYNCED, UNWANTED, Proof

__all__ = ["AGREE", "COLUMNS", "SYNCED", "UNWANTED", "Proof", "look", "newest", "prove"]
