"""The management events of an account: what was done, by whom, when.

Record contents: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.cloudtrail.models import CloudTrailBackend, cloudtrail_backends
from moto.moto_api._internal import mock_random

from vmqlib.simulator.aws_gaps.gap import to_aware

__all__ = ["ManagementEvent", "acting_as", "actor", "events_of", "record_event"]

_ACTOR: ContextVar[str] = ContextVar("vmq_cloudtrail_actor", default="")
#: Services that are the same everywhere are recorded in one region.
_GLOBAL = ("iam.amazonaws.com", "cloudfront.amazonaws.com", "route53.amazonaws.com")
_GLOBAL_REGION = "us-east-1"


@dataclass(frozen=True)
class ManagementEvent:
    """One event, as LookupEvents gives it.

    Parameters
    ----------
    event_id:
        A UUID.
    name:
        The operation, for example ``UpdateDataSource``.
    source:
        For example ``qbusiness.amazonaws.com``.
    username:
        Who did it.
    access_key_id:
        With what key; empty where that is not known.
    at:
        When, timezone-aware.
    resources:
        (type, name) pairs, for example ``("AWS::S3::Bucket", "b")``.
    read_only:
        Whether it changed nothing.
    record:
        The whole record, JSON.
    """

    event_id: str
    name: str
    source: str
    username: str
    access_key_id: str
    at: datetime
    resources: tuple[tuple[str, str], ...]
    read_only: bool
    record: str


def events_of(backend: CloudTrailBackend) -> list[ManagementEvent]:
    """The events of an account and region, in the order in which they were recorded."""
    kept: list[ManagementEvent] = backend.__dict__.setdefault("_vmq_events", [])
    return kept


@contextmanager
def acting_as(username: str) -> Iterator[None]:
    """Within the block, what is done through moto in this thread is recorded as done by ``username``."""
    token = _ACTOR.set(username)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def actor() -> str:
    """Whom :func:`acting_as` names; empty outside of it."""
    return _ACTOR.get()


def record_event(
    account: str,
    region: str,
    event_name: str,
    event_source: str,
    username: str,
    at: datetime,
    request_parameters: Mapping[str, Any] | None = None,
    resources: Sequence[tuple[str, str]] = (),
    read_only: bool = False,
    *,
    response_elements: Mapping[str, Any] | None = None,
    error: tuple[str, str] | None = None,
    access_key_id: str = "",
    user_agent: str = "aws-internal",
) -> ManagementEvent:
    """Records a management event.

    Parameters
    ----------
    account, region:
        Where it happened. Events of global services go to us-east-1, as CloudTrail has it.
    event_name, event_source:
        For example ``UpdateDataSource`` and ``qbusiness.amazonaws.com``.
    username:
        Who did it.
    at:
        When, timezone-aware.
    request_parameters, response_elements:
        JSON types, as the record shows them.
    resources:
        (type, name) pairs.
    read_only:
        Whether it changed nothing.
    error:
        Code and message, where it was refused.
    access_key_id, user_agent:
        With what it was done.
    """
    region = _GLOBAL_REGION if event_source in _GLOBAL else region
    at = to_aware(at)
    event_id = str(mock_random.uuid4())
    when = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    record: dict[str, Any] = {
        "eventVersion": "1.10",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDA{username.upper()[:16]}",
            "arn": f"arn:aws:iam::{account}:user/{username}",
            "accountId": account,
            "accessKeyId": access_key_id,
            "userName": username,
        },
        "eventTime": when,
        "eventSource": event_source,
        "eventName": event_name,
        "awsRegion": region,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": user_agent,
        "requestParameters": dict(request_parameters) if request_parameters else None,
        "responseElements": dict(response_elements) if response_elements else None,
        "requestID": str(mock_random.uuid4()),
        "eventID": event_id,
        "readOnly": read_only,
        "resources": [{"accountId": account, "type": kind, "ARN": name} for kind, name in resources],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    if error is not None:
        record["errorCode"], record["errorMessage"] = error
    event = ManagementEvent(
        event_id=event_id,
        name=event_name,
        source=event_source,
        username=username,
        access_key_id=access_key_id,
        at=at.replace(microsecond=0),
        resources=tuple(resources),
        read_only=read_only,
        record=json.dumps(record, default=str),
    )
    events_of(cloudtrail_backends[account][region]).append(event)
    return event
