from __future__ import annotations

import hashlib
import json
import re
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_plus
from uuid import uuid4

from harness import ACCOUNT, Peer, check, same


def document(peer: Peer, bucket: str, **query: str) -> str:
    """The listing as S3 wrote it: boto3 loses the order between versions and markers."""
    seen: list[str] = []
    client = peer.client("s3", s3={"addressing_style": "path"})
    client.meta.events.register(
        "before-parse.s3.ListObjectVersions",
        lambda response_dict, **_: seen.append(response_dict["body"].decode()),
    )
    client.list_object_versions(Bucket=bucket, **query)
    return seen[0]


def put(peer: Peer, bucket: str, key: str, body: bytes = b"x", **more: object) -> dict:
    return peer.s3.put_object(Bucket=bucket, Key=key, Body=body, **more)


def fill(bucket: str, count: int) -> None:
    """Objects by the thousand, put without HTTP."""
    from moto.s3.models import s3_backends

    for number in range(count):
        s3_backends[ACCOUNT]["aws"].put_object(bucket, f"{number:04d}", b"")


def rows(peer: Peer, bucket: str, **query: object) -> list[tuple[str, str]]:
    page = peer.s3.list_object_versions(Bucket=bucket, **query)
    return [
        (row["Key"], row["VersionId"]) for row in page.get("Versions", []) + page.get("DeleteMarkers", [])
    ]


@check("s3-document-order")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    for _round in range(3):
        put(peer, bucket, "k")
        peer.s3.delete_object(Bucket=bucket, Key="k")
    put(peer, bucket, "l")
    text = document(peer, bucket)
    order = "".join(match[0] for match in re.findall(r"<(Version|DeleteMarker)>", text))
    same(order, "DVDVDVV")
    same(re.findall(r"<IsLatest>(\w+)", text), ["true", *["false"] * 5, "true"])


@check("s3-linear-listing")
def _(peer: Peer) -> None:
    small, large = peer.bucket(), peer.bucket()
    fill(large, 800)
    fill(small, 10)

    def best(bucket: str) -> float:
        times = []
        for _attempt in range(5):
            begin = time.process_time()
            peer.s3.list_object_versions(Bucket=bucket, MaxKeys=10)
            times.append(time.process_time() - begin)
        return min(times)

    ratio = best(large) / best(small)
    assert ratio < 3, f"ten rows of 800 take {ratio:.1f} times as long as ten of 10"


@check("s3-version-markers")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    ids = {key: [put(peer, bucket, key)["VersionId"] for _ in range(3)] for key in ("a", "b", "c")}
    same([key for key, _ in rows(peer, bucket, KeyMarker="a")], ["b"] * 3 + ["c"] * 3)
    same([key for key, _ in rows(peer, bucket, KeyMarker="aa")], ["b"] * 3 + ["c"] * 3)
    same(rows(peer, bucket, KeyMarker="c"), [])
    behind = [("a", ids["a"][0]), *[("b", one) for one in reversed(ids["b"])]]
    same(rows(peer, bucket, KeyMarker="a", VersionIdMarker=ids["a"][1])[:4], behind)
    for gone in ids["a"][1:]:
        peer.s3.delete_object(Bucket=bucket, Key="a", VersionId=gone)
    same(rows(peer, bucket, KeyMarker="a", VersionIdMarker=ids["a"][2])[:4], behind)
    invalid = (400, "InvalidArgument")
    listing = peer.s3.list_object_versions
    same(peer.error(listing, Bucket=bucket, VersionIdMarker=ids["a"][0]), invalid)
    same(peer.error(listing, Bucket=bucket, KeyMarker="a", VersionIdMarker="nonsense"), invalid)
    same(peer.error(listing, Bucket=bucket, MaxKeys=-1), invalid)


@check("s3-url-encoding")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    keys = ["a+b c/é%", "nl\nx", "cr\rx", "ctl\x01x", "日本語", "emoji😀", "e\u0301"]
    for key in keys:
        put(peer, bucket, key)
    text = document(peer, bucket, EncodingType="url")
    found = re.findall(r"<Key>(.*?)</Key>", text, re.DOTALL)
    same([unquote_plus(key) for key in found], sorted(keys))
    assert not any(character in key for key in found for character in " é\n\r\x01")
    paged = peer.s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 1}
    )
    same([page["Versions"][0]["Key"] for page in paged], sorted(keys))


@check("s3-max-keys")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    fill(bucket, 1003)
    for listing, name in (("list_object_versions", "Versions"), ("list_objects_v2", "Contents")):
        page = getattr(peer.s3, listing)(Bucket=bucket, MaxKeys=5000)
        same((len(page[name]), page["MaxKeys"], page["IsTruncated"]), (1000, 1000, True))


@check("s3-listing-of-deleted-prefixes")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    for key in ("a/1", "b/1", "b/2", "c"):
        put(peer, bucket, key)
    for key in ("a/1", "b/1"):
        peer.s3.delete_object(Bucket=bucket, Key=key)
    for listing in (peer.s3.list_objects_v2, peer.s3.list_objects):
        page = listing(Bucket=bucket, Delimiter="/")
        same([one["Prefix"] for one in page["CommonPrefixes"]], ["b/"])
        same([one["Key"] for one in page["Contents"]], ["c"])


@check("s3-suspended-versioning")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    first = put(peer, bucket, "k", b"1")["VersionId"]
    peer.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    same(put(peer, bucket, "k", b"2")["VersionId"], "null")
    put(peer, bucket, "k", b"3", Tagging="a=1")
    same(rows(peer, bucket), [("k", "null"), ("k", first)])
    same(peer.s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read(), b"3")
    same(peer.s3.head_object(Bucket=bucket, Key="k", VersionId="null")["ContentLength"], 1)
    same(peer.s3.delete_object(Bucket=bucket, Key="k")["VersionId"], "null")
    page = peer.s3.list_object_versions(Bucket=bucket)
    same([marker["VersionId"] for marker in page["DeleteMarkers"]], ["null"])
    same([version["VersionId"] for version in page["Versions"]], [first])
    put(peer, bucket, "k", b"4")
    same(peer.s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"], [])
    peer.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    last = put(peer, bucket, "k", b"5")["VersionId"]
    same(rows(peer, bucket), [("k", last), ("k", "null"), ("k", first)])
    peer.s3.copy_object(
        Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k", "VersionId": "null"}
    )
    same(peer.s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"4")


@check("s3-delete-markers")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    marker = peer.s3.delete_object(Bucket=bucket, Key="never")
    same(marker["DeleteMarker"], True)
    wanted = {"Bucket": bucket, "Key": "never"}
    same(peer.error(peer.s3.get_object, **wanted, VersionId=marker["VersionId"]), (405, "MethodNotAllowed"))
    same(peer.error(peer.s3.get_object, **wanted), (404, "NoSuchKey"))
    same(peer.s3.delete_object(**wanted, VersionId=marker["VersionId"])["DeleteMarker"], True)
    same(rows(peer, bucket), [])
    same(peer.error(peer.s3.delete_object, **wanted, VersionId=marker["VersionId"]), (200, ""))
    same(peer.error(peer.s3.delete_object, **wanted, VersionId="nonsense"), (400, "InvalidArgument"))


@check("s3-default-encryption")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    same(put(peer, bucket, "k").get("ServerSideEncryption"), "AES256")
    kms = put(peer, bucket, "s", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/x")["VersionId"]
    source = {"Bucket": bucket, "Key": "s", "VersionId": kms}
    same(peer.s3.copy_object(Bucket=bucket, Key="t", CopySource=source).get("ServerSideEncryption"), "AES256")


@check("s3-restore-version")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    old = put(peer, bucket, "k", b"1", StorageClass="GLACIER")["VersionId"]
    put(peer, bucket, "k", b"2")
    peer.s3.restore_object(Bucket=bucket, Key="k", VersionId=old, RestoreRequest={"Days": 1})
    assert "true" in peer.s3.head_object(Bucket=bucket, Key="k", VersionId=old)["Restore"]
    assert "Restore" not in peer.s3.head_object(Bucket=bucket, Key="k")


@check("s3-conditional-copy")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    first = put(peer, bucket, "k", b"1")
    stale = put(peer, bucket, "k", b"2")["ETag"]
    current = put(peer, bucket, "k", b"3")["ETag"]
    source = {"Bucket": bucket, "Key": "k", "VersionId": first["VersionId"]}

    def copy(key: str = "k", **conditions: str) -> tuple[int, str]:
        return peer.error(peer.s3.copy_object, Bucket=bucket, Key=key, CopySource=source, **conditions)

    refused = (412, "PreconditionFailed")
    same(copy(IfMatch=stale), refused)
    same(copy(IfNoneMatch="*"), refused)
    same(copy(CopySourceIfMatch=stale), refused)
    same(copy(CopySourceIfNoneMatch=first["ETag"]), refused)
    same(copy(key="none", IfMatch=stale), (404, "NoSuchKey"))
    same(copy(IfMatch=current, CopySourceIfMatch=first["ETag"]), (200, ""))
    same(copy(key="other", IfNoneMatch="*", CopySourceIfNoneMatch=stale), (200, ""))
    peer.s3.delete_object(Bucket=bucket, Key="k")
    same(copy(IfNoneMatch="*"), (200, ""))


@check("s3-conditional-multipart")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    stale = put(peer, bucket, "k", b"1")["ETag"]
    current = put(peer, bucket, "k", b"2")["ETag"]
    upload = peer.s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = peer.s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"z")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}

    def complete(upload: str, **conditions: str) -> tuple[int, str]:
        end = peer.s3.complete_multipart_upload
        return peer.error(end, Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts, **conditions)

    same(complete(upload, IfMatch=stale), (412, "PreconditionFailed"))
    same(complete(upload, IfMatch=current), (200, ""))
    same(complete("none"), (404, "NoSuchUpload"))


@check("s3-conditional-delete")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    etag = put(peer, bucket, "k")["ETag"]
    same(
        peer.error(peer.s3.delete_object, Bucket=bucket, Key="k", IfMatch='"stale"'),
        (412, "PreconditionFailed"),
    )
    same(peer.error(peer.s3.delete_object, Bucket=bucket, Key="k", IfMatch="*"), (200, ""))
    put(peer, bucket, "k")
    objects = [{"Key": "k", "ETag": '"stale"'}]
    answer = peer.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    same([error["Code"] for error in answer.get("Errors", [])], ["PreconditionFailed"])
    answer = peer.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})
    same([one["DeleteMarker"] for one in answer["Deleted"]], [True])


@check("s3-copy-source-state")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    cold = put(peer, bucket, "k", StorageClass="GLACIER")["VersionId"]
    marker = peer.s3.delete_object(Bucket=bucket, Key="k")["VersionId"]

    def copy(version: str) -> tuple[int, str]:
        source = {"Bucket": bucket, "Key": "k", "VersionId": version}
        return peer.error(peer.s3.copy_object, Bucket=bucket, Key="k", CopySource=source)

    same(copy(cold), (403, "InvalidObjectState"))
    same(copy(marker), (400, "InvalidRequest"))


@check("s3-bulk-delete")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    version = put(peer, bucket, "k")["VersionId"]
    objects = [{"Key": "k", "VersionId": "nonsense"}, {"Key": "k", "VersionId": version}]
    answer = peer.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    same([(one["Code"], one["VersionId"]) for one in answer["Errors"]], [("NoSuchVersion", "nonsense")])
    same([one["VersionId"] for one in answer["Deleted"]], [version])
    quiet = peer.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}], "Quiet": True})
    assert "Deleted" not in quiet
    many = [{"Key": f"k{n}"} for n in range(1001)]
    same(peer.error(peer.s3.delete_objects, Bucket=bucket, Delete={"Objects": many}), (400, "MalformedXML"))


@check("s3-checksum-in-listing")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    put(peer, bucket, "k", ChecksumAlgorithm="SHA256")
    version = peer.s3.list_object_versions(Bucket=bucket)["Versions"][0]
    same((version.get("ChecksumAlgorithm"), version.get("ChecksumType")), (["SHA256"], "FULL_OBJECT"))


@check("s3-customer-keys")
def _(peer: Peer) -> None:
    bucket, key = peer.bucket(), b"0" * 32
    shown = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    version = put(peer, bucket, "k", b"1", **shown)["VersionId"]
    same(peer.error(peer.s3.get_object, Bucket=bucket, Key="k"), (400, "InvalidRequest"))
    same(peer.error(peer.s3.head_object, Bucket=bucket, Key="k")[0], 400)
    wrong = {**shown, "SSECustomerKey": b"1" * 32}
    same(peer.error(peer.s3.get_object, Bucket=bucket, Key="k", **wrong), (403, "AccessDenied"))
    same(peer.s3.get_object(Bucket=bucket, Key="k", **shown)["Body"].read(), b"1")
    source = {"Bucket": bucket, "Key": "k", "VersionId": version}
    same(peer.error(peer.s3.copy_object, Bucket=bucket, Key="c", CopySource=source), (400, "InvalidRequest"))
    by_key = {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}
    peer.s3.copy_object(Bucket=bucket, Key="c", CopySource=source, **by_key)
    same(peer.s3.get_object(Bucket=bucket, Key="c")["Body"].read(), b"1")


KMS_KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
PART = 5 * 1024**2


@check("s3-restore-takes-time")
def _(peer: Peer) -> None:
    begin = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    peer.set_time(begin)
    bucket = peer.bucket()
    version = put(peer, bucket, "k", b"1", StorageClass="DEEP_ARCHIVE")["VersionId"]
    source = {"Bucket": bucket, "Key": "k", "VersionId": version}

    def restore(days: int = 2, tier: str = "Standard") -> tuple[int, str]:
        request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
        return peer.error(peer.s3.restore_object, Bucket=bucket, Key="k", RestoreRequest=request)

    def copy() -> tuple[int, str]:
        return peer.error(peer.s3.copy_object, Bucket=bucket, Key="copy", CopySource=source)

    invalid = (403, "InvalidObjectState")
    same(copy(), invalid)
    same(restore(tier="Expedited")[0], 400)
    same(restore(), (200, ""))
    same(restore(), (409, "RestoreAlreadyInProgress"))
    same(copy(), invalid)
    peer.set_time(begin + timedelta(hours=13))
    same(copy(), (200, ""))
    assert 'ongoing-request="false"' in peer.s3.head_object(Bucket=bucket, Key="k")["Restore"]
    peer.set_time(begin + timedelta(hours=61))
    assert "Restore" not in peer.s3.head_object(Bucket=bucket, Key="k")
    same(copy(), invalid)


@check("s3-intelligent-tiering-archives")
def _(peer: Peer) -> None:
    from moto.s3.models import s3_backends

    begin = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    peer.set_time(begin)
    bucket = peer.bucket()
    put(peer, bucket, "k", b"1", StorageClass="INTELLIGENT_TIERING")
    key = s3_backends[ACCOUNT]["aws"].get_object(bucket, "k")
    key.vmq_archive_status = "ARCHIVE_ACCESS"  # what 90 days without a reader do
    same(peer.s3.head_object(Bucket=bucket, Key="k").get("ArchiveStatus"), "ARCHIVE_ACCESS")
    source = {"Bucket": bucket, "Key": "k"}
    invalid = (403, "InvalidObjectState")
    same(peer.error(peer.s3.get_object, Bucket=bucket, Key="k"), invalid)
    same(peer.error(peer.s3.copy_object, Bucket=bucket, Key="c", CopySource=source), invalid)
    ask = peer.s3.restore_object
    same(peer.error(ask, Bucket=bucket, Key="k", RestoreRequest={"Days": 1}), (400, "MalformedXML"))
    bulk = {"GlacierJobParameters": {"Tier": "Bulk"}}
    same(peer.error(ask, Bucket=bucket, Key="k", RestoreRequest=bulk), (200, ""))
    peer.set_time(begin + timedelta(hours=12))
    assert "ArchiveStatus" not in peer.s3.head_object(Bucket=bucket, Key="k")
    same(peer.s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"1")


@check("s3-kms-etag")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    kms = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": KMS_KEY}
    plain, one, other = put(peer, bucket, "p"), put(peer, bucket, "k", **kms), put(peer, bucket, "k", **kms)
    same(len({plain["ETag"], one["ETag"], other["ETag"]}), 3)
    head = peer.s3.head_object(Bucket=bucket, Key="k")
    same((head["ETag"], head.get("SSEKMSKeyId")), (other["ETag"], KMS_KEY))


@check("s3-redirect-of-a-copy")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    put(peer, bucket, "k", WebsiteRedirectLocation="/there")
    same(peer.s3.head_object(Bucket=bucket, Key="k")["WebsiteRedirectLocation"], "/there")
    source = {"Bucket": bucket, "Key": "k"}
    peer.s3.copy_object(Bucket=bucket, Key="c", CopySource=source)
    assert "WebsiteRedirectLocation" not in peer.s3.head_object(Bucket=bucket, Key="c")
    peer.s3.copy_object(Bucket=bucket, Key="c", CopySource=source, WebsiteRedirectLocation="/else")
    same(peer.s3.head_object(Bucket=bucket, Key="c")["WebsiteRedirectLocation"], "/else")


def in_parts(peer: Peer, bucket: str, key: str, source: str, **create: object) -> tuple[str, dict, dict]:
    """An upload of one part that is copied: its id, what the part's copy answered, and the list of parts."""
    upload = peer.s3.create_multipart_upload(Bucket=bucket, Key=key, **create)["UploadId"]
    part = peer.s3.upload_part_copy(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": source}
    )["CopyPartResult"]
    return upload, part, {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}


@check("s3-checksum-type")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    put(peer, bucket, "k", b"1", ChecksumAlgorithm="SHA256")

    def head(key: str) -> tuple[str, str]:
        found = peer.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        return found.get("ChecksumType"), found["ChecksumSHA256"]

    kind, whole = head("k")
    same(kind, "FULL_OBJECT")
    upload, _, parts = in_parts(peer, bucket, "m", "k", ChecksumAlgorithm="SHA256")
    peer.s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload=parts)
    kind, composite = head("m")
    same((kind, composite[-2:]), ("COMPOSITE", "-1"))
    peer.s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "m"})
    same(head("c"), ("FULL_OBJECT", whole))


@check("s3-multipart-properties")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    put(peer, bucket, "k", b"1")
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KMS_KEY, "BucketKeyEnabled": True}
    upload, part, parts = in_parts(
        peer, bucket, "m", "k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT", **more
    )
    assert part.get("ChecksumCRC32"), part
    complete = peer.s3.complete_multipart_upload
    wanted = {"Bucket": bucket, "Key": "m", "UploadId": upload, "MultipartUpload": parts}
    same(peer.error(complete, **wanted, MpuObjectSize=2), (400, "InvalidRequest"))
    wrong = {"ChecksumType": "FULL_OBJECT", "ChecksumCRC32": "AAAAAA=="}
    same(peer.error(complete, **wanted, **wrong), (400, "BadDigest"))
    right = wrong | {"ChecksumCRC32": part["ChecksumCRC32"]}
    same(peer.error(complete, **wanted, **right, MpuObjectSize=1), (200, ""))
    same(peer.s3.head_object(Bucket=bucket, Key="m").get("BucketKeyEnabled"), True)


@check("s3-copy-under-default-retention")
def _(peer: Peer) -> None:
    bucket = f"b{uuid4().hex[:12]}"
    where = {"LocationConstraint": "eu-west-1"}
    peer.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    peer.s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    md5 = b64encode(hashlib.md5(b"1").digest()).decode()
    old = put(peer, bucket, "k", b"1", ContentMD5=md5)["VersionId"]
    source = {"Bucket": bucket, "Key": "k", "VersionId": old}
    peer.s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    head = peer.s3.head_object(Bucket=bucket, Key="k")
    same((head["ContentLength"], head["ObjectLockMode"]), (1, "GOVERNANCE"))


@check("s3-permissions")
def _(peer: Peer) -> None:
    import boto3
    from moto.core import enable_iam_authentication

    bucket = peer.bucket()
    version = put(peer, bucket, "k", b"1", Tagging="a=1")["VersionId"]
    etag = put(peer, bucket, "k", b"2")["ETag"]
    iam = peer.client("iam")
    iam.create_user(UserName="someone")
    made = iam.create_access_key(UserName="someone")["AccessKey"]
    theirs = boto3.client(
        "s3",
        endpoint_url=peer.url,
        region_name="eu-west-1",
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
    )
    source = {"Bucket": bucket, "Key": "k", "VersionId": version}
    allowed: list[str] = []
    resource = f"arn:aws:s3:::{bucket}/*"
    # With each permission more, what is missing is another one.
    for missing in (
        "PutObject",
        "GetObject",
        "GetObjectVersion",
        "GetObjectVersionTagging",
        "PutObjectTagging",
        "",
    ):
        statement = {"Effect": "Allow", "Action": allowed or ["s3:ListBucket"], "Resource": resource}
        iam.put_user_policy(
            UserName="someone",
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        with enable_iam_authentication():
            found = peer.denied(theirs.copy_object, Bucket=bucket, Key="k", CopySource=source, IfMatch=etag)
        same(found, missing)
        allowed.append(f"s3:{missing}")


@check("s3-lifecycle-rules")
def _(peer: Peer) -> None:
    bucket = peer.bucket()
    noncurrent = {"NoncurrentDays": 7, "NewerNoncurrentVersions": 3}
    rules = [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": noncurrent,
        },
        {
            "ID": "large",
            "Status": "Disabled",
            "Filter": {
                "And": {"Prefix": "x/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 5}
            },
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
        {
            "ID": "archive",
            "Status": "Enabled",
            "Filter": {"Prefix": "y/"},
            "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
            "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "GLACIER"}],
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {"ID": "whole", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 400}},
        {"ID": "former", "Status": "Enabled", "Prefix": "z/", "Expiration": {"Days": 4}},
    ]
    peer.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    same(peer.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"], rules)
