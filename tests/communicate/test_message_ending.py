"""The last message: from when to when, and what customers see now; nothing that was not seen."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from vmqlib.record.incident import Incident
from vmqlib.runbook.affectedconnectors import AffectedConnector
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.communicate.brief import brief
from vmqlib.runbook.communicate.ending import now
from vmqlib.runbook.communicate.plan import plan
from vmqlib.runbook.ended import recovered_at
from vmqlib.runbook.proof.results import AGREE
from vmqlib.runbook.validation import Validation
from vmqlib.runbook.validation.names import ALARM, QUESTION_CHECK, WEB


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 5, minute, tzinfo=UTC)


def jobs(*rows: tuple[str, str, int]) -> Any:
    frame = pd.DataFrame(
        [
            {"data_source_id": who, "status": how, "started_at": at(m), "ended_at": at(m + 1)}
            for who, how, m in rows
        ]
    )
    return SimpleNamespace(available=True, frame=frame)


def hit(*names: str) -> Any:
    return SimpleNamespace(
        connectors=tuple(AffectedConnector(one, one, hit=True, first_bad_at=at(10)) for one in names)
    )


@pytest.mark.parametrize(
    ("rows", "names", "expected"),
    [
        (
            [("a", "INCOMPLETE", 10), ("a", "FAILED", 20), ("a", "SUCCEEDED", 30), ("a", "SUCCEEDED", 40)],
            "a",
            31,
        ),
        ([("a", "SUCCEEDED", 5), ("a", "INCOMPLETE", 10)], "a", None),
        (
            [("a", "FAILED", 10), ("a", "SUCCEEDED", 20), ("b", "FAILED", 10), ("b", "SUCCEEDED", 25)],
            "ab",
            26,
        ),
        ([("a", "FAILED", 10), ("a", "SUCCEEDED", 20), ("b", "FAILED", 10)], "ab", None),
        ([("a", "FAILED", 10), ("a", "SYNCING", 20)], "a", None),
        ([("a", "SUCCEEDED", 10)], "", None),
    ],
)
def test_it_is_over_when_every_connector_has_synced_again(rows, names, expected) -> None:
    assert recovered_at(jobs(*rows), hit(*names)) == (None if expected is None else at(expected))


def test_without_a_sync_history_nothing_is_said_of_the_end() -> None:
    assert recovered_at(None, hit("a")) is None


def validation(*checks: tuple[str, bool | None], stale: str = "") -> Validation:
    return Validation(at(0), tuple(CheckResult(name, ok, "") for name, ok in checks), 1, stale)


def test_customers_see_what_was_asked_and_no_more() -> None:
    asked = ((QUESTION_CHECK, True), (QUESTION_CHECK, False), (WEB, True), (AGREE, None), (ALARM, False))
    told = [*now(validation(*asked))]
    assert told == [
        "The assistant answers 1 of 2 test questions as expected.",
        "The web experience is up.",
        "Whether the index holds what the bucket holds was not seen.",
        "Not every alarm is OK.",
    ]
    for nothing in (None, validation(*asked, stale="synced since"), validation((QUESTION_CHECK, None))):
        said = [*now(nothing)]
        assert said[0] == "Whether the assistant answers was not tested."
        assert all(line.startswith("Whether ") for line in said)


def test_a_closing_without_a_look_claims_nothing(incident: Incident) -> None:
    incident.close("over")
    (one,) = plan(incident, "resolved").deliveries
    assert "Whether the assistant answers was not tested." in one.message.text
    assert "impaired" not in one.message.text
    assert brief(incident).checked_at is None
