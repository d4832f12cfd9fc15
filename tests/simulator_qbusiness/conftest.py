"""A small account with a bucket and an S3 data source, on a clock that the test moves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws
from support.connector_role import create_connector_role

from vmqlib.simulator.clock import SimClock, moto_time
from vmqlib.simulator.qbusiness import Pace, QBusinessBackend, qbusiness_backends, register
from vmqlib.simulator.qbusiness.validation import problems
from vmqlib.simulator.world import World

ACCOUNT, REGION, BUCKET = "123456789012", "eu-west-1", "vaultmesh-knowledge-base"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/qbusiness-s3"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
# base 10 s; then 1 s for each document crawled, 2 s for each changed, 3 s to close
STEADY = Pace(base=10, per_scanned=1, per_indexed=2, closing=3, stopping=4, jitter=0)


@dataclass(frozen=True)
class Clients:
    """boto3 clients, and what was wrong with the answers that the first got."""

    q: Any
    s3: Any
    logs: Any
    cloudwatch: Any
    iam: Any
    misfits: list[str]


def checked(client: Any, sink: list[str]) -> None:
    """Lets every answer that ``client`` gets be held strictly against its output shape."""

    def after(model: Any, parsed: Any, http_response: Any = None, **_: Any) -> None:
        if http_response is not None and http_response.status_code < 300 and model.output_shape is not None:
            body = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
            sink.extend(f"{model.name}: {path} {what}" for path, what in problems(body, model.output_shape))

    client.meta.events.register("after-call", after)


@dataclass
class Account:
    """What a test holds: clients, the backend, and the ids of one application."""

    backend: QBusinessBackend
    world: World
    q: Any
    s3: Any
    logs: Any
    cloudwatch: Any
    misfits: list[str]
    app: str = ""
    index: str = ""
    source: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    bucket: ClassVar[str] = BUCKET
    role: ClassVar[str] = ROLE
    started: ClassVar[datetime] = START

    @staticmethod
    def configuration(*, mode: str = "FULL_CRAWL", bucket: str = BUCKET, **options: Any) -> dict[str, Any]:
        """The S3 connector's template, as the user guide has it."""
        return {
            "type": "S3",
            "syncMode": mode,
            "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": bucket}},
            "repositoryConfigurations": {"document": {"fieldMappings": []}},
            "additionalProperties": options,
        }

    @staticmethod
    def counts(job: Mapping[str, Any]) -> dict[str, int]:
        """A job's metrics as numbers: they must be strings of digits."""
        metrics = job["metrics"]
        assert all(re.fullmatch(r"0|[1-9]\d*", value) for value in metrics.values())
        return {name.removeprefix("documents").lower(): int(value) for name, value in metrics.items()}

    @property
    def clock(self) -> SimClock:
        return self.world.clock

    def pass_time(self, **span: float) -> datetime:
        self.world.advance_by(timedelta(**span))
        return self.clock.now()

    def put(self, **files: str | bytes) -> None:
        for key, body in files.items():
            self.put_key(key.replace("__", "/") + ".md", body)

    def put_key(self, key: str, body: str | bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def delete_key(self, key: str) -> None:
        self.s3.delete_object(Bucket=BUCKET, Key=key)

    def create_source(self, name: str = "s3", *, schedule: str = "", **options: Any) -> str:
        created = self.q.create_data_source(
            applicationId=self.app,
            indexId=self.index,
            displayName=name,
            roleArn=ROLE,
            syncSchedule=schedule,
            configuration=self.configuration(**options),
        )
        return str(created["dataSourceId"])

    def start(self) -> str:
        return str(self.q.start_data_source_sync_job(**self.ids)["executionId"])

    def job(self) -> dict[str, Any]:
        found: dict[str, Any] = self.q.list_data_source_sync_jobs(**self.ids)["history"][0]
        return found

    def sync(self) -> dict[str, Any]:
        """Starts a sync, waits for its end, and gives the job."""
        self.start()
        self.pass_time(hours=1)
        job = self.job()
        assert "endTime" in job
        return job

    def statuses(self) -> dict[str, str]:
        """Status of every document of the data source by key."""
        return {
            document["documentId"].removeprefix(f"s3://{BUCKET}/"): document["status"]
            for page in self.q.get_paginator("list_documents").paginate(
                applicationId=self.app, indexId=self.index, dataSourceIds=[self.source]
            )
            for document in page["documentDetailList"]
        }

    def events(self, stream_prefix: str) -> list[dict[str, Any]]:
        """Every event of the streams that begin so, oldest first, read straight from moto's store."""
        import json

        from moto.logs.models import logs_backends

        group = logs_backends[ACCOUNT][REGION].groups.get(f"/aws/qbusiness/{self.app}")
        found = [
            (event.timestamp, json.loads(event.message))
            for name, stream in (group.streams.items() if group else ())
            if name.startswith(stream_prefix)
            for event in stream.events
        ]
        return [event for _, event in sorted(found, key=lambda pair: pair[0])]

    def metric(self, namespace: str, name: str, **dimensions: str) -> list[tuple[datetime, float]]:
        """Every value of a metric with exactly these dimensions."""
        from moto.cloudwatch.models import cloudwatch_backends

        return [
            (datum.timestamp, datum.value)
            for datum in cloudwatch_backends[ACCOUNT][REGION].metric_data
            if datum.namespace == namespace
            and datum.name == name
            and {one.name: one.value for one in datum.dimensions} == dimensions
        ]


@pytest.fixture(scope="session")
def session() -> boto3.session.Session:
    """One session for all tests: it keeps the service models that it has read."""
    return boto3.session.Session("AKIAIOSFODNN7EXAMPLE", "none", region_name=REGION)


@pytest.fixture(scope="session")
def clients(session: boto3.session.Session) -> Clients:
    """The clients of all tests: they keep nothing of an account, and making them takes longer than most tests."""
    made = Clients(*(session.client(name) for name in ("qbusiness", "s3", "logs", "cloudwatch", "iam")), [])
    checked(made.q, made.misfits)
    return made


@pytest.fixture
def bare(clients: Clients) -> Iterator[Account]:
    """An account with a bucket and nothing of Q Business."""
    register()
    clock = SimClock()
    clock.set(START)
    clients.misfits.clear()
    with mock_aws(), moto_time(clock):
        backend = qbusiness_backends[ACCOUNT][REGION]
        backend.pace = STEADY
        world = World(clock)
        world.add(backend)
        clients.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        clients.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        create_connector_role(clients.iam, ROLE.rsplit("/", 1)[-1])
        yield Account(
            backend, world, clients.q, clients.s3, clients.logs, clients.cloudwatch, clients.misfits
        )
    assert clients.misfits == []


@pytest.fixture
def account(bare: Account) -> Account:
    """An account with an application, an index, its retriever, and an S3 data source on demand."""
    bare.app = bare.q.create_application(displayName="vaultmesh")["applicationId"]
    bare.index = bare.q.create_index(applicationId=bare.app, displayName="knowledge")["indexId"]
    bare.q.create_retriever(
        applicationId=bare.app,
        type="NATIVE_INDEX",
        displayName="native",
        configuration={"nativeIndexConfiguration": {"indexId": bare.index}},
    )
    bare.source = bare.create_source()
    bare.ids = {"applicationId": bare.app, "indexId": bare.index, "dataSourceId": bare.source}
    return bare
