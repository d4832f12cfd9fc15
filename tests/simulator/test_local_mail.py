"""The local mail server takes mails over TLS only, keeps them as they were sent, and delivers none."""

from __future__ import annotations

import os
import shlex
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from vmqlib.settings import Settings
from vmqlib.simulator.mail import LocalMail, TakenMail


@pytest.fixture
def mail() -> Iterator[LocalMail]:
    with LocalMail() as made:
        yield made


def letter() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@example.com", "b@example.com", "Grüße"
    made.set_content("Hello,\nwörld.\n")
    made.add_attachment(b"12345", maintype="text", subtype="calendar", filename="retro.ics")
    return made


def send(port: int, ca: str, made: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost", timeout=10) as server:
        server.starttls(context=ssl.create_default_context(cafile=ca))
        server.send_message(made, to_addrs=["b@example.com", "c@example.com"])


def test_a_mail_is_kept_as_it_was_sent(mail: LocalMail) -> None:
    send(mail.port, str(mail.ca), letter())
    (taken,) = mail.mails
    assert (taken.sender, taken.recipients) == ("a@example.com", ("b@example.com", "c@example.com"))
    assert (taken.subject, taken.text, taken.attachments) == (
        "Grüße",
        "Hello,\nwörld.",
        (("retro.ics", 5),),
    )


def test_nothing_is_taken_without_tls(mail: LocalMail) -> None:
    with smtplib.SMTP("127.0.0.1", mail.port, local_hostname="localhost", timeout=10) as server:
        server.ehlo()
        code, words = server.mail("a@example.com")
    assert (code, b"STARTTLS" in words) == (530, True)
    assert mail.mails == ()


def test_its_variables_are_settings_of_the_kit(mail: LocalMail, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in mail.env.items():
        monkeypatch.setenv(name, value)
    email = Settings.load().email
    assert (email.transport, email.smtp_host, email.smtp_port) == ("smtp", "127.0.0.1", mail.port)
    assert email.smtp_ca == mail.ca
    assert email.stakeholders == ("head-of-support@vaultmesh.io",)


def test_nothing_is_left_behind() -> None:
    with LocalMail() as made:
        assert made.ca.is_file()
    assert not made.ca.parent.exists()


def test_each_mail_is_told() -> None:
    told: list[TakenMail] = []
    with LocalMail(told=told.append) as made:
        send(made.port, str(made.ca), letter())
        assert tuple(told) == made.mails


@pytest.mark.slow
def test_the_command_prints_variables_shows_mails_and_ends_when_told_to() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "vmqlib.cli", "sim", "mail"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = list(iter(process.stdout.readline, "# ready\n"))
        found = dict(line.removeprefix("export ").rstrip("\n").split("=", 1) for line in lines)
        given = {name: shlex.split(value)[0] for name, value in found.items()}
        send(int(given["VMQ_EMAIL__SMTP_PORT"]), given["VMQ_EMAIL__SMTP_CA"], letter())
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert (
        "To: b@example.com, c@example.com\nSubject: Grüße\nAttached: retro.ics, 0.0 kB\n\nHello,\nwörld.\n"
        in errors
    )
