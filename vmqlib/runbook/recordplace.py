"""Where people find the record of an incident: for the operations runbook, which others read on other machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["PUBLISH", "RecordPlace", "published_at", "record_address", "record_place"]

PUBLISH = "publish"
"""The action of ``vmq publish`` in the journal (:mod:`vmqlib.runbook.publish`)."""
_PAGE = "incident.html"


@dataclass(frozen=True)
class RecordPlace:
    """Where the record is.

    Parameters
    ----------
    where:
        An address, a path from the file that names it, or the name of the incident's folder.
    linked:
        Whether it can be a link.
    hint:
        How to get at it, in Markdown; empty where that is clear.
    """

    where: str
    linked: bool
    hint: str = ""


def record_place(incident: Incident, folder: Path) -> RecordPlace:
    """Where a reader finds the record: under the settings' ``email.record_url``, where it was published, in the folder
    of the file that names it or below, or with whoever closed it. Never a path that is good on one machine only.

    Parameters
    ----------
    folder:
        Where the file is that names it.
    """
    if address := record_address(incident):
        return RecordPlace(address, linked=True)
    if uri := published_at(incident):
        return RecordPlace(f"{uri}{_PAGE}", linked=False)
    page = (incident.dir / _PAGE).resolve()
    if page.is_relative_to(folder):
        return RecordPlace(page.relative_to(folder).as_posix(), linked=True)
    hint = (
        f" in the incidents folder of whoever closed it; `vmq publish {incident.id} s3://…` puts it where others reach "
        f"it, and `vmq entry {incident.id}` says here where"
    )
    return RecordPlace(f"{incident.id}/{_PAGE}", linked=False, hint=hint)


def record_address(incident: Incident) -> str:
    """Where the settings say that records are (``email.record_url``); empty where they do not."""
    base = incident.settings.email.record_url
    return f"{base.rstrip('/')}/{incident.id}/{_PAGE}" if base else ""


def published_at(incident: Incident) -> str:
    """The address of the folder that it was published at last, ``s3://…/``; empty where it was not, since it was
    closed."""
    found = ""
    for event in incident.journal.events():
        if event.kind == "closed":
            found = ""
        elif event.kind == "applied" and event.data.action == PUBLISH:
            found = event.data.item
    return found if not found or found.endswith("/") else f"{found}/"
