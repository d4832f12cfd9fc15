"""ListDocuments, BatchPutDocument, BatchDeleteDocument."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from vmqlib.simulator.qbusiness.connector import Acl
from vmqlib.simulator.qbusiness.content import content_type, parse
from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.exceptions import ResourceNotFound
from vmqlib.simulator.qbusiness.failures import DocumentFailed, Failure, SourceFailed
from vmqlib.simulator.qbusiness.index import Content, Document, DocumentIndex
from vmqlib.simulator.qbusiness.jobs import SyncJob
from vmqlib.simulator.qbusiness.paging import page
from vmqlib.simulator.qbusiness.resources import Resource, Resources
from vmqlib.simulator.qbusiness.sync import Syncs
from vmqlib.simulator.qbusiness.timing import now

__all__ = ["Documents"]


class Documents:
    """The API's way to single documents.

    Parameters
    ----------
    context:
        Shared with the other parts.
    resources:
        Where indices and data sources are looked up.
    syncs:
        Whose running jobs a CUSTOM connector's documents count in.
    index_of:
        Gives the documents of an index id.
    """

    def __init__(
        self, context: Context, resources: Resources, syncs: Syncs, index_of: Callable[[str], DocumentIndex]
    ) -> None:
        self._context = context
        self._resources = resources
        self._syncs = syncs
        self._index_of = index_of

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The API operations that this part answers."""
        return {
            "ListDocuments": self._list,
            "BatchPutDocument": self._put,
            "BatchDeleteDocument": self._delete,
        }

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        index = self._index_of(self._resources.get("INDEX", params).resource_id)
        wanted = params.get("dataSourceIds") or []
        for source_id in wanted:
            self._resources.get("DATA_SOURCE", {**params, "dataSourceId": source_id})
        documents = list(index.of_source(wanted[0]).values()) if wanted else list(index)
        documents.sort(key=lambda document: (document.data_source_id, document.document_id))
        scope = "/".join(["documents", params["indexId"], *wanted])
        found, more = page(documents, params, default=100, scope=scope)
        return {"documentDetailList": [document.details() for document in found], **more}

    def _put(self, params: dict[str, Any]) -> dict[str, Any]:
        index = self._index_of(self._resources.get("INDEX", params).resource_id)
        source_id, job = self._job(params)
        failed = []
        for given in params["documents"]:
            document = self._read(given, source_id)
            before = index.find(document.document_id, source_id)
            if before is not None:
                document.created_at, document.updated = before.created_at, True
            index.put(document)
            if document.failure is not None:
                failed.append(_failed(document.document_id, document.failure.message, source_id))
            if job is not None:
                job.counts["Scanned"] += 1
                outcome = "Failed" if document.failure else "Modified" if before else "Added"
                job.counts[outcome] += 1
        return {"failedDocuments": failed}

    def _delete(self, params: dict[str, Any]) -> dict[str, Any]:
        index = self._index_of(self._resources.get("INDEX", params).resource_id)
        source_id, job = self._job(params)
        failed = []
        for given in params["documents"]:
            document_id = given["documentId"]
            if not index.remove(source_id, document_id):
                failed.append(_failed(document_id, f"The document {document_id} was not found.", source_id))
            elif job is not None:
                job.counts["Deleted"] += 1
        return {"failedDocuments": failed}

    def _job(self, params: dict[str, Any]) -> tuple[str, SyncJob | None]:
        """The data source and the job that ``dataSourceSyncId`` names; ("", None) when it names none."""
        wanted = params.get("dataSourceSyncId")
        if not wanted:
            return "", None
        source: Resource
        for source in self._resources.all("DATA_SOURCE", indexId=params["indexId"]):
            job = self._syncs.running(source.resource_id)
            if job is not None and job.execution_id == wanted:
                return source.resource_id, job
        raise ResourceNotFound(wanted, "DATA_SOURCE_SYNC_JOB")

    def _read(self, given: dict[str, Any], source_id: str) -> Document:
        document_id, at = given["id"], now()
        content, failure, data = None, None, b""
        attributes = {one["name"]: next(iter(one["value"].values())) for one in given.get("attributes") or ()}
        kind = given.get("contentType") or content_type(document_id) or "PLAIN_TEXT"
        try:
            data = self._bytes(given.get("content") or {})
            parsed = parse(document_id, data, kind)
            content = Content(given.get("title") or parsed.title, parsed.text)
        except DocumentFailed as error:
            failure = error.failure
        return Document(
            document_id=document_id,
            data_source_id=source_id,
            title=content.title if content else given.get("title") or document_id,
            uri=str(attributes.get("_source_uri") or ""),
            key="",
            fingerprint=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            created_at=at,
            updated_at=at,
            content=content,
            failure=failure,
            acl=_acl(given.get("accessConfiguration")),
            attributes=attributes,
            content_type=kind,
        )

    def _bytes(self, content: dict[str, Any]) -> bytes:
        if "s3" in content:
            where = content["s3"]
            try:
                item = self._context.reader.objects(where["bucket"]).get(where["key"])
            except SourceFailed as error:
                raise DocumentFailed(Failure(error.source_code, error.message, "crawl")) from error
            if item is None:
                text = f"The object s3://{where['bucket']}/{where['key']} does not exist."
                raise DocumentFailed(Failure("NoSuchKey", text, "crawl"))
            return self._context.reader.read(item)
        blob = content.get("blob") or b""
        return blob.encode() if isinstance(blob, str) else bytes(blob)


def _failed(document_id: str, message: str, source_id: str) -> dict[str, Any]:
    failed = {"id": document_id, "error": {"errorCode": "InvalidRequest", "errorMessage": message[:2048]}}
    return {**failed, "dataSourceId": source_id} if source_id else failed


def _acl(configuration: dict[str, Any] | None) -> Acl | None:
    if configuration is None:
        return None
    entries = []
    for control in configuration.get("accessControls") or ():
        for principal in control["principals"]:
            if user := principal.get("user"):
                entries.append((str(user.get("id", "")), "USER", str(user["access"])))
            if group := principal.get("group"):
                entries.append((str(group.get("name", "")), "GROUP", str(group["access"])))
    return tuple(entries)
