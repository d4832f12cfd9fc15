"""The guards of tests/conftest.py themselves: a guard that does not bite is worse than none."""

from __future__ import annotations

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import botocore.session
import pytest
from support import shapes

EXECUTION = "0b9a6c7e-4f0a-4a53-9e1e-7d3f2a1b0c9d"


def answered(name: str) -> object:
    return botocore.session.get_session().get_service_model("qbusiness").operation_model(name).output_shape


def test_nothing_of_the_developers_own_is_seen():
    assert not [
        name for name in os.environ if name in {"APP_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL", "VMQ_INCIDENTS"}
    ]
    assert boto3.Session().get_credentials() is None
    assert not list(Path.cwd().iterdir())


def test_nothing_leaves_the_machine():
    with pytest.raises(BaseException, match=r"203\.0\.113\.1"), socket.socket() as outside:
        outside.connect(("203.0.113.1", 80))
    with pytest.raises(BaseException, match="looked up"):
        socket.getaddrinfo("vaultmesh.example", 443)


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_a_true_answer_has_no_problems():
    answer = {
        "history": [{"executionId": EXECUTION, "status": "SUCCEEDED", "metrics": {"documentsAdded": "3"}}]
    }
    assert shapes.problems(answer, answered("ListDataSourceSyncJobs")) == []


@pytest.mark.parametrize(
    "job",
    [
        {"status": "STOPPED"},
        {"documentsAdded": "3"},
        {"executionId": 7},
        {"metrics": {"documentsAdded": 3}},
        {"dataSourceErrorCode": ""},
    ],
    ids=["unknown status", "unknown member", "wrong type", "count as a number", "too short"],
)
def test_an_answer_that_aws_cannot_give_is_found(job):
    assert shapes.problems({"history": [job]}, answered("ListDataSourceSyncJobs"))


def test_limits_and_patterns_are_held():
    shape = answered("GetApplication")
    assert shapes.problems({"applicationId": "not/an id"}, shape)
    assert shapes.problems({"description": "x" * 1001}, shape)
    assert shapes.problems({"displayName": "VaultMesh"}, shape) == []


class Untrue(BaseHTTPRequestHandler):
    """Answers whatever it is asked with a status that no sync job can have."""

    def do_GET(self):
        body = json.dumps({"history": [{"executionId": EXECUTION, "status": "STOPPED"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # noqa: A002 - the standard library's name
        pass


def test_every_client_is_checked():
    with HTTPServer(("127.0.0.1", 0), Untrue) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        client = boto3.client(
            "qbusiness",
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.list_data_source_sync_jobs(applicationId=EXECUTION, indexId=EXECUTION, dataSourceId=EXECUTION)
    found, shapes.VIOLATIONS[:] = list(shapes.VIOLATIONS), []
    assert len(found) == 1
    assert "STOPPED" in found[0]
