"""What runs by itself in VaultMesh's account beside the services: alarm evaluation and the ops repo's Lambdas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.simulator.identity import ACCOUNT_ID, REGION
from vmqlib.simulator.scenarios.bucket import STAGING
from vmqlib.simulator.scenarios.stage import Stage

if TYPE_CHECKING:
    from vmqlib.simulator.qbusiness.jobs import SyncJob

__all__ = ["DailyAudit", "SyncWatch", "publish"]

_DAY = timedelta(days=1)
_ALL_CLEAR = timedelta(minutes=30)
_OUTCOMES = frozenset({"SUCCEEDED", "FAILED", "INCOMPLETE"})


def publish(
    namespace: str, values: dict[str, float], dimensions: dict[str, str], at: datetime, unit: str = "Count"
) -> None:
    """PutMetricData, in process.

    Parameters
    ----------
    namespace:
        The metrics' namespace.
    values:
        Values by metric name.
    dimensions:
        Values by dimension name.
    at:
        Their time.
    unit:
        Their unit.
    """
    from moto.cloudwatch.models import cloudwatch_backends

    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    data = [
        {
            "MetricName": name,
            "Value": value,
            "Dimensions": pairs,
            "Timestamp": at.replace(tzinfo=None),
            "Unit": unit,
        }
        for name, value in values.items()
    ]
    cloudwatch_backends[ACCOUNT_ID][REGION].put_metric_data(namespace, data)


class SyncWatch:
    """The ops repo's watcher of syncs. Every five minutes, or as often as the stage says, it publishes SyncFailed: 1 as
    long as the last sync failed, 0 for half an hour after a sync that SUCCEEDED again, otherwise nothing.

    That is what keeps the alarm in ALARM between syncs, and lets it return to OK soon after a good one.

    Parameters
    ----------
    stage:
        Where it runs.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._every = stage.watch_every
        self._last = datetime.min.replace(tzinfo=UTC)

    def next_event_at(self) -> datetime | None:
        """The next look that finds something to say; None while all is well."""
        last, before = self._two_last()
        if last is None or last.ended_at is None or (not _failed(last) and not _failed(before)):
            return None
        due = _next_round(max(last.ended_at, self._last), self._every)
        return due if _failed(last) or due <= last.ended_at + _ALL_CLEAR else None

    def run_due(self, now: datetime) -> None:
        self._last = now
        value = float(_failed(self._two_last()[0]))
        publish("VaultMesh/QBusiness", {"SyncFailed": value}, {"App": self._stage.resources.app_id}, now)

    def _two_last(self) -> tuple[SyncJob | None, SyncJob | None]:
        """The last sync that came to an end by itself, and the one before."""
        jobs = reversed(self._stage.qbusiness.syncs.jobs(self._stage.resources.ds_id))
        ended = (job for job in jobs if job.status in _OUTCOMES)
        return next(ended, None), next(ended, None)


def _failed(job: SyncJob | None) -> bool:
    return job is not None and job.status != "SUCCEEDED"


class DailyAudit:
    """The ops repo's daily job: writes down how old the last good sync is, and how large the prefixes are.

    Parameters
    ----------
    stage:
        Where it runs.
    first:
        When it runs first.
    """

    def __init__(self, stage: Stage, first: datetime) -> None:
        self._stage = stage
        self._next = first

    def next_event_at(self) -> datetime | None:
        return self._next

    def run_due(self, now: datetime) -> None:
        self._next += _DAY
        self._note_age(now)
        for prefix in ("", STAGING):
            self._measure(prefix, now)

    def _note_age(self, now: datetime) -> None:
        jobs = self._stage.qbusiness.syncs.jobs(self._stage.resources.ds_id)
        good = [job.ended_at for job in jobs if job.status == "SUCCEEDED" and job.ended_at is not None]
        if not good:
            return
        age = round((now - good[-1]).total_seconds())
        self._stage.bucket.put_json(
            f"audit/incidents/no-sync-{now:%Y%m%dT%H%M%SZ}.json",
            {"ts": f"{now:%Y-%m-%dT%H:%M:%SZ}", "breach": age > 86400, "delta_seconds": age},
        )

    def _measure(self, prefix: str, now: datetime) -> None:
        bucket = self._stage.bucket
        sizes = [found.size for key, found in bucket.current(prefix) if prefix or not key.startswith(STAGING)]
        dimensions = {"Bucket": bucket.name, "Prefix": prefix or "/"}
        publish("VaultMesh/S3Prefixes", {"PrefixObjectCount": float(len(sizes))}, dimensions, now)
        publish("VaultMesh/S3Prefixes", {"PrefixSizeBytes": float(sum(sizes))}, dimensions, now, "Bytes")


def _next_round(moment: datetime, every: timedelta) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + ((moment - day) // every + 1) * every
