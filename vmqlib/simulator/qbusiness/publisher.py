"""What happens by the calendar: scheduled syncs, DocumentCount every 15 minutes, the daily NoSync."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta

from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.index import DocumentIndex
from vmqlib.simulator.qbusiness.metrics import AWS, VAULTMESH
from vmqlib.simulator.qbusiness.resources import Resource, Resources
from vmqlib.simulator.qbusiness.schedule import Schedule
from vmqlib.simulator.qbusiness.sync import Syncs

__all__ = ["Calendar", "DocumentCounts", "NoSyncLambda"]

_QUARTER = timedelta(minutes=15)
_DAY = timedelta(days=1)


class Calendar:
    """Starts syncs by their data sources' schedules, in UTC.

    Parameters
    ----------
    syncs:
        What starts them.
    """

    def __init__(self, syncs: Syncs) -> None:
        self._syncs = syncs
        self._next: dict[str, tuple[Resource, Schedule, datetime]] = {}

    def set(self, source: Resource, at: datetime) -> None:
        """Takes over the data source's present schedule."""
        expression = source.settings.get("syncSchedule", "")
        before = self._next.get(source.resource_id)
        if before is not None and before[1].expression == expression:
            return
        self.drop(source.resource_id)
        schedule = Schedule(expression)
        if (firing := schedule.next_after(at)) is not None:
            self._next[source.resource_id] = source, schedule, firing

    def drop(self, data_source_id: str) -> None:
        """Forgets a data source."""
        self._next.pop(data_source_id, None)

    def next_event_at(self) -> datetime | None:
        """When a sync starts next; None for never."""
        return min((firing for _, _, firing in self._next.values()), default=None)

    def run_due(self, until: datetime) -> None:
        """Starts what is due. A firing that finds a sync running is skipped and logged."""
        for source_id, (source, schedule, firing) in list(self._next.items()):
            if firing > until:
                continue
            if self._syncs.running(source_id) is not None:
                self._syncs.log_skipped(source, firing)
            elif source.status == "ACTIVE":
                self._syncs.start(source, firing, by_schedule=True)
            following = schedule.next_after(firing)
            if following is None:
                self.drop(source_id)
            else:
                self._next[source_id] = source, schedule, following


class DocumentCounts:
    """Publishes AWS/QBusiness DocumentCount for every data source, on the quarters of the hour.

    Parameters
    ----------
    context:
        Shared with the other parts.
    resources:
        Where the data sources are.
    index_of:
        Gives the documents of an index id.
    """

    def __init__(
        self, context: Context, resources: Resources, index_of: Callable[[str], DocumentIndex]
    ) -> None:
        self._context = context
        self._resources = resources
        self._index_of = index_of
        self._next: datetime | None = None

    def begin(self, at: datetime) -> None:
        """Begins with the quarter after ``at``, unless it has begun."""
        if self._next is None:
            hour = at.replace(minute=0, second=0, microsecond=0)
            self._next = hour + ((at - hour) // _QUARTER + 1) * _QUARTER

    def next_event_at(self) -> datetime | None:
        """The next quarter; None before there is a data source."""
        return self._next

    def run_due(self, until: datetime) -> None:
        """Publishes all quarters that are due."""
        while self._next is not None and self._next <= until:
            for source in self._resources.all("DATA_SOURCE"):
                count = self._index_of(source.parents["indexId"]).count(source.resource_id)
                dimensions = {**_named(source.parents), "DataSourceId": source.resource_id}
                self._context.metrics.put(AWS, {"DocumentCount": count}, dimensions, self._next)
            self._next += _QUARTER


class NoSyncLambda:
    """VaultMesh's own daily job: NoSync is 1 when no sync of the application has SUCCEEDED for 24 hours.

    Parameters
    ----------
    context:
        Shared with the other parts.
    resources:
        Where the data sources are.
    syncs:
        Their history.
    """

    def __init__(self, context: Context, resources: Resources, syncs: Syncs) -> None:
        self.time_of_day: time | None = time(6, 0)
        self._context = context
        self._resources = resources
        self._syncs = syncs
        self._last: datetime | None = None

    def begin(self, at: datetime) -> None:
        """Begins with the first time of day after ``at``, unless it has begun."""
        if self._last is None:
            self._last = at

    def next_event_at(self) -> datetime | None:
        """When it runs next; None when it is switched off (``time_of_day`` None) or nothing is there yet."""
        if self._last is None or self.time_of_day is None:
            return None
        today = datetime.combine(self._last.date(), self.time_of_day, tzinfo=self._last.tzinfo)
        return today if today > self._last else today + _DAY

    def run_due(self, until: datetime) -> None:
        """Publishes what is due."""
        while (at := self.next_event_at()) is not None and at <= until:
            self._last = at
            for application in self._resources.all("APPLICATION"):
                sources = list(self._resources.all("DATA_SOURCE", applicationId=application.resource_id))
                if sources:
                    value = float(not any(self._synced_since(source, at - _DAY) for source in sources))
                    self._context.metrics.put(
                        VAULTMESH, {"NoSync": value}, {"App": application.resource_id}, at
                    )

    def _synced_since(self, source: Resource, since: datetime) -> bool:
        for job in reversed(self._syncs.jobs(source.resource_id)):
            if job.status == "SUCCEEDED" and job.ended_at is not None:
                return job.ended_at > since
        return False


def _named(parents: dict[str, str]) -> dict[str, str]:
    return {member[0].upper() + member[1:]: value for member, value in parents.items()}
