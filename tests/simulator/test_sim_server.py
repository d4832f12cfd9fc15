"""The HTTP front: keep-alive, whole requests, loopback only, and never HTML."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from vmqlib.simulator.server import LocalAws


def connect(aws):
    host, _, port = aws.url.removeprefix("http://").partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=60)


def test_a_connection_serves_many_requests(empty_aws):
    connection = connect(empty_aws)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        assert answer.version == 11
    assert connection.sock is first
    connection.close()


def test_it_listens_on_loopback_only(empty_aws):
    assert empty_aws.url.startswith("http://127.0.0.1:")
    table = Path("/proc/net/tcp").read_text().splitlines()
    listening = {line.split()[1] for line in table if line.split()[3] == "0A"}
    port = int(empty_aws.url.rsplit(":", 1)[1])
    assert [address for address in listening if address.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_what_is_not_simulated_is_an_error_that_boto3_reads(empty_aws, client_of):
    for service, call, code in (
        ("lambda", lambda client: client.get_account_settings(), "NotImplementedException"),
        ("bedrock-data-automation", lambda client: client.list_blueprints(), "NotImplementedException"),
        ("sesv2", lambda client: client.get_blacklist_reports(BlacklistItemNames=["x"]), "NotImplementedException"),
        ("kms", lambda client: client.describe_custom_key_stores(), "NotImplementedException"),
        ("iam", lambda client: client.get_mfa_device(SerialNumber="x" * 9), "NotImplementedException"),
        ("s3", lambda client: client.get_bucket_metadata_configuration(Bucket="none"), None),
    ):  # fmt: skip
        with pytest.raises(ClientError) as caught:
            call(client_of(empty_aws, service))
        if code:
            assert caught.value.response["Error"]["Code"] == code, service
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert "<html" not in str(caught.value.response)


@pytest.mark.parametrize("path", ["/", "/nowhere/at/all", "/applications/x/y/z", "/%zz", "/favicon.ico"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_no_request_whatever_is_answered_with_a_page(empty_aws, path, method):
    connection = connect(empty_aws)
    for headers in ({}, _signed_for("qbusiness"), _signed_for("logs"), _signed_for("nonsense")):
        connection.request(method, path, body=b"junk" if method == "POST" else None, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert b"<html" not in body.lower()
        assert b"<!doctype html" not in body.lower()
    connection.close()


def _signed_for(service):
    scope = f"SIMULATORNOTAREALKEY/20260301/eu-west-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"}


def test_what_is_not_even_http_gets_no_page_either(empty_aws):
    host, port = "127.0.0.1", int(empty_aws.url.rsplit(":", 1)[1])
    for junk in (
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection((host, port), timeout=60) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert b"<html" not in answer.lower()
        assert b'"__type"' in answer


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(empty_aws):
    host, port = "127.0.0.1", int(empty_aws.url.rsplit(":", 1)[1])
    with socket.create_connection((host, port), timeout=60) as connection:
        head = f"PUT /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert connection.recv(1000).startswith(b"HTTP/1.1 ")


def test_a_mistake_in_moto_is_an_error_of_the_service(empty_aws, client_of, monkeypatch):
    from moto.kms.responses import KmsResponse

    def broken(self):
        raise KeyError("somewhere deep")

    monkeypatch.setattr(KmsResponse, "list_keys", broken)
    with pytest.raises(ClientError) as caught:
        client_of(empty_aws, "kms").list_keys()
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert "somewhere deep" in caught.value.response["Error"]["Message"]


def test_large_and_chunked_bodies_arrive_whole(empty_aws, client_of):
    s3 = client_of(empty_aws, "s3")
    s3.create_bucket(Bucket="bodies", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    large = bytes(range(256)) * 20_000
    s3.put_object(Bucket="bodies", Key="large", Body=large)
    assert s3.get_object(Bucket="bodies", Key="large")["Body"].read() == large
    connection = connect(empty_aws)
    connection.request("PUT", "/bodies/chunked", body=iter([b"one ", b"two"]), headers=_signed_for("s3"))
    assert connection.getresponse().read() == b""
    connection.close()
    assert s3.get_object(Bucket="bodies", Key="chunked")["Body"].read() == b"one two"


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [b"", b"64\r\nhalf of it"])
def test_a_request_that_broke_off_does_nothing(empty_aws, client_of, head, sent):
    s3 = client_of(empty_aws, "s3")
    s3.create_bucket(Bucket="half", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    host, _, port = empty_aws.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as raw:
        raw.sendall(f"PUT /half/a.md HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n".encode() + sent)
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(100) == b""
    assert s3.list_object_versions(Bucket="half").get("Versions", []) == []
    s3.delete_bucket(Bucket="half")


def test_many_clients_at_once_lose_nothing(empty_aws, client_of):
    s3 = client_of(empty_aws, "s3")
    s3.create_bucket(Bucket="crowd", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket="crowd", Key=f"{n:03}", Body=b"x" * n), range(120)))
    assert [item["Size"] for item in s3.list_objects_v2(Bucket="crowd")["Contents"]] == list(range(120))


def test_an_unknown_scenario_is_named():
    with pytest.raises(ValueError, match="there are healthy, sync-failed"):
        LocalAws("helthy")


def test_an_empty_account_has_no_truth(empty_aws):
    with pytest.raises(LookupError):
        _ = empty_aws.truth


def test_the_error_of_a_post_without_a_service_is_readable(empty_aws):
    connection = connect(empty_aws)
    connection.request(
        "POST", "/", body=b"{}", headers={**_signed_for("logs"), "X-Amz-Target": "Logs_20140328.Nonsense"}
    )
    answer = connection.getresponse()
    assert answer.status == 501
    assert json.loads(answer.read())["__type"] == "NotImplementedException"
    connection.close()
