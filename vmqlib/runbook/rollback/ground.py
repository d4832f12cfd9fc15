"""What a rollback stands on: the bucket, its versioning, the keys it looks at, and who asks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from vmqlib.errors import AwsError, BadInput, LockHeld
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.rollback.items import Scope
from vmqlib.runbook.rollback.purposes import command
from vmqlib.runbook.rollback.story import folder

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.plan import Plan
    from vmqlib.s3 import S3

__all__ = [
    "Versioning",
    "account",
    "belongs",
    "bucket_of",
    "connected",
    "may_change",
    "nobody_applies",
    "scope_of",
    "versioning",
]

Versioning = Literal["Enabled", "Suspended", ""]

_STATUS = re.compile(rb"<Status>\s*(\w+)\s*</Status>")


def connected(incident: Incident) -> Aws:
    """The incident's AWS.

    Raises
    ------
    BadInput
        When the incident was loaded offline.
    """
    if incident.aws is None:
        raise BadInput(
            f"{incident.id} was loaded offline: the bucket cannot be asked.",
            hint="Load it with AWS, or use the command line: `vmq rollback --help`.",
        )
    return incident.aws


def may_change(incident: Incident) -> Aws:
    """The incident's AWS, for a step that changes something or prepares it.

    Raises
    ------
    BadInput
        When the incident is closed, or was loaded offline.
    """
    if incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is closed: its record is complete, and nothing is changed in its name.",
            hint=f"`vmq reopen {incident.id} --reason …` lets it go on; `vmq open --trigger content` opens a new "
            "incident, which can go back to any time, too.",
        )
    return connected(incident)


def bucket_of(incident: Incident) -> str:
    """The bucket of the incident's connector, or the one of the settings."""
    connector = incident.settings.connector(incident.identity.data_source_id)
    return incident.settings.bucket_of(connector)


def scope_of(
    incident: Incident, prefix: str | None, exclude: Sequence[str] | None, keys: Sequence[str]
) -> Scope:
    """The keys to look at.

    Parameters
    ----------
    prefix:
        As given; ``None`` takes the connector's own.
    exclude:
        Prefixes that are left out besides the connector's own. Of those none counts that would exclude all that was
        asked for: who names a prefix or a key means it.
    keys:
        As given; several times the same is once.

    Raises
    ------
    BadInput
        When a key lies outside the prefix, or all is excluded.
    """
    connector = incident.settings.connector(incident.identity.data_source_id)
    named = tuple(dict.fromkeys(keys))
    if any(not key for key in named):
        raise BadInput("A key is empty.", hint="Name an object's key, or a prefix with --prefix.")
    where = prefix if prefix is not None else "" if named else connector.prefix
    if strangers := [key for key in named if not key.startswith(where)]:
        raise BadInput(f"{strangers[0]!r} does not begin with {where!r}.", hint="Name keys or a prefix.")
    own = () if named else connector.exclude
    given = tuple(each for each in exclude or () if each)
    if swallowing := [each for each in given if where.startswith(each)]:
        raise BadInput(
            f"Excluding {swallowing[0]!r} leaves nothing of {where!r}.",
            hint="Give another --prefix, or leave that --exclude out.",
        )
    # What is given narrows the scope further: it never lets in what the connector leaves out.
    kept = (each for each in own if each and not where.startswith(each))
    return Scope(bucket_of(incident), where, tuple(dict.fromkeys((*kept, *given))), named)


def versioning(s3: S3) -> Versioning:
    """Whether the bucket keeps versions (API: GetBucketVersioning).

    Raises
    ------
    BadInput
        When versioning was never on: there is nothing to go back to.
    AwsError
        When the bucket cannot be asked.
    """
    answer = s3.ask("GET", query={"versioning": ""}, operation="s3:GetBucketVersioning")
    found = _STATUS.search(answer.body)
    status = found[1].decode() if found else ""
    if status == "Enabled":
        return "Enabled"
    if status == "Suspended":
        return "Suspended"
    raise BadInput(
        f"Versioning was never on in bucket {s3.bucket}: S3 kept nothing that one could go back to.",
        hint="Promote the documents again from their source, or restore a backup. For the next time: aws s3api "
        f"put-bucket-versioning --bucket {s3.bucket} --versioning-configuration Status=Enabled.",
    )


def account(aws: Aws) -> tuple[str, str]:
    """The account and the caller's ARN; empty where STS does not say."""
    with contextlib.suppress(AwsError):
        caller = aws.caller()
        return caller.account, caller.arn
    return "", ""


def belongs(incident: Incident, aws: Aws, plan: Plan) -> None:
    """Whether a plan is one of this incident, and of the bucket, region and account that it is about.

    Raises
    ------
    BadInput
        It is not: a file from elsewhere, or the settings name another bucket by now.
    """
    head = plan.head
    here = [
        ("incident", head.incident, incident.id),
        ("bucket", head.scope.bucket, bucket_of(incident)),
        ("region", head.region, aws.region),
        ("account", head.account, account(aws)[0]),
    ]
    for what, theirs, ours in here:
        if theirs and ours and theirs != ours:
            raise BadInput(
                f"The plan {plan.digest[:12]} is of {what} {theirs}, not of {ours}.",
                hint=f"Plan here: `{command(head.purpose, 'plan', incident.id)}`.",
            )


def nobody_applies(incident: Incident) -> None:
    """Whether no apply is under way, in any process: each holds a lock on the folder, which dies with it.

    Raises
    ------
    LockHeld
        One is.
    """
    path = folder(incident)
    with storage_errors(path, "read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockHeld(
            f"An apply is under way in {incident.id}.",
            hint="Wait until it is done, or stop it (Ctrl-C finishes what is in flight), and try again.",
        ) from None
    except OSError:  # some network file systems lock no folders; the log's own lock still holds
        pass
    finally:
        os.close(descriptor)
