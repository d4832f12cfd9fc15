"""The same seed gives the same account, in every process and on every day."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.slow

DIGEST = r"""
import hashlib, json, sys
from datetime import datetime, timedelta
import boto3
from vmqlib.simulator import LocalAws

scenario, seed, now = sys.argv[1], int(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
with LocalAws(scenario, seed, now=now) as aws:
    aws.faults.clear()
    e = aws.env
    def client(name):
        return boto3.client(name, endpoint_url=aws.url, region_name=e["AWS_REGION"],
                            aws_access_key_id=e["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x")
    s3, q, cw, logs = (client(name) for name in ("s3", "qbusiness", "cloudwatch", "logs"))
    ids = dict(applicationId=e["APP_ID"], indexId=e["INDEX_ID"])
    parts, shape = {}, {}
    entries = [(v["Key"], v["VersionId"], v["LastModified"], v.get("ETag")) for page in
               s3.get_paginator("list_object_versions").paginate(Bucket=e["BUCKET_NAME"])
               for kind in ("Versions", "DeleteMarkers") for v in page.get(kind, [])]
    parts["versions"] = entries
    shape["versions"] = sorted((k, t - now) for k, _, t, _ in entries if not k.startswith(("audit/", "ci/")))
    jobs = [j for page in q.get_paginator("list_data_source_sync_jobs").paginate(
            **ids, dataSourceId=e["DS_ID"]) for j in page["history"]]
    parts["jobs"] = jobs
    shape["jobs"] = [(j["status"], j["startTime"] - now, j["metrics"]) for j in jobs]
    history = cw.describe_alarm_history(HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    parts["alarms"] = history
    shape["alarms"] = [(h["AlarmName"], h["HistorySummary"]) for h in history]
    events = client("cloudtrail").lookup_events()["Events"]
    parts["trail"] = [(e["EventName"], e["Username"], e["EventTime"]) for e in events]
    shape["trail"] = [(n, u, t - now) for n, u, t in parts["trail"]]
    parts["documents"] = [d for page in q.get_paginator("list_documents").paginate(
                          **ids, dataSourceIds=[e["DS_ID"]]) for d in page["documentDetailList"]]
    shape["documents"] = [(d["documentId"], d["status"]) for d in parts["documents"]
                          if not d["documentId"].split("/", 3)[3].startswith(("audit/", "ci/"))]
    group = f"/aws/qbusiness/{e['APP_ID']}"
    parts["talk"] = [json.loads(event["message"]) for page in logs.get_paginator("filter_log_events").paginate(
                     logGroupName=group, logStreamNames=[f"EVENT_LOGS/{e['APP_ID']}"]) for event in page["events"]]
    shape["talk"] = [(t["user_message"], t["system_message"]) for t in parts["talk"]]
    def digest(what):
        return {k: hashlib.sha256(json.dumps(v, default=str).encode()).hexdigest() for k, v in what.items()}
    env = {k: v for k, v in e.items() if k != "AWS_ENDPOINT_URL"}
    print(json.dumps({"exact": digest(parts), "shape": digest(shape), "env": env}))
"""
NOW = "2026-11-23T12:03:20+00:00"
LATER = "2027-02-11T03:58:20+00:00"  # another day and hour, as far past the full five minutes


def digest(scenario, seed, now, hash_seed):
    run = subprocess.run(
        [sys.executable, "-c", DIGEST, scenario, str(seed), now],
        capture_output=True, text=True, env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    "scenario",
    ["no-sync", "guardrail-overblock", "unauthorized-content", "role-denied", "throttled", "blind-alarm"],
)
def test_the_same_seed_gives_the_same_incident_on_another_day(scenario):
    with ThreadPoolExecutor(2) as pool:
        one, other_day = pool.map(lambda given: digest(scenario, *given), [(3, NOW, "1"), (3, LATER, "2")])
    assert one["shape"] == other_day["shape"]
    assert one["env"] == other_day["env"]


def test_the_same_seed_gives_the_same_account():
    """Tried with sync-failed, which is healthy with a bad end."""
    with ThreadPoolExecutor(2) as pool:
        one, same, other_day, other_seed = pool.map(
            lambda given: digest("sync-failed", *given),
            [(3, NOW, "1"), (3, NOW, "2"), (3, LATER, "3"), (4, NOW, "1")],
        )
    assert one == same
    assert one["shape"] == other_day["shape"]
    assert one["env"] == other_day["env"]
    assert one["exact"] != other_day["exact"]
    assert one["shape"] != other_seed["shape"]
    assert one["env"]["APP_ID"] != other_seed["env"]["APP_ID"]
