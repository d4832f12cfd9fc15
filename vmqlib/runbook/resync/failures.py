"""Which documents an INCOMPLETE sync could not index, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from vmqlib.aws import Aws
from vmqlib.errors import AwsError
from vmqlib.runbook.resync.jobs import SyncJob
from vmqlib.settings import Settings
from vmqlib.sources import documents, logs
from vmqlib.sources.documents import error_kind
from vmqlib.times import Window

__all__ = ["FailedDocument", "FailedDocuments", "failed_documents"]

_DELIVERED = timedelta(minutes=15)  # events come within minutes of what they tell
_FAILING = frozenset({"FAILED", "DOCUMENT_FAILED_TO_INDEX"})


@dataclass(frozen=True)
class FailedDocument:
    """One document that was not indexed.

    Parameters
    ----------
    document:
        Its URI, or its id where there is none.
    error:
        Its error's code and message, as they came.
    """

    document: str
    error: str


@dataclass(frozen=True)
class FailedDocuments:
    """All of them.

    Parameters
    ----------
    counted:
        How many the job itself counts.
    documents:
        Those that are known by name.
    groups:
        By kind of error (the message without what names one document), most documents first.
    source:
        Where they were read: ``document-level report``, ``ListDocuments``, or ``""`` where neither could be.
    note:
        What is to be known about that list; empty when it is whole.
    """

    counted: int
    documents: tuple[FailedDocument, ...] = ()
    groups: Mapping[str, tuple[str, ...]] | None = None
    source: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON types, with every document."""
        groups = [
            {"error": error, "documents": len(names), "names": list(names)}
            for error, names in (self.groups or {}).items()
        ]
        documents = [asdict(one) for one in self.documents]
        return {
            "counted": self.counted, "source": self.source, "note": self.note, "groups": groups,
            "documents": documents,
        }  # fmt: skip


def failed_documents(
    aws: Aws, settings: Settings, job: SyncJob, *, clean: Callable[[str], str] = lambda text: text
) -> FailedDocuments:
    """The documents that a job could not index: from its document-level report, or where that cannot be read, or knows
    of none, from the index itself. Never raises for what AWS refuses: the note says it.

    Parameters
    ----------
    clean:
        Masks secrets in error messages and names.
    """
    try:
        found = _of(_reported(aws, settings, job), clean)
        problem = "" if found else "The document-level report names none yet."
    except AwsError as error:
        found, problem = {}, f"The document-level report could not be read: {error.message}"
    if found:
        return _made(job, found, "document-level report", _short(job, len(found)))
    try:
        listed = _of(_in_index(aws, settings, job), clean)
    except AwsError as error:
        note = f"Which documents failed cannot be told. {problem} ListDocuments: {error.message} {error.hint}"
        return FailedDocuments(job.failed, note=note.strip())
    note = f"{problem} From the index: these are FAILED there now, perhaps since an earlier sync."
    return _made(job, listed, "ListDocuments", f"{note} {_short(job, len(listed))}".strip())


def _reported(aws: Aws, settings: Settings, job: SyncJob) -> Iterable[tuple[str, str, str, str]]:
    now = max(aws.clock.now(), job.ended_at or job.started_at)
    until = min(now, job.ended_at + _DELIVERED) if job.ended_at else now
    window = Window(job.started_at, max(until, job.started_at))
    reading = logs.read_document_report(aws, settings, window, data_source_id=job.data_source_id)
    for row in reading.rows:
        if row["execution_id"] == job.execution_id and row["status"] == "FAILED":
            yield row["document_id"], row["uri"], row["error_code"], row["message"]


def _in_index(aws: Aws, settings: Settings, job: SyncJob) -> Iterable[tuple[str, str, str, str]]:
    window = Window(job.started_at, job.ended_at or job.started_at)
    reading = documents.read(aws, settings, window, data_source_id=job.data_source_id)
    for row in reading.rows:
        if row["status"] in _FAILING:
            yield row["document_id"], "", row["error_code"], row["error_message"]


def _of(
    rows: Iterable[tuple[str, str, str, str]], clean: Callable[[str], str]
) -> dict[str, tuple[FailedDocument, str]]:
    """By document: what failed, and the kind of its error. The last report of a document counts."""
    found = {}
    for identity, uri, code, message in rows:
        said = clean(": ".join(part for part in (code, message) if part))
        document = FailedDocument(clean(uri or identity), said)
        found[identity or uri] = document, clean(error_kind(code, message))
    return found


def _made(
    job: SyncJob, found: Mapping[str, tuple[FailedDocument, str]], source: str, note: str
) -> FailedDocuments:
    groups: dict[str, list[str]] = {}
    for document, kind in found.values():
        groups.setdefault(kind, []).append(document.document)
    ordered = sorted(groups.items(), key=lambda one: (-len(one[1]), one[0]))
    return FailedDocuments(
        job.failed,
        tuple(document for document, _ in found.values()),
        {kind: tuple(names) for kind, names in ordered},
        source,
        note,
    )


def _short(job: SyncJob, known: int) -> str:
    return f"The job counts {job.failed}; {known} are known by name." if known != job.failed else ""
