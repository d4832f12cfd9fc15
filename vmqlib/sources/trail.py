"""Who changed what through AWS's API: CloudTrail's management events of the services that the knowledge base stands on.

CloudTrail keeps them for 90 days and shows them some minutes after they happened (up to 15). It answers two lookups a
second and account, so little is asked: the services below, what wrote, the last week.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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

__all__ = ["MOST_PAGES", "SOURCE", "iam_region", "read"]

MOST_PAGES = 20
"""Lookups, of 50 events each, after which a region is left: ten seconds at CloudTrail's pace."""

_CALL = "cloudtrail:LookupEvents"
_PATIENCE_S = (1.0, 3.0)  # waits when throttled although boto3 tried again: so many in all for a region
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


def iam_region(home: str) -> str:
    """The region in which CloudTrail keeps the events of IAM, as seen from ``home``."""
    return _IAM_REGIONS.get(home.rsplit("-", 2)[0], _IAM_REGION)


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
    away = iam_region(home)
    plan = {home: [here[0], *keys, here[1]]}
    plan.setdefault(away, []).append(iam)
    lookups = [_Lookups(aws, region, window, pause) for region in plan]
    gather([partial(one.run, questions) for one, questions in zip(lookups, plan.values(), strict=True)])
    if not any(one.answers for one in lookups):
        raise next(one.error for one in lookups if one.error is not None)
    # They come newest first, and times have whole seconds: turned round, those of one second keep their order.
    found = {row["event_id"] or number: row for number, row in enumerate(_rows(lookups))}
    rows = list(found.values())[::-1]
    stopped = [one.stopped for one in lookups if one.stopped]
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


class _Enough(Exception):
    """So many pages that the rest is left."""


@dataclass
class _Lookups:
    """The lookups in one region, one after the other: they share its quota. Where one is refused, the others would be,
    too, and are not asked."""

    aws: Aws
    region: str
    window: Window
    pause: Callable[[float], None]
    rows: list[Row] = field(default_factory=list)
    answers: int = 0
    error: AwsError | None = None
    stopped: str = ""
    _earliest: str = ""
    _patience: list[float] = field(default_factory=lambda: list(_PATIENCE_S))

    def run(self, questions: Sequence[tuple[str, str]]) -> None:
        """Asks all of them. What cannot be had is noted."""
        left = [value for _, value in questions]
        try:
            with self._client() as client:
                for key, value in questions:
                    self._earliest = ""
                    self._ask(client, key, value)
                    left.pop(0)
        except _Enough:
            self._stop(f"it has more than {MOST_PAGES} pages of 50", left)
        except AwsError as error:
            self.error = error
            self._stop(error.message.rstrip("."), left)

    def _stop(self, why: str, left: list[str]) -> None:
        back = f"{left.pop(0)} only back to {self._earliest}" if self._earliest else ""
        rest = f"not asked for {', '.join(left)}" if left else ""
        self.stopped = f"{self.region}: {why}: {'; '.join(filter(None, (back, rest)))}"

    @contextmanager
    def _client(self) -> Iterator[Any]:
        if self.region == self.aws.region:
            yield self.aws.client("cloudtrail")
            return
        client = self.aws.own_client("cloudtrail", region=self.region)
        try:
            yield client
        finally:
            client.close()

    def _ask(self, client: Any, key: str, value: str) -> None:
        where: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}],
            "StartTime": self.window.since,
            "EndTime": self.window.until,
            "MaxResults": 50,
        }
        token = ""
        while True:
            if self.answers >= MOST_PAGES:
                raise _Enough
            page = self._page(client, where | ({"NextToken": token} if token else {}))
            self.answers += 1
            events = page.get("Events", [])
            self.rows += (row_of(event) for event in events if not _only_read(event))
            self._earliest = min(
                filter(None, (moment(event.get("EventTime")) for event in events)), default=self._earliest
            )
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
