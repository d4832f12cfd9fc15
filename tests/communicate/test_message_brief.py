"""What messages say of a real incident: conditions, actions, needs; the same for the same journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook.affected import affected
from vmqlib.runbook.answers import answers
from vmqlib.runbook.communicate.brief import brief
from vmqlib.runbook.communicate.conditions import Looks, conditions, impact
from vmqlib.runbook.communicate.message import KINDS, build
from vmqlib.runbook.keptversions import kept_last_good
from vmqlib.runbook.opening import look
from vmqlib.runbook.overview import Overview
from vmqlib.runbook.triggers import detect
from vmqlib.settings import Settings
from vmqlib.simulator.slackblocks import check_blocks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(sync_failed_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> Incident:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sync_failed_aws.env.items():
            patch.setenv(name, value)
        settings = Settings.load(incidents=tmp_path_factory.mktemp("incidents"))
        made = Incident.open(
            settings, Aws(settings), trigger="sync-failed", title="Syncs fail", data_source_id=settings.ds_id
        )
        look(made)
    return made


def test_conditions_say_what_fires_and_who_is_hit(seen) -> None:
    known = brief(seen)
    text = " ".join(known.conditions)
    assert text.startswith("Trigger sync-failed fires since ")
    assert "99 of 279 documents are failed in the index (" in text
    assert all(" UTC)." in line for line in known.conditions), "of each it is said when that was looked at"
    assert "Customers are hit" in text
    assert known.not_seen == ()
    assert known.seen_at is not None
    assert known.since is not None
    assert known.since < known.opened_at
    assert known.trigger == "“SyncFailed” alarm triggered for more than 15 minutes", "as was seen"


def test_each_condition_says_when_its_source_was_looked_at(seen) -> None:
    looks = seen.observations()
    early, late = (datetime(2026, 11, 23, 7, minute, tzinfo=UTC) for minute in (6, 9))
    moved = {name: replace(one, at=early if name == "metrics" else late) for name, one in looks.items()}
    said = detect(looks, seen.settings, seen.as_of)
    found = affected(looks, seen.settings, seen.as_of, said, opened=seen.state.opened_at)
    counted = replace(found.questions, after=replace(found.questions.after, until=early))
    found = replace(found, questions=counted)
    told = Looks({**moved, "resources": replace(looks["resources"], at=early)}, late)
    lines = [*conditions(said, found, told)]
    assert next(line for line in lines if "documents are failed" in line).endswith("(as of 07:09 UTC).")
    assert lines[-1].startswith("Customers are hit: ")
    assert lines[-1].endswith("(as of 07:06 UTC).")
    quiet = replace(said, triggers=tuple(replace(one, verdict="quiet", since=None) for one in said.triggers))
    lines = [*conditions(quiet, found, told)]
    assert lines[0].startswith(
        "None of the runbook's triggers fires (looked at between 07:06 UTC and 07:09 UTC)"
    )
    assert lines[-1].startswith("Customers were hit, by the questions until the last look at 07:06 UTC: ")
    assert not [line for line in lines if "Customers are hit" in line]
    assert "until 07:06 UTC" in " ".join(impact(found, told))


def test_needs_are_the_next_steps_but_for_telling_people(seen) -> None:
    needs = brief(seen).needs
    assert needs
    assert not [one for one in needs if one.step.startswith("5")]
    assert all(one.command for one in needs)


def test_stakeholders_read_no_commands_and_no_ids(seen) -> None:
    made = build("stakeholders", brief(seen), lambda text: text)
    assert "35% of the documents could not be indexed" in made.text
    assert "vmq " not in made.text
    assert seen.identity.data_source_id not in made.text


def test_actions_are_those_since_the_last_message(seen) -> None:
    assert brief(seen).actions == ()
    seen.applied("rollback", "Restored 128 objects.", {"action": "rollback", "digest": "d" * 64})
    assert "Restored 128 objects." in brief(seen).actions[0]
    seen.notified("told", channel="#ops-escalations", data={"message": "update"})
    again = brief(seen)
    assert again.actions == ()
    assert "Restored 128 objects." in again.done[0]
    assert again.number == 2
    seen.verified("resync", "Not proved: no sync.", {"action": "sync proof", "ok": False})
    seen.verified("resync", "Proved at 1.", {"action": "sync proof", "ok": True})
    seen.verified("resync", "Proved at 2.", {"action": "sync proof", "ok": True})
    seen.note("Dana happened to look.", {"retro": "lucky"})
    seen.note("Add an alarm.", {"retro": "action", "owner": "dana", "due": "2026-12-04"})
    seen.note("Support confirms.")
    told = [line.split(": ", 1)[1] for line in brief(seen).actions]
    assert told == ["Proved at 2.", "Support confirms."]
    seen.notified("told", channel="#ops-escalations", data={"message": "update"})
    seen.verified("resync", "Proved at 3.", {"action": "sync proof", "ok": True})
    assert brief(seen).actions == ()
    seen.verified("resync", "Not proved: 2 are missing.", {"action": "sync proof", "ok": False})
    assert "Not proved" in brief(seen).actions[0]
    seen.applied("resync", f"Started sync job {uuid4()}.", {"action": "sync"})
    assert brief(seen).done[-1].endswith(": Started a sync job.")
    seen.applying("resync", "Start a sync job.", {"action": "sync"})
    assert "its end is not on record" in brief(seen).waiting[0]


def test_every_message_of_it_fits_slack_and_is_the_same_each_time(seen) -> None:
    known, again = brief(seen), brief(Incident.load(seen.id, settings=seen.settings))
    for kind in KINDS:
        made = build(kind, known, seen.redactor.text)
        assert made.basis == build(kind, again, seen.redactor.text).basis
        assert check_blocks(made.slack("the record")["blocks"]) == ("", "")


def test_evidence_that_cannot_be_made_out_does_not_silence_the_message(seen, monkeypatch) -> None:
    import vmqlib.runbook.triggers

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(vmqlib.runbook.triggers, "detect", broken)
    known = brief(seen)
    assert "could not be made out (ZeroDivisionError)" in known.conditions[0]
    assert known.acknowledged_by == seen.state.acknowledged_by
    assert "Conditions" in build("update", known, lambda text: text).text


def test_what_could_not_be_seen_is_said(seen, tmp_path) -> None:
    blind = Incident.open(seen.settings.model_copy(update={"incidents": tmp_path}), None, trigger="no-sync")
    known = brief(blind)
    assert known.conditions[0].startswith("No trigger is seen to fire; of ")
    assert "no-sync" in known.conditions[0]
    assert len(known.not_seen) > 3
    assert "Not seen: " in build("update", known, lambda text: text).text
    assert known.impact == ("How much of it users notice could not be told yet.",)


def test_the_worst_of_unauthorized_content_reaches_the_screen_and_security(
    start_local_aws: Any, point_at: Any, tmp_path: Path
) -> None:
    aws = start_local_aws("unauthorized-content")
    point_at(aws)
    settings = Settings.load(incidents=tmp_path)
    made = Incident.open(
        settings, Aws(settings), trigger="content", title="Leak", data_source_id=settings.ds_id
    )
    look(made)
    known = brief(made)
    screen = " ".join(str(line) for answer in answers(Overview(made)) for line in answer.lines)
    for told in (" ".join(known.content), screen):
        assert "lost its rule for security/" in told
        assert "documents below hr/ are new in the index" in told
    count = sum(why == "housekeeping" for why in aws.truth.unwanted.values())
    for told in (" ".join(known.conditions), screen):
        assert f"{count} of " in told
        assert "documents are where they must not be: _staging/" in told
        assert "0 of " not in told.partition("where they must not be")[0][-60:]
    assert known.impact[0].startswith(
        f"Answers may show what they must not: {count} documents are in the index"
    )
    good = aws.truth.last_good_sync_started_at
    assert abs(kept_last_good(made).at - good) < timedelta(seconds=2), "not the sync that took it in"


class TestStakeholdersHearHowItEnded:
    """Restored, synced, proved, validated: the mail says so, and no more than was seen."""

    @pytest.fixture
    def known(self, seen) -> Any:
        made = brief(seen)
        assert made.back is None, "no sync has succeeded since"
        return made

    def mail(self, known: Any) -> Any:
        return build("stakeholders", known, str)

    def test_while_nothing_is_mended(self, known) -> None:
        made = self.mail(known)
        assert made.subject.endswith("is impaired")
        assert "it is not resolved yet" in made.text
        assert "What users see now" not in made.text

    def test_a_sync_that_succeeded_again_is_told_and_claims_no_more(self, known) -> None:
        at = known.opened_at + timedelta(minutes=9)
        made = self.mail(replace(known, back=at, proved=("Then: the sync ended as SUCCEEDED.",)))
        assert made.subject.endswith("is synced again, and being checked")
        assert "whether all of it works again is being checked" in made.text
        assert "- Then: the sync ended as SUCCEEDED." in made.text
        assert "not resolved yet" not in made.text

    def test_a_validation_that_passed_is_told(self, known) -> None:
        at = known.opened_at + timedelta(minutes=9)
        checked = at + timedelta(minutes=2)
        passed = replace(
            known,
            back=at,
            passed=22,
            checked_at=checked,
            now=("The assistant answers.",),
            acknowledged_by="ada",
        )
        made = self.mail(passed)
        assert made.subject.endswith("works again, as far as it was checked")
        assert "All 22 checks passed at" in made.text
        assert "The incident is not closed yet." in made.text
        assert "What users see now:\n- The assistant answers." in made.text
        assert "is working on it" not in made.text
        made = self.mail(replace(passed, back=None))
        assert "when that ended was not seen. All 22 checks passed" in made.text

    def test_what_was_looked_at_before_the_sync_is_told_as_of_before(self, seen) -> None:
        looks = seen.observations()
        said = detect(looks, seen.settings, seen.as_of)
        found = affected(looks, seen.settings, seen.as_of, said, opened=seen.state.opened_at)
        now = Looks(looks, seen.as_of)
        after = looks["documents"].at + timedelta(minutes=1)
        assert next(iter(impact(found, now))).startswith("Answers may be missing")
        assert next(iter(impact(found, now, after))).startswith("Before the sync that succeeded, 35%")


def test_a_proof_is_told_until_something_is_changed(incident: Incident) -> None:
    sync = {"action": "sync", "data_source_id": "ds"}
    incident.applied("resync", "Started sync job 12345678-1234-1234-1234-123456789012.", sync)
    incident.verified("resync", "The sync of s3 ended as SUCCEEDED.", sync)
    incident.verified("resync", "Proved at once.", {"action": "sync proof"})
    incident.verified("resync", "Proved again.", {"action": "sync proof"})
    incident.applied("stabilize", "The schedule is back.", {"action": "restore schedule"})
    told = brief(incident).proved
    assert [line.partition(" UTC: ")[2] for line in told] == [
        "The sync of s3 ended as SUCCEEDED.",
        "Proved again.",
    ]
    incident.applied("rollback", "Restored: 1 object.", {"action": "rollback", "digest": "d"})
    assert brief(incident).proved == ()
