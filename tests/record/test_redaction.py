"""Redaction: no secret reaches the disk, and nothing that a record is about gets lost."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from vmqlib.errors import StorageError
from vmqlib.record.incident import Incident
from vmqlib.record.redaction import KEY_FILE, Redactor, redaction_key, redactor_for
from vmqlib.settings import Settings

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
# Put together here, so that scanners of the repository find no token in it.
SLACK = "xoxb-" + "123456789012-123456789012-AbCdEfGhIjKlMnOpQrStUvWx"
WEBHOOK = "https://hooks.slack.com/" + "services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
GITHUB = "gh" + "p_" + "16C7e42F292c6912E7710c838347Ae178B4a"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq0p+a/b=\n-----END RSA PRIVATE KEY-----"
SESSION = "IQoJb3JpZ2luX2VjEJr//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx/+4kD" * 3

# text, what must be gone
SECRETS = {
    "access key id": ("using AKIAIOSFODNN7EXAMPLE now", "IOSFODNN7"),
    "temporary key id": ("key=ASIAIOSFODNN7EXAMPLE,", "IOSFODNN7"),
    "secret key by name": (f"AWS_SECRET_ACCESS_KEY={SECRET_KEY}", SECRET_KEY),
    "secret key in a config file": (f"aws_secret_access_key = {SECRET_KEY}", SECRET_KEY),
    "secret key in JSON": (json.dumps({"SecretAccessKey": SECRET_KEY}), SECRET_KEY),
    "secret key beside its id": (f"AKIAIOSFODNN7EXAMPLE {SECRET_KEY}", SECRET_KEY),
    "secret key alone": (SECRET_KEY, SECRET_KEY),
    "session token": (f"token {SESSION} end", SESSION[20:60]),
    "signed URL": ("https://b.s3.amazonaws.com/k?X-Amz-Signature=6b1f0c22ad9e&x=1", "6b1f0c22ad9e"),
    "bearer": ("Authorization: Bearer abcDEF123456.x-y", "abcDEF123456"),
    "bearer in a sentence": ("sent bearer 9f86d081884c7d65", "9f86d081884c7d65"),
    "basic": ("authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    "basic in a sentence": ("tried Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    "signature version 4": (
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123, Signature=fe5f80f77d5fa3beca",
        "fe5f80f77d5fa3beca",
    ),
    "web token": (f"jwt {JWT}", JWT.rsplit(".", 1)[1]),
    "private key": (f"found\n{PEM}\nthere", "MIIEpAIBAAKCAQEA7"),
    "private key in JSON": (json.dumps({"pem": PEM}), "MIIEpAIBAAKCAQEA7"),
    "private key cut off": (PEM[:60], "MIIEpAIBAAK"),
    "Slack token": (f"token={SLACK}", "AbCdEfGh"),
    "Slack token alone": (SLACK, "AbCdEfGh"),
    "Slack webhook": (f"POST {WEBHOOK} 200", "T00000000"),
    "GitHub token": (f"https://x:{GITHUB}@github.com/a/b", GITHUB[4:]),
    "GitHub token alone": (f"with {GITHUB}", GITHUB[4:]),
    "password in a URL": ("postgres://app:s3cr3t%21@db:5432/x", "s3cr3t"),
    "password with @ in a URL": ("https://bob:p@ss@host/x", "p@ss"),
    "password=": ("login user=bob password=hunter2 ok", "hunter2"),
    "password in JSON": ('{"password": "hunter2", "n": 1}', "hunter2"),
    "password with a quote in JSON": (json.dumps({"password": 'hun"ter2', "n": 1}), "ter2"),
    "password in JSON in JSON": (json.dumps({"message": json.dumps({"dbPassword": "hun ter2"})}), "ter2"),
    "password thrice in JSON": (json.dumps([json.dumps(json.dumps({"pwd": "hun ter2"}))]), "ter2"),
    "password in YAML": ("db_password: 'hunter two'\nuser: bob", "two"),
    "password as an option": ("run --db-password hunter2 --verbose", "hunter2"),
    "password in another script": ("password=пароль123", "пароль123"),
    "API key": ("x-api-key: 0123456789abcdef", "0123456789abcdef"),
    "token=": ("https://x/y?access_token=0123abcdEFGH&z=1", "0123abcdEFGH"),
    "client secret": ("client_secret=Zm9v-YmFy", "Zm9v"),
    "e-mail": ("asked by dana.o'neil+x@example.co.uk yesterday", "neil"),
    "e-mail in a URL": ("?user=dana%40example.org&", "dana"),
    "e-mail after an escaped newline": (json.dumps("to:\ndana@example.org"), "dana"),
    "e-mail in another script": ("von jürgen@müller.de", "jürgen"),
    "telephone": ("call +44 20 7946 0958 now", "7946"),
    "telephone without spaces": ("call +442079460958 now", "79460958"),
    "telephone, North America": ("call (555) 123-4567 or 555-987-6543", "4567"),
    "card": ("paid with 4111 1111 1111 1111.", "1111 1111"),
    "card without spaces": ("paid with 5555555555554444", "55555555"),
    "card, American Express": ("paid with 3782 822463 10005", "822463"),
    "IBAN": ("to DE89 3704 0044 0532 0130 00 today", "0044"),
    "IBAN without spaces": ("to GB29NWBK60161331926819", "NWBK"),
}

# What a record is about.
SUBSTANCE = [
    "docs/guides/phase-mirage.md",
    "docs/Teams/Platform2/Guides/Onboarding/Week01",
    "assets/logo@2x.png",
    "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo",
    "L4kqtJlcpXroDTDmpUMLUo1234567890",
    '"9b2cf535f27731c974343645a3985328-12"',
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
    "4f1c2a9e-8d53-4d0f-9a0e-7a1d6d0f6a11",
    "12345678-1234-1234-1234-123456789012",
    "2026-11-23T09:12:05.123456Z",
    "2026-11-23 09:12:05 +0000",
    "23/Nov/2026:09:12:05 +0100",
    "1763888000000 1763888000000000",
    "38763481234567890123456789012345678901234567890123456789",
    "arn:aws:sts::123456789012:assumed-role/OnCall/dana",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:confluence-AbCdEf",
    "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    '{"secretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x", "authType": "basic authentication"}',
    "SYNC_RUN_HISTORY_REPORT/4f1c2a9e-8d53-4d0f-9a0e-7a1d6d0f6a11/9a0e7a1d-6d0f-4f1c-8d53-2a9e6a114d0f",
    "s3://vaultmesh-knowledge-base/_staging/docs/a.md?versionId=null",
    "nextToken=f/38763481234567890123456789012345678901234567890123456789/s clientToken=4f1c2a9e",
    "token: expired",
    "Unexpected token } in JSON at position 1204",
    "the question 'what is the password' was blocked",
    "basic configuration of the bearer of bad news",
    "AuthorizationError: not authorized to perform logs:FilterLogEvents",
    "10485760 bytes, +10485760 against yesterday, 4111111111111112 in all",
    "git@github.com:vaultmesh/ops.git",
    "versions 1.2.3, 10.0.0.1:8080, pkg@4.17.21",
    "0.4111111111111111",
    "MIRAGE PHASE 2026 UTC EU-WEST-1",
    "DE89370400440532013001",
    "PROD-0001-0002-0003",
]


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(keep=["security@vaultmesh.io"], key=b"k" * 32)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_masked(redactor: Redactor, kind: str) -> None:
    text, secret = SECRETS[kind]
    assert secret in text or secret in json.dumps(text)
    masked = redactor.text(text)
    assert secret not in masked
    assert redactor.counts.total()
    assert redactor.text(masked) == masked


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("frame", ['{"message": "%s"}', "in %s!", "a\n%s\nb", "ü %s ü", "x=1 %s"])
def test_a_secret_is_masked_wherever_it_stands(redactor: Redactor, kind: str, frame: str) -> None:
    text, secret = SECRETS[kind]
    if "alone" in kind and kind.startswith("secret key"):
        return  # 40 characters that nothing points at are known as a whole value only
    assert secret not in redactor.text(frame.replace("%s", json.dumps(text)[1:-1] if "{" in frame else text))


@pytest.mark.parametrize("text", SUBSTANCE)
def test_what_a_record_is_about_survives(redactor: Redactor, text: str) -> None:
    assert redactor.text(text) == text
    assert redactor.text(f"key {text} secret token bearer @") == f"key {text} secret token bearer @"
    assert redactor.row({"value": text, "key": [text]}) == {"value": text, "key": [text]}
    assert not redactor.counts


def test_a_mask_leaves_the_rest_alone(redactor: Redactor) -> None:
    line = (
        "user=dana@example.org password=hunter2 key=docs/a.md status=403 "
        "Authorization: Bearer abcDEF123456 took 3 ms"
    )
    masked = redactor.text(line)
    assert masked.endswith(
        "password=[password] key=docs/a.md status=403 Authorization: [authorization] took 3 ms"
    )
    assert dict(redactor.counts) == {"email": 1, "password": 1, "authorization": 1}


def test_one_person_stays_one_person_on_one_machine(redactor: Redactor) -> None:
    once, again = redactor.text("Dana@example.org"), redactor.text("from dana@example.org.")
    assert once in again
    assert once != redactor.text("dane@example.org")
    assert once != Redactor(key=b"other" * 8).text("dana@example.org")
    assert len(once) == len("[email:123456]")


def test_contacts_stay_readable(redactor: Redactor) -> None:
    assert redactor.text("ask Security@vaultmesh.io") == "ask Security@vaultmesh.io"


def test_names_of_fields_tell(redactor: Redactor) -> None:
    row = {
        "password": "x", "dbPassword": ["a", "b"], "client_secret": {"value": "y", "n": 1}, "apiKey": 123456,
        "accessToken": "0123abcd", "hasPassword": True, "secretArn": "arn:aws:x", "nextToken": "0123abcd456",
        "token": "expired", "passwords": "", "key": "docs/a.md",
    }  # fmt: skip
    assert redactor.row(row) == {
        "password": "[password]", "dbPassword": ["[password]", "[password]"],
        "client_secret": {"value": "[password]", "n": "[password]"}, "apiKey": "[password]",
        "accessToken": "[token]", "hasPassword": True, "secretArn": "arn:aws:x", "nextToken": "0123abcd456",
        "token": "expired", "passwords": "", "key": "docs/a.md",
    }  # fmt: skip


def test_two_secrets_as_keys_keep_both_values(redactor: Redactor) -> None:
    masked = redactor.row({"AKIAIOSFODNN7EXAMPLE": 1, "AKIAIOSFODNN7EXAMPL2": 2})
    assert list(masked.values()) == [1, 2]


ALPHANUMERIC = st.text(string.ascii_letters + string.digits, min_size=12, max_size=40)
GENERATED = st.one_of(
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16).map(lambda s: ("AKIA" + s, s)),
    ALPHANUMERIC.map(lambda s: (f"password={s}", s)),
    ALPHANUMERIC.map(lambda s: (json.dumps({"clientSecret": s}), s)),
    ALPHANUMERIC.map(lambda s: (f"https://u:{s}@host/path", s)),
    ALPHANUMERIC.map(lambda s: ("xoxp-" + s, s)),
    ALPHANUMERIC.map(lambda s: (f"Authorization: Bearer {s}", s)),
    st.text(string.ascii_lowercase, min_size=6, max_size=20).map(lambda s: (f"{s}@example.com", s)),
    st.text(string.ascii_letters + string.digits + "/+", min_size=40, max_size=40).map(
        lambda s: (f"aws_secret_access_key={s}", s)
    ),
)
AROUND = st.text("abc XYZ 019 .,;:-_/()[]{}\n\t\"'", max_size=12)


@st.composite
def nested(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    text, secret = draw(GENERATED)
    before, after = draw(AROUND), draw(AROUND)
    assume(secret not in f"{before} {after}")
    value: Any = f"{before} {text} {after}"
    for _ in range(draw(st.integers(0, 3))):
        value = draw(
            st.sampled_from(
                [
                    {"a": value, "n": 1},
                    [value, None],
                    {str(value): 1} if isinstance(value, str) else {"b": value},
                ]
            )
        )
    if draw(st.booleans()):
        value = json.dumps(value)
    return {"row": value, "at": "2026-11-23T09:00:00Z"}, secret


@settings(max_examples=300)
@given(nested())
@example(({"row": json.dumps({"a": 'x "password=Abc123Abc123" y'})}, "Abc123Abc123"))
def test_no_secret_survives_anywhere_in_a_row(case: tuple[dict[str, Any], str]) -> None:
    row, secret = case
    redactor = Redactor(key=b"k" * 32)
    masked = redactor.row(row)
    assert secret not in json.dumps(masked, ensure_ascii=False)
    assert redactor.row(masked) == masked


@given(st.text())
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor(key=b"k" * 32)
    once = redactor.text(text)
    assert redactor.text(once) == once


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    root = tmp_path / "incidents"
    key = redaction_key(root)
    assert len(key) == 32
    assert redaction_key(root) == key
    assert (root / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_spoilt_key_is_not_used(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(StorageError, match="5 bytes"):
        redaction_key(tmp_path)


def test_without_an_incident_the_masks_are_those_that_one_would_have(settings: Settings) -> None:
    text = f"{settings.contacts.security} and lena@example.com"
    shown = redactor_for(settings).text(text)
    assert shown.startswith(f"{settings.contacts.security} and [email:")
    assert not settings.incidents.exists(), "looking makes nothing"
    kept = redactor_for(settings, kept=True).text(text)
    incident = Incident.open(settings, None, trigger="content")
    assert kept == incident.redactor.text(text) == redactor_for(settings).text(text)
    assert redactor_for(settings, incident) is incident.redactor


def test_a_key_that_cannot_be_read_stops_what_keeps_and_not_what_shows(settings: Settings) -> None:
    settings.incidents.mkdir()
    (settings.incidents / KEY_FILE).write_bytes(b"short")
    assert "lena" not in redactor_for(settings).text("lena@example.com")
    with pytest.raises(StorageError, match="5 bytes"):
        redactor_for(settings, kept=True)


def test_the_working_directory_that_env_prints_is_no_password() -> None:
    redactor = Redactor()
    for shown in ("PWD=/work/main\nHOME=/root", "HOME=/root\nOLDPWD=/tmp/x"):
        assert redactor.text(shown) == shown
    for text in ("Server=x;PWD=/abc/def", "PWD=hunter2", "PWD=/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"):
        assert "[password]" in redactor.text(text)
