from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from harness import Peer, check, same

MINUTE = timedelta(minutes=1)
START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=3)
APP = [{"Name": "App", "Value": "app-1"}]


def new(prefix: str = "") -> str:
    return f"{prefix}{uuid4().hex[:8]}"


def alarm(peer: Peer, name: str, namespace: str, **more: object) -> None:
    peer.cloudwatch.put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": namespace,
            "MetricName": "SyncFailed",
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **more,
        }
    )


def publish(peer: Peer, namespace: str, value: float = 1.0, **more: object) -> None:
    data = [{"MetricName": "SyncFailed", "Value": value, **more}]
    peer.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def state(peer: Peer, name: str, kind: str = "MetricAlarm") -> str:
    return described(peer, name, kind)["StateValue"]


def described(peer: Peer, name: str, kind: str = "MetricAlarm") -> dict:
    page = peer.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=[kind])
    return page[f"{kind}s"][0]


@check("cloudwatch-new-alarm")
def _(peer: Peer) -> None:
    peer.set_time(START)
    name, namespace = new(), new("n/")
    alarm(peer, name, namespace)
    same(state(peer, name), "INSUFFICIENT_DATA")
    peer.set_time(START + 2 * MINUTE)
    same(state(peer, name), "OK")
    alarm(peer, name, namespace, Threshold=2.0)
    same(state(peer, name), "OK")


@check("cloudwatch-alarm-evaluation")
def _(peer: Peer) -> None:
    peer.set_time(START)
    name, namespace = new(), new("n/")
    alarm(peer, name, namespace)
    peer.set_time(START + 2.5 * MINUTE)
    publish(peer, namespace)
    peer.set_time(START + 3 * MINUTE)
    same(state(peer, name), "ALARM")
    found = described(peer, name)
    same(found["StateTransitionedTimestamp"], START + 3 * MINUTE)
    assert found["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [1.0 ("), found
    assert found["StateReason"].endswith(
        "was greater than or equal to the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    ), found
    same(json.loads(found["StateReasonData"])["recentDatapoints"], [1.0])
    # The datapoint is the newest real one until it leaves the range of one period and two more.
    peer.set_time(START + 17 * MINUTE)
    same(state(peer, name), "ALARM")
    peer.set_time(START + 18 * MINUTE)
    same(state(peer, name), "OK")
    same(
        described(peer, name)["StateReason"],
        "Threshold Crossed: no datapoints were received for 1 period and "
        "1 missing datapoint was treated as [NonBreaching].",
    )


@check("cloudwatch-exact-dimensions")
def _(peer: Peer) -> None:
    peer.set_time(START)
    blind, seeing, namespace = new(), new(), new("n/")
    alarm(peer, blind, namespace)
    alarm(peer, seeing, namespace, Dimensions=APP)
    publish(peer, namespace, Dimensions=APP, Timestamp=START)
    peer.set_time(START + 2 * MINUTE)

    def total(namespace: str, dimensions: list) -> list[float]:
        span = {"StartTime": START, "EndTime": START + 5 * MINUTE}
        metric = {"Namespace": namespace, "MetricName": "SyncFailed", "Dimensions": dimensions}
        stat = {"Metric": metric, "Period": 300, "Stat": "Sum"}
        query = [{"Id": "m", "MetricStat": stat}]
        data = peer.cloudwatch.get_metric_data(MetricDataQueries=query, **span)["MetricDataResults"][0][
            "Values"
        ]
        statistics = peer.cloudwatch.get_metric_statistics(**metric, Period=300, Statistics=["Sum"], **span)
        same([one["Sum"] for one in statistics["Datapoints"]], data)
        return data

    same(total(namespace, APP), [1.0])
    same(total(namespace, []), [])
    same(total("other", APP), [])
    same((state(peer, blind), state(peer, seeing)), ("OK", "ALARM"))


@check("cloudwatch-alarm-history")
def _(peer: Peer) -> None:
    peer.set_time(START)
    name, namespace = new(), new("n/")
    alarm(peer, name, namespace)
    peer.set_time(START + 2.5 * MINUTE)
    publish(peer, namespace)
    peer.set_time(START + 30 * MINUTE)
    history = peer.cloudwatch.describe_alarm_history

    def summaries(**more: object) -> list[str]:
        return [one["HistorySummary"] for one in history(AlarmName=name, **more)["AlarmHistoryItems"]]

    states = [
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
    ]
    same(summaries(ScanBy="TimestampAscending", HistoryItemType="StateUpdate"), states)
    same(summaries(), [*reversed(states), f'Alarm "{name}" created'])
    late = START + 2 * MINUTE
    same(summaries(StartDate=late, EndDate=late + 5 * MINUTE), [states[1]])
    item = history(AlarmName=name, HistoryItemType="StateUpdate", MaxRecords=1)["AlarmHistoryItems"][0]
    data = json.loads(item["HistoryData"])
    same((data["oldState"]["stateValue"], data["newState"]["stateValue"]), ("ALARM", "OK"))
    same(data["oldState"]["stateReasonData"]["threshold"], 1.0)
    pages = peer.cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, PaginationConfig={"PageSize": 3}
    )
    same([len(page["AlarmHistoryItems"]) for page in pages], [3, 1])
    peer.cloudwatch.delete_alarms(AlarmNames=[name])
    same(summaries()[0], f'Alarm "{name}" deleted')


@check("cloudwatch-alarm-actions")
def _(peer: Peer) -> None:
    peer.set_time(START)
    name, namespace = new(), new("n/")
    topic = peer.client("sns").create_topic(Name=new())["TopicArn"]
    sqs = peer.client("sqs")
    queue = sqs.create_queue(QueueName=new())["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    peer.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    alarm(peer, name, namespace, AlarmActions=[topic])

    def told() -> list[dict]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    peer.set_time(START + 2 * MINUTE)
    peer.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
    message = told()
    same(
        [(one["OldStateValue"], one["NewStateValue"], one["NewStateReason"]) for one in message],
        [("OK", "ALARM", "drill")],
    )
    same(message[0]["Trigger"]["Statistic"], "SUM")
    kinds = peer.cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")[
        "AlarmHistoryItems"
    ]
    same([one["HistorySummary"] for one in kinds], [f"Successfully executed action {topic}"])
    peer.set_time(START + 4 * MINUTE)
    same(state(peer, name), "OK")  # set for the time being only
    peer.cloudwatch.disable_alarm_actions(AlarmNames=[name])
    peer.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
    same(told(), [])


@check("cloudwatch-composite-alarms")
def _(peer: Peer) -> None:
    peer.set_time(START)
    one, two, both = new("one-"), new("two "), new()
    for name in (one, two):
        alarm(peer, name, new("n/"))
    rule = f'ALARM({one}) AND NOT (OK("{two}") OR FALSE)'
    peer.cloudwatch.put_composite_alarm(AlarmName=both, AlarmRule=rule)
    peer.set_time(START + 2 * MINUTE)
    same(state(peer, both, "CompositeAlarm"), "OK")
    for name in (one, two):
        peer.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="drill")
    same(state(peer, both, "CompositeAlarm"), "ALARM")
    children = peer.cloudwatch.describe_alarms(ChildrenOfAlarmName=both)["MetricAlarms"]
    same([child["AlarmName"] for child in children], sorted([one, two]))
    peer.set_time(START + 4 * MINUTE)
    same(state(peer, both, "CompositeAlarm"), "OK")
    bad = peer.error(peer.cloudwatch.put_composite_alarm, AlarmName=new(), AlarmRule="ALARM(")
    same(bad, (400, "ValidationError"))


@check("cloudwatch-describe-alarms")
def _(peer: Peer) -> None:
    peer.set_time(START)
    prefix, namespace = new(), new("n/")
    for number in range(5):
        alarm(peer, f"{prefix}-{number}", namespace)
    peer.cloudwatch.put_composite_alarm(AlarmName=f"{prefix}-both", AlarmRule=f"ALARM({prefix}-0)")
    peer.set_time(START + 2 * MINUTE)
    peer.cloudwatch.set_alarm_state(AlarmName=f"{prefix}-3", StateValue="ALARM", StateReason="drill")
    pages = list(
        peer.cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=prefix, PaginationConfig={"PageSize": 2}
        )
    )
    same([len(page["MetricAlarms"]) for page in pages], [2, 2, 1])
    same([alarm for page in pages for alarm in page["CompositeAlarms"]], [])
    found = peer.cloudwatch.describe_alarms(AlarmNamePrefix=prefix, StateValue="ALARM")["MetricAlarms"]
    same([one["AlarmName"] for one in found], [f"{prefix}-3"])
    same(found[0]["StateTransitionedTimestamp"], START + 2 * MINUTE)
    same(peer.error(peer.cloudwatch.describe_alarms, MaxRecords=101), (400, "ValidationError"))


@check("cloudwatch-percentiles")
def _(peer: Peer) -> None:
    peer.set_time(START)
    namespace = new("n/")
    values = [float(number) for number in range(1, 102)]
    publish_all = {"MetricName": "m", "Values": values, "Timestamp": START}
    peer.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[publish_all])
    span = {"StartTime": START, "EndTime": START + MINUTE}
    metric = {"Namespace": namespace, "MetricName": "m"}
    query = [{"Id": "p", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "p90"}}]
    data = peer.cloudwatch.get_metric_data(MetricDataQueries=query, **span)
    same(data["MetricDataResults"][0]["Values"], [91.0])
    data = peer.cloudwatch.get_metric_statistics(**metric, Period=60, ExtendedStatistics=["p50"], **span)
    same(data["Datapoints"][0]["ExtendedStatistics"], {"p50": 51.0})


@check("cloudwatch-metric-math")
def _(peer: Peer) -> None:
    peer.set_time(START)
    namespace = new("n/")
    for minute, name, value in ((0, "a", 6.0), (0, "b", 3.0), (1, "a", 4.0)):
        data = [{"MetricName": name, "Value": value, "Timestamp": START + minute * MINUTE}]
        peer.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)

    def compute(expression: str) -> list[float]:
        stats = [
            {
                "Id": name,
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {"Namespace": namespace, "MetricName": name},
                    "Period": 60,
                    "Stat": "Sum",
                },
            }
            for name in ("a", "b")
        ]
        page = peer.cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "e", "Expression": expression}, *stats],
            StartTime=START,
            EndTime=START + 3 * MINUTE,
            ScanBy="TimestampAscending",
        )
        same([one["Id"] for one in page["MetricDataResults"]], ["e"])
        return page["MetricDataResults"][0]["Values"]

    same(compute("100 * a / b"), [200.0])
    same(compute("a - FILL(b, 0)"), [3.0, 4.0])
    same(compute("SUM([a, b])"), [9.0, 4.0])
    same(compute("SUM(METRICS())"), [9.0, 4.0])
    same(compute("IF(a > 5, a, 0)"), [6.0, 0.0])
    wrong = peer.error(compute, expression="ANOMALY_DETECTION_BAND(a)")
    same(wrong, (400, "ValidationError"))


@check("cloudwatch-search")
def _(peer: Peer) -> None:
    peer.set_time(START)
    namespace = new("n/")
    for prefix, value in (("/", 7.0), ("_staging/", 3.0)):
        dimensions = [{"Name": "Bucket", "Value": "b"}, {"Name": "Prefix", "Value": prefix}]
        for name in ("Count", "Bytes"):
            data = [{"MetricName": name, "Value": value, "Timestamp": START, "Dimensions": dimensions}]
            peer.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    publish(peer, namespace, Dimensions=APP, Timestamp=START)

    def search(text: str, **more: object) -> dict[str, list[float]]:
        page = peer.cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "s", "Expression": f"SEARCH('{text}', 'Maximum', 300)", **more}],
            StartTime=START,
            EndTime=START + 5 * MINUTE,
        )
        same({one["Id"] for one in page["MetricDataResults"]} - {"s"}, set())
        return {one["Label"]: one["Values"] for one in page["MetricDataResults"]}

    counts = f'{{{namespace},Bucket,Prefix}} MetricName="Count"'
    same(search(counts), {"/": [7.0], "_staging/": [3.0]})
    same(search(counts, Label="files"), {"files /": [7.0], "files _staging/": [3.0]})
    same(search(f'{counts} Prefix="/"'), {"Count": [7.0]})
    same(search(f'{{{namespace},App}} MetricName="Count"'), {})
    same(search(f"{{{namespace},App}} SyncFailed"), {"SyncFailed": [1.0]})
    same(peer.error(search, text="a OR b"), (400, "ValidationError"))


@check("cloudwatch-data-paging")
def _(peer: Peer) -> None:
    peer.set_time(START + timedelta(hours=2))
    namespace = new("n/")
    for minute in range(10):
        data = [{"MetricName": "m", "Value": float(minute), "Timestamp": START + minute * MINUTE}]
        peer.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    stat = {"Metric": {"Namespace": namespace, "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    pages = peer.cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[{"Id": "a", "MetricStat": stat}, {"Id": "b", "MetricStat": stat}],
        StartTime=START,
        EndTime=START + 10 * MINUTE,
        ScanBy="TimestampAscending",
        MaxDatapoints=7,
    )
    rows: dict[str, list[float]] = {"a": [], "b": []}
    sizes = []
    for page in pages:
        sizes.append(sum(len(one["Values"]) for one in page["MetricDataResults"]))
        for one in page["MetricDataResults"]:
            rows[one["Id"]] += one["Values"]
    same(sizes, [7, 7, 6])
    same(rows, {"a": [float(n) for n in range(10)], "b": [float(n) for n in range(10)]})
    old = [{"MetricName": "m", "Value": 1.0, "Timestamp": START - timedelta(days=15)}]
    put = peer.cloudwatch.put_metric_data
    same(peer.error(put, Namespace=namespace, MetricData=old), (400, "InvalidParameterValue"))


@check("cloudwatch-bucket-size")
def _(peer: Peer) -> None:
    peer.set_time(START)
    bucket = peer.bucket()
    for _round in range(2):
        peer.s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    midnight = START.replace(hour=0, minute=0)

    def daily(name: str, storage: str) -> list[float]:
        found = peer.cloudwatch.get_metric_statistics(
            Namespace="AWS/S3",
            MetricName=name,
            Dimensions=[{"Name": "BucketName", "Value": bucket}, {"Name": "StorageType", "Value": storage}],
            StartTime=midnight,
            EndTime=midnight + timedelta(days=1),
            Period=86400,
            Statistics=["Average"],
        )
        return [one["Average"] for one in found["Datapoints"]]

    same(daily("BucketSizeBytes", "StandardStorage"), [10.0])
    same(daily("NumberOfObjects", "AllStorageTypes"), [2.0])


@check("cloudwatch-list-metrics")
def _(peer: Peer) -> None:
    peer.set_time(START)
    namespace = new("n/")
    for _round in range(3):
        publish(peer, namespace)
    publish(peer, namespace, Dimensions=APP)

    def listed(**more: object) -> int:
        return len(peer.cloudwatch.list_metrics(Namespace=namespace, **more)["Metrics"])

    same((listed(), listed(Dimensions=[{"Name": "App"}]), listed(Dimensions=[{"Name": "x"}])), (2, 1, 0))
    peer.set_time(START + timedelta(hours=4))
    same((listed(), listed(RecentlyActive="PT3H")), (2, 0))
    peer.set_time(START + timedelta(days=15))
    same(listed(), 0)
    peer.set_time(START)
