"""Sending: approved, journaled before and after, kept as evidence; and what happens when nothing can be sent."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.records import MovingClock

from vmqlib.errors import BadInput, CorruptRecord, DeadlinePassed, LockHeld, RunFailed, WorldChanged
from vmqlib.record.incident import Incident
from vmqlib.record.notebook import RECORD_MIME
from vmqlib.runbook import opening
from vmqlib.runbook.communicate.attaching import renew
from vmqlib.runbook.communicate.channels import Channels, open_channels, slack_is_set
from vmqlib.runbook.communicate.keeping import keep
from vmqlib.runbook.communicate.plan import MessagePlan, cadence, due_now, edited, plan
from vmqlib.runbook.communicate.receipts import Image
from vmqlib.runbook.communicate.sending import by_hand, one_at_a_time, reconcile, send
from vmqlib.runbook.communicate.trying import Waits
from vmqlib.runbook.operationsrunbook import preview
from vmqlib.settings import Email, Settings
from vmqlib.simulator.slack import LocalSlack, SlackFault
from vmqlib.times import show_time

POST = "chat.postMessage"
SECRET = "AKIAIOSFODNN7EXAMPLE"


def kinds(incident: Incident) -> list[str]:
    return [event.kind for event in incident.journal.events() if event.step == "communicate"]


def data(incident: Incident, kind: str) -> dict[str, Any]:
    return next(e.data.model_dump() for e in reversed([*incident.journal.events()]) if e.kind == kind)


def post(incident: Incident, ways: Callable[..., Channels], which: Any = "update", **more: Any) -> Any:
    made = plan(incident, which, **more)
    return send(incident, made, made.digest, ways(incident))


def interrupted_while_slack_asks_to_wait(incident: Incident, slack: LocalSlack) -> Channels:
    """Slack asks for a minute; whoever waits presses Ctrl-C instead."""
    slack.faults.append(SlackFault(POST, status=429, retry_after=60))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    known = incident.settings.model_copy(update={"slack_api_url": slack.api_url})
    env = {"VMQ_SLACK_TOKEN": slack.token}
    return open_channels(known, lambda: pytest.fail("asked"), env, Waits(interrupted))


@pytest.fixture
def mailing(settings: Settings, mail_server: Any, clock: MovingClock) -> tuple[Incident, Any]:
    """An incident whose settings name a mail server, and that server."""
    server = mail_server("tls")
    email = Email(
        transport="smtp", sender="oncall@vaultmesh.io", stakeholders=("head@vaultmesh.io",), smtp_host="127.0.0.1",
        smtp_port=server.port, smtp_security="tls", smtp_ca=server.ca,
    )  # fmt: skip
    known = settings.model_copy(update={"email": email})
    return Incident.open(known, None, trigger="sync-failed", title="Syncs fail", clock=clock), server


class TestAPlan:
    def test_sends_nothing_and_writes_nothing(self, incident, slack) -> None:
        before = [*incident.dir.rglob("*")]
        made = plan(incident, "update")
        assert made.summary == "Sends update to #ops-escalations."
        assert slack.requests == ()
        assert [*incident.dir.rglob("*")] == before
        assert "Nothing was sent" in made._repr_mimebundle_()["text/html"]

    def test_has_the_same_digest_until_something_happens(self, incident, clock) -> None:
        first = plan(incident, "update").digest
        clock.forward(minutes=5)
        assert plan(incident, "update").digest == first
        incident.note("Support confirms.")
        assert plan(incident, "update").digest != first
        assert plan(incident, "update", say="more").digest != first

    def test_is_sent_only_with_its_own_digest(self, incident, ways, slack) -> None:
        made = plan(incident, "update")
        with pytest.raises(BadInput, match="not what would be sent"):
            send(incident, made, plan(incident, "update", say="other").digest, ways(incident))
        assert slack.requests == ()

    def test_is_not_sent_after_another_one_went_out(self, incident, ways, slack) -> None:
        made = plan(incident, "update")
        post(incident, ways)
        with pytest.raises(WorldChanged, match="went out"):
            send(incident, made, made.digest, ways(incident))
        assert len(slack.messages) == 1

    def test_shows_markup_from_outside_as_text(self, settings, clock) -> None:
        bad = Incident.open(settings, None, trigger="content", title="<script>alert(1)</script>", clock=clock)
        assert "<script>" not in plan(bad, "update")._repr_mimebundle_()["text/html"]

    def test_of_a_closed_incident_has_no_update(self, incident) -> None:
        incident.close("over", impact="A third.")
        with pytest.raises(BadInput, match="is closed"):
            plan(incident, "update")
        assert "A third." in plan(incident, "resolved").deliveries[0].message.text

    def test_with_what_a_person_wrote_is_masked(self, incident) -> None:
        made = edited(
            plan(incident, "update"), lambda _: f"key {SECRET} of jane@example.com", incident.redactor.text
        )
        assert SECRET not in made.text
        assert "jane@example.com" not in made.text


def test_of_several_proofs_a_message_has_the_last(incident) -> None:
    for number in range(3):
        incident.verified("resync", f"Not proved: {number}.", {"action": "sync proof", "ok": False})
    text = plan(incident, "update").text
    assert "Not proved: 2." in text
    assert "Not proved: 1." not in text


class TestTheFirstMessage:
    def test_speaks_of_none_before_it(self, incident, clock) -> None:
        for which in ("acknowledged", "update", "severity"):
            text = plan(incident, which).text
            assert "Nothing was changed so far." in text
            assert "last message" not in text
        incident.notified("told", channel="#ops-escalations", data={"message": "acknowledged"})
        clock.forward(minutes=1)
        assert "Nothing was changed since the last message." in plan(incident, "update").text

    @pytest.mark.parametrize(
        ("cause", "said"),
        [
            ("", "Syncs have failed for more than 15 minutes"),
            ("sync-failed/job/j-1", "Syncs have failed for more than 15 minutes"),
            (
                "sync-failed/alarm/QBusinessSyncFailed/2026-11-23T08:00:00+00:00",
                "“SyncFailed” alarm triggered for more than 15 minutes",
            ),
        ],
    )
    def test_says_that_the_alarm_triggered_only_where_that_was_seen(
        self, settings, clock, cause, said
    ) -> None:
        made = Incident.open(settings, None, trigger="sync-failed", title="x", cause=cause, clock=clock)
        assert f"- Trigger: {said}." in plan(made, "acknowledged").text


class TestSent:
    def test_is_on_record_with_slacks_answer_and_the_text(self, incident, ways, slack) -> None:
        (sent,) = post(incident, ways, say="Restoring now.")
        assert sent.ok
        assert kinds(incident) == ["applying", "notified"]
        told = data(incident, "notified")
        (posted,) = slack.messages
        assert (told["reference"], told["thread"], told["message"], told["via"]) == (
            posted.ts,
            posted.ts,
            "update",
            "slack",
        )
        assert told["permalink"].endswith(posted.ts.replace(".", ""))
        (ref,) = next(e.evidence for e in incident.journal.events() if e.kind == "notified")
        (row,) = incident.evidence.open(ref).rows()
        assert "Restoring now." in row["text"]
        assert incident.verify().ok
        assert cadence(incident).update.due_at == incident.clock.now() + timedelta(minutes=30)

    def test_hangs_in_the_thread_that_the_journal_names(self, incident, ways, slack, settings, clock) -> None:
        post(incident, ways, "acknowledged")
        again = Incident.load(incident.id, settings=settings, clock=clock)
        post(again, ways)
        first, second = slack.messages
        assert second.thread_ts == first.ts

    def test_never_holds_a_secret(self, incident, ways, slack) -> None:
        incident.note(f"it said password=hunter2hunter2 and {SECRET}")
        post(incident, ways, say=f"{SECRET} belongs to jane@example.com; ask knowledge-ops@vaultmesh.io")
        everywhere = repr(slack.messages) + "".join(
            path.read_bytes().decode("latin-1") for path in incident.dir.rglob("*.jsonl")
        )
        for secret in (SECRET, "hunter2", "jane@example.com", slack.token):
            assert secret not in everywhere
        assert "knowledge-ops@vaultmesh.io" in slack.messages[0].text

    def test_the_picture_goes_with_it(self, incident, ways, slack) -> None:
        made = plan(incident, "update")
        send(incident, made, made.digest, ways(incident), image=Image(b"\x89PNG", "words"))
        assert slack.messages[0].files == ("sync-history.png",)

    def test_severity_news_are_due_and_told(self, incident, ways, clock, slack) -> None:
        post(incident, ways)
        clock.forward(minutes=1)
        incident.set_severity("SEV1", "Nobody gets an answer.")
        assert due_now(incident) == ("severity",)
        post(incident, ways, due_now(incident))
        assert "It was SEV2, it is SEV1: Nobody gets an answer." in slack.messages[-1].text
        assert due_now(incident) == ("update",)

    def test_severity_news_are_told_although_an_update_was_overdue(self, incident, clock) -> None:
        clock.forward(minutes=40)
        incident.set_severity("SEV1", "Nobody gets an answer.")
        assert due_now(incident) == ("severity",)


def test_the_next_update_is_due_when_the_message_says(incident, ways, slack, clock) -> None:
    made = plan(incident, "update")
    clock.forward(minutes=3)  # somebody read it before they said yes
    send(incident, made, made.digest, ways(incident))
    due = incident.state.next_update_due
    assert due == made.deliveries[0].message.next_update_at
    assert f"By {show_time(due).replace(':00 UTC', ' UTC')}." in slack.messages[-1].text
    unsaid = edited(plan(incident, "update"), lambda _: "Restoring.", incident.redactor.text)
    send(incident, unsaid, unsaid.digest, ways(incident))
    assert incident.state.next_update_due == clock.now() + incident.state.update_every, "it did not say"


class TestMail:
    def test_stakeholders_get_the_record_and_later_that_it_is_over(self, mailing, ways, clock) -> None:
        incident, server = mailing
        (incident.dir / "incident.html").write_text("<p>the record</p>")
        clock.forward(hours=2, minutes=5)
        assert due_now(incident) == ("update", "stakeholders")
        post(incident, ways, "stakeholders")
        assert cadence(incident).stakeholders is None
        incident.close("over", impact="A third.")
        sent = post(incident, ways, "resolved")
        assert [one.delivery.place for one in sent] == ["slack", "mail"]
        first, second = server.mails
        assert [part.get_filename() for part in first.iter_attachments()] == [f"{incident.id}.html"]
        assert first["To"] == "head@vaultmesh.io"
        assert second["In-Reply-To"] == first["Message-ID"] == second["References"]
        told = [e.data for e in incident.journal.events() if e.kind == "notified" and e.data.via == "smtp"]
        assert told[0].channel == "head@vaultmesh.io"
        assert told[0].answer == "250 2.0.0 queued as 4711"

    def test_the_mail_says_as_of_when_the_record_is(self, mailing, ways) -> None:
        incident, server = mailing
        (incident.dir / "incident.html").write_text("<p>the record</p>")
        written = {RECORD_MIME: {"events": 1, "as_of": "2026-11-23T05:07:12Z"}}
        cells = [{"outputs": [{"data": written}]}]
        (incident.dir / "incident.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}))
        post(incident, ways, "stakeholders")
        words = f"Attached: the record, {incident.id}.html, as of 2026-11-23 05:07 UTC."
        for kind in ("plain", "html"):
            assert words in server.mails[0].get_body([kind]).get_content()
        (incident.dir / "incident.ipynb").unlink()
        post(incident, ways, "security")
        assert "as it was written last" in server.mails[1].get_body(["plain"]).get_content()

    def test_a_record_is_written_anew_only_where_it_goes_with_a_mail_and_is_old(
        self, mailing, monkeypatch
    ) -> None:
        incident, _ = mailing
        runs: list[Any] = []

        def write(one: Incident, **_: Any) -> None:
            runs.append(one.state.events)
            (one.dir / "incident.html").write_text("<p>anew</p>")
            told = {RECORD_MIME: {"events": one.state.events}}
            cells = [{"outputs": [{"data": told}]}]
            (one.dir / "incident.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}))

        monkeypatch.setattr(opening, "write_record", write)
        mail = plan(incident, "stakeholders")
        assert renew(incident, plan(incident, "update")) == ""
        assert runs == []
        assert renew(incident, mail) == renew(incident, mail) == ""
        assert runs == [1], "there was none; then it was as things stand"
        incident.notified("Posted.", channel="#ops", data={"message": "update"})
        renew(incident, mail)
        assert runs == [1], "a message is no news to the record"
        incident.applied("rollback", "Restored: 1 object.", {"action": "rollback", "digest": "d"})
        renew(incident, mail)
        assert runs == [1, 3]

    @pytest.mark.parametrize(
        "error", [RunFailed("A cell stopped."), DeadlinePassed("Too slow."), OSError(28)]
    )
    def test_a_record_that_cannot_be_written_stops_no_mail(self, mailing, ways, monkeypatch, error) -> None:
        incident, server = mailing

        def write(_: Incident, **__: Any) -> None:
            raise error

        monkeypatch.setattr(opening, "write_record", write)
        told = renew(incident, plan(incident, "stakeholders"))
        assert told == (str(error) if not isinstance(error, OSError) else "OSError.")
        post(incident, ways, "stakeholders")
        assert len(server.mails) == 1

    def test_a_record_that_is_too_large_stays_here(self, mailing, ways) -> None:
        incident, server = mailing
        (incident.dir / "incident.html").write_bytes(b"x" * 5_000_001)
        post(incident, ways, "stakeholders")
        assert list(server.mails[0].iter_attachments()) == []

    def test_the_security_notice_goes_to_the_liaison_alone(self, mailing, ways, slack) -> None:
        incident, server = mailing
        post(incident, ways, "security")
        assert server.envelopes == [("oncall@vaultmesh.io", ("security@vaultmesh.io",))]
        assert slack.messages == ()

    def test_without_stakeholders_the_lead_is_told_and_it_is_said(self, incident) -> None:
        made = plan(incident, "stakeholders")
        assert made.deliveries[0].to == ("knowledge-ops@vaultmesh.io",)
        assert "No stakeholders are named" in made.warnings[0]


class TestNotSent:
    def test_without_any_way_it_is_left_as_a_file_and_said(self, incident, clock) -> None:
        nothing = open_channels(incident.settings, lambda: pytest.fail("asked"), {})
        clock.forward(minutes=40)
        made = plan(incident, "update")
        (sent,) = send(incident, made, made.digest, nothing)
        assert not sent.ok
        assert sent.unset
        assert "VMQ_SLACK_TOKEN" in sent.problem
        (path,) = (incident.dir / "messages").iterdir()
        assert path.read_text().startswith("To: #ops-escalations\nSubject: ")
        assert str(path) in sent.fallback[0]
        assert kinds(incident) == ["failed"]
        assert cadence(incident).update_due
        clock.forward(minutes=5)
        again = plan(incident, "update")
        send(incident, again, again.digest, nothing)
        assert [*(incident.dir / "messages").iterdir()] == [path], "one file for one time that it is due"

    def test_a_channel_that_is_down_is_told_by_mail_once(self, mailing, ways, slack, clock) -> None:
        incident, server = mailing
        clock.forward(minutes=31)
        for _ in range(2):
            slack.faults[:] = [SlackFault(POST, error="not_in_channel")]
            (sent,) = post(incident, ways)
            assert not sent.ok
            clock.forward(minutes=2)
        assert server.envelopes == [("oncall@vaultmesh.io", ("knowledge-ops@vaultmesh.io",))]
        assert cadence(incident).update_due, "the channel was not told"
        assert data(incident, "notified")["fallback"] is True
        (mail,) = server.mails
        assert mail["Subject"].startswith("Not posted in #ops-escalations: INC-20261123-001 (SEV2): update 1")
        first = mail.get_body(("plain",)).get_content().splitlines()[0]
        assert first.startswith(
            "#ops-escalations could not be reached: The app is not in #ops-escalations. This is"
        )
        assert "could not be reached" in mail.get_body(("html",)).get_content()
        # That it was not mailed anew is said: on the terminal, and in the journal.
        assert "The same was mailed to knowledge-ops@vaultmesh.io at 09:31 UTC already" in sent.fallback[1]
        last = next(e for e in reversed([*incident.journal.events()]) if e.kind == "failed")
        assert last.summary == (
            "update was not sent to #ops-escalations: The app is not in #ops-escalations. "
            "The same was mailed to knowledge-ops@vaultmesh.io at 09:31 UTC already."
        )

    @pytest.mark.parametrize("which", ["severity", "remark", "resolved", "half an hour later"])
    def test_what_is_new_is_mailed_again_while_the_channel_is_down(
        self, mailing, ways, slack, clock, which
    ) -> None:
        incident, server = mailing
        slack.faults.append(SlackFault(POST, error="is_archived", times=9))
        post(incident, ways)
        clock.forward(minutes=2)
        post(incident, ways)
        assert len(server.mails) == 1
        match which:
            case "severity":
                incident.set_severity("SEV1", "Nobody gets an answer.")
            case "remark":
                incident.note("Support confirms.")
            case "resolved":
                incident.close("over")
                clock.forward(minutes=1)
                post(incident, ways, "resolved")
                clock.forward(minutes=1)
            case _:
                clock.forward(minutes=29)
        post(incident, ways, "resolved" if which == "resolved" else due_now(incident))
        assert len(server.mails) == 2, "once, however often it is tried"
        assert len(list((incident.dir / "messages").glob("*-resolved-slack.txt"))) == (which == "resolved")
        assert server.mails[1]["In-Reply-To"] == server.mails[0]["Message-ID"]

    def test_the_entry_in_the_operations_runbook_has_one_line_of_them(
        self, mailing, ways, slack, clock, tmp_path
    ) -> None:
        incident, _ = mailing
        incident.settings = incident.settings.model_copy(update={"operations_runbook": tmp_path / "OPS.md"})
        slack.faults.append(SlackFault(POST, error="is_archived", times=4))
        post(incident, ways, "acknowledged")
        for minutes in (31, 2, 31):  # the second of them says nothing new
            clock.forward(minutes=minutes)
            post(incident, ways)
        clock.forward(minutes=1)
        slack.faults.append(SlackFault(POST, error="is_archived", times=1))
        post(incident, ways, say="Restored.")
        post(incident, ways, say="Restored.")
        incident.close("over")
        entry = preview(incident).entry.splitlines()
        about = [line for line in entry if "ops-escalations" in line]
        assert [line.split(" | ")[1].removesuffix(" |") for line in about] == [
            "2 messages did not reach #ops-escalations; mailed to knowledge-ops@vaultmesh.io instead",
            "INC-20261123-001 (SEV2): update 1: sent to #ops-escalations.",
        ]
        assert about[0].startswith("| 2026-11-23 10:0")
        attempts = incident.timeline().query("step == 'communicate'").kind.tolist()
        assert attempts.count("failed") == 5, "the record has every one"

    def test_after_the_channel_was_told_the_next_failure_is_mailed(self, mailing, ways, slack, clock) -> None:
        incident, server = mailing
        for fault in (SlackFault(POST, error="is_archived"), None, SlackFault(POST, error="is_archived")):
            slack.faults[:] = [fault] if fault else []
            clock.forward(minutes=1)
            post(incident, ways)
        assert len(server.mails) == 2

    def test_the_mail_names_no_secret_and_begins_no_header(self, mailing, ways, slack, clock) -> None:
        incident, server = mailing
        evil = Incident.open(
            incident.settings,
            None,
            trigger="content",
            title=f"x\r\nBcc: evil@example.com {SECRET}",
            clock=clock,
        )
        slack.faults.append(SlackFault(POST, error="is_archived"))
        post(evil, ways)
        (mail,) = server.mails
        assert mail["Bcc"] is None
        assert SECRET not in mail.as_string()

    def test_ctrl_c_while_the_channel_is_tried_again_takes_the_other_way_at_once(
        self, mailing, slack, idle
    ) -> None:
        incident, server = mailing
        channels = interrupted_while_slack_asks_to_wait(incident, slack)
        made = plan(incident, "update")
        (sent,) = send(incident, made, made.digest, channels)
        assert (sent.ok, sent.maybe, sent.stopped) == (False, False, True)
        assert len(server.mails) == 1
        assert kinds(incident) == ["applying", "failed", "applying", "notified"]
        assert reconcile(incident, channels) == ()

    def test_what_may_have_arrived_is_neither_repeated_nor_mailed(self, mailing, idle) -> None:
        incident, server = mailing
        with LocalSlack(scopes=frozenset({"chat:write", "channels:read"})) as slack:
            slack.faults.append(SlackFault(POST, lost=True))
            known = incident.settings.model_copy(update={"slack_api_url": slack.api_url})
            channels = open_channels(
                known, lambda: pytest.fail("asked"), {"VMQ_SLACK_TOKEN": slack.token}, idle.waits()
            )
            made = plan(incident, "update")
            (sent,) = send(incident, made, made.digest, channels)
            assert sent.maybe
            assert (len(slack.messages), server.mails) == (1, [])
            assert data(incident, "failed")["maybe"] is True
            (told,) = reconcile(incident, channels)
            assert "Nobody knows" in told
            slack.scopes |= {"channels:history"}
            (told,) = reconcile(incident, channels)
            assert "did arrive" in told
            assert data(incident, "notified")["reference"] == slack.messages[0].ts
            assert reconcile(incident, channels) == ()

    def test_one_that_fails_does_not_stop_the_others(self, mailing, ways, slack) -> None:
        incident, server = mailing
        slack.faults.append(SlackFault(POST, error="is_archived"))
        sent = post(incident, ways, ["update", "stakeholders"])
        assert [one.ok for one in sent] == [False, True]
        assert len(server.mails) == 2, "the update's stand-in, and the stakeholders'"

    def test_a_journal_that_cannot_be_written_sends_nothing(self, incident, ways, slack) -> None:
        made = plan(incident, "update")
        incident.journal.path.write_bytes(b"")
        with pytest.raises(CorruptRecord):
            send(incident, made, made.digest, ways(incident))
        assert slack.messages == ()


class TestAfterACrash:
    """The process died between the intention and the outcome."""

    def crash(self, incident: Incident, channels: Channels, *, arrived: bool) -> None:
        class Dies:
            via = "slack"
            where = channels.slack.where  # type: ignore[union-attr]

            def deliver(self, outgoing: Any) -> Any:
                if arrived:
                    channels.slack.deliver(outgoing)  # type: ignore[union-attr]
                raise KeyboardInterrupt

        made = plan(incident, "update")
        with pytest.raises(KeyboardInterrupt):
            send(incident, made, made.digest, replace(channels, slack=Dies()))  # type: ignore[arg-type]

    def test_what_had_arrived_is_found_and_counts(self, incident, ways, slack) -> None:
        self.crash(incident, ways(incident), arrived=True)
        assert kinds(incident) == ["applying"]
        assert reconcile(incident, ways(incident)) != ()
        assert kinds(incident) == ["applying", "notified"]
        assert len(slack.messages) == 1
        assert not cadence(incident).update_due

    def test_what_had_not_is_sent_anew(self, incident, ways, slack) -> None:
        self.crash(incident, ways(incident), arrived=False)
        (told,) = reconcile(incident, ways(incident))
        assert "did not arrive" in told
        assert reconcile(incident, ways(incident)) == ()
        (sent,) = post(incident, ways)
        assert sent.ok
        assert len(slack.messages) == 1

    def test_what_is_found_later_was_sent_when_it_was_sent(self, incident, ways, clock) -> None:
        clock.forward(minutes=29)
        self.crash(incident, ways(incident), arrived=True)
        clock.forward(minutes=20)
        reconcile(incident, ways(incident))
        at = cadence(incident)
        assert at.past[0].kept
        assert at.update is not None
        assert at.update.due_at == clock.at + timedelta(minutes=10)

    def test_what_another_process_is_sending_is_not_taken_for_lost(
        self, incident, ways, slack, settings, clock
    ) -> None:
        other = Incident.load(incident.id, settings=settings, clock=clock)
        begun, go_on = threading.Event(), threading.Event()

        class Slow:
            via = "slack"
            where = "#ops-escalations"

            def deliver(self, outgoing: Any) -> Any:
                begun.set()
                go_on.wait(60)
                return ways(other).slack.deliver(outgoing)  # type: ignore[union-attr]

        def sends() -> None:
            made = plan(other, "update")
            send(other, made, made.digest, replace(ways(other), slack=Slow()))  # type: ignore[arg-type]

        sender = threading.Thread(target=sends)
        sender.start()
        assert begun.wait(60)
        threading.Timer(0.3, go_on.set).start()
        assert reconcile(incident, ways(incident)) == ()
        sender.join()
        assert kinds(incident) == ["applying", "notified"]
        assert len(slack.messages) == 1

    def test_a_persons_word_settles_what_cannot_be_looked_up(self, incident, ways, slack) -> None:
        self.crash(incident, ways(incident), arrived=True)
        by_hand(incident, "update", "https://example.slack.com/archives/C0/p1")
        assert reconcile(incident, ways(incident)) == ()
        assert incident.state.updates[-1].permalink.startswith("https://example.slack.com")


class TestOneAtATime:
    def test_a_second_sender_waits_and_then_gives_up(self, incident, idle) -> None:
        with (
            one_at_a_time(incident.dir, ".lock", "sends"),
            pytest.raises(LockHeld, match="Another vmq sends"),
            one_at_a_time(incident.dir, ".lock", "sends", patience=0),
        ):
            pytest.fail("two at once")
        with one_at_a_time(incident.dir, ".lock", "sends", patience=0):
            pass

    def test_two_at_once_post_once(self, incident, ways, slack, settings, clock) -> None:
        loaded = [Incident.load(incident.id, settings=settings, clock=clock) for _ in range(2)]
        plans: list[MessagePlan] = [plan(one, "update") for one in loaded]
        ends: list[object] = []

        def one(place: int) -> None:
            try:
                send(loaded[place], plans[place], plans[place].digest, ways(loaded[place]))
                ends.append("sent")
            except WorldChanged:
                ends.append("changed")

        threads = [threading.Thread(target=one, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, ends)) == ["changed", "sent"]
        assert len(slack.messages) == 1


class TestKeepingTheCadence:
    def run(
        self,
        incident: Incident,
        channels: Callable[[], Channels],
        clock: MovingClock,
        until: float,
        act: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Keeps it for so many minutes of the clock."""
        end = clock.at + timedelta(minutes=until)

        def sleep(seconds: float) -> None:
            clock.forward(seconds=seconds)
            act()
            if clock.at >= end:
                raise KeyboardInterrupt

        told: list[str] = []
        with contextlib.suppress(KeyboardInterrupt):
            told.extend(one.text for one in keep(incident, channels, sleep))
        return told

    def test_posts_every_half_hour_and_mails_beyond_two_hours(self, mailing, ways, slack, clock) -> None:
        incident, server = mailing
        told = self.run(incident, lambda: ways(incident), clock, 155)
        at = cadence(incident)
        assert len(slack.messages) == 5
        assert len(server.mails) == 1
        assert all(one.kept for one in at.past), at.past
        assert told[0].startswith("Next at 2026-11-23 09:30:00 UTC, in 30 min")

    def test_mail_that_is_not_set_up_does_not_hold_up_the_channel(self, incident, ways, slack, clock) -> None:
        clock.forward(minutes=7)
        post(incident, ways)
        self.run(incident, lambda: ways(incident), clock, 180)
        updates = [one for one in cadence(incident).past if one.why == "cadence"]
        assert len(slack.messages) == len(updates) == 6
        assert all(one.kept for one in updates)
        failed = [e for e in incident.journal.events() if e.kind == "failed"]
        assert len(failed) == 3, "once for each half hour that it is late"

    def test_what_others_send_counts(self, incident, ways, slack, clock, settings) -> None:
        other = Incident.load(incident.id, settings=settings, clock=clock)

        def act() -> None:
            if clock.at.minute == 20 and len(slack.messages) == 0:
                post(other, ways)

        self.run(incident, lambda: ways(incident), clock, 49, act)
        assert len(slack.messages) == 1

    def test_a_persons_change_of_severity_is_told_within_seconds(self, incident, ways, slack, clock) -> None:
        def act() -> None:
            if incident.state.severity == "SEV2":
                incident.set_severity("SEV1", "Nobody gets an answer.")

        self.run(incident, lambda: ways(incident), clock, 2, act)
        (one,) = slack.messages
        assert "now SEV1" in one.text

    def test_ends_when_it_is_closed(self, incident, ways, clock) -> None:
        def sleep(seconds: float) -> None:
            clock.forward(seconds=seconds)
            if not incident.state.closed_at:
                incident.close("over")

        assert [one.text for one in keep(incident, lambda: ways(incident), sleep)][-1].endswith(
            "nothing more is due."
        )

    def test_a_channel_that_is_down_is_tried_again_after_longer_and_longer_pauses(
        self, incident, ways, slack, clock
    ) -> None:
        slack.faults.append(SlackFault(POST, error="not_in_channel", times=4))
        clock.forward(minutes=30)
        begin = clock.at
        self.run(incident, lambda: ways(incident), clock, 40)
        tries = [e.at - begin for e in incident.journal.events() if e.kind == "failed"]
        minutes = [round(one.total_seconds() / 60) for one in tries]
        assert minutes == [0, 1, 3, 7]
        assert len(slack.messages) == 1
        assert cadence(incident).past[0].late >= timedelta(minutes=14)

    def test_ctrl_c_while_a_channel_is_tried_again_ends_it_and_says_what_became_of_it(
        self, incident, slack, clock
    ) -> None:
        channels = interrupted_while_slack_asks_to_wait(incident, slack)
        clock.forward(minutes=31)
        kept = keep(incident, lambda: channels, lambda _: None)
        assert "not sent to #ops-escalations. Slack asks to slow down; interrupted" in next(kept).text
        with pytest.raises(KeyboardInterrupt):
            next(kept)

    def test_where_nobody_knows_whether_it_arrived_it_waits_for_the_next(
        self, incident, ways, slack, clock
    ) -> None:
        slack.scopes -= {"channels:history"}
        slack.faults.append(SlackFault(POST, lost=True))
        clock.forward(minutes=30)
        self.run(incident, lambda: ways(incident), clock, 25)
        assert len(slack.messages) == 1

    def test_a_second_watcher_is_refused(self, incident, ways, clock) -> None:
        first = keep(incident, lambda: ways(incident), lambda _: None)
        next(first)
        with pytest.raises(LockHeld, match="keeps this incident's cadence"):
            next(keep(incident, lambda: ways(incident), lambda _: None))
        first.close()
        next(keep(incident, lambda: ways(incident), lambda _: None))

    def test_a_look_that_fails_stops_nothing(self, incident, ways, slack, clock) -> None:
        from vmqlib.errors import Unreachable

        def refresh() -> None:
            raise Unreachable("AWS cannot be reached.")

        clock.forward(minutes=31)
        told = next(keep(incident, lambda: ways(incident), lambda _: None, refresh=refresh))
        assert "AWS cannot be reached" in told.text
        assert len(slack.messages) == 1

    def test_survives_a_restart(self, incident, ways, slack, clock, settings) -> None:
        self.run(incident, lambda: ways(incident), clock, 40)
        again = Incident.load(incident.id, settings=settings, clock=clock)
        self.run(again, lambda: ways(again), clock, 30)
        assert len(slack.messages) == 2
        assert slack.messages[1].thread_ts == slack.messages[0].ts


class TestWaysThatAreSetUp:
    def opened(self, settings: Settings, **environ: str) -> Channels:
        return open_channels(settings, lambda: pytest.fail("AWS was asked for"), environ)

    def test_the_token_wins_over_the_webhook(self, settings) -> None:
        hook = "https://hooks.slack.com/services/T0/B0/xyz"
        both = self.opened(settings, VMQ_SLACK_TOKEN="xoxb-some-token-1", VMQ_SLACK_WEBHOOK=hook)
        assert both.slack is not None
        assert both.slack.via == "slack"
        one = self.opened(settings, VMQ_SLACK_WEBHOOK=hook)
        assert one.slack is not None
        assert one.slack.via == "webhook"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("VMQ_SLACK_TOKEN", "hunter2-is-no-token"),
            ("VMQ_SLACK_TOKEN", "xoxb-good\r\nX-Evil: 1"),
            ("VMQ_SLACK_WEBHOOK", "https://evil.example/services/T0/B0/secretpart"),
            ("VMQ_SLACK_WEBHOOK", "http://hooks.slack.com/services/T0/B0/secretpart"),
        ],
    )
    def test_what_is_no_token_or_webhook_is_refused_and_not_shown(self, settings, name, value) -> None:
        ways = self.opened(settings, **{name: value})
        assert ways.slack is None
        assert name in ways.why_no_slack
        assert value not in ways.why_no_slack
        assert "secretpart" not in ways.why_no_slack
        assert slack_is_set(settings, {name: value})

    @pytest.mark.parametrize(
        ("email", "said"),
        [
            (Email(), "No transport"),
            (Email(transport="smtp"), "sender"),
            (Email(transport="smtp", sender="a@b.io"), "smtp_host"),
        ],
    )
    def test_mail_that_is_not_set_up_says_what_is_missing(self, settings, email, said) -> None:
        ways = self.opened(settings.model_copy(update={"email": email}))
        assert ways.mail(("x@y.io",)) is None
        assert said in ways.why_no_mail

    @pytest.mark.parametrize(
        ("value", "via"),
        [
            ("xoxb-kept-in-secrets-manager", "slack"),
            ('{"token": "xoxb-kept-in-secrets-manager"}', "slack"),
            ('{"webhook": "https://hooks.slack.com/services/T0/B0/xyz"}', "webhook"),
            ("nothing of the kind", ""),
        ],
    )
    def test_secrets_manager_keeps_it(self, settings, start_local_aws, point_at, value, via) -> None:
        from vmqlib.aws import Aws

        point_at(start_local_aws(None))
        aws = Aws(Settings.load())
        known = settings.model_copy(update={"slack_secret": "vaultmesh/slack"})
        assert "vaultmesh/slack does not exist" in open_channels(known, lambda: aws, {}).why_no_slack
        aws.own_client("secretsmanager").create_secret(Name="vaultmesh/slack", SecretString=value)
        ways = open_channels(known, lambda: aws, {})
        assert (ways.slack.via if ways.slack else "") == via
        assert value not in ways.why_no_slack
