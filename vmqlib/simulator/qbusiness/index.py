"""An index's documents: what is listed, counted and searched. The text of a document version is kept once."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from vmqlib.simulator.qbusiness.connector import Acl
from vmqlib.simulator.qbusiness.failures import Failure

__all__ = ["Content", "Document", "DocumentIndex", "Hit", "tokens"]

_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = (
    "a about an and are as at be but by can do does for from has have how i if in into is it its me my of on or our "
    "so such tell that the their then there these they this to us was we what when where which who why will "
    "with you your"
)
_STOP = frozenset(_STOP_WORDS.split())
_K1, _B = 1.2, 0.75


def tokens(text: str) -> list[str]:
    """The words of ``text`` that carry meaning, lower-cased, plural s dropped."""
    words = (word.lower() for word in _WORD.findall(text))
    return [_stem(word) for word in words if word not in _STOP]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@dataclass(eq=False)
class Content:
    """The readable part of one document version.

    Parameters
    ----------
    title:
        For people.
    text:
        What is searched and quoted.
    """

    title: str
    text: str

    @cached_property
    def terms(self) -> Counter[str]:
        """How often each word occurs; the title's words count three times."""
        return Counter(tokens(self.text) + tokens(self.title) * 3)

    @cached_property
    def length(self) -> int:
        """How many words there are, counted as in :attr:`terms`."""
        return self.terms.total()

    @cached_property
    def size(self) -> int:
        """Bytes of indexed text."""
        return len(self.text.encode())


@dataclass(slots=True, eq=False)
class Document:
    """One document of an index.

    Parameters
    ----------
    document_id:
        ``s3://bucket/key`` for S3, unless its metadata say otherwise.
    data_source_id:
        Where it came from; "" for documents put by BatchPutDocument without a data source.
    title:
        For people.
    uri:
        Where a reader is sent.
    key:
        Its key in the bucket, "" when it did not come from one.
    fingerprint:
        What tells a changed document: the object's ETag and user metadata, and the ETag of its metadata file.
    created_at, updated_at:
        When it first came and when its status last changed, UTC.
    content:
        Its text, None when it failed.
    failure:
        Why it failed, None when it is indexed.
    updated:
        Whether it has replaced an earlier version.
    acl:
        (name, USER | GROUP, ALLOW | DENY) entries; None: open to everyone.
    acl_from_metadata:
        Whether the entries are those of the document's metadata file, which win over the ACL file.
    attributes:
        Metadata attributes by name.
    content_type:
        For example ``MD``.
    reported:
        What every report says of it, kept for the next.
    """

    document_id: str
    data_source_id: str
    title: str
    uri: str
    key: str
    fingerprint: str
    created_at: datetime
    updated_at: datetime
    content: Content | None = None
    failure: Failure | None = None
    updated: bool = False
    acl: Acl | None = None
    acl_from_metadata: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    content_type: str = ""
    reported: dict[str, str] | None = None

    @property
    def status(self) -> str:
        """The API's DocumentStatus."""
        if self.content is None:
            return "FAILED"
        return "UPDATED" if self.updated else "INDEXED"

    def details(self) -> dict[str, Any]:
        """As ListDocuments gives it."""
        details: dict[str, Any] = {
            "documentId": self.document_id,
            "status": self.status,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }
        if self.failure is not None:
            text = f"{self.failure.code}: {self.failure.message}"
            details["error"] = {"errorCode": "InvalidRequest", "errorMessage": text[:2048]}
        return details


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found.

    Parameters
    ----------
    document:
        The document, always one with content.
    score:
        BM25, higher is better.
    coverage:
        Share of the question's words that occur in it, weighted by how telling each is; 0 to 1.
    """

    document: Document
    score: float
    coverage: float


class DocumentIndex:
    """The documents of one index, by data source and document id."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], Document] = {}
        self._by_source: dict[str, dict[str, Document]] = {}
        self._searchable: Counter[str] = Counter()
        self._statistics = _Statistics()
        self._stale: dict[tuple[str, str], None] = {}

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents.values())

    def of_source(self, data_source_id: str) -> dict[str, Document]:
        """The documents of one data source by document id. Not to be changed."""
        return self._by_source.get(data_source_id, {})

    def find(self, document_id: str, data_source_id: str | None = None) -> Document | None:
        """The document of that id; of any data source when none is given."""
        if data_source_id is not None:
            return self.of_source(data_source_id).get(document_id)
        return next((found[document_id] for found in self._by_source.values() if document_id in found), None)

    def put(self, document: Document) -> None:
        """Adds or replaces a document."""
        self.remove(document.data_source_id, document.document_id)
        self._searchable[document.data_source_id] += document.content is not None
        self._documents[document.data_source_id, document.document_id] = document
        self._by_source.setdefault(document.data_source_id, {})[document.document_id] = document
        self._stale[document.data_source_id, document.document_id] = None

    def remove(self, data_source_id: str, document_id: str) -> bool:
        """Removes a document; False when there was none."""
        document = self._documents.pop((data_source_id, document_id), None)
        if document is None:
            return False
        self._searchable[data_source_id] -= document.content is not None
        del self._by_source[data_source_id][document_id]
        self._stale[data_source_id, document_id] = None
        return True

    def remove_source(self, data_source_id: str) -> None:
        """Removes all documents of a data source."""
        for document_id in self._by_source.pop(data_source_id, {}):
            del self._documents[data_source_id, document_id]
            self._stale[data_source_id, document_id] = None
        self._searchable.pop(data_source_id, None)

    def count(self, data_source_id: str | None = None) -> int:
        """How many documents are searchable."""
        return self._searchable.total() if data_source_id is None else self._searchable[data_source_id]

    def text_bytes(self) -> int:
        """Bytes of indexed text."""
        return sum(document.content.size for document in self if document.content is not None)

    def search(self, query: str, accept: Callable[[Document], bool] = lambda _: True) -> list[Hit]:
        """The documents that share words with ``query``, best first.

        Parameters
        ----------
        query:
            A question.
        accept:
            Restricts the search. Documents without content are never found.
        """
        words = set(tokens(query))
        if not words:
            return []
        statistics = self._current_statistics()
        mean_length = statistics.mean_length
        telling = {word: statistics.idf(word) for word in words}
        whole = sum(telling.values())
        hits = []
        for document, content in statistics.containing_any(words):
            if not accept(document):
                continue
            terms = content.terms
            length = content.length / mean_length
            score = sum(
                idf * terms[word] * (_K1 + 1) / (terms[word] + _K1 * (1 - _B + _B * length))
                for word, idf in telling.items()
                if terms[word]
            )
            covered = sum(idf for word, idf in telling.items() if terms[word]) / whole
            hits.append(Hit(document, score, covered))
        return sorted(hits, key=lambda hit: (-hit.score, hit.document.document_id))

    def _current_statistics(self) -> _Statistics:
        """Brought up to date with what changed since the last search: a sync changes few of many documents."""
        for name in self._stale:
            self._statistics.replace(name, self._documents.get(name))
        self._stale.clear()
        return self._statistics


class _Statistics:
    """What BM25 needs to know of the whole index, and which documents have a word."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], Content] = {}
        self._having: dict[str, dict[tuple[str, str], tuple[Document, Content]]] = {}
        self._words = 0

    def replace(self, name: tuple[str, str], document: Document | None) -> None:
        """Counts ``document`` in place of what was counted under ``name``; None: it is gone."""
        before = self._counted.pop(name, None)
        if before is not None:
            self._words -= before.length
            for word in before.terms:
                having = self._having[word]
                del having[name]
                if not having:
                    del self._having[word]
        if document is not None and document.content is not None:
            self._counted[name] = document.content
            self._words += document.content.length
            for word in document.content.terms:
                self._having.setdefault(word, {})[name] = document, document.content

    @property
    def mean_length(self) -> float:
        """Words in a document, on average."""
        return max(1.0, self._words / max(1, len(self._counted)))

    def idf(self, word: str) -> float:
        """How telling a word is; a word that occurs nowhere tells most."""
        having = len(self._having.get(word, ()))
        return math.log(1 + (len(self._counted) - having + 0.5) / (having + 0.5))

    def containing_any(self, words: Iterable[str]) -> Iterable[tuple[Document, Content]]:
        """The documents, with their content, that have at least one of ``words``."""
        found: dict[tuple[str, str], tuple[Document, Content]] = {}
        for word in words:
            found |= self._having.get(word, {})
        return found.values()
