"""Does an incident folder still say what it said? Works on broken folders, too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from vmqlib.errors import CorruptRecord, VmqError
from vmqlib.record import manifest as manifests
from vmqlib.record.chain import JournalReport
from vmqlib.record.events import NO_HASH, Closed, EvidenceRef, Phase
from vmqlib.record.evidence import EvidenceStore
from vmqlib.record.identity import read_identity
from vmqlib.record.journal import Journal

__all__ = ["NOTEBOOK", "PAGE", "Finding", "Report", "named_files", "told_until", "verify_folder"]

NOTEBOOK, PAGE = "incident.ipynb", "incident.html"
"""The record's two files."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
"""A name that stays within its folder."""
_ASIDE = re.compile(rf"{manifests.ASIDE}/MANIFEST-\d+\.json\Z")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Parameters
    ----------
    path:
        The file, within the incident's folder.
    problem:
        What is wrong with it.
    serious:
        Whether the record cannot be trusted there; otherwise it is worth knowing, and no more.
    """

    path: str
    problem: str
    serious: bool = True


@dataclass(frozen=True)
class Report:
    """What was found about an incident's folder.

    Parameters
    ----------
    ok:
        Whether nothing serious was found.
    journal:
        The journal's chain.
    evidence:
        How many evidence files were checked.
    files:
        How many other files were checked that the journal names with their hash: plans, logs, verifications.
    sealed:
        Whether there is a manifest (the incident is closed).
    findings:
        All that was found, serious or not.
    complete:
        Whether the record tells of the closing, where there is one: whoever closed it may have been killed before that
        was written.
    """

    ok: bool
    journal: JournalReport
    evidence: int
    sealed: bool
    findings: tuple[Finding, ...]
    files: int = 0
    complete: bool = True

    def __str__(self) -> str:
        counts = f"{self.journal.events} events, {self.evidence} evidence files"
        if self.files:
            counts += f", {self.files} other file{'' if self.files == 1 else 's'}"
        whole = "verified" if self.complete else "NOT complete"
        head = f"{whole if self.ok else 'NOT as it was written'}: {counts}{', sealed' if self.sealed else ''}"
        told = [f"  {found.path}: {found.problem}" for found in self.findings]
        if not self.complete:
            told.append(f"  {PAGE}: the final record is missing: nothing here tells of the closing")
        return "\n".join([head, *told])


def verify_folder(folder: Path) -> Report:
    """Checks identity, journal, every evidence file and, where there is one, the manifest.

    Raises
    ------
    StorageError
        When the folder cannot be read at all.
    """
    findings: list[Finding] = []
    try:
        read_identity(folder)
    except VmqError as error:
        findings.append(Finding("incident.json", error.message))
    journal = Journal(folder / manifests.JOURNAL)
    report = (
        journal.verify() if journal.path.exists() else JournalReport(False, 0, NO_HASH, 1, "it is missing")
    )
    if not report.ok:
        place = f"event {report.bad_seq}: " if report.events else ""
        findings.append(Finding(manifests.JOURNAL, f"{place}{report.reason}"))
    refs = _refs(journal)
    findings += _evidence(EvidenceStore(folder / "evidence"), refs)
    named = _named(journal)
    findings += _files(folder, named)
    closing, aside = _closings(journal)
    closed = closing > 0
    there = (folder / manifests.FILE).exists()
    # Whoever reopened it was killed before the manifest, which was set aside already, was taken away.
    stale = there and not closed and _is_one_of(folder / manifests.FILE, aside.values())
    sealed = there and not stale
    if sealed:
        findings += _manifest(folder, journal)
    elif stale:
        words = "is of a closing that was taken back; the next closing writes another"
        findings.append(Finding(manifests.FILE, words, serious=False))
    elif closed:
        findings.append(Finding(manifests.FILE, "is missing, although the incident is closed"))
    findings += _aside(folder, journal, aside)
    ok = not any(finding.serious for finding in findings)
    complete = not closing or told_until(folder) >= closing
    return Report(ok, report, len(refs), sealed, tuple(findings), len(named), complete)


def _refs(journal: Journal) -> dict[str, EvidenceRef]:
    """Evidence that the readable part of the journal names."""
    refs: dict[str, EvidenceRef] = {}
    if journal.path.exists():
        try:
            for event in journal.events():
                refs |= {ref.file: ref for ref in event.evidence}
        except CorruptRecord:
            pass  # the chain's report says where
    return refs


def _named(journal: Journal) -> dict[str, str]:
    """Files of a step (in the folder of its name) that the readable part of the journal names, with their SHA-256.

    An event names one as ``file`` with ``file_sha256``, or as ``log`` with ``log_sha256``. A log that is begun or gone
    on with (``applying``) has no hash until the end of that is noted.
    """
    named: dict[str, str] = {}
    if journal.path.exists():
        try:
            for event in journal.events():
                data = event.data.model_dump()
                for what in ("file", "log"):
                    name, sha = data.get(what), data.get(f"{what}_sha256")
                    if not isinstance(name, str) or not _PLAIN.match(name) or not _PLAIN.match(event.step):
                        continue
                    path = f"{event.step}/{name}"
                    if isinstance(sha, str) and sha:
                        named[path] = sha
                    elif event.kind == "applying":
                        named.pop(path, None)
        except CorruptRecord:
            pass  # the chain's report says where
    return named


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_one_of(path: Path, hashes: Collection[str]) -> bool:
    try:
        return _sha256(path) in hashes
    except OSError:
        return False


def _files(folder: Path, named: dict[str, str]) -> Iterator[Finding]:
    for name, sha in sorted(named.items()):
        try:
            found = _sha256(folder / name)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            yield Finding(name, "is missing" if missing else f"cannot be read: {error.strerror}")
            continue
        if found != sha:
            yield Finding(name, "was changed: it has another SHA-256 than the journal says")


def named_files(journal: Journal) -> set[str]:
    """Every file but the journal that the journal names with its hash, by its path in the incident's folder."""
    _, aside = _closings(journal)
    return {f"evidence/{name}" for name in _refs(journal)} | {*_named(journal)} | {*aside}


def _closings(journal: Journal) -> tuple[int, dict[str, str]]:
    """The number of the event that closed the incident, 0 while it is open; and the manifests of closings that were
    taken back, with their SHA-256."""
    closing, aside = 0, dict[str, str]()
    if journal.path.exists():
        try:
            for event in journal.events():
                if isinstance(event, Closed):
                    closing = event.seq
                elif isinstance(event, Phase) and event.data.phase != "closed":
                    closing = 0
                    if _ASIDE.match(event.data.manifest):
                        aside[event.data.manifest] = event.data.manifest_sha256
        except CorruptRecord:
            pass  # the chain's report says where
    return closing, aside


def told_until(folder: Path) -> int:
    """The number of the last event of which the record in ``folder`` tells, notebook and page; 0 where one of them is
    not there, or its run was stopped before it was written."""
    from vmqlib.record.notebook import read_record

    try:
        told = int(read_record(folder / NOTEBOOK)["events"])
    except (VmqError, KeyError, ValueError):
        return 0
    return told if (folder / PAGE).is_file() else 0


def _aside(folder: Path, journal: Journal, aside: dict[str, str]) -> Iterator[Finding]:
    """Manifests that were set aside: unchanged, and of this journal. What they say of other files was true then."""
    yield from _files(folder, aside)
    for name in aside:
        try:
            manifest = manifests.read(folder, name)
        except VmqError:
            continue  # it was changed: told already
        if manifest and not journal.contains(manifest.events, manifest.last_hash):
            yield Finding(name, f"names event {manifest.events}, which is not in the journal")


def _evidence(store: EvidenceStore, refs: dict[str, EvidenceRef]) -> Iterator[Finding]:
    for name, ref in sorted(refs.items()):
        if problem := store.check(ref):
            yield Finding(f"evidence/{name}", problem)
    for path in store.files():
        if path.name not in refs:
            yield Finding(f"evidence/{path.name}", "is named by no event of the journal", serious=False)


def _manifest(folder: Path, journal: Journal) -> Iterator[Finding]:
    try:
        manifest = manifests.read(folder)
    except VmqError as error:
        yield Finding(manifests.FILE, error.message)
        return
    assert manifest is not None
    if journal.path.exists() and not journal.contains(manifest.events, manifest.last_hash):
        yield Finding(manifests.JOURNAL, f"event {manifest.events} is not the one that the manifest names")
    for name, problem in manifests.compare(folder, manifest):
        if problem == "extra":
            yield Finding(name, "was added after closing", serious=False)
        else:
            yield Finding(
                name, f"{problem} since closing" if problem == "changed" else "is missing since closing"
            )
