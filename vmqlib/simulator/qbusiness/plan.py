"""What a sync of an S3 data source will do: the bucket compared with the index.

Reads the bucket, changes nothing. A document is changed when its object's ETag or user metadata are, or its metadata
file's ETag is. One that failed is not read again until then, but goes on counting as failed; one that could not even be
read is tried again every time. Where S3 throttles the crawl, the index keeps what it has of the document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

from vmqlib.simulator.qbusiness.bucket import BucketReader, S3Object
from vmqlib.simulator.qbusiness.connector import Acl, S3Connector, parse_acl
from vmqlib.simulator.qbusiness.content import Metadata, content_type, parse, parse_metadata
from vmqlib.simulator.qbusiness.failures import DocumentFailed, Failure, SourceFailed
from vmqlib.simulator.qbusiness.index import Content, Document

__all__ = ["Action", "Plan", "Step", "plan_sync"]

Action = Literal["ADD", "MODIFY", "DELETE", "UNMODIFIED"]


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one document.

    Parameters
    ----------
    action:
        What the crawler found.
    document:
        The document as it is to be (ADD, MODIFY), or as it is (DELETE, UNMODIFIED). Its times are set when
        applied.
    held_back:
        A DELETE that the deletion safeguard does not let happen.
    throttled:
        S3 asked to slow down: the document counts as failed, and the index is left as it is.
    """

    action: Action
    document: Document
    held_back: bool = False
    throttled: bool = False

    @property
    def failure(self) -> Failure | None:
        """Why the document fails, None when it does not."""
        return self.document.failure if self.action != "DELETE" else None

    @property
    def changes(self) -> bool:
        """Whether the index will be different afterwards."""
        return self.action != "UNMODIFIED" and not self.held_back and not self.throttled


@dataclass(frozen=True)
class Plan:
    """A crawl's outcome.

    Parameters
    ----------
    crawled:
        One step for each document in scope, in key order.
    gone:
        One DELETE for each document that the index has and the bucket has not.
    """

    crawled: tuple[Step, ...]
    gone: tuple[Step, ...]

    @cached_property
    def work(self) -> tuple[Step, ...]:
        """What is applied, in order: what was crawled, then what is gone."""
        return self.crawled + self.gone


def plan_sync(
    connector: S3Connector,
    reader: BucketReader,
    known: Mapping[str, Document],
    data_source_id: str,
    at: datetime,
) -> Plan:
    """Crawls the bucket.

    Parameters
    ----------
    connector:
        The data source's configuration.
    reader:
        Reads buckets.
    known:
        The data source's documents in the index, by document id.
    data_source_id:
        The data source.
    at:
        The crawl's time, UTC.

    Raises
    ------
    SourceFailed
        When the bucket, or the ACL file, cannot be read.
    """
    objects = reader.objects(connector.bucket)
    crawler = _Crawler(connector, reader, objects, _acl_rules(connector, reader, objects), data_source_id, at)
    by_key = {document.key: document for document in known.values()}
    crawled = tuple(
        crawler.step(item, by_key.get(key)) for key, item in objects.items() if connector.is_document(key)
    )
    present = {step.document.document_id for step in crawled}
    gone = [document for document_id, document in known.items() if document_id not in present]
    held_back = connector.holds_back(len(gone), len(crawled))
    return Plan(crawled, tuple(Step("DELETE", document, held_back) for document in gone))


def _acl_rules(
    connector: S3Connector, reader: BucketReader, objects: Mapping[str, S3Object]
) -> Callable[[str], Acl | None]:
    if not connector.acl_path:
        return lambda _: None
    item = objects.get(connector.acl_path)
    if item is None:
        where = f"s3://{connector.bucket}/{connector.acl_path}"
        raise SourceFailed(
            "InvalidRequest", f"The ACL configuration file {where} does not exist.", "NoSuchKey"
        )
    try:
        data = reader.read(item)
    except DocumentFailed as error:
        text = f"The ACL configuration file s3://{item.bucket}/{item.key} cannot be read: {error}"
        raise SourceFailed("InvalidRequest", text, error.failure.code) from error
    return parse_acl(connector, data)


@dataclass(frozen=True)
class _Crawler:
    connector: S3Connector
    reader: BucketReader
    objects: Mapping[str, S3Object]
    acl_of: Callable[[str], Acl | None]
    data_source_id: str
    at: datetime

    def step(self, item: S3Object, before: Document | None) -> Step:
        beside = self.objects.get(self.connector.metadata_key(item.key))
        fingerprint = _fingerprint(item, beside)
        is_unchanged = before is not None and self._is_unchanged(before, item.key, fingerprint)
        if failure := self.reader.throttled(item):
            document = before or self._document(item, Metadata(), fingerprint, None, None)
            action: Action = "ADD" if before is None else "UNMODIFIED" if is_unchanged else "MODIFY"
            return Step(action, replace(document, failure=failure), throttled=True)
        if before is not None and is_unchanged:
            return Step("UNMODIFIED", before)
        document = self._read(item, beside, fingerprint)
        if before is not None:
            document.created_at = before.created_at
            document.updated = True
        return Step("ADD" if before is None else "MODIFY", document)

    def _is_unchanged(self, before: Document, key: str, fingerprint: str) -> bool:
        if self.connector.forced or before.fingerprint != fingerprint:
            return False
        if before.failure is not None:
            return not before.failure.retried
        return before.acl_from_metadata or before.acl == self.acl_of(key)

    def _read(self, item: S3Object, beside: S3Object | None, fingerprint: str) -> Document:
        metadata, content, failure = Metadata(), None, None
        try:
            if beside is not None:
                metadata = parse_metadata(beside.key, self.reader.read(beside))
            self._check_size(item)
            kind = metadata.content_type or content_type(item.key)
            parsed = parse(item.key, self.reader.read(item), kind)
            content = Content(metadata.title or parsed.title, parsed.text)
        except DocumentFailed as error:
            failure = error.failure
        return self._document(item, metadata, fingerprint, content, failure)

    def _document(
        self,
        item: S3Object,
        metadata: Metadata,
        fingerprint: str,
        content: Content | None,
        failure: Failure | None,
    ) -> Document:
        where = f"s3://{item.bucket}/{item.key}"
        return Document(
            document_id=metadata.document_id or where,
            data_source_id=self.data_source_id,
            title=content.title if content else metadata.title or item.key.rsplit("/", 1)[-1],
            uri=_uri(metadata.attributes, item),
            key=item.key,
            fingerprint=fingerprint,
            created_at=self.at,
            updated_at=self.at,
            content=content,
            failure=failure,
            acl=metadata.acl or self.acl_of(item.key),
            acl_from_metadata=bool(metadata.acl),
            attributes=metadata.attributes,
            content_type=metadata.content_type or content_type(item.key),
        )

    def _check_size(self, item: S3Object) -> None:
        if item.size > self.connector.max_bytes:
            limit = self.connector.max_bytes / (1024 * 1024)
            text = f"The document {item.key} is too large: {item.size} bytes, more than {limit:g} MB."
            raise DocumentFailed(Failure("DocumentTooLarge", text, "crawl"))


def _fingerprint(item: S3Object, beside: S3Object | None) -> str:
    parts = [item.etag, *([beside.etag] if beside else [])]
    if item.user_metadata:
        parts.append(hashlib.sha256(repr(item.user_metadata).encode()).hexdigest())
    return "+".join(parts)


def _uri(attributes: Mapping[str, Any], item: S3Object) -> str:
    given = attributes.get("_source_uri")
    return str(given) if given else f"https://{item.bucket}.s3.amazonaws.com/{quote(item.key)}"
