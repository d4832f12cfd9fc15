"""The last good sync of a content incident: the one before what is unauthorized came in, wherever it is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from support.looks import DS, NOW, document, job, look

from vmqlib import view
from vmqlib.runbook.affected import affected_by
from vmqlib.runbook.keptversions import kept_last_good
from vmqlib.runbook.lastgood import came_in, doubt, good_before
from vmqlib.runbook.nextsteps import Facts, plan_next
from vmqlib.runbook.rollback.target import last_good
from vmqlib.runbook.triggers import detect
from vmqlib.settings import Settings
from vmqlib.times import iso

GOOD = job("SUCCEEDED", NOW - timedelta(hours=9))
TAINTED = job("SUCCEEDED", NOW - timedelta(hours=5))
LATER = job("SUCCEEDED", NOW - timedelta(hours=1))
CAUSE = f"content/{DS}/{TAINTED['execution_id']}"


def incident(trigger: str = "content", cause: str = CAUSE, *, mended: bool = False) -> Any:
    """One whose index got what it must not hold with the second of three syncs that SUCCEEDED."""
    documents = [document("guides/a.md") | {"created_at": NOW - timedelta(days=3)}]
    if not mended:
        documents.append(document("ci/a.json") | {"created_at": TAINTED["started_at"] + timedelta(minutes=1)})
    seen = {
        "sync-jobs": look("sync-jobs", [GOOD, TAINTED, LATER]),
        "documents": look("documents", documents),
    }
    return SimpleNamespace(
        identity=SimpleNamespace(trigger=trigger, cause=cause, data_source_id=DS, opened_at=NOW),
        state=SimpleNamespace(opened_at=NOW),
        sources=seen, judged_by=Settings(ds_id=DS, bucket_name="kb1"), seen_at=NOW,
        observed=seen.__getitem__, observations=lambda: seen,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "good"),
    [
        (incident(), GOOD),
        (incident(cause=""), GOOD),  # opened by hand: what fires says it
        (incident(mended=True), GOOD),  # what it was opened for says it, also afterwards
        (incident(cause="alarm/some"), GOOD),
        (incident("sync-failed", ""), LATER),
        (incident(cause="", mended=True), LATER),
    ],
)
def test_every_place_tells_the_same_last_good_sync(made: Any, good: dict[str, Any]) -> None:
    assert kept_last_good(made).at == good["started_at"]
    assert good_before(made) > good["started_at"]
    found = affected_by(made, detect(made.observations(), made.judged_by, NOW, triggers=["content"]))
    assert [one.last_good_at for one in found.connectors] == [good["started_at"]]


def test_a_sync_of_which_nobody_knows_is_not_called_good() -> None:
    """Opened by hand, after what was unauthorized had gone: LATER SUCCEEDED while it was there, and nothing says so."""
    made = incident(cause="", mended=True)
    assert "is not known" in doubt(made)
    since = kept_last_good(made)
    assert since.at == LATER["started_at"]
    assert "the last sync that SUCCEEDED" in since.why
    assert "not known" in since.why
    target = last_good([row_of(one) for one in (GOOD, TAINTED, LATER)], NOW, doubt=doubt(made))
    assert "last good" not in target.why
    assert "not known" in target.why
    found = affected_by(made, detect(made.observations(), made.judged_by, NOW, triggers=["content"]))
    text = view.affected(found).text
    assert "last good" not in text
    assert "That it was good is not known" in text
    for told in (incident(), incident(mended=True), incident("sync-failed", "")):
        assert doubt(told) == ""


def row_of(one: dict[str, Any]) -> dict[str, Any]:
    """A job as an evidence file has it."""
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in one.items()}


def test_what_no_sync_took_in_yet_came_in_when_it_was_made() -> None:
    at = NOW - timedelta(minutes=20)
    found = came_in(incident(cause=f"content/{DS}/{at.isoformat()}"))
    assert found is not None
    assert (found.at, found.by_sync) == (at, False)
    assert came_in(incident(cause=f"content/{DS}/unknown")) is None
    assert came_in(incident(cause="content/other/" + CAUSE.rpartition("/")[2])) is None


def facts(**more: Any) -> Facts:
    at: datetime = GOOD["started_at"]
    known: dict[str, Any] = {
        "incident_id": "INC-1", "data_source_id": DS, "bucket": "kb1", "about": ("content",), "changed": 12,
        "last_status": "SUCCEEDED", "last_good_at": at, "content_at": TAINTED["started_at"],
    }  # fmt: skip
    return Facts(**known | more)


def test_a_rollback_to_before_it_is_proposed_with_its_exact_time() -> None:
    (step,) = [one for one in plan_next(facts()) if one.step.startswith("3")]
    at = GOOD["started_at"]
    assert step.command == f"vmq rollback plan INC-1 --to {at:%Y-%m-%dT%H:%M:%S}.000000Z"
    assert "12 objects changed" in step.why
    for without in ({"content_at": None}, {"changed": 0}, {"about": ()}):
        assert not [one for one in plan_next(facts(**without)) if one.step.startswith("3")]
