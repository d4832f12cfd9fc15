"""The invitation is a file that calendars take: RFC 5545 on the wire, one appointment for an incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from support.records import MovingClock

from vmqlib.errors import BadInput
from vmqlib.record.incident import Incident
from vmqlib.runbook.retro import invitation
from vmqlib.runbook.retro.invitation import Meeting, calendar_file

Opened = Callable[..., Incident]


def event(content: bytes) -> Any:
    calendar: Any = Calendar.from_ical(content)
    (found,) = calendar.walk("VEVENT")
    return found


def test_it_is_an_appointment_of_half_an_hour(opened: Opened, clock: MovingClock) -> None:
    incident = opened()
    clock.forward(hours=2)
    incident.close()
    path = invitation(incident)
    assert path == incident.dir / "retro.ics"
    content = path.read_bytes()
    found = event(content)
    assert found.decoded("DTSTART") == datetime(2026, 11, 26, 10, tzinfo=UTC)
    assert found.decoded("DTEND") - found.decoded("DTSTART") == timedelta(minutes=30)
    assert found["DTSTART"].to_ical() == b"20261126T100000Z"
    assert found.decoded("DTSTAMP") == clock.now()
    assert "INC-20261123-001" in str(found["SUMMARY"])
    assert str(Calendar.from_ical(content)["METHOD"]) == "REQUEST"
    assert str(found["ORGANIZER"]) == "mailto:knowledge-ops@vaultmesh.io"
    assert [str(one) for one in found["ATTENDEE"]] == [
        "mailto:knowledge-ops@vaultmesh.io", "mailto:security@vaultmesh.io",
    ]  # fmt: skip
    assert incident.verify().findings == (), "it is under the manifest"


@pytest.mark.parametrize(
    ("closed_at", "zone", "expected"),
    [
        # Friday evening before Easter: the Monday is a holiday in Ireland, and the hour is one of summer time.
        ("2026-04-03T18:00Z", "Europe/Dublin", "2026-04-07T09:00Z"),
        # Friday evening before the clocks go back: ten o'clock is ten o'clock UTC again; that Monday is a holiday, too.
        ("2026-10-23T18:00Z", "Europe/Dublin", "2026-10-27T10:00Z"),
        # Late on Friday in UTC it is Saturday in Auckland.
        ("2026-11-27T23:00Z", "Pacific/Auckland", "2026-11-29T21:00Z"),
    ],
)
def test_a_calendar_reads_the_right_business_day(
    opened: Opened, clock: MovingClock, closed_at: str, zone: str, expected: str
) -> None:
    clock.at = datetime.fromisoformat(closed_at) - timedelta(hours=1)
    country = "NZ" if zone.startswith("Pacific") else "IE"
    incident = opened(retro={"country": country, "time_zone": zone, "business_day": 1})
    clock.forward(hours=1)
    incident.close()
    assert event(invitation(incident).read_bytes()).decoded("DTSTART") == datetime.fromisoformat(expected)


def test_it_says_where_the_record_is_and_no_path_of_this_machine(opened: Opened, tmp_path: Path) -> None:
    incident = opened()
    incident.close()
    text = str(event(invitation(incident).read_bytes())["DESCRIPTION"])
    assert text.endswith("Record: incident.html in the incident folder INC-20261123-001")
    assert str(tmp_path) not in text
    email = incident.settings.email.model_copy(update={"record_url": "https://records.example.com/"})
    incident.settings = incident.settings.model_copy(update={"email": email})
    text = str(event(invitation(incident).read_bytes())["DESCRIPTION"])
    assert text.endswith("Record: https://records.example.com/INC-20261123-001/incident.html")


def test_the_same_again_leaves_the_file(opened: Opened, clock: MovingClock) -> None:
    incident = opened()
    incident.close()
    before = invitation(incident).read_bytes()
    clock.forward(days=1)
    assert invitation(incident).read_bytes() == before


def test_reopened_and_closed_again_the_appointment_moves(opened: Opened, clock: MovingClock) -> None:
    incident = opened()
    incident.close()
    first = event(invitation(incident).read_bytes())
    incident.reopen("not over")
    with pytest.raises(BadInput, match="not closed"):
        invitation(incident)
    clock.forward(days=2)
    incident.close()
    second = event(invitation(incident).read_bytes())
    assert (first["UID"], int(first["SEQUENCE"]), int(second["SEQUENCE"])) == (second["UID"], 0, 1)
    assert second.decoded("DTSTART") > first.decoded("DTSTART")
    assert incident.verify().ok


@pytest.mark.parametrize("content", [b"", b"not a calendar", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"])
def test_a_broken_one_is_replaced(opened: Opened, content: bytes) -> None:
    incident = opened()
    incident.close()
    (incident.dir / "retro.ics").write_bytes(content)
    assert event(invitation(incident).read_bytes())["UID"]


def test_who_is_no_address_is_not_asked(opened: Opened) -> None:
    incident = opened(
        retro={"organizer": "#ops", "attendees": ["#ops", "a@b.io\r\nATTENDEE:x", "dana@vaultmesh.io"]}
    )
    incident.close()
    content = invitation(incident).read_bytes()
    assert b"METHOD:PUBLISH" in content
    assert b"ATTENDEE" not in content
    assert b"ORGANIZER" not in content


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=300)


@given(TEXT, TEXT, st.integers(1_700_000_000, 2_000_000_000))
def test_on_the_wire(summary: str, description: str, second: int) -> None:
    start = datetime.fromtimestamp(second, UTC)
    what = Meeting("uid@x", start, timedelta(minutes=30), f"s{summary}", f"{description}\nsecond; line, of \\ it",
                   organizer="a@b.io", attendees=("c@d.io",))  # fmt: skip
    content = calendar_file(what, start, 2)
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert b"\n" not in b"".join(lines), "CRLF alone ends a line"
    assert all(len(line) <= 75 for line in lines), "folded at 75 octets"
    content.decode("utf-8")
    found = event(content)
    assert str(found["SUMMARY"]) == what.summary
    assert str(found["DESCRIPTION"]) == what.description
    names = [line.partition(b":")[0] for line in lines if not line.startswith(b" ")]
    assert names.count(b"BEGIN") == 2
    assert content == calendar_file(what, start, 2)


def test_a_title_cannot_add_lines(opened: Opened) -> None:
    incident = opened("x\r\nATTENDEE:mailto:all@vaultmesh.io\x00\x1b[31m\u202e")
    incident.close()
    content = invitation(incident).read_bytes()
    assert content.count(b"\r\nATTENDEE") == 2
    assert not set(content) & {0, 0x1B}
