"""An incident and a small bucket on the local AWS, for what is tested of a rollback as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook import rollback
from vmqlib.runbook.rollback import Plan
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY, syncjobs
from vmqlib.sources.base import Reading, Source
from vmqlib.times import iso

__all__ = ["Rig", "sync_jobs"]

DS = "f7c1bd87-4da5-4709-9471-3d60c8a70639"
_numbers = itertools.count()


def sync_jobs(*jobs: tuple[str, datetime]) -> Source:
    """The source ``sync-jobs`` as if these had run: status and start of each."""

    def read(*_: Any, **__: Any) -> Reading:
        rows = [
            dict.fromkeys(syncjobs.SOURCE.columns)
            | {"data_source_id": DS, "execution_id": f"job-{number}", "status": status}
            | {"started_at": iso(at), "ended_at": iso(at + timedelta(seconds=1))}
            for number, (status, at) in enumerate(jobs)
        ]
        return Reading("sync-jobs", "qbusiness:ListDataSourceSyncJobs", {}, rows)

    return Source("sync-jobs", "Sync history", read, syncjobs.SOURCE.columns)


class Rig:
    """One bucket and one incident about it.

    Parameters
    ----------
    local:
        A local AWS in this process, to which the environment points.
    versioning:
        Of the bucket: ``Enabled``, ``Suspended`` or empty for never on.
    """

    def __init__(self, local: Any, versioning: str = "Enabled") -> None:
        self.local = local
        self.bucket = f"rollback-{next(_numbers)}"
        self.settings = Settings.load(bucket_name=self.bucket, ds_id=DS)
        self.aws = Aws(self.settings, local.clock)
        self.s3 = self.aws.client("s3")
        region = {"LocationConstraint": self.settings.region}
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=region)  # type: ignore[arg-type]
        if versioning:
            self.version(versioning)
        self.jobs: tuple[tuple[str, datetime], ...] = ()
        self._incident: Incident | None = None

    def version(self, status: str) -> None:
        """Switches versioning."""
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})  # type: ignore[typeddict-item]

    @property
    def incident(self) -> Incident:
        """Opened when it is first asked for."""
        if self._incident is None:
            sources = {**REGISTRY, "sync-jobs": sync_jobs(*self.jobs)}
            self._incident = Incident.open(
                self.settings, self.aws, trigger="content", data_source_id=DS, sources=sources
            )
        return self._incident

    def again(self, **options: Any) -> Incident:
        """The same incident, as another process would load it."""
        options.setdefault("aws", self.aws)
        return Incident.load(self.incident.id, settings=self.settings, clock=self.local.clock, **options)

    def now(self) -> datetime:
        """What the local AWS takes for now."""
        return self.local.clock.now()  # type: ignore[no-any-return]

    def tick(self, seconds: float = 10) -> datetime:
        """Lets time pass, and says what time it is in the middle of that."""
        half = timedelta(seconds=seconds / 2)
        self.local.clock.advance(half)
        middle = self.now()
        self.local.clock.advance(half)
        return middle

    def put(self, **objects: str) -> None:
        """Writes objects; see :meth:`write` for keys that are no Python names."""
        self.write(objects)

    def write(self, objects: Mapping[str, str | None]) -> None:
        """Writes objects, and deletes where there is no text."""
        for key, text in objects.items():
            if text is None:
                self.s3.delete_object(Bucket=self.bucket, Key=key)
            else:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def holds(self) -> dict[str, str]:
        """What can be read now: text by key."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode() for key in keys}

    def versions(self) -> list[tuple[str, str]]:
        """Every version and marker there is: key and version id."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return [
            (each["Key"], each["VersionId"])
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for each in page.get(kind, [])  # type: ignore[attr-defined]
        ]

    def spoiled(self, count: int = 4) -> dict[str, str]:
        """A bucket in which things went bad: rewritten, deleted, added. What it held before is given."""
        self.write({f"doc-{number:03}.md": f"good {number}" for number in range(count)})
        self.write({"kept.md": "kept", "lost.md": "lost"})
        self.good = self.tick()
        before = self.holds()
        self.write({f"doc-{number:03}.md": f"bad, alas {number}" for number in range(count)})
        self.write({"lost.md": None, "new.md": "new"})
        self.tick()
        return before

    def plan(self, **options: Any) -> Plan:
        """A plan back to when all was good."""
        options.setdefault("to", iso(self.good))
        return rollback.plan(self.incident, **options)

    def kinds(self, *only: str) -> list[str]:
        """The journal's events of step rollback, by kind."""
        found = [event.kind for event in self.incident.journal.events() if event.step == "rollback"]
        return [kind for kind in found if not only or kind in only]


def events(incident: Incident, kind: str) -> Iterable[Any]:
    """The data of the rollback's events of a kind."""
    return [
        event.data.model_dump()
        for event in incident.journal.events()
        if event.step == "rollback" and event.kind == kind
    ]
