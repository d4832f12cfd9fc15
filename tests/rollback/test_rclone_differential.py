"""What rclone says that a bucket held at a time is what it holds after our rollback to that time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from support.bucket_histories import History, in_seconds_of_their_own, incident_on, invented
from support.s3_servers import S3Server, aws_of

from vmqlib.aws import Aws
from vmqlib.runbook import rollback

HISTORIES = 50
ROUNDS = 4

RCLONE = Path(sys.executable).with_name("rclone")

Listing = dict[str, tuple[int, str]]


@pytest.fixture(params=["seaweedfs", "simulator"])
def server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue(request.param)


@pytest.mark.slow
@pytest.mark.timeout(300)  # half a minute, on a machine that is not busy
def test_after_a_rollback_the_bucket_holds_what_rclone_says_it_held(server: S3Server, tmp_path: Path) -> None:
    bucket = server.bucket()
    # Without ties: rclone sorts by LastModified alone, and takes any of the versions of one second for the newest.
    histories = [invented(f"h{number:02d}", ROUNDS, ties=False) for number in range(HISTORIES)]
    moments = in_seconds_of_their_own(server, bucket, histories)
    then = {moment: rclone_lists(server, bucket, at=moment) for moment in moments}
    wanted: Listing = {}
    for history in histories:
        at = moments[history.target]
        held = {key: one for key, one in then[at].items() if key.startswith(history.prefix)}
        # rclone does not make it up, either.
        assert {key: size for key, (size, _) in held.items()} == sizes(history)
        wanted |= held
    aws = aws_of(server)
    changed = sum(
        rolled_back(aws, bucket, history, moments[history.target], tmp_path) for history in histories
    )
    assert rclone_lists(server, bucket) == wanted
    assert changed > 2 * HISTORIES, "there was something to do"


def sizes(history: History) -> dict[str, int]:
    return {key: len(body) for key, body in history.state(history.target).items()}


def rolled_back(aws: Aws, bucket: str, history: History, at: datetime, folder: Path) -> int:
    """Rolls one history back; how many keys were changed for that."""
    incident = incident_on(aws, bucket, folder / "incidents")
    plan = rollback.plan(incident, to=at.isoformat(), prefix=history.prefix)
    assert not plan.head.blocked, (history.seed, plan.head.blocked)
    changes = sum(plan.head.counts.get(action, 0) for action in rollback.CHANGES)
    applied = rollback.apply(incident, plan, digest=plan.digest, workers=4)
    assert (applied.ok, applied.done) == (True, changes), history.seed
    checked = rollback.verify(incident)
    assert checked.ok, (history.seed, checked.first)
    return changes


def rclone_lists(server: S3Server, bucket: str, at: datetime | None = None) -> Listing:
    """Keys with size and MD5, now or at a time."""
    words = [
        str(RCLONE),
        "lsjson",
        "-R",
        "--files-only",
        "--hash",
        "--no-mimetype",
        "--no-modtime",
        "--fast-list",
    ]
    if at is not None:
        words.append(f"--s3-version-at={at:%Y-%m-%dT%H:%M:%SZ}")
    remote = {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_HERE_TYPE": "s3",
        "RCLONE_CONFIG_HERE_PROVIDER": "Other",
        "RCLONE_CONFIG_HERE_ENV_AUTH": "true",
        "RCLONE_CONFIG_HERE_ENDPOINT": server.url,
        "RCLONE_CONFIG_HERE_REGION": server.env["AWS_DEFAULT_REGION"],
        "RCLONE_CONFIG_HERE_FORCE_PATH_STYLE": "true",
        # SeaweedFS writes keys as they are whatever it is asked, and rclone would decode them.
        "RCLONE_CONFIG_HERE_LIST_URL_ENCODE": "false" if server.name == "seaweedfs" else "true",
    }
    done = subprocess.run(
        [*words, f"here:{bucket}"],
        env={**os.environ, **server.env, **remote},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {row["Path"]: (row["Size"], row["Hashes"]["md5"]) for row in json.loads(done.stdout)}
