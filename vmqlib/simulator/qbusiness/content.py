"""What is inside a document: its text and title, or why it cannot be indexed. Pure.

File types and limits: "Supported document types" and "Service quotas" in the Amazon Q Business user guide.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any

from vmqlib.simulator.qbusiness.failures import DocumentFailed, Failure

__all__ = ["MAX_DOCUMENT_BYTES", "Metadata", "Parsed", "content_type", "parse", "parse_metadata"]

MAX_DOCUMENT_BYTES = 50 * 1024 * 1024
_TYPES = {
    ".md": "MD",
    ".markdown": "MD",
    ".txt": "PLAIN_TEXT",
    ".log": "PLAIN_TEXT",
    ".yaml": "PLAIN_TEXT",
    ".yml": "PLAIN_TEXT",
    ".html": "HTML",
    ".htm": "HTML",
    ".json": "JSON",
    ".csv": "CSV",
    ".xml": "XML",
    ".xsl": "XSLT",
    ".xslt": "XSLT",
    ".rtf": "RTF",
    ".pdf": "PDF",
    ".doc": "MS_WORD",
    ".docx": "MS_WORD",
    ".ppt": "PPT",
    ".pptx": "PPT",
    ".xls": "MS_EXCEL",
    ".xlsx": "MS_EXCEL",
}
_BINARY = frozenset({"PDF", "MS_WORD", "PPT", "MS_EXCEL"})
_HEADING = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)
_TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the index keeps of a document's content.

    Parameters
    ----------
    title:
        For people: the first heading, else the file's name.
    text:
        What is searched.
    """

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """A ``<key>.metadata.json`` file ("Adding document metadata in Amazon S3" in the user guide).

    Parameters
    ----------
    title:
        Overrides the document's own; "" when not given.
    content_type:
        Overrides the one told by the file's name; "" when not given.
    document_id:
        Overrides ``s3://bucket/key``; "" when not given.
    attributes:
        ``_source_uri``, ``_category`` and the like.
    acl:
        Entries of ``Name``, ``Type`` (USER, GROUP), ``Access`` (ALLOW, DENY).
    """

    title: str = ""
    content_type: str = ""
    document_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    acl: tuple[tuple[str, str, str], ...] = ()


def content_type(key: str) -> str:
    """The API's content type for a key, told by its suffix; "" when the type is not supported."""
    return _TYPES.get(PurePosixPath(key).suffix.lower(), "")


def parse(key: str, data: bytes, kind: str) -> Parsed:
    """Reads a document.

    Parameters
    ----------
    key:
        Its key, for the title.
    data:
        Its bytes.
    kind:
        Its content type, as :func:`content_type` gives it.

    Raises
    ------
    DocumentFailed
        When it is empty, not of a supported type, or its content cannot be read.
    """
    if not data:
        raise _fails("EmptyDocument", f"The document {key} is empty: its size is 0 bytes.")
    if not kind:
        suffix = PurePosixPath(key).suffix or "no suffix"
        raise _fails(
            "UnsupportedContentType", f"The document {key} has a file type that is not supported ({suffix})."
        )
    name = PurePosixPath(key).name
    if kind in _BINARY:
        return _binary(key, data, kind)
    text = _decode(key, data)
    try:
        parsed = _READERS.get(kind, _plain)(text)
    except ValueError as error:
        message = f"The document {key} could not be parsed: it is not valid {kind} ({_first_line(error)})."
        raise _fails(f"Invalid{kind.title()}", message) from error
    if not parsed.text.strip():
        raise _fails("EmptyDocument", f"The document {key} has no text that can be indexed.")
    return Parsed(parsed.title.strip() or name, parsed.text)


def parse_metadata(key: str, data: bytes) -> Metadata:
    """Reads a metadata file.

    Raises
    ------
    DocumentFailed
        When it is malformed: the document that it belongs to then fails.
    """
    try:
        value = json.loads(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise TypeError("it is not a JSON object")
        attributes = value.get("Attributes") or {}
        if not isinstance(attributes, dict):
            raise TypeError("Attributes is not a JSON object")
        entries = tuple(
            (str(entry["Name"]), str(entry["Type"]), str(entry["Access"]))
            for entry in value.get("AccessControlList") or ()
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"The metadata file {key} is malformed: {_first_line(error)}."
        raise DocumentFailed(Failure("InvalidMetadata", text, "crawl")) from error
    return Metadata(
        title=str(value.get("Title") or ""),
        content_type=str(value.get("ContentType") or ""),
        document_id=str(value.get("DocumentId") or ""),
        attributes=attributes,
        acl=entries,
    )


def _fails(code: str, message: str) -> DocumentFailed:
    return DocumentFailed(Failure(code, message, "index"))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _decode(key: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"The document {key} could not be parsed: it is not valid UTF-8 text (byte {error.start})."
        raise _fails("InvalidEncoding", text) from error


def _binary(key: str, data: bytes, kind: str) -> Parsed:
    """Of binary files only the signature is read: their words are those of their name."""
    signature = b"%PDF-" if kind == "PDF" else (b"PK", b"\xd0\xcf\x11\xe0")
    if not data.startswith(signature):
        raise _fails("CorruptDocument", f"The document {key} is corrupt: it is not a {kind} file.")
    stem = PurePosixPath(key).stem
    return Parsed(PurePosixPath(key).name, re.sub(r"[_\-.]+", " ", stem))


def _markdown(text: str) -> Parsed:
    heading = _HEADING.search(text)
    return Parsed(heading.group(1) if heading else "", text)


def _plain(text: str) -> Parsed:
    return Parsed("", text)


def _json(text: str) -> Parsed:
    value = json.loads(text)
    words: list[str] = []
    _collect(value, words)
    return Parsed("", "\n".join(words))


def _collect(value: Any, words: list[str]) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            words.append(str(name))
            _collect(member, words)
    elif isinstance(value, list):
        for member in value:
            _collect(member, words)
    elif value is not None:
        words.append(str(value))


def _csv(text: str) -> Parsed:
    return Parsed("", "\n".join(" ".join(row) for row in csv.reader(io.StringIO(text))))


def _markup(text: str) -> Parsed:
    return Parsed("", html.unescape(_TAGS.sub(" ", text)))


class _HtmlText(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.words: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in ("title", "script", "style"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
        elif not self._inside:
            self.words.append(data)


def _html(text: str) -> Parsed:
    reader = _HtmlText()
    reader.feed(text)
    return Parsed(reader.title, " ".join(reader.words))


_READERS: dict[str, Callable[[str], Parsed]] = {
    "MD": _markdown,
    "JSON": _json,
    "CSV": _csv,
    "HTML": _html,
    "XML": _markup,
    "XSLT": _markup,
    "RTF": _plain,
    "PLAIN_TEXT": _plain,
}
