"""Whom our alarms tell: each target of each, and whether anybody listens there (``sns:ListSubscriptionsByTopic``).

Addresses of subscribers are not kept: only how many there are, and of which protocols.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError, ResourceMissing
from vmqlib.sources import alarms
from vmqlib.sources.base import COUNT, FLAG, TEXT, Column, Reading, Row, Source, gather

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "kind_of", "read"]

_COLUMNS = {
    "alarm": Column(TEXT, "", "the alarm's name"),
    "on_state": Column(TEXT, "", "ALARM, OK or INSUFFICIENT_DATA: when the target is told"),
    "target": Column(TEXT, "", "its ARN"),
    "kind": Column(TEXT, "", "sns, lambda, ssm, ssm-incidents, swf, automate, autoscaling …"),
    "exists": Column(FLAG, "", "whether it is there; missing where that was not looked at"),
    "confirmed": Column(COUNT, "subscriptions", "SNS: subscriptions that were confirmed"),
    "pending": Column(COUNT, "subscriptions", "SNS: subscriptions that nobody has confirmed yet"),
    "protocols": Column(TEXT, "", "SNS: protocols of the confirmed ones, with how many: email 1, sqs 1"),
    "problem": Column(TEXT, "", "why it could not be looked at"),
    "hint": Column(TEXT, "", "what to do about that"),
}

_STATES = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_CALL = "sns:ListSubscriptionsByTopic"
_PENDING = "PendingConfirmation"


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row for each alarm, state and target. Targets other than SNS topics are named and not looked at.

    Raises
    ------
    AwsError
        ``cloudwatch:DescribeAlarms`` refused or not reached. Where a topic's subscriptions are, its rows say so.
    """
    found = alarms.describe(aws, settings)
    rows = [
        {"alarm": alarm["AlarmName"], "on_state": state, "target": arn, "kind": kind_of(arn)}
        for alarm in (*found.plain, *found.composite)
        for state, member in _STATES.items()
        for arn in alarm.get(member, [])
    ]
    topics = sorted({row["target"] for row in rows if row["kind"] == "sns"})
    known = dict(zip(topics, gather([partial(_topic, aws, arn) for arn in topics]), strict=True))
    problems = dict.fromkeys(said["problem"] for said in known.values() if "problem" in said)
    return Reading(
        source="alarm-actions",
        call=_CALL,
        parameters={"topics": topics},
        rows=[row | known.get(row["target"], {}) for row in rows],
        complete=not problems,
        stopped=" ".join(problems),
    )


SOURCE = Source(
    "alarm-actions", "Whom alarms tell", read, _COLUMNS, order=("alarm", "on_state", "target"), routine=False
)


def kind_of(arn: str) -> str:
    """The service that an alarm's target belongs to: ``arn:aws:automate:eu-west-1:ec2:stop`` is ``automate``."""
    parts = arn.split(":")
    return parts[2] if len(parts) > 2 else arn


def _topic(aws: Aws, arn: str) -> Row:
    try:
        with _client(aws, arn) as client, aws_errors(_CALL, arn):
            pages = list(client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn))
    except ResourceMissing:
        return {"exists": False, "confirmed": 0, "pending": 0, "protocols": ""}
    except AwsError as error:
        return {"problem": error.message, "hint": error.hint}
    every = [one for page in pages for one in page.get("Subscriptions", [])]
    # Else it says PendingConfirmation, or Deleted.
    live = Counter(
        one.get("Protocol", "") for one in every if one.get("SubscriptionArn", "").startswith("arn:")
    )
    return {
        "exists": True,
        "confirmed": live.total(),
        "pending": sum(one.get("SubscriptionArn") == _PENDING for one in every),
        "protocols": ", ".join(f"{name} {count}" for name, count in sorted(live.items())),
    }


@contextmanager
def _client(aws: Aws, arn: str) -> Iterator[Any]:
    """A topic is asked for in its own region."""
    region = arn.split(":")[3]
    if region in ("", aws.region):
        yield aws.client("sns")
        return
    with closing(aws.own_client("sns", region=region)) as client:
        yield client
