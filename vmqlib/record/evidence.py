"""Evidence: what AWS said, kept as immutable, content-addressed files.

A file is gzip of JSON lines. The first line is a header that says what was asked, by whom, when, and whether
the answer is complete; the others are rows. Its name carries the beginning of its own SHA-256. Rows stream to
disk as they come, so memory does not grow with them; since the header is known last and stands first, the two
are separate gzip members that are joined at the end (RFC 1952 allows it, and every gzip reads it as one)."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from vmqlib.errors import BadInput, CorruptRecord
from vmqlib.record.canonical import canonical, compact, jsonable, to_bytes
from vmqlib.record.events import EvidenceRef
from vmqlib.record.redaction import Redactor
from vmqlib.record.storage import link_or_rename, storage_errors, sync_file, sync_folder, temporary
from vmqlib.times import iso, parse_iso

__all__ = ["Evidence", "EvidenceHeader", "EvidenceStore", "EvidenceWriter", "Question"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,80}")
_BLOCK = 256 * 1024
_STALE_S = 24 * 3600  # a temporary file of this age belongs to a process that died


@dataclass(frozen=True)
class Question:
    """What was asked, and by whom: the part of the header that is known before the answer.

    Parameters
    ----------
    name:
        The source's name, kebab-case: the file's name begins with it.
    call:
        The AWS operation, ``service:Operation``.
    at:
        When, UTC.
    parameters:
        What it was asked with.
    region, account, caller:
        Where, and the ARN that asked.
    """

    name: str
    call: str
    at: datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)
    region: str = ""
    account: str = ""
    caller: str = "unknown"


@dataclass(frozen=True)
class EvidenceHeader:
    """The first line of an evidence file: a :class:`Question`, and how it was answered.

    Parameters
    ----------
    question:
        What was asked.
    rows:
        How many rows follow.
    complete:
        Whether that is all there was.
    stopped:
        Where and why it stopped when it is not.
    redactions:
        How often something was masked, by kind.
    missing:
        Why a data source was not seen, by its id: it could not be, or was not asked for.
    """

    question: Question
    rows: int
    complete: bool
    stopped: str
    redactions: Mapping[str, int]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """An evidence file that was opened for reading.

    Parameters
    ----------
    path:
        The file.
    header:
        Its first line.
    """

    path: Path
    header: EvidenceHeader

    def rows(self) -> Iterator[dict[str, Any]]:
        """Its rows, streamed.

        Raises
        ------
        CorruptRecord
            When the file ends too early, or a row is no JSON.
        """
        count = 0
        with _reading(self.path), gzip.open(self.path, "rb") as file:
            next(iter(file))
            for line in file:
                yield json.loads(line)
                count += 1
        if count != self.header.rows:
            raise CorruptRecord(f"{self.path} has {count} rows, and its header says {self.header.rows}.")


class EvidenceStore:
    """The ``evidence/`` folder of one incident.

    Parameters
    ----------
    folder:
        The folder. Made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def writer(self, question: Question, redactor: Redactor, *, level: int = 5) -> EvidenceWriter:
        """Starts a new file: ``with store.writer(…) as writer: writer.write(row)``, then ``writer.ref``.

        Parameters
        ----------
        question:
            What is being asked.
        redactor:
            Masks every row before it is written. Its counts go into the header.
        level:
            zlib's level, 1 (quick) to 9 (small).
        """
        return EvidenceWriter(self, question, redactor, level)

    def add(
        self,
        question: Question,
        rows: Iterable[Mapping[str, Any]],
        redactor: Redactor,
        *,
        complete: bool = True,
        stopped: str = "",
    ) -> EvidenceRef:
        """Writes a whole file. Raises as :meth:`EvidenceWriter.write` does."""
        with self.writer(question, redactor) as writer:
            for row in rows:
                writer.write(row)
            writer.outcome(complete=complete, stopped=stopped)
        return writer.ref

    def open(self, ref: EvidenceRef) -> Evidence:
        """Opens a file, and makes sure first that it is what was written.

        Raises
        ------
        CorruptRecord
            When it is missing, changed or cannot be read.
        """
        path = self.folder / ref.file
        problem = self.check(ref)
        if problem:
            raise CorruptRecord(f"{path} {problem}.", hint="Restore it from a copy of the incident folder.")
        return self.open_path(path)

    def open_path(self, path: Path) -> Evidence:
        """Opens a file by its path, without looking at its hash. Raises as :meth:`open` does."""
        with _reading(path), gzip.open(path, "rb") as file:
            raw = json.loads(next(iter(file)))
            if raw["vmq_evidence"] != 1:
                raise ValueError(f"version {raw['vmq_evidence']}")
            question = Question(
                raw["name"], raw["call"], parse_iso(raw["at"]), raw["parameters"],
                raw["region"], raw["account"], raw["caller"],
            )  # fmt: skip
            header = EvidenceHeader(
                question,
                raw["rows"],
                raw["complete"],
                raw["stopped"],
                raw["redactions"],
                raw.get("missing", {}),
            )
        return Evidence(path, header)

    def check(self, ref: EvidenceRef) -> str:
        """What is wrong with the file, ``""`` when nothing is."""
        path = self.folder / ref.file
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return "" if found == ref.sha256 else "was changed after it was written"

    def files(self) -> list[Path]:
        """Every evidence file, by name. Unfinished ones are left out."""
        return sorted(self.folder.glob("*.jsonl.gz"))

    def sweep(self) -> None:
        """Removes unfinished files that a process left behind when it died, a day ago or earlier."""
        with contextlib.suppress(OSError):
            for path in self.folder.glob(".*.tmp"):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink(missing_ok=True)


class EvidenceWriter:
    """Writes one evidence file row by row. Nothing is there until it is whole: a failure inside the ``with``
    block leaves no file."""

    def __init__(self, store: EvidenceStore, question: Question, redactor: Redactor, level: int) -> None:
        if not _NAME.fullmatch(question.name):
            raise BadInput(
                f"{question.name!r} cannot name evidence.", hint="Use small letters, digits and dashes."
            )
        self._store = store
        self._question = question
        self._redactor = redactor.fresh()
        self._complete, self._stopped = True, ""
        self._missing: dict[str, str] = {}
        self._level = level
        self._pending: list[str] = []
        self._size = 0
        self._body: BinaryIO | None = None
        self._ref: EvidenceRef | None = None
        self.rows = 0

    @property
    def redactions(self) -> dict[str, int]:
        """How often something was masked so far, by kind."""
        return dict(sorted(self._redactor.counts.items()))

    @property
    def ref(self) -> EvidenceRef:
        """The file that was written. There once the ``with`` block is left."""
        if self._ref is None:
            raise RuntimeError("the evidence is not finished")
        return self._ref

    def write(self, row: Mapping[str, Any]) -> None:
        """Adds one row.

        Raises
        ------
        StorageError
            When the disk refuses.
        BadInput
            When the row holds what JSON cannot.
        """
        try:
            line = compact(self._redactor.row(row))
        except ValueError:  # NaN or an infinity
            line = compact(jsonable(self._redactor.row(row)))
        self._pending.append(line)
        self._size += len(line)
        self.rows += 1
        if self._size > _BLOCK:
            self._flush()

    def outcome(self, *, complete: bool, stopped: str = "", missing: Mapping[str, str] | None = None) -> None:
        """Says whether the rows are all there was, and if not, where and why it stopped; and which data sources were
        not seen, with the reason."""
        self._complete, self._stopped = complete, self._redactor.text(stopped)
        self._missing = {one: self._redactor.text(why) for one, why in (missing or {}).items()}

    def __enter__(self) -> EvidenceWriter:
        folder = self._store.folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._draft = temporary(folder / self._question.name)
            self._body = self._draft.open("xb")
        self._deflate = zlib.compressobj(self._level, zlib.DEFLATED, 31)  # 31: gzip, whose time is 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                with storage_errors(self._draft):
                    assert self._body is not None
                    self._body.write(self._deflate.flush())
                    self._body.close()
                self._join()
        finally:
            if self._body is not None:
                with contextlib.suppress(OSError):
                    self._body.close()
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._pending:
            assert self._body is not None
            block = to_bytes("\n".join(self._pending) + "\n")
            with storage_errors(self._draft):
                self._body.write(self._deflate.compress(block))
            self._pending.clear()
            self._size = 0

    def _header(self) -> bytes:
        question = self._question
        line = canonical(
            {
                "vmq_evidence": 1,
                "name": question.name,
                "call": question.call,
                "parameters": self._redactor.row(jsonable(question.parameters)),
                "region": question.region,
                "account": question.account,
                "caller": question.caller,
                "at": iso(question.at),
                "complete": self._complete,
                "stopped": self._stopped,
                "rows": self.rows,
                "redactions": self.redactions,
                **({"missing": self._missing} if self._missing else {}),
            }
        )
        return gzip.compress(line + b"\n", compresslevel=self._level, mtime=0)

    def _join(self) -> None:
        """Header and body become one file, which gets its name from its hash."""
        whole = temporary(self._draft)
        sha, size = hashlib.sha256(), 0
        try:
            with storage_errors(whole), whole.open("xb") as file, self._draft.open("rb") as body:
                for block in self._blocks(body):
                    file.write(block)
                    sha.update(block)
                    size += len(block)
                file.flush()
                sync_file(file.fileno())
                os.fchmod(file.fileno(), 0o444)
            self._keep(whole, sha.hexdigest(), size)
        finally:
            with contextlib.suppress(OSError):
                whole.unlink(missing_ok=True)

    def _blocks(self, body: BinaryIO) -> Iterator[bytes]:
        yield self._header()
        if self.rows:
            while block := body.read(_BLOCK):
                yield block

    def _keep(self, whole: Path, sha: str, size: int) -> None:
        question = self._question
        ref = EvidenceRef(
            name=question.name, file=f"{question.name}-{sha[:12]}.jsonl.gz", sha256=sha, rows=self.rows, bytes=size,
            at=question.at, call=question.call, complete=self._complete, stopped=self._stopped,
        )  # fmt: skip
        try:
            link_or_rename(whole, self._store.folder / ref.file)
        except FileExistsError:
            if problem := self._store.check(ref):
                raise CorruptRecord(
                    f"{self._store.folder / ref.file} {problem}.", hint="Move it away and look again."
                ) from None
        with storage_errors(self._store.folder):
            sync_folder(self._store.folder)
        self._ref = ref


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        with storage_errors(path, "read"):
            yield
    except (ValueError, KeyError, TypeError, EOFError, zlib.error, gzip.BadGzipFile, StopIteration) as error:
        raise CorruptRecord(
            f"{path} is not readable evidence: {type(error).__name__}.",
            hint="Restore it from a copy of the folder.",
        ) from error
