"""Injected faults as plain boto3 meets them, in every protocol."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from vmqlib.simulator.faults import Faults
from vmqlib.simulator.protocols import Call, error_answer

CALLS = {
    "s3": lambda client: client.list_buckets(),
    "s3control": lambda client: client.list_access_points(AccountId="123456789012"),
    "cloudwatch": lambda client: client.describe_alarms(),
    "logs": lambda client: client.describe_log_groups(),
    "sns": lambda client: client.list_topics(),
    "sts": lambda client: client.get_caller_identity(),
    "iam": lambda client: client.list_users(),
    "kms": lambda client: client.list_keys(),
    "cloudtrail": lambda client: client.describe_trails(),
    "qbusiness": lambda client: client.list_applications(),
    "sesv2": lambda client: client.list_email_identities(),
}


@pytest.fixture
def faults(empty_aws):
    yield empty_aws.faults
    empty_aws.faults.clear()


@pytest.mark.parametrize("service", [name for name in CALLS if name != "s3control"])
def test_an_error_parses_in_the_protocol_of_each_service(service, empty_aws, faults, client_of):
    client = client_of(empty_aws, service)
    rule = faults.add(service, code="AccessDeniedException", message='no <you> & "me" – äöü')
    with pytest.raises(ClientError) as caught:
        CALLS[service](client)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "AccessDeniedException"
    assert answer["Error"].get("Message") == 'no <you> & "me" – äöü'
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["ResponseMetadata"]["RequestId"]
    assert rule.hits == 1
    faults.remove(rule)
    CALLS[service](client)


def test_a_modelled_error_is_the_models_class(empty_aws, faults, client_of):
    client = client_of(empty_aws, "qbusiness")
    faults.add("qbusiness", "ListApplications", code="ThrottlingException")
    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.list_applications()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_cbor_errors_are_cbor():
    answer = error_answer(
        Call("cloudwatch", "GetMetricData", "POST", "/", "smithy-rpc-v2-cbor"), 400, "Oops", "m" * 30
    )
    assert answer.body == b"\xa2\x66__type\x64Oops\x67message\x78\x1e" + b"m" * 30
    assert ("smithy-protocol", "rpc-v2-cbor") in answer.headers


def test_only_the_named_operation_and_path_are_met(empty_aws, faults, client_of):
    s3 = client_of(empty_aws, "s3")
    s3.create_bucket(Bucket="faulty", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    faults.add("s3", "PutObject", path=r"/faulty/bad/", code="SlowDown")
    s3.put_object(Bucket="faulty", Key="good/x", Body=b"1")
    with pytest.raises(ClientError, match="SlowDown"):
        s3.put_object(Bucket="faulty", Key="bad/x", Body=b"1")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="faulty")["Contents"]] == ["good/x"]
    faults.add("s3", "HeadObject", status=503)
    with pytest.raises(ClientError) as head:
        s3.head_object(Bucket="faulty", Key="good/x")
    assert head.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_skip_lets_some_pass_and_times_ends_it(empty_aws, faults, client_of):
    sts = client_of(empty_aws, "sts")
    faults.add("sts", code="Throttling", skip=1, times=2)
    outcome = []
    for _ in range(5):
        try:
            sts.get_caller_identity()
            outcome.append("ok")
        except ClientError:
            outcome.append("error")
    assert outcome == ["ok", "error", "error", "ok", "ok"]


def test_boto3_retries_past_a_throttle(empty_aws, faults, client_of):
    rule = faults.add("logs", code="ThrottlingException", times=1)
    answer = client_of(empty_aws, "logs", attempts=3).describe_log_groups()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert rule.hits == 1


def test_a_lost_answer_means_that_the_work_was_done(empty_aws, faults, client_of):
    s3 = client_of(empty_aws, "s3")
    s3.create_bucket(Bucket="lost", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    faults.add("s3", "PutObject", status=500, code="InternalError", after=True, times=1)
    with pytest.raises(ClientError, match="InternalError"):
        s3.put_object(Bucket="lost", Key="k", Body=b"there")
    assert s3.get_object(Bucket="lost", Key="k")["Body"].read() == b"there"
    faults.add("s3", "DeleteObject", reset=True, after=True, times=1)
    with pytest.raises(HTTPClientError):
        s3.delete_object(Bucket="lost", Key="k")
    assert "Contents" not in s3.list_objects_v2(Bucket="lost")


def test_a_cut_connection_is_one(empty_aws, faults, client_of):
    faults.add("kms", reset=True, times=1)
    client = client_of(empty_aws, "kms")
    with pytest.raises(HTTPClientError):
        client.list_keys()
    assert client.list_keys()["Keys"] == []


def test_headers_go_with_the_error(empty_aws, faults, client_of):
    faults.add("s3", status=503, code="SlowDown", headers={"Retry-After": "7"})
    with pytest.raises(ClientError) as caught:
        client_of(empty_aws, "s3").list_buckets()
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"


def test_latency_waits_and_then_answers():
    waited = []
    rules = Faults(sleep=waited.append)
    rule = rules.add("s3", latency=2.5, times=1)
    call = Call("s3", "ListBuckets", "GET", "/", "rest-xml")
    assert rules.take(call) is rule
    assert not rule.fails
    assert rules.take(call) is None
    assert waited == [2.5]


def test_a_probability_is_drawn_from_the_seed():
    def draws(seed):
        rules = Faults(seed)
        rules.add(probability=0.3, code="Throttling")
        call = Call("s3", "ListBuckets", "GET", "/", "rest-xml")
        return [rules.take(call) is not None for _ in range(300)]

    assert draws(1) == draws(1) != draws(2)
    assert 50 < sum(draws(1)) < 130


def test_every_request_is_counted_once_under_many_threads():
    rules = Faults()
    rule = rules.add("s3", code="SlowDown", times=500)
    call = Call("s3", "GetObject", "GET", "/b/k", "rest-xml")
    met = []

    def work():
        met.extend(1 for _ in range(200) if rules.take(call) is not None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rule.hits == len(met) == 500


def test_the_record_says_who_was_called(empty_aws, faults, client_of):
    seen = faults.record()
    client_of(empty_aws, "logs").describe_log_groups()
    client_of(empty_aws, "sts").get_caller_identity()
    client_of(empty_aws, "qbusiness").list_applications()
    assert [(call.service, call.operation) for call in seen] == [
        ("logs", "DescribeLogGroups"),
        ("sts", "GetCallerIdentity"),
        ("qbusiness", "ListApplications"),
    ]


def test_a_path_that_is_no_expression_is_refused_at_once(faults):
    with pytest.raises(Exception, match="unterminated"):
        faults.add("s3", path="[")
