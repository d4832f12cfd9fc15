"""What came before an incident was opened, as the evidence of the opening tells it: the change to look at first, the
first bad sign, the alarm. From the record alone, whatever was looked at since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.changes import first_sign, rank, what_changed
from vmqlib.runbook.retro.moments import moments
from vmqlib.runbook.retro.witnesses import first_looks, rings
from vmqlib.runbook.triggers import detect
from vmqlib.runbook.triggers.witnesses import ageless

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.retro.measures import Moment
    from vmqlib.runbook.triggers import Detection

__all__ = ["prelude"]


def prelude(incident: Incident, events: Sequence[Event]) -> list[tuple[datetime, str]]:
    """When and what, oldest first; nothing of what is not known. A change is told as seen: that it came before, and
    what it touched, proves no cause.

    Raises
    ------
    CorruptRecord
        When journal or evidence cannot be read.
    """
    state, identity, settings = incident.state, incident.identity, incident.judged_by
    opened = state.opened_at or identity.opened_at
    seen = first_looks(incident, events)
    judged_at = max((one.at for one in seen.values() if one.at), default=opened)
    detection = detect(seen, settings, judged_at)
    last = incident.observed("alarm-history") if "alarm-history" in incident.sources else None
    found = moments(identity.trigger, state, events, detection, rings(seen.get("alarm-history"), last), ())
    told = [*_sign(found.first_bad, identity.trigger, detection)]
    if found.rang.at is not None:
        told.append((found.rang.at, f"{found.alarm} went into ALARM."))
    changed = what_changed(seen, settings, judged_at, data_source_id=identity.data_source_id)
    sign = first_sign(detection, seen, settings, trigger=identity.trigger, opened=opened)
    if (first := rank(changed.changes, sign).first) is not None:
        told.append((first.change.at, f"Seen, not proved to be the cause: {first.why}"))
    return sorted(one for one in told if one[0] <= opened)


def _sign(first_bad: Moment, trigger: str, detection: Detection) -> Iterator[tuple[datetime, str]]:
    """The first bad sign, in the words of the rule that it made fire."""
    if first_bad.at is None:
        return
    reasons = [each for one in detection.triggers if one.trigger == trigger for each in one.reasons]
    said = next((each.text for each in reasons if each.since == first_bad.at and each.says == "firing"), "")
    text = f"First bad sign; as known at the opening: {ageless(said)}" if said else "First bad sign."
    yield first_bad.at, text
