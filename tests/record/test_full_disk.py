"""A disk that is full, read-only or not ours: a clear error, and nothing that was recorded is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vmqlib.errors import StorageError
from vmqlib.record.incident import Incident
from vmqlib.record.journal import Journal
from vmqlib.settings import Settings

InOwnMounts = Callable[[str, str], str]

FILL = """
import os
from pathlib import Path
from vmqlib.errors import StorageError
from vmqlib.record.journal import Journal
path = Path(os.environ["DISK"]) / "journal.jsonl"
journal = Journal(path)
done = 0
try:
    while True:
        done = journal.append("noted", "x" * 3000).seq
except StorageError as error:
    print(error.exit_code, error)
report = journal.verify()
assert (report.ok, report.events) == (True, done), report
assert done >= 5, done
assert Journal(path).append("noted", "small").seq == done + 1, "what fits still fits"
print(done)
"""

LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"


def test_a_write_that_hits_the_limit_half_way_is_taken_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMIT + FILL],
        env={**os.environ, "DISK": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 The disk is full: cannot write ")


def test_a_full_disk_is_reported_and_the_journal_stays_whole(in_own_mounts: InOwnMounts) -> None:
    said = in_own_mounts('mount -t tmpfs -o size=64k tmpfs "$DISK"', FILL)
    assert said.startswith("2 The disk is full: cannot write ")
    assert "what was recorded before is safe" in said


def test_evidence_that_does_not_fit_leaves_nothing_behind(in_own_mounts: InOwnMounts) -> None:
    said = in_own_mounts(
        'mount -t tmpfs -o size=64k tmpfs "$DISK"',
        """
import os
from datetime import UTC, datetime
from pathlib import Path
from vmqlib.errors import StorageError
from vmqlib.record.evidence import EvidenceStore, Question
from vmqlib.record.redaction import Redactor
store = EvidenceStore(Path(os.environ["DISK"]) / "evidence")
rows = ({"n": os.urandom(300).hex()} for _ in range(2000))
try:
    store.add(Question("logs", "x:Y", datetime.now(UTC)), rows, Redactor())
except StorageError as error:
    print(error)
print([path.name for path in store.folder.iterdir()])
""",
    )
    assert said.startswith("The disk is full")
    assert said.endswith("[]\n")


READ_ONLY = """
import os, sys
from pathlib import Path
from vmqlib.errors import StorageError
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
settings = Settings.load(incidents=os.environ["DISK"])
def attempt(what):
    try:
        what()
    except StorageError as error:
        print(error.exit_code, error.message)
attempt(lambda: Incident.open(settings, None, trigger="no-sync"))
incident = Incident.load(Incident.list(settings.incidents)[0].id, settings=settings)
attempt(lambda: incident.note("x"))
attempt(lambda: incident.close())
print(incident.state.phase, incident.verify().ok, incident.summary().events)
"""


def test_a_read_only_disk_can_be_read_and_says_why_it_cannot_be_written(in_own_mounts: InOwnMounts) -> None:
    opening = (
        "import os; from vmqlib.record.incident import Incident; from vmqlib.settings import Settings; "
        "Incident.open(Settings.load(incidents=os.environ['DISK']), None, trigger='no-sync')"
    )
    said = in_own_mounts(
        f'mount -t tmpfs tmpfs "$DISK"\n"$PYTHON" -c "{opening}"\nmount -o remount,ro "$DISK"', READ_ONLY
    ).splitlines()
    assert [line.partition(":")[0] for line in said[:3]] == ["2 The disk is read-only"] * 3
    assert said[3:] == ["open True 1"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_explained(settings: Settings, root: Path) -> None:
    root.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="Not allowed to write"):
        Incident.open(settings, None, trigger="no-sync")


def test_a_file_in_the_place_of_the_folder_is_explained(settings: Settings, root: Path) -> None:
    root.write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write"):
        Incident.open(settings, None, trigger="no-sync")


def test_a_journal_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    journal = Journal(tmp_path / "journal.jsonl")
    for attempt in (journal.verify, lambda: list(journal.events()), lambda: journal.append("noted", "x")):
        with pytest.raises(StorageError, match=r"journal\.jsonl"):
            attempt()
