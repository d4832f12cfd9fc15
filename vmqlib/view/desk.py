"""The picker on the incidents folder and AWS of the settings: what ``notebooks/investigate.ipynb`` begins with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmqlib.view.picker import Choices, Picker

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings
    from vmqlib.times import Clock

__all__ = ["desk"]


def desk(
    incident_id: str = "",
    *,
    since: str = "21d",
    trigger: str = "sync-failed",
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> Picker:
    """A picker over the incidents that there are. Nothing is asked of AWS until its button is pressed.

    Parameters
    ----------
    incident_id:
        Chosen first; by default the one that ``VMQ_INCIDENT`` names (``vmq lab ID`` sets it), else the newest.
    since:
        The window chosen first.
    trigger:
        What a new incident says set it off.
    settings:
        By default loaded as everywhere.

    Raises
    ------
    SettingsError
        When the settings cannot be read.
    """
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings
    from vmqlib.times import SystemClock

    known = settings or Settings.load()
    time = clock or SystemClock()

    def incidents() -> Sequence[tuple[str, str]]:
        entries = Incident.list(known.incidents)
        return [
            (f"{one.id}  {one.severity or ''} {one.phase or one.problem}: {one.title}", one.id)
            for one in entries
        ]

    def load(chosen: str) -> Incident:
        return Incident.load(chosen, settings=known, aws=None, clock=time)

    def live(chosen: str) -> Incident:
        from vmqlib.aws import Aws

        return Incident.load(chosen, settings=known, aws=Aws(known, time), clock=time)

    def observe(chosen: str, data_source_id: str, window: str) -> str:
        from vmqlib.aws import Aws
        from vmqlib.runbook.approvals import remedy
        from vmqlib.runbook.opening import look, open_incident

        aws = Aws(known, time)
        if chosen:
            incident = Incident.load(chosen, settings=known, aws=aws, clock=time)
        else:
            incident = open_incident(known, aws, trigger=trigger, data_source_id=data_source_id, clock=time)
        look(incident, since=window, refresh=True)
        remedy(incident, again=False)  # looks only: nothing is approved here
        return incident.id

    sources = [(one.name, one.data_source_id) for one in known.data_sources if one.data_source_id]
    first = incident_id or os.environ.get("VMQ_INCIDENT", "")
    return Picker(Choices(incidents, load, observe, sources, live), incident_id=first, window=since)
