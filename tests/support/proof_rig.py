"""A small bucket with a connector and an index on the local AWS, for what is tested of syncs and their proof."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3
from support.connector_role import create_connector_role

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook import rollback
from vmqlib.settings import Settings
from vmqlib.times import iso

__all__ = ["SyncRig"]

_numbers = itertools.count()
GOOD = "# Title\n\nSome text that can be read."


class SyncRig:
    """One application, index, data source and bucket, and one incident about them.

    Parameters
    ----------
    local:
        A local AWS in this process, to which the environment points.
    options:
        More of the connector's configuration.
    """

    def __init__(self, local: Any, **options: Any) -> None:
        self.local = local
        number = next(_numbers)
        self.bucket = f"proof-{number}"
        made = Settings.load(bucket_name=self.bucket)
        aws = Aws(made, local.clock)
        q, s3 = aws.client("qbusiness"), aws.client("s3")
        region: Any = {"LocationConstraint": made.region}
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=region)
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.role = create_connector_role(boto3.client("iam"), f"proof-{number}")
        app = q.create_application(displayName=f"proof-{number}")["applicationId"]
        index = q.create_index(applicationId=app, displayName="knowledge")["indexId"]
        self.options = options
        source = q.create_data_source(
            applicationId=app,
            indexId=index,
            displayName="docs",
            roleArn=f"arn:aws:iam::123456789012:role/proof-{number}",
            configuration=self.configuration(**options),
        )["dataSourceId"]
        self.settings = Settings.load(bucket_name=self.bucket, app_id=app, index_id=index, ds_id=source)
        self.ids = {"applicationId": app, "indexId": index, "dataSourceId": source}
        self.aws = Aws(self.settings, local.clock)
        self.q, self.s3 = self.aws.client("qbusiness"), self.aws.client("s3")
        self._incident: Incident | None = None

    def configuration(self, **options: Any) -> dict[str, Any]:
        """The S3 connector's template, as the user guide has it."""
        return {
            "type": "S3",
            "syncMode": "FULL_CRAWL",
            "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": self.bucket}},
            "repositoryConfigurations": {"document": {"fieldMappings": []}},
            "additionalProperties": {**options},
        }

    def configure(self, **options: Any) -> None:
        """Changes the connector's configuration."""
        self.options |= options
        self.q.update_data_source(**self.ids, configuration=self.configuration(**self.options))

    @property
    def incident(self) -> Incident:
        """Opened when it is first asked for."""
        if self._incident is None:
            source = self.settings.ds_id
            self._incident = Incident.open(
                self.settings, self.aws, trigger="sync-failed", data_source_id=source, clock=self.local.clock
            )
        return self._incident

    def again(self, **options: Any) -> Incident:
        """The same incident, as another process would load it."""
        options.setdefault("aws", self.aws)
        return Incident.load(self.incident.id, settings=self.settings, clock=self.local.clock, **options)

    def write(self, objects: Mapping[str, str | bytes | None], **more: Any) -> None:
        """Writes objects, and deletes where there is no text."""
        for key, body in objects.items():
            if body is None:
                self.s3.delete_object(Bucket=self.bucket, Key=key)
            else:
                raw = body.encode() if isinstance(body, str) else body
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=raw, **more)

    def tick(self, seconds: float = 10) -> datetime:
        """Lets time pass, and says what time it is in the middle of that."""
        half = timedelta(seconds=seconds / 2)
        self.local.clock.advance(half)
        middle: datetime = self.local.clock.now()
        self.local.clock.advance(half)
        return middle

    def sync(self) -> dict[str, Any]:
        """Starts a sync, waits for its end, and gives the job."""
        self.tick()
        self.q.start_data_source_sync_job(**self.ids)
        self.tick(600)
        job: dict[str, Any] = self.q.list_data_source_sync_jobs(**self.ids)["history"][0]
        assert "endTime" in job
        self.tick()
        return job

    def restore(self, at: datetime, **options: Any) -> None:
        """Plans a rollback to that moment and carries it out."""
        self.incident.observe(["resources"], refresh=True)
        plan = rollback.plan(self.incident, to=iso(at), **options)
        rollback.apply(self.incident, plan, digest=plan.digest)

    def head(self, key: str, version_id: str = "") -> dict[str, Any]:
        """What S3 says of an object."""
        which = {"VersionId": version_id} if version_id else {}
        answer: dict[str, Any] = self.s3.head_object(Bucket=self.bucket, Key=key, **which)  # type: ignore[arg-type]
        return answer
