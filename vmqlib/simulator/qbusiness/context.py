"""What the parts of the backend share: identity, dice, pace, and their ways to S3, logs and metrics."""

from __future__ import annotations

import random
import uuid

from vmqlib.simulator.qbusiness.bucket import BucketReader, Denials
from vmqlib.simulator.qbusiness.logs import Deliveries, LogWriter
from vmqlib.simulator.qbusiness.metrics import MetricWriter
from vmqlib.simulator.qbusiness.timing import Pace

__all__ = ["Context"]


class Context:
    """One account and region.

    Parameters
    ----------
    account_id:
        12 digits.
    region:
        For example ``eu-west-1``.
    partition:
        For example ``aws``.
    """

    def __init__(self, account_id: str, region: str, partition: str) -> None:
        self.account_id = account_id
        self.region = region
        self.partition = partition
        self.pace = Pace()
        self.denials = Denials(dice=self.dice)
        self.deliveries = Deliveries()
        self.reader = BucketReader(account_id, partition, region, self.denials)
        self.logs = LogWriter(account_id, region, self.deliveries)
        self.metrics = MetricWriter(account_id, region)
        self.groups: dict[str, frozenset[str]] = {}
        self.identity_aware = True
        self._random = random.Random(0)

    def seed(self, number: int) -> None:
        """Makes ids and jitter follow from ``number`` from here on."""
        self._random = random.Random(number)

    def new_id(self) -> str:
        """A fresh id: a UUID, as the service's are."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def dice(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()

    def groups_of(self, user: str | None) -> frozenset[str]:
        """The groups that a user is in."""
        return self.groups.get(user, frozenset()) if user is not None else frozenset()

    def arn(self, path: str) -> str:
        """The ARN of one of the service's resources."""
        return f"arn:{self.partition}:qbusiness:{self.region}:{self.account_id}:{path}"
