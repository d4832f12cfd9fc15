"""Metrics of Q Business and of the ops repo (runbook step 4, the dashboard): ``cloudwatch:GetMetricData``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.sources.base import (
    COUNT,
    NUMBER,
    TEXT,
    TIME,
    Column,
    Reading,
    Row,
    Source,
    data_source_ids,
    gather,
    moment,
)

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "Metric", "period_s", "read", "read_metrics", "wanted"]

_BATCH = 500  # metrics a call (GetMetricData)
_POINTS = 1440  # as many as CloudWatch draws, and as a plot can show
_PERIODS = (300, 900, 3600, 21_600, 86_400)
# How long CloudWatch keeps points of at least this period.
_KEPT = ((timedelta(days=15), 300), (timedelta(days=63), 3600))

_COLUMNS = {
    "metric": Column(TEXT, "", "the metric's name"),
    "namespace": Column(TEXT, "", "AWS/QBusiness or VaultMesh/QBusiness"),
    "dimensions": Column(TEXT, "", "JSON text: name to value"),
    "statistic": Column(TEXT, "", "Sum for what is counted, Maximum for what is measured"),
    "period_s": Column(COUNT, "s", "length of the period that a value stands for"),
    "at": Column(TIME, "", "start of the period; a period without data has no row"),
    "value": Column(NUMBER, "see unit", "the value"),
    "unit": Column(TEXT, "", "Count"),
}


@dataclass(frozen=True)
class Metric:
    """One metric to read.

    Parameters
    ----------
    namespace, name:
        As CloudWatch knows it.
    dimensions:
        The very set that it is published with.
    statistic:
        How a period is summed up.
    unit:
        Unit of the values.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"
    unit: str = "Count"


def wanted(settings: Settings, data_source_id: str = "") -> list[Metric]:
    """The metrics that the runbook's dashboard shows, for this application and its data sources."""
    app = {"ApplicationId": settings.app_id}
    metrics = [
        Metric("AWS/QBusiness", name, app)
        for name in ("ChatMessages", "ChatMessagesWithNoAnswer", "BlockedChatMessages")
    ]
    for one in data_source_ids(settings, data_source_id):
        source = app | {"IndexId": settings.index_id, "DataSourceId": one}
        metrics += [
            Metric("AWS/QBusiness", "DocumentCount", source, "Maximum"),
            Metric("AWS/QBusiness", "DocumentsIndexed", source),
            Metric("AWS/QBusiness", "DocumentsFailedToIndex", source),
        ]
    ours = {"App": settings.app_id}
    return [*metrics, *(Metric("VaultMesh/QBusiness", name, ours) for name in ("SyncFailed", "NoSync"))]


def period_s(window: Window, now: datetime) -> int:
    """The shortest period, in seconds, that gives at most 1,440 points and that CloudWatch still keeps."""
    age = now - window.since
    kept = max((least for limit, least in _KEPT if age > limit), default=0)
    needed = max(kept, window.length.total_seconds() / _POINTS)
    return next((period for period in _PERIODS if period >= needed), _PERIODS[-1])


def read(aws: Aws, settings: Settings, window: Window, *, data_source_id: str = "") -> Reading:
    """Every metric of :func:`wanted` over the window, long form. A period without data has no row.

    Raises
    ------
    AwsError
        ``cloudwatch:GetMetricData`` refused or not reached.
    SettingsError
        Where APP_ID, INDEX_ID or DS_ID is not set.
    """
    settings.require("app_id", "index_id")
    return read_metrics(aws, wanted(settings, data_source_id), window)


SOURCE = Source("metrics", "Metrics", read, _COLUMNS)


def read_metrics(aws: Aws, metrics: Sequence[Metric], window: Window) -> Reading:
    """The same for any metrics, in batches of 500."""
    period = period_s(window, aws.clock.now())
    # CloudWatch answers faster for, and only aligns, times that are multiples of the period.
    start = datetime.fromtimestamp(window.since.timestamp() // period * period, UTC)
    batches = [metrics[i : i + _BATCH] for i in range(0, len(metrics), _BATCH)]
    parts = gather([partial(_batch, aws, batch, start, window.until, period) for batch in batches])
    stopped = "; ".join(why for _, problems in parts for why in problems)
    return Reading(
        source="metrics",
        call="cloudwatch:GetMetricData",
        parameters={
            "metrics": [f"{one.namespace} {one.name} {_text(one.dimensions)}" for one in metrics],
            "since": moment(start),
            "until": moment(window.until),
            "period_s": period,
        },
        rows=[row for rows, _ in parts for row in rows],
        complete=not stopped,
        stopped=stopped,
    )


def _batch(
    aws: Aws, metrics: Sequence[Metric], start: datetime, end: datetime, period: int
) -> tuple[list[Row], list[str]]:
    queries: list[Any] = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in metric.dimensions.items()],
                },
                "Period": period,
                "Stat": metric.statistic,
            },
        }
        for number, metric in enumerate(metrics)
    ]
    points: dict[int, dict[datetime, float]] = {number: {} for number in range(len(metrics))}
    status: dict[int, str] = {}
    problems: list[str] = []
    paginator = aws.client("cloudwatch").get_paginator("get_metric_data")
    with aws_errors("cloudwatch:GetMetricData", "the metrics of Q Business"):
        for page in paginator.paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"
        ):
            problems += [said["Value"] for said in page.get("Messages", []) if "Value" in said]
            for result in page["MetricDataResults"]:
                number = int(result["Id"][1:])
                points[number].update(zip(result["Timestamps"], result["Values"], strict=True))
                status[number] = result.get("StatusCode", "Complete")
                problems += [said["Value"] for said in result.get("Messages", []) if "Value" in said]
    problems += [
        f"{metrics[number].name}: {said}" for number, said in status.items() if said not in {"Complete", ""}
    ]
    rows = [
        _row(metric, period, at, value)
        for number, metric in enumerate(metrics)
        for at, value in sorted(points[number].items())
    ]
    return rows, problems


def _row(metric: Metric, period: int, at: datetime, value: float) -> Row:
    return {
        "metric": metric.name,
        "namespace": metric.namespace,
        "dimensions": _text(metric.dimensions),
        "statistic": metric.statistic,
        "period_s": period,
        "at": moment(at),
        "value": float(value),
        "unit": metric.unit,
    }


def _text(dimensions: Mapping[str, str]) -> str:
    return json.dumps(dict(dimensions), sort_keys=True)
