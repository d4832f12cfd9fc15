"""What a version is besides its bytes is still there when it is brought back: by a copy, and by a copy in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.s3.utils import compute_checksum
from support.one_key import Shelf, shelf_in, shelf_on
from support.s3_servers import S3Server

from vmqlib.runbook.rollback import properties
from vmqlib.runbook.rollback.objects import Objects

PART = 5 * 1024**2
SMALL, LARGE = b"one", b"0123456789abcdef" * (PART // 16) + b"tail"
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"

# name -> (how it is put, what HeadObject says of it)
PROPERTIES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "content type": ({"ContentType": "text/markdown; charset=utf-8"},) * 2,
    "content encoding": ({"ContentEncoding": "gzip"},) * 2,
    "content disposition": ({"ContentDisposition": 'attachment; filename="a b.md"'},) * 2,
    "content language": ({"ContentLanguage": "de-AT, en"},) * 2,
    "cache control": ({"CacheControl": "max-age=60, private"},) * 2,
    "expires": (
        {"Expires": "Thu, 01 Dec 2033 16:00:00 GMT"},
        {"ExpiresString": "Thu, 01 Dec 2033 16:00:00 GMT"},
    ),
    "user metadata": ({"Metadata": {"owner": "knowledge ops", "x-y_z.1": "=?UTF-8?B?w6Q=?="}},) * 2,
    "storage class": ({"StorageClass": "STANDARD_IA"},) * 2,
    "storage class that is read at once": ({"StorageClass": "GLACIER_IR"},) * 2,
    "encryption by S3": ({"ServerSideEncryption": "AES256"},) * 2,
    "encryption by KMS": (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY_ARN, "BucketKeyEnabled": True},
    )
    * 2,
    "encryption by KMS without a bucket key": (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY_ARN},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY_ARN, "BucketKeyEnabled": None},
    ),
    "double encryption by KMS": ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": KEY_ARN},) * 2,
    "website redirect": ({"WebsiteRedirectLocation": "/elsewhere/%C3%A4.md"},) * 2,
}
ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
NOT_ON_SEAWEEDFS = {
    "storage class that is read at once": "does not know GLACIER_IR",
    "encryption by KMS": "has no key service here",
    "encryption by KMS without a bucket key": "has no key service here",
    "double encryption by KMS": "has no key service here",
    "website redirect": "has no websites",
}


@pytest.fixture(scope="module")
def simulator_once(start_local_aws: Callable[..., Any]) -> Shelf:
    return shelf_in(start_local_aws(None))


@pytest.fixture(scope="module")
def seaweedfs_once(seaweedfs: S3Server) -> Shelf:
    return shelf_on(seaweedfs)


@pytest.fixture
def simulator_shelf(simulator_once: Shelf) -> Shelf:
    return simulator_once.empty()


@pytest.fixture
def seaweedfs_shelf(seaweedfs_once: Shelf) -> Shelf:
    return seaweedfs_once.empty()


@pytest.fixture(params=["simulator", pytest.param("seaweedfs", marks=pytest.mark.slow)])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return request.getfixturevalue(f"{request.param}_shelf")


def brought_back(shelf: Shelf, way: str) -> None:
    """The version under the newest one is brought back by a copy or by a copy in parts."""
    shelf.put("k", b"something else", ContentType="image/png", Metadata={"other": "x"}, Tagging="other=1")
    above = 1 if way == "parts" else 5 * 1024**3
    shelf.objects = Objects(shelf.s3, multipart_above=above, part_size=PART)
    outcome = shelf.objects.apply(shelf.inspected("k"))
    assert outcome.result == "done", outcome


@pytest.mark.parametrize("way", ["copy", "parts"])
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_is_kept(shelf: Shelf, name: str, way: str) -> None:
    if shelf.server == "seaweedfs" and name in NOT_ON_SEAWEEDFS:
        pytest.skip(f"SeaweedFS {NOT_ON_SEAWEEDFS[name]}")
    put, says = PROPERTIES[name]
    shelf.put("k", LARGE if way == "parts" else SMALL, **put)
    before = shelf.head("k")
    brought_back(shelf, way)
    after = shelf.head("k")
    assert {key: after.get(key) for key in says} == says
    kept = {
        *says,
        "ContentType",
        "Metadata",
        "ContentLength",
        "ContentEncoding",
        "CacheControl",
    }
    assert {key: after.get(key) for key in kept} == {key: before.get(key) for key in kept}
    assert after.get("StorageClass", "STANDARD") == before.get("StorageClass", "STANDARD")
    assert shelf.get("k") == (LARGE if way == "parts" else SMALL)


@pytest.mark.parametrize("way", ["copy", "parts"])
def test_tags_are_kept(shelf: Shelf, way: str) -> None:
    tags = {"team": "knowledge ops", "a+b": "c=d/e@f:g", "empty": ""}
    if shelf.server == "seaweedfs":
        tags = {"team": "ops", "tier": "gold"}  # others it does not keep apart when it is a header
    shelf.put("k", LARGE if way == "parts" else SMALL)
    given = [{"Key": key, "Value": value} for key, value in tags.items()]
    shelf.client.put_object_tagging(Bucket=shelf.name, Key="k", Tagging={"TagSet": given})
    brought_back(shelf, way)
    assert shelf.tags("k") == tags


@pytest.mark.parametrize("way", ["copy", "parts"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_checksum_algorithm_is_kept(simulator_shelf: Shelf, algorithm: str, way: str) -> None:
    shelf = simulator_shelf
    body = LARGE if way == "parts" else SMALL
    # boto3 computes some only with a further library: what the server takes for them is as good here.
    value = compute_checksum(body, algorithm).decode()
    shelf.put("k", body, **{"ChecksumAlgorithm": algorithm, f"Checksum{algorithm}": value})
    name = f"Checksum{algorithm}"
    before = shelf.head("k")
    assert before[name]
    brought_back(shelf, way)
    after = shelf.head("k")
    assert after.get(name), after
    whole = way == "copy" or not algorithm.startswith("SHA")
    assert after["ChecksumType"] == ("FULL_OBJECT" if whole else "COMPOSITE")
    if whole:
        assert after[name] == before[name]


def test_a_copy_in_parts_keeps_the_etag_of_an_upload_in_parts(shelf: Shelf) -> None:
    """The version's own parts are used, whatever size is asked for."""
    upload = shelf.client.create_multipart_upload(Bucket=shelf.name, Key="k")["UploadId"]
    parts = []
    for number, body in enumerate((b"a" * PART, b"b" * PART, b"tail"), 1):
        sent = shelf.client.upload_part(
            Bucket=shelf.name, Key="k", UploadId=upload, PartNumber=number, Body=body
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    made = shelf.client.complete_multipart_upload(
        Bucket=shelf.name, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    shelf.put("k", b"x")
    shelf.objects = Objects(shelf.s3, multipart_above=1, part_size=7 * 1024**2)
    outcome = shelf.objects.apply(shelf.inspected("k"))
    assert outcome.result == "done"
    assert outcome.etag.endswith("-3")
    if shelf.server != "seaweedfs":  # its ETags of copied parts are not those of uploaded ones
        assert outcome.etag == made["ETag"].strip('"')
    assert shelf.get("k") == b"a" * PART + b"b" * PART + b"tail"


def test_what_was_thawed_is_written_where_the_connector_reads_it() -> None:
    head = {
        "x-amz-storage-class": "DEEP_ARCHIVE",
        "x-amz-restore": 'ongoing-request="false", expiry-date="…"',
    }
    assert properties.archived(head) == ""
    assert properties.copy_headers(head)["x-amz-storage-class"] == "STANDARD"


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=10))
def test_tags_go_into_a_header_and_come_out_again(tags: list[tuple[str, str]]) -> None:
    header = properties.tagging_header(tags)
    assert header.isascii()
    assert parse_qsl(header, keep_blank_values=True, separator="&") == tags
