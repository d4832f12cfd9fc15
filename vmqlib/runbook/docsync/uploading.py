"""What is asked of S3 for one document: put it there, or a delete marker on top; and what became of that.

No version is ever destroyed. Each request is carried out only while the key is as it was planned for (If-Match,
If-None-Match).

API: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and API_DeleteObject.html beside it
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from vmqlib.errors import (
    AwsError,
    CredentialsExpired,
    CredentialsMissing,
    ResourceMissing,
    Throttled,
    Unreachable,
)
from vmqlib.runbook.docsync.walking import MOST_BYTES, hidden
from vmqlib.runbook.objectcontent import SHA256_METADATA, Content, head, holds
from vmqlib.runbook.objectwriting import write
from vmqlib.runbook.rollback import looking
from vmqlib.runbook.rollback.items import NOTHING
from vmqlib.runbook.rollback.multipart import fields
from vmqlib.runbook.rollback.outcome import Outcome, by_somebody_else
from vmqlib.runbook.rollback.properties import copy_headers, tagging_header

if TYPE_CHECKING:
    from pathlib import Path

    from vmqlib.runbook.docsync.plan import DocItem
    from vmqlib.s3 import S3, Answer

__all__ = ["CONTENT_TYPE", "became", "carry_out"]

CONTENT_TYPE = "text/markdown; charset=utf-8"
_ENCRYPTION = "x-amz-server-side-encryption"


def carry_out(s3: S3, folder: Path, item: DocItem, *, stop: threading.Event | None = None) -> Outcome:
    """Carries one item out: with as many attempts as the session makes.

    Raises
    ------
    CredentialsExpired, CredentialsMissing
        Nothing else would be done, either.
    Throttled, Unreachable
        S3 did not get around to it; where there was no answer, nobody knows yet.
    """
    if item.action == "DELETE":
        condition = {"if-match": f'"{item.current.etag}"'}
        return write(
            s3,
            item.key,
            lambda: s3.send("DELETE", item.key, headers=condition),
            lambda: became(s3, item),
            operation="s3:DeleteObject",
            stop=stop,
        )
    data = _read(folder, item)
    if isinstance(data, Outcome):
        return data
    try:
        headers = _headers(s3, item)
    except ResourceMissing:
        return became(s3, item) or _gone()
    except (CredentialsExpired, CredentialsMissing, Throttled, Unreachable):
        raise
    except AwsError as error:
        return Outcome("failed", code=error.code, problem=error.message, hint=error.hint)

    def send() -> Answer:
        return s3.send("PUT", item.key, headers=headers, body=data)

    return write(s3, item.key, send, lambda: became(s3, item), operation="s3:PutObject", stop=stop)


def became(s3: S3, item: DocItem) -> Outcome | None:
    """What the bucket says of an item: done already, changed by somebody else, or (None) as planned for.

    Our own write is known by where it stands, directly on what was planned for, and by its content.

    Raises
    ------
    AwsError
        The bucket cannot be read: so nothing is known of the item.
    """
    entries = looking.newest(s3, item.key)
    top = entries[0] if entries else NOTHING
    if looking.is_same(top, item.current):
        return None
    below = entries[1] if len(entries) > 1 else NOTHING
    if looking.is_same(below, item.current):
        if item.action == "DELETE":
            if top.is_delete_marker:
                return Outcome("found", top.version_id)
        elif item.content is not None and not top.is_delete_marker:
            try:
                if holds(s3, item.key, item.content, size=top.size, etag=top.etag):
                    return Outcome("found", top.version_id, top.etag)
            except ResourceMissing:
                pass
    return by_somebody_else(top)


def _gone() -> Outcome:
    return Outcome(
        "changed", problem="It was deleted by somebody else and was left alone.", hint="Plan again."
    )


def _read(folder: Path, item: DocItem) -> bytes | Outcome:
    """The file as it was planned, or why it is not."""
    path = folder / item.path
    problem = ""
    data = b""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder) or hidden(real.relative_to(folder).as_posix()):
            problem = "The file leads out of the folder by now"
        else:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        problem = f"The file cannot be read any more ({error.strerror or type(error).__name__})"
    if not problem and Content.of(data) != item.content:
        problem = "The file changed since it was planned"
    if problem:
        return Outcome("changed", problem=f"{problem}: nothing was uploaded.", hint="Plan again.")
    return data


def _headers(s3: S3, item: DocItem) -> dict[str, str]:
    """What the new version is to have. Encryption and tags of the one before go along: permissions may hang on them."""
    assert item.content is not None
    headers = {
        "content-type": CONTENT_TYPE,
        "x-amz-sdk-checksum-algorithm": "SHA256",
        "x-amz-checksum-sha256": item.content.checksum,
        SHA256_METADATA: item.content.sha256,
    }
    if item.action == "ADD":
        return headers | {"if-none-match": "*"}
    before = head(s3, item.key)
    headers |= {name: value for name, value in copy_headers(before).items() if name.startswith(_ENCRYPTION)}
    if int(before.get("x-amz-tagging-count") or 0):
        answer = s3.ask("GET", item.key, query={"tagging": ""}, operation="s3:GetObjectTagging")
        headers["x-amz-tagging"] = tagging_header(_tags(answer.body))
    return headers | {"if-match": f'"{item.current.etag}"'}


def _tags(body: bytes) -> list[tuple[str, str]]:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(body)  # noqa: S314 - S3's own answer; expat refuses entity bombs
    tags = [one for one in root.iter() if one.tag.rpartition("}")[2] == "Tag"]
    found = [fields(ElementTree.tostring(one)) for one in tags]
    return [(one.get("Key", ""), one.get("Value", "")) for one in found]
