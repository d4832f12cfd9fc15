"""Runbook step 6: "Record timeline, impact, and remediation in OPERATIONS-RUNBOOK.md".

    change = preview(incident)      what would be written: change.diff
    enter(incident)                 writes it, once, however often it is called

The file is somebody else's: it is replaced whole or not at all, under a lock, and everything in it but the entry stays
byte for byte.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput, LockHeld, StorageError, VmqError, WorldChanged
from vmqlib.record import manifest
from vmqlib.record.storage import storage_errors, sync_file, sync_folder, temporary, write_atomically
from vmqlib.runbook.keyevents import ENTERED, key_events
from vmqlib.runbook.prelude import prelude
from vmqlib.runbook.recordplace import PUBLISH, published_at, record_place
from vmqlib.runbook.runbookentry import EntryFacts, entry_lines
from vmqlib.runbook.runbookplace import place
from vmqlib.runbook.undelivered import is_attempt, undelivered

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["ENTRY", "Change", "Entered", "enter", "entered", "preview", "runbook_path"]

ENTRY = "runbook-entry.md"
"""The entry's file in the incident's folder."""

_PATIENCE = 10.0
_TRIES = 5


@dataclass(frozen=True)
class Change:
    """What entering an incident would do.

    Parameters
    ----------
    path:
        The operations runbook.
    before:
        Its content; ``None`` where there is no such file yet.
    after:
        What it would be.
    entry:
        The entry alone, as Markdown.
    """

    path: Path
    before: bytes | None
    after: bytes
    entry: str

    @property
    def changes(self) -> bool:
        """Whether anything would be written."""
        return self.after != self.before

    @property
    def diff(self) -> str:
        """The difference, as ``diff -u`` shows it; empty where there is none."""
        old, new = ((content or b"").decode("utf-8").splitlines() for content in (self.before, self.after))
        name = str(self.path)
        return "\n".join(
            difflib.unified_diff(old, new, name if self.before is not None else "", name, lineterm="")
        )


@dataclass(frozen=True)
class Entered:
    """An incident was entered.

    Parameters
    ----------
    path:
        The operations runbook.
    changed:
        Whether it was written: the same entry again is not.
    kept:
        The entry in the incident's folder.
    """

    path: Path
    changed: bool
    kept: Path


def runbook_path(settings: Settings) -> Path:
    """The operations runbook: the setting, from the ops repo's folder where there is one, else from this folder."""
    path = settings.operations_runbook.expanduser()
    return path if path.is_absolute() else (settings.ops_repo or Path.cwd()) / path


def preview(incident: Incident) -> Change:
    """What :func:`enter` would write. Changes nothing.

    Raises
    ------
    BadInput
        When the incident is not closed, or the file cannot be added to.
    StorageError
        When it cannot be read, or may not be written.
    """
    path = runbook_path(incident.settings)
    return _change(path, incident.id, _lines(incident, path))


def enter(incident: Incident) -> Entered:
    """Enters a closed incident into the operations runbook. An entry that is there is renewed; the same one is left.

    The entry is put into the incident's folder first: where the file refuses, it can be entered by hand.

    Raises
    ------
    BadInput
        When the incident is not closed, or the file cannot be added to: it is not UTF-8, or damaged around the entry.
    StorageError
        When the file, or its folder, may not be written.
    LockHeld, WorldChanged
        When another process is writing to it, or did so again and again.
    """
    path = runbook_path(incident.settings)
    lines = _lines(incident, path)
    kept = _keep(incident, "".join(f"{line}\n" for line in lines).encode("utf-8"))
    try:
        changed = _write(path, lambda: _change(path, incident.id, lines))
    except VmqError as error:
        error.hint = f"{error.hint} The entry is in {kept}; `vmq entry {incident.id}` tries again.".strip()
        raise
    if changed or not entered(incident):
        incident.note(f"Entered into {path}.", {ENTERED: str(path)}, step="validate")
    return Entered(path, changed, kept)


def entered(incident: Incident) -> bool:
    """Whether the journal says so, since the closing: whoever wrote it may have been killed before."""
    found = False
    for event in incident.journal.events():
        if event.kind == "closed":
            found = False
        elif event.kind == "noted" and event.data.model_dump().get(ENTERED):
            found = True
    return found


def _keep(incident: Incident, entry: bytes) -> Path:
    """The entry in the incident's folder, under its manifest. Once that was published it stays as it is there."""
    kept = incident.dir / ENTRY
    if not kept.exists() or (kept.read_bytes() != entry and not published_at(incident)):
        write_atomically(kept, entry)
    # Also where it was written before: whoever did that may have been killed before it was sealed.
    if not manifest.holds(incident.dir, kept):
        incident.reseal([kept])
    return kept


def _lines(incident: Incident, path: Path) -> list[str]:
    state = incident.state
    if state.closed_at is None:
        raise BadInput(
            f"{incident.id} is not closed.",
            hint=f"It is entered when it is closed: `vmq close {incident.id}`.",
        )
    record = record_place(incident, path.resolve().parent)
    return entry_lines(
        EntryFacts(
            id=incident.id,
            title=incident.identity.title,
            severity=state.severity,
            opened_at=state.opened_at or incident.identity.opened_at,
            closings=state.closings,
            reopenings=state.reopenings,
            timeline=_timeline(incident),
            record=record.where,
            linked=record.linked,
            record_note=record.hint,
        )
    )


def _timeline(incident: Incident) -> list[tuple[datetime, str]]:
    """What happened, from what came before the opening. That messages did not go where they should is one line: each
    attempt is in the record. Where that was published is said beside it."""
    events = list(incident.journal.events())
    told = [
        (event.at, event.summary)
        for event in key_events(events)
        if not is_attempt(event) and getattr(event.data, "action", "") != PUBLISH
    ]
    if (missed := undelivered(events)) is None:
        return [*prelude(incident, events), *told]
    before = sum(at <= missed[0] for at, _ in told)
    return [*prelude(incident, events), *told[:before], missed, *told[before:]]


def _change(path: Path, incident_id: str, lines: list[str]) -> Change:
    before = _read(path)
    try:
        after = place(before, incident_id, lines)
    except BadInput as error:
        raise BadInput(f"{path} cannot be added to. {error.message}", hint=error.hint) from error
    return Change(path, before, after, "".join(f"{line}\n" for line in lines))


def _read(path: Path) -> bytes | None:
    with _errors(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if not path.parent.is_dir() and not path.is_symlink():
                raise
            return None
        if not stat.S_ISREG(mode):
            raise StorageError(
                f"{path} is no file.", hint="Set operations_runbook to the file that is meant."
            )
        # A file that nobody may write to is protected on purpose, also against those who could.
        if not mode & 0o222 or not os.access(path, os.W_OK):
            raise StorageError(f"Not allowed to write {path}.", hint="Check its owner and mode.")
        return path.read_bytes()


def _write(path: Path, change: Callable[[], Change]) -> bool:
    """Writes what ``change`` says, and whether that was anything. The target of a symbolic link is written."""
    with _errors(path):
        target = path.resolve()
        with _locked(target):
            for _ in range(_TRIES):
                seen = _identity(target)
                made = change()
                if not made.changes:
                    return False
                if _replace(target, made.after, seen):
                    return True
    raise WorldChanged(f"{path} is being changed by another program.", hint="Close it there, and try again.")


def _identity(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.st_ino, one.st_dev, one.st_size, one.st_mtime_ns) == (
        other.st_ino, other.st_dev, other.st_size, other.st_mtime_ns,
    )  # fmt: skip


def _replace(path: Path, content: bytes, seen: os.stat_result | None) -> bool:
    """Puts ``content`` in the file's place, with its mode and owner; False where it was changed since it was read."""
    draft = temporary(path)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if seen is not None:
                # The owner first: changing it takes set-id bits away. Who may not, may not replace the file, either.
                made = os.fstat(file.fileno())
                if (made.st_uid, made.st_gid) != (seen.st_uid, seen.st_gid):
                    os.fchown(file.fileno(), seen.st_uid, seen.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(seen.st_mode))
            sync_file(file.fileno())
        if not _same(seen, _identity(path)):
            return False
        draft.replace(path)
        sync_folder(path.parent)
        return True
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One at a time. The lock is on the folder: the file itself is replaced, and another one would be left behind."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockHeld(
                        f"Another process is writing in {path.parent}.",
                        hint="Wait until it is done, and try again.",
                    ) from None
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)  # which also gives the lock back


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """The operating system's refusals, said of this file."""
    try:
        with storage_errors(path):
            yield
    except StorageError as error:
        if isinstance(error.__cause__, OSError):
            error.hint = f"Check the owner and mode of it and of {path.parent}, or set operations_runbook."
        raise
