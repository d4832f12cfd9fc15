"""Random buckets and edits: after every sync the index and the counts are what a model says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from support.connector_role import READING, TRUST

from vmqlib.simulator.clock import SimClock, moto_time
from vmqlib.simulator.qbusiness import Pace, QBusinessBackend, qbusiness_backends, register
from vmqlib.simulator.world import World

ACCOUNT, BUCKET = "123456789012", "property-bucket"
KEYS = [f"d{i}.md" for i in range(9)] + ["x.json", "_staging/d0.md", "d1.md.metadata.json"]
GOOD = ["# One\ntext", "# Two\ntext", '{"Title": "three"}']
BAD = ["", "\n", "\udcff"]  # the last is written as a byte that is no UTF-8
edits = st.lists(
    st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.sampled_from(GOOD + BAD))), max_size=8
)


@dataclass
class Model:
    """What the index ought to hold, worked out the slow and simple way."""

    safeguard: bool
    bucket: dict[str, str] = field(default_factory=dict)
    known: dict[str, tuple[str, str | None, bool]] = field(default_factory=dict)  # content, metadata, is good

    def edit(self, key: str, body: str | None) -> None:
        if body is None:
            self.bucket.pop(key, None)
        else:
            self.bucket[key] = body

    def sync(self) -> dict[str, int]:
        found = {"added": 0, "modified": 0, "deleted": 0, "failed": 0, "scanned": 0}
        in_scope = [key for key in self.bucket if not key.startswith("_staging/") and "metadata" not in key]
        for key in in_scope:
            found["scanned"] += 1
            now = self.bucket[key], self.bucket.get(f"{key}.metadata.json")
            before = self.known.get(key)
            if before is None or before[:2] != now:
                self.known[key] = (*now, self.is_good(key, *now))
                if self.known[key][2]:
                    found["modified" if before else "added"] += 1
            found["failed"] += not self.known[key][2]
        gone = [key for key in self.known if key not in in_scope]
        held_back = self.safeguard and gone and 100 * len(gone) / (len(in_scope) + len(gone)) > 15
        if not held_back:
            for key in gone:
                del self.known[key]
            found["deleted"] = len(gone)
        return found

    @staticmethod
    def is_good(key: str, content: str, metadata: str | None) -> bool:
        if content in BAD or (key.endswith(".json") and not content.startswith("{")):
            return False
        return metadata is None or metadata.startswith("{")


@contextmanager
def fresh(safeguard: bool) -> Iterator[tuple[QBusinessBackend, World, dict[str, str], Any]]:
    register()
    clock = SimClock()
    clock.set(datetime(2026, 11, 2, 9, tzinfo=UTC))
    with mock_aws(), moto_time(clock):
        from moto.iam.models import iam_backends
        from moto.s3.models import s3_backends

        store = s3_backends[ACCOUNT]["aws"]
        store.create_bucket(BUCKET, "eu-west-1")
        store.put_bucket_versioning(BUCKET, "Enabled")
        iam = iam_backends[ACCOUNT]["aws"]
        iam.create_role("q", json.dumps(TRUST), "/", None, "", [], "3600")
        iam.put_role_policy("q", "read", json.dumps(READING))
        backend = qbusiness_backends[ACCOUNT]["eu-west-1"]
        backend.pace = Pace.quick()
        backend.no_sync.time_of_day = None
        world = World(clock)
        world.add(backend)
        app = backend.call("CreateApplication", {"displayName": "a"})["applicationId"]
        index = backend.call("CreateIndex", {"applicationId": app, "displayName": "i"})["indexId"]
        source = backend.call(
            "CreateDataSource",
            {
                "applicationId": app,
                "indexId": index,
                "displayName": "s",
                "roleArn": "arn:aws:iam::123456789012:role/q",
                "configuration": {
                    "type": "S3",
                    "syncMode": "FULL_CRAWL",
                    "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": BUCKET}},
                    "additionalProperties": {
                        "exclusionPrefixes": ["_staging/"],
                        "enableDeletionProtection": safeguard,
                    },
                },
            },
        )["dataSourceId"]
        yield backend, world, {"applicationId": app, "indexId": index, "dataSourceId": source}, store


@settings(max_examples=40, deadline=None)
@given(rounds=st.lists(edits, min_size=1, max_size=5), safeguard=st.booleans())
def test_index_and_counts_are_what_the_model_says(rounds: list[Any], safeguard: bool) -> None:
    model = Model(safeguard)
    with fresh(safeguard) as (backend, world, ids, store):
        for changes in rounds:
            for key, body in changes:
                model.edit(key, body)
                if body is None:
                    store.delete_object(BUCKET, key)
                else:
                    store.put_object(BUCKET, key, body.encode("utf-8", "surrogateescape"))
            expected = model.sync()
            backend.call("StartDataSourceSyncJob", ids)
            world.advance_by(timedelta(minutes=10))
            job = backend.call("ListDataSourceSyncJobs", ids)["history"][0]
            counted = {name.removeprefix("documents").lower(): int(n) for name, n in job["metrics"].items()}
            assert counted == expected
            assert job["status"] == ("INCOMPLETE" if expected["failed"] else "SUCCEEDED")
            documents = backend.index(ids["indexId"]).of_source(ids["dataSourceId"])
            held = {one.key: one.content is not None for one in documents.values()}
            assert held == {key: good for key, (_, _, good) in model.known.items()}
            assert backend.index(ids["indexId"]).count() == sum(held.values())


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.floats(0.1, 60), min_size=1, max_size=12), stop_after=st.integers(0, 12))
def test_however_time_passes_counts_grow_and_statuses_follow(steps: list[float], stop_after: int) -> None:
    order = ["SYNCING", "SYNCING_INDEXING", "STOPPING", "SUCCEEDED", "ABORTED"]
    with fresh(False) as (backend, world, ids, store):
        backend.pace = Pace(base=5, per_scanned=2, per_indexed=3, closing=2, stopping=5)
        for i in range(7):
            store.put_object(BUCKET, f"d{i}.md", b"# Text")
        backend.call("StartDataSourceSyncJob", ids)
        before, stage = {"documentsScanned": "0"}, 0
        for number, seconds in enumerate(steps):
            world.advance_by(timedelta(seconds=seconds))
            if number == stop_after:
                backend.call("StopDataSourceSyncJob", ids)
            job = backend.call("ListDataSourceSyncJobs", ids)["history"][0]
            assert all(int(job["metrics"][name]) >= int(value) for name, value in before.items())
            assert order.index(job["status"]) >= stage
            added = int(job["metrics"]["documentsAdded"])
            assert added == backend.index(ids["indexId"]).count()
            before, stage = job["metrics"], order.index(job["status"])
        world.advance_by(timedelta(hours=1))
        job = backend.call("ListDataSourceSyncJobs", ids)["history"][0]
        assert job["status"] in ("SUCCEEDED", "ABORTED")
        if job["status"] == "SUCCEEDED":
            assert int(job["metrics"]["documentsAdded"]) == 7


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_world(seed: int) -> None:
    def run() -> list[dict[str, Any]]:
        with fresh(False) as (backend, world, ids, store):
            backend.seed(seed)
            backend.pace = Pace()
            for i in range(5):
                store.put_object(BUCKET, f"d{i}.md", b"# Text")
            backend.call("StartDataSourceSyncJob", ids)
            world.advance_by(timedelta(hours=1))
            history: list[dict[str, Any]] = backend.call("ListDataSourceSyncJobs", ids)["history"]
            return history

    assert run() == run()
