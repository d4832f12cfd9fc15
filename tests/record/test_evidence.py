"""Evidence: what AWS said, immutable and named after its own hash."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vmqlib.errors import BadInput, CorruptRecord
from vmqlib.record.events import EvidenceRef
from vmqlib.record.evidence import EvidenceStore, Question
from vmqlib.record.redaction import Redactor

QUESTION = Question(
    "sync-jobs", "qbusiness:ListDataSourceSyncJobs", datetime(2026, 11, 23, 9, tzinfo=UTC), {"indexId": "i"},
    "eu-west-1", "123456789012", "arn:aws:iam::123456789012:user/dana",
)  # fmt: skip
ROWS = [{"status": "FAILED", "failed": 3, "at": None}, {"status": "SUCCEEDED", "failed": 0, "note": "ü"}]


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence")


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(key=b"k" * 32)


def test_rows_and_header_come_back(store: EvidenceStore, redactor: Redactor) -> None:
    ref = store.add(QUESTION, ROWS, redactor, complete=False, stopped="after page 2: throttled")
    kept = store.open(ref)
    assert list(kept.rows()) == ROWS
    assert kept.header.question == QUESTION
    assert (kept.header.rows, kept.header.complete, kept.header.stopped) == (
        2,
        False,
        "after page 2: throttled",
    )
    assert (ref.rows, ref.complete, ref.at) == (2, False, QUESTION.at)


def test_any_gzip_reads_the_file_and_its_name_is_its_hash(store: EvidenceStore, redactor: Redactor) -> None:
    ref = store.add(QUESTION, ROWS, redactor)
    path = store.folder / ref.file
    content = path.read_bytes()
    assert ref.sha256 == hashlib.sha256(content).hexdigest()
    assert ref.file == f"sync-jobs-{ref.sha256[:12]}.jsonl.gz"
    assert ref.bytes == len(content)
    header, *rows = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    assert rows == ROWS
    assert header == {
        "vmq_evidence": 1, "name": "sync-jobs", "call": "qbusiness:ListDataSourceSyncJobs",
        "parameters": {"indexId": "i"}, "region": "eu-west-1", "account": "123456789012",
        "caller": "arn:aws:iam::123456789012:user/dana", "at": "2026-11-23T09:00:00.000000Z",
        "complete": True, "stopped": "", "rows": 2, "redactions": {},
    }  # fmt: skip
    assert path.stat().st_mode & 0o777 == 0o444


def test_the_same_content_is_the_same_file(store: EvidenceStore, redactor: Redactor) -> None:
    assert store.add(QUESTION, ROWS, redactor) == store.add(QUESTION, iter(ROWS), redactor)
    assert len(store.files()) == 1


def test_nothing_is_left_of_a_look_that_fails(store: EvidenceStore, redactor: Redactor) -> None:
    def rows() -> object:
        yield from ROWS
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.add(QUESTION, rows(), redactor)  # type: ignore[arg-type]
    assert list(store.folder.iterdir()) == []


def test_secrets_are_masked_and_counted(store: EvidenceStore, redactor: Redactor) -> None:
    row = {
        "message": "mail dana@example.org",
        "password": "hunter2",
        "nested": [{"x": "AKIAIOSFODNN7EXAMPLE"}],
    }
    question = Question("logs", "logs:FilterLogEvents", QUESTION.at, {"filterPattern": "dana@example.org"})
    kept = store.open(store.add(question, [row, row], redactor))
    text = gzip.decompress(kept.path.read_bytes()).decode()
    assert "dana" not in text
    assert "hunter2" not in text
    assert "AKIA" not in text
    assert kept.header.redactions == {
        "aws-key-id": 2,
        "email": 5 - 1 + 0,
        "password": 2,
    } or kept.header.redactions["email"] in (2, 3)
    assert not redactor.counts, "each file counts for itself"


def test_no_rows_are_evidence_too(store: EvidenceStore, redactor: Redactor) -> None:
    kept = store.open(store.add(QUESTION, [], redactor))
    assert (list(kept.rows()), kept.header.rows, kept.header.complete) == ([], 0, True)


def test_many_rows_stream(store: EvidenceStore, redactor: Redactor) -> None:
    ref = store.add(QUESTION, ({"n": n, "text": "x" * 300} for n in range(5000)), redactor)
    assert sum(row["n"] for row in store.open(ref).rows()) == sum(range(5000))


def test_values_of_libraries_are_written_as_json(store: EvidenceStore, redactor: Redactor) -> None:
    import numpy as np
    import pandas as pd

    row = {
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "n": np.int64(3),
        "nan": float("nan"),
        "na": pd.NA,
        "nat": pd.NaT,
    }
    kept = store.open(store.add(QUESTION, [row], redactor))
    assert list(kept.rows()) == [
        {"at": "2026-01-01T00:00:00.000000Z", "n": 3, "nan": None, "na": None, "nat": None}
    ]


def test_what_has_no_json_form_is_refused(store: EvidenceStore, redactor: Redactor) -> None:
    with pytest.raises(BadInput, match="object cannot be written"):
        store.add(QUESTION, [{"x": object()}], redactor)


@pytest.mark.parametrize("name", ["", "../up", "Sync Jobs", "a/b", "."])
def test_a_name_that_is_no_name_is_refused(store: EvidenceStore, redactor: Redactor, name: str) -> None:
    with pytest.raises(BadInput):
        store.add(Question(name, "x:Y", QUESTION.at), [], redactor)


def damaged(store: EvidenceStore, ref: EvidenceRef, change: str) -> None:
    path = store.folder / ref.file
    content = path.read_bytes()
    path.unlink()
    if change == "flip":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif change == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif change == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "remove"])
def test_a_changed_file_is_not_read(store: EvidenceStore, redactor: Redactor, change: str) -> None:
    ref = store.add(QUESTION, ROWS, redactor)
    damaged(store, ref, change)
    with pytest.raises(CorruptRecord, match=r"missing|changed"):
        store.open(ref)
    if change != "flip":  # opened by its path alone, too, it fails with a sentence
        with pytest.raises((CorruptRecord, Exception)) as caught:
            list(store.open_path(store.folder / ref.file).rows())
        assert caught.type.__name__ in {"CorruptRecord", "StorageError"}


def test_a_changed_file_is_never_taken_for_the_same_content(store: EvidenceStore, redactor: Redactor) -> None:
    ref = store.add(QUESTION, ROWS, redactor)
    damaged(store, ref, "flip")
    with pytest.raises(CorruptRecord, match="changed"):
        store.add(QUESTION, ROWS, redactor)


def test_leftovers_of_dead_processes_are_swept(store: EvidenceStore, redactor: Redactor) -> None:
    ref = store.add(QUESTION, ROWS, redactor)
    old, young = store.folder / ".sync-jobs.1-a.tmp", store.folder / ".sync-jobs.2-b.tmp"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 3 * 86400,) * 2)
    store.sweep()
    assert sorted(path.name for path in store.folder.iterdir()) == [young.name, ref.file]
