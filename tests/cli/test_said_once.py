"""A reason that several rows share is said once, and each other row says where."""

from __future__ import annotations

from typing import Any

import pytest

from vmqlib.cli.output import Once

WHY = "Access denied: cloudwatch:DescribeAlarms on * (AccessDeniedException)."


def test_a_reason_is_said_once_and_what_differs_always() -> None:
    once = Once()
    assert once(f"Alarms could not be seen: {WHY}", "alarm exists") == f"Alarms could not be seen: {WHY}"
    assert once(f"Alarms could not be seen: {WHY}", "sees") == "as above (alarm exists)."
    assert once(f"docs: not known: {WHY[:-1]}", "tells") == "docs: not known: as above (alarm exists)."
    assert once("docs: it is OK.", "a") == once("docs: it is OK.", "b"), (
        "short ones are read sooner than looked up"
    )
    other = WHY.replace("DescribeAlarms", "ListMetrics")
    assert once(other, "c") == other


@pytest.mark.slow
def test_the_doctor_says_why_alarms_are_not_seen_once(
    command: Any, local_aws: Any, point_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(local_aws)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    local_aws.faults.add("cloudwatch", "DescribeAlarms", code="AccessDenied")
    try:
        people, program = command("doctor"), command("doctor", "--json")
    finally:
        local_aws.faults.clear()
    alarms = people.out.split("\nAlarms\n", 1)[-1].split("\n\n", 1)[0]
    assert alarms.count("Access denied: cloudwatch:DescribeAlarms") <= 1
    assert "as above (" in alarms
    whole = [one for one in program.json["checks"] if "cloudwatch:DescribeAlarms" in one["finding"]]
    assert len(whole) > 1, "nothing is left out of --json"
    assert not any("as above" in one["finding"] for one in program.json["checks"])
