"""S3 over HTTP: what boto3 puts we read and the other way round, boto3's endpoint and credentials are ours, and an
answer that did not come is told from a refusal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.scripted_http import HANG_UP, RESET, ScriptedServer, http

from vmqlib import errors
from vmqlib.aws import Aws
from vmqlib.s3 import S3, NoAnswer, encoded
from vmqlib.settings import Settings

KEYS = [
    "plain.md",
    "with space",
    "plus+plus",
    "percent%41%",
    "hash#tag",
    "question?mark=1&two",
    "a&b<c>\"d'",
    "ünïcode/é",
    "日本語/文書.md",
    "😀.md",
    "new\nline",
    "tab\tbell\x07",
    "/leading",
    "//twice//over",
    "trailing/",
    "a/./b/../c",
    "~tilde-_.!*'()",
    "semi;colon:at@equals=,$",
    "k" * 1024,
    "é" * 512,
]


@pytest.fixture
def keys_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")


@pytest.fixture(scope="module")
def aws() -> Aws:
    """One session for all: boto3 takes a quarter of a second to read what S3 is."""
    return Aws(Settings.load(region="eu-west-1"))


@pytest.fixture
def serve(aws: Aws, monkeypatch: pytest.MonkeyPatch, keys_in_environment: None) -> Any:
    """``with serve(answers…) as (server, s3)``; ``aws``: a session of the test's own."""

    @contextmanager
    def start(*answers: bytes, attempts: int = 1, aws: Aws = aws) -> Iterator[tuple[ScriptedServer, S3]]:
        aws.max_attempts = attempts
        with ScriptedServer(answers) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            with S3(aws, "bucket") as s3:
                yield server, s3

    return start


def error_body(code: str, message: str = "No.", **more: str) -> str:
    fields = {"Code": code, "Message": message, **more}
    return f"<Error>{''.join(f'<{name}>{value}</{name}>' for name, value in fields.items())}</Error>"


# The same objects as boto3's


def test_every_kind_of_key_is_the_same_object_as_boto3s(
    local_aws: Any, point_at: Callable[[Any], None]
) -> None:
    point_at(local_aws)
    aws = Aws(Settings.load())
    client = aws.client("s3")
    client.create_bucket(Bucket="wire", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with S3(aws, "wire") as s3:
        for number, key in enumerate(KEYS):
            client.put_object(Bucket="wire", Key=key, Body=b"by boto3 %d" % number)
            assert s3.send("GET", key).body == b"by boto3 %d" % number, key
            put = s3.send("PUT", key, body=b"by us %d" % number, headers={"x-amz-meta-n": str(number)})
            assert put.status == 200, key
            found = client.get_object(Bucket="wire", Key=key)
            assert found["Body"].read() == b"by us %d" % number, key
            assert found["Metadata"] == {"n": str(number)}
            assert s3.send("DELETE", key).status == 204
            assert s3.send("HEAD", key).status == 404
    aws.close()


def test_a_path_is_encoded_and_never_normalised(serve: Any) -> None:
    with serve(http(200)) as (server, s3):
        for key in KEYS:
            s3.send("GET", key, query={"versionId": "a+b/c=", "tagging": ""})
        s3.send("GET", query={"versions": "", "key-marker": "a b&c"})
    lines = [asked.line.split(" ")[1] for asked in server.asked]
    assert lines[KEYS.index("a/./b/../c")] == "/bucket/a/./b/../c?versionId=a%2Bb%2Fc%3D&tagging"
    assert lines[KEYS.index("//twice//over")].startswith("/bucket///twice//over?")
    assert lines[KEYS.index("😀.md")].startswith("/bucket/%F0%9F%98%80.md?")
    assert lines[KEYS.index("tab\tbell\x07")].startswith("/bucket/tab%09bell%07?")
    assert lines[-1] == "/bucket?versions&key-marker=a%20b%26c"
    assert encoded("a b/é+%", "") == "a%20b%2F%C3%A9%2B%25"


def test_a_key_that_is_not_utf_8_keeps_its_bytes(serve: Any) -> None:
    with serve(http(200)) as (server, s3):
        s3.send("GET", b"raw\xff\x80".decode("utf-8", "surrogateescape"))
    assert server.asked[0].line.startswith("GET /bucket/raw%FF%80 ")


def test_headers_beyond_ascii_go_as_utf_8(serve: Any) -> None:
    with serve(http(200, x_amz_meta_who="Zoë")) as (server, s3):
        answer = s3.send("PUT", "k", headers={"x-amz-meta-who": "Zoë"}, body=b"x")
    assert server.asked[0].headers["x-amz-meta-who"] == "Zoë".encode()
    assert answer.headers["x-amz-meta-who"] == "Zoë"


def test_an_empty_put_says_that_it_is_empty(serve: Any) -> None:
    with serve(http(200)) as (server, s3):
        s3.send("PUT", "k", headers={"x-amz-copy-source": "bucket/k"})
    assert server.asked[0].headers["content-length"] == b"0"
    assert "transfer-encoding" not in server.asked[0].headers


# As boto3 would


@pytest.mark.parametrize(
    ("bucket", "host"),
    [
        ("plain-bucket", "plain-bucket.s3.eu-west-1.amazonaws.com:443"),
        ("with.dots", "s3.eu-west-1.amazonaws.com:443"),
        (
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/door",
            "door-123456789012.s3-accesspoint.eu-west-1.amazonaws.com:443",
        ),
    ],
)
def test_aws_is_asked_where_boto3_asks_through_the_proxy(
    bucket: str, host: str, aws: Aws, monkeypatch: pytest.MonkeyPatch, keys_in_environment: None
) -> None:
    with ScriptedServer([http(407)]) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{proxy.port}")
        with S3(aws, bucket) as s3, pytest.raises(NoAnswer) as lost:
            s3.send("GET", "k")
    assert proxy.asked[0].line.startswith(f"CONNECT {host} HTTP/1.")
    assert proxy.asked[0].headers["proxy-authorization"].startswith(b"Basic ")
    assert not lost.value.sent
    assert "secret" not in str(lost.value)


def test_credentials_are_refreshed(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with SSO or a role: here boto3's credential_process, whose every answer is about to expire."""
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    count, script, config = tmp_path / "count", tmp_path / "keys.py", tmp_path / "config"
    script.write_text(
        "import json, pathlib\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{n}', 'SecretAccessKey': 's', 'SessionToken': f't{n}',"
        f" 'Expiration': {soon!r}}}))\n"
    )
    config.write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with serve(http(200), aws=Aws(Settings.load())) as (server, s3):
        s3.send("GET", "k")
        s3.send("GET", "k")
    first, second = (asked.signed_as[0] for asked in server.asked)
    assert first != second
    assert server.asked[1].headers["x-amz-security-token"] == second.replace("KEY", "t").encode()


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(errors.CredentialsMissing):
        S3(Aws(Settings.load()), "bucket")


def test_a_bucket_in_another_region_is_followed_once(serve: Any) -> None:
    moved = http(301, error_body("PermanentRedirect"), x_amz_bucket_region="us-west-2")
    with serve(moved, http(200, "there")) as (server, s3):
        assert s3.send("GET", "k").body == b"there"
        assert s3.send("GET", "k").body == b"there"
    assert [asked.signed_as[2] for asked in server.asked] == ["eu-west-1", "us-west-2", "us-west-2"]
    with serve(moved) as (server, s3):
        refused = s3.send("HEAD", "k")
        assert refused.status == 301
        assert "another region" in s3.refuse(refused, "s3:HeadObject").hint
    assert len(server.asked) == 2


# Refusals


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (403, error_body("AccessDenied"), errors.AccessDenied, "AccessDenied"),
        (404, error_body("NoSuchKey"), errors.ResourceMissing, "NoSuchKey"),
        (404, "", errors.ResourceMissing, "404"),
        (403, "", errors.AccessDenied, "403"),
        (412, error_body("PreconditionFailed"), errors.AwsError, "PreconditionFailed"),
        (412, "", errors.AwsError, "412"),
        (503, error_body("SlowDown"), errors.Throttled, "SlowDown"),
        (500, error_body("InternalError"), errors.Unreachable, "InternalError"),
        (200, error_body("InternalError"), errors.Unreachable, "InternalError"),
        (200, error_body("SlowDown"), errors.Throttled, "SlowDown"),
        (502, "<html><body>Bad gateway</body></html>", errors.Unreachable, "502"),
        (403, error_body("ExpiredToken"), errors.CredentialsExpired, "ExpiredToken"),
        (403, error_body("RequestTimeTooSkewed"), errors.AwsError, "RequestTimeTooSkewed"),
    ],
)
def test_a_refusal_is_the_kits_error(
    serve: Any, status: int, body: str, kind: type[errors.AwsError], code: str
) -> None:
    with serve(http(status, body)) as (_, s3):
        error = s3.refuse(s3.send("GET", "k"), "s3:CopyObject", "object s3://bucket/k")
    assert type(error) is kind
    assert (error.code, error.operation) == (code, "s3:CopyObject")
    assert error.hint


def test_what_s3_says_of_a_permission_is_told(serve: Any) -> None:
    said = "User: arn:aws:sts::1:assumed-role/ops/x is not authorized to perform: s3:ListBucketVersions on resource: b"
    with (
        serve(http(403, error_body("AccessDenied", said))) as (_, s3),
        pytest.raises(errors.AccessDenied, match="ListBucketVersions on b"),
    ):
        s3.ask("GET", operation="s3:ListObjectVersions")


# No answer


@pytest.mark.parametrize(
    "ending", [HANG_UP, RESET, b"HTTP/1.1 200 OK\r\nX: truncated\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_lost_answer_is_told_as_such(serve: Any, ending: bytes) -> None:
    with serve(ending) as (server, s3), pytest.raises(NoAnswer) as lost:
        s3.send("PUT", "k", body=b"x")
    assert lost.value.sent
    assert isinstance(lost.value, errors.Unreachable)
    assert lost.value.hint
    assert len(server.asked) == 1, "one attempt, no more"


def test_a_refused_connection_surely_sent_nothing(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, keys_in_environment: None
) -> None:
    with ScriptedServer([http(200)]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        s3 = S3(aws, "bucket")
    with pytest.raises(NoAnswer) as lost:
        s3.send("GET", "k")
    assert not lost.value.sent
    assert f"127.0.0.1:{server.port}" in str(lost.value)


# Asking again


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    paused: list[int] = []
    monkeypatch.setattr(S3, "pause", staticmethod(lambda attempt, stop=None: paused.append(attempt)))
    return paused


@pytest.mark.parametrize(
    "fault",
    [
        http(503, error_body("SlowDown")),
        http(500, error_body("InternalError")),
        http(429),
        http(400, error_body("RequestTimeout")),
        http(200, error_body("InternalError")),
        http(502, "<html>bad gateway</html>"),
        HANG_UP,
        RESET,
        b"HTTP/1.1 200 OK\r\nX: truncated\r\nContent-Length: 9\r\n\r\nx",
    ],
)
def test_a_read_is_asked_again(serve: Any, fault: bytes, no_pauses: list[int]) -> None:
    with serve(fault, fault, http(200, "at last"), attempts=3) as (server, s3):
        assert s3.ask("GET", operation="s3:ListObjectVersions").body == b"at last"
    assert len(server.asked) == 3
    assert no_pauses == [1, 2]


def test_a_refusal_is_not_asked_again(serve: Any, no_pauses: list[int]) -> None:
    with (
        serve(http(404, error_body("NoSuchBucket")), attempts=5) as (server, s3),
        pytest.raises(errors.ResourceMissing, match="Bucket bucket does not exist"),
    ):
        s3.ask("GET", operation="s3:ListObjectVersions")
    assert len(server.asked) == 1


def test_the_last_attempt_says_why(serve: Any, no_pauses: list[int]) -> None:
    with serve(HANG_UP, attempts=2) as (server, s3), pytest.raises(NoAnswer, match="s3:GetObject") as lost:
        s3.ask("GET", "k", operation="s3:GetObject")
    assert lost.value.operation == "s3:GetObject"
    assert len(server.asked) == 2


def test_an_object_may_look_like_an_error(serve: Any) -> None:
    with serve(http(200, error_body("NotAnError"))) as (_, s3):
        assert b"NotAnError" in s3.ask("GET", "k", operation="s3:GetObject").body


def test_pauses_end_when_told(serve: Any) -> None:
    stop = threading.Event()
    stop.set()
    with (
        serve(http(503, error_body("SlowDown")), attempts=9) as (server, s3),
        pytest.raises(errors.Throttled),
    ):
        s3.ask("GET", operation="s3:ListObjectVersions", stop=stop)
    assert len(server.asked) == 1


def test_threads_share_it(serve: Any) -> None:
    with serve(http(200, "x" * 1000)) as (server, s3):
        bodies: list[bytes] = []
        crew = [
            threading.Thread(target=lambda: bodies.extend(s3.send("GET", str(n)).body for n in range(20)))
            for _ in range(8)
        ]
        for one in crew:
            one.start()
        for one in crew:
            one.join()
    assert bodies == [b"x" * 1000] * 160
    assert len(server.asked) == 160
