"""Runbook step 3, *Rollback via S3 versioning*: plan, apply, resume, verify, undo."""
