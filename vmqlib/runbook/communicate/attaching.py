"""The record that goes with a mail: written anew before it is sent where something happened since, and said as of when
it is. That it cannot be written stops no message."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from vmqlib.errors import Interrupted, VmqError
from vmqlib.record.checks import NOTEBOOK, PAGE, told_until
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.communicate.conditions import moment
from vmqlib.runbook.communicate.plan import ATTACHED, Delivery, MessagePlan
from vmqlib.runbook.communicate.receipts import Attachment

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["attachments", "renew"]

_MEGABYTE: Final = 1_000_000
_PATIENCE_S: Final = 30.0
"""Writing a record takes about 4 seconds."""


def renew(incident: Incident, made: MessagePlan) -> str:
    """Writes the record anew where it goes with one of these messages and something happened since it was written.

    Returns
    -------
    str
        Why it could not be written: the one that is there goes with the mail. Empty where all is well.

    Raises
    ------
    Interrupted
        When somebody pressed Ctrl-C: nothing was sent.
    """
    from vmqlib.runbook.opening import write_record

    if not any(map(_with_record, made.deliveries)) or not _outdated(incident):
        return ""
    try:
        write_record(incident, deadline=_PATIENCE_S)
    except Interrupted:
        raise
    except VmqError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - people must be told, whatever is wrong with the record
        return f"{type(error).__name__}."
    return ""


def attachments(incident: Incident, delivery: Delivery) -> tuple[Attachment, ...]:
    """The record as it is on disk, up to the size that the settings allow, and what the plan brings."""
    if delivery.place != "mail":
        return ()
    page = incident.dir / PAGE
    most = incident.settings.email.attach_mb * _MEGABYTE
    if not _with_record(delivery) or not page.is_file() or page.stat().st_size > most:
        return delivery.attachments
    with storage_errors(page, "read"):
        content = page.read_bytes()
    name = f"{incident.id}.html"
    words = f"Attached: the record, {name}, {_as_of(incident)}."
    return (Attachment(name, content, "text/html", words), *delivery.attachments)


def _with_record(delivery: Delivery) -> bool:
    return delivery.place == "mail" and delivery.message.kind in ATTACHED


def _outdated(incident: Incident) -> bool:
    """Whether anything but messages is in the journal since the record was written."""
    told = told_until(incident.dir)
    return any(event.seq > told and event.step != "communicate" for event in incident.journal.events())


def _as_of(incident: Incident) -> str:
    from vmqlib.record.notebook import read_record

    try:
        at = datetime.fromisoformat(str(read_record(incident.dir / NOTEBOOK)["as_of"]))
    except (VmqError, KeyError, ValueError):
        return "as it was written last"
    return f"as of {moment(at)}"
