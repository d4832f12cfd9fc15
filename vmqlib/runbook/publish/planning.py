"""Checks a closed record, looks at the target, and says what would be published. Changes nothing."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmqlib.errors import AwsError, BadInput, CheckFailed, CorruptRecord, ResourceMissing
from vmqlib.record import manifest as manifests
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.objectcontent import Content, proven
from vmqlib.runbook.publish.plan import PublishFile, PublishPlan
from vmqlib.runbook.publish.sending import sent_before
from vmqlib.runbook.rollback.ground import versioning
from vmqlib.runbook.wording import many
from vmqlib.sources.crew import Crew

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.s3 import S3
    from vmqlib.settings import Settings

__all__ = ["WORKERS", "keeps_versions", "plan", "read_file"]

WORKERS = 4
MOST_BYTES = 5 * 1024**3  # of one PutObject
_TARGET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".ics": "text/calendar; charset=utf-8",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".gz": "application/gzip",
    ".md": "text/markdown; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
_OTHER = "application/octet-stream"


def plan(incident: Incident, target: str, *, workers: int = WORKERS) -> PublishPlan:
    """What publishing ``incident`` at ``target`` (``s3://bucket/prefix/``) would upload.

    Raises
    ------
    BadInput
        The incident is open, or was loaded offline; ``target`` is none.
    CorruptRecord
        The record is not what it was when it was closed.
    CheckFailed
        Its final record is missing.
    AwsError
        The target cannot be looked at.
    """
    from vmqlib.s3 import S3

    aws = _ready(incident)
    bucket, prefix = _where(target, incident.id)
    manifest = manifests.read(incident.dir)
    assert manifest is not None  # a closed record without one does not verify
    files = [_file(incident.dir, prefix, entry.path, entry.bytes) for entry in manifest.files]
    for entry, file in zip(manifest.files, files, strict=True):
        if entry.sha256 != file.content.sha256:
            raise CorruptRecord(f"{entry.path} changed just now.", hint=f"Run `vmq verify {incident.id}`.")
    files.append(_file(incident.dir, prefix, manifests.FILE, None))
    ours = sent_before(incident.journal.events(), f"s3://{bucket}/{prefix}")
    with S3(aws, bucket, connections=max(8, workers)) as s3, Crew(workers, "vmq-compare") as pool:
        # Whether there is such a bucket: HEAD of an object says 404 for both.
        listed = {"list-type": "2", "max-keys": "1", "prefix": prefix}
        try:
            s3.ask("GET", query=listed, operation="s3:ListObjectsV2")
        except ResourceMissing as error:
            raise ResourceMissing(
                error.message,
                hint=f"Is {bucket} the bucket to publish in? Name one that is there, in the region of REGION.",
                operation=error.operation,
                code=error.code,
            ) from error
        files = list(pool.map(lambda one: _looked_up(s3, one, ours.get(one.path, ())), files))
        kept = keeps_versions(s3) if any(one.there == "ours" for one in files) else None
    later = [name for name, problem in manifests.compare(incident.dir, manifest) if problem == "extra"]
    made = PublishPlan(
        incident=incident.id,
        folder=incident.dir,
        bucket=bucket,
        prefix=prefix,
        files=tuple(files),
        later=tuple(later),
        kms_key_id=incident.settings.kms_key_id,
        keeps_versions=kept,
    )
    left = sorted(ours.keys() - {one.path for one in files})
    return replace(made, warnings=tuple(_warnings(made, left, aws, incident.settings)))


def keeps_versions(s3: S3) -> bool:
    """Whether the bucket keeps what is replaced in it, as a version of its own.

    Raises
    ------
    AwsError
        The bucket cannot be asked.
    """
    try:
        return versioning(s3) == "Enabled"
    except BadInput:  # versioning was never on
        return False


def read_file(folder: Path, path: str, most: int | None) -> bytes:
    """A file's bytes, or its first ``most``: the journal grows after it was sealed.

    Raises
    ------
    StorageError
        It cannot be read.
    """
    where = folder / path
    with storage_errors(where, "read"), where.open("rb") as file:
        return file.read(-1 if most is None else most)


def _ready(incident: Incident) -> Aws:
    if not incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is open: its record is not complete, and nothing of it is published.",
            hint=f"`vmq close {incident.id}` closes it, then publish it.",
        )
    report = incident.verify()
    if not report.ok:
        worst = next(found for found in report.findings if found.serious)
        raise CorruptRecord(
            f"{incident.id} is not as it was written: {worst.path}: {worst.problem}. Nothing was published.",
            hint=f"`vmq verify {incident.id}` says everything; restore the folder from a copy, and keep this one.",
        )
    if not report.complete:
        raise CheckFailed(
            f"The final record of {incident.id} is missing: what is here does not tell of its closing. Nothing was "
            "published.",
            hint=f"`vmq close {incident.id}` writes it, then publish it.",
        )
    if incident.aws is None:
        raise BadInput(f"{incident.id} was loaded offline.", hint="Load it with AWS, or use `vmq publish`.")
    return incident.aws


def _where(target: str, incident_id: str) -> tuple[str, str]:
    found = _TARGET.fullmatch(target)
    prefix = (found["prefix"] or "") if found else ""
    if found is None or not prefix.isprintable() or prefix.startswith("/") or "//" in prefix:
        raise BadInput(
            f"{target!r} is no place in a bucket.", hint="Write it as s3://bucket/audit/incidents/."
        )
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    if prefix.endswith(f"{incident_id}/"):
        raise BadInput(
            f"{target!r} names the incident already; its id is added by itself.",
            hint=f"Write s3://{found['bucket']}/{prefix.removesuffix(f'{incident_id}/')}",
        )
    return found["bucket"], f"{prefix}{incident_id}/"


def _file(folder: Path, prefix: str, path: str, size: int | None) -> PublishFile:
    where = folder / path
    with storage_errors(where, "read"):
        status = where.stat()
    if status.st_size > MOST_BYTES:
        raise BadInput(
            f"{path} is larger than 5 GB, which is more than one upload takes.",
            hint="Copy the folder with `aws s3 sync`, and compare its checksums.",
        )
    private = not stat.S_IMODE(status.st_mode) & 0o077
    return PublishFile(
        path=path,
        key=prefix + path,
        content=_content(where, size if path == manifests.JOURNAL else None),
        content_type=_TYPES.get(where.suffix, _OTHER),
        # A copy of the folder may have lost its modes; what the rollback keeps is private by its place, too.
        unmasked=private or path.startswith("rollback/"),
    )


def _content(path: Path, most: int | None) -> Content:
    """Of a file, read in pieces."""
    md5, sha, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with storage_errors(path, "read"), path.open("rb") as file:
        while block := file.read(1 << 20 if most is None else min(1 << 20, most - size)):
            md5.update(block)
            sha.update(block)
            size += len(block)
    return Content(size, md5.hexdigest(), sha.hexdigest())


def _looked_up(s3: S3, file: PublishFile, ours: Collection[tuple[int, str]]) -> PublishFile:
    """The file, with what the target has under its key."""
    mine = file.content.size, file.content.sha256
    try:
        sha256, etag = proven(s3, file.key, {mine, *ours})
    except ResourceMissing:
        return file
    if sha256 == file.content.sha256:
        return replace(file, there="same")
    return replace(file, there="ours", was=sha256, etag=etag) if sha256 else replace(file, there="other")


def _warnings(made: PublishPlan, left: list[str], aws: Aws, settings: Settings) -> Iterator[str]:
    if made.unmasked:
        yield (
            f"Object keys stand exactly as they are, unmasked, in {many(len(made.unmasked), 'file')} "
            f"({made.unmasked[0].path} first): whoever may read {made.uri} sees them."
        )
    if made.later:
        yield (
            f"Not published, since they were added after closing: {', '.join(made.later[:3])}"
            f"{' …' if len(made.later) > 3 else ''}."
        )
    if left:
        yield (
            f"Published there before, named by the record no more, and left there: {', '.join(left[:3])}"
            f"{' …' if len(left) > 3 else ''}."
        )
    yield from _indexed(made, aws, settings)


def _indexed(made: PublishPlan, aws: Aws, settings: Settings) -> Iterator[str]:
    """Whether a connector would take the record for documents: by its own configuration, or else by our settings."""
    mine = [one for one in settings.data_sources if settings.bucket_of(one) == made.bucket]
    for connector in mine:
        believed = made.prefix.startswith(connector.prefix) and not made.prefix.startswith(
            tuple(one for one in connector.exclude if one)
        )
        try:
            known = _crawled(made, aws, settings, connector.data_source_id)
        except AwsError as error:
            known = None
            yield (
                f"Whether connector {connector.name} would index it cannot be told from its configuration: "
                f"{error.message} {error.hint} By the settings it would{'' if believed else ' not'}."
            )
        if known or (known is None and believed):
            yield (
                f"Connector {connector.name} would index {made.uri}: people could find the incident by asking. "
                "Exclude that prefix from the data source, or publish somewhere else."
            )


def _crawled(made: PublishPlan, aws: Aws, settings: Settings, data_source_id: str) -> bool | None:
    from vmqlib.aws import aws_errors
    from vmqlib.record.canonical import jsonable
    from vmqlib.sources.crawlscope import crawl_scope

    if not (settings.app_id and settings.index_id and data_source_id):
        return None
    with aws_errors("qbusiness:GetDataSource", f"data source {data_source_id}"):
        answer = aws.client("qbusiness").get_data_source(
            applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=data_source_id
        )
    import json

    config = json.dumps(jsonable(answer.get("configuration", {})))
    scope = crawl_scope([{"kind": "data-source", "id": data_source_id, "config": config}], data_source_id)
    return any(scope.is_document(one.key) for one in made.files)
