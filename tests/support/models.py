"""botocore's service models, read once in a process instead of once in each boto3 session.

A session reads a megabyte or two of JSON and looks through 400 folders before its first client is there: more than
most tests do after it. Sessions that share a loader are to their clients what one session is to several clients.
"""

from __future__ import annotations

from functools import cache

import botocore.loaders
import botocore.session

__all__ = ["share"]


def share() -> None:
    """Lets every boto3 session of this process that is yet to be made use one loader. Safe to call twice."""
    if botocore.session.create_loader is botocore.loaders.create_loader:
        botocore.session.create_loader = cache(botocore.loaders.create_loader)
