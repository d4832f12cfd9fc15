"""The review as a notebook and a page: ``retro.ipynb`` and ``retro.html`` in the incident's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vmqlib.runbook.retro.invitation import INVITATION, invitation
from vmqlib.runbook.retro.review import Review, review

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.record.kernel import KernelHandle
    from vmqlib.record.notebook import RunResult

__all__ = ["Written", "retro"]


@dataclass(frozen=True)
class Written:
    """The review of an incident, written.

    Parameters
    ----------
    review:
        What it says.
    run:
        How its notebook ran.
    html:
        The self-contained page.
    """

    review: Review
    run: RunResult
    html: Path


def retro(incident: Incident, *, kernel: KernelHandle | None = None) -> Written:
    """Runs ``templates/retro.ipynb`` from the incident's evidence alone and exports the page. Asks AWS nothing.

    What people said comes from the journal, so that it is there again however often this is done. A closed incident
    without an invitation gets one; its manifest is brought up to date with what is written.

    Raises
    ------
    RunFailed
        When a cell stopped the run; the notebook and the page were saved all the same, and say so.
    CorruptRecord
        When the journal is damaged.
    SettingsError
        When there is no invitation yet, and the settings name a country that has no calendar.
    """
    from vmqlib.record import notebook

    if incident.state.closed_at and not (incident.dir / INVITATION).exists():
        invitation(incident)
    made = review(incident)
    page = incident.dir / "retro.html"
    run = notebook.render(
        notebook.template("retro"),
        incident.dir / "retro.ipynb",
        {"incident_id": incident.id, "incidents": str(incident.dir.parent)},
        kernel=kernel,
        html=page,
        clean=incident.shown_by.text,
    )
    if incident.state.closed_at:
        incident.reseal([run.path, page])
    return Written(made, run, page)
