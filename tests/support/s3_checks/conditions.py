"""Null versions and conditions."""

from __future__ import annotations

from support.s3_checks.probe import Probe, check, same

# ---- null versions, suspended versioning


@check
def a_null_version_is_kept_and_copied(s: Probe) -> None:
    b = s.bucket("")
    s.put(b, "k", b"old")
    s.versioning(b, "Enabled")
    s.put(b, "k", b"new")
    same([row["VersionId"] == "null" for row in s.versions(b)], [False, True])
    s.copy(b, "null")
    same(s.read(b), b"old")


@check
def a_suspended_put_replaces_the_null_version(s: Probe) -> None:
    b = s.bucket()
    version = s.put(b, "k", b"1")
    s.versioning(b, "Suspended")
    s.put(b, "k", b"2")
    s.put(b, "k", b"3")
    same([row["VersionId"] for row in s.versions(b)], ["null", version])
    same(s.read(b), b"3")


@check
def a_suspended_delete_makes_a_null_marker(s: Probe) -> None:
    b = s.bucket()
    version = s.put(b, "k", b"1")
    s.versioning(b, "Suspended")
    s.put(b, "k", b"2")
    s.delete(b)
    same([row["VersionId"] for row in s.markers(b)], ["null"])
    same([row["VersionId"] for row in s.versions(b)], [version])


@check
def a_suspended_copy_replaces_the_null_version(s: Probe) -> None:
    b = s.bucket("")
    s.put(b, "k", b"first")
    s.versioning(b, "Enabled")
    version = s.put(b, "k", b"new")
    s.versioning(b, "Suspended")
    s.copy(b, version)
    same({s.read(b, VersionId=row["VersionId"]) for row in s.versions(b)}, {b"new"})


@check
def a_null_version_stands_where_it_was_made(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k", b"1")
    s.versioning(b, "Suspended")
    s.put(b, "k", b"2")
    s.versioning(b, "Enabled")
    s.put(b, "k", b"3")
    same([s.read(b, VersionId=row["VersionId"]) for row in s.versions(b)], [b"3", b"2", b"1"])


# ---- conditions


@check
def put_if_none_match(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    same(s.refused(s.put, b, "k", IfNoneMatch="*")[0], 412)


@check
def put_if_none_match_over_a_marker(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    s.delete(b)
    same(s.refused(s.put, b, "k", IfNoneMatch="*")[0], 200)


@check
def put_if_match(s: Probe) -> None:
    b = s.bucket()
    etag = s.s3.put_object(Bucket=b, Key="k", Body=b"1")["ETag"]
    same(s.refused(s.put, b, "k", b"2", IfMatch=etag)[0], 200)
    same(s.refused(s.put, b, "k", b"3", IfMatch=etag)[0], 412)


@check
def copy_if_match(s: Probe) -> None:
    b = s.bucket()
    version = s.put(b, "k", b"1")
    stale = s.s3.put_object(Bucket=b, Key="k", Body=b"2")["ETag"]
    etag = s.s3.put_object(Bucket=b, Key="k", Body=b"3")["ETag"]
    same(s.refused(s.copy, b, version, IfMatch=stale)[0], 412)
    same(s.refused(s.copy, b, version, IfMatch=etag)[0], 200)


@check
def copy_if_none_match(s: Probe) -> None:
    b = s.bucket()
    version = s.two(b)
    same(s.refused(s.copy, b, version, IfNoneMatch="*")[0], 412)
    s.delete(b)
    same(s.refused(s.copy, b, version, IfNoneMatch="*")[0], 200)


@check
def copy_source_if_match(s: Probe) -> None:
    b = s.bucket()
    source = s.s3.put_object(Bucket=b, Key="k", Body=b"1")
    s.put(b, "k", b"2")
    version = source["VersionId"]
    same(s.refused(s.copy, b, version, CopySourceIfMatch='"0123456789abcdef"')[0], 412)
    same(s.refused(s.copy, b, version, CopySourceIfMatch=source["ETag"])[0], 200)


@check
def delete_if_match(s: Probe) -> None:
    b = s.bucket()
    stale = s.s3.put_object(Bucket=b, Key="k", Body=b"1")["ETag"]
    etag = s.s3.put_object(Bucket=b, Key="k", Body=b"2")["ETag"]
    same(s.refused(s.delete, b, IfMatch=stale)[0], 412)
    same(s.refused(s.delete, b, IfMatch=etag)[0], 200)


@check
def delete_if_match_of_a_missing_key(s: Probe) -> None:
    b = s.bucket()
    assert s.refused(s.delete, b, "never", IfMatch="*")[0] in {404, 412}
    same(s.markers(b), [])


@check
def complete_multipart_if_match(s: Probe) -> None:
    b = s.bucket()
    stale = s.s3.put_object(Bucket=b, Key="k", Body=b"1")["ETag"]
    s.put(b, "k", b"2")
    upload = s.s3.create_multipart_upload(Bucket=b, Key="k")["UploadId"]
    part = s.s3.upload_part(Bucket=b, Key="k", UploadId=upload, PartNumber=1, Body=b"z")
    answer = s.refused(
        s.s3.complete_multipart_upload,
        Bucket=b,
        Key="k",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        IfMatch=stale,
    )
    same(answer[0], 412)
