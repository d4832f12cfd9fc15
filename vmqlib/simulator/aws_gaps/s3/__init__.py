"""What moto's S3 gets wrong for somebody who restores versions."""

from __future__ import annotations

from vmqlib.simulator.aws_gaps.gap import Gap
from vmqlib.simulator.aws_gaps.s3 import conditions, customer_keys, listing, writing

__all__ = ["GAPS"]

GAPS: tuple[Gap, ...] = (
    Gap(
        "s3-document-order",
        "s3",
        "Lists all versions, then all delete markers, and orders what happened within one second by chance.",
        "Lists versions and delete markers of a key interleaved, newest first.",
        listing.install,
    ),
    Gap(
        "s3-linear-listing",
        "s3",
        "Deep-copies every version of the bucket for each page of a listing.",
        "A page costs what is on it.",
        listing.install,
    ),
    Gap(
        "s3-version-markers",
        "s3",
        "KeyMarker alone gives the key again; behind a removed marker is nothing; a version id alone passes.",
        "KeyMarker alone goes on behind the key; a removed marker keeps its place; the id alone is a 400.",
        listing.install,
    ),
    Gap(
        "s3-url-encoding",
        "s3",
        "Ignores EncodingType=url for versions; a control character in a key is a 500, a line break a 404.",
        "Encodes keys, markers and prefixes when asked; any Unicode character may be in a key.",
        listing.install,
    ),
    Gap(
        "s3-max-keys",
        "s3",
        "Gives as many rows as MaxKeys says.",
        "Never more than 1,000.",
        listing.install,
    ),
    Gap(
        "s3-listing-of-deleted-prefixes",
        "s3",
        "ListObjectsV2 names common prefixes under which everything is deleted.",
        "Names those with a current object under them.",
        listing.install,
    ),
    Gap(
        "s3-suspended-versioning",
        "s3",
        "A put or delete in a bucket with suspended versioning destroys every version of the key.",
        "It overwrites the null version and leaves the others.",
        writing.install,
    ),
    Gap(
        "s3-delete-markers",
        "s3",
        "Deleting a key that is not there makes no marker; reading a marker's version is a 404.",
        "It makes one; reading it is a 405 with x-amz-delete-marker.",
        writing.install,
    ),
    Gap(
        "s3-default-encryption",
        "s3",
        "Objects without encryption headers are not encrypted.",
        "They are with SSE-S3 (AES256), or as the bucket says.",
        writing.install,
    ),
    Gap(
        "s3-restore-version",
        "s3",
        "RestoreObject ignores the version id.",
        "Restores the version that is named.",
        writing.install,
    ),
    Gap(
        "s3-conditional-copy",
        "s3",
        "CopyObject ignores If-Match, If-None-Match and all but one of the conditions on its source.",
        "Answers 412.",
        conditions.install,
    ),
    Gap(
        "s3-conditional-multipart",
        "s3",
        "CompleteMultipartUpload ignores If-Match; an unknown upload is a 500.",
        "Answers 412; an unknown upload is NoSuchUpload.",
        writing.install,
    ),
    Gap(
        "s3-conditional-delete",
        "s3",
        "DeleteObject with If-Match * fails; DeleteObjects ignores ETag.",
        "* asks only that there is an object; a stale ETag is an error of that key.",
        conditions.install,
    ),
    Gap(
        "s3-copy-source-state",
        "s3",
        "Copying a delete marker's version is a 404, an archived one has a code of moto's own.",
        "400 InvalidRequest and 403 InvalidObjectState.",
        conditions.install,
    ),
    Gap(
        "s3-bulk-delete",
        "s3",
        "DeleteObjects takes over 1,000 keys, ignores Quiet, reports versions that never were as deleted.",
        "MalformedXML; errors only; NoSuchVersion.",
        conditions.install,
    ),
    Gap(
        "s3-checksum-in-listing",
        "s3",
        "ListObjectVersions says nothing of checksums.",
        "Names ChecksumAlgorithm and ChecksumType.",
        listing.install,
    ),
    Gap(
        "s3-customer-keys",
        "s3",
        "SSE-C keys are ignored.",
        "Reading and copying demand the key.",
        customer_keys.install,
    ),
)
