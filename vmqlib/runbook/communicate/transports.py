"""What carries mails: a mail server over TLS, or Amazon SES."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.errors import AwsError, DeliveryFailed, Throttled
from vmqlib.runbook.communicate.receipts import Receipt, Via
from vmqlib.runbook.communicate.trying import NotYet, Unknown

if TYPE_CHECKING:
    from vmqlib.aws import Aws

__all__ = ["SesTransport", "SmtpTransport"]

_TIMEOUT_S = 20
_UNVERIFIED = frozenset({"MessageRejected", "MailFromDomainNotVerifiedException"})
_VERIFY = (
    "Is {sender}, or its domain, verified in SES (`aws sesv2 get-email-identity --email-identity {sender}`)? In SES's "
    "sandbox the recipients have to be, too."
)


@dataclass(frozen=True)
class SmtpTransport:
    """A mail server (RFC 5321). TLS is not optional: a server that offers none gets nothing.

    Parameters
    ----------
    host, port:
        Where it listens.
    security:
        ``starttls``, or ``tls`` from the first byte.
    user, password:
        For its AUTH; empty for none. Never shown.
    ca:
        A file of certificates to trust beside the system's.
    timeout:
        Seconds to wait for an answer.
    """

    host: str
    port: int
    security: Literal["starttls", "tls"] = "starttls"
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    ca: Path | None = None
    timeout: float = _TIMEOUT_S
    via: Via = "smtp"

    def send(self, mail: EmailMessage, sender: str, to: tuple[str, ...]) -> Receipt:
        """Hands it over. As the protocol says."""
        try:
            server = self._connected(sender)
        except smtplib.SMTPNotSupportedError:
            raise self._refused(
                "It offers no TLS.", 'Use a port with TLS, or smtp_security = "tls".'
            ) from None
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            raise self._refused(
                f"Its certificate is not trusted, or TLS failed: {why}.", "Name its certificates in smtp_ca."
            ) from None
        except smtplib.SMTPResponseException as error:
            raise _answered(error.smtp_code, error.smtp_error, self._refused) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotYet(f"{self.host}:{self.port} cannot be reached ({type(error).__name__})") from None
        try:
            return self._handed_over(server, mail, sender, to)
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def _connected(self, sender: str) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        # Its own name for itself would take a look-up of this machine's.
        me = sender.rpartition("@")[2] or "localhost"
        server: smtplib.SMTP
        if self.security == "tls":
            server = smtplib.SMTP_SSL(
                self.host, self.port, local_hostname=me, timeout=self.timeout, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, local_hostname=me, timeout=self.timeout)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server

    def _handed_over(
        self, server: smtplib.SMTP, mail: EmailMessage, sender: str, to: tuple[str, ...]
    ) -> Receipt:
        """MAIL, RCPT, DATA one by one: smtplib's own sendmail does not tell what the server said to the mail."""
        refused: dict[str, tuple[int, bytes]] = {}
        try:
            server.ehlo_or_helo_if_needed()
            code, words = server.mail(sender)
            if code != 250:
                raise _answered(code, words, self._refused)
            for one in to:
                code, words = server.rcpt(one)
                if code not in (250, 251):
                    refused[one] = (code, words)
        except (OSError, smtplib.SMTPException) as error:
            raise NotYet(f"{self.host} hung up before the mail was given ({type(error).__name__})") from None
        if len(refused) == len(to):
            code, words = next(iter(refused.values()))
            raise _answered(code, words, self._refused)
        try:
            code, words = server.data(mail.as_bytes())
        except smtplib.SMTPDataError as error:  # it did not even want to hear it
            raise _answered(error.smtp_code, error.smtp_error, self._refused) from None
        except (OSError, smtplib.SMTPException) as error:
            raise Unknown(f"{self.host} did not answer to the mail ({type(error).__name__})") from None
        if code != 250:
            raise _answered(code, words, self._refused)
        local, _, domain = str(mail["Message-ID"]).strip("<>").partition("@")
        told = [f"{one}: {code} {_words(words)}" for one, (code, words) in refused.items()]
        remark = f"Not for all: {'; '.join(told)}" if told else ""
        where = ", ".join(to)
        return Receipt("smtp", where, local, domain=domain, answer=f"{code} {_words(words)}", remark=remark)

    def _refused(self, what: str, hint: str = "") -> DeliveryFailed:
        said = f"{self.host}:{self.port} refused. {what}"
        return DeliveryFailed(
            f"Not sent: {said}",
            hint=hint or "Mend that under [email] in vmq.toml, or ask who runs that mail server.",
            why=said,
        )


def _answered(code: int, words: bytes | str, refused: Callable[[str, str], DeliveryFailed]) -> Exception:
    """What a mail server's answer means: 4xx may be tried again (RFC 5321, 4.2.1)."""
    said = f"{code} {_words(words)}"
    if 400 <= code < 500:
        return NotYet(f"the mail server asks to wait: {said}")
    hint = "Check VMQ_SMTP_USER and VMQ_SMTP_PASSWORD." if code in (530, 534, 535, 538) else ""
    return refused(f"It said: {said}.", hint)


def _words(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:300].rstrip(".")


@dataclass(frozen=True)
class SesTransport:
    """Amazon SES (API v2: SendEmail, raw content).

    Parameters
    ----------
    aws:
        The session. It is asked once for each mail: SendEmail is not idempotent, and boto3's own retries would send
        again after a lost answer.
    """

    aws: Aws
    via: Via = "ses"

    def send(self, mail: EmailMessage, sender: str, to: tuple[str, ...]) -> Receipt:
        """Hands it over. As the protocol says."""
        from botocore import exceptions as lost

        from vmqlib.aws import Aws as Once
        from vmqlib.aws import aws_errors

        client = Once(self.aws.settings, self.aws.clock, max_attempts=1).own_client("sesv2")
        try:
            with aws_errors("ses:SendEmail", resource=sender):
                try:
                    answer: dict[str, Any] = client.send_email(
                        FromEmailAddress=sender,
                        Destination={"ToAddresses": list(to)},
                        Content={"Raw": {"Data": mail.as_bytes()}},
                    )
                except (
                    lost.ReadTimeoutError,
                    lost.ConnectionClosedError,
                    lost.ResponseStreamingError,
                ) as error:
                    raise Unknown(f"SES did not answer ({type(error).__name__})") from None
                except (lost.EndpointConnectionError, lost.ConnectTimeoutError) as error:
                    raise NotYet(f"SES cannot be reached ({type(error).__name__})") from None
                except lost.ClientError as error:
                    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                        raise Unknown("SES failed while it worked") from None
                    raise
        except Throttled as error:
            raise NotYet("SES asks to slow down", error.retry_after or 2.0) from None
        except AwsError as error:
            hint = _VERIFY.format(sender=sender) if error.code in _UNVERIFIED else error.hint
            raise DeliveryFailed(
                f"Not sent: {error.message}", hint=hint, code=error.code, why=error.message
            ) from None
        finally:
            client.close()
        message_id = str(answer["MessageId"])
        # SES puts a Message-ID of its own in the place of the one that was given (SES developer guide, Header fields).
        region = self.aws.region
        domain = "email.amazonses.com" if region == "us-east-1" else f"{region}.amazonses.com"
        return Receipt("ses", ", ".join(to), message_id, domain=domain, answer=message_id)
