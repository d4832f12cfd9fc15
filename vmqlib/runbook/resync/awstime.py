"""What time it is for AWS: the ``Date`` of its answers, beside this machine's clock, which may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from vmqlib.errors import AwsError

__all__ = ["offset_of"]


def offset_of(answer: object, now: datetime) -> timedelta | None:
    """How far AWS's clock is ahead of ours, at least; ``None`` where the answer does not say.

    ``Date`` has whole seconds, cut off, and the answer took its time: AWS's clock may be a second or so further ahead.

    Parameters
    ----------
    answer:
        What boto3 returned, or the :class:`AwsError` that was made of a refusal.
    now:
        Our time when it came.
    """
    if isinstance(answer, AwsError):
        answer = getattr(answer.__cause__, "response", None)
    said: Any = answer.get("ResponseMetadata", {}) if isinstance(answer, Mapping) else {}
    text = said.get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(text) - now
    except (TypeError, ValueError):
        return None
