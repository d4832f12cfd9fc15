"""An incident's folder: its id, ``incident.json``, and the list of all of them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_serializer

from vmqlib.errors import CorruptRecord, UnknownIncident
from vmqlib.record.events import SeverityName
from vmqlib.record.storage import storage_errors, sync_folder, write_atomically
from vmqlib.times import iso

__all__ = ["ID", "Identity", "find", "folders", "new_folder", "read_identity", "write_identity"]

ID = re.compile(r"INC-\d{8}-\d{3,}")
"""``INC-``, the day of opening (UTC), and a number within that day."""
_FILE = "incident.json"


class Identity(BaseModel):
    """``incident.json``: what an incident is, written once when it is opened.

    ``severity`` is the one at the opening; ``resources`` are the ids of the settings (``app_id``,
    ``index_id`` …); ``data_source_id`` is the connector in question; ``version`` is the kit's; ``cause`` is what it was
    opened for, where a rule or an alarm set it off."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    title: str
    trigger: str
    severity: SeverityName
    opened_at: AwareDatetime
    region: str
    account: str
    data_source_id: str = ""
    resources: dict[str, str] = {}
    version: str = ""
    cause: str = ""

    @field_serializer("opened_at")
    def _opened_at(self, at: datetime) -> str:
        return iso(at)


def new_folder(root: Path, now: datetime) -> Path:
    """Makes the folder of a new incident. Of two processes at once, each gets its own: ``mkdir`` decides.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    day = f"INC-{now:%Y%m%d}-"
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        taken = [
            int(folder.name.removeprefix(day)) for folder in folders(root) if folder.name.startswith(day)
        ]
        number = max(taken, default=0) + 1
        while True:
            folder = root / f"{day}{number:03}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                continue
            sync_folder(root)
            return folder


def write_identity(folder: Path, identity: Identity) -> None:
    """Writes ``incident.json``. Raises :class:`StorageError` when the disk refuses."""
    text = json.dumps(identity.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_atomically(folder / _FILE, text.encode("utf-8", "replace") + b"\n", replace=False)


def read_identity(folder: Path) -> Identity:
    """Reads ``incident.json``.

    Raises
    ------
    CorruptRecord
        When it is missing, or is not what its folder's name says.
    """
    path = folder / _FILE
    hint = f"Restore it from a copy, or look at what is left in {folder}."
    try:
        with storage_errors(path, "read"):
            identity = Identity.model_validate(json.loads(path.read_bytes()))
    except ValueError as error:
        raise CorruptRecord(f"{path} cannot be understood.", hint=hint) from error
    if identity.id != folder.name:
        raise CorruptRecord(f"{path} is that of {identity.id}, not of {folder.name}.", hint=hint)
    return identity


def folders(root: Path) -> Iterator[Path]:
    """Every incident's folder, the newest first. A folder that does not exist has none."""
    if not root.exists():
        return
    with storage_errors(root, "read"):
        found = [path for path in root.iterdir() if ID.fullmatch(path.name) and path.is_dir()]
    yield from sorted(found, key=lambda path: (path.name[4:12], int(path.name[13:])), reverse=True)


def find(root: Path, incident_id: str) -> Path:
    """The folder of that incident.

    Raises
    ------
    UnknownIncident
        When there is none; the hint names those that are alike.
    """
    folder = root / incident_id
    if ID.fullmatch(incident_id) and folder.is_dir():
        return folder
    names = [path.name for path in folders(root)]
    close = difflib.get_close_matches(incident_id, names, n=3, cutoff=0.6)
    if close:
        hint = f"Did you mean {' or '.join(close)}?"
    elif names:
        hint = f"The newest is {names[0]}; `vmq list` shows all."
    else:
        hint = "There is none at all; is VMQ_INCIDENTS set to the right folder?"
    raise UnknownIncident(f"There is no incident {incident_id!r} in {root}.", hint=hint)
