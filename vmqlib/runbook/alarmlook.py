"""A look at the alarms, and at the very metrics that they look at (runbook, step 4).

Reads only: ``cloudwatch:DescribeAlarms``, ``cloudwatch:GetMetricData``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError, Throttled, Unreachable
from vmqlib.runbook.alarmwatch import BEYOND, Alarm, Watched
from vmqlib.runbook.wiring.blindness import BlindAlarm, is_blind, others
from vmqlib.runbook.wiring.metrics import Looked, Published
from vmqlib.runbook.wiring.seen import loaded
from vmqlib.times import Window, duration, parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

__all__ = ["Look"]

_FOUND = timedelta(days=14)  # how far back a datapoint is looked for before an alarm is said to see none
_FRESH = timedelta(minutes=5)
_LEAST = timedelta(hours=3)
_FEWEST = 3  # datapoints: fewer say nothing of how often they come
_SELDOM = timedelta(hours=2)  # between datapoints: what comes more often is not worth an hour's name


class Look:
    """Looks at the alarms that the settings name, those on our namespaces, and composite ones over them.

    Parameters
    ----------
    aws, settings:
        Whom to ask, about what.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._settings = settings
        self._points: _Points | None = None

    def __call__(self) -> Watched:
        """One look. Metrics are asked for every few minutes only.

        Raises
        ------
        AwsError
            ``cloudwatch:DescribeAlarms`` refused or not reached.
        """
        from vmqlib.sources import alarms

        now = self._aws.clock.now()
        rows = list(alarms.read(self._aws, self._settings, Window(now - _LEAST, now)).rows)
        points = self._read(rows, now)
        named = [self._settings.alarms.sync_failed, self._settings.alarms.no_sync]
        there = {row["name"] for row in rows}
        return Watched(
            tuple(_alarm(row, points, now) for row in rows),
            tuple(name for name in named if name and name not in there),
            now,
            points.unsure,
        )

    def _read(self, rows: Sequence[Mapping[str, Any]], now: datetime) -> _Points:
        names = frozenset(str(row["name"]) for row in rows)
        if self._points is None or self._points.names != names or now - self._points.at > _FRESH:
            try:
                self._points = _Points(names, now, *_datapoints(self._aws, self._settings, rows, now))
            except (Throttled, Unreachable) as error:
                # The next look asks again; meanwhile what was known before stands.
                return self._points or _Points(names, now, unsure=error.message)
            except AwsError as error:
                self._points = _Points(names, now, unsure=f"{error.message} {error.hint}".strip())
        return self._points


@dataclass(frozen=True)
class _Points:
    """Datapoints of the alarms' own metrics, by alarm, newest last; and sets that are published, by metric."""

    names: frozenset[str]
    at: datetime
    own: Mapping[str, Sequence[tuple[datetime, float]]] | None = None
    seen: Mapping[str, bool] | None = None
    published: Mapping[tuple[str, str], frozenset[str]] | None = None
    unsure: str = ""


def _datapoints(
    aws: Aws, settings: Settings, rows: Sequence[Mapping[str, Any]], now: datetime
) -> tuple[
    Mapping[str, Sequence[tuple[datetime, float]]],
    Mapping[str, bool],
    Mapping[tuple[str, str], frozenset[str]],
]:
    """What each alarm's very metric has, of late and at all; and the sets of dimensions that have anything at all."""
    from vmqlib.sources.metrics import Metric, read_metrics, wanted

    plain = [row for row in rows if row.get("period_s") and row["namespace"]]
    own = {
        str(row["name"]): Metric(
            row["namespace"], row["metric"], loaded(row["dimensions"], {}), row["statistic"] or "Sum"
        )
        for row in plain
    }
    span = max([_LEAST, *(_reach(row) * 2 for row in plain)])
    late = read_metrics(aws, list(own.values()), Window(now - span, now))
    # What the settings know the ids of: under which sets of dimensions the metrics are published.
    usual = [one for one in wanted(settings) if all(one.dimensions.values())] if settings.ds_id else []
    ever = read_metrics(aws, [*own.values(), *usual], Window(now - _FOUND, now))
    recent: dict[tuple[str, str, str, str], list[tuple[datetime, float]]] = {}
    for row in late.rows:
        end = parse_iso(row["at"]) + timedelta(seconds=row["period_s"])
        recent.setdefault(_metric_of(row), []).append((end, row["value"]))
    published: dict[tuple[str, str], set[str]] = {}
    for row in ever.rows:
        published.setdefault((row["namespace"], row["metric"]), set()).add(row["dimensions"])
    mine = {
        name: (one.namespace, one.name, _text(one.dimensions), one.statistic) for name, one in own.items()
    }
    return (
        {name: recent.get(key, []) for name, key in mine.items()},
        {name: key[2] in published.get(key[:2], set()) for name, key in mine.items()},
        {key: frozenset(sets) for key, sets in published.items()},
    )


def _metric_of(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return row["namespace"], row["metric"], row["dimensions"], row["statistic"]


def _text(dimensions: Mapping[str, str]) -> str:
    return json.dumps(dict(dimensions), sort_keys=True)


def _reach(row: Mapping[str, Any]) -> timedelta:
    return timedelta(seconds=row["period_s"]) * ((row.get("evaluation_periods") or 1) + BEYOND)


def _alarm(row: Mapping[str, Any], points: _Points, now: datetime) -> Alarm:
    name = str(row["name"])
    since = row.get("since")
    made = Alarm(
        name=name,
        state=str(row["state"]),
        reason=str(row.get("reason") or ""),
        since=parse_iso(since) if since else None,
        as_of=now,
        period=timedelta(seconds=row["period_s"]) if row.get("period_s") else None,
        evaluation_periods=int(row.get("evaluation_periods") or 1),
        treat_missing=str(row.get("treat_missing_data") or "missing"),
    )
    if points.own is None or points.seen is None or points.published is None or made.period is None:
        return made
    own = points.own.get(name, ())
    made = replace(made, next_by=_next([at for at, _ in own], now))
    bad = [place for place, (_, value) in enumerate(own) if _breaches(row, value)]
    if bad:
        good = own[bad[-1] + 1 :]
        enough = made.evaluation_periods
        made = replace(
            made,
            last_breach=own[bad[-1]][0],
            good_since=len(good),
            good_by=good[enough - 1][0] if len(good) >= enough else None,
        )
    if points.seen.get(name, True):
        return made
    sets = points.published.get((row["namespace"], row["metric"]), frozenset())
    why = _looks_past(name, row, sets) or (
        f"Its metric {row['metric']} has had no datapoint for {duration(_FOUND)} with the dimensions that it looks at: "
        "its state says nothing."
    )
    if made.state == "ALARM":
        why += " It never clears by itself."
    return replace(made, sees_nothing=f"{why} `vmq doctor` shows the change.")


def _next(ends: Sequence[datetime], now: datetime) -> datetime | None:
    """By when the next datapoint is expected: as far from the newest as they usually are from each other."""
    gaps = [(later - before).total_seconds() for before, later in pairwise(ends)]
    if len(gaps) < _FEWEST - 1 or (usual := timedelta(seconds=median(gaps))) < _SELDOM:
        return None
    at = ends[-1] + usual
    return at if at > now else None


def _looks_past(name: str, row: Mapping[str, Any], sets: Iterable[str]) -> str:
    """Why the alarm sees nothing, where its metric is published with other dimensions; empty where it is not."""
    looked = Looked(row["namespace"], row["metric"], loaded(row["dimensions"], {}))
    metrics = [Published(looked.namespace, looked.name, loaded(text, {}), periods=1) for text in sorted(sets)]
    return BlindAlarm(name, looked, others(looked, metrics)).text if is_blind(looked, metrics) else ""


def _breaches(row: Mapping[str, Any], value: float) -> bool:
    if row.get("threshold") is None:
        return False
    threshold = float(row["threshold"])
    return {
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "GreaterThanThreshold": value > threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }.get(str(row.get("comparison") or ""), False)
