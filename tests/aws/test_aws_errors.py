"""Every way in which AWS refuses, or cannot be reached, becomes one error of ours that says what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.stub_aws import Answer, StubAws, error

from vmqlib.aws import Aws, InvalidRequest, aws_errors
from vmqlib.errors import (
    AccessDenied,
    AwsError,
    CredentialsExpired,
    CredentialsMissing,
    ResourceMissing,
    ServiceUnavailableHere,
    Throttled,
    Unreachable,
)
from vmqlib.settings import Settings

IDS = {
    "app_id": "0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9",
    "index_id": "1c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9",
    "ds_id": "9d1f4a7c-3b2e-4f6a-8c5d-e0b1a2c3d4f5",
}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubAws]:
    with StubAws() as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stub.url)
        yield stub


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws(Settings.load(**IDS), max_attempts=1)
    yield aws
    aws.close()


def describe_groups(aws: Aws) -> Any:
    with aws_errors("logs:DescribeLogGroups", "log group /x"):
        return aws.client("logs").describe_log_groups()


def get_index(aws: Aws) -> Any:
    with aws_errors("qbusiness:GetIndex", "index i"):
        return aws.client("qbusiness").get_index(applicationId=IDS["app_id"], indexId=IDS["index_id"])


def list_versions(aws: Aws) -> Any:
    with aws_errors("s3:ListObjectVersions", "bucket b"):
        return aws.client("s3").list_object_versions(Bucket="bucket")


CALLS: dict[str, tuple[str, Callable[[Aws], Any]]] = {
    "logs": ("DescribeLogGroups", describe_groups),
    "qbusiness": ("GetIndex", get_index),
    "s3": ("ListObjectVersions", list_versions),
}


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize(
    ("service", "code", "status", "kind"),
    [
        ("logs", "AccessDeniedException", 400, AccessDenied),
        ("qbusiness", "AccessDeniedException", 403, AccessDenied),
        ("s3", "AccessDenied", 403, AccessDenied),
        ("s3", "SomethingNew", 403, AccessDenied),
        ("logs", "ExpiredTokenException", 400, CredentialsExpired),
        ("s3", "ExpiredToken", 400, CredentialsExpired),
        ("s3", "InvalidAccessKeyId", 403, CredentialsExpired),
        ("qbusiness", "UnrecognizedClientException", 403, CredentialsExpired),
        ("logs", "SignatureDoesNotMatch", 403, CredentialsExpired),
        ("logs", "InvalidClientTokenId", 403, CredentialsExpired),
        ("logs", "ResourceNotFoundException", 400, ResourceMissing),
        ("qbusiness", "ResourceNotFoundException", 404, ResourceMissing),
        ("s3", "NoSuchBucket", 404, ResourceMissing),
        ("logs", "ThrottlingException", 400, Throttled),
        ("qbusiness", "ThrottlingException", 429, Throttled),
        ("s3", "SlowDown", 503, Throttled),
        ("logs", "InvalidParameterException", 400, InvalidRequest),
        ("qbusiness", "ValidationException", 400, InvalidRequest),
        ("logs", "ServiceUnavailableException", 500, Unreachable),
        ("s3", "InternalError", 500, Unreachable),
        ("logs", "OptInRequired", 403, ServiceUnavailableHere),
        ("qbusiness", "ConflictException", 409, AwsError),
        ("s3", "PermanentRedirect", 301, AwsError),
    ],
)
def test_each_refusal_is_its_own_error(
    stub: StubAws, aws: Aws, service: str, code: str, status: int, kind: type[AwsError]
) -> None:
    operation, call = CALLS[service]
    stub.on[operation] = lambda asked: error(code, status)

    with pytest.raises(AwsError) as caught:
        call(aws)

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.operation == f"{service}:{operation}"
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    assert caught.value.exit_code == (2 if kind is InvalidRequest else 3)


@pytest.mark.usefixtures("signed_in")
def test_a_denial_names_the_permission_the_resource_and_the_caller_as_aws_does(
    stub: StubAws, aws: Aws
) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/on-call/alice"
    key = "arn:aws:kms:eu-west-1:123456789012:key/k"
    said = f"User: {role} is not authorized to perform: kms:Decrypt on resource: {key} because no policy allows it"
    stub.on["GetIndex"] = lambda asked: error("AccessDeniedException", 403, said)

    with pytest.raises(AccessDenied, match=r"kms:Decrypt on arn:aws:kms") as caught:
        get_index(aws)
    assert caught.value.hint == f"Grant kms:Decrypt on {key} to {role}."


@pytest.mark.usefixtures("signed_in")
def test_a_denial_without_words_names_the_permission_of_the_call(stub: StubAws, aws: Aws) -> None:
    stub.on["ListObjectVersions"] = lambda asked: error("AccessDenied", 403, "Access Denied")
    with pytest.raises(AccessDenied) as caught:
        list_versions(aws)
    # S3 has no permission of the call's own name.
    assert caught.value.hint.startswith("Grant s3:ListBucketVersions on bucket b ")


@pytest.mark.usefixtures("stub")
def test_no_credentials(aws: Aws) -> None:
    with pytest.raises(CredentialsMissing, match="no usable AWS credentials"):
        get_index(aws)


@pytest.mark.usefixtures("stub")
def test_half_of_the_credentials(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
    with pytest.raises(CredentialsMissing, match=r"(?i)partial"):
        get_index(aws)


def test_an_unknown_profile(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsMissing, match="nobody"):
        aws.client("logs")


@pytest.mark.usefixtures("signed_in")
def test_an_endpoint_that_nobody_listens_on(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port}"):
        get_index(aws)


@pytest.mark.usefixtures("signed_in")
def test_a_server_that_hangs_up(stub: StubAws, aws: Aws) -> None:
    stub.on["GetIndex"] = lambda asked: Answer(status=0)
    with pytest.raises(Unreachable, match="closed before the answer"):
        get_index(aws)


@pytest.mark.usefixtures("signed_in")
def test_a_proxy_that_is_not_there(aws: Aws) -> None:
    # Every test's environment names a proxy that nobody runs.
    with pytest.raises(Unreachable, match="proxy"):
        get_index(aws)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Host names that have an address; nothing else has."""
    known: set[str] = set()

    def look_up(host: str, *_: object, **__: object) -> list[object]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    return known


@pytest.mark.usefixtures("signed_in", "names")
def test_a_region_that_does_not_exist() -> None:
    with pytest.raises(ServiceUnavailableHere, match="Amazon Q Business is not offered in mars-north-9"):
        get_index(Aws(Settings.load(**IDS, region="mars-north-9"), max_attempts=1))


@pytest.mark.usefixtures("signed_in")
def test_a_region_without_the_service(names: set[str]) -> None:
    names.add("sts.eu-north-1.amazonaws.com")
    with pytest.raises(ServiceUnavailableHere, match="eu-north-1") as caught:
        get_index(Aws(Settings.load(**IDS, region="eu-north-1"), max_attempts=1))
    assert "REGION" in caught.value.hint


@pytest.mark.usefixtures("signed_in", "names")
def test_no_network_at_all_is_not_the_regions_fault() -> None:
    with pytest.raises(Unreachable, match=r"at qbusiness\.eu-west-1"):
        get_index(Aws(Settings.load(**IDS), max_attempts=1))


@pytest.mark.usefixtures("stub", "signed_in")
def test_a_malformed_value_is_refused_before_it_is_sent(aws: Aws) -> None:
    with pytest.raises(InvalidRequest, match="indexId") as caught, aws_errors("qbusiness:GetIndex"):
        aws.client("qbusiness").get_index(applicationId=IDS["app_id"], indexId="")
    assert caught.value.exit_code == 2


def test_errors_of_our_own_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), aws_errors("x:Y"):
        raise ZeroDivisionError


@pytest.mark.usefixtures("signed_in")
def test_the_caller_is_asked_for_once(stub: StubAws, aws: Aws) -> None:
    arn = "arn:aws:sts::123456789012:assumed-role/on-call/alice"
    stub.on["GetCallerIdentity"] = lambda asked: (
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>{arn}</Arn><UserId>U</UserId><Account>123456789012</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    assert (aws.caller().account, aws.caller().arn, aws.caller().user) == ("123456789012", arn, "alice")
    assert stub.operations() == ["GetCallerIdentity"]
    assert "vmq/" in stub.asked[0].headers["User-Agent"]


@pytest.mark.usefixtures("signed_in")
def test_threads_share_one_client_of_a_service(aws: Aws) -> None:
    with ThreadPoolExecutor(16) as pool:
        clients = set(pool.map(lambda _: aws.client("s3"), range(64)))
    assert len(clients) == 1
    assert aws.own_client("s3") not in clients


@pytest.mark.usefixtures("signed_in")
def test_a_request_that_is_throttled_once_is_tried_again(stub: StubAws) -> None:
    left = [error("ThrottlingException", 400)]
    stub.on["DescribeLogGroups"] = lambda asked: left.pop() if left else {"logGroups": []}
    aws = Aws(Settings.load(**IDS), max_attempts=2)
    assert describe_groups(aws)["logGroups"] == []
    assert len(stub.asked) == 2
    aws.close()
