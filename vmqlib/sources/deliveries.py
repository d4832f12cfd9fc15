"""Where Q Business delivers its logs: vended log deliveries of the application, by log type.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources.base import TEXT, Column, Reading, Row, Source

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["CONVERSATION_LOGS", "SOURCE", "SYNC_LOGS", "read"]

SYNC_LOGS = "SYNC_JOB_LOGS"
"""The connector's log and the document-level report."""
CONVERSATION_LOGS = "EVENT_LOGS"
"""What users ask, and are answered."""

_COLUMNS = {
    "log_type": Column(TEXT, "", "SYNC_JOB_LOGS or EVENT_LOGS"),
    "source": Column(TEXT, "", "the delivery source's name"),
    "delivery": Column(TEXT, "", "the delivery's id; empty where the source is delivered nowhere"),
    "destination_type": Column(TEXT, "", "CWL (CloudWatch Logs), S3 or FH (Firehose)"),
    "destination": Column(
        TEXT, "", "ARN of the log group, bucket or stream; empty where it could not be seen"
    ),
}


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row for each delivery of the application's log sources; one without a delivery has a row, too.

    Raises
    ------
    AwsError
        ``logs:DescribeDeliverySources`` or ``logs:DescribeDeliveries`` refused or not reached. Where only
        ``logs:DescribeDeliveryDestinations`` is, the destination stays empty, and the reading says so.
    SettingsError
        Where APP_ID is not set.
    """
    settings.require("app_id")
    # The application's ARN, or that of one of its data sources.
    ours = f":application/{settings.app_id}/"
    mine = [
        one
        for one in _every(aws, "DescribeDeliverySources", "deliverySources")
        if any(ours in f"{arn}/" for arn in one.get("resourceArns", []))
    ]
    names = {one["name"] for one in mine}
    made = [
        one
        for one in _every(aws, "DescribeDeliveries", "deliveries")
        if one.get("deliverySourceName") in names
    ]
    stopped, places = "", {}
    if made:
        try:
            places = {
                one["arn"]: one.get("deliveryDestinationConfiguration", {}).get("destinationResourceArn", "")
                for one in _every(aws, "DescribeDeliveryDestinations", "deliveryDestinations")
            }
        except AwsError as error:
            stopped = f"{error.message} {error.hint}"
    rows: list[Row] = []
    for one in mine:
        here = {"log_type": one.get("logType", ""), "source": one["name"]}
        to = [each for each in made if each["deliverySourceName"] == one["name"]]
        rows += [here | _delivery(each, places) for each in to] or [here | {"delivery": ""}]
    return Reading(
        source="log-deliveries",
        call="logs:DescribeDeliveries",
        parameters={"application": settings.app_id},
        rows=rows,
        complete=not stopped,
        stopped=stopped,
    )


SOURCE = Source(
    "log-deliveries", "Log deliveries", read, _COLUMNS, order=("log_type", "source"), routine=False
)


def _delivery(one: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, str]:
    return {
        "delivery": one.get("id", ""),
        "destination_type": one.get("deliveryDestinationType", ""),
        "destination": places.get(one.get("deliveryDestinationArn", ""), ""),
    }


def _every(aws: Aws, operation: str, member: str) -> list[Mapping[str, Any]]:
    from botocore import xform_name

    client: Any = aws.client("logs")
    with aws_errors(f"logs:{operation}", "the account's log deliveries"):
        pages = list(client.get_paginator(xform_name(operation)).paginate())
    return [one for page in pages for one in page.get(member, [])]
