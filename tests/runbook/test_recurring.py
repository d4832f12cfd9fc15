"""When failures are recurring: so many of the last so many syncs, for the same cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from vmqlib.errors import SettingsError
from vmqlib.runbook.stabilize import recurring
from vmqlib.settings import Settings, StabilizeRule
from vmqlib.sources import logs, syncjobs
from vmqlib.sources.base import frame
from vmqlib.times import iso

BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
RULE = StabilizeRule()
DENIED = "User is not authorized to perform: s3:GetObject on 's3://kb/acl.json'"


def history(*ends: tuple[str, str], source: str = "docs") -> pd.DataFrame:
    """Jobs an hour apart, oldest first: status and error message of each."""
    rows = [
        dict.fromkeys(syncjobs.SOURCE.columns)
        | {
            "data_source_id": source, "execution_id": f"job-{number}", "status": status, "error_message": message,
            "error_code": "InvalidRequest" if message else "", "started_at": iso(BEGIN + timedelta(hours=number)),
        }
        for number, (status, message) in enumerate(ends)
    ]  # fmt: skip
    return frame(syncjobs.SOURCE, rows)


def report(*failed: tuple[int, str, int]) -> pd.DataFrame:
    """Failing documents: the job's number, the message, and how many."""
    rows = [
        dict.fromkeys(logs.DOCUMENT_REPORT.columns)
        | {
            "execution_id": f"job-{job}", "status": "FAILED", "message": f"{message} {number}.md",
            "document_id": f"{job}-{number}", "at": iso(BEGIN),
        }
        for job, message, count in failed
        for number in range(count)
    ]  # fmt: skip
    return frame(logs.DOCUMENT_REPORT, rows)


GOOD, BAD = ("SUCCEEDED", ""), ("FAILED", DENIED)


def told(*ends: tuple[str, str], seen: pd.DataFrame | None = None, **more: Any) -> str:
    found = recurring(history(*ends), seen, more.pop("rule", RULE), **more)
    return found.sentence if found else ""


def test_three_of_the_last_four() -> None:
    said = told(GOOD, BAD, GOOD, BAD, BAD)
    assert said.startswith("3 of the last 4 syncs failed with the same error: ")
    assert "not authorized" in said
    assert "acl.json" not in said, "what names one document is no part of the cause"


@pytest.mark.parametrize(
    "ends",
    [
        (),
        (GOOD, GOOD),
        (BAD, BAD),
        (BAD, BAD, BAD, GOOD, GOOD),  # it was so once
        (BAD, ("FAILED", "The bucket does not exist."), BAD, GOOD),  # for different causes
        (BAD, BAD, ("SYNCING", ""), ("ABORTED", "")),  # who runs or was stopped did not fail
    ],
)
def test_not_recurring(ends: tuple[tuple[str, str], ...]) -> None:
    assert told(*ends) == ""


def test_a_stopped_one_takes_no_place() -> None:
    assert told(BAD, BAD, ("ABORTED", ""), BAD).startswith("3 of the last 3")


def test_an_incomplete_one_has_the_error_of_most_of_its_documents() -> None:
    left_out = ("INCOMPLETE", "")
    seen = report((0, "Metadata cannot be read:", 9), (1, "Metadata cannot be read:", 8), (1, "Too large:", 2),
                  (2, "Metadata cannot be read:", 3))  # fmt: skip
    said = told(left_out, left_out, left_out, seen=seen)
    assert said.startswith("3 of the last 3 syncs failed with the same error: Metadata cannot be read")
    other = report(
        (0, "Metadata cannot be read:", 9), (1, "Too large:", 2), (2, "Metadata cannot be read:", 3)
    )
    assert told(left_out, left_out, left_out, seen=other) == ""


def test_what_the_evidence_does_not_reach_is_said() -> None:
    left_out = ("INCOMPLETE", "")
    seen = report((1, "Throttled:", 2), (2, "Throttled:", 5))
    assert "as far as the evidence reaches (2 of them)" in told(left_out, left_out, left_out, seen=seen)
    assert told(left_out, left_out, left_out) == "", "nothing is known of any of them"
    assert told(left_out, left_out, left_out, seen=report((2, "Throttled:", 5))) == "", "one is not recurring"


def test_each_data_source_for_itself() -> None:
    both = pd.concat([history(BAD, BAD), history(BAD, GOOD, source="wiki")])
    assert recurring(both, None, RULE, "docs") is None
    assert recurring(both, None, RULE) is not None


def test_how_many_is_a_setting() -> None:
    assert told(BAD, BAD, rule=StabilizeRule(recurring_failures=2)).startswith("2 of the last 2")
    assert Settings.load(stabilize={"recurring_failures": 2, "recurring_of": 2}).stabilize.recurring_of == 2
    with pytest.raises(SettingsError, match="stabilize") as wrong:
        Settings.load(stabilize={"recurring_failures": 5})
    assert "recurring_failures not above recurring_of" in wrong.value.hint
    with pytest.raises(SettingsError) as wrong:
        Settings.load(stabilize={"recurring_of": 0})
    assert "at least 1" in wrong.value.hint
