"""When a guardrail or content incident was over: by its own rule and the last look, and else not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.looks import NOW, chat, look
from support.records import FakeAws, MovingClock
from support.reviewed import History

from vmqlib.record.incident import Incident
from vmqlib.runbook.answers import answers
from vmqlib.runbook.communicate.plan import plan
from vmqlib.runbook.ended import no_more
from vmqlib.runbook.overview import Overview
from vmqlib.runbook.triggers.verdicts import Reason, Verdict
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY
from vmqlib.sources.base import Reading
from vmqlib.times import iso

BEGUN, MENDED = NOW - timedelta(hours=4), NOW
WEEKS = NOW - timedelta(days=21)


class Blocked:
    """A guardrail incident of which only the metrics are seen. Questions are blocked from BEGUN until MENDED."""

    def __init__(self, root: Path) -> None:
        self.clock = MovingClock(NOW - timedelta(hours=1))
        self.after = {"asked": 20.0, "blocked": 0.0}
        settings = Settings.load(incidents=root, app_id="a" * 36)
        aws: Any = FakeAws(self.clock)
        self.incident = Incident.open(
            settings,
            aws,
            trigger="guardrail",
            sources={"metrics": replace(REGISTRY["metrics"], read=self._read)},
        )
        self.incident.observe()

    def _read(self, *_: Any, **__: Any) -> Reading:
        rows = [
            *chat(WEEKS, BEGUN, asked=2),
            *chat(WEEKS, BEGUN, asked=0, blocked=1)[::23],
            *chat(BEGUN, min(MENDED, self.clock.at), asked=20, blocked=8),
            *(chat(MENDED, self.clock.at, **self.after) if self.clock.at > MENDED else []),
        ]
        return Reading("metrics", "test:Look", {}, [{**row, "at": iso(row["at"])} for row in rows])

    def look_at(self, moment: datetime) -> Incident:
        self.clock.at = moment
        self.incident.observe(refresh=True)
        return self.incident

    def told(self) -> str:
        (one,) = plan(self.incident, "resolved").deliveries
        return next(line for line in one.message.text.splitlines() if "impaired" in line)

    def since(self) -> str:
        made = self.incident
        again = Incident.load(made.id, settings=made.settings, sources=made.sources)
        overview = Overview(again)
        (line,) = next(one.lines for one in answers(overview) if one.question == "since")
        return line.text


def test_the_end_of_blocking_is_told_by_the_hour_with_its_source_and_as_of_when(tmp_path: Path) -> None:
    made = Blocked(tmp_path)
    made.look_at(NOW + timedelta(hours=4)).close("over")
    until = "until 2026-11-23 12:00 UTC"
    words = "since then no question was blocked, as of 2026-11-23 16:00 UTC (metrics, by the hour)"
    assert f"impaired from 2026-11-23 08:00 UTC {until}, 4 h" in made.told()
    assert words in made.told()
    assert until in made.since()
    assert words in made.since()


def test_what_goes_on_has_no_end(tmp_path: Path) -> None:
    made = Blocked(tmp_path)
    made.after = {"asked": 20.0, "blocked": 8.0}
    made.look_at(NOW + timedelta(hours=4)).close("given up")
    assert made.told().endswith("when that ended was not seen.")
    assert "until" not in made.since()


def test_nobody_asked_since_then_so_nothing_is_known(tmp_path: Path) -> None:
    made = Blocked(tmp_path)
    made.after = {"asked": 0.0}
    made.look_at(NOW + timedelta(hours=4)).close("over")
    assert made.told().endswith("when that ended was not seen.")


def test_what_somebody_reopened_was_not_over(tmp_path: Path) -> None:
    made = Blocked(tmp_path)
    incident = made.look_at(NOW + timedelta(hours=4))
    incident.close("over")
    made.clock.forward(minutes=10)
    incident.reopen("it is blocked again")
    incident.close("over, we think")
    assert made.told().endswith("impaired since 2026-11-23 08:00 UTC; when that ended was not seen.")
    assert "until" not in made.since()


FIRED = Verdict("content", "firing", BEGUN, "high", ())


def content(says: Any) -> Verdict:
    return Verdict("content", says, None, "high", (Reason(says, "", "documents"),))


def test_unauthorized_documents_are_gone_as_of_the_look_that_found_none() -> None:
    seen = {"documents": look("documents", [])}
    told, as_of = no_more(FIRED, content("quiet"), seen)
    assert told is not None
    assert (told.since, told.at) == (BEGUN, None)
    assert (
        told.words
        == "as of 2026-11-23 12:00 UTC no unauthorized content is in the index any more (documents)"
    )
    assert as_of == seen["documents"].at


@pytest.mark.parametrize("says", ["firing", "unknown"])
def test_where_the_rule_does_not_say_that_none_is_left_nothing_is_told(says: str) -> None:
    told, as_of = no_more(FIRED, content(says), {"documents": look("documents", [])})
    assert told is not None
    assert (told.since, told.at, told.words, as_of) == (BEGUN, None, "", None)


@pytest.mark.parametrize("was", [None, content("quiet"), content("unknown")])
def test_what_was_not_seen_to_begin_is_not_told_to_end(was: Verdict | None) -> None:
    assert no_more(was, content("quiet"), {"documents": look("documents", [])}) == (None, None)


def test_a_share_that_leaps_no_more_without_a_moment_is_no_end() -> None:
    """Few blocks against many questions: quiet, and nothing says since when."""
    quiet = Verdict("guardrail", "quiet", None, "medium", (Reason("quiet", "", "metrics"),))
    told, _ = no_more(replace(FIRED, trigger="guardrail"), quiet, {"metrics": look("metrics", [])})
    assert told is not None
    assert (told.since, told.at, told.words) == (BEGUN, None, "")


SYNCS = [("02:45", "02:47", "SUCCEEDED"), ("07:10", "07:14", "FAILED"), ("12:05", "12:31", "SUCCEEDED")]


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ("sync-failed", "until 2026-11-23 12:31 UTC, 5 h 17 min: then the first sync had succeeded again."),
        ("guardrail", ""),
    ],
)
def test_the_end_of_a_sync_is_the_end_of_what_syncs_broke_alone(
    tmp_path: Path, trigger: str, said: str
) -> None:
    made = History(tmp_path, syncs=SYNCS, rings=[("07:15", "ALARM"), ("12:40", "OK")], trigger=trigger)
    made.to("12:45").observe(refresh=True)
    made.incident.close("over")
    text = plan(made.incident, "resolved").deliveries[0].message.text
    assert (said in text) if said else ("until" not in text)
