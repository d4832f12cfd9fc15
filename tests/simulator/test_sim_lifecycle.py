"""Starting and stopping: nothing is left behind."""

from __future__ import annotations

import http.client
import socket

import pytest

from vmqlib.simulator.server import LocalAws


def test_it_goes_away_whole_and_another_begins_empty(client_of):
    with LocalAws() as aws:
        s3 = client_of(aws, "s3")
        s3.create_bucket(Bucket="gone", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        host, port = "127.0.0.1", int(aws.url.rsplit(":", 1)[1])
        kept_open = http.client.HTTPConnection(host, port, timeout=10)
        kept_open.request("GET", "/")
        kept_open.getresponse().read()
    assert kept_open.sock.recv(1) == b""
    kept_open.close()
    with pytest.raises(OSError):
        socket.create_connection((host, port), timeout=2)
    with LocalAws() as aws:
        assert client_of(aws, "s3").list_buckets()["Buckets"] == []


def test_a_taken_port_is_an_oserror_and_leaves_moto_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError), LocalAws(port=taken.getsockname()[1]):
            pass
    with LocalAws():
        pass
