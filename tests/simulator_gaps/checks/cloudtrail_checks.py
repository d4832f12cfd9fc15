from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from harness import REGION, Peer, check, same


def made(peer: Peer, count: int) -> list[str]:
    """Log groups, a minute apart."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    names = [f"/t/{uuid4().hex[:8]}" for _ in range(count)]
    for minute, name in enumerate(names):
        peer.set_time(begin + timedelta(minutes=minute))
        peer.logs.create_log_group(logGroupName=name)
    return names


def by(key: str, value: str) -> dict:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


@check("cloudtrail-lookup-events")
def _(peer: Peer) -> None:
    names = made(peer, 5)
    pages = peer.cloudtrail.get_paginator("lookup_events").paginate(
        **by("EventName", "CreateLogGroup"), PaginationConfig={"PageSize": 2}
    )
    events = [event for page in pages for event in page["Events"]]
    found = [event["Resources"][0]["ResourceName"] for event in events]
    same([name for name in found if name in names], names[::-1])
    times = [event["EventTime"] for event in events]
    same(times, sorted(times, reverse=True))
    first = peer.cloudtrail.lookup_events(**by("ResourceName", names[0]))["Events"]
    same([event["EventName"] for event in first], ["CreateLogGroup"])
    at = first[0]["EventTime"]
    window = {"StartTime": at, "EndTime": at + timedelta(minutes=1)}
    inside = peer.cloudtrail.lookup_events(**by("EventSource", "logs.amazonaws.com"), **window)["Events"]
    same([event["Resources"][0]["ResourceName"] for event in inside], names[1::-1])
    lookup = peer.cloudtrail.lookup_events
    same(peer.error(lookup, NextToken="nonsense"), (400, "InvalidNextTokenException"))
    same(
        peer.error(lookup, MaxResults=1, StartTime=at, EndTime=at - timedelta(1)),
        (400, "InvalidTimeRangeException"),
    )


@check("cloudtrail-recording")
def _(peer: Peer) -> None:
    peer.set_time(datetime.now(UTC))
    user = f"u{uuid4().hex[:6]}"
    iam = peer.client("iam")
    iam.create_user(UserName=user)
    bucket = peer.bucket()
    peer.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    peer.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    events = peer.cloudtrail.lookup_events(**by("ResourceName", bucket))["Events"]
    same(
        [event["EventName"] for event in events],
        ["PutBucketVersioning", "PutBucketVersioning", "CreateBucket"],
    )
    record = json.loads(events[0]["CloudTrailEvent"])
    same(record["requestParameters"]["versioningConfiguration"], {"status": "Suspended"})
    same(
        (record["eventSource"], record["awsRegion"], record["readOnly"]), ("s3.amazonaws.com", REGION, False)
    )
    peer.error(peer.logs.delete_log_group, logGroupName=f"/{user}")
    denied = peer.cloudtrail.lookup_events(**by("ResourceName", f"/{user}"))["Events"]
    same(json.loads(denied[0]["CloudTrailEvent"])["errorCode"], "ResourceNotFoundException")
    import boto3

    elsewhere = boto3.client(
        "cloudtrail",
        endpoint_url=peer.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    found = elsewhere.lookup_events(**by("ResourceName", user))["Events"]
    same([event["EventName"] for event in found], ["CreateUser"])
    key = iam.create_access_key(UserName=user)["AccessKey"]
    mine = boto3.client(
        "logs",
        endpoint_url=peer.url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    mine.create_log_group(logGroupName=f"/by/{user}")
    done = peer.cloudtrail.lookup_events(**by("Username", user))["Events"]
    same([event["EventName"] for event in done], ["CreateLogGroup"])
