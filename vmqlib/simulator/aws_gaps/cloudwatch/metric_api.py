"""The operations on metrics, as CloudWatch answers them.

API reference: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html and others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import (
    CloudWatchBackend,
    MetricAggregatedDatum,
    MetricDatum,
    MetricDatumBase,
)
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.s3.models import FakeKey, s3_backends

from vmqlib.simulator.aws_gaps.cloudwatch.expressions import (
    Found,
    Points,
    Result,
    UnsupportedExpression,
    evaluate,
)
from vmqlib.simulator.aws_gaps.cloudwatch.metrics import MetricId, Sample, Series, check_statistic, statistic
from vmqlib.simulator.aws_gaps.cloudwatch.search import Search
from vmqlib.simulator.aws_gaps.cloudwatch.state import state_of
from vmqlib.simulator.aws_gaps.gap import now, replace, to_aware

__all__ = ["Window", "install"]

_MOST_POINTS = 100_800
_MOST_QUERIES = 500
_MOST_STATISTICS = 1_440
_METRICS_A_PAGE = 500
#: A datapoint's age -> the shortest period at which it can still be had, in seconds.
_RETENTION = ((timedelta(days=15), 60), (timedelta(days=63), 300), (timedelta(days=455), 3600))


@dataclass(frozen=True)
class Window:
    """The span of a request, cut to periods.

    Parameters
    ----------
    start:
        Its beginning, seconds since 1970, rounded down as CloudWatch does.
    end:
        Its end (not included).
    period:
        Seconds.
    """

    start: int
    end: int
    period: int

    @classmethod
    def of(cls, start: datetime, end: datetime, period: int) -> Window:
        """Rounds the start down: to the minute, to 5 minutes beyond 15 days, to the hour beyond 63."""
        age = now() - to_aware(start)
        step = min(period, 60) if period < 60 else next((s for kept, s in _RETENTION if age <= kept), 3600)
        begin = int(to_aware(start).timestamp() // step) * step
        return cls(begin, int(to_aware(end).timestamp()), period)

    def starts(self) -> Iterator[int]:
        """The beginning of each period."""
        yield from range(self.start, self.end, self.period)

    def points(self, series: Series | None, name: str, unit: str = "") -> Points:
        """A statistic of each period that has one."""
        if series is None:
            return {}
        present = now().timestamp()
        found: Points = {}
        for begin, samples in self._filled(series, unit):
            age = timedelta(seconds=present - begin)
            shortest = next((step for kept, step in _RETENTION if age <= kept), None)
            if shortest is None or (self.period % shortest and age > _RETENTION[0][0]):
                continue
            value = statistic(name, samples)
            if value is not None:
                found[begin] = value
        return found

    def _filled(self, series: Series, unit: str) -> Iterator[tuple[int, Sequence[Sample]]]:
        """Periods with datapoints in them, without walking through empty ones."""
        samples = series.between(self.start, self.end, unit=unit)
        index = 0
        while index < len(samples):
            begin = self.start + int((samples[index].at - self.start) // self.period) * self.period
            first = index
            while index < len(samples) and samples[index].at < begin + self.period:
                index += 1
            yield begin, samples[first:index]


def _series(backend: CloudWatchBackend, metric: MetricId) -> Series | None:
    """A metric's datapoints: those that were put, or those that S3 provides by itself."""
    kept = state_of(backend).metrics.get(metric)
    if kept is not None or metric.namespace != "AWS/S3":
        return kept
    provided = [sample for other, sample in _provided(backend) if other == metric]
    return (
        Series([one.at for one in provided], provided, [one.arrived for one in provided])
        if provided
        else None
    )


def _provided(backend: CloudWatchBackend) -> Iterator[tuple[MetricId, Sample]]:
    """AWS/S3's daily storage metrics, of today: every version counts. (moto gives the size of its own lists.)"""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    for bucket in s3_backends[backend.account_id][backend.partition].buckets.values():
        if bucket.region_name != backend.region_name:
            continue
        versions = [version for _, all_of_key in bucket.keys.lists() for version in all_of_key]
        size = sum(version.size for version in versions if isinstance(version, FakeKey))
        for name, storage, value, unit in (
            ("BucketSizeBytes", "StandardStorage", size, "Bytes"),
            ("NumberOfObjects", "AllStorageTypes", len(versions), "Count"),
        ):
            dimensions = (("BucketName", bucket.name), ("StorageType", storage))
            sample = Sample.of({"Value": value, "Unit": unit}, midnight, midnight)
            yield MetricId("AWS/S3", name, dimensions), sample


# ---- putting


def put_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    """``CloudWatchBackend.put_metric_data``: any timestamp is taken."""
    for index, member in enumerate(metric_data):
        self._validate_parameters_put_metric_data(member, index + 1)
    arrived = now()
    metrics = state_of(self).metrics
    for member in metric_data:
        at = to_aware(member["Timestamp"]) if member.get("Timestamp") else arrived
        metric = MetricId.of(namespace, member["MetricName"], member.get("Dimensions"))
        metrics.put(metric, Sample.of(member, at.timestamp(), arrived.timestamp()))


def put_metric_data(self: CloudWatchResponse) -> ActionResult:
    """PutMetricData, which takes nothing older than two weeks or more than two hours ahead."""
    asked = self._get_params()
    present = now()
    for index, member in enumerate(asked.get("MetricData") or [], 1):
        at = to_aware(member["Timestamp"]) if member.get("Timestamp") else present
        if at < present - timedelta(days=14):
            limit = "no more than two weeks in the past"
        elif at > present + timedelta(hours=2):
            limit = "no more than two hours in the future"
        else:
            continue
        raise InvalidParameterValue(
            f"The parameter MetricData.member.{index}.Timestamp must specify a time {limit}."
        )
    self.cloudwatch_backend.put_metric_data(asked["Namespace"], asked.get("MetricData") or [])
    return EmptyResult()


def _metric_data(self: CloudWatchBackend) -> list[MetricDatumBase]:
    """``CloudWatchBackend.metric_data``: what was put, as moto keeps it, for whoever looks there."""
    found: list[MetricDatumBase] = []
    for metric, series in state_of(self).metrics:
        for sample in series.samples:
            at = datetime.fromtimestamp(sample.at, UTC).replace(tzinfo=None)
            place: dict[str, Any] = {
                "namespace": metric.namespace,
                "name": metric.name,
                "dimensions": metric.dimension_list(),
                "timestamp": at,
                "unit": sample.unit or None,
            }
            if sample.count == 1:
                found.append(MetricDatum(value=sample.total, **place))
            else:
                found.append(
                    MetricAggregatedDatum(
                        min_stat=sample.low,
                        max_stat=sample.high,
                        sample_count=sample.count,
                        sum_stat=sample.total,
                        **place,
                    )
                )
    return found


# ---- getting


def _check_period(period: int) -> None:
    if period not in (1, 5, 10, 20, 30) and (period < 60 or period % 60):
        raise InvalidParameterValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


def _check_statistic(name: str) -> None:
    if not check_statistic(name):
        raise InvalidParameterValue(f"The value {name} for parameter Stat is not supported.")


class _DataRequest:
    """One GetMetricData, query by query, each computed once."""

    def __init__(self, backend: CloudWatchBackend, asked: Mapping[str, Any]) -> None:
        self.backend = backend
        self.start, self.end = to_aware(asked["StartTime"]), to_aware(asked["EndTime"])
        if self.start >= self.end:
            raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
        self.queries = {query["Id"]: query for query in asked.get("MetricDataQueries") or []}
        if not 1 <= len(self.queries) <= _MOST_QUERIES:
            raise ValidationError(
                f"Between 1 and {_MOST_QUERIES} MetricDataQueries with different ids are needed."
            )
        self._values: dict[str, Result] = {}
        self._open: list[str] = []

    def value(self, name: str) -> Result:
        if name not in self.queries:
            raise UnsupportedExpression(f"There is no metric or expression with the id '{name}'.")
        if name in self._open:
            raise UnsupportedExpression(f"The expression '{name}' refers to itself.")
        if name not in self._values:
            self._open.append(name)
            self._values[name] = self._compute(self.queries[name])
            self._open.pop()
        return self._values[name]

    def _compute(self, query: Mapping[str, Any]) -> Result:
        if stat := query.get("MetricStat"):
            asked = stat["Metric"]
            _check_period(int(stat["Period"]))
            _check_statistic(stat["Stat"])
            metric = MetricId.of(asked["Namespace"], asked["MetricName"], asked.get("Dimensions"))
            window = Window.of(self.start, self.end, int(stat["Period"]))
            return window.points(_series(self.backend, metric), stat["Stat"], stat.get("Unit") or "")
        if not query.get("Expression"):
            raise ValidationError("The parameter MetricDataQueries.member.1.MetricStat is required.\n")
        return evaluate(query["Expression"], self.value, self._metrics, self._grid(), self._search)

    def _search(self, sought: str, stat: str, period: int) -> list[Points]:
        """The metrics that match, in order, each labelled by what is different about it."""
        _check_period(period)
        _check_statistic(stat)
        search, window = Search.of(sought), Window.of(self.start, self.end, period)
        series = [
            (metric, series) for metric, series in state_of(self.backend).metrics if search.matches(metric)
        ]
        labels = search.labels([metric for metric, _ in series])
        points = (window.points(one, stat) for _, one in series)
        return [Found(one, label) for one, label in zip(points, labels, strict=True) if one]

    def _metrics(self) -> list[Points]:
        values = [self.value(name) for name, query in self.queries.items() if query.get("MetricStat")]
        return [value for value in values if isinstance(value, dict)]

    def _grid(self) -> list[int]:
        periods = [int(q["MetricStat"]["Period"]) for q in self.queries.values() if q.get("MetricStat")]
        return list(Window.of(self.start, self.end, min(periods, default=60)).starts())

    def rows(self, newest_first: bool) -> Iterator[tuple[dict[str, Any], list[tuple[int, float]]]]:
        """Per series that is to be returned: its id and label, and its points."""
        for name, query in self.queries.items():
            if query.get("ReturnData") is False:
                continue
            value = self.value(name)
            stat = query.get("MetricStat")
            label = query.get("Label") or (stat["Metric"]["MetricName"] if stat else name)
            if not isinstance(value, dict | list):
                raise UnsupportedExpression(f"The expression '{name}' is a number, not a time series.")
            for points in value if isinstance(value, list) else [value]:
                own = points.label if isinstance(points, Found) else label
                shown = " ".join(dict.fromkeys(one for one in (query.get("Label"), own) if one))
                yield {"Id": name, "Label": shown}, sorted(points.items(), reverse=newest_first)


def get_metric_data(self: CloudWatchResponse) -> ActionResult:
    asked = self._get_params()
    newest_first = (asked.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
    try:
        rows = list(_DataRequest(self.cloudwatch_backend, asked).rows(newest_first))
    except UnsupportedExpression as error:
        raise ValidationError(f"Error in expression: {error}") from error
    token = str(asked.get("NextToken") or "0")
    if not token.isdigit():
        raise InvalidParameterValue("The parameter NextToken is invalid.")
    skip, room = int(token), min(int(asked.get("MaxDatapoints") or _MOST_POINTS), _MOST_POINTS)
    results: list[dict[str, Any]] = []
    passed = skip
    for head, points in rows:
        page = points[skip : skip + room]
        skip, room, passed = max(0, skip - len(points)), room - len(page), passed + len(page)
        if points and not page:
            continue  # on another page
        results.append(
            head
            | {
                "Timestamps": [datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at, _ in page],
                "Values": [value for _, value in page],
                "StatusCode": "PartialData" if page and page[-1] != points[-1] else "Complete",
            }
        )
    more = passed < sum(len(points) for _, points in rows)
    return ActionResult({"MetricDataResults": results, "NextToken": str(passed) if more else None})


def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
    asked = self._get_params()
    names = [*(asked.get("Statistics") or []), *(asked.get("ExtendedStatistics") or [])]
    if not names:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    period, unit = int(asked["Period"]), asked.get("Unit") or ""
    _check_period(period)
    for name in names:
        _check_statistic(name)
    start, end = to_aware(asked["StartTime"]), to_aware(asked["EndTime"])
    if start >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    asked_for = -(-(end - start).total_seconds() // period)
    if asked_for > _MOST_STATISTICS:
        raise InvalidParameterCombination(
            f"You have requested up to {asked_for:,.0f} datapoints, which exceeds the limit of 1,440. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    metric = MetricId.of(asked["Namespace"], asked["MetricName"], asked.get("Dimensions"))
    series = _series(self.cloudwatch_backend, metric)
    window = Window.of(start, end, period)
    points = {name: window.points(series, name, unit) for name in names}
    rows = []
    for at in sorted({at for found in points.values() for at in found}):
        samples = series.between(at, at + period) if series is not None else []
        row: dict[str, Any] = {
            "Timestamp": datetime.fromtimestamp(at, UTC).replace(tzinfo=None),
            "Unit": unit or next((sample.unit for sample in samples if sample.unit), "None"),
        }
        row |= {name: found[at] for name, found in points.items() if at in found and not name.startswith("p")}
        extended = {name: found[at] for name, found in points.items() if at in found and name.startswith("p")}
        rows.append(row | ({"ExtendedStatistics": extended} if extended else {}))
    return ActionResult({"Label": asked["MetricName"], "Datapoints": rows})


def list_metrics(self: CloudWatchResponse) -> ActionResult:
    backend, asked = self.cloudwatch_backend, self._get_params()
    recent = asked.get("RecentlyActive")
    if recent not in (None, "PT3H"):
        raise InvalidParameterValue("The parameter RecentlyActive must be PT3H.")
    # Metrics without a datapoint in two weeks are not listed.
    since = (now() - (timedelta(hours=3) if recent else timedelta(days=14))).timestamp()
    put = {metric for metric, series in state_of(backend).metrics if series.times[-1] >= since}
    found = sorted(put | {metric for metric, sample in _provided(backend) if sample.at >= since})
    rows = [metric for metric in found if _listed(metric, asked)]
    token = str(asked.get("NextToken") or "0")
    if not token.isdigit():
        raise InvalidParameterValue("Request parameter NextToken is invalid")
    start = int(token)
    end = start + _METRICS_A_PAGE
    metrics = [
        {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": metric.dimension_list()}
        for metric in rows[start:end]
    ]
    return ActionResult({"Metrics": metrics, "NextToken": str(end) if end < len(rows) else None})


def _listed(metric: MetricId, asked: Mapping[str, Any]) -> bool:
    dimensions = dict(metric.dimensions)
    return (
        asked.get("Namespace") in (None, metric.namespace)
        and asked.get("MetricName") in (None, metric.name)
        and all(
            one["Name"] in dimensions and one.get("Value") in (None, dimensions[one["Name"]])
            for one in asked.get("Dimensions") or []
        )
    )


def install() -> None:
    """Sets the operations on metrics on moto's CloudWatch."""
    replace(
        CloudWatchResponse,
        put_metric_data=put_metric_data,
        get_metric_data=get_metric_data,
        get_metric_statistics=get_metric_statistics,
        list_metrics=list_metrics,
    )
    # moto's own list is not kept: a second copy of every datapoint.
    metric_data = property(_metric_data, lambda _self, _value: None)
    replace(CloudWatchBackend, put_metric_data=put_data, metric_data=metric_data)
