"""What the service writes to CloudWatch Logs, through moto's logs backend in process.

Group ``/aws/qbusiness/<applicationId>``. Streams: ``SYNC_RUN_HISTORY_REPORT/<dataSourceId>/<executionId>``
has one event per document of a sync; ``<dataSourceId>/<yyyy-mm-dd-HH>`` the connector's own lines;
``EVENT_LOGS/<applicationId>`` the conversations. Written only where a delivery of that log type is set up.
Events are appended a stream at a time, by moto's own ``LogStream.put_log_events``, which leaves out
PutLogEvents' checks of age and batch size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["EVENT_LOGS", "SYNC_JOB_LOGS", "Deliveries", "LogWriter", "group_name"]

_ENCODER = json.JSONEncoder(ensure_ascii=False)
SYNC_JOB_LOGS = "SYNC_JOB_LOGS"
EVENT_LOGS = "EVENT_LOGS"


def group_name(application_id: str) -> str:
    """The log group of an application."""
    return f"/aws/qbusiness/{application_id}"


@dataclass
class Deliveries:
    """The simulator's switch for log deliveries, where the account has not set up real ones for an application.

    Parameters
    ----------
    default:
        The log types of applications that are not named below.
    by_application:
        The log types of an application.
    """

    default: frozenset[str] = frozenset({SYNC_JOB_LOGS, EVENT_LOGS})
    by_application: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, application_id: str, log_type: str) -> bool:
        """Whether ``log_type`` of the application is delivered."""
        return log_type in self.by_application.get(application_id, self.default)


class LogWriter:
    """Appends events to moto's log streams.

    Parameters
    ----------
    account_id:
        The account.
    region:
        The region.
    deliveries:
        What is delivered at all.
    """

    def __init__(self, account_id: str, region: str, deliveries: Deliveries) -> None:
        self._account_id = account_id
        self._region = region
        self._deliveries = deliveries

    def write(
        self,
        application_id: str,
        log_type: str,
        stream: str,
        events: Iterable[tuple[datetime, dict[str, Any]]],
    ) -> None:
        """Appends ``events`` (time, JSON object) to ``stream``, unless ``log_type`` is not delivered."""
        group = self._destination(application_id, log_type)
        if group is None:
            return
        lines = [
            {"timestamp": int(at.timestamp() * 1000), "message": _ENCODER.encode(event)}
            for at, event in events
        ]
        if lines:
            self._stream(group, stream).put_log_events(lines)

    def _destination(self, application_id: str, log_type: str) -> str | None:
        """The log group that ``log_type`` goes to, None for nowhere.

        Once PutDeliverySource names the application, its deliveries decide; before that, the switch does.
        """
        backend = self._backend()
        sources = [
            source
            for source in backend.delivery_sources.values()
            if any(arn.endswith(f":application/{application_id}") for arn in source.resource_arns)
        ]
        if not sources:
            return group_name(application_id) if self._deliveries.has(application_id, log_type) else None
        names = {source.name for source in sources if source.log_type == log_type}
        targets = {target.arn: target for target in backend.delivery_destinations.values()}
        for delivery in backend.deliveries.values():
            target = targets.get(delivery.delivery_destination_arn)
            if delivery.delivery_source_name in names and target is not None:
                arn = str(target.delivery_destination_configuration["destinationResourceArn"])
                if ":log-group:" in arn:
                    return arn.split(":log-group:", 1)[1].removesuffix(":*")
        return None

    def _backend(self) -> Any:
        from moto.logs.models import logs_backends

        return logs_backends[self._account_id][self._region]

    def _stream(self, group: str, stream: str) -> Any:
        backend = self._backend()
        backend.ensure_log_group(group)
        backend.ensure_log_stream(group, stream)
        return backend.groups[group].streams[stream]
