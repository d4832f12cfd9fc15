"""Which metrics exist, by their very dimensions, and how often each gets a datapoint: what an alarm could look at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources import alarms
from vmqlib.sources.alarmconfig import looked_at
from vmqlib.sources.base import COUNT, FLAG, NUMBER, TEXT, TIME, Column, Reading, Row, Source, gather
from vmqlib.sources.metrics import Metric, read_metrics
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["REACH", "SOURCE", "pace", "read"]

REACH = timedelta(days=14)
"""ListMetrics lists what got data within two weeks."""

_EVEN = 0.25  # a gap is like the usual one when it differs by no more than this share of it

_COLUMNS = {
    "namespace": Column(TEXT, "", "the metric's namespace"),
    "metric": Column(TEXT, "", "its name"),
    "dimensions": Column(
        TEXT, "", "JSON text: name to value. Every set of dimensions is a metric of its own"
    ),
    "listed": Column(FLAG, "", "whether ListMetrics knows it"),
    "periods": Column(COUNT, "periods", "periods with a datapoint; missing where it was not asked for"),
    "samples": Column(COUNT, "values", "values that were published in them (SampleCount)"),
    "period_s": Column(COUNT, "s", "length of one period"),
    "first_at": Column(TIME, "", "start of the first period with a datapoint"),
    "last_at": Column(TIME, "", "start of the last one"),
    "gap_s": Column(NUMBER, "s", "how far it usually is from one datapoint to the next: the median"),
    "longest_gap_s": Column(NUMBER, "s", "how far it was at most"),
    "even": Column(NUMBER, "share", "share of the gaps that are within a quarter of the usual one"),
}

_Key = tuple[str, str, str]


def read(aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:
    """Every metric of our namespaces, and every one that our alarms look at or that has the same name as one of those.

    Raises
    ------
    AwsError
        ``cloudwatch:DescribeAlarms`` or ``cloudwatch:ListMetrics`` refused or not reached. Where only
        ``cloudwatch:GetMetricData`` is, the metrics are there without their pace, and the reading says so.
    """
    wanted = {
        (one["namespace"], one["name"], _text(one["dimensions"]))
        for alarm in alarms.describe(aws, settings).plain
        for one in looked_at(alarm)
        if not one["account"]
    }
    places = [(namespace, "") for namespace in sorted(alarms.NAMESPACES)]
    places += sorted({(space, name) for space, name, _ in wanted if space not in alarms.NAMESPACES})
    listed = {key for part in gather([partial(_list, aws, *place) for place in places]) for key in part}
    keys = sorted(listed | wanted)
    points, stopped = _points(aws, keys, window)
    return Reading(
        source="metric-names",
        call="cloudwatch:ListMetrics",
        parameters={"places": [f"{space} {name}".strip() for space, name in places]},
        rows=[_row(key, key in listed, points) for key in keys],
        complete=not stopped,
        stopped=stopped,
    )


SOURCE = Source(
    "metric-names", "Metrics and their pace", read, _COLUMNS, order=("namespace", "metric"), reach=REACH,
    routine=False,
)  # fmt: skip


def pace(
    starts: Sequence[float], samples: float, period: float
) -> tuple[float | None, float | None, float | None]:
    """How far it usually is from one datapoint to the next, how far at most, and which share of the gaps is like the
    usual one: in seconds, from the starts of the periods with a datapoint. ``None`` for fewer than two of them. Pure.

    Parameters
    ----------
    starts:
        In order.
    samples:
        How many values were published in them all: several in one period are closer than the periods are.
    period:
        Length of a period, in seconds.
    """
    from statistics import median

    gaps = [later - earlier for earlier, later in pairwise(starts)]
    if not gaps:
        return None, None, None
    usual = median(gaps)
    even = sum(abs(gap - usual) <= max(period, _EVEN * usual) for gap in gaps) / len(gaps)
    if usual <= period and samples > len(starts):
        usual = period * len(starts) / samples
    return usual, max(gaps), even


def _list(aws: Aws, namespace: str, name: str) -> set[_Key]:
    paginator = aws.client("cloudwatch").get_paginator("list_metrics")
    asked: Mapping[str, Any] = {"Namespace": namespace} | ({"MetricName": name} if name else {})
    with aws_errors("cloudwatch:ListMetrics", f"namespace {namespace}"):
        pages = list(paginator.paginate(**asked))
    return {
        (one.get("Namespace", ""), one.get("MetricName", ""), _pairs(one.get("Dimensions", [])))
        for page in pages
        for one in page.get("Metrics", [])
    }


def _points(aws: Aws, keys: Sequence[_Key], window: Window) -> tuple[dict[_Key, list[Row]] | None, str]:
    metrics = [Metric(space, name, json.loads(text), "SampleCount") for space, name, text in keys]
    try:
        reading = read_metrics(aws, metrics, window)
    except AwsError as error:
        return None, f"{error.message} {error.hint}"
    found: dict[_Key, list[Row]] = {}
    for row in reading.rows:
        if row["value"]:
            found.setdefault((row["namespace"], row["metric"], row["dimensions"]), []).append(row)
    return found, reading.stopped


def _row(key: _Key, listed: bool, points: Mapping[_Key, list[Row]] | None) -> Row:
    namespace, metric, dimensions = key
    row = {"namespace": namespace, "metric": metric, "dimensions": dimensions, "listed": listed}
    if points is None:
        return row
    mine = points.get(key, [])
    if not mine:
        return row | {"periods": 0, "samples": 0}
    samples, period = sum(one["value"] for one in mine), mine[0]["period_s"]
    gap, longest, even = pace([parse_iso(one["at"]).timestamp() for one in mine], samples, period)
    return row | {
        "periods": len(mine), "samples": round(samples), "period_s": period, "first_at": mine[0]["at"],
        "last_at": mine[-1]["at"], "gap_s": gap, "longest_gap_s": longest, "even": even,
    }  # fmt: skip


def _pairs(dimensions: Iterable[Any]) -> str:
    return _text({one["Name"]: one["Value"] for one in dimensions})


def _text(dimensions: Mapping[str, str]) -> str:
    return json.dumps(dict(dimensions), sort_keys=True)
