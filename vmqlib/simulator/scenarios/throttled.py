"""S3 throttles the connector, and AWS throttles whoever looks: nothing that anybody changed explains it.

What happened: since the morning S3 has been answering SlowDown to some of the connector's reads. Syncs are
INCOMPLETE, each for other documents, with good ones between them, so that the alarm goes on and off. What could not be
read stays in the index as it was. At the same time a share of the calls that read CloudWatch, its Logs, CloudTrail and
Q Business is throttled; calls that are repeated get through in the end, or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from vmqlib.simulator.faults import Fault
from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.operators import harmless_changes
from vmqlib.simulator.scenarios.routine import Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["Throttled"]

# minutes before "now", and whether S3 throttles then; the last promotion was nine hours ago, and the
# daily sync, 70 minutes ago, is the first bad one after the last good one
_SYNCS = ((380, True), (280, False), (185, True), (130, False), (28, True))
_DAILY = 70
_BEFORE = 6  # minutes before a sync: when the throttling begins or ends
_JITTER = 12  # minutes
_SHARE = (0.04, 0.12)  # of the documents
_CALLS = (0.1, 0.3)  # share of the calls from outside
_READS = ("Describe*", "Filter*", "Get*", "List*", "Lookup*")
_CODES = {
    "cloudwatch": "Throttling",
    "logs": "ThrottlingException",
    "cloudtrail": "ThrottlingException",
    "qbusiness": "ThrottlingException",
}


@dataclass(frozen=True)
class Throttled:
    """The account in which everything is slow."""

    name: str = "throttled"
    summary: str = (
        "S3 throttles the connector: syncs are INCOMPLETE for other documents each time, SyncFailed goes on and off, "
        "nobody changed anything; a share of AWS's read calls is throttled, too."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets three weeks pass, the last hours of them throttled."""
        rng = stage.random("throttled")
        routine = Routine(stage)
        routine.prepare()
        harmless_changes(stage, rng)
        stage.faults.extend(_faults(rng.uniform(*_CALLS)))

        def weather(minutes: float, share: float) -> None:
            at = stage.now - timedelta(minutes=minutes + _BEFORE)
            stage.at(at, lambda _: stage.qbusiness.slow_down(stage.resources.bucket_name, share))

        for minutes, is_slow in _SYNCS:
            begin = minutes + rng.randrange(_JITTER)
            weather(begin, rng.uniform(*_SHARE) if is_slow else 0.0)
            stage.at(
                stage.now - timedelta(minutes=begin), lambda moment: routine.sync(moment, "ops-sync-check")
            )
        weather(_DAILY, rng.uniform(*_SHARE))
        routine.play()
        return replace(routine.truth(), fires=frozenset({"sync-failed"}))


def _faults(share: float) -> Iterator[Fault]:
    for service, code in _CODES.items():
        for operation in _READS:
            yield Fault(service, operation, code=code, message="Rate exceeded", probability=share)
