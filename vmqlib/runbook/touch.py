"""Runbook step 4: have the connector look again at objects that did not change.

A document that failed is not read again until its object changes. A touch copies the object's current version onto
itself with one more piece of user metadata (``vmq-touched``): the same content, a new version, which the connector
takes for changed. The former version stays below. Planned, approved, applied, resumed, verified and taken back by the
engine of :mod:`vmqlib.runbook.rollback`; the journal tells of it in step ``resync``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Plan
    from vmqlib.runbook.rollback.planning import Watch

__all__ = ["plan"]


def _quiet(_doing: str, _done: int, _total: int | None) -> None:
    """Says nothing."""


def plan(incident: Incident, keys: Sequence[str], *, progress: Watch = _quiet) -> Plan:
    """Plans to touch these objects: nothing in the bucket is changed. Applied with
    :func:`vmqlib.runbook.rollback.apply`, and by its digest, like any plan.

    Reads only: ``s3:GetBucketVersioning``, ``s3:ListBucketVersions``, ``s3:GetObjectVersion``.

    Parameters
    ----------
    keys:
        Which ones. One that is not there, or deleted, is BLOCKED; so is each one where versioning is suspended, since
        there a copy replaces the version below it for good.
    progress:
        Told of the listing (versions) and the inspection (objects).

    Raises
    ------
    BadInput
        No key is named; the bucket was never versioned; the incident is closed or offline.
    AwsError
        The bucket cannot be listed.
    """
    from vmqlib.runbook.rollback import planfile, planner
    from vmqlib.runbook.rollback.ground import may_change, scope_of, versioning
    from vmqlib.runbook.rollback.inspecting import inspected
    from vmqlib.runbook.rollback.items import Target
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.runbook.rollback.planning import crawled, journal_plan, new_head, private
    from vmqlib.runbook.rollback.story import folder
    from vmqlib.s3 import S3
    from vmqlib.sources.crawlscope import CrawlScope
    from vmqlib.sources.versionlisting import list_versions

    aws = may_change(incident)
    if not keys:
        raise BadInput(
            "No key is named.",
            hint="Name the objects to touch (--key), or take those that the newest proof found failed (--failed).",
        )
    scope = scope_of(incident, None, None, keys)
    target = Target("touch", None, "The connector is to look at them again: copied onto themselves.")
    head = new_head(incident, scope, target, purpose="touch")
    mark = f"{iso(head.made_at)} {incident.id}"
    crawl = crawled(incident)
    with S3(aws, scope.bucket) as s3:
        seen = planner.Seen()
        items = planner.plan_items(
            list_versions(s3, keys=scope.keys, progress=lambda count: progress("listing", count, None)),
            target,
            scope,
            versioning=versioning(s3),
            documents=(crawl or CrawlScope()).is_document,
            seen=seen,
        )
        items = inspected(
            items,
            Objects(s3, mark=mark).inspect,
            progress=lambda count: progress("inspecting", count, len(scope.keys)),
        )
        made = planfile.write(private(folder(incident)), head, items, seen=seen, crawl=crawl)
    journal_plan(incident, made)
    return made
