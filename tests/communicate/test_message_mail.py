"""E-mail: over TLS or not at all, in one thread, with the record, and no way to slip in a header."""

from __future__ import annotations

import traceback
from dataclasses import replace
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.aws import Aws
from vmqlib.errors import BadInput, DeliveryFailed
from vmqlib.runbook.communicate.brief import brief
from vmqlib.runbook.communicate.documents import Document, Part
from vmqlib.runbook.communicate.mail import MailChannel, build_mail
from vmqlib.runbook.communicate.message import Message, build
from vmqlib.runbook.communicate.receipts import Attachment, Outgoing
from vmqlib.runbook.communicate.transports import SesTransport, SmtpTransport
from vmqlib.settings import Settings

SENDER, TO = "oncall@vaultmesh.io", ("head@vaultmesh.io", "support@vaultmesh.io")
PAGE = Attachment("INC-20261123-001.html", b"<!DOCTYPE html><p>" + b"x" * 5_000, "text/html")
PASSWORD = "correct-horse-battery"


def message(subject: str = "INC-20261123-001 (SEV2): impaired", *texts: str) -> Message:
    parts = tuple(Part("paragraph", text) for text in texts or ("Répondre à 東京 <b>& co</b>",))
    return Message("stakeholders", "INC-20261123-001", Document(subject, parts), "basis")


def outgoing(made: Message | None = None, **more: Any) -> Outgoing:
    return Outgoing(made or message(), "marker", "", **more)


def over(server: Any, **more: Any) -> SmtpTransport:
    return replace(SmtpTransport("127.0.0.1", server.port, ca=server.ca, timeout=30), **more)


def refusal(transport: SmtpTransport, idle: Any, to: tuple[str, ...] = TO) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        MailChannel(transport, SENDER, to, idle.waits()).deliver(outgoing())
    return caught.value


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_as_text_html_and_the_record(mail_server, idle, incident, security) -> None:
    server = mail_server(security)
    made = build("stakeholders", brief(incident, say="Wir arbeiten daran – bald"), lambda text: text)
    channel = MailChannel(over(server, security=security), SENDER, TO, idle.waits())
    receipt = channel.deliver(Outgoing(made, "marker", "", attachments=(PAGE,), at=incident.clock.now()))
    (mail,) = server.mails
    assert server.envelopes == [(SENDER, TO)]
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, ", ".join(TO), made.subject)
    assert mail["Date"] == "Mon, 23 Nov 2026 09:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == f"<{receipt.reference}@{receipt.domain}>"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "Wir arbeiten daran – bald" in text.get_content()
    assert page.get_content().startswith("<!DOCTYPE html>")
    (record,) = mail.iter_attachments()
    assert (record.get_filename(), record.get_content_type()) == ("INC-20261123-001.html", "text/html")
    assert record.get_payload(decode=True) == PAGE.content
    assert receipt.answer == "250 2.0.0 queued as 4711"


def test_mails_of_one_incident_hang_together() -> None:
    first = build_mail(outgoing(), SENDER, TO)
    assert first["In-Reply-To"] is None
    before = tuple(f"INC-20261123-001.{n}@vaultmesh.io" for n in range(40))
    reply = build_mail(outgoing(thread=before), SENDER, TO)
    assert reply["In-Reply-To"] == f"<{before[-1]}>"
    references = str(reply["References"]).split()
    assert (references[0], references[-1], len(references)) == (f"<{before[0]}>", f"<{before[-1]}>", 21)


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\x00", "\x0b", "\x85", "\u2028"])
class TestNoHeaderIsSlippedIn:
    def test_by_the_subject(self, sign) -> None:
        with pytest.raises(BadInput, match="subject"):
            build_mail(outgoing(message(f"hello{sign}Bcc: evil@example.com")), SENDER, TO)

    def test_by_an_address(self, sign) -> None:
        for sender, to in ((f"a@b.io{sign}Bcc: x@y.io", TO), (SENDER, (f"a@b.io{sign}Bcc: x@y.io",))):
            with pytest.raises(BadInput, match="address"):
                build_mail(outgoing(), sender, to)

    def test_by_a_files_name_or_a_thread(self, sign) -> None:
        with pytest.raises(BadInput, match="name"):
            build_mail(outgoing(attachments=(replace(PAGE, name=f"x{sign}y.html"),)), SENDER, TO)
        with pytest.raises(BadInput, match="Message-ID"):
            build_mail(outgoing(thread=(f"a{sign}b@c",)), SENDER, TO)


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b@c", "Dana <dana@b.io>", "a@b.io, c@d.io", "dän@b.io", "a b@c.io"]
)
def test_what_is_not_one_address_is_refused(address) -> None:
    with pytest.raises(BadInput):
        build_mail(outgoing(), SENDER, (address,))


@given(st.text(min_size=1, max_size=300), st.text(max_size=3_000))
def test_whatever_is_said_the_mail_has_its_own_headers_and_reads_back(subject, body) -> None:
    try:
        raw = build_mail(outgoing(message(subject, body or "x")), SENDER, TO).as_bytes()
    except BadInput:
        return
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    mail = message_from_bytes(raw, policy=policy.default)
    names = [name.lower() for name in mail.keys()]  # noqa: SIM118
    assert sorted(names) == sorted(set(names))
    assert not {"bcc", "cc", "reply-to"} & set(names)
    assert not mail.defects


class TestTls:
    def test_a_certificate_that_is_not_trusted_gets_nothing(self, mail_server, idle) -> None:
        server = mail_server()
        error = refusal(over(server, ca=None), idle)
        assert "not trusted" in error.message
        assert "smtp_ca" in error.hint
        assert (server.mails, idle.slept) == ([], [])

    def test_nor_does_one_for_another_name(self, mail_server, idle) -> None:
        server = mail_server(name="mail.example.com")
        assert "not trusted" in refusal(over(server), idle).message
        assert server.mails == []

    def test_a_server_without_tls_gets_neither_mail_nor_password(self, mail_server, idle) -> None:
        server = mail_server("none")
        error = refusal(over(server, user="vmq", password=PASSWORD), idle)
        assert "offers no TLS" in error.message
        assert server.mails == []


class TestLogin:
    def test_user_and_password_are_given(self, mail_server, idle) -> None:
        server = mail_server(user="vmq", password=PASSWORD)
        MailChannel(over(server, user="vmq", password=PASSWORD), SENDER, TO, idle.waits()).deliver(outgoing())
        assert len(server.mails) == 1

    def test_a_wrong_password_is_said_and_never_shown(self, mail_server, idle) -> None:
        server = mail_server(user="vmq", password="other")
        transport = over(server, user="vmq", password=PASSWORD)
        error = refusal(transport, idle)
        assert "535" in error.message
        assert idle.slept == [], "waiting does not mend it"
        assert "VMQ_SMTP_PASSWORD" in error.hint
        told = "".join(traceback.format_exception(error)) + error.hint + repr(transport)
        assert PASSWORD not in told


class TestAnswers:
    def test_a_server_that_asks_to_wait_is_asked_again(self, mail_server, idle) -> None:
        server = mail_server(answer=["451 4.3.0 later"])
        MailChannel(over(server), SENDER, TO, idle.waits()).deliver(outgoing())
        assert (len(server.mails), idle.slept) == (1, [2.0])
        assert "the mail server asks to wait: 451 4.3.0 later" in idle.told[0]

    def test_a_refused_mail_is_not_tried_again(self, mail_server, idle) -> None:
        server = mail_server(answer=["552 5.2.3 too large"])
        error = refusal(over(server), idle)
        assert "552 5.2.3 too large" in error.message
        assert (error.maybe, idle.slept, server.mails) == (False, [], [])

    def test_one_refused_recipient_is_said_and_the_others_get_it(self, mail_server, idle) -> None:
        server = mail_server(refuse={TO[0]: "550 5.1.1 no such user"})
        receipt = MailChannel(over(server), SENDER, TO, idle.waits()).deliver(outgoing())
        assert server.envelopes == [(SENDER, TO[1:])]
        assert TO[0] in receipt.remark
        assert "550 5.1.1 no such user" in receipt.remark

    def test_without_any_recipient_nothing_is_sent(self, mail_server, idle) -> None:
        server = mail_server(refuse=dict.fromkeys(TO, "550 5.1.1 no such user"))
        assert "550 5.1.1" in refusal(over(server), idle).message
        assert server.mails == []

    def test_after_a_lost_answer_it_may_have_arrived_and_is_not_sent_again(self, mail_server, idle) -> None:
        server = mail_server(answer=["cut"])
        error = refusal(over(server), idle)
        assert error.maybe
        assert "may have arrived" in error.message
        assert len(server.mails) == 1

    def test_where_nobody_listens_it_is_tried_again_and_was_not_sent(self, idle) -> None:
        error = refusal(SmtpTransport("127.0.0.1", 9, timeout=2), idle)
        assert not error.maybe
        assert idle.slept == [2.0, 4.0]


@pytest.fixture(scope="module")
def local(start_local_aws) -> Any:
    return start_local_aws(None)


class TestSes:
    @pytest.fixture
    def aws(self, local, point_at) -> Aws:
        point_at(local)
        local.faults.clear()
        return Aws(Settings.load())

    def channel(self, aws: Aws, idle: Any, sender: str = SENDER) -> MailChannel:
        return MailChannel(SesTransport(aws), sender, TO, idle.waits())

    def test_sends_the_raw_mail_once_its_sender_is_verified(self, aws, idle) -> None:
        sender = "first@vaultmesh.io"  # another test may have verified the usual one
        with pytest.raises(DeliveryFailed) as caught:
            self.channel(aws, idle, sender).deliver(outgoing())
        assert "MessageRejected" in caught.value.message
        assert "verified in SES" in caught.value.hint
        aws.own_client("sesv2").create_email_identity(EmailIdentity=sender)
        receipt = self.channel(aws, idle, sender).deliver(outgoing(attachments=(PAGE,)))
        assert receipt.via == "ses"
        assert receipt.reference == receipt.answer != ""
        assert receipt.domain == "eu-west-1.amazonses.com"

    def sent(self) -> int:
        from moto.ses.models import ses_backends

        return len(ses_backends["123456789012"]["eu-west-1"].sent_messages)

    @pytest.mark.parametrize(
        ("fault", "more", "maybe"),
        [
            ({"status": 503, "code": "ServiceUnavailable", "after": True}, 1, True),
            ({"reset": True, "after": True}, 1, True),
            (
                {"status": 400, "code": "MessageRejected", "message": "Address is on the suppression list"},
                0,
                False,
            ),
            ({"status": 403, "code": "AccessDeniedException", "message": "not authorized"}, 0, False),
        ],
        ids=["failed", "lost", "rejected", "denied"],
    )
    def test_is_never_asked_twice_where_it_may_have_sent(self, local, aws, idle, fault, more, maybe) -> None:
        aws.own_client("sesv2").create_email_identity(EmailIdentity=SENDER)
        before = self.sent()
        local.faults.add("sesv2", operation="SendEmail", **fault)
        with pytest.raises(DeliveryFailed) as caught:
            self.channel(aws, idle).deliver(outgoing())
        assert caught.value.maybe == maybe
        assert self.sent() == before + more

    def test_slow_down_is_waited_for(self, local, aws, idle) -> None:
        aws.own_client("sesv2").create_email_identity(EmailIdentity=SENDER)
        local.faults.add("sesv2", operation="SendEmail", status=429, code="TooManyRequestsException", times=1)
        before = self.sent()
        self.channel(aws, idle).deliver(outgoing())
        assert self.sent() == before + 1
        assert len(idle.slept) == 1
