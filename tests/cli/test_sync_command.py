"""``vmq sync``: start, wait, stop, history, as people and scripts meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.sync_rig import SyncRig

from vmqlib.cli.syncprogress import EVERY, Lines, _Bars
from vmqlib.errors import Throttled, Unreachable
from vmqlib.runbook import resync
from vmqlib.simulator.qbusiness import Pace

UNKNOWN = "11111111-1111-1111-1111-111111111111"
AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def rig(local_aws: Any, point_at: Callable[[Any], None]) -> Iterator[SyncRig]:
    point_at(local_aws)
    rig = SyncRig(local_aws)
    rig.quiet()
    yield rig
    rig.quiet()


class TestStart:
    def test_the_small_plan_then_the_id(self, command: Any, rig: SyncRig) -> None:
        asked = command("sync", "start")
        assert asked.code == 2
        for words in ("ACTIVE", "schedule cron(35 2 * * ? *)", "usually ", "--yes"):
            assert words in asked.err
        done = command("sync", "start", "--yes")
        assert (done.code, done.out.strip()) == (0, rig.jobs()[-1].execution_id)
        again = command("sync", "start", "--yes", "--json")
        assert again.json["joined"]
        assert again.json["owner"] == "another's"
        assert "a start joins it" in again.err

    def test_of_an_incident_twice_is_one_job(self, command: Any, rig: SyncRig) -> None:
        first = command("sync", "start", "--incident", rig.incident.id, "--yes")
        second = command("sync", "start", "--incident", rig.incident.id, "--yes")
        assert first.out == second.out
        assert f"ours: {rig.incident.id} started it" in second.err
        assert f"vmq sync wait --incident {rig.incident.id}" in second.err

    def test_not_active(self, command: Any, rig: SyncRig) -> None:
        rig.resource().status = "FAILED"
        done = command("sync", "start", "--yes")
        assert done.code == 1
        assert "is FAILED" in done.err

    def test_half_a_rollback(self, command: Any, rig: SyncRig, monkeypatch: pytest.MonkeyPatch) -> None:
        from vmqlib.runbook import rollback
        from vmqlib.runbook.rollback.results import Status

        monkeypatch.setattr(
            rollback, "status", lambda _: Status(state="unfinished", command="vmq rollback resume X")
        )
        words = ("sync", "start", "--incident", rig.incident.id, "--yes")
        refused = command(*words)
        assert refused.code == 4
        assert "vmq rollback resume X" in refused.err
        assert "--despite-rollback" in refused.err
        assert command(*words, "--despite-rollback", "agreed").code == 0

    def test_several_of_which_one_is_unknown(self, command: Any, rig: SyncRig) -> None:
        done = command(
            "sync", "start", "--data-source", rig.source, "--data-source", UNKNOWN, "--yes", "--json"
        )
        assert done.code == 3
        good, bad = done.json
        assert good["execution_id"] == rig.jobs()[-1].execution_id
        assert bad["data_source_id"] == UNKNOWN
        assert "does not exist" in bad["error"]

    def test_all_and_one_do_not_go_together(self, command: Any, rig: SyncRig) -> None:
        assert command("sync", "start", "--all", "--data-source", rig.source, "--yes").code == 2


class TestWait:
    def test_after_a_crash_the_incidents_job_is_found(self, command: Any, rig: SyncRig) -> None:
        """The journal announced the start, and the process died: the job is found by when it began."""
        incident = rig.incident
        rig.local.faults.add("qbusiness", "StartDataSourceSyncJob", reset=True, after=True)
        rig.local.faults.add("qbusiness", "ListDataSourceSyncJobs", reset=True)
        with pytest.raises(resync.OutcomeUnknown):
            resync.journaled_start(incident, rig.aws, rig.settings, rig.source, patience=rig.patience(0))
        rig.local.faults.clear()
        rig.local.clock.advance(timedelta(hours=1))
        command("sync", "start", "--yes")  # somebody else's, newer
        done = command("sync", "wait", "--incident", incident.id, "--json")
        assert (done.code, done.json["status"]) == (0, "SUCCEEDED")
        assert done.json["execution_id"] == rig.jobs()[-2].execution_id
        assert resync.begun(incident)[rig.source].ended

    def test_waits_for_the_journaled_job_and_tells_the_journal(self, command: Any, rig: SyncRig) -> None:
        started = command("sync", "start", "--incident", rig.incident.id, "--yes")
        rig.local.clock.advance(timedelta(hours=1))
        done = command("sync", "wait", "--incident", rig.incident.id)
        assert done.code == 0
        assert done.out.startswith("The sync ended as SUCCEEDED after ")
        said = [event.summary for event in rig.incident.journal.events() if event.kind == "verified"]
        assert said[-1].startswith("The sync")
        assert " SUCCEEDED after " in said[-1]
        assert resync.begun(rig.incident)[rig.source].execution_id == started.out.strip()
        assert resync.begun(rig.incident)[rig.source].ended
        events = len(list(rig.incident.journal.events()))
        assert command("sync", "wait", "--incident", rig.incident.id).code == 0
        kinds = [event.kind for event in rig.incident.journal.events()][events:]
        assert kinds == ["observed"], "that it ended is told once"

    def test_incomplete_is_not_success_and_lists_the_documents(self, command: Any, rig: SyncRig) -> None:
        s3, bucket = rig.aws.client("s3"), rig.settings.bucket_name
        keys = [f"guides/broken-{number}.md" for number in range(5)]
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=b"# Broken")
            s3.put_object(Bucket=bucket, Key=f"metadata/{key}.metadata.json", Body=b'{"Attributes": ')
        try:
            command("sync", "start", "--incident", rig.incident.id, "--yes")
            rig.local.clock.advance(timedelta(hours=1))
            done = command("sync", "wait", "--incident", rig.incident.id)
            assert done.code == 1
            assert done.out.startswith("The sync ended as INCOMPLETE after ")
            assert sum(key in done.out for key in keys) == 3, "the first few of each kind"
            assert "    and 2 more\n" in done.out
            assert "5 documents: InvalidMetadata" in done.out
            assert "some documents failed" in done.err
            told = command("sync", "wait", "--json").json
            assert told["status"] == "INCOMPLETE"
            assert (
                sum(any(key in one["document"] for one in told["failing"]["documents"]) for key in keys) == 5
            )
            (event,) = [one for one in rig.incident.journal.events() if one.kind == "failed"]
            assert event.data.model_dump()["failing"][0]["documents"] == 5
        finally:
            for key in keys:
                s3.delete_object(Bucket=bucket, Key=key)
                s3.delete_object(Bucket=bucket, Key=f"metadata/{key}.metadata.json")

    def test_a_deadline_says_how_it_stands(self, command: Any, rig: SyncRig) -> None:
        command("sync", "start", "--incident", rig.incident.id, "--yes")
        done = command("sync", "wait", "--incident", rig.incident.id, "--deadline", "1s")
        assert done.code == 5
        assert "is still SYNCING (reading the source) after 1 s" in done.err
        assert list(rig.incident.journal.events())[-1].kind == "noted"
        assert rig.backend.syncs.running(rig.source) is not None

    def test_ctrl_c_leaves_the_job_alone(
        self, command: Any, rig: SyncRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started = command("sync", "start", "--yes").out.strip()

        def interrupted(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(resync, "wait_all", interrupted)
        done = command("sync", "wait", "--execution", started)
        assert done.code == 130
        assert "goes on" in done.err
        assert f"vmq sync wait --data-source {rig.source} --execution {started}" in done.err
        assert rig.backend.syncs.running(rig.source).execution_id == started

    def test_several_have_the_highest_code(self, command: Any, rig: SyncRig) -> None:
        rig.local.clock.advance(timedelta(hours=1))
        done = command("sync", "wait", "--data-source", rig.source, "--data-source", UNKNOWN, "--json")
        assert done.code == 3
        good, bad = done.json
        assert (good["exit_code"], bad["exit_code"]) == (0 if good["succeeded"] else 1, 3)
        people = command("sync", "wait", "--data-source", rig.source, "--data-source", UNKNOWN)
        assert people.code == 3
        assert people.out.count(": ") >= 1
        assert UNKNOWN in people.err

    @pytest.mark.parametrize("what", ["wait", "verify"])
    def test_a_job_that_was_named_and_is_not_there(self, command: Any, rig: SyncRig, what: str) -> None:
        done = command("sync", what, "--execution", UNKNOWN)
        assert done.code == 2
        assert f"has no sync job {UNKNOWN}" in done.err

    def test_a_job_that_was_never_seen_is_not_said_to_go_on(self, command: Any, rig: SyncRig) -> None:
        rig.local.faults.add(
            "qbusiness", "ListDataSourceSyncJobs", status=500, code="InternalServerException"
        )
        done = command("sync", "wait", "--deadline", "1s")
        assert done.code == 5
        assert "goes on by itself" not in done.err

    def test_one_execution_of_several_data_sources(self, command: Any, rig: SyncRig) -> None:
        words = ("--data-source", rig.source, "--data-source", UNKNOWN, "--execution", UNKNOWN)
        assert command("sync", "wait", *words).code == 2

    def test_denied_ends_at_once(self, command: Any, rig: SyncRig) -> None:
        rig.local.faults.add("qbusiness", "ListDataSourceSyncJobs", code="AccessDeniedException")
        done = command("sync", "wait")
        assert done.code == 3
        assert "Grant qbusiness:ListDataSourceSyncJobs" in done.err


class TestStop:
    def test_nothing_runs(self, command: Any, rig: SyncRig) -> None:
        done = command("sync", "stop", "--yes", "--json")
        assert (done.code, done.json["stopped"]) == (0, False)

    def test_stops_and_waits(self, command: Any, rig: SyncRig) -> None:
        rig.backend.pace = Pace(jitter=0, stopping=0.3)
        command("sync", "start", "--incident", rig.incident.id, "--yes")
        asked = command("sync", "stop", "--incident", rig.incident.id)
        assert asked.code == 2
        assert rig.backend.syncs.running(rig.source) is not None
        rig.local.clock.run()  # the command waits by the machine's clock
        done = command("sync", "stop", "--incident", rig.incident.id, "--yes")
        assert done.code == 0
        assert "is stopped: ABORTED" in done.out
        assert rig.jobs()[-1].status == "ABORTED"


def job(status: str = "SYNCING", **counts: int) -> resync.SyncJob:
    numbers = dict.fromkeys(("added", "modified", "deleted", "failed", "scanned"), 0) | counts
    return resync.SyncJob("ds", "ex", status, AT, None, **numbers, error_code="", error_message="")


class TestProgress:
    def lines(self) -> tuple[Lines, list[str], list[datetime]]:
        said: list[str] = []
        now = [AT]
        usual = resync.Estimate(20, timedelta(minutes=7), timedelta(minutes=6), timedelta(minutes=9))
        made = Lines({"ds": "docs\x1b[31m"}, {"ds": usual}, said.append, lambda: now[0])
        return made, said, now

    def test_a_line_at_each_change_and_each_half_minute(self) -> None:
        made, said, now = self.lines()
        for second in range(0, 95, 5):
            now[0] = AT + timedelta(seconds=second)
            made.progress("ds", job("SYNCING" if second < 50 else "SYNCING_INDEXING", scanned=second))
        assert len(said) == 4, said
        assert said[0].endswith("usually 6 to 9 min; 0 s so far, about 7 min left")
        assert "0 scanned, 0 added, 0 modified, 0 deleted, 0 failed" in said[0]
        assert "\x1b" not in said[0]
        assert "writing the index" in said[2]

    def test_trouble_is_said_and_its_end(self) -> None:
        made, said, now = self.lines()
        made.progress("ds", job())
        for second in range(0, 62, 2):
            now[0] = AT + timedelta(seconds=second)
            made.trouble("ds", resync.Trouble(Unreachable("gone"), second))
        made.trouble("ds", resync.Trouble(Throttled("slow"), 62))
        made.progress("ds", job())
        assert [line.split(": ", 1)[1] for line in said[1:]][:2] == [
            "AWS cannot be reached; trying on",
            "AWS cannot be reached since 30 s; trying on",
        ]
        assert said[-3].endswith("AWS throttles since 1 min 2 s; trying on")
        assert said[-2].endswith("AWS answers again")
        assert said[-1].split(": ")[1] == "SYNCING"
        assert timedelta(seconds=30) == EVERY

    def test_a_bar_for_each_on_a_terminal(self) -> None:
        told: dict[str, dict[str, Any]] = {}

        class Fake:
            def add_task(self, description: str, **fields: Any) -> str:
                told[description] = fields
                return description

            def update(self, task: str, /, **changes: Any) -> None:
                told[task] |= changes

        bars = _Bars(Fake(), {"ds": "docs", "other": "wiki"}, {})
        bars.progress("ds", job(scanned=7, failed=2))
        assert told["docs"]["counts"].endswith("(no past runs); 7 scanned, 2 failed")
        bars.trouble("ds", resync.Trouble(Unreachable("gone"), 40))
        assert told["docs"]["counts"] == "AWS cannot be reached since 40 s; trying on"
        bars.progress("ds", job("SUCCEEDED"))
        assert told["docs"]["completed"] == told["docs"]["total"]
        bars.ended("other", resync.Ended("other", error=Unreachable("gone for good")))
        assert told["wiki"]["counts"] == "gone for good"
