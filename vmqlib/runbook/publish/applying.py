"""Uploads a record: every object with its SHA-256, never over another's, looked at afterwards; the manifest last.

What the incident itself published there before is replaced, as a new version, only while it is what it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vmqlib.errors import (
    AwsError,
    BadInput,
    CorruptRecord,
    Interrupted,
    ResourceMissing,
    VmqError,
    WorldChanged,
)
from vmqlib.record.manifest import FILE, JOURNAL
from vmqlib.runbook.approval import check_digest
from vmqlib.runbook.objectcontent import SHA256_METADATA, Content, proven, proves
from vmqlib.runbook.objectwriting import write
from vmqlib.runbook.publish.plan import PublishFile, PublishPlan
from vmqlib.runbook.publish.planning import WORKERS, keeps_versions, read_file
from vmqlib.runbook.publish.sending import SENT, lines
from vmqlib.runbook.recordplace import PUBLISH
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.runbook.wording import many
from vmqlib.sources.crew import GRACE_S, Crew

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.s3 import S3, Answer

__all__ = ["ACTION", "STEP", "Published", "apply", "check", "check_free"]

ACTION = PUBLISH
STEP = "communicate"


@dataclass(frozen=True)
class Published:
    """A record that is published.

    Parameters
    ----------
    uri:
        Where it is.
    page:
        The address of ``incident.html``; empty where the record has none.
    uploaded, there:
        Files that were uploaded now, and that were there already.
    replaced:
        Of those that were uploaded: as new versions over what the incident published there before.
    bytes:
        How much was uploaded.
    manifest_sha256:
        Of the manifest.
    """

    uri: str
    page: str
    uploaded: int
    there: int
    bytes: int
    manifest_sha256: str
    replaced: int = 0


def check(made: PublishPlan, digest: str, *, include_unmasked: bool) -> None:
    """Whether ``digest`` approves that plan, and whether it may be carried out.

    Raises
    ------
    BadInput
        The digest is too short; files hold keys as they are and ``include_unmasked`` was not said; the bucket keeps no
        versions of what would be replaced.
    WorldChanged
        The digest is another plan's; something else is there under a file's key.
    """
    check_digest(
        digest,
        made.digest,
        changed="What was looked at is {seen}; what would be published now is {now}. Nothing was published.",
        hint="Look at this plan, and approve its own digest.",
    )
    check_free(made)
    if made.todo and made.unmasked and not include_unmasked:
        raise BadInput(
            f"Object keys stand exactly as they are in {many(len(made.unmasked), 'file')} of the record, "
            f"{made.unmasked[0].path} first. Nothing was published.",
            hint=f"If whoever reads {made.uri} may see them: --include-unmasked. Without them it would not verify.",
        )


def check_free(made: PublishPlan) -> None:
    """Whether nothing else is where that plan would put its files.

    Raises
    ------
    WorldChanged
        Something else is there under a file's key.
    BadInput
        What would be replaced would be gone: the bucket keeps no versions.
    """
    if made.others:
        raise _taken(made, made.others)
    if made.replaced and not made.keeps_versions:
        raise BadInput(
            f"{made.uri} has this record from before it was sealed again, and bucket {made.bucket} keeps no versions: "
            f"{many(len(made.replaced), 'file')} of it would be gone. Nothing was published.",
            hint=f"Publish under another prefix; or: aws s3api put-bucket-versioning --bucket {made.bucket} "
            "--versioning-configuration Status=Enabled",
        )


def apply(
    incident: Incident,
    made: PublishPlan,
    *,
    digest: str,
    include_unmasked: bool = False,
    workers: int = WORKERS,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Published:
    """Uploads what is missing. It can be killed at any moment, and done again: what is there is not uploaded again.

    Parameters
    ----------
    digest:
        The approval: the plan's digest, or its beginning.
    include_unmasked:
        Files that hold object keys as they are may go along.
    workers:
        Requests at a time.
    progress:
        Told how many of how many files are through.

    Raises
    ------
    BadInput, WorldChanged
        As :func:`check`. WorldChanged also when somebody else put something there meanwhile: it was left alone.
    CorruptRecord
        A file changed since it was planned.
    AwsError
        AWS refused, or an object is not what was sent.
    Interrupted
        Ctrl-C. The manifest is not there, so nobody takes it for complete; or it was sent, and S3 did not answer.
    """
    from vmqlib.s3 import S3

    if incident.aws is None:
        raise BadInput(f"{incident.id} was loaded offline.", hint="Load it with AWS, or use `vmq publish`.")
    check(made, digest, include_unmasked=include_unmasked)
    about: dict[str, Any] = {
        "action": ACTION,
        "digest": made.digest,
        "item": made.uri,
        "files": len(made.todo),
        "manifest_sha256": made.manifest_sha256,
    }
    if made.replaced:
        about["replaced"] = len(made.replaced)
    if made.todo:
        # The journal may grow after closing: what is sealed, and published, is its beginning.
        incident.approved(STEP, f"Plan {made.digest[:12]} is approved: publish {made.summary}", about)
        incident.applying(STEP, f"Publish the record at {made.uri}.", {**about, SENT: lines(made.todo)})
    with S3(incident.aws, made.bucket, connections=max(8, workers)) as s3:
        try:
            if made.replaced:  # somebody may have been asked in between
                check_free(replace(made, keeps_versions=keeps_versions(s3)))
            _upload(s3, made, workers, progress)
        except (VmqError, KeyboardInterrupt) as error:
            raise _failed(incident, made, about, error) from error
        has_page = any(one.path == "incident.html" for one in made.files)
        done = Published(
            uri=made.uri,
            page=s3.url(f"{made.prefix}incident.html") if has_page else "",
            uploaded=len(made.todo),
            there=len(made.files) - len(made.todo),
            bytes=sum(one.content.size for one in made.todo),
            manifest_sha256=made.manifest_sha256,
            replaced=len(made.replaced),
        )
    if made.todo:
        over = f", {done.replaced:,} of them over what it published there before" if done.replaced else ""
        incident.applied(
            STEP, f"Published at {made.uri}: {many(done.uploaded, 'file')}{over}, each checked.", about
        )
    return done


def _failed(
    incident: Incident, made: PublishPlan, about: dict[str, Any], error: VmqError | KeyboardInterrupt
) -> VmqError:
    if isinstance(error, KeyboardInterrupt):
        how = (
            "is whole, but whether its manifest arrived is not known: S3 did not answer"
            if isinstance(error, _ManifestSent)
            else "is not complete, and its manifest is still the one from before"
            if any(one.path == FILE for one in made.replaced)
            else "is not complete, and has no manifest yet"
        )
        error = Interrupted(
            f"Stopped: the record at {made.uri} {how}.",
            hint="The same command goes on; what is there is not uploaded again.",
        )
    incident.failed(
        STEP, f"Not published: {error.message}", {**about, "problem": error.message, "hint": error.hint}
    )
    return error


def _upload(s3: S3, made: PublishPlan, workers: int, progress: Callable[[int, int], None]) -> None:
    todo = [one for one in made.todo if one.path != FILE]
    manifest = next((one for one in made.todo if one.path == FILE), None)
    total = len(made.todo)
    stop = threading.Event()
    # Daemons: a process that is told to end does not wait for an S3 that does not answer.
    crew = Crew(workers, "vmq-publish")
    try:
        _all(crew, s3, made, todo, stop, lambda through: progress(through, total))
    except BaseException:
        stop.set()
        raise
    finally:
        crew.shutdown(wait=False, cancel_futures=True)
    if manifest is not None:
        try:
            _one(s3, made, manifest, stop)
        except KeyboardInterrupt as error:
            raise _ManifestSent from error
        progress(total, total)


class _ManifestSent(KeyboardInterrupt):
    """It was stopped while S3 had the manifest."""


def _all(
    pool: Executor,
    s3: S3,
    made: PublishPlan,
    files: Sequence[PublishFile],
    stop: threading.Event,
    through: Callable[[int], None],
) -> None:
    pending = {pool.submit(_one, s3, made, file, stop) for file in files}
    try:
        while pending:
            finished, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
            through(len(files) - len(pending))
    except BaseException:
        stop.set()
        wait([one for one in pending if not one.cancel()], GRACE_S)  # what is in flight
        raise


def _one(s3: S3, made: PublishPlan, file: PublishFile, stop: threading.Event) -> None:
    """One file, and whether the object is what was sent."""
    if stop.is_set():
        return
    data = read_file(made.folder, file.path, file.content.size if file.path == JOURNAL else None)
    if Content.of(data) != file.content:
        raise CorruptRecord(
            f"{file.path} changed since it was planned.",
            hint=f"Run `vmq verify {made.incident}`, and plan again.",
        )
    headers = {
        "content-type": file.content_type,
        **({"if-match": f'"{file.etag}"'} if file.there == "ours" else {"if-none-match": "*"}),
        "x-amz-sdk-checksum-algorithm": "SHA256",
        "x-amz-checksum-sha256": file.content.checksum,
        SHA256_METADATA: file.content.sha256,
    }
    if made.kms_key_id:
        headers["x-amz-server-side-encryption"] = "aws:kms"
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = made.kms_key_id

    def send() -> Answer:
        return s3.send("PUT", file.key, headers=headers, body=data)

    def became() -> Outcome | None:
        wanted = file.content.size, file.content.sha256
        try:
            sha256, etag = proven(s3, file.key, [wanted])
        except ResourceMissing:
            return Outcome("changed") if file.there == "ours" else None
        if sha256:
            return Outcome("found")
        return None if file.there == "ours" and etag == file.etag else Outcome("changed")

    outcome = write(s3, file.key, send, became, operation="s3:PutObject", stop=stop)
    if outcome.result == "changed" and file.there == "ours":
        raise WorldChanged(
            f"s3://{made.bucket}/{file.key} was changed by somebody else just now, and was left alone.",
            hint="The same command looks at it anew, and says what would be uploaded.",
        )
    if outcome.result == "changed":
        raise _taken(made, [file])
    if outcome.result == "failed":
        raise AwsError(outcome.problem, hint=outcome.hint, operation="s3:PutObject", code=outcome.code)
    if outcome.result == "done" and not proves(s3, file.key, file.content):
        raise AwsError(
            f"s3://{made.bucket}/{file.key} is not what was sent: its SHA-256 is another one.",
            hint="Look at who writes there; the manifest was not published.",
            operation="s3:GetObject",
        )


def _taken(made: PublishPlan, files: Sequence[PublishFile]) -> WorldChanged:
    return WorldChanged(
        f"s3://{made.bucket}/{files[0].key} is there already, with another content"
        f"{f', and so are {len(files) - 1:,} more' if len(files) > 1 else ''}. It was not overwritten.",
        hint="It is nothing that this incident published there, or somebody changed it since: look at it (`aws s3api "
        f"list-object-versions --bucket {made.bucket} --prefix {made.prefix}`), or publish under another prefix.",
    )
