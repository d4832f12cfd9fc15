"""A copy of more than CopyObject can take (5 GB): in parts, inside S3, with everything that the version had.

API: CreateMultipartUpload, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload. Nothing is visible before the
last request, which carries the condition on the destination; a failure on the way gives the parts up.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from vmqlib.errors import AwsError
from vmqlib.runbook.rollback.properties import checksum, upload_headers
from vmqlib.s3 import encoded

if TYPE_CHECKING:
    from vmqlib.s3 import S3, Answer

__all__ = ["MOST_PARTS", "PART", "copy_in_parts", "fields", "head_of", "source_header"]

#: Bytes of a part unless the version was made of others.
PART = 512 * 1024**2
MOST_PARTS = 10_000
_LEAST, _MOST = 5 * 1024**2, 5 * 1024**3  # bytes of a part, but for the last
_PART_ATTEMPTS = 3


def source_header(bucket: str, key: str, version_id: str) -> str:
    """``x-amz-copy-source``: percent-encoded, every byte but the unreserved ones and the slash."""
    return f"{encoded(f'{bucket}/{key}')}?versionId={encoded(version_id, safe='')}"


def head_of(s3: S3, key: str, version_id: str) -> Mapping[str, str]:
    """What a version has besides its bytes, its checksum included (s3:HeadObject).

    Raises
    ------
    ResourceMissing
        There is no such version.
    AwsError
        It may not be read, or cannot be without its writer's key.
    """
    query, headers = {"versionId": version_id}, {"x-amz-checksum-mode": "ENABLED"}
    return s3.ask("HEAD", key, query=query, headers=headers, operation="s3:GetObjectVersion").headers


def fields(body: bytes) -> dict[str, str]:
    """The text of each element of an answer by its local name; empty for what is not XML."""
    try:
        root = ElementTree.fromstring(body.strip())  # noqa: S314 - S3's own answer; expat refuses entity bombs
    except ElementTree.ParseError:
        return {}
    found = {"": root.tag.rpartition("}")[2]}
    for element in root.iter():
        found.setdefault(element.tag.rpartition("}")[2], element.text or "")
    return found


def copy_in_parts(
    s3: S3,
    key: str,
    version_id: str,
    condition: Mapping[str, str],
    *,
    part_size: int = PART,
    more: Mapping[str, str] | None = None,
) -> Answer:
    """Copies a version on top of its key.

    Parameters
    ----------
    condition:
        ``if-match`` or ``if-none-match`` for the destination, checked when the copy is completed.
    part_size:
        Bytes of a part. A version that was uploaded in equal parts is copied in the same ones, so that its ETag stays.
    more:
        Headers besides those that the version has.

    Returns
    -------
    The answer to CompleteMultipartUpload, whatever it says; any error in it has given the parts up.

    Raises
    ------
    AwsError
        Something before that was refused. Nothing is visible then.
    NoAnswer
        Perhaps the last request was carried out.
    """
    version = {"versionId": version_id}
    head = head_of(s3, key, version_id)
    size = int(head.get("content-length", 0))
    headers = upload_headers(head, _tags(s3, key, version)) | dict(more or {})
    part_size = _part_size(s3, key, version, head, size, part_size)
    answer = s3.ask("POST", key, query={"uploads": ""}, headers=headers, operation="s3:PutObject")
    upload = {"uploadId": fields(answer.body).get("UploadId", "")}
    if not upload["uploadId"]:
        raise s3.refuse(answer, "s3:PutObject", f"{s3.bucket}/{key}")
    completed = False
    try:
        parts = []
        for number, start in enumerate(range(0, size, part_size), 1):
            last = min(start + part_size, size) - 1
            parts.append(_copy_part(s3, key, version_id, upload, number, f"bytes={start}-{last}"))
        answer = s3.send(
            "POST",
            key,
            query=upload,
            headers={**condition, **_proof(head, headers, size)},
            body=_completion(parts),
        )
        completed = answer.status < 300 and "ETag" in fields(answer.body)
        return answer
    finally:
        if not completed:
            with suppress(AwsError):  # the bucket's lifecycle rule for incomplete uploads is the second net
                s3.send("DELETE", key, query=upload)


def _tags(s3: S3, key: str, version: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The version's tags, in order. S3 counts them in HEAD only for who may read them, so they are always asked for."""
    body = s3.ask("GET", key, query={"tagging": "", **version}, operation="s3:GetObjectVersionTagging").body
    return tuple((one["Key"], one.get("Value", "")) for one in _all(body, "Tag"))


def _all(body: bytes, name: str) -> list[dict[str, str]]:
    root = ElementTree.fromstring(body)  # noqa: S314 - S3's own answer; expat refuses entity bombs
    return [
        {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        for element in root.iter()
        if element.tag.rpartition("}")[2] == name
    ]


def _part_size(
    s3: S3, key: str, version: Mapping[str, str], head: Mapping[str, str], size: int, wanted: int
) -> int:
    """The size of the version's own parts where they are equal, else the one that is wanted."""
    _, dash, count = head.get("etag", "").strip('"').partition("-")
    if dash and count.isdigit():
        first = s3.ask(
            "HEAD", key, query={**version, "partNumber": "1"}, operation="s3:GetObjectVersion"
        ).headers
        own = int(first.get("content-length", 0))
        if _LEAST <= own <= _MOST and -(-size // own) == int(count):
            return own
    return max(wanted, -(-size // MOST_PARTS))


def _copy_part(
    s3: S3, key: str, version_id: str, upload: Mapping[str, str], number: int, span: str
) -> dict[str, str]:
    """UploadPartCopy; what CompleteMultipartUpload must be told of the part. May be asked again: a part is replaced."""
    for attempt in range(1, _PART_ATTEMPTS + 1):
        answer = s3.ask(
            "PUT",
            key,
            query={"partNumber": str(number), **upload},
            headers={
                "x-amz-copy-source": source_header(s3.bucket, key, version_id),
                "x-amz-copy-source-range": span,
            },
            operation="s3:PutObject",
        )
        said = fields(answer.body)
        if "ETag" in said:
            sums = {name: value for name, value in said.items() if name.startswith("Checksum") and value}
            return {"PartNumber": str(number), "ETag": said["ETag"], **sums}
        if attempt == _PART_ATTEMPTS:
            raise s3.refuse(answer, "s3:PutObject", f"{s3.bucket}/{key}")
    raise AssertionError


def _completion(parts: list[dict[str, str]]) -> bytes:
    listed = "".join(
        f"<Part>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in part.items())}</Part>"
        for part in parts
    )
    opening = '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return f"{opening}{listed}</CompleteMultipartUpload>".encode()


def _proof(head: Mapping[str, str], asked: Mapping[str, str], size: int) -> dict[str, str]:
    """What S3 is to compare the whole with before it shows it: its length, and its checksum where it has one."""
    proof = {"x-amz-mp-object-size": str(size)}
    algorithm, kind, value = checksum(head)
    wanted = asked.get("x-amz-checksum-type", "")
    if wanted:
        proof["x-amz-checksum-type"] = wanted
    if kind == wanted == "FULL_OBJECT":
        proof[f"x-amz-checksum-{algorithm.lower()}"] = value
    return proof
