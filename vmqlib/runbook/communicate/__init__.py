"""Runbook steps 1 and 5: receipt is confirmed, people are kept up to date, stakeholders are told, on the clock.

A message is built from the journal and the evidence (:mod:`brief <vmqlib.runbook.communicate.brief>`), shown, approved
by its digest, sent, and written down with the receiver's answer. Nothing is sent by anything else than
:func:`~vmqlib.runbook.communicate.sending.send`.
"""
