"""The servers that the other tests here stand on do what these need of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.s3_servers import S3Server, aws_of


@pytest.fixture(params=["seaweedfs", "simulator"])
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    return request.getfixturevalue(request.param)


@pytest.mark.slow
def test_a_server_keeps_versions_and_knows_its_caller(server: S3Server) -> None:
    bucket, client = server.bucket(), server.client()
    written = [client.put_object(Bucket=bucket, Key="a b+c", Body=body)["VersionId"] for body in (b"1", b"2")]
    client.delete_object(Bucket=bucket, Key="a b+c")
    listing = client.list_object_versions(Bucket=bucket)
    assert [row["VersionId"] for row in listing["Versions"]] == written[::-1]
    assert [row["IsLatest"] for row in listing["DeleteMarkers"]] == [True]
    assert aws_of(server).caller().user


@pytest.mark.slow
def test_two_servers_are_talked_to_side_by_side(seaweedfs: S3Server, simulator: S3Server) -> None:
    assert aws_of(seaweedfs).caller().account != aws_of(simulator).caller().account
    assert aws_of(simulator, bucket_name="elsewhere").settings.bucket_name == "elsewhere"
