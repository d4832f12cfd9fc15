"""``vmq schedule``: shows, asks, does, says; and its exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.sync_rig import CRON, SyncRig

from vmqlib.runbook import stabilize

OTHER = "cron(0 5 * * ? *)"


@pytest.fixture
def rig(local_aws: Any, point_at: Callable[[Any], None]) -> Iterator[SyncRig]:
    point_at(local_aws)
    rig = SyncRig(local_aws)
    rig.quiet()
    yield rig
    rig.quiet()


def test_there_and_back(command: Any, rig: SyncRig) -> None:
    identity = rig.incident.id
    planned = command("schedule", "disable", identity, "--plan", "--json")
    assert (planned.code, rig.schedule) == (0, CRON)
    assert planned.json["items"][0]["now"] == CRON
    digest = planned.json["digest"][:12]

    asked = command("schedule", "disable", identity)
    assert (asked.code, rig.schedule) == (2, CRON)
    assert "--yes" in asked.err
    assert CRON in asked.out
    assert f"Plan {digest}" in asked.err

    done = command("schedule", "disable", identity, "--digest", digest, "--yes")
    assert (done.code, rig.schedule) == (0, "")
    assert f"it was {CRON}" in done.out
    assert f"vmq schedule restore {identity}" in done.err

    shown = command("schedule", "show", identity)
    assert shown.code == 0
    assert f"it was {CRON}" in shown.out
    assert command("schedule", "show", identity, "--json").json[0]["switched_off"]["before"] == CRON

    closed = command("close", identity, "--force", "--reason", "x")
    assert closed.code == 1
    assert "schedule is as before" in closed.err
    assert f"vmq schedule restore {identity}" in closed.out
    assert "--schedule-off-reason" in closed.err

    back = command("schedule", "restore", identity, "--yes", "--json")
    assert (back.code, rig.schedule) == (0, CRON)
    assert back.json["done"][0]["after"] == CRON
    again = command("schedule", "restore", identity, "--yes")
    assert (again.code, rig.schedule) == (0, CRON)
    assert "Nothing is to be changed" in again.err
    # What the record and the next steps go by was looked at again.
    assert rig.again().observed("resources").available


def test_another_digest(command: Any, rig: SyncRig) -> None:
    done = command("schedule", "disable", rig.incident.id, "--digest", "0123456789ab", "--yes")
    assert (done.code, rig.schedule) == (4, CRON)


def test_somebody_set_it_meanwhile(command: Any, rig: SyncRig) -> None:
    command("schedule", "disable", rig.incident.id, "--yes")
    rig.schedule = OTHER
    done = command("schedule", "restore", rig.incident.id, "--yes")
    assert (done.code, rig.schedule) == (4, OTHER)
    assert OTHER in done.err
    assert CRON in done.err


def test_never_switched_off(command: Any, rig: SyncRig) -> None:
    done = command("schedule", "restore", rig.incident.id, "--yes")
    assert done.code == 2
    assert "--to" in done.err
    rig.schedule = ""
    assert command("schedule", "disable", rig.incident.id, "--yes").code == 0
    assert command("schedule", "restore", rig.incident.id, "--to", OTHER, "--yes").code == 0
    assert rig.schedule == OTHER


@pytest.mark.parametrize(
    "text",
    [
        "every now and then", "cron(…)", "cron(MINUTE HOUR * * ? *)", "cron(0 3 * * *)", "cron(0 3 * * * *)",
        "cron(60 3 * * ? *)", "cron(0 3 ? * FUN *)", "rate(0 days)", "rate(1 fortnight)",
    ],
)  # fmt: skip
def test_no_schedule_expression(command: Any, rig: SyncRig, text: str) -> None:
    rig.schedule = ""
    done = command("schedule", "restore", rig.incident.id, "--to", text, "--yes")
    assert (done.code, rig.schedule) == (2, "")
    assert "is no schedule expression" in done.err
    assert "'cron(0 3 * * ? *)' is daily at 03:00" in done.err
    assert rig.events("stabilize") == [], "AWS was not asked"


@pytest.mark.parametrize(
    "text",
    ["rate(1 day)", "rate(12 hours)", "cron(0/15 9-17 ? * MON-FRI *)", "cron(30 2 L 1,7 ? 2026-2030)"],
)
def test_schedule_expressions_that_aws_takes(command: Any, rig: SyncRig, text: str) -> None:
    rig.schedule = ""
    assert command("schedule", "restore", rig.incident.id, "--to", text, "--yes").code == 0
    assert rig.schedule == text


def test_a_slip_is_corrected(command: Any, rig: SyncRig) -> None:
    """What this incident itself set is nobody else's change."""
    rig.schedule = ""
    identity = rig.incident.id
    assert command("schedule", "restore", identity, "--to", "rate(1 day)", "--yes").code == 0
    shown = command("schedule", "show", identity)
    assert "set to rate(1 day)" in shown.out
    done = command("schedule", "restore", identity, "--to", OTHER, "--yes")
    assert (done.code, rig.schedule) == (0, OTHER)
    assert f"{identity} itself set it" in done.out
    assert command("schedule", "show", identity, "--json").json[0]["restored"]["after"] == OTHER
    rig.schedule = CRON
    theirs = command("schedule", "restore", identity, "--to", OTHER, "--yes")
    assert (theirs.code, rig.schedule) == (4, CRON)
    assert "set by somebody else" in theirs.err


def test_what_was_set_before_the_incident_is_not_laid_on_anybody(command: Any, rig: SyncRig) -> None:
    done = command("schedule", "restore", rig.incident.id, "--to", OTHER, "--yes")
    assert (done.code, rig.schedule) == (4, CRON)
    assert f"{rig.incident.id} did not set it" in done.err
    assert "somebody else" not in done.err


def test_a_change_that_was_cut_short_is_settled_first(command: Any, rig: SyncRig) -> None:
    data = {"action": "disable schedule", "item": rig.source, "before": CRON, "after": "", "digest": "d"}
    rig.incident.applying("stabilize", "Switch it off.", data)
    rig.schedule = ""
    shown = command("schedule", "show", rig.incident.id)
    assert "perhaps switched off" in shown.out
    assert "cut short" in shown.err
    done = command("schedule", "restore", rig.incident.id, "--yes")
    assert (done.code, rig.schedule) == (0, CRON)
    assert "A change that was cut short had been made" in done.err
    assert stabilize.schedules_off(rig.again()) == ()


def test_a_closed_incident_changes_nothing(command: Any, rig: SyncRig) -> None:
    rig.incident.close("done")
    done = command("schedule", "disable", rig.incident.id, "--yes")
    assert (done.code, rig.schedule) == (2, CRON)
