"""The manifest of a closed incident: every file with its SHA-256, and where the journal ended.

The journal may grow after closing (a note, a retro): what is held fast is its beginning, up to the length it
had. The manifest of a closing that was taken back is kept in ``closings/``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_serializer

from vmqlib.errors import CorruptRecord
from vmqlib.record.storage import storage_errors, sync_folder, write_atomically
from vmqlib.times import iso

__all__ = [
    "ASIDE",
    "FILE",
    "JOURNAL",
    "FileEntry",
    "Manifest",
    "compare",
    "holds",
    "read",
    "remove",
    "renew",
    "set_aside",
    "write",
]

FILE = "MANIFEST.json"
JOURNAL = "journal.jsonl"
ASIDE = "closings"
"""The folder for manifests of closings that were taken back."""


class FileEntry(BaseModel):
    """A file: ``path`` within the folder, its size in ``bytes`` and its ``sha256``."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    path: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Manifest(BaseModel):
    """``MANIFEST.json``: the incident's ``id``, when it was written (``at``), how many ``events`` the journal
    had and the ``last_hash`` of its chain, and the ``files``."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    vmq_manifest: int = 1
    id: str
    at: AwareDatetime
    events: int
    last_hash: str
    files: tuple[FileEntry, ...]

    @field_serializer("at")
    def _at(self, at: datetime) -> str:
        return iso(at)


def write(folder: Path, incident_id: str, at: datetime, events: int, last_hash: str) -> Manifest:
    """Writes the manifest of ``folder`` as it is now, atomically.

    Raises
    ------
    StorageError
        When a file cannot be read, or the manifest not written.
    """
    files = tuple(_entry(folder, path) for path in _files(folder))
    return _put(folder, Manifest(id=incident_id, at=at, events=events, last_hash=last_hash, files=files))


def renew(
    folder: Path,
    before: Manifest,
    at: datetime,
    events: int,
    last_hash: str,
    *,
    written: Iterable[Path],
    named: Iterable[Path],
) -> Manifest:
    """Writes the manifest anew for some files alone; what it says of all others stays.

    Parameters
    ----------
    before:
        The manifest as it is.
    events, last_hash:
        Where the journal ends now; that it begins with what was sealed is for the caller to know.
    written:
        Files that were written on purpose since.
    named:
        Files that the journal names with their hash: those that are new are taken up.

    Raises
    ------
    StorageError
        When a file cannot be read, or the manifest not written.
    """
    listed = {entry.path: entry for entry in before.files}
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    anew = {path.relative_to(folder).as_posix() for path in written} | {JOURNAL}
    anew |= {path.relative_to(folder).as_posix() for path in named} - listed.keys()
    listed |= {name: _entry(folder, present[name]) for name in anew & present.keys()}
    files = tuple(listed[name] for name in sorted(listed))
    return _put(folder, Manifest(id=before.id, at=at, events=events, last_hash=last_hash, files=files))


def set_aside(folder: Path, number: int) -> tuple[str, str] | None:
    """Copies the manifest to ``closings/MANIFEST-<number>.json``; gives that path and the file's SHA-256, or ``None``
    where there is no manifest. :func:`remove` takes the one that was copied away.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    if not (folder / FILE).exists():
        return None
    with storage_errors(folder / FILE, "read"):
        content = (folder / FILE).read_bytes()
    kept = folder / ASIDE / f"MANIFEST-{number}.json"
    with storage_errors(kept.parent):
        kept.parent.mkdir(exist_ok=True)
    write_atomically(kept, content)
    return kept.relative_to(folder).as_posix(), hashlib.sha256(content).hexdigest()


def remove(folder: Path) -> None:
    """Takes the manifest away: the incident is not closed any more."""
    with storage_errors(folder / FILE):
        (folder / FILE).unlink(missing_ok=True)
        sync_folder(folder)


def _put(folder: Path, manifest: Manifest) -> Manifest:
    write_atomically(folder / FILE, manifest.model_dump_json(indent=1).encode() + b"\n")
    return manifest


def read(folder: Path, name: str = FILE) -> Manifest | None:
    """The manifest, or ``None`` where there is none.

    Parameters
    ----------
    name:
        Another one of this folder: that of a closing that was taken back.

    Raises
    ------
    CorruptRecord
        When it is no manifest.
    """
    path = folder / name
    if not path.exists():
        return None
    try:
        with storage_errors(path, "read"):
            raw: Any = json.loads(path.read_bytes())
        return Manifest.model_validate(raw)
    except ValueError as error:
        raise CorruptRecord(
            f"{path} is not a manifest.", hint="Restore it from a copy of the folder."
        ) from error


def holds(folder: Path, path: Path) -> bool:
    """Whether the manifest of ``folder`` names that file, as it is.

    Raises
    ------
    CorruptRecord
        When there is a manifest that is none.
    """
    manifest = read(folder)
    if manifest is None or not path.is_file():
        return False
    return _entry(folder, path) in manifest.files


def compare(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every file that differs from the manifest, with ``missing``, ``changed`` or ``extra``."""
    listed = {entry.path: entry for entry in manifest.files}
    present = {str(path.relative_to(folder)) for path in _files(folder)}
    for name in sorted(listed.keys() | present):
        if name not in present:
            yield name, "missing"
        elif name not in listed:
            yield name, "extra"
        else:
            length = listed[name].bytes if name == JOURNAL else None
            if _entry(folder, folder / name, length) != listed[name]:
                yield name, "changed"


def _files(folder: Path) -> list[Path]:
    """All that belongs to the record: no hidden files (drafts, checkpoints), and not the manifest itself."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path != folder / FILE
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _entry(folder: Path, path: Path, length: int | None = None) -> FileEntry:
    """The file, or its first ``length`` bytes."""
    sha, size = hashlib.sha256(), 0
    with storage_errors(path, "read"), path.open("rb") as file:
        while block := file.read(min(1 << 20, length - size) if length is not None else 1 << 20):
            sha.update(block)
            size += len(block)
    return FileEntry(path=path.relative_to(folder).as_posix(), bytes=size, sha256=sha.hexdigest())
