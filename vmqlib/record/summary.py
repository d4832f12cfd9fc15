"""An incident at a glance, and the list of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from vmqlib.errors import VmqError
from vmqlib.record.events import PhaseName, SeverityName
from vmqlib.record.identity import folders, read_identity
from vmqlib.record.journal import Journal
from vmqlib.record.manifest import JOURNAL
from vmqlib.record.state import Closing, Reopening, Stretches, fold, open_for

__all__ = ["IncidentEntry", "Summary", "entries"]


@dataclass(frozen=True)
class Summary:
    """An incident at a glance: what a record's header shows.

    Parameters
    ----------
    id, title, trigger, region, account, data_source_id, resources:
        As in ``incident.json``.
    severity, phase:
        As they are now.
    opened_at, acknowledged_at, closed_at, last_event_at:
        Times, UTC; ``None`` for what has not happened.
    acknowledged_by:
        Who took it.
    as_of:
        The moment that deadlines and ``open_for`` are true for.
    seen_at:
        When AWS was looked at last: the moment that verdicts are true for.
    open_for:
        How long it was open, until the closing or ``as_of``: not between a closing and a reopening.
    next_update_due, stakeholders_due:
        When people are to be told next in the channel, and when stakeholders by e-mail (runbook, step 5).
    updates, actions, events:
        How many messages went out, changes were made, events the journal has.
    offline:
        Whether this was made without AWS.
    version:
        The kit's version that opened it.
    problems:
        What is wrong with the record itself; empty when all is well.
    closing:
        Who closed it, and what was said of impact, cause and remediation; ``None`` while it is open.
    closings, reopenings:
        Every closing and reopening, oldest first.
    """

    id: str
    title: str
    trigger: str
    region: str
    account: str
    data_source_id: str
    resources: Mapping[str, str]
    severity: SeverityName
    phase: PhaseName
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str
    closed_at: datetime | None
    last_event_at: datetime | None
    as_of: datetime
    seen_at: datetime
    open_for: timedelta
    next_update_due: datetime | None
    updates: int
    actions: int
    events: int
    offline: bool
    version: str
    problems: tuple[str, ...]
    closing: Closing | None = None
    stakeholders_due: datetime | None = None
    closings: tuple[Closing, ...] = ()
    reopenings: tuple[Reopening, ...] = ()


@dataclass(frozen=True)
class IncidentEntry:
    """A line of the list of incidents.

    Parameters
    ----------
    id, dir:
        Its id and folder.
    title, trigger, severity, phase, opened_at, closed_at:
        As far as they can be read.
    problem:
        Why it could not be read; ``""`` for a good one.
    stretches:
        From when to when it was open, oldest first; ``None`` while it is.
    """

    id: str
    dir: Path
    title: str = ""
    trigger: str = ""
    severity: SeverityName | None = None
    phase: PhaseName | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    problem: str = ""
    stretches: Stretches = ()

    def open_for(self, now: datetime) -> timedelta:
        """How long it was open until ``now``."""
        return open_for(self.stretches, now)


def entries(root: Path) -> Sequence[IncidentEntry]:
    """Every incident in ``root``, the newest first. A broken one is listed with its problem."""
    return tuple(_entry(folder) for folder in folders(root))


def _entry(folder: Path) -> IncidentEntry:
    try:
        identity = read_identity(folder)
        state = fold(Journal(folder / JOURNAL).events())
    except VmqError as error:
        return IncidentEntry(folder.name, folder, problem=error.message)
    if state.opened_at is None:
        return IncidentEntry(
            folder.name, folder, identity.title, problem="Its journal does not begin with its opening."
        )
    return IncidentEntry(
        folder.name, folder, identity.title, identity.trigger, state.severity, state.phase, state.opened_at,
        state.closed_at, stretches=state.stretches,
    )  # fmt: skip
