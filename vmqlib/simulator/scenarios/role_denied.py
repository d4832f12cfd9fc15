"""The connector may not read the bucket any longer: its role's policy was tightened too far.

What happened: after a review an operator wrote the policy of the connector's role anew (PutRolePolicy), and meant to
leave it as it was. By the seed: GetObject was taken for one of its relatives, the bucket was written without the
objects in it, its name was misspelt, or a deny meant for others fits the connector, too. Listing the bucket goes on
working, so the crawl begins; then not even the ACL file can be read, and the sync FAILED, as has every one since.
"""

from __future__ import annotations

import json
import random
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from vmqlib.simulator.scenarios.account import BUCKET
from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.operators import harmless_changes, pick
from vmqlib.simulator.scenarios.routine import Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["RoleDenied"]

_EARLIEST = timedelta(hours=6)  # before "now", as all of these; the last promotion was nine hours ago
_LATEST = timedelta(hours=4)
_SYNC = timedelta(minutes=35)  # after the change
_RETRY = timedelta(minutes=30)
_ROLE, _POLICY = "vaultmesh-qbusiness-s3", "read-knowledge-base"


@dataclass(frozen=True)
class RoleDenied:
    """The account whose connector may not read the bucket."""

    name: str = "role-denied"
    summary: str = (
        "The policy of the connector's role lost s3:GetObject; every sync since then FAILED, "
        "and SyncFailed is in ALARM."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets three weeks pass, the last hours of them without the permission."""
        rng = stage.random("role-denied")
        routine = Routine(stage)
        routine.prepare()
        harmless_changes(stage, rng)
        who, how = pick(rng), rng.choice((_relative, _bucket_only, _misspelt, _denied))
        at = stage.now - _LATEST - (_EARLIEST - _LATEST) * rng.random()
        stage.at(at, lambda _: _tighten(stage, rng, how, who))
        stage.at(at + _SYNC, lambda moment: routine.sync(moment, "ops-sync-check"))
        stage.at(stage.now - _RETRY, lambda moment: routine.sync(moment, "retry by ops-sync-retry"))
        routine.play()
        return replace(
            routine.truth(),
            fires=frozenset({"sync-failed"}),
            suspect="aws-call:PutRolePolicy",
            who=who,
        )


def _tighten(stage: Stage, rng: random.Random, how: Any, who: str) -> None:
    from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

    iam = stage.client("iam")
    before = iam.get_role_policy(RoleName=_ROLE, PolicyName=_POLICY)["PolicyDocument"]
    after = deepcopy(before)
    reading = next(one for one in after["Statement"] if "s3:GetObject" in one["Action"])
    how(after["Statement"], reading, rng)
    with acting_as(who):
        iam.put_role_policy(RoleName=_ROLE, PolicyName=_POLICY, PolicyDocument=json.dumps(after))


def _relative(_: list[dict[str, Any]], reading: dict[str, Any], rng: random.Random) -> None:
    other = rng.choice(("s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectTagging"))
    reading["Action"] = [other, "s3:ListBucket"]


def _bucket_only(_: list[dict[str, Any]], reading: dict[str, Any], __: random.Random) -> None:
    reading["Resource"] = [f"arn:aws:s3:::{BUCKET}"]


def _misspelt(_: list[dict[str, Any]], reading: dict[str, Any], __: random.Random) -> None:
    reading["Resource"] = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET.replace('-', '')}/*"]


def _denied(statements: list[dict[str, Any]], _: dict[str, Any], __: random.Random) -> None:
    deny = {
        "Sid": "OnlyThroughTheEndpoint",
        "Effect": "Deny",
        "Action": "s3:GetObject*",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-0c2f41b7a9d35e668"}},
    }
    statements.append(deny)
