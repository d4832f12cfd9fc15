"""Over HTTP: JSON errors whatever is asked, IAM, and the same answers that mock_aws gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from support.connector_role import create_connector_role

from vmqlib.simulator.qbusiness import register
from vmqlib.simulator.qbusiness.validation import problems


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    register()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client(session: boto3.session.Session, url: str, service: str, **more: Any) -> Any:
    once = Config(retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=url, config=once, **more)


@pytest.fixture
def q(session: boto3.session.Session, server: str) -> Any:
    return client(session, server, "qbusiness")


def raw(
    url: str, method: str, path: str, body: bytes = b"", service: str = "qbusiness"
) -> tuple[int, str, Any]:
    """A request by hand: status, content type, and the body read as JSON."""
    import http.client
    from urllib.parse import urlparse

    connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=10)
    scope = f"Credential=AKIA/20261123/eu-west-1/{service}/aws4_request"
    connection.request(
        method,
        path,
        body,
        {
            "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x",
            "Content-Type": "application/json",
        },
    )
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers.get("Content-Type", ""), json.loads(text)


def test_every_other_operation_answers_json(q: Any) -> None:
    from botocore.loaders import Loader

    from vmqlib.simulator.qbusiness import qbusiness_backends

    known = set(qbusiness_backends["123456789012"]["eu-west-1"]._operations)
    model = Loader().load_service_model("qbusiness", "service-2")
    others = set(model["operations"]) - known - {"Chat"}  # an event stream, which boto3 does not have
    assert len(known) >= 40
    asked = 0
    for operation in sorted(others):
        name = q.meta.method_to_api_mapping
        method = next((python for python, api in name.items() if api == operation), None)
        if method is None:
            continue
        params = _minimal(q.meta.service_model.operation_model(operation).input_shape)
        with pytest.raises(ClientError) as refused:
            getattr(q, method)(**params)
        response = refused.value.response
        assert response["Error"]["Code"] == "ValidationException", operation
        assert response["reason"] == "UNKNOWN_OPERATION"
        assert operation in response["Error"]["Message"]
        asked += 1
    assert asked > 20


def _minimal(shape: Any) -> Any:
    """The least that boto3 lets through for an input shape."""
    if shape.type_name == "structure":
        if shape.metadata.get("union"):
            name, member = next(iter(shape.members.items()))
            return {name: _minimal(member)}
        return {name: _minimal(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [_minimal(shape.member)]
    if shape.type_name == "map":
        return {}
    if shape.type_name in ("integer", "long"):
        return max(1, shape.metadata.get("min", 1))
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "timestamp":
        return 0
    if "enum" in shape.metadata:
        return shape.metadata["enum"][0]
    return "a" * max(1, shape.metadata.get("min", 1))


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("GET", "/no/such/path", b"", "UNKNOWN_OPERATION"),
        ("PATCH", "/applications", b"{}", "UNKNOWN_OPERATION"),
        ("POST", "/applications", b"{not json", "CANNOT_PARSE"),
        ("POST", "/applications", b"[]", "CANNOT_PARSE"),
        ("POST", "/applications", b"", "FIELD_VALIDATION_FAILED"),
        ("POST", "/applications", b'{"displayName": 7}', "FIELD_VALIDATION_FAILED"),
        ("GET", "/applications?maxResults=many", b"", "CANNOT_PARSE"),
        ("GET", "/applications?maxResults=0", b"", "FIELD_VALIDATION_FAILED"),
    ],
)
def test_whatever_is_sent_the_answer_is_json(
    server: str, method: str, path: str, body: bytes, reason: str
) -> None:
    status, kind, answer = raw(server, method, path, body)
    assert (status, answer["reason"]) == (400, reason)
    assert kind.startswith("application/json")
    assert answer["message"]


def test_the_main_path_over_http(session: boto3.session.Session, server: str, q: Any) -> None:
    misfits: list[str] = []

    def after(model: Any, parsed: Any, **_: Any) -> None:
        body = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        if model.output_shape is not None and "Error" not in parsed:
            misfits.extend(
                f"{model.name}: {path} {what}" for path, what in problems(body, model.output_shape)
            )

    q.meta.events.register("after-call", after)
    s3 = client(session, server, "s3")
    s3.create_bucket(Bucket="over-http", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="over-http", Key="guides/a b.md", Body=b"# Alpha\nThe alpha guide.")
    app = q.create_application(displayName="http")["applicationId"]
    index = q.create_index(applicationId=app, displayName="index")["indexId"]
    source = q.create_data_source(
        applicationId=app,
        indexId=index,
        displayName="s3",
        roleArn=create_connector_role(client(session, server, "iam"), "q"),
        configuration={
            "type": "S3",
            "syncMode": "FULL_CRAWL",
            "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": "over-http"}},
        },
    )["dataSourceId"]
    ids = {"applicationId": app, "indexId": index, "dataSourceId": source}
    q.start_data_source_sync_job(**ids)
    with pytest.raises(ClientError) as refused:
        q.start_data_source_sync_job(**ids)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    running = q.list_data_source_sync_jobs(**ids, statusFilter="SYNCING")["history"]
    assert [job["status"] for job in running] == ["SYNCING"]

    from datetime import UTC, datetime, timedelta

    from vmqlib.simulator.qbusiness import qbusiness_backends

    qbusiness_backends["123456789012"]["eu-west-1"].run_due(datetime.now(UTC) + timedelta(hours=1))
    assert q.list_data_source_sync_jobs(**ids)["history"][0]["status"] == "SUCCEEDED"
    (listed,) = q.list_documents(applicationId=app, indexId=index, dataSourceIds=[source])[
        "documentDetailList"
    ]
    assert listed["documentId"] == "s3://over-http/guides/a b.md"
    # an id with slashes and a space in the middle of the path
    checked = q.check_document_access(
        applicationId=app, indexId=index, userId="ann+1@example.com", documentId=listed["documentId"]
    )
    assert checked["hasAccess"] is True
    arn = q.get_data_source(**ids)["dataSourceArn"]
    q.tag_resource(resourceARN=arn, tags=[{"key": "k", "value": "v"}])
    q.untag_resource(resourceARN=arn, tagKeys=["k"])
    assert q.list_tags_for_resource(resourceARN=arn)["tags"] == []
    q.delete_data_source(**ids)
    assert misfits == []


@pytest.fixture
def iam_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from moto import settings

    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)


def limited_user(session: boto3.session.Session, server: str, name: str, statement: dict[str, Any]) -> Any:
    iam = client(session, server, "iam")
    iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return client(
        session,
        server,
        "qbusiness",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def test_iam_denials_are_json(
    session: boto3.session.Session, server: str, q: Any, request: pytest.FixtureRequest
) -> None:
    app = q.create_application(displayName="iam")["applicationId"]
    reader = limited_user(
        session,
        server,
        "reader",
        {
            "Action": ["qbusiness:GetApplication", "qbusiness:ListApplications"],
            "Resource": [f"arn:aws:qbusiness:eu-west-1:123456789012:application/{app}", "*"],
        },
    )
    request.getfixturevalue("iam_on")
    assert reader.get_application(applicationId=app)["displayName"] == "iam"
    assert reader.list_applications()["applications"]
    with pytest.raises(ClientError) as refused:
        reader.delete_application(applicationId=app)
    response = refused.value.response
    assert response["Error"]["Code"] == "AccessDeniedException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "qbusiness:DeleteApplication" in response["Error"]["Message"]


def test_iam_decides_by_resource(
    session: boto3.session.Session, server: str, q: Any, request: pytest.FixtureRequest
) -> None:
    mine, other = (q.create_application(displayName=name)["applicationId"] for name in ("mine", "other"))
    arn = f"arn:aws:qbusiness:eu-west-1:123456789012:application/{mine}"
    owner = limited_user(session, server, "owner", {"Action": "qbusiness:*", "Resource": [arn, f"{arn}/*"]})
    request.getfixturevalue("iam_on")
    owner.create_index(applicationId=mine, displayName="index")
    with pytest.raises(ClientError) as refused:
        owner.create_index(applicationId=other, displayName="index")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_unknown_keys_are_refused_as_json(
    session: boto3.session.Session, server: str, request: pytest.FixtureRequest
) -> None:
    stranger = client(
        session, server, "qbusiness", aws_access_key_id="AKIAUNKNOWNEXAMPLE00", aws_secret_access_key="x"
    )
    request.getfixturevalue("iam_on")
    with pytest.raises(ClientError) as refused:
        stranger.list_applications()
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert response["Error"]["Code"] == "UnrecognizedClientException"
