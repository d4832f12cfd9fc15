"""An incident is not closed with a schedule still off, unless somebody says why it stays off."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from vmqlib.errors import CheckFailed, VmqError
from vmqlib.runbook.stabilize.changing import settle
from vmqlib.runbook.stabilize.story import schedules_off
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["no_schedule_left_off"]


def no_schedule_left_off(incident: Incident, reason: str = "") -> str:
    """Refuses to go on while a schedule is off that this incident switched off; with a reason, gives the sentence that
    the journal gets when the incident is closed. ``""``: none is off.

    Parameters
    ----------
    reason:
        Why it stays off.

    Raises
    ------
    CheckFailed
        One is off, and there is no reason.
    """
    left = schedules_off(incident)
    if incident.aws is not None and any(not one.certain for one in left):
        with contextlib.suppress(VmqError):  # then it stays uncertain, and counts as off
            settle(incident, incident.aws, incident.settings)
        left = schedules_off(incident)
    if not left:
        return ""
    names = ", ".join(
        f"{one.name or one.data_source_id} ({one.before}, {'off' if one.certain else 'perhaps off'} since "
        f"{show_time(one.at)})"
        for one in left
    )
    if not reason.strip():
        raise CheckFailed(
            f"Not closed: a schedule is still switched off: {names}.",
            hint=f"`vmq schedule restore {incident.id}` puts it back; or say why it stays off: "
            "--schedule-off-reason 'why'.",
        )
    return f"Closed with a schedule off: {names}. Reason: {reason.strip()}"
