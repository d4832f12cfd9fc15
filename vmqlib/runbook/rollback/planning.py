"""From an incident to a plan: list the bucket, work out what would change, look at what would be copied, write it down.

Runbook step 3. Reads only: ``s3:GetBucketVersioning``, ``s3:ListBucketVersions``, ``s3:GetObjectVersion``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.rollback.ground import account, may_change, scope_of, versioning
from vmqlib.runbook.rollback.items import Ambiguous, Scope, Target
from vmqlib.runbook.rollback.purposes import PURPOSES, PurposeName
from vmqlib.runbook.rollback.story import PLANNED, folder

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.rollback.plan import Plan, PlanHead
    from vmqlib.sources.crawlscope import CrawlScope

__all__ = ["Watch", "crawled", "journal_plan", "new_head", "plan", "private", "quiet"]

Watch = Callable[[str, int, "int | None"], None]
"""Told what is being done (``listing``, ``inspecting`` or ``verifying``), how much of it is, and of how much."""


def quiet(_doing: str, _done: int, _total: int | None) -> None:
    """Says nothing."""


def plan(
    incident: Incident,
    *,
    to: str = "last-good",
    prefix: str | None = None,
    exclude: Sequence[str] | None = None,
    keys: Sequence[str] = (),
    since: str = "",
    ambiguous: Ambiguous = "hold",
    inspect: bool = True,
    progress: Watch = quiet,
) -> Plan:
    """Plans a rollback: nothing in the bucket is changed. The plan lies in the incident's folder, the journal names it.

    Parameters
    ----------
    to:
        ``last-good``: as at the start of the last sync that succeeded before the incident. ``previous``: each key's
        latest previous version, for ``keys`` or for what changed after ``since``. Or a time: an age (``6h``) or UTC.
    prefix, exclude:
        Only keys that begin with ``prefix`` and with none of ``exclude``; by default the connector's own.
    keys:
        Only these keys.
    since:
        For ``previous``.
    ambiguous:
        What to do with keys that changed within the very second of the target.
    inspect:
        Whether every version that would be copied is looked at now (a request each), so that what cannot be copied is
        known before anything is begun.
    progress:
        Told of the listing (versions) and the inspection (objects).

    Raises
    ------
    BadInput
        The bucket was never versioned, no sync ever succeeded, the incident is closed or offline, a value is none.
    AwsError
        The bucket cannot be listed.
    """
    from vmqlib.runbook.lastgood import came_in, doubt
    from vmqlib.runbook.rollback import planfile, planner
    from vmqlib.runbook.rollback.copied import copies
    from vmqlib.runbook.rollback.inspecting import inspected
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.runbook.rollback.target import parse_to
    from vmqlib.s3 import S3
    from vmqlib.sources.crawlscope import CrawlScope
    from vmqlib.sources.versionlisting import list_versions

    aws = may_change(incident)
    scope = scope_of(incident, prefix, exclude, keys)
    target = parse_to(
        to,
        now=incident.clock.now(),
        jobs=lambda: _jobs(incident),
        before=incident.state.opened_at or incident.identity.opened_at,
        since=since,
        data_source_id=incident.identity.data_source_id,
        came_in=came_in(incident) if to.strip() == "last-good" else None,
        doubt=doubt(incident) if to.strip() == "last-good" else "",
    )
    crawl = crawled(incident)
    with S3(aws, scope.bucket) as s3:
        seen = planner.Seen()
        items = planner.plan_items(
            list_versions(
                s3,
                scope.prefix,
                scope.exclude,
                keys=scope.keys,
                progress=lambda count: progress("listing", count, None),
            ),
            target,
            scope,
            ambiguous=ambiguous,
            versioning=versioning(s3),
            documents=(crawl or CrawlScope()).is_document,
            copies=copies(incident),
            seen=seen,
        )
        if inspect:
            objects = Objects(s3)
            items = inspected(
                items, objects.inspect, progress=lambda count: progress("inspecting", count, None)
            )
        head = replace(new_head(incident, scope, target), ambiguous=ambiguous)
        made = planfile.write(private(folder(incident)), head, items, seen=seen, crawl=crawl)
    journal_plan(incident, made)
    return made


def new_head(
    incident: Incident, scope: Scope, target: Target, of: str = "", purpose: PurposeName = "rollback"
) -> PlanHead:
    """What a plan that is made now says of itself; its counts come while it is written."""
    from vmqlib.runbook.rollback.plan import PlanHead

    aws = may_change(incident)
    number, arn = account(aws)
    return PlanHead(
        incident=incident.id,
        scope=scope,
        target=target,
        made_at=incident.clock.now(),
        region=aws.region,
        account=number,
        caller=arn,
        of=of,
        purpose=purpose,
    )


def private(path: Path) -> Path:
    """A folder for this user's eyes only: keys stand in its files as they are.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    with storage_errors(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def journal_plan(incident: Incident, plan: Plan, *, brought: bool = False) -> None:
    """Writes a plan into the journal: its digest, its file, and counts; no keys.

    Parameters
    ----------
    brought:
        It was made elsewhere: it is copied into the incident's folder first.
    """
    if brought:
        plan = plan.copy_to(private(folder(incident)) / f"plan-{plan.digest[:12]}.jsonl.gz")
    head, target, purpose = plan.head, plan.target, PURPOSES[plan.head.purpose]
    data: Mapping[str, Any] = {
        "verdict": PLANNED,
        "action": purpose.action(target.kind),
        "digest": plan.digest,
        "file": plan.path.name,
        "file_sha256": _sha256(plan.path),
        "kind": target.kind,
        "at": target.at,
        "of": head.of,
        "counts": dict(head.counts),
        "blocked": dict(head.blocked),
        "bytes": dict(head.bytes),
        "keys": head.keys,
        "listed": head.listed,
    }
    incident.conclude(purpose.step, f"Planned {plan.digest[:12]}: {plan.summary}", data)


def _sha256(path: Path) -> str:
    with storage_errors(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crawled(incident: Incident) -> CrawlScope | None:
    """What the connector crawls, as the resources that were observed say; ``None`` when nobody could see them."""
    from vmqlib.sources.crawlscope import crawl_scope

    seen = incident.observed("resources")
    if not seen.available:
        return None
    return crawl_scope(_rows(incident, seen), incident.identity.data_source_id)


def _jobs(incident: Incident) -> list[dict[str, Any]]:
    """The sync jobs that were observed; where there is no evidence of them, they are looked at now."""
    seen = incident.observed("sync-jobs")
    if not seen.available:
        seen = incident.observe(["sync-jobs"], refresh=True, step="rollback")["sync-jobs"]
    if not seen.available:
        raise BadInput(
            f"The last good sync is not known: {seen.problem}",
            hint=f"{seen.hint} Or give a time: --to 2026-11-20T10:00Z, or an age such as --to 6h.".strip(),
        )
    return _rows(incident, seen)


def _rows(incident: Incident, seen: Observation) -> list[dict[str, Any]]:
    """The rows of an evidence file. Not a frame: pandas takes longer to import than a bucket to be planned."""
    return list(incident.evidence.open(seen.evidence).rows()) if seen.evidence is not None else []
