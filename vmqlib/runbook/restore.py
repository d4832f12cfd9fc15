"""Runbook step 3, *Rollback via S3 versioning*, in its simplest honest form: back to the last good sync.

Every object that is not what it was at the start of the last sync that succeeded gets its old version copied on top
(or a delete marker, where it did not exist). No version is destroyed. Each item is done only if the current version is
still the one that was looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.aws import Aws, aws_errors
from vmqlib.errors import AwsError, BadInput, WorldChanged
from vmqlib.sources import syncjobs, versions
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident

__all__ = ["Restore", "apply", "plan"]

_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchVersion", "NoSuchKey"})


@dataclass(frozen=True)
class Restore:
    """What would be done.

    Parameters
    ----------
    bucket:
        The bucket.
    at:
        The moment to go back to: the start of the last good sync.
    items:
        One row a key: ``key``, ``action`` (COPY or DELETE), ``version_id`` (what is copied), ``current_version_id`` and
        ``current_etag`` (what must still be there; the ETag is empty for a delete marker), ``size`` (bytes).
    held_back:
        Keys that changed within the very second of ``at``: S3 does not say whether before or after.
    """

    bucket: str
    at: datetime
    items: pd.DataFrame
    held_back: tuple[str, ...]


def plan(incident: Incident) -> Restore:
    """Compares the bucket with what it was at the last good sync, from the incident's evidence.

    Raises
    ------
    BadInput
        When the evidence is missing, or no sync ever succeeded.
    """
    jobs, listed = incident.observed("sync-jobs"), incident.observed("versions")
    for seen in (jobs, listed):
        if not seen.available:
            raise BadInput(f"{seen.title}: {seen.problem or 'not observed'}", hint=seen.hint)
        if not seen.complete:
            raise BadInput(
                f"{seen.title} is incomplete: {seen.stopped}.", hint="Observe again: vmq render ID --refresh."
            )
    good = syncjobs.last_good(jobs.frame)
    if good is None:
        raise BadInput(
            "No sync of this data source ever succeeded.", hint="There is no last good state to go back to."
        )
    at = good["started_at"].to_pydatetime()
    changed = versions.changed_since(listed.frame, at)
    # Equal content needs no copy; a key that came back unchanged is as it was.
    changed = changed[~changed["same_content"]]
    doubtful = changed["ambiguous"].astype(bool)
    held_back = tuple(changed.loc[doubtful, "key"])
    sure = changed[~doubtful]
    # What was absent then (new since, or deleted then and back now) is deleted again; all else is copied.
    absent = sure["action"].isin(["added", "restored"])
    items = sure.assign(
        action=absent.map({True: "DELETE", False: "COPY"}),
        version_id=sure["then_version_id"].where(~absent, ""),
        size=sure["then_size"].where(~absent),
        current_etag=sure["current_etag"].fillna(""),
    )
    columns = ["key", "action", "version_id", "current_version_id", "current_etag", "size"]
    bucket = (
        incident.settings.connector(incident.identity.data_source_id).bucket or incident.settings.bucket_name
    )
    return Restore(bucket, at, items[columns].reset_index(drop=True), held_back)


def apply(
    incident: Incident, aws: Aws, restore: Restore, progress: Callable[[], None] = lambda: None
) -> None:
    """Does it, item by item, with intention and outcome in the journal.

    Raises
    ------
    WorldChanged
        When items were left alone because somebody else changed them meanwhile. All others are done.
    AwsError
        When AWS refuses.
    """
    about = {"action": "restore", "bucket": restore.bucket, "at": show_time(restore.at)}
    incident.applying(
        "rollback", f"Restore {len(restore.items)} objects as of {show_time(restore.at)}.", about
    )
    done: list[dict[str, str]] = []
    left: list[str] = []
    try:
        for item in restore.items.to_dict("records"):
            if (made := _one(aws, restore.bucket, item)) is None:
                left.append(item["key"])
            else:
                done.append({"key": item["key"], "action": item["action"], "version_id": made})
            progress()
    except (AwsError, KeyboardInterrupt) as error:
        problem = error.message if isinstance(error, AwsError) else "interrupted"
        data = {**about, "problem": problem, "items": done}
        incident.failed(
            "rollback", f"Stopped after {len(done)} of {len(restore.items)} objects: {problem}", data
        )
        raise
    incident.applied(
        "rollback", f"Restored {len(done)} objects as of {show_time(restore.at)}.", {**about, "items": done}
    )
    if left:
        raise WorldChanged(
            f"{len(left)} objects were changed by somebody else and were left alone: {', '.join(left[:5])}.",
            hint="Look again (vmq render ID --refresh), then repeat.",
        )


def _one(aws: Aws, bucket: str, item: Mapping[Any, Any]) -> str | None:
    """Restores one object; the version made, or None when it is no longer what was planned for."""
    client = aws.client("s3")
    key, etag = item["key"], item["current_etag"]
    try:
        with aws_errors(
            f"s3:{'PutObject' if item['action'] == 'COPY' else 'DeleteObject'}", resource=f"{bucket}/{key}"
        ):
            if not _is_still(client, bucket, item):
                return None
            if item["action"] == "DELETE":
                return client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"').get("VersionId", "")
            condition: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag else {"IfNoneMatch": "*"}
            source = {"Bucket": bucket, "Key": key, "VersionId": item["version_id"]}
            kept = client.head_object(Bucket=bucket, Key=key, VersionId=item["version_id"]).get(
                "StorageClass", "STANDARD"
            )
            answer = client.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource=source,  # type: ignore[arg-type]
                StorageClass=kept,
                TaggingDirective="COPY",
                MetadataDirective="COPY",
                **condition,
            )
            return answer.get("VersionId", "")
    except AwsError as error:
        if error.code in _CHANGED:
            return None
        raise


def _is_still(client: Any, bucket: str, item: Mapping[Any, Any]) -> bool:
    """Whether the current version is the planned one: an ETag cannot tell two versions of equal content apart."""
    listed = client.list_object_versions(Bucket=bucket, Prefix=item["key"], MaxKeys=5)
    entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
    current = [each["VersionId"] for each in entries if each["Key"] == item["key"] and each["IsLatest"]]
    return current == [item["current_version_id"]]
