"""What moto's CloudTrail lacks: the events of the account, recorded as they happen, and a way to look them up."""

from __future__ import annotations

from vmqlib.simulator.aws_gaps.cloudtrail import lookup, recording
from vmqlib.simulator.aws_gaps.cloudtrail.events import ManagementEvent, acting_as, record_event
from vmqlib.simulator.aws_gaps.cloudtrail.recording import record_call
from vmqlib.simulator.aws_gaps.gap import Gap

__all__ = ["GAPS", "ManagementEvent", "acting_as", "record_call", "record_event"]

GAPS: tuple[Gap, ...] = (
    Gap(
        "cloudtrail-lookup-events",
        "cloudtrail",
        "LookupEvents is not there.",
        "The events of 90 days, newest first, by one attribute, 50 a page.",
        lookup.install,
    ),
    Gap(
        "cloudtrail-recording",
        "cloudtrail",
        "Nothing is recorded.",
        "Every management event is, with who did it and what was asked; data events are not.",
        recording.install,
    ),
)
