"""Versions, delete markers, and how they are listed and removed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError
from support.s3_checks.probe import ODD_KEYS, Probe, check, same

# ---- versions and delete markers


@check
def newest_version_first_and_latest(s: Probe) -> None:
    b = s.bucket()
    ids = [s.put(b, "k", body) for body in (b"0", b"1", b"2")]
    same([row["VersionId"] for row in s.versions(b)], ids[::-1])
    same([row["IsLatest"] for row in s.versions(b)], [True, False, False])
    same(s.read(b, VersionId=ids[0]), b"0")


@check
def last_modified_is_a_recent_time(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    age = datetime.now(UTC) - s.versions(b)[0]["LastModified"]
    assert timedelta(seconds=-2) < age < timedelta(minutes=2), age


@check
def marker_hides_and_its_removal_brings_back(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    marker = s.delete(b)
    assert marker["DeleteMarker"], marker
    same(s.refused(s.read, b)[0], 404)
    same((s.markers(b)[0]["IsLatest"], s.versions(b)[0]["IsLatest"]), (True, False))
    assert s.delete(b, VersionId=marker["VersionId"])["DeleteMarker"]
    same(s.read(b), b"x")
    assert s.versions(b)[0]["IsLatest"]


@check
def reading_a_marker_is_405(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    same(s.refused(s.read, b, VersionId=s.delete(b)["VersionId"])[0], 405)


@check
def deleting_what_is_not_there_makes_a_marker(s: Probe) -> None:
    b = s.bucket()
    s.delete(b, "never")
    same(len(s.markers(b)), 1)


@check
def deleting_twice_makes_two_markers(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    s.delete(b)
    s.delete(b)
    same(len(s.markers(b)), 2)


# ---- listing


@check
def pages_of_any_size_add_up(s: Probe) -> None:
    b = s.bucket()
    for number in range(30):
        for _ in range(1 + number % 4):
            s.put(b, f"p/{number:03d}")
        if number % 5 == 0:
            s.delete(b, f"p/{number:03d}")
    whole = s.all(b, 1000)
    same(len(whole), sum(1 + number % 4 for number in range(30)) + 6)
    for size in (1, 2, 3, 7):
        paged = s.all(b, size)
        same(sorted(paged), sorted(whole))
        same([row for row in paged if row[0] == "Versions"], [row for row in whole if row[0] == "Versions"])
    page = s.s3.list_object_versions(Bucket=b, MaxKeys=5)
    same(len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])), 5)
    assert page["IsTruncated"]
    assert page["NextVersionIdMarker"]


@check
def key_marker_goes_on_behind_the_key(s: Probe) -> None:
    b = s.bucket()
    for number in range(10):
        s.put(b, f"k{number}")
        s.put(b, f"k{number}")
    same([row["Key"] for row in s.versions(b, KeyMarker="k7")], ["k8", "k8", "k9", "k9"])
    same(s.versions(b, KeyMarker="k75")[0]["Key"], "k8")


@check
def version_id_marker_needs_a_key_marker(s: Probe) -> None:
    b = s.bucket()
    version = s.put(b, "k")
    same(s.refused(s.versions, b, VersionIdMarker=version)[0], 400)


@check
def a_page_may_hold_markers_only(s: Probe) -> None:
    b = s.bucket()
    for number in range(4):
        s.put(b, f"k{number}")
        s.delete(b, f"k{number}")
    pages = s.s3.get_paginator("list_object_versions").paginate(Bucket=b, PaginationConfig={"PageSize": 1})
    kinds = [("Versions" in page, "DeleteMarkers" in page) for page in pages]
    same(sorted(kinds), [(False, True)] * 4 + [(True, False)] * 4)


@check
def versions_and_markers_are_interleaved(s: Probe) -> None:
    b = s.bucket()
    for _ in range(2):
        s.put(b, "k")
        s.delete(b)
    s.put(b, "l")
    same(s.order(b), "DVDVV")


@check
def order_within_a_second_is_kept(s: Probe) -> None:
    b = s.bucket()
    for _ in range(5):
        s.put(b, "k")
        s.delete(b)
    same(s.order(b), "DV" * 5)


@check
def delimiter_rolls_up(s: Probe) -> None:
    b = s.bucket()
    for key in ("a/1", "a/2", "b/1", "c"):
        s.put(b, key)
    page = s.s3.list_object_versions(Bucket=b, Delimiter="/")
    same([one["Prefix"] for one in page["CommonPrefixes"]], ["a/", "b/"])
    same([row["Key"] for row in page["Versions"]], ["c"])


@check
def a_page_has_a_thousand_rows_at_most(s: Probe) -> None:
    b = s.bucket()
    for number in range(1001):
        s.put(b, f"{number:04d}", b"")
    same(len(s.versions(b, MaxKeys=5000)), 1000)


@check
def keys_are_url_encoded_when_asked(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "a+b c\nd/é%")
    written = re.search(r"<Key>(.*?)</Key>", s.document(b), re.DOTALL)
    assert written
    assert re.fullmatch(r"a%2Bb(\+|%20)c%0Ad(/|%2F)%C3%A9%25", written[1]), written[1]
    plain = re.search(r"<Key>(.*?)</Key>", s.document(b, encoded=False), re.DOTALL)
    assert plain
    assert plain[1] != written[1]


@check
def odd_keys_are_kept_listed_copied_and_deleted(s: Probe) -> None:
    b, bad = s.bucket(), {}
    for key in ODD_KEYS:
        try:
            first = s.put(b, key, b"one")
            s.put(b, key, b"two")
            same(len([row for row in s.versions(b, Prefix=key) if row["Key"] == key]), 2)
            s.copy(b, first, key)
            same(s.read(b, key), b"one")
            s.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": key}]})
            same(s.refused(s.s3.head_object, Bucket=b, Key=key)[0], 404)
        except (ClientError, AssertionError, KeyError) as error:
            bad[key[:16]] = str(error)[:120]
    assert not bad, bad


@check
def odd_keys_are_paged_one_by_one_in_byte_order(s: Probe) -> None:
    b = s.bucket()
    for key in ODD_KEYS:
        s.put(b, key)
        s.put(b, key)
    same([row[1] for row in s.all(b, 1)], sorted(2 * ODD_KEYS, key=str.encode))


@check
def the_checksum_algorithm_is_listed_and_the_checksum_copied(s: Probe) -> None:
    b = s.bucket()
    put = s.s3.put_object(Bucket=b, Key="k", Body=b"1", ChecksumAlgorithm="SHA256")
    same(s.versions(b)[0].get("ChecksumAlgorithm"), ["SHA256"])
    s.put(b, "k", b"2")
    s.copy(b, put["VersionId"])
    same(
        s.s3.head_object(Bucket=b, Key="k", ChecksumMode="ENABLED").get("ChecksumSHA256"),
        put["ChecksumSHA256"],
    )


# ---- deleting many


@check
def bulk_delete_makes_markers_and_removes_them(s: Probe) -> None:
    b = s.bucket()
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        s.put(b, key)
    done = s.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": key} for key in keys]})["Deleted"]
    assert all(one["DeleteMarker"] for one in done), done
    made = [{"Key": one["Key"], "VersionId": one["DeleteMarkerVersionId"]} for one in done]
    same(len(made), 5)
    s.s3.delete_objects(Bucket=b, Delete={"Objects": made})
    same(s.markers(b), [])
    same([row["IsLatest"] for row in s.versions(b)], [True] * 5)


@check
def bulk_delete_takes_a_thousand_at_most(s: Probe) -> None:
    b = s.bucket()
    objects = [{"Key": f"k{number}"} for number in range(1001)]
    same(s.refused(s.s3.delete_objects, Bucket=b, Delete={"Objects": objects})[0], 400)


@check
def bulk_delete_obeys_an_etag(s: Probe) -> None:
    b = s.bucket()
    s.put(b, "k")
    answer = s.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "k", "ETag": '"0123456789abcdef"'}]})
    assert answer.get("Errors"), "a stale ETag was ignored"
