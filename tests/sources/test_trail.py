"""CloudTrail: who changed what; its pages, its pace, and records that are not as they should be."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.stub_aws import Answer, Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, Throttled
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.sources import frame, trail
from vmqlib.sources.trailevents import MOST_PARAMETERS, capped
from vmqlib.times import SystemClock, Window

AT = 1_795_430_000  # 2026-11-23, 10:33 UTC


def record(**more: Any) -> str:
    identity = {
        "type": "IAMUser",
        "arn": "arn:aws:iam::123456789012:user/priya.nair",
        "userName": "priya.nair",
    }
    content = {"userIdentity": identity, "sourceIPAddress": "198.51.100.7", "requestParameters": {"a": 1}}
    return json.dumps(content | more)


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "EventId": f"e{number:04}",
        "EventName": "UpdateDataSource",
        "EventSource": "qbusiness.amazonaws.com",
        "EventTime": AT - number,
        "ReadOnly": "false",
        "Username": "priya.nair",
        "Resources": [],
        "CloudTrailEvent": record(),
    } | more


def only_of(source: str, events: list[dict[str, Any]], size: int = 50) -> Callable[[Asked], Any]:
    """LookupEvents that has events of one source alone, newest first."""

    def answer(asked: Asked) -> dict[str, Any]:
        if asked.values["LookupAttributes"][0]["AttributeValue"] != source:
            return {"Events": []}
        start = int(asked.values.get("NextToken", 0))
        more = {"NextToken": str(start + size)} if start + size < len(events) else {}
        return {"Events": events[start : start + size]} | more

    return answer


def look(aws: Aws, window: Window, **more: Any) -> pd.DataFrame:
    reading = trail.read(aws, aws.settings, window, **more)
    assert reading.outcome() == (True, "")
    return frame(trail.SOURCE, reading.rows)


def test_who_changed_the_guardrails(sync_failed_aws: Any, point_at: Callable[[Any], None]) -> None:
    point_at(sync_failed_aws)
    aws = Aws(Settings.load())
    now = SystemClock().now()
    table = look(aws, Window(now - timedelta(days=30), now))
    aws.close()
    assert set(table["service"]) == {"qbusiness", "s3", "iam"}
    assert table["at"].is_monotonic_increasing
    assert (table["problem"] == "").all()
    last = table[table["event"] == "UpdateChatControlsConfiguration"].iloc[-1]
    assert (last["user"], last["user_arn"].rsplit("/")[-1]) == ("priya.nair", "priya.nair")
    assert last["resource"] == aws.settings.app_id
    assert "salary" in json.dumps(json.loads(last["parameters"]))
    policy = table[table["event"] == "PutRolePolicy"].iloc[0]
    assert policy["resource"] == "vaultmesh-qbusiness-s3"
    assert (
        "s3:GetObject"
        in json.loads(json.loads(policy["parameters"])["policyDocument"])["Statement"][0]["Action"]
    )


def test_iam_is_asked_where_its_events_are(stub: StubAws, aws: Aws, window: Window) -> None:
    stub.on["LookupEvents"] = lambda asked: {"Events": []}
    assert look(aws, window).empty
    regions = {
        asked.values["LookupAttributes"][0]["AttributeValue"]: asked.headers["Authorization"].split("/")[2]
        for asked in stub.asked
    }
    assert regions.pop("iam.amazonaws.com") == "us-east-1"
    assert set(regions.values()) == {"eu-west-1"}
    assert {"qbusiness.amazonaws.com", "s3.amazonaws.com", "DisableKey"} <= set(regions)


def test_every_page_and_only_what_wrote(stub: StubAws, aws: Aws, window: Window) -> None:
    events = [event(n, ReadOnly="true" if n % 3 else "false") for n in range(130)]
    stub.on["LookupEvents"] = only_of("s3.amazonaws.com", events)
    table = look(aws, window)
    assert table["event_id"].tolist() == [f"e{n:04}" for n in range(129, -1, -3)]


def test_events_of_one_second_keep_their_order(stub: StubAws, aws: Aws, window: Window) -> None:
    events = [event(n, EventTime=AT) for n in (5, 2, 9)]  # newest first
    stub.on["LookupEvents"] = only_of("qbusiness.amazonaws.com", events)
    assert look(aws, window)["event_id"].tolist() == ["e0009", "e0002", "e0005"]


def test_more_than_is_asked_for_says_how_far_back_it_came(stub: StubAws, aws: Aws, window: Window) -> None:
    def endless(asked: Asked) -> dict[str, Any]:
        start = int(asked.values.get("NextToken", 0))
        return {"Events": [event(start + n) for n in range(50)], "NextToken": str(start + 50)}

    stub.on["LookupEvents"] = endless
    reading = trail.read(aws, aws.settings, window)
    complete, stopped = reading.outcome()
    assert not complete
    assert (
        "eu-west-1: it has more than 20 pages of 50: qbusiness.amazonaws.com only back to 2026-11-23T10:1"
        in stopped
    )
    assert (
        "not asked for DisableKey, ScheduleKeyDeletion, PutKeyPolicy, RevokeGrant, s3.amazonaws.com"
        in stopped
    )
    assert "us-east-1: it has more than 20 pages of 50: iam.amazonaws.com only back to" in stopped
    assert len(stub.asked) == 2 * trail.MOST_PAGES


def test_throttled_it_waits_and_goes_on(stub: StubAws, aws: Aws, window: Window) -> None:
    answer = only_of("qbusiness.amazonaws.com", [event(n) for n in range(60)])
    refusals = [True, False, True, False]

    def throttling(asked: Asked) -> Any:
        if "us-east-1" in asked.headers["Authorization"] or not (refusals and refusals.pop(0)):
            return answer(asked)
        return error("ThrottlingException", 400, "Rate exceeded")

    stub.on["LookupEvents"] = throttling
    waits: list[float] = []
    table = look(aws, window, pause=waits.append)
    assert len(table) == 60
    assert waits == [1.0, 3.0]


def test_throttled_for_good_it_says_where_it_stopped(stub: StubAws, aws: Aws, window: Window) -> None:
    answer = only_of("qbusiness.amazonaws.com", [event(n) for n in range(60)])

    def throttling(asked: Asked) -> Any:
        if asked.values.get("NextToken"):
            return error("ThrottlingException", 400, "Rate exceeded")
        return answer(asked)

    stub.on["LookupEvents"] = throttling
    waits: list[float] = []
    reading = trail.read(aws, aws.settings, window, pause=waits.append)
    assert len(list(reading.rows)) == 50
    complete, stopped = reading.outcome()
    assert not complete
    assert stopped.startswith("eu-west-1: AWS kept throttling cloudtrail:LookupEvents")
    assert ": qbusiness.amazonaws.com only back to 2026-11-23T" in stopped
    assert "not asked for DisableKey" in stopped
    assert len(waits) == 2


def test_nothing_but_throttling(stub: StubAws, aws: Aws, window: Window) -> None:
    stub.on["LookupEvents"] = lambda asked: error("ThrottlingException", 400, "Rate exceeded")
    with pytest.raises(Throttled):
        trail.read(aws, aws.settings, window, pause=lambda _: None)


def test_one_region_refused_does_not_hide_the_other(stub: StubAws, aws: Aws, window: Window) -> None:
    answer = only_of("qbusiness.amazonaws.com", [event(0)])

    def refusing(asked: Asked) -> Any:
        if "us-east-1" in asked.headers["Authorization"]:
            return error("AccessDeniedException", 400, "no")
        return answer(asked)

    stub.on["LookupEvents"] = refusing
    reading = trail.read(aws, aws.settings, window)
    assert len(list(reading.rows)) == 1
    complete, stopped = reading.outcome()
    assert not complete
    assert stopped.startswith("us-east-1: Access denied: cloudtrail:LookupEvents")
    assert stopped.endswith("not asked for iam.amazonaws.com")


def test_refused_altogether(stub: StubAws, aws: Aws, window: Window) -> None:
    stub.on["LookupEvents"] = lambda asked: error("AccessDeniedException", 400, "no")
    with pytest.raises(AccessDenied) as refused:
        trail.read(aws, aws.settings, window)
    assert "Grant cloudtrail:LookupEvents" in refused.value.hint
    # Denied once is denied for all that is asked in this region.
    assert len(stub.asked) == 2


def test_a_call_that_was_refused(stub: StubAws, aws: Aws, window: Window) -> None:
    text = record(
        errorCode="AccessDenied", errorMessage="User: priya is not authorized to perform: s3:PutBucketPolicy"
    )
    stub.on["LookupEvents"] = only_of("s3.amazonaws.com", [event(0, CloudTrailEvent=text)])
    row = look(aws, window).iloc[0]
    assert row["error_code"] == "AccessDenied"
    assert "not authorized" in row["error_message"]


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{",
        "null",
        "[1]",
        '"text"',
        '{"a": ' + "[" * 100_000,
        '{"userIdentity": "x", "requestParameters": 7}',
    ],
)
def test_a_record_that_is_none(stub: StubAws, aws: Aws, window: Window, broken: str) -> None:
    stub.on["LookupEvents"] = only_of(
        "s3.amazonaws.com",
        [event(0, CloudTrailEvent=broken, EventSource="s3.amazonaws.com", Resources=[{"ResourceName": "b"}])],
    )
    row = look(aws, window).iloc[0]
    assert row[["service", "event", "user", "resource", "user_arn"]].tolist() == [
        "s3", "UpdateDataSource", "priya.nair", "b", "",
    ]  # fmt: skip
    assert (row["problem"] == "") == ("userIdentity" in broken)


def test_an_event_with_next_to_nothing_in_it(stub: StubAws, aws: Aws, window: Window) -> None:
    stub.on["LookupEvents"] = only_of("s3.amazonaws.com", [{}, {"EventId": "a"}])
    table = look(aws, window)
    assert len(table) == 2
    assert table["at"].isna().all()


@pytest.mark.parametrize(
    ("identity", "user"),
    [
        ({"type": "AWSService", "invokedBy": "qbusiness.amazonaws.com"}, "qbusiness.amazonaws.com"),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/ci/promote"}, "promote"),
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "arn:aws:iam::1:root"),
        ({"type": "Unknown"}, "Unknown"),
    ],
)
def test_who_it_was_where_lookup_does_not_say(
    stub: StubAws, aws: Aws, window: Window, identity: dict[str, str], user: str
) -> None:
    text = record(userIdentity=identity)
    stub.on["LookupEvents"] = only_of("s3.amazonaws.com", [event(0, Username=None, CloudTrailEvent=text)])
    assert look(aws, window)["user"].tolist() == [user]


@pytest.mark.parametrize(
    "value",
    [
        {"policy": "x" * 50_000, "name": "kept"},
        {"name": "kept", "list": ["y" * 900] * 300},
        {"name": "kept", "list": list(range(20_000))},
        {"k" * 20_000: 1},
        "z" * 100_000,
        {"name": "kept", "document": json.dumps({"Statement": ["p" * 100] * 60})},
    ],
)
def test_long_parameters_stay_json_and_short(value: Any) -> None:
    text = capped(value)
    assert len(text) <= MOST_PARAMETERS
    if len(json.dumps(value)) > MOST_PARAMETERS:
        assert "left out" in text
    read = json.loads(text)
    if isinstance(read, dict):
        assert read["name"] == "kept"
    if len(json.dumps(value)) <= MOST_PARAMETERS:
        assert read == value


def test_secrets_never_reach_the_disk(stub: StubAws, tmp_path: Path, window: Window) -> None:
    key, secret = "AKIA" + "QX7EXAMPLE123456", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY"
    asked = {
        "password": "hunter2-hunter2",
        "configuration": {"apiKey": "sk-abcdef0123456789", "note": f"use {key}"},
        "policyDocument": json.dumps({"Statement": [{"Secret_Key": secret}]}),
        "mail": "somebody@vaultmesh.io",
    }
    text = record(requestParameters=asked, errorMessage=f"bad token: {secret}")
    stub.on["LookupEvents"] = only_of(
        "s3.amazonaws.com", [event(0, CloudTrailEvent=text, Username="me@vaultmesh.io")]
    )
    stub.on["GetCallerIdentity"] = lambda _: Answer("<a/>", 500)
    settings = Settings.load(incidents=tmp_path, app_id="0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9")
    aws = Aws(settings, max_attempts=1)
    incident = Incident.open(settings, aws, trigger="guardrail")
    seen = incident.observe(["trail"], window=window)["trail"]
    aws.close()
    on_disk = b"".join(gzip.decompress(path.read_bytes()) for path in (incident.dir / "evidence").iterdir())
    for hidden in ("hunter2", "sk-abcdef", key, secret, "somebody@", "me@"):
        assert hidden.encode() not in on_disk
    read = json.loads(seen.frame["parameters"].iloc[0])
    assert read["password"] == "[password]"
    assert set(read) == set(asked)
