"""Plans on disk: gzip of JSON lines, the head first, then an item a line. Streamed both ways; 0600, since keys stand in
it as they are.

The first line is ``{"vmq_plan": 1, "digest": …, "head": {…}}``. The digest is the SHA-256 of the head's canonical JSON,
and the head holds the SHA-256 of the lines that follow. The head is known last and stands first: head and items are
separate gzip members, joined at the end (RFC 1952 allows it, and every gzip reads it as one)."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from vmqlib.errors import BadInput, CorruptRecord
from vmqlib.record.canonical import canonical, digest
from vmqlib.record.storage import storage_errors, sync_file, sync_folder, temporary
from vmqlib.runbook.rollback.itemlines import item_line, read_item
from vmqlib.runbook.rollback.items import Item
from vmqlib.runbook.rollback.plan import VERSION, Plan, PlanHead
from vmqlib.runbook.rollback.planner import Seen
from vmqlib.runbook.rollback.survey import Survey
from vmqlib.sources.crawlscope import CrawlScope

__all__ = ["copy", "read", "write"]

_BLOCK = 256 * 1024
_LONGEST_HEAD = 16 * 1024 * 1024  # named keys stand in it
_LEVEL = 2  # zlib's: a plan is written once, and at 6 its compression would take longer than the planning
_BAD_GZIP = (gzip.BadGzipFile, zlib.error, EOFError)
_BAD_CONTENT = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

_PLAN_AGAIN = "Plan again, or restore the file from a copy."


def write(
    folder: Path,
    head: PlanHead,
    items: Iterable[Item],
    *,
    seen: Seen | None = None,
    crawl: CrawlScope | None = None,
) -> Plan:
    """Writes ``folder/plan-<first 12 of the digest>.jsonl.gz``: the whole of it, or nothing.

    Parameters
    ----------
    folder:
        Where; made when it is not there.
    head:
        Its counts, bytes, preview and warnings are worked out while the items stream past.
    items:
        May be a generator. What it raises is raised here, and no file is left.
    seen:
        The planner's count, final after the last item: ``listed``, ``keys`` and ``unchanged`` are taken from it.
    crawl:
        What the connector crawls, for the preview; ``None``: not known.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    survey = Survey(crawl, head.scope)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    draft, whole = temporary(folder / "plan-items"), temporary(folder / "plan")
    try:
        count, sha = _write_items(draft, items, survey)
        if seen is not None:
            head = replace(head, listed=seen.listed, keys=seen.keys, unchanged=seen.unchanged)
        head = replace(
            head,
            counts=survey.counts,
            blocked=survey.blocked,
            bytes=survey.bytes,
            preview=survey.preview(seen),
            warnings=survey.warnings(seen),
            items=count,
            items_sha256=sha,
        )
        value = head.to_json()
        name = digest(canonical(value))
        first = canonical({"vmq_plan": VERSION, "digest": name, "head": value}) + b"\n"
        path = folder / f"plan-{name[:12]}.jsonl.gz"
        _join(whole, gzip.compress(first, compresslevel=_LEVEL, mtime=0), draft)
        _rename(whole, path)
    finally:
        for left in (draft, whole):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return _plan(path, head, name)


def read(path: Path) -> Plan:
    """Reads a plan from a file of any name, all of it: every line is as it was written. Its items are not held.

    Raises
    ------
    BadInput
        There is no such file, it is no plan, or it was written by a newer version of the kit.
    CorruptRecord
        It was a plan, and was cut short or edited.
    StorageError
        When the disk refuses.
    """
    head, name = _read_head(path)
    for _ in _lines(path, head):
        pass
    return _plan(path, head, name)


def copy(plan: Plan, path: Path) -> Plan:
    """See :meth:`vmqlib.runbook.rollback.plan.Plan.copy_to`."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", hint="Name a file.")
    draft = temporary(path)
    try:
        _join(draft, b"", plan.path)
        made = read(draft)
        if made.digest != plan.digest:
            raise CorruptRecord(f"{plan.path} is another plan by now: {made.digest[:12]}.", hint=_PLAN_AGAIN)
        _rename(draft, path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return _plan(path, made.head, made.digest)


def _plan(path: Path, head: PlanHead, name: str) -> Plan:
    return Plan(head, name, path, lambda: _items(path, head))


# Writing


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _write_items(draft: Path, items: Iterable[Item], survey: Survey) -> tuple[int, str]:
    """How many there were, and the SHA-256 of their lines."""
    sha, deflate = hashlib.sha256(), zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)  # 31: gzip, whose time is 0
    pending: list[bytes] = []
    count = size = 0
    with storage_errors(draft):
        file = _create(draft)
    with file:
        for item in items:
            survey.add(item)
            line = item_line(item)
            pending.append(line)
            count += 1
            size += len(line)
            if size > _BLOCK:
                _put(file, draft, b"".join(pending), sha, deflate)
                pending.clear()
                size = 0
        _put(file, draft, b"".join(pending), sha, deflate)
        with storage_errors(draft):
            file.write(deflate.flush())
    return count, sha.hexdigest()


def _put(file: BinaryIO, path: Path, block: bytes, sha: hashlib._Hash, deflate: zlib._Compress) -> None:
    sha.update(block)
    with storage_errors(path):  # only what the disk says: what the items raise is not about the file
        file.write(deflate.compress(block))


def _join(path: Path, before: bytes, behind: Path) -> None:
    with storage_errors(path), _create(path) as file, behind.open("rb") as body:
        file.write(before)
        while block := body.read(_BLOCK):
            file.write(block)
        file.flush()
        sync_file(file.fileno())


def _rename(draft: Path, path: Path) -> None:
    with storage_errors(path):
        draft.replace(path)
        sync_folder(path.parent)


# Reading


def _read_head(path: Path) -> tuple[PlanHead, str]:
    try:
        with _opened(path) as file:
            first = file.readline(_LONGEST_HEAD)
    except CorruptRecord:
        raise
    except _BAD_GZIP as error:
        if _begins(path):
            raise CorruptRecord(f"{path} was cut short or damaged.", hint=_PLAN_AGAIN) from error
        raise _no_plan(path) from error
    try:
        raw = json.loads(first)
        version = raw["vmq_plan"]
    except _BAD_CONTENT as error:
        raise _no_plan(path) from error
    if version != VERSION:
        raise BadInput(
            f"{path} is a plan in format {version!r}; this version of the kit reads {VERSION}.",
            hint="Use the version that wrote it, or plan again.",
        )
    try:
        name = digest(canonical(raw["head"]))
        head = PlanHead.from_json(raw["head"])
    except _BAD_CONTENT as error:
        raise CorruptRecord(f"{path} has no readable head.", hint=_PLAN_AGAIN) from error
    if name != raw.get("digest"):
        raise CorruptRecord(f"{path} was edited: its head is not the one that was written.", hint=_PLAN_AGAIN)
    return head, name


def _begins(path: Path) -> bool:
    """Whether the file begins as one that was compressed, with something behind the beginning."""
    with storage_errors(path, "read"), path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _no_plan(path: Path) -> BadInput:
    return BadInput(f"{path} is no plan of a rollback.", hint="Give a file that vmq rollback plan wrote.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.exists():
        raise BadInput(f"There is no plan at {path}.", hint="Give a file that vmq rollback plan wrote.")
    if not path.is_file():
        raise _no_plan(path)
    with storage_errors(path, "read"):
        raw = path.open("rb")
    with raw, gzip.GzipFile(fileobj=raw, mode="rb") as file:
        yield io.BufferedReader(file, _BLOCK)


def _lines(path: Path, head: PlanHead) -> Iterator[bytes]:
    """The lines behind the head; after the last one it is known whether they are what was written."""
    sha, count = hashlib.sha256(), 0
    try:
        with _opened(path) as file:
            file.readline(_LONGEST_HEAD)
            for line in file:
                sha.update(line)
                count += 1
                if count > head.items:
                    break
                yield line
    except _BAD_GZIP as error:
        raise CorruptRecord(f"{path} was cut short or damaged.", hint=_PLAN_AGAIN) from error
    if count != head.items or sha.hexdigest() != head.items_sha256:
        raise CorruptRecord(
            f"{path} does not hold the {head.items:,} items that were planned.", hint=_PLAN_AGAIN
        )


def _items(path: Path, head: PlanHead) -> Iterator[Item]:
    for number, line in enumerate(_lines(path, head)):
        try:
            yield read_item(line)
        except _BAD_CONTENT as error:
            raise CorruptRecord(f"{path} has no readable item {number}.", hint=_PLAN_AGAIN) from error
