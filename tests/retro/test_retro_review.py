"""What a review says of an incident: times, who saw it, what is proposed, and what it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.reviewed import DAY, History, at

from vmqlib.errors import AccessDenied
from vmqlib.record.incident import Incident
from vmqlib.runbook.retro import Review, review
from vmqlib.runbook.retro.prompts import KINDS, VOCABULARY, rules
from vmqlib.sources import REGISTRY

SYNCS = [
    ("02:45", "02:47", "SUCCEEDED"), ("07:10", "07:14", "INCOMPLETE"), ("08:10", "08:14", "FAILED"),
    ("12:05", "12:31", "SUCCEEDED"),
]  # fmt: skip

Day = Callable[..., History]


@pytest.fixture
def day(tmp_path: Path) -> Day:
    def made(**given: Any) -> History:
        given = {"syncs": SYNCS, "rings": [("07:15", "ALARM")], **given}
        return History(tmp_path / "incidents", **given)

    return made


def worked(history: History, *, close: bool = True) -> History:
    """Acknowledged, rolled back, synced and closed."""
    incident = history.to("09:03")
    incident.acknowledge(by="dana")
    history.to("10:00")
    incident.set_phase("rollback")
    incident.applied("rollback", "Restored: 128 objects.", {"action": "rollback", "digest": "d1"})
    incident.verified("rollback", "As planned.", {"action": "rollback", "digest": "d1", "ok": True})
    history.to("12:05")
    incident.applied("resync", "Started.", {"action": "sync", "execution_id": "job-3"})
    history.to("12:33")
    incident.verified("resync", "SUCCEEDED.", {"action": "sync", "execution_id": "job-3"})
    history.to("12:40")
    if close:
        incident.close(impact="No answers", cause="A promotion", remediation="Restored")
    return history


def took(made: Review) -> dict[str, timedelta | None]:
    return {one.name: one.took for one in made.measures}


def how(made: Review, name: str) -> str:
    return next(one.how for one in made.measures if one.name == name)


class TestTimes:
    def test_each_from_what_to_what(self, day: Day) -> None:
        history = worked(day())
        made = review(history.incident)
        assert made.moments.first_bad.at == at("07:14")
        assert took(made) == {
            "detect": timedelta(minutes=1),
            "opening": timedelta(hours=1, minutes=45),
            "acknowledge": timedelta(minutes=3),
            "mitigate": timedelta(hours=3, minutes=33),
            "resolve": timedelta(hours=3, minutes=40),
            "exposed": timedelta(hours=5, minutes=19),
        }
        assert "(journal)" in how(made, "mitigate"), "nobody looked at the syncs again"
        assert how(made, "detect").endswith("to the alarm QBusinessSyncFailed (alarm-history).")

    def test_a_later_look_knows_the_end_of_the_sync_better(self, day: Day) -> None:
        history = worked(day(), close=False)
        history.incident.observe(refresh=True)
        made = review(history.incident)
        assert took(made)["mitigate"] == timedelta(hours=3, minutes=31)
        assert "(sync-jobs)" in how(made, "mitigate")
        assert made.seen["sync-jobs"].at == at("09:00")
        assert made.seen["last sync-jobs"].at == at("12:40"), "the provenance names both looks"
        assert took(made)["resolve"] is None
        assert "it is not closed" in how(made, "resolve")

    def test_looking_again_does_not_change_when_it_began(self, day: Day) -> None:
        history = worked(day())
        before = review(history.incident).moments.first_bad
        history.incident.observe(refresh=True)
        assert review(history.incident).moments.first_bad == before

    def test_no_sync_after_the_rollback_is_no_mitigation(self, day: Day) -> None:
        history = day()
        history.to("10:00").applied("rollback", "Restored.", {"action": "rollback", "digest": "d1"})
        history.to("10:30").close()
        made = review(history.incident)
        assert took(made)["mitigate"] is None
        assert "no sync that began after the last change (rollback)" in how(made, "mitigate")

    def test_a_rollback_that_was_taken_back_counts_for_nothing(self, day: Day) -> None:
        history = day()
        history.to("12:32").observe(refresh=True)
        history.incident.applied("rollback", "Restored.", {"action": "rollback", "digest": "d1"})
        history.incident.undone("rollback", "Taken back.", {"digest": "d1"})
        assert "after the opening and succeeded" in how(review(history.incident), "mitigate")

    def test_what_was_before_a_reopening_did_not_hold(self, day: Day) -> None:
        history = worked(day())
        history.to("13:00").reopen("It broke again.")
        history.to("14:00").close(cause="The true one")
        made = review(history.incident)
        assert took(made)["mitigate"] is None
        assert "after the reopening" in how(made, "mitigate")
        assert took(made)["resolve"] == timedelta(hours=5)
        assert "the last closing" in how(made, "resolve")
        assert [one.kind for one in made.entries].count("closed") == 2

    def test_nothing_is_known_where_nothing_was_seen(self, day: Day) -> None:
        denied = AccessDenied("Not allowed.", hint="Grant it.", operation="x:Y")
        history = day(failing=dict.fromkeys(("sync-jobs", "alarms", "alarm-history"), denied))
        made = review(history.incident)
        assert set(took(made).values()) == {None}
        assert "was unknown on the evidence of the opening" in how(made, "detect")
        assert {one.saw for one in made.witnesses} == {None}
        assert not [one for one in made.proposed("lucky") if "No alarm" in one.text], "that would be a guess"
        assert "Not everything could be seen" in " ".join(one.text for one in made.proposed("badly"))

    def test_a_guardrail_incident_is_mended_by_what_was_verified(self, day: Day) -> None:
        history = day(trigger="guardrail")
        assert "nothing was changed" in how(review(history.incident), "mitigate")
        history.to("10:00").applied("guardrails", "Reverted.", {"action": "guardrails", "digest": "g1"})
        assert "which nothing verified" in how(review(history.incident), "mitigate")
        history.to("10:05").verified("guardrails", "As before.", {"action": "guardrails", "ok": True})
        assert took(review(history.incident))["mitigate"] == timedelta(minutes=65)


class TestWitnesses:
    def test_an_alarm_that_rang(self, day: Day) -> None:
        made = review(worked(day()).incident)
        alarm = made.witnesses[0]
        assert (alarm.name, alarm.saw, alarm.at) == ("QBusinessSyncFailed", True, at("07:15"))
        assert "1 min after the first bad sign" in alarm.finding
        trigger = next(one for one in made.witnesses if one.kind == "trigger" and one.expected)
        assert (trigger.name, trigger.saw) == ("sync-failed", True)

    def test_what_they_said_is_dated_and_not_aged(self, day: Day) -> None:
        findings = " ".join(one.finding for one in review(day().incident).witnesses)
        assert "2026-11-23 08:14:00 UTC" in findings or "2026-11-23 07:14:00 UTC" in findings
        assert " ago" not in findings

    def test_a_blind_one_and_somebody_who_noticed(self, day: Day) -> None:
        made = review(worked(day(rings=[])).incident)
        assert made.witnesses[0].blind
        assert took(made)["detect"] == timedelta(hours=1, minutes=46)
        assert [one.text for one in made.proposed("badly") if "QBusinessSyncFailed" in one.text]
        assert [one for one in made.proposed("lucky") if "somebody noticed" in one.text]
        assert [one for one in made.proposed("action") if "Mend the alarm" in one.text]

    def test_it_is_called_blind_only_for_as_long_as_somebody_looked(self, day: Day) -> None:
        history = worked(day(rings=[]))
        assert (
            f"did not ring until {DAY:%Y-%m-%d} 09:00:00 UTC" in review(history.incident).witnesses[0].finding
        )

    def test_none_at_all(self, day: Day) -> None:
        alarm = review(day(rings=[], alarm=False).incident).witnesses[0]
        assert alarm.blind
        assert "no such alarm" in alarm.finding

    def test_one_that_stood_in_alarm_from_before_says_nothing_new(self, day: Day) -> None:
        alarm = review(day(rings=[("01:00", "ALARM")]).incident).witnesses[0]
        assert alarm.saw is None
        assert "from before the first bad sign" in alarm.finding

    def test_the_wiring_is_shown_where_somebody_looked(self, day: Day) -> None:
        history = day()
        assert review(history.incident).doctor is None
        check = {
            "part": "Alarms",
            "name": "alarm wiring",
            "outcome": "fail",
            "subject": "QBusinessSyncFailed",
            "finding": "No dimension.",
        }
        other = {"part": "Bucket", "name": "versioning"}
        history.incident.conclude("triage", "vmq doctor: 1 check failed.", {"checks": [check, other]})
        history.incident.conclude(
            "validate", "It is not over.", {"checks": [{"name": "alarms", "part": "Alarms"}]}
        )
        assert review(history.incident).doctor == (check,)
        history.incident.conclude("triage", "vmq doctor: all is well.", {"checks": []})
        assert review(history.incident).doctor == ()

    def test_the_doctor_is_known_by_the_line_that_it_writes(self, day: Day) -> None:
        from vmqlib.runbook.doctor import diagnose, sources_of

        def denied(*_: Any, **__: Any) -> Any:
            raise AccessDenied("Not allowed.", operation="x:Y")

        ours = day().incident
        sources = {name: replace(REGISTRY[name], read=denied) for name in sources_of()}
        diagnose(Incident.load(ours.id, settings=ours.settings, aws=ours.aws, sources=sources))
        found = review(ours).doctor
        assert found
        assert {one["outcome"] for one in found} == {"cannot tell"}


class TestUpdatesAndRemarks:
    def test_updates_against_the_cadence_over_a_reopening(self, day: Day) -> None:
        history = day()
        history.to("09:29").notified("First.", channel="#ops")
        history.to("10:17").notified("Second.", channel="#ops")
        history.to("10:20").close()
        history.to("12:00").reopen("Again.")
        history.to("12:20").close()
        made = review(history.incident)
        assert [(one.kept, one.late) for one in made.cadence.updates] == [
            (True, timedelta(0)), (False, timedelta(minutes=18)),
        ]  # fmt: skip
        assert any("the worst by 18 min" in one.text for one in made.proposed("badly"))

    def test_a_mail_to_stakeholders_is_no_update_in_the_channel(self, day: Day) -> None:
        history = day()
        history.to("09:29").notified("Mailed.", channel="a@b.io", data={"message": "stakeholders"})
        history.to("09:40").close()
        (owed,) = review(history.incident).cadence.updates
        assert (owed.sent, owed.late) == (None, timedelta(minutes=10))

    def test_what_people_said_is_there_and_changes_no_fact(self, day: Day) -> None:
        history = worked(day())
        before = review(history.incident)
        history.to("15:00").note("Dana happened to look.", {"retro": "lucky"})
        history.incident.note("Alarm on it", {"retro": "action", "owner": "dana", "due": "2026-12-04"})
        history.incident.note("Just a note.")
        made = review(history.incident)
        assert [(one.kind, one.text, one.owner, one.due) for one in made.remarks] == [
            ("lucky", "Dana happened to look.", "", ""), ("action", "Alarm on it", "dana", "2026-12-04"),
        ]  # fmt: skip
        assert (made.measures, made.cadence, made.spans, made.proposals) == (
            before.measures, before.cadence, before.spans, before.proposals,
        )  # fmt: skip

    def test_notes_before_the_closing_do_not_move_the_end(self, day: Day) -> None:
        history = day()
        before = review(history.incident).until
        history.to("12:00").note("A thought for later.", {"retro": "badly"})
        assert review(history.incident).until == before

    def test_for_programs(self, day: Day) -> None:
        document = review(worked(day()).incident).as_dict()
        assert json.loads(json.dumps(document)) == document
        assert document["measures"][2] == {
            "name": "acknowledge", "title": "time to acknowledge", "took": 180.0,
            "start": "2026-11-23T09:00:00.000000Z", "end": "2026-11-23T09:03:00.000000Z",
            "how": "From the opening of the incident to the acknowledgement by dana.",
        }  # fmt: skip
        assert set(document["evidence"]) == {"sync-jobs", "alarms", "alarm-history"}

    def test_evidence_that_was_damaged_is_not_used(self, day: Day) -> None:
        history = worked(day())
        (file,) = (history.incident.dir / "evidence").glob("sync-jobs-*")
        file.write_bytes(file.read_bytes()[:-9])
        ours = history.incident
        made = review(Incident.load(ours.id, settings=ours.settings, sources=ours.sources))
        assert "sync-jobs" in made.as_dict()["unavailable"]
        assert made.moments.first_bad.at is None
        assert "nothing but an alarm says since when" in how(made, "detect")
        assert "(journal)" in how(made, "mitigate")


class TestProposals:
    def test_an_alarm_that_nobody_followed_for_long_went_badly(self, day: Day) -> None:
        made = review(worked(day()).incident)
        (told,) = (one.text for one in made.proposed("badly") if "only 1 h 45 min later" in one.text)
        assert told.startswith("QBusinessSyncFailed went into ALARM")
        assert not [one for one in made.proposed("well") if "An alarm rang" in one.text]
        assert [
            one for one in made.proposed("action") if "Have QBusinessSyncFailed page somebody" in one.text
        ]
        soon = review(worked(day(opened="07:35")).incident)
        assert not [one for one in soon.proposed("badly") if "went into ALARM" in one.text]
        assert [one for one in soon.proposed("well") if "An alarm rang 1 min after" in one.text]

    def test_what_is_taken_back_as_the_runbook_asks_did_not_go_badly(self, day: Day) -> None:
        history = day()
        off, back = (
            {"action": f"{verb} schedule", "item": "ds", "digest": verb} for verb in ("disable", "restore")
        )
        history.to("09:10").applied("stabilize", "The schedule is off.", off)
        history.to("12:32").applied("stabilize", "The schedule is on again.", back)
        history.incident.undone("stabilize", "The switching off is taken back.", off)
        made = review(history.incident)
        assert not [one for one in made.proposed("badly") if "taken back" in one.text]
        assert [one.kind for one in made.entries if one.step == "stabilize"] == ["applied", "applied"]
        history.incident.applied("rollback", "Restored.", {"action": "rollback", "digest": "r"})
        history.incident.undone("rollback", "Taken back.", {"action": "rollback", "digest": "r"})
        assert [one for one in review(history.incident).proposed("badly") if "(1 change)" in one.text]

    def test_looking_early_did_not_go_badly_and_closing_on_it_did(self, day: Day) -> None:
        history = day()
        for ok in (False, None, False):
            history.incident.verified("resync", "Not yet.", {"action": "sync proof", "ok": ok})
            history.incident.verified("resync", "Not yet.", {"action": "watch alarms", "ok": ok})
        early = [
            one.text for one in review(history.incident).proposed("badly") if "A verification" in one.text
        ]
        assert len(early) == 1
        assert "(2 times)" in early[0], "the last of each"
        history.incident.verified("resync", "Proved.", {"action": "sync proof", "ok": True})
        history.incident.verified("resync", "OK.", {"action": "watch alarms", "ok": True})
        made = review(history.incident)
        assert not [one for one in made.proposed("badly") if "A verification" in one.text]


class TestPhases:
    def test_each_step_from_its_first_to_its_last_own_action(self, day: Day) -> None:
        made = review(worked(day()).incident)
        told = {(one.lane, one.kind): (one.start, one.end) for one in made.spans}
        assert told["detect", "wait"] == (at("07:14"), at("07:15"))
        assert told["open", "wait"] == (at("07:15"), at("09:00"))
        assert told["triage", "wait"] == (at("09:00"), at("09:03"))
        assert told["triage", "phase"] == (at("09:00"), at("09:03"))
        assert told["rollback", "phase"] == (at("10:00"), at("10:00")), "it took a moment, whatever came next"
        assert told["resync", "phase"] == (at("12:05"), at("12:33"))
        assert told["validate", "phase"] == (at("12:40"), at("12:40"))
        assert told["rollback", "work"] == (at("10:00"), at("10:00"))
        assert told["resync", "work"] == (at("12:05"), at("12:33")), (
            "a sync that is waited for is one piece of work"
        )

    def test_planning_and_looking_are_no_rollback(self, day: Day) -> None:
        history = day()
        history.incident.conclude("rollback", "Planned.", {"action": "rollback", "digest": "d"})
        history.to("09:20").observe(refresh=True, step="rollback")
        assert {one.lane for one in review(history.incident).spans if one.kind != "wait"} == {"triage"}
        history.to("09:40").observe(["alarms"], refresh=True, step="validate")
        last = review(history.incident).spans[-1]
        assert (last.lane, last.kind, last.start) == ("validate", "work", at("09:40"))

    def test_what_has_not_ended_says_so(self, day: Day) -> None:
        history = day()
        history.to("10:00").set_phase("rollback")
        history.to("11:00").note("Still at it.")
        made = review(history.incident)
        assert {(one.lane, one.kind, one.end) for one in made.spans if one.open} == {
            ("triage", "wait", at("11:00"))
        }

    def test_nothing_is_drawn_while_it_was_closed(self, day: Day) -> None:
        history = worked(day())
        history.to("13:00").conclude("validate", "Looked at afterwards.")
        history.to("14:00").reopen("Again.")
        history.to("14:30").close()
        closed, again = at("12:40"), at("14:00")
        for one in review(history.incident).spans:
            assert one.end <= closed or one.start >= again


def test_every_rule_can_hold_and_none_judges_people() -> None:
    found = rules()
    assert {rule.step for rule in found} == set(KINDS)
    used = {name for rule in found for name in rule.when.names()}
    assert used <= set(VOCABULARY)
    assert all(
        rule.command.startswith("vmq note {incident_id} --action ") for rule in found if rule.step == "action"
    )
    assert not [rule.name for rule in found if rule.step != "action" and rule.command]
