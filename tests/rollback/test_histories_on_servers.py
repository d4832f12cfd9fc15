"""Random histories, played to a model of S3 and to real servers: listing, plan, apply, verify and undo agree with the
model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from support.bucket_histories import KEYS, incident_on, quiet_second
from support.s3_checks.probe import ODD_KEYS
from support.s3_mirror import Mirror, as_read
from support.s3_model import S3Model
from support.s3_servers import S3Server, aws_of, s3_of

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook import rollback
from vmqlib.sources.versionlisting import ObjectVersion, list_versions
from vmqlib.times import iso

HISTORIES = 20
ROUNDS = 4


@dataclass(frozen=True)
class Can:
    """What a server can do (see ``support.s3_versioning_checks``).

    Parameters
    ----------
    keys:
        Keys that it keeps as they are.
    suspends:
        Whether null versions stand where they were made, which suspended versioning needs.
    """

    keys: tuple[str, ...]
    suspends: bool


# SeaweedFS fails odd_keys_are_kept_listed_copied_and_deleted (slashes, dots, backslashes, control characters) and
# a_null_version_stands_where_it_was_made.
SERVERS = {"seaweedfs": Can(KEYS, suspends=False), "simulator": Can(ODD_KEYS, suspends=True)}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue(request.param)


@pytest.mark.slow
@pytest.mark.timeout(300)  # half a minute, on a machine that is not busy
def test_server_and_model_agree_before_and_after_a_rollback_and_its_undo(
    server: S3Server, tmp_path: Path
) -> None:
    seeds = [f"{server.name}-{number}" for number in range(HISTORIES)]
    mirrors, moments = played(server, seeds)
    aws = aws_of(server)
    incidents = [incident_on(aws, mirror.bucket, tmp_path / "incidents") for mirror in mirrors]
    changed = 0
    for seed, mirror, incident in zip(seeds, mirrors, incidents, strict=True):
        at = Random(seed).choice(moments[:-1])
        try:
            listed_as_the_model_has_it(aws, mirror)
            if mirror.model.status == "Suspended":
                nothing_is_done_while_suspended(mirror, incident, at)
            changed += rolled_back_and_forth(mirror, incident, at)
        except BaseException as error:
            error.add_note(f"history {seed} in bucket {mirror.bucket}, back to {at}")
            raise
    assert changed > HISTORIES, "there was something to do"


def played(server: S3Server, seeds: list[str]) -> tuple[list[Mirror], list[datetime]]:
    """Histories in buckets of their own, side by side, with quiet seconds between their rounds."""
    can = SERVERS[server.name]
    chances = [Random(seed) for seed in seeds]
    mirrors = []
    for chance in chances:
        status = "" if chance.random() < 0.3 else "Enabled"
        mirrors.append(Mirror(server, server.bucket(status), S3Model(status=status)))
    keys = [tuple(chance.sample(can.keys, 5)) for chance in chances]
    moments = [quiet_second()]
    with ThreadPoolExecutor(8) as pool:
        for number in range(ROUNDS):

            def play(which: int, number: int = number) -> None:
                mirror = mirrors[which]
                if number == 1 and not mirror.model.status:
                    mirror.versioning("Enabled")
                mirror.play(chances[which], keys[which], can.suspends and which % 2 == 0)

            list(pool.map(play, range(len(mirrors))))
            moments.append(quiet_second())
    return mirrors, moments


def listed_as_the_model_has_it(aws: Aws, mirror: Mirror) -> None:
    rows = list(list_versions(s3_of(mirror.server, mirror.bucket, aws=aws)))
    found = [row._replace(version_id=mirror.names[row.version_id]) for row in rows]
    wanted = mirror.model.rows()
    assert [plain(row) for row in found] == [plain(row) for row in wanted]
    made = {(key, one.version_id): one.at for key, entries in mirror.model.keys.items() for one in entries}
    for row in rows:
        began = made[row.key, mirror.names[row.version_id]]
        assert iso(began.replace(microsecond=0)) <= row.at <= iso(mirror.model.now.replace(year=2100))


def plain(row: ObjectVersion) -> tuple[object, ...]:
    # SeaweedFS lists no ETag for an empty object from before versioning.
    return (
        row.key,
        row.version_id,
        row.is_latest,
        row.is_delete_marker,
        row.size,
        row.etag if row.size else "",
    )


def nothing_is_done_while_suspended(mirror: Mirror, incident: Incident, at: datetime) -> None:
    plan = rollback.plan(incident, to=at.isoformat())
    assert not rollback.CHANGES & set(plan.head.counts)
    assert set(plan.head.blocked) <= {"suspended", "unknown"}
    mirror.versioning("Enabled")


def rolled_back_and_forth(mirror: Mirror, incident: Incident, at: datetime) -> int:
    model, before = mirror.model, mirror.visible()
    assert before == {key: as_read(content) for key, content in model.visible().items()}
    plan = rollback.plan(incident, to=at.isoformat())
    items = {item.key: item for item in plan.iter_items()}
    held = {key for key, item in items.items() if item.action == "BLOCKED"}
    for key in held:
        assert items[key].code == "unknown"
        assert any(when > at for when in model.nulls[key])
    wanted = dict(before)
    for key in model.keys.keys() - held:
        content = model.left_at(key, at) if key in model.destroyed else model.visible_at(at).get(key)
        wanted.pop(key, None)
        if content is not None:
            wanted[key] = as_read(content)
    applied = rollback.apply(incident, plan, digest=plan.digest, workers=4)
    assert applied.ok
    assert mirror.visible() == wanted
    checked = rollback.verify(incident)
    assert checked.ok, checked.first
    if not applied.done:
        return 0
    undo = rollback.undo(incident)
    assert rollback.apply(incident, undo, digest=undo.digest, workers=4).done == applied.done
    assert mirror.visible() == before
    checked = rollback.verify(incident)
    assert checked.ok, checked.first
    return applied.done
