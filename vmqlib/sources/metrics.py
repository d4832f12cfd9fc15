"""Metrics of Q Business and of the ops repo (runbook, step 4): ``cloudwatch:GetMetricData``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
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
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = [
    "BATCH",
    "SOURCE",
    "Answer",
    "Metric",
    "ask",
    "fitted_period",
    "floor_to",
    "period_s",
    "read",
    "read_metrics",
    "wanted",
]

BATCH = 500
"""Metrics that one call takes (GetMetricData)."""

_POINTS = 1440  # as many as CloudWatch draws, and as a plot can show
_PERIODS = (300, 900, 3600, 21_600, 86_400)
# How long CloudWatch keeps points of at least this period.
_KEPT = ((timedelta(days=15), 300), (timedelta(days=63), 3600))
_RECENT = timedelta(hours=24)  # of this much SyncFailed is read in short periods
_FINE = timedelta(hours=3)  # how long points of less than a minute are kept

_COLUMNS = {
    "metric": Column(TEXT, "", "the metric's name"),
    "namespace": Column(TEXT, "", "AWS/QBusiness or VaultMesh/QBusiness"),
    "dimensions": Column(TEXT, "", "JSON text: name to value"),
    "statistic": Column(TEXT, "", "Sum for what is counted, Maximum for what is measured"),
    "period_s": Column(
        COUNT,
        "s",
        "length of the period that a value stands for; SyncFailed has shorter ones over the last day",
    ),
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


@dataclass
class Answer:
    """One time series that GetMetricData gave. A SEARCH gives several with the same id.

    Parameters
    ----------
    id:
        Of the query.
    label:
        As CloudWatch worded it.
    points:
        Start of the period to value; one without data is not there.
    status:
        The last StatusCode: Complete, or PartialData, InternalError, Forbidden.
    messages:
        What CloudWatch says about it.
    """

    id: str
    label: str
    points: dict[datetime, float] = field(default_factory=dict)
    status: str = "Complete"
    messages: list[str] = field(default_factory=list)

    @property
    def problem(self) -> str:
        """What is missing, in CloudWatch's words; empty when nothing is."""
        said = [] if self.status in {"Complete", ""} else [self.status]
        return "; ".join([*said, *self.messages])


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
    needed = max(_kept(window, now), window.length.total_seconds() / _POINTS)
    return next((period for period in _PERIODS if period >= needed), _PERIODS[-1])


def fitted_period(asked: int, window: Window, now: datetime) -> int:
    """``asked``, a period in seconds, where CloudWatch still keeps it and at most 1,440 points come of it; else the
    shortest longer one of which both is true."""
    step = _kept(window, now) or (60 if now - window.since > _FINE else 1)
    least = -(-asked // step) * step
    needed = max(least, window.length.total_seconds() / _POINTS)
    if least >= needed:
        return least
    return next((period for period in _PERIODS if period >= needed and period % step == 0), _PERIODS[-1])


def _kept(window: Window, now: datetime) -> int:
    age = now - window.since
    return max((least for limit, least in _KEPT if age > limit), default=0)


def floor_to(moment: datetime, period: int) -> datetime:
    """The multiple of the period at or before the moment. CloudWatch answers faster for these, and aligns only them."""
    return datetime.fromtimestamp(moment.timestamp() // period * period, UTC)


def read(aws: Aws, settings: Settings, window: Window, *, data_source_id: str = "") -> Reading:
    """Every metric of :func:`wanted` over the window, long form. A period without data has no row.

    Of the window's last day SyncFailed is there in periods of five minutes, as its alarm looks at it: the runbook asks
    for minutes. Where that cannot be had, it is there like the others.

    Raises
    ------
    AwsError
        ``cloudwatch:GetMetricData`` refused or not reached.
    SettingsError
        Where APP_ID, INDEX_ID or DS_ID is not set.
    """
    settings.require("app_id", "index_id")
    reading = read_metrics(aws, wanted(settings, data_source_id), window)
    return _refined(
        aws, reading, Metric("VaultMesh/QBusiness", "SyncFailed", {"App": settings.app_id}), window
    )


def _refined(aws: Aws, reading: Reading, metric: Metric, window: Window) -> Reading:
    """The reading, with one of its metrics in short periods over the window's last day. Never worse than it was."""
    period = int(reading.parameters["period_s"])
    start = floor_to(max(window.since, window.until - _RECENT), period)
    recent = replace(window, since=start)
    if period <= period_s(recent, aws.clock.now()):
        return reading
    try:
        fine = read_metrics(aws, [metric], recent)
    except AwsError:
        return reading
    if not fine.complete:
        return reading

    def coarse(row: Row) -> bool:
        named = (row["namespace"], row["metric"]) == (metric.namespace, metric.name)
        return named and parse_iso(row["at"]) >= start

    kept = [row for row in reading.rows if not coarse(row)]
    return replace(
        reading,
        parameters={**reading.parameters, "recent": fine.parameters},
        rows=[*kept, *fine.rows],
    )


SOURCE = Source("metrics", "Metrics", read, _COLUMNS)


def read_metrics(aws: Aws, metrics: Sequence[Metric], window: Window) -> Reading:
    """The same for any metrics, in batches of 500."""
    period = period_s(window, aws.clock.now())
    start = floor_to(window.since, period)
    batches = [metrics[i : i + BATCH] for i in range(0, len(metrics), BATCH)]
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
    answers, problems = ask(aws, queries, start, end, "the metrics of Q Business")
    # One series for each id: there is no SEARCH among them.
    points: dict[int, dict[datetime, float]] = {number: {} for number in range(len(metrics))}
    for answer in answers:
        number = int(answer.id[1:])
        points[number] = answer.points
        if answer.problem:
            problems.append(f"{metrics[number].name}: {answer.problem}")
    rows = [
        _row(metric, period, at, value)
        for number, metric in enumerate(metrics)
        for at, value in sorted(points[number].items())
    ]
    return rows, problems


def ask(
    aws: Aws, queries: Sequence[Any], start: datetime, end: datetime, what: str
) -> tuple[list[Answer], list[str]]:
    """What GetMetricData says, to its last page: the series, and what it says about the whole.

    Parameters
    ----------
    queries:
        At most 500 MetricDataQuery structures.
    start, end:
        From (included) and to (not included).
    what:
        What they are, for an error.

    Raises
    ------
    AwsError
        ``cloudwatch:GetMetricData`` refused or not reached.
    """
    found: dict[tuple[str, str, int], Answer] = {}
    problems: list[str] = []
    paginator = aws.client("cloudwatch").get_paginator("get_metric_data")
    with aws_errors("cloudwatch:GetMetricData", what):
        for page in paginator.paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"
        ):
            problems += [said["Value"] for said in page.get("Messages", []) if "Value" in said]
            same: dict[tuple[str, str], int] = {}
            for result in page["MetricDataResults"]:
                name, label = result["Id"], result.get("Label", "")
                # Two series of a SEARCH may be labelled alike: they come in the same order on every page.
                turn = same[name, label] = same.get((name, label), -1) + 1
                answer = found.setdefault((name, label, turn), Answer(name, label))
                answer.points.update(zip(result["Timestamps"], result["Values"], strict=True))
                answer.status = result.get("StatusCode", "Complete")
                answer.messages += [said["Value"] for said in result.get("Messages", []) if "Value" in said]
    return list(found.values()), problems


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
