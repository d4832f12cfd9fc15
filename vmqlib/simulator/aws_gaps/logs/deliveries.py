"""Vended log deliveries of Amazon Q Business, which moto does not know as a source, and their lists in pages.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from moto.logs.exceptions import ConflictException, ValidationException
from moto.logs.models import Delivery, DeliverySource, LogsBackend
from moto.logs.responses import LogsResponse

from vmqlib.simulator.aws_gaps.gap import replace

__all__ = ["install"]

_MOST = 50
_LOG_TYPES = ("EVENT_LOGS", "SYNC_JOB_LOGS")


def _put_delivery_source(original: Callable[..., DeliverySource]) -> Callable[..., DeliverySource]:
    def put_delivery_source(
        self: LogsBackend, name: str, resource_arn: str, log_type: str, tags: dict[str, str] | None
    ) -> DeliverySource:
        if resource_arn.split(":")[2:3] != ["qbusiness"]:
            return original(self, name=name, resource_arn=resource_arn, log_type=log_type, tags=tags)
        if log_type not in _LOG_TYPES:
            raise ValidationException("This service is not allowed for this LogSource.")
        known = self.delivery_sources.get(name)
        if known is not None and resource_arn not in known.resource_arns:
            raise ConflictException(
                "Update to existing Delivery Source with new ResourceId is not allowed. "
                "Please create a new Delivery Source instead."
            )
        source = DeliverySource(self.account_id, self.region_name, name, resource_arn, log_type, tags)
        self.delivery_sources[name] = source
        given: Any = tags
        if given:
            self.tag_resource(source.arn, given)
        return source

    return put_delivery_source


def _create_delivery(original: Callable[..., Delivery]) -> Callable[..., Delivery]:
    """moto gives every delivery the fields of CloudFront's logs, unless some are named."""

    def create_delivery(self: LogsBackend, *args: Any, **given: Any) -> Delivery:
        delivery = original(self, *args, **given)
        source = self.delivery_sources[delivery.delivery_source_name]
        if source.log_type in _LOG_TYPES and not given.get("record_fields"):
            delivery.record_fields = []
        return delivery

    return create_delivery


def _page(self: LogsResponse, rows: Sequence[Any], member: str) -> str:
    """One page: ``limit`` rows at most, in the order of their names, and the last one's as the token."""
    ordered = sorted(rows, key=lambda row: str(row.arn))
    limit, token = int(self._get_param("limit") or _MOST), str(self._get_param("nextToken") or "")
    if not 1 <= limit <= _MOST:
        raise ValidationException(f"The limit must be from 1 to {_MOST}.")
    left = [row for row in ordered if row.arn > token]
    answer: dict[str, Any] = {member: [row.to_dict() for row in left[:limit]]}
    if len(left) > limit:
        answer["nextToken"] = left[limit - 1].arn
    return json.dumps(answer)


def describe_deliveries(self: LogsResponse) -> str:
    return _page(self, self.logs_backend.describe_deliveries(), "deliveries")


def describe_delivery_sources(self: LogsResponse) -> str:
    return _page(self, self.logs_backend.describe_delivery_sources(), "deliverySources")


def describe_delivery_destinations(self: LogsResponse) -> str:
    return _page(self, self.logs_backend.describe_delivery_destinations(), "deliveryDestinations")


def install() -> None:
    """Sets deliveries on moto's CloudWatch Logs."""
    replace(
        LogsBackend,
        put_delivery_source=_put_delivery_source(LogsBackend.put_delivery_source),
        create_delivery=_create_delivery(LogsBackend.create_delivery),
    )
    replace(
        LogsResponse,
        describe_deliveries=describe_deliveries,
        describe_delivery_sources=describe_delivery_sources,
        describe_delivery_destinations=describe_delivery_destinations,
    )
