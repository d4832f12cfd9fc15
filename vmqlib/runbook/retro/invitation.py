"""The invitation to the review: ``retro.ics`` (RFC 5545 and 5546), which calendars take from a mail or a file.

Times are UTC, so that no time zone has to be explained to anybody's calendar.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vmqlib.errors import BadInput
from vmqlib.record import manifest
from vmqlib.record.storage import storage_errors, write_atomically
from vmqlib.runbook.recordplace import record_address
from vmqlib.runbook.retro.slot import retro_slot, slot_rule
from vmqlib.runbook.wording import one_line
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["INVITATION", "Meeting", "appointment", "calendar_file", "invitation", "meeting"]

INVITATION = "retro.ics"
"""The invitation's file in the incident's folder."""

_T = TypeVar("_T")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z")
_SPACE = uuid.UUID("6c1d8b0e-6d43-5e0b-9d5e-7c3a1f5b2a90")


@dataclass(frozen=True)
class Meeting:
    """The review as an appointment.

    Parameters
    ----------
    uid:
        The same for an incident, always: a calendar moves the appointment that it has.
    start:
        When it begins, UTC.
    length:
        How long it is.
    summary, description, location:
        What it is called, what it is about (of several lines), where it is.
    organizer:
        An e-mail address, or ``""``.
    attendees:
        E-mail addresses.
    """

    uid: str
    start: datetime
    length: timedelta
    summary: str
    description: str = ""
    location: str = ""
    organizer: str = ""
    attendees: tuple[str, ...] = ()


def meeting(incident: Incident) -> Meeting:
    """The review of a closed incident, by the settings' rule.

    Raises
    ------
    BadInput
        When the incident is not closed.
    SettingsError
        When the settings name a country that has no calendar.
    """
    state, rule = incident.state, incident.settings.retro
    if state.closed_at is None or state.opened_at is None:
        raise BadInput(
            f"{incident.id} is not closed.", hint=f"The review comes after that: `vmq close {incident.id}`."
        )
    title = one_line(incident.identity.title, 200)
    about = [
        f"Post-incident review of {incident.id}: {title}",
        f"{state.severity}, opened {show_time(state.opened_at)}, closed {show_time(state.closed_at)}.",
        "What happened, how long each part took, what went well and badly, where we were lucky; action items.",
        f"Prepare it: vmq retro {incident.id}",
        f'Add what you want to say: vmq note {incident.id} --retro badly "…", vmq note {incident.id} --action "…"',
        # Others read this: a path of this machine would tell them nothing.
        f"Record: {record_address(incident) or f'incident.html in the incident folder {incident.id}'}",
    ]
    return Meeting(
        uid=f"{uuid.uuid5(_SPACE, f'{incident.id} {state.opened_at.isoformat()}')}@vaultmesh-q",
        start=retro_slot(state.closed_at, slot_rule(rule)),
        length=timedelta(minutes=rule.duration_minutes),
        summary=f"Post-incident review {incident.id}: {title}",
        description="\n".join(one_line(line, 1_000) for line in about),
        location=one_line(rule.location, 300),
        **_people(incident.settings),
    )


def _people(settings: Settings) -> dict[str, Any]:
    """Who asks and who is asked; what is no e-mail address (a Slack channel) cannot be asked by a calendar."""
    contacts = settings.contacts
    organizer = settings.retro.organizer or contacts.knowledge_ops
    asked = settings.retro.attendees or (contacts.knowledge_ops, contacts.security)
    return {
        "organizer": organizer if _ADDRESS.match(organizer) else "",
        "attendees": tuple(dict.fromkeys(one for one in asked if _ADDRESS.match(one))),
    }


def calendar_file(what: Meeting, made_at: datetime, sequence: int = 0) -> bytes:
    """The meeting as an iCalendar file. Pure.

    Parameters
    ----------
    made_at:
        When this version of it was made, UTC.
    sequence:
        Its number: a calendar takes a higher one in place of the one that it has.
    """
    from icalendar import Calendar, Event, vCalAddress, vText

    from vmqlib import __version__

    calendar, event = Calendar(), Event()
    calendar.add("prodid", f"-//VaultMesh//vmqlib {__version__}//EN")
    calendar.add("version", "2.0")
    # RFC 5546: a request is one to somebody, by somebody; what is only shown has no attendees.
    request = bool(what.organizer and what.attendees)
    calendar.add("method", "REQUEST" if request else "PUBLISH")
    event.add("uid", what.uid)
    event.add("dtstamp", made_at.replace(microsecond=0))
    event.add("sequence", sequence)
    event.add("dtstart", what.start)
    event.add("dtend", what.start + what.length)
    event.add("summary", what.summary)
    event.add("description", what.description)
    if what.location:
        event.add("location", what.location)
    event.add("status", "CONFIRMED")
    event.add("transp", "OPAQUE")
    if what.organizer:
        event.add("organizer", vCalAddress(f"mailto:{what.organizer}"), encode=False)
    for address in what.attendees if request else ():
        attendee = vCalAddress(f"mailto:{address}")
        asked = {"role": "REQ-PARTICIPANT", "partstat": "NEEDS-ACTION", "rsvp": "TRUE"}
        for name, value in asked.items():
            attendee.params[name] = vText(value)
        event.add("attendee", attendee, encode=False)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def invitation(incident: Incident) -> Path:
    """Writes the invitation into the incident's folder. The same again leaves the file; another time, or other words,
    get a higher number, so that a calendar moves what it has.

    Raises
    ------
    BadInput, SettingsError
        As :func:`meeting` does.
    StorageError
        When the disk refuses.
    """
    what, path = meeting(incident), incident.dir / INVITATION
    made_at = incident.clock.now()
    before = _read(path, _version)
    number = 0
    if before is not None:
        old_number, old_made_at = before
        with storage_errors(path, "read"):
            same = path.read_bytes() == calendar_file(what, old_made_at, old_number)
        if same:
            if not manifest.holds(incident.dir, path):  # killed before it was sealed
                incident.reseal([path])
            return path
        number = old_number + 1
    write_atomically(path, calendar_file(what, made_at, number))
    incident.reseal([path])
    return path


def appointment(incident: Incident) -> datetime | None:
    """When the review begins, as the invitation that was written says; ``None`` where there is none to be read."""
    return _read(incident.dir / INVITATION, lambda event: event.decoded("DTSTART"))


def _version(event: Any) -> tuple[int, datetime]:
    """The number of an invitation, and when it was made."""
    return int(event["SEQUENCE"]), event.decoded("DTSTAMP")


def _read(path: Path, what: Callable[[Any], _T]) -> _T | None:
    """Something of the invitation that is there; ``None`` where there is none, or it cannot be read."""
    if not path.exists():
        return None
    from icalendar import Calendar

    try:
        with storage_errors(path, "read"):
            found: Any = Calendar.from_ical(path.read_bytes())
        (event,) = found.walk("VEVENT")
        return what(event)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
