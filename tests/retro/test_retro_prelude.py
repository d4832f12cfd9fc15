"""What the operations runbook tells of the time before an incident was opened."""

from __future__ import annotations

from pathlib import Path

from support.reviewed import History

from vmqlib.errors import AccessDenied
from vmqlib.record.incident import Incident
from vmqlib.runbook.operationsrunbook import preview
from vmqlib.runbook.prelude import prelude
from vmqlib.settings import Settings

SYNCS = [("02:45", "02:47", "SUCCEEDED"), ("07:10", "07:14", "FAILED"), ("12:05", "12:31", "SUCCEEDED")]


def history(tmp_path: Path, **more: object) -> History:
    given = {"syncs": SYNCS, "rings": [("07:15", "ALARM"), ("12:40", "OK")], **more}
    return History(tmp_path / "incidents", operations_runbook=tmp_path / "RUNBOOK.md", **given)  # type: ignore[arg-type]


def rows(made: History) -> list[str]:
    return [line for line in preview(made.incident).entry.splitlines() if line.startswith("| 2026")]


def test_the_timeline_begins_with_the_first_bad_sign_and_the_alarm(tmp_path: Path) -> None:
    made = history(tmp_path)
    made.to("12:45").observe(refresh=True)
    made.incident.close()
    first, alarm, opened, *_ = rows(made)
    assert first.startswith("| 2026-11-23 07:14:00 | First bad sign; as known at the opening: ")
    assert "newest sync is FAILED" in first
    assert " ago" not in first
    assert alarm == "| 2026-11-23 07:15:00 | QBusinessSyncFailed went into ALARM. |"
    assert "Opened INC-" in opened


def test_it_is_the_same_by_whatever_settings_the_entry_is_made(tmp_path: Path) -> None:
    made = history(tmp_path)
    made.to("12:45").observe(refresh=True)
    made.incident.close()
    told = rows(made)
    other = Settings.load(
        incidents=made.settings.incidents,
        operations_runbook=tmp_path / "RUNBOOK.md",
        alarms={"sync_failed": "Another"},
    )
    again = Incident.load(made.incident.id, settings=other)
    assert [line for line in preview(again).entry.splitlines() if line.startswith("| 2026")] == told


def test_what_was_not_seen_is_not_told(tmp_path: Path) -> None:
    denied = AccessDenied("Not allowed.", hint="Grant it.", operation="x:Y")
    made = history(tmp_path, failing=dict.fromkeys(("sync-jobs", "alarms", "alarm-history"), denied))
    made.to("12:45").close()
    assert prelude(made.incident, tuple(made.incident.journal.events())) == []
    assert "Opened INC-" in rows(made)[0]


def test_a_schedule_that_was_put_back_is_told_once(tmp_path: Path) -> None:
    made = history(tmp_path)
    off, back = (
        {"action": f"{verb} schedule", "item": "ds", "digest": verb} for verb in ("disable", "restore")
    )
    made.to("09:10").applied("stabilize", "The schedule is off.", off)
    made.to("12:40").applied("stabilize", "The schedule is on again.", back)
    made.incident.undone("stabilize", "The switching off is taken back.", off)
    made.incident.close()
    told = " ".join(rows(made))
    assert "The schedule is on again." in told
    assert "taken back" not in told


def test_the_names_of_changes_are_those_of_the_steps_that_make_them() -> None:
    from vmqlib.runbook import alarmwatch
    from vmqlib.runbook.keyevents import SWITCHED_OFF, WAITING
    from vmqlib.runbook.proof.keeping import ACTION
    from vmqlib.runbook.stabilize.story import ACTIONS

    assert ACTIONS["disable"] == SWITCHED_OFF
    assert WAITING == (ACTION, alarmwatch.ACTION)
