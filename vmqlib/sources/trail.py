"""Who changed what through AWS's API: CloudTrail's management events of the services that the knowledge base stands on.

CloudTrail keeps them for 90 days and shows them some minutes after they happened (up to 15). It answers two lookups a
second and account, so little is asked: the services below, what wrote, the last week.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError, Throttled
from vmqlib.sources.base import TEXT, TIME, Column, Reading, Row, Source, gather, moment
from vmqlib.sources.trailevents import row_of

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["MOST_PAGES", "SOURCE", "read"]

MOST_PAGES = 20
"""Lookups, of 50 events each, after which a region is left: ten seconds at CloudTrail's pace."""

_CALL = "cloudtrail:LookupEvents"
_PATIENCE_S = (1.0, 2.0, 4.0)  # waits when throttled, each in all for a region
_LAG = timedelta(minutes=15)
# KMS writes an event for each Decrypt: by source, what matters would be one in thousands. These take a key away.
_KEY_EVENTS = ("DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy", "RevokeGrant")
# IAM is one for all regions of a partition, and its events are in the region named here.
_IAM_REGIONS = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}
_IAM_REGION = "us-east-1"

_COLUMNS = {
    "at": Column(TIME, "", "when it was called (EventTime)"),
    "event": Column(TEXT, "", "the operation: UpdateDataSource, PutBucketPolicy …"),
    "service": Column(TEXT, "", "qbusiness, s3, iam or kms"),
    "user": Column(TEXT, "", "who: the IAM user, the session of an assumed role, or the service"),
    "user_arn": Column(TEXT, "", "its ARN (userIdentity.arn)"),
    "resource": Column(TEXT, "", "what it was called on; several have commas between"),
    "parameters": Column(
        TEXT, "", "requestParameters as JSON text; long parts are left out; empty where there are none"
    ),
    "error_code": Column(TEXT, "", "why it was refused (errorCode); empty when it was done"),
    "error_message": Column(TEXT, "", "the same in words (errorMessage)"),
    "source_ip": Column(TEXT, "", "sourceIPAddress: an address, or the service that called"),
    "event_id": Column(TEXT, "", "its id"),
    "problem": Column(TEXT, "", "what is wrong with CloudTrail's record; empty when nothing is"),
}


def read(
    aws: Aws, settings: Settings, window: Window, *, pause: Callable[[float], None] = time.sleep, **_: str
) -> Reading:
    """What was written in the window, oldest first (``cloudtrail:LookupEvents``; for IAM in its own region).

    A service that cannot be asked does not hide the others; the reading says so, and how far back it came where there
    was too much.

    Parameters
    ----------
    pause:
        Waits so many seconds: called when CloudTrail throttles.

    Raises
    ------
    AwsError
        Where nothing at all could be read.
    """
    home = settings.region
    here = ("EventSource", "qbusiness.amazonaws.com"), ("EventSource", "s3.amazonaws.com")
    keys = tuple(("EventName", name) for name in _KEY_EVENTS)
    iam = ("EventSource", "iam.amazonaws.com")
    away = _IAM_REGIONS.get(home.rsplit("-", 2)[0], _IAM_REGION)
    plan = {home: [here[0], *keys, here[1]]}
    plan.setdefault(away, []).append(iam)
    lookups = [_Lookups(aws, region, window, pause) for region in plan]
    gather([partial(one.run, questions) for one, questions in zip(lookups, plan.values(), strict=True)])
    errors = [error for one in lookups for error in one.errors]
    if len(errors) == sum(map(len, plan.values())):
        raise errors[0]
    # They come newest first, and times have whole seconds: turned round, those of one second keep their order.
    found = {row["event_id"] or number: row for number, row in enumerate(_rows(lookups))}
    rows = list(found.values())[::-1]
    stopped = [said for one in lookups for said in one.stopped]
    return Reading(
        source="trail",
        call=_CALL,
        parameters={
            "lookups": {region: [f"{key}={value}" for key, value in asked] for region, asked in plan.items()},
            "readOnly": False,
            "since": moment(window.since),
            "until": moment(window.until),
            "delivered_until": moment(min(window.until, aws.clock.now() - _LAG)),
        },
        rows=sorted(rows, key=lambda row: row["at"] or ""),
        complete=not stopped,
        stopped="; ".join(stopped),
    )


SOURCE = Source("trail", "AWS calls that changed something", read, _COLUMNS, ("at",), reach=timedelta(days=7))


def _rows(lookups: Sequence[_Lookups]) -> Iterator[Row]:
    return (row for one in lookups for row in one.rows)


@dataclass
class _Lookups:
    """The lookups in one region, one after the other: they share its quota."""

    aws: Aws
    region: str
    window: Window
    pause: Callable[[float], None]
    rows: list[Row] = field(default_factory=list)
    errors: list[AwsError] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    _patience: list[float] = field(default_factory=lambda: list(_PATIENCE_S))
    _pages: int = 0

    def run(self, questions: Sequence[tuple[str, str]]) -> None:
        """Asks all of them. What cannot be had is noted."""
        client = self._client()
        try:
            for key, value in questions:
                try:
                    self._ask(client, key, value)
                except AwsError as error:
                    self.errors.append(error)
                    self.stopped.append(f"{value} in {self.region}: {error.message}")
        finally:
            if client is not self.aws.client("cloudtrail"):
                client.close()

    def _client(self) -> Any:
        if self.region == self.aws.region:
            return self.aws.client("cloudtrail")
        return self.aws.own_client("cloudtrail", region=self.region)

    def _ask(self, client: Any, key: str, value: str) -> None:
        where: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}],
            "StartTime": self.window.since,
            "EndTime": self.window.until,
            "MaxResults": 50,
        }
        token, earliest = "", ""
        while True:
            if self._pages >= MOST_PAGES:
                back = f"only back to {earliest}" if earliest else "not asked"
                self.stopped.append(f"{value} in {self.region}: {back}, after {MOST_PAGES} pages in all")
                return
            self._pages += 1
            page = self._page(client, where | ({"NextToken": token} if token else {}))
            events = page.get("Events", [])
            self.rows += (row_of(event) for event in events if not _only_read(event))
            earliest = moment(events[-1].get("EventTime")) or earliest if events else earliest
            following = page.get("NextToken", "")
            if not following or following == token:
                return
            token = following

    def _page(self, client: Any, where: Mapping[str, Any]) -> Mapping[str, Any]:
        """One page. Throttled (boto3 has tried several times by then), it waits, as long as there is patience."""
        while True:
            try:
                with aws_errors(_CALL, f"the events of {self.region}"):
                    return client.lookup_events(**where)  # type: ignore[no-any-return]
            except Throttled as error:
                if not self._patience:
                    raise
                self.pause(max(self._patience.pop(0), min(error.retry_after, 10.0)))


def _only_read(event: Mapping[str, Any]) -> bool:
    return str(event.get("ReadOnly", "")).lower() == "true"
