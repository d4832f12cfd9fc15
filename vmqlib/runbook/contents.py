"""What a version of an object holds, as far as it can be shown: text, or in a word what it is instead.

``s3:GetObjectVersion``, ranged and capped: nothing larger than the cap is ever read.
"""

from __future__ import annotations

import codecs
import hashlib
import shlex
import unicodedata
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AccessDenied, AwsError, ResourceMissing
from vmqlib.runbook.keyhistory import Version
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.redaction import Redactor

__all__ = ["LARGEST", "Content", "State", "fetch", "sniff", "visible"]

LARGEST = 512 * 1024
"""Bytes; what is larger is compared by size and ETag."""

State = Literal["text", "binary", "too large", "not there", "unreadable"]

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP (also DOCX, XLSX, PPTX)"),
    (b"\x89PNG\r\n\x1a\n", "PNG picture"),
    (b"\xff\xd8\xff", "JPEG picture"),
    (b"GIF8", "GIF picture"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Microsoft Office (old)"),
    (b"\x7fELF", "program (ELF)"),
    (b"PAR1", "Parquet"),
    (b"SQLite format 3\x00", "SQLite"),
)
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {"utf-8-sig": "UTF-8 with a byte order mark", "utf-8": "UTF-8"}
_MOST_CONTROLS = 0.05
_MOST_BROKEN = 0.05


@dataclass(frozen=True)
class Content:
    """One side of a comparison.

    Parameters
    ----------
    state:
        ``text``; ``binary``; ``too large``; ``not there`` (a delete marker, a version that is gone, a key that was not
        there yet); ``unreadable`` (archived, encrypted with a customer's key, denied).
    label:
        Which version this is, for people.
    version:
        The version; ``None`` where there is none.
    content_type:
        As S3 says; empty where it was not asked.
    kind:
        What the bytes are, from the bytes: ``UTF-8 text``, ``gzip``; empty where they were not read.
    text:
        For ``text``: the whole, secrets masked, line ends as ``\\n``.
    endings:
        For ``text``: ``LF``, ``CRLF``, ``mixed``, or empty where there is one line.
    digest:
        SHA-256 of the bytes where all of them were read.
    unpacked:
        SHA-256 of what gzip holds, where it is small enough to be unpacked.
    masked:
        How many secrets were masked.
    problem, hint:
        Why it cannot be shown and what to do: one sentence each.
    code:
        For programs: ``archived``, ``sse-c``, ``denied``, ``missing``, ``deleted``, ``absent``.
    """

    state: State
    label: str = ""
    version: Version | None = None
    content_type: str = ""
    kind: str = ""
    text: str = ""
    endings: str = ""
    digest: str = ""
    unpacked: str = ""
    masked: int = 0
    problem: str = ""
    hint: str = ""
    code: str = ""

    @property
    def size(self) -> int | None:
        """Bytes; ``None`` where nothing is there."""
        return self.version.size if self.version is not None else None

    @property
    def described(self) -> str:
        """What it is, in a few words: ``1,204 bytes of UTF-8 text``."""
        if self.state in ("not there", "unreadable"):
            return self.problem
        if not self.size:
            return "an empty file"
        kind = self.kind or "unread"
        said = f", stored as {self.content_type}" if self.content_type else ""
        return f"{self.size or 0:,} bytes of {kind}{said}"


def fetch(
    aws: Aws,
    bucket: str,
    key: str,
    version: Version | None,
    redactor: Redactor,
    *,
    label: str = "",
    largest: int = LARGEST,
) -> Content:
    """Reads a version (``s3:GetObject`` with a version id, ranged).

    Parameters
    ----------
    version:
        ``None``: the key was not there.
    redactor:
        Masks secrets in a text.
    label:
        Which version this is, for people.
    largest:
        Bytes; what is larger is looked at by its first bytes alone.

    Raises
    ------
    AwsError
        AWS cannot be reached, or is throttling. What concerns this one version is no error: the content says it.
    """
    empty = Content("not there", label, version)
    if version is None:
        return replace(empty, problem="it was not there", code="absent")
    if version.is_delete_marker:
        return replace(empty, problem=f"it was deleted ({show_time(version.at)})", code="deleted")
    size = version.size or 0
    wanted = size if size <= largest else 512
    try:
        body, content_type = _get(aws, bucket, key, version.version_id, wanted)
    except AwsError as error:
        told = _unreadable(error, bucket, key, version)
        if told is None:
            raise
        return replace(empty, **told)
    known = replace(empty, content_type=content_type)
    encoding, kind = sniff(body, whole=size <= largest)
    if size > largest:
        kind = kind or "something that is no text"
        problem = f"larger than the {largest:,} bytes that are read at most"
        return replace(known, state="too large", kind=kind, problem=problem)
    digest = hashlib.sha256(body).hexdigest()
    if not encoding:
        held = _unpacked(body, largest) if kind == "gzip" else None
        if held is None:
            return replace(known, state="binary", kind=kind, digest=digest)
        kind = f"gzip, in which there are {len(held):,} bytes of {sniff(held)[1]}"
        unpacked = hashlib.sha256(held).hexdigest()
        return replace(known, state="binary", kind=kind, digest=digest, unpacked=unpacked)
    text, endings = _unified(body.decode(encoding, errors="replace"))
    before = redactor.counts.total()
    text = redactor.text(text)
    masked = redactor.counts.total() - before
    return replace(known, state="text", kind=kind, text=text, endings=endings, digest=digest, masked=masked)


def _get(aws: Aws, bucket: str, key: str, version_id: str, wanted: int) -> tuple[bytes, str]:
    # A range never asks for more than was listed; an empty object has none to ask for.
    more: dict[str, Any] = {"Range": f"bytes=0-{wanted - 1}"} if wanted else {}
    with aws_errors("s3:GetObjectVersion", f"s3://{bucket}/{key}"):
        answer = aws.client("s3").get_object(Bucket=bucket, Key=key, VersionId=version_id, **more)
        with answer["Body"] as stream:
            return stream.read(wanted) if wanted else b"", str(answer.get("ContentType") or "")


def _unreadable(error: AwsError, bucket: str, key: str, version: Version) -> dict[str, Any] | None:
    """What an error says of this one version; ``None`` where it is not about it."""
    if error.code == "InvalidObjectState":
        where = version.storage_class or "an archive"
        ask = ["aws", "s3api", "restore-object", "--bucket", bucket, "--key", key]
        ask += ["--version-id", version.version_id, "--restore-request", "Days=2"]
        return {
            "state": "unreadable",
            "code": "archived",
            "problem": f"it is archived ({where}) and has to be restored before it can be read",
            "hint": f"It takes minutes to hours: {shlex.join(ask)}",
        }
    # S3 has no code of its own for a key that was not sent.
    if error.code in {"InvalidRequest", "400"} and "Server Side Encryption" in error.message:
        return {
            "state": "unreadable",
            "code": "sse-c",
            "problem": "it is encrypted with a key that its writer keeps (SSE-C): S3 cannot read it without",
            "hint": "Whoever wrote it has the key.",
        }
    if error.code in {"NoSuchVersion", "NoSuchKey", "MethodNotAllowed", "405"} or (
        isinstance(error, ResourceMissing) and error.code != "NoSuchBucket"
    ):
        return {"state": "not there", "code": "missing", "problem": "this version is no longer there"}
    if isinstance(error, AccessDenied):
        return {
            "state": "unreadable",
            "code": "denied",
            "problem": error.message.rstrip("."),
            "hint": error.hint,
        }
    return None


def sniff(body: bytes, *, whole: bool = True) -> tuple[str, str]:
    """``(encoding, kind)`` of some bytes: a Python codec where they are text, else ``""``; and what they are.

    Text is UTF-8, UTF-16 and UTF-32 with a byte order mark, UTF-16 without one (every other byte is NUL), and UTF-8
    with a few bytes that are none. A NUL byte in anything else, or many control characters, and it is no text.

    Parameters
    ----------
    whole:
        False where ``body`` is only the beginning: the last character may be cut.
    """
    if not body:
        return "utf-8", "no text"
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return "", name
    encoding = next((name for mark, name in _BOMS if body.startswith(mark)), "") or _without_mark(body)
    if not encoding:
        return "", "bytes that are no text"
    text = body.decode(encoding, errors="replace")
    broken = text.count("\ufffd") - body.count(b"\xef\xbf\xbd")
    if not whole:
        broken = max(0, broken - 1)
    controls = sum(1 for char in text if ord(char) < 32 and char not in "\t\n\r\f\x1b")
    if broken > max(1, len(text)) * _MOST_BROKEN or controls > len(text) * _MOST_CONTROLS:
        return "", "bytes that are no text"
    kind = _NAMES.get(encoding, encoding.upper()) + " text"
    return encoding, f"{kind} with {broken:,} bytes that are none" if broken > 0 and whole else kind


def _without_mark(body: bytes) -> str:
    """The codec of bytes without a byte order mark: UTF-8 unless NUL bytes say UTF-16; ``""`` for neither."""
    if b"\x00" not in body:
        return "utf-8"
    even, odd = body[0::2].count(0), body[1::2].count(0)
    half = max(1, len(body) // 2)
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.4 and odd < half * 0.05:
        return "utf-16-be"
    return ""


def _unified(text: str) -> tuple[str, str]:
    """The text with ``\\n`` at its line ends, and what they were. Mixed ones are left as they are."""
    breaks, crlf = text.count("\n"), text.count("\r\n")
    if not breaks:
        return text, ""
    if crlf == breaks:
        return text.replace("\r\n", "\n"), "CRLF"
    return text, "mixed" if crlf else "LF"


def _unpacked(body: bytes, largest: int) -> bytes | None:
    """What gzip holds; ``None`` where it is broken, or large (a few bytes can hold gigabytes)."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        held = unpacker.decompress(body, largest + 1)
    except zlib.error:
        return None
    return held if unpacker.eof and len(held) <= largest else None


def visible(text: str) -> str:
    """``text`` with everything visible that steers a terminal, hides or reorders: ``␛``, ``<U+202E>``. Tabs stay, and
    so do spaces of all kinds, letters and emoji."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if char.isprintable() or char == "\t":
        return char
    code = ord(char)
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "\u2421"
    return char if unicodedata.category(char) == "Zs" else f"<U+{code:04X}>"
