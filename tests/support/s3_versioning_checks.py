"""Fifty checks of what AWS documents about S3 versioning, for any S3 server: each raises where the server differs.

They are what a rollback leans on: order and paging of listings, keys of every kind, null versions, copies of old
versions, conditions.
"""

from __future__ import annotations

from support.s3_checks import conditions, copying, listing  # each registers its own
from support.s3_checks.probe import CHECKS, Probe

__all__ = ["CHECKS", "Probe", "conditions", "copying", "listing"]
