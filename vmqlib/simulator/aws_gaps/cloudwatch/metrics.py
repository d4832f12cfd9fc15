"""Datapoints and their statistics, by exact metric: namespace, name and the whole set of dimensions.

Concepts: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MetricId", "MetricStore", "Sample", "Series", "check_statistic", "statistic"]

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
_SIMPLE = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")


@dataclass(frozen=True, order=True)
class MetricId:
    """What tells one metric from another. Other dimensions make another metric, no dimensions one more.

    Parameters
    ----------
    namespace:
        For example ``AWS/QBusiness``.
    name:
        For example ``DocumentCount``.
    dimensions:
        (name, value) pairs, sorted.
    """

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]] | None) -> MetricId:
        """From the shape that the API uses for dimensions."""
        return cls(namespace, name, tuple(sorted((one["Name"], one["Value"]) for one in dimensions or ())))

    def dimension_list(self) -> list[dict[str, str]]:
        """The dimensions in the API's shape."""
        return [{"Name": name, "Value": value} for name, value in self.dimensions]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one PutMetricData member says.

    Parameters
    ----------
    at:
        Its timestamp, seconds since 1970.
    arrived:
        When it was put, seconds since 1970: an alarm cannot have seen it before.
    count, total, low, high:
        SampleCount, Sum, Minimum and Maximum.
    values:
        (value, how often); empty where only statistics were put.
    unit:
        Empty for none.
    """

    at: float
    arrived: float
    count: float
    total: float
    low: float
    high: float
    values: tuple[tuple[float, float], ...] = ()
    unit: str = ""

    @classmethod
    def of(cls, member: Mapping[str, Any], at: float, arrived: float) -> Sample:
        """From a member of PutMetricData's ``MetricData``."""
        unit = member.get("Unit") or ""
        if given := member.get("StatisticValues"):
            count, total, low, high = (float(given[k]) for k in ("SampleCount", "Sum", "Minimum", "Maximum"))
            return cls(at, arrived, count, total, low, high, unit=unit)
        values = [float(value) for value in member.get("Values") or [member.get("Value") or 0.0]]
        counts = [float(count) for count in member.get("Counts") or [1.0] * len(values)]
        pairs = tuple(zip(values, counts, strict=True))
        total = math.fsum(value * count for value, count in pairs)
        return cls(at, arrived, sum(counts), total, min(values), max(values), pairs, unit)


@dataclass
class Series:
    """One metric's datapoints, in order of their timestamps."""

    times: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    #: When datapoints were put, in that order.
    arrivals: list[float] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        index = bisect_right(self.times, sample.at)
        self.times.insert(index, sample.at)
        self.samples.insert(index, sample)
        self.arrivals.append(max(sample.arrived, self.arrivals[-1] if self.arrivals else 0.0))

    def between(
        self, start: float, end: float, *, unit: str = "", known_at: float = math.inf
    ) -> list[Sample]:
        """Datapoints with start <= timestamp < end that had been put by ``known_at``."""
        found = self.samples[bisect_left(self.times, start) : bisect_left(self.times, end)]
        if unit or (self.arrivals and self.arrivals[-1] > known_at):
            return [s for s in found if s.arrived <= known_at and unit in ("", s.unit)]
        return found


class MetricStore:
    """Every metric of an account in a region."""

    def __init__(self) -> None:
        self._series: dict[MetricId, Series] = {}

    def put(self, metric: MetricId, sample: Sample) -> None:
        self._series.setdefault(metric, Series()).add(sample)

    def get(self, metric: MetricId) -> Series | None:
        return self._series.get(metric)

    def __iter__(self) -> Iterator[tuple[MetricId, Series]]:
        return iter(sorted(self._series.items(), key=lambda item: item[0]))


def check_statistic(name: str) -> bool:
    """Whether :func:`statistic` can compute it."""
    return name in _SIMPLE or _PERCENTILE.fullmatch(name) is not None


def statistic(name: str, samples: Sequence[Sample]) -> float | None:
    """A statistic over datapoints.

    Parameters
    ----------
    name:
        ``SampleCount``, ``Sum``, ``Average``, ``Minimum``, ``Maximum``, or a percentile such as ``p99.9``.
    samples:
        The datapoints.

    Returns
    -------
    None where there is none: no datapoints, or a percentile of which only statistics were put.
    """
    if not samples:
        return None
    count = math.fsum(sample.count for sample in samples)
    if name == "SampleCount":
        return count
    if name == "Minimum":
        return min(sample.low for sample in samples)
    if name == "Maximum":
        return max(sample.high for sample in samples)
    if percentile := _PERCENTILE.fullmatch(name):
        return _percentile(samples, float(percentile[1]))
    total = math.fsum(sample.total for sample in samples)
    return total if name == "Sum" else (total / count if count else None)


def _percentile(samples: Sequence[Sample], percent: float) -> float | None:
    """Linear interpolation between the values around the rank."""
    pairs: list[tuple[float, float]] = []
    for sample in samples:
        if sample.values:
            pairs += sample.values
        elif sample.count == 1 or sample.low == sample.high:  # CloudWatch can tell then, too
            pairs.append((sample.low, sample.count))
        else:
            return None
    pairs = sorted(pair for pair in pairs if pair[1] > 0)
    size = sum(count for _, count in pairs)
    if not pairs:
        return None
    rank = percent / 100 * (size - 1)

    def value_at(position: float) -> float:
        passed = 0.0
        for value, count in pairs:
            passed += count
            if position < passed:
                return value
        return pairs[-1][0]

    low, high = value_at(math.floor(rank)), value_at(math.ceil(rank))
    return low + (high - low) * (rank - math.floor(rank))
