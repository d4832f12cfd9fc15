from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from harness import Peer, check, same

NOW = int(datetime.now(UTC).timestamp() * 1000) - 3_600_000


def group(peer: Peer, **streams: list[tuple[int, Any]]) -> str:
    """A log group with events (milliseconds after NOW, message or what becomes JSON) in streams."""
    peer.set_time(datetime.now(UTC))
    name = f"/g/{uuid4().hex[:8]}"
    peer.logs.create_log_group(logGroupName=name)
    for stream, events in streams.items():
        peer.logs.create_log_stream(logGroupName=name, logStreamName=stream)
        rows = [
            {"timestamp": NOW + at, "message": text if isinstance(text, str) else json.dumps(text)}
            for at, text in events
        ]
        if rows:
            peer.logs.put_log_events(logGroupName=name, logStreamName=stream, logEvents=rows)
    return name


def messages(peer: Peer, name: str, **more: object) -> list[str]:
    pages = peer.logs.get_paginator("filter_log_events").paginate(logGroupName=name, **more)
    return [event["message"] for page in pages for event in page["events"]]


@check("logs-filter-patterns")
def _(peer: Peer) -> None:
    texts = [
        "ERROR one two",
        "WARN one",
        "INFO one ERRORS",
        '{"level": "ERROR", "code": 403}',
        '{"level": "INFO"}',
    ]
    name = group(peer, s=list(enumerate(texts)))

    def found(pattern: str) -> list[int]:
        return [texts.index(text) for text in messages(peer, name, filterPattern=pattern)]

    same(found(""), [0, 1, 2, 3, 4])
    same(found("ERROR one"), [0, 2])
    same(found('"ERROR one"'), [0])
    same(found('one -"ERROR" -INFO'), [1])
    same(found("?WARN ?INFO"), [1, 2, 4])
    same(found("%^WA[A-Z]+.one$%"), [1])
    same(found('{ $.level = "ERROR" && $.code >= 400 }'), [3])
    same(found('{ $.level = "*O*" && $.code NOT EXISTS }'), [4])
    for wrong in ("{ $.level = }", "{ level = 1 }", '"open', "%(a)%", "%[%"):
        answer = peer.error(peer.logs.filter_log_events, logGroupName=name, filterPattern=wrong)
        same(answer, (400, "InvalidParameterException"))


@check("logs-filter-streams")
def _(peer: Peer) -> None:
    name = group(peer, **{"a-1": [(0, "a1")], "a-2": [(1, "a2")], "b": [(2, "b")]})
    same(messages(peer, name, logStreamNamePrefix="a-"), ["a1", "a2"])
    same(messages(peer, name, logStreamNames=["b", "a-1"], startTime=NOW + 1), ["b"])
    arn = peer.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["logGroupArn"]
    events = peer.logs.filter_log_events(logGroupIdentifier=arn, endTime=NOW + 1)["events"]
    same([event["message"] for event in events], ["a1", "a2"])
    read = peer.logs.filter_log_events
    same(peer.error(read, logGroupName=name, logStreamNames=["none"]), (400, "ResourceNotFoundException"))
    both = {"logStreamNames": ["b"], "logStreamNamePrefix": "a"}
    same(peer.error(read, logGroupName=name, **both), (400, "InvalidParameterException"))


@check("logs-filter-order")
def _(peer: Peer) -> None:
    name = group(peer, a=[(0, "0"), (2, "2"), (4, "4")], b=[(1, "1"), (3, "3"), (3, "3b")])
    same(messages(peer, name), ["0", "1", "2", "3", "3b", "4"])
    same(messages(peer, name, PaginationConfig={"PageSize": 2}), ["0", "1", "2", "3", "3b", "4"])
    first = peer.logs.filter_log_events(logGroupName=name, limit=4)
    late = [{"timestamp": NOW + 5, "message": "5"}]
    peer.logs.put_log_events(logGroupName=name, logStreamName="a", logEvents=late)
    rest = peer.logs.filter_log_events(logGroupName=name, nextToken=first["nextToken"])
    same([event["message"] for event in rest["events"]], ["3b", "4", "5"])
    assert len({event["eventId"] for event in first["events"] + rest["events"]}) == 7
    bad = peer.error(peer.logs.filter_log_events, logGroupName=name, nextToken="nonsense")
    same(bad, (400, "InvalidParameterException"))


@check("logs-page-size")
def _(peer: Peer) -> None:
    name = group(peer, s=[(number, f"{number}" + "x" * 200_000) for number in range(4)])
    more = [{"timestamp": NOW + number, "message": f"{number}" + "x" * 200_000} for number in range(4, 8)]
    peer.logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=more)
    pages = list(peer.logs.get_paginator("filter_log_events").paginate(logGroupName=name))
    same([[event["message"][0] for event in page["events"]] for page in pages], [list("01234"), list("567")])
    page = peer.logs.get_log_events(logGroupName=name, logStreamName="s", startFromHead=True)
    same(len(page["events"]), 5)
    page = peer.logs.get_log_events(logGroupName=name, logStreamName="s")
    same([event["message"][0] for event in page["events"]], list("34567"))
    from moto.logs.models import logs_backends

    from vmqlib.simulator.aws_gaps.logs import knobs

    turn = knobs(logs_backends["123456789012"]["eu-west-1"])
    turn.empty_page_every, turn.scanned_a_page = 2, 2
    try:
        pages = list(peer.logs.get_paginator("filter_log_events").paginate(logGroupName=name))
        same([len(page["events"]) for page in pages], [2, 0, 2, 0, 2, 0, 2])
        same(sum(len(page["events"]) for page in pages), 8)
    finally:
        turn.empty_page_every, turn.scanned_a_page = 0, 100_000


@check("logs-get-events-window")
def _(peer: Peer) -> None:
    name = group(peer, s=[(number, str(number)) for number in range(6)], empty=[])

    def read(**more: object) -> tuple[list[str], str, str]:
        page = peer.logs.get_log_events(logGroupName=name, logStreamName="s", **more)
        return [e["message"] for e in page["events"]], page["nextForwardToken"], page["nextBackwardToken"]

    same(read(startTime=NOW + 1, endTime=NOW + 3)[0], ["1", "2"])
    same(read(limit=2)[0], ["4", "5"])
    for direction, place, wanted in (("head", 1, list("012345")), ("tail", 2, list("450123"))):
        seen, token = [], None
        while True:
            more = {"nextToken": token} if token else {"startFromHead": direction == "head"}
            page = read(limit=4 if direction == "head" else 2, **more)
            seen += page[0]
            if page[place] == token:
                break
            token = page[place]
        same(sorted(seen), sorted(wanted))
        same(seen[:2], wanted[:2])
    end = read(startFromHead=True)[1]
    late = [{"timestamp": NOW + 9, "message": "late"}]
    peer.logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=late)
    same(read(nextToken=end)[0], ["late"])
    page = peer.logs.get_log_events(logGroupName=name, logStreamName="empty")
    token = page["nextForwardToken"]
    again = peer.logs.get_log_events(logGroupName=name, logStreamName="empty", nextToken=token)
    same((again["events"], again["nextForwardToken"]), ([], token))


@check("logs-insights")
def _(peer: Peer) -> None:
    rows = [
        {"LogLevel": "ERROR", "ErrorCode": "E1", "ms": 10},
        {"LogLevel": "ERROR", "ErrorCode": "E2", "ms": 20},
        {"LogLevel": "INFO", "ms": 30},
        {"LogLevel": "ERROR", "ErrorCode": "E1", "ms": 60},
    ]
    name = group(peer, s=list(enumerate(rows)), t=[(9, "took 5 ms for a.md")])

    def ask(query: str) -> list[dict[str, str]]:
        start, end = NOW // 1000 - 1, NOW // 1000 + 60
        started = peer.logs.start_query(logGroupName=name, startTime=start, endTime=end, queryString=query)
        answer = peer.logs.get_query_results(queryId=started["queryId"])
        same(answer["status"], "Complete")
        return [
            {one["field"]: one["value"] for one in row if one["field"] != "@ptr"} for row in answer["results"]
        ]

    same(
        ask('filter LogLevel = "ERROR" | stats count(*) as n, avg(ms) by ErrorCode | sort n desc'),
        [{"ErrorCode": "E1", "n": "2", "avg(ms)": "35"}, {"ErrorCode": "E2", "n": "1", "avg(ms)": "20"}],
    )
    same(
        ask("fields ms | filter ms > 15 and not (ErrorCode like /E1/) | sort ms asc"),
        [{"ms": "20"}, {"ms": "30"}],
    )
    same(
        ask("parse 'took * ms for *' as took, file | filter ispresent(file) | display took, file"),
        [{"took": "5", "file": "a.md"}],
    )
    same(len(ask("fields @timestamp, @message | limit 2")), 2)
    same(ask('filter @logStream = "t" | fields @message'), [{"@message": "took 5 ms for a.md"}])
    wrong = peer.error(ask, query="fields @message | dedup ms")
    same(wrong, (400, "MalformedQueryException"))


@check("logs-stop-query")
def _(peer: Peer) -> None:
    name = group(peer, s=[(0, "x")])
    query = peer.logs.start_query(logGroupName=name, startTime=0, endTime=1, queryString="fields @message")
    same(peer.error(peer.logs.stop_query, queryId=query["queryId"]), (400, "InvalidParameterException"))
    same(peer.error(peer.logs.get_query_results, queryId="none"), (400, "ResourceNotFoundException"))


@check("logs-qbusiness-deliveries")
def _(peer: Peer) -> None:
    name, arn = f"d{uuid4().hex[:8]}", "arn:aws:qbusiness:eu-west-1:123456789012:application/a"
    peer.logs.put_delivery_source(name=name, resourceArn=arn, logType="SYNC_JOB_LOGS")
    target = f"arn:aws:logs:eu-west-1:123456789012:log-group:{group(peer)}:*"
    destination = peer.logs.put_delivery_destination(
        name=name, deliveryDestinationConfiguration={"destinationResourceArn": target}
    )["deliveryDestination"]
    peer.logs.create_delivery(deliverySourceName=name, deliveryDestinationArn=destination["arn"])
    found = [one for one in peer.logs.describe_delivery_sources()["deliverySources"] if one["name"] == name]
    same([(one["service"], one["logType"]) for one in found], [("qbusiness", "SYNC_JOB_LOGS")])
    deliveries = peer.logs.describe_deliveries()["deliveries"]
    assert any(one["deliverySourceName"] == name for one in deliveries)
    wrong = peer.error(peer.logs.put_delivery_source, name="x", resourceArn=arn, logType="NONSENSE")
    same(wrong, (400, "ValidationException"))


@check("logs-delivery-pages")
def _(peer: Peer) -> None:
    name = group(peer)
    arn = f"arn:aws:logs:eu-west-1:123456789012:log-group:{name}"
    destination = peer.logs.put_delivery_destination(
        name="first", deliveryDestinationConfiguration={"destinationResourceArn": arn}
    )["deliveryDestination"]["arn"]
    for number in range(3):
        distribution = f"arn:aws:cloudfront::123456789012:distribution/E1Q5O5KVM5JMY{number}"
        peer.logs.put_delivery_source(name=f"s{number}", resourceArn=distribution, logType="ACCESS_LOGS")
        peer.logs.create_delivery(deliverySourceName=f"s{number}", deliveryDestinationArn=destination)
    asked = peer.logs.get_paginator("describe_deliveries")
    pages = [page["deliveries"] for page in asked.paginate(PaginationConfig={"PageSize": 2})]
    same({len(page) for page in pages[:-1]}, {2})  # other checks have left some, too
    named = [one["deliverySourceName"] for page in pages for one in page]
    same(sorted(name for name in named if name in ("s0", "s1", "s2")), ["s0", "s1", "s2"])
    first = peer.logs.describe_delivery_sources(limit=1)
    rest = peer.logs.describe_delivery_sources(nextToken=first["nextToken"])["deliverySources"]
    names = [one["name"] for one in first["deliverySources"] + rest]
    same((len(first["deliverySources"]), names), (1, sorted(names)))
    same({"s0", "s1", "s2"} <= set(names), True)
    answer = peer.error(peer.logs.describe_delivery_destinations, limit=51)
    same(answer, (400, "ValidationException"))
