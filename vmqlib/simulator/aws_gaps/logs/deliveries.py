"""Vended log deliveries of Amazon Q Business, which moto does not know as a source.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.logs.exceptions import ConflictException, ValidationException
from moto.logs.models import DeliverySource, LogsBackend

from vmqlib.simulator.aws_gaps.gap import replace

__all__ = ["install"]

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


def install() -> None:
    """Sets deliveries on moto's CloudWatch Logs."""
    replace(LogsBackend, put_delivery_source=_put_delivery_source(LogsBackend.put_delivery_source))
