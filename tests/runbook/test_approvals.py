"""What opening an incident may do beyond looking: nothing by default, and what was approved exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from vmqlib.aws import Aws
from vmqlib.errors import BadInput, Interrupted, WorldChanged
from vmqlib.record.incident import Incident
from vmqlib.runbook import opening, rollback
from vmqlib.runbook.approvals import approved_steps, remedy, why_not_planned
from vmqlib.runbook.nextsteps import next_steps
from vmqlib.settings import Settings

VICTIM = "phases-mirage.md"


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ((), ()),
        ([], ()),
        ("", ()),
        (["rollback"], ("rollback",)),
        ("rollback", ("rollback",)),
        (" rollback ,rollback,", ("rollback",)),
        (("rollback", "rollback"), ("rollback",)),
    ],
)
def test_steps_come_as_a_list_or_with_commas(given: Any, steps: tuple[str, ...]) -> None:
    assert approved_steps(given) == steps


@pytest.mark.parametrize("given", ["rolback", ["rollback", "resync"], "all", [1], [None], ["rollback\n"[:4]]])
def test_an_unknown_step_is_refused_with_those_that_there_are(given: Any) -> None:
    with pytest.raises(BadInput, match="to approve") as refused:
        approved_steps(given)
    assert "rollback" in refused.value.hint


def test_nothing_can_be_carried_out_offline(tmp_path: Any) -> None:
    with pytest.raises(BadInput, match="Offline"):
        opening.begin("INC-20261123-001", incidents=str(tmp_path), offline=True, approve="rollback")


pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def fresh(start_local_aws: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: start_local_aws("sync-failed")


@pytest.fixture
def broken(fresh: Callable[[], Any], point_at: Callable[[Any], None]) -> Any:
    """A local AWS with a bad promotion, for this test alone."""
    aws = fresh()
    point_at(aws)
    return aws


def listing() -> list[Any]:
    """Every version and marker of the bucket."""
    pages = (
        boto3.client("s3").get_paginator("list_object_versions").paginate(Bucket=Settings.load().bucket_name)
    )
    return [
        (kind, one["Key"], one["VersionId"], one["IsLatest"])
        for page in pages
        for kind in ("Versions", "DeleteMarkers")
        for one in page.get(kind, [])
    ]


def opened(tmp_path: Any, trigger: str = "sync-failed") -> Incident:
    settings = Settings.load(incidents=tmp_path / "incidents")
    incident = opening.open_incident(settings, Aws(settings), trigger=trigger)
    incident.observe(["sync-jobs", "resources", "versions", "document-report", "alarms"])
    return incident


@pytest.mark.slow
class TestOnTheLocalAws:
    def test_looking_plans_and_changes_nothing_approved_it_is_done_once(
        self, broken: Any, tmp_path: Any
    ) -> None:
        before = listing()
        other = opened(tmp_path, "guardrail")
        assert remedy(other).outcome == "none"
        assert rollback.status(other).state == "none"

        incident = opened(tmp_path)
        broken.faults.add("s3", "ListObjectVersions", status=403, code="AccessDenied")
        denied = remedy(incident)
        assert denied.stopped is None, "looking is what was asked for"
        assert "s3:ListBucketVersions" in why_not_planned(incident)
        refused = remedy(incident, ("rollback",)).stopped
        assert refused is not None
        assert refused.exit_code == 3
        broken.faults.clear()

        seen = remedy(incident)
        assert why_not_planned(incident) == ""
        assert listing() == before
        assert seen.plan is not None
        assert seen.plan.changes > 100
        assert (seen.outcome, seen.stopped) == ("planned", None)
        (step,) = [one for one in next_steps(incident) if one.step.startswith("3")]
        assert step.command == f"vmq rollback apply {incident.id} --digest {seen.plan.digest[:12]}"
        assert remedy(incident, again=False).plan.digest == seen.plan.digest

        done = remedy(incident, ("rollback",))
        assert done.outcome == "applied"
        assert done.stopped is None
        assert done.verification is not None
        assert done.verification.ok
        after = listing()
        assert len(after) == len(before) + seen.plan.changes, (
            "every version is still there, and one more for each key"
        )
        assert {one[:3] for one in before} <= {one[:3] for one in after}
        seen_now = incident.observed("versions").frame
        newest = seen_now[seen_now["is_latest"] & (seen_now["key"] == VICTIM)].iloc[0]
        assert ("Versions", VICTIM, newest["version_id"], True) in after, "the record shows what is there now"

        again = remedy(incident, ("rollback",))
        assert again.applied is not None
        assert listing() == after, "running a cell again does not roll back again"

    def test_what_somebody_else_wrote_meanwhile_is_left_alone(self, broken: Any, tmp_path: Any) -> None:
        incident = opened(tmp_path)
        s3, bucket = boto3.client("s3"), Settings.load().bucket_name
        told: list[str] = []

        def progress(words: str) -> None:
            if "inspecting" in words and not any("inspecting" in one for one in told):
                s3.put_object(Bucket=bucket, Key=VICTIM, Body=b"mended by hand")
            told.append(words)

        done = remedy(incident, ("rollback",), progress=progress)
        assert isinstance(done.stopped, WorldChanged)
        assert done.outcome == "changed"
        assert s3.get_object(Bucket=bucket, Key=VICTIM)["Body"].read() == b"mended by hand"
        assert any(words.startswith("rolling back: ") for words in told)
        assert rollback.status(incident).applied.changed == 1

    def test_an_interrupted_one_says_how_to_go_on(self, broken: Any, tmp_path: Any, monkeypatch: Any) -> None:
        incident = opened(tmp_path)
        real = rollback.apply

        def cut_short(*given: Any, **more: Any) -> Any:
            import threading

            stop = threading.Event()
            more["progress"] = lambda now: stop.set() if now.decided > 10 else None
            return real(*given, **more, stop=stop, rate=200)

        monkeypatch.setattr(rollback, "apply", cut_short)
        done = remedy(incident, ("rollback",))
        assert isinstance(done.stopped, Interrupted)
        assert f"vmq rollback resume {incident.id}" in done.stopped.hint
        (step,) = [one for one in next_steps(incident) if one.step.startswith("3")]
        assert step.command == f"vmq rollback resume {incident.id}"
        rollback.resume(incident)
        assert rollback.verify(incident).ok
