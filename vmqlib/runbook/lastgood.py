"""Where the last good sync ends: before the incident was opened; for content, before what is unauthorized came in.

A sync that took in what nobody may read SUCCEEDED as well, and is no state to go back to. Rollback, versions, next
steps and the connectors' table all ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.times import parse_iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.triggers import Detection

__all__ = ["CameIn", "came_in", "doubt", "good_before"]


@dataclass(frozen=True)
class CameIn:
    """When what is unauthorized came in.

    Parameters
    ----------
    at:
        Start of the sync that took it in; where none did so far, when it was first so. UTC.
    by_sync:
        Whether a sync took it in.
    """

    at: datetime
    by_sync: bool

    @property
    def sentence(self) -> str:
        """Why a sync since then is not the last good one."""
        if self.by_sync:
            return f"The sync of {show_time(self.at)} took in what is unauthorized."
        return f"What is unauthorized is so since {show_time(self.at)}."


def came_in(incident: Incident, detection: Detection | None = None) -> CameIn | None:
    """When what an incident of trigger ``content`` is about came in, from its evidence; ``None`` for other incidents,
    and where it is not known.

    What the incident was opened for says so, also after it is mended. Of one that was opened by hand, what the
    trigger says now does: for as long as it fires.

    Parameters
    ----------
    incident:
        The incident. Nothing is asked of AWS.
    detection:
        What the triggers say, where that is known already.
    """
    identity = incident.identity
    if identity.trigger != "content":
        return None
    cause = identity.cause
    if not cause.startswith("content/"):
        if detection is None:
            from vmqlib.runbook.triggers import detect

            detection = detect(incident.observations(), incident.judged_by, incident.seen_at)
        cause = next((one.cause for one in detection.triggers if one.trigger == "content"), "")
    _, _, rest = cause.partition("/")
    data_source_id, _, name = rest.partition("/")
    if not name or identity.data_source_id not in ("", data_source_id):
        return None
    jobs = incident.observed("sync-jobs")
    if jobs.available:
        started = jobs.frame.loc[jobs.frame["execution_id"].eq(name), "started_at"].dropna()
        if len(started):
            return CameIn(started.iloc[0].to_pydatetime(warn=False), by_sync=True)
    try:
        return CameIn(parse_iso(name), by_sync=False)
    except ValueError:
        return None


def doubt(incident: Incident, detection: Detection | None = None) -> str:
    """Why the last sync that SUCCEEDED before a content incident may be no good one, in a sentence: nothing that was
    seen tells when what is unauthorized came in. Empty where something does, and for other incidents.

    That is so where the incident was opened by hand and nothing of it is seen in the index any more, or cannot be seen.
    """
    if incident.identity.trigger != "content" or came_in(incident, detection) is not None:
        return ""
    return (
        "That it was good is not known: a sync that takes in what is unauthorized SUCCEEDS, too, and when that came "
        "in, nothing that was seen tells."
    )


def good_before(incident: Incident, detection: Detection | None = None) -> datetime:
    """The moment before which a sync must have begun to be the incident's last good one."""
    opened = incident.state.opened_at or incident.identity.opened_at
    found = came_in(incident, detection)
    return opened if found is None else min(found.at, opened)
