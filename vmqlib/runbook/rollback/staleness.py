"""Whether this incident itself changed, after a plan was made, what the plan is about. Nothing is asked of S3."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.resyncstory import uploaded
from vmqlib.runbook.rollback.copied import made_since
from vmqlib.runbook.rollback.items import CHANGES

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.plan import Plan

__all__ = ["overtaken_by_own"]


def overtaken_by_own(incident: Incident, plan: Plan, since: datetime) -> int:
    """How many objects of a plan a touch, an upload, an undo or another plan of this incident made another version of,
    than the one that was current for the plan. They would be left alone.

    Parameters
    ----------
    since:
        When the plan was made.
    """
    mask = incident.shown_by.text
    now: dict[str, str] = {}  # keys as evidence has them: masked
    for _, key, version_id in sorted(_later(incident, since)):
        now[mask(key)] = version_id
    if not now:
        return 0
    return sum(
        item.action in CHANGES and now.get(mask(item.key), item.current.version_id) != item.current.version_id
        for item in plan.iter_items()
    )


def _later(incident: Incident, since: datetime) -> Iterator[tuple[datetime, str, str]]:
    """When, which key, which version."""
    yield from ((at, key, version_id) for at, key, version_id in uploaded(incident) if at > since)
    yield from made_since(incident, since)
