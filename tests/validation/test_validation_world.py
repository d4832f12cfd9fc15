"""Whether an incident is over, asked of the local AWS: each check passes, fails, or cannot tell and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from support.sync_rig import SyncRig

from vmqlib import view
from vmqlib.errors import BadInput
from vmqlib.record.incident import Incident
from vmqlib.runbook.dashboardchecks import READABLE
from vmqlib.runbook.nextsteps import next_steps
from vmqlib.runbook.proof.results import AGREE
from vmqlib.runbook.validation import Validation, essential, validate, validated
from vmqlib.runbook.validation.names import (
    ALARM,
    ALARMS,
    HALF,
    PROMPT,
    QUESTION_CHECK,
    SCHEDULE,
    SYNC,
    WEB,
)
from vmqlib.settings import Canary, Connector

HOSTILE = "\x1b[31mred\x1b[0m <script>alert(1)</script> \u202egnp.exe dana@example.com"


@pytest.fixture(scope="module")
def healthy(start_local_aws: Callable[..., Any]) -> Any:
    # In the morning: no sync of the schedule comes while these tests let time pass.
    return start_local_aws("healthy", now=datetime(2026, 11, 23, 9, tzinfo=UTC))


@pytest.fixture
def rig(healthy: Any, point_at: Any) -> Iterator[SyncRig]:
    point_at(healthy)
    made = SyncRig(healthy)
    made.sleep(16 * 60)  # the dashboard's count of documents is of after the last sync, whichever test ran it
    made.incident.observe(["resources"])
    yield made
    made.quiet()


def found(made: Validation, name: str) -> list[bool | None]:
    return [check.ok for check in made.checks if check.name == name]


def test_all_is_well_and_each_says_why(rig: SyncRig) -> None:
    seen: list[str] = []
    made = validate(rig.incident, progress=seen.append)
    assert made.ok is True, made.sentence
    names = [check.name for check in made.checks]
    for name in (WEB, QUESTION_CHECK, PROMPT, ALARM, SYNC, AGREE, SCHEDULE, HALF):
        assert name in names
    assert all(check.finding for check in made.checks)
    assert {"alarms", "canaries", "versions", "documents"} <= set(seen)
    # Each look is evidence, and the verdict is in the journal: it is read again without AWS.
    kept = validated(Incident.load(rig.incident.id, settings=rig.settings))
    assert kept == made
    assert "checks passed" in view.validation(kept, rig.incident.id).text


def test_it_counts_what_it_asked_itself_and_the_next_step_is_to_close(rig: SyncRig) -> None:
    incident = Incident.open(rig.settings, rig.aws, trigger="sync-failed", clock=rig.local.clock)
    incident.observe()
    assert incident.observed("own-questions").available, "that nothing was asked before is seen"
    made = validate(incident)
    assert made.ok is True, made.sentence
    asked, metrics = incident.observed("own-questions"), incident.observed("metrics")
    assert set(asked.frame["text"]) >= {one.subject for one in made.checks if one.name == QUESTION_CHECK}
    assert asked.at is not None
    assert metrics.at is not None
    assert metrics.at >= incident.observed("canaries").frame["at"].max()
    found = [one for one in next_steps(incident) if not one.step.startswith(("1", "5"))]
    assert found[0].command.startswith(f"vmq close {incident.id}"), found
    assert not any("vmq validate" in one.command or "render" in one.command for one in found)


def test_it_changes_nothing(rig: SyncRig) -> None:
    calls = rig.local.faults.record()
    validate(rig.incident)
    asked = {call.operation for call in calls}
    assert {one for one in asked if not one.startswith(("Get", "List", "Describe", "Filter", "Lookup", "Head"))} <= {
        "ChatSync", "GetMetricData", "StartQuery", "SimulatePrincipalPolicy",
    }  # fmt: skip


class TestQuestions:
    def test_a_document_that_is_gone_and_a_guardrail_that_is(self, rig: SyncRig) -> None:
        q: Any = rig.aws.client("qbusiness")
        app = {"applicationId": rig.settings.app_id}
        phrases = q.get_chat_controls_configuration(**app)["blockedPhrases"]["blockedPhrases"]
        settings = rig.settings.model_copy(
            update={"canaries": (Canary(question="What is MIRAGE?", sources=("never-written.md",)),)}
        )
        incident = Incident.open(settings, rig.aws, trigger="guardrail", clock=rig.local.clock)
        q.update_chat_controls_configuration(
            **app, blockedPhrasesConfigurationUpdate={"blockedPhrasesToDelete": phrases}
        )
        try:
            made = validate(incident)
        finally:
            q.update_chat_controls_configuration(
                **app, blockedPhrasesConfigurationUpdate={"blockedPhrasesToCreateOrUpdate": phrases}
            )
        assert found(made, PROMPT) != [True]
        assert found(made, QUESTION_CHECK) == [False]
        (said,) = [check.finding for check in made.checks if check.name == QUESTION_CHECK]
        assert "is to be answered from never-written.md" in said

    def test_a_signed_in_application_takes_a_person_at_their_word(self, rig: SyncRig) -> None:
        settings = rig.backend.resources.get("APPLICATION", rig.ids).settings
        before = settings.get("identityType")
        settings["identityType"] = "AWS_IAM_IDC"
        rig.backend.identity_aware = False
        try:
            made = validate(rig.incident)
            checks = [one for one in made.checks if one.name in (QUESTION_CHECK, PROMPT)]
            assert [one.ok for one in checks] == [None, None]
            for one in checks:
                assert "chat_profile" in one.mend
                assert f"vmq note {rig.incident.id} --question '{one.subject}' --as-expected" in one.mend
                rig.incident.note("It does.", {"question": one.subject, "ok": True})
            assert made.ok is None
            assert QUESTION_CHECK in essential("sync-failed")
            assert validate(rig.incident).ok is True
            # An identity-aware session may ask, and what it sees counts.
            rig.backend.identity_aware = True
            said = [one.finding for one in validate(rig.incident).checks if one.name == QUESTION_CHECK]
            assert "the caller's own session" in said[0]
        finally:
            rig.backend.identity_aware = True
            settings["identityType"] = before

    def test_without_asking_only_what_was_asked_since_counts(self, rig: SyncRig) -> None:
        validate(rig.incident)
        assert found(validate(rig.incident, ask=False), QUESTION_CHECK) == [True]
        rig.sleep(5)
        rig.incident.applied("rollback", "Restored.", {"action": "something", "digest": "d"})
        made = validate(rig.incident, ask=False)
        assert found(made, QUESTION_CHECK) == [None]
        kept = validated(rig.incident)
        assert kept is not None
        assert not kept.stale
        rig.incident.applied("rollback", "Restored again.", {"action": "something", "digest": "e"})
        kept = validated(rig.incident)
        assert kept is not None
        assert "Restored again." in kept.stale
        assert "look again" in view.validation(kept, rig.incident.id).text


@pytest.mark.parametrize(
    ("service", "operation", "code", "names"),
    [
        ("qbusiness", "ChatSync", "AccessDeniedException", {QUESTION_CHECK, PROMPT}),
        ("cloudwatch", "DescribeAlarms", "AccessDenied", {ALARMS}),
        ("qbusiness", "ListDataSourceSyncJobs", "AccessDeniedException", {SYNC}),
        ("qbusiness", "ListDocuments", "AccessDeniedException", {AGREE}),
        ("s3", "ListObjectVersions", "AccessDenied", {AGREE}),
        ("cloudwatch", "GetDashboard", "AccessDenied", {"dashboard can be read"}),
        ("qbusiness", "GetWebExperience", "AccessDeniedException", {WEB}),
    ],
)
def test_what_may_not_be_seen_cannot_be_told_and_the_rest_goes_on(
    rig: SyncRig, service: str, operation: str, code: str, names: set[str]
) -> None:
    rig.local.faults.add(service, operation, status=403, code=code)
    made = validate(rig.incident)
    assert made.ok is None, made.sentence
    untold = {check.name for check in made.unknown}
    assert names <= untold
    assert HALF not in untold
    for check in made.unknown:
        assert check.finding


class TestWorld:
    def test_alarms_schedules_and_objects(self, rig: SyncRig) -> None:
        q: Any = rig.aws.client("qbusiness")
        index = {"applicationId": rig.settings.app_id, "indexId": rig.settings.index_id}
        gone = q.list_documents(**index)["documentDetailList"][0]["documentId"]
        assert rig.backend.index(rig.settings.index_id).remove(rig.source, gone)
        rig.sleep(120)
        rig.schedule = ""
        cloudwatch: Any = boto3.client("cloudwatch")
        name = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmName"]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=HOSTILE)
        made = validate(rig.incident)
        rig.sleep(1_800)
        assert False in found(made, ALARM)
        assert found(made, SCHEDULE) == [False]
        assert found(made, AGREE) == [False]
        text = view.validation(made, rig.incident.id)
        journal = rig.incident.journal.path.read_text("utf-8")
        for written in (text.text, text.html.markup):
            assert "\x1b" not in written
            assert "\u202e" not in written
        assert "<script>" not in text.html.markup
        assert "dana@example.com" not in journal + text.text

    def test_a_start_that_was_cut_short_is_looked_up_first(self, rig: SyncRig) -> None:
        rig.incident.applying("resync", "Start.", {"action": "sync", "data_source_id": rig.source})
        made = validate(rig.incident)
        assert found(made, HALF) == [True]
        assert "no job came of it" in rig.incident.timeline()["summary"].str.cat(sep="\n")

    def test_a_sync_that_runs_cannot_be_told(self, rig: SyncRig) -> None:
        rig.aws.client("qbusiness").start_data_source_sync_job(**rig.ids)
        made = validate(rig.incident)
        assert found(made, SYNC) == [None]
        assert f"vmq sync wait --data-source {rig.source} --incident {rig.incident.id}" in {
            check.mend for check in made.unknown
        }


@pytest.mark.parametrize("trigger", ["no-sync", "guardrail", "content"])
def test_other_triggers_without_a_rollback_and_without_a_data_source(rig: SyncRig, trigger: str) -> None:
    incident = Incident.open(rig.settings, rig.aws, trigger=trigger, clock=rig.local.clock)
    rig.sleep(16 * 60)  # the dashboard's count of documents is of after the last sync
    made = validate(incident)
    assert made.ok is True, made.sentence
    assert found(made, AGREE) == [True]
    bare = rig.settings.model_copy(update={"ds_id": "", "connectors": ()})
    incident = Incident.open(bare, rig.aws, trigger=trigger, clock=rig.local.clock)
    assert found(validate(incident), AGREE) == [None]


@pytest.mark.slow
def test_what_changed_after_the_sync_began_is_not_in_agreement(rig: SyncRig) -> None:
    """The index cannot have it: named, with the command that takes it over, and passed once that was done."""
    s3: Any = rig.aws.client("s3")
    bucket, key = rig.settings.bucket_name, "guides/written-late.md"
    s3.put_object(Bucket=bucket, Key=key, Body=b"# Late\n\nWritten after the last sync.")
    try:
        (check,) = (one for one in validate(rig.incident, ask=False).checks if one.name == AGREE)
        assert check.ok is False
        assert key in check.finding
        assert check.mend.startswith(
            f"vmq sync start --data-source {rig.source} --incident {rig.incident.id}"
        )
        made = validate(rig.incident, ask=False)
        (synced,) = (one for one in made.checks if one.name == SYNC)
        assert synced.ok is False, "the bucket's last change counts, whoever made it"
        assert f"1 key that changed since: {key}" in synced.finding
        assert synced.mend == check.mend
        rig.sleep(60)
        rig.aws.client("qbusiness").start_data_source_sync_job(**rig.ids)
        rig.quiet()
        assert found(validate(rig.incident, ask=False), AGREE) == [True]
    finally:
        s3.delete_object(Bucket=bucket, Key=key)
        rig.sleep(60)
        rig.aws.client("qbusiness").start_data_source_sync_job(**rig.ids)
        rig.quiet()


def test_of_a_connector_that_is_not_there_nothing_is_claimed(rig: SyncRig) -> None:
    """The incident's own look is at its data source alone: of the other one that does not say "no sync yet"."""
    wrong = "00000000-1111-2222-3333-444444444444"
    connectors = (
        Connector(name="docs", data_source_id=rig.source),
        Connector(name="wrong", data_source_id=wrong),
    )
    settings = rig.settings.model_copy(update={"connectors": connectors})
    incident = Incident.open(
        settings, rig.aws, trigger="content", data_source_id=rig.source, clock=rig.local.clock
    )
    made = validate(incident, ask=False)
    synced = {check.subject: check for check in made.checks if check.name == SYNC}
    assert {name: check.ok for name, check in synced.items()} == {"docs": True, "wrong": False}
    assert f"Data source {wrong} does not exist" in synced["wrong"].finding
    assert made.ok is False, "what AWS says does not exist is no doubt"


class TestClosed:
    def test_nothing_is_looked_at_and_nothing_written(self, rig: SyncRig) -> None:
        rig.incident.close("done")
        before = rig.incident.journal.path.read_bytes()
        calls = rig.local.faults.record()
        with pytest.raises(BadInput, match="is closed"):
            validate(rig.incident)
        assert calls == []
        assert rig.incident.journal.path.read_bytes() == before
        with pytest.raises(BadInput, match="offline"):
            validate(Incident.load(rig.incident.id, settings=rig.settings))


class TestGone:
    """What AWS says does not exist is not in doubt: it fails, with what to do. What is refused cannot be told."""

    def test_the_web_experience(self, rig: SyncRig) -> None:
        rule = {"service": "qbusiness", "operation": "GetWebExperience"}
        rig.local.faults.add(**rule, status=404, code="ResourceNotFoundException")
        try:
            (check,) = (one for one in validate(rig.incident, ask=False).checks if one.name == WEB)
        finally:
            rig.local.faults.clear()
        assert (check.ok, check.finding) == (False, "It does not exist.")
        assert f"aws qbusiness list-web-experiences --application-id {rig.settings.app_id}" in check.mend
        rig.local.faults.add(**rule, status=403, code="AccessDeniedException")
        try:
            (check,) = (one for one in validate(rig.incident, ask=False).checks if one.name == WEB)
        finally:
            rig.local.faults.clear()
        assert check.ok is None

    def test_alarm_and_dashboard_that_the_settings_name(self, rig: SyncRig) -> None:
        alarms = rig.settings.alarms.model_copy(update={"no_sync": "NoSuchAlarm"})
        settings = rig.settings.model_copy(update={"alarms": alarms, "dashboard": "NoSuchDashboard"})
        incident = Incident.open(settings, rig.aws, trigger="no-sync", clock=rig.local.clock)
        checks = {one.subject or one.name: one for one in validate(incident, ask=False).checks}
        gone = checks["NoSuchAlarm"]
        assert (gone.name, gone.ok, gone.finding) == (ALARM, False, "It does not exist.")
        assert f"vmq doctor --incident {incident.id}" in gone.mend
        assert checks[READABLE].ok is False
        assert "There is no CloudWatch dashboard 'NoSuchDashboard'" in checks[READABLE].finding
        assert "vmq.toml" in checks[READABLE].mend
