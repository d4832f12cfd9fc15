"""What an incident changed itself, from its journal."""

from __future__ import annotations

from pathlib import Path

from vmqlib.record.incident import Incident
from vmqlib.runbook.owndeeds import own_deeds
from vmqlib.settings import Settings


def test_each_change_is_told_once_with_its_ends(tmp_path: Path) -> None:
    incident = Incident.open(Settings.load(incidents=tmp_path), None, trigger="sync-failed")
    write = incident.journal.append
    off = {"action": "disable schedule", "digest": "d", "item": "ds"}
    write("applying", "Switch it off.", step="stabilize", data=off)
    write("applied", "It is off.", step="stabilize", data=off)
    on = {"action": "restore schedule", "digest": "e", "item": "ds"}
    write("applying", "Switch it on.", step="stabilize", data=on)
    write("failed", "It was refused.", step="stabilize", data=on)
    write("applying", "Put back.", step="rollback", data={"action": "rollback"})
    write("failed", "Stopped.", step="rollback", data={"action": "rollback"})
    write("applying", "Put back.", step="rollback", data={"action": "rollback"})
    write("applying", "Start a sync.", step="resync", data={"action": "sync"})
    write("applied", "Joined.", step="resync", data={"action": "sync", "execution_id": "x", "joined": True})
    write("applying", "Tell.", step="communicate", data={"action": "message"})
    write("applied", "Told.", step="communicate", data={"action": "message"})
    found = list(own_deeds(incident.journal.events()))
    assert [(one.kind, one.summary, one.target, one.ours) for one in found] == [
        ("schedule", "It is off", "ds", True),
        ("objects", "Stopped", "", True),
        ("sync", "Joined", "x", False),
    ]
    assert all(one.at <= one.until for one in found)
