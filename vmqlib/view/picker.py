"""Choosing an incident, a connector and a time window in JupyterLab, and sections that follow the choice.

A section is a function from a :class:`Sight` to a view. In JupyterLab it is redrawn whenever the choice changes; where
there are no widgets (a record, its HTML page, a terminal) the same object shows what it showed last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from vmqlib.errors import VmqError
from vmqlib.view.base import Html, Panel, View, failed, join, notice, plain, tag
from vmqlib.view.findings import last_good
from vmqlib.view.layout import Column, chip, name, short, table

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.overview import Overview

__all__ = ["Choices", "Picker", "Section", "Sight"]

NEW = ""
"""The value of "open a new incident" among incidents."""

WINDOWS = {"last 24 hours": "24h", "last 3 days": "3d", "last 7 days": "7d", "last 21 days": "21d"}
TIMED = {"sync-jobs": "started_at", "metrics": "at", "connector-log": "at", "document-report": "at"}
"""Sources that a time window cuts, and by which column. States and versions are not cut: what is older still holds."""


@dataclass(frozen=True)
class Sight:
    """What is chosen, for a section to draw.

    Parameters
    ----------
    incident:
        The incident.
    seen:
        Its observations by source name, cut to the window.
    since:
        Where the window begins, UTC.
    data_source_id:
        The connector that was chosen; empty means all.
    """

    incident: Incident
    seen: Mapping[str, Observation]
    since: datetime
    data_source_id: str

    @property
    def marks(self) -> pd.DataFrame:
        """Promotions and actions, for plots."""
        marks = self.incident.marks()
        return marks[marks["at"] >= self.since]

    @cached_property
    def told(self) -> Overview:
        """The first questions about the incident and their answers, from all of its evidence."""
        from vmqlib.runbook.overview import Overview

        return Overview(self.incident)

    @property
    def last_good(self) -> datetime | None:
        """Start of the last good sync before the incident."""
        from vmqlib.runbook.lastgood import good_before

        jobs = self.incident.observed("sync-jobs")
        return last_good(jobs, good_before(self.incident), data_source_id=self.data_source_id)


@dataclass(frozen=True)
class Choices:
    """Where a picker gets its choices from, and what its button does. Everything that is not showing is in here.

    Parameters
    ----------
    incidents:
        Gives ids with a label, the newest first.
    load:
        Loads an incident from its evidence; asks AWS nothing.
    observe:
        Looks at AWS for an incident (an id, or ``""`` for a new one), a data source and an age such as ``7d``, and
        gives the incident's id.
    data_sources:
        Names and ids of the connectors.
    live:
        Loads an incident with AWS at hand, for what evidence does not hold: the contents of objects.
    """

    incidents: Callable[[], Sequence[tuple[str, str]]]
    load: Callable[[str], Incident]
    observe: Callable[[str, str, str], str]
    data_sources: Sequence[tuple[str, str]] = ()
    live: Callable[[str], Incident] | None = None


class Follower(Protocol):
    """What follows the picker."""

    def update(self, sight: Sight | None) -> None:
        """Draws again."""


@dataclass(eq=False)
class Section:
    """A part of the page that follows the picker.

    Parameters
    ----------
    draw:
        From what is chosen to a view.
    title:
        Named where it cannot be drawn.
    """

    draw: Callable[[Sight], View]
    title: str = "section"
    shown: View = field(default_factory=lambda: waiting())  # noqa: PLW0108 - defined below
    box: Any = None

    def update(self, sight: Sight | None) -> None:
        """Draws again."""
        if sight is None:
            self.shown = waiting()
        else:
            try:
                self.shown = self.draw(sight)
            except Exception as error:  # noqa: BLE001 - told in place of the section
                self.shown = failed(self.title, error)
        if self.box is not None:
            self.box.value = self.shown.html.markup

    def widget(self) -> Any:
        """The part that JupyterLab shows."""
        if self.box is None:
            import ipywidgets

            self.box = ipywidgets.HTML(value=self.shown.html.markup)
            self.box.add_class("jp-RenderedHTMLCommon")
            self.box.layout.width = "100%"
        return self.box

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        still = {"text/html": self.shown.html.markup, "text/plain": self.shown.text}
        return {**self.widget()._repr_mimebundle_(), **still}


def waiting() -> Panel:
    """What a section shows until an incident is chosen."""
    text = "No incident is chosen. Choose one above, or press “Observe” to open one and look at AWS now."
    return Panel(notice(text, "#0072B2"), text)


class Picker:
    """The controls: incident, connector, time window, and a button that looks at AWS.

    Parameters
    ----------
    choices:
        Where the choices come from.
    incident_id:
        Chosen first; by default the newest.
    window:
        One of :data:`WINDOWS`' values.
    """

    def __init__(self, choices: Choices, *, incident_id: str = "", window: str = "21d") -> None:
        self.choices = choices
        self.sections: dict[str, Follower] = {}
        self.window = window
        self.data_source_id = ""
        self.listed = list(choices.incidents())
        ids = [each for _, each in self.listed]
        self.incident_id = incident_id if incident_id in ids else next(iter(ids), NEW)
        self.said: Html = tag("span", "")
        self._controls: dict[str, Any] = {}
        self._sight: Sight | None = None
        self._loaded = False

    # -- what is chosen

    @property
    def sight(self) -> Sight | None:
        """What is chosen, from evidence; None while nothing is."""
        if not self._loaded:
            self._loaded = True
            self._sight = self._look() if self.incident_id else None
        return self._sight

    def _look(self) -> Sight | None:
        from vmqlib.times import parse_when

        try:
            incident = self.choices.load(self.incident_id)
            since = parse_when(self.window, incident.as_of)
            seen = {
                each: _cut(one, since, self.data_source_id) for each, one in incident.observations().items()
            }
        except VmqError as error:
            self._say(error)
            return None
        return Sight(incident, seen, since, self.data_source_id or incident.identity.data_source_id)

    def section(self, draw: Callable[[Sight], View], title: str = "") -> Section:
        """A section that follows the choice. Running its cell again replaces it.

        Parameters
        ----------
        draw:
            From what is chosen to a view: ``lambda now: view.log_summary(now.seen["connector-log"])``.
        title:
            Tells sections apart; by default where the function was written.
        """
        code = getattr(draw, "__code__", None)
        key = title or (f"{code.co_filename}:{code.co_firstlineno}" if code else repr(draw))
        made = Section(draw, title or "section")
        made.update(self.sight)
        self.sections[key] = made
        return made

    # -- what the controls do

    def choose(
        self, incident_id: str | None = None, data_source_id: str | None = None, window: str | None = None
    ) -> None:
        """Another choice; all sections follow. What is not given stays."""
        self.incident_id = self.incident_id if incident_id is None else incident_id
        self.data_source_id = self.data_source_id if data_source_id is None else data_source_id
        self.window = window or self.window
        self._redraw()

    def observe(self) -> None:
        """Looks at AWS now, for the chosen incident or a new one; all sections follow."""
        self._tell(tag("span", "Asking AWS …"))
        try:
            self.incident_id = self.choices.observe(self.incident_id, self.data_source_id, self.window)
        except VmqError as error:
            self._say(error)
            return
        self.listed = list(self.choices.incidents())
        self._redraw()
        if self._sight is not None:
            lost = [one.title for one in self._sight.seen.values() if not one.available]
            missing = f" Not available: {', '.join(lost)}." if lost else ""
            self._tell(join([tag("strong", self.incident_id), f": everything was looked at.{missing}"]))

    def _redraw(self) -> None:
        self._loaded = False
        sight = self.sight
        for section in self.sections.values():
            section.update(sight)
        self._sync_controls()

    def _say(self, error: VmqError) -> None:
        self._tell(
            notice(join([tag("strong", plain(error.message, 400)), " ", plain(error.hint, 400)]), "#D55E00")
        )

    def _tell(self, words: Html) -> None:
        self.said = words
        if self._controls:
            self._controls["said"].value = words.markup

    # -- how it looks

    def _options(self) -> list[tuple[str, str]]:
        return [(plain(label, 100), each) for label, each in self.listed] + [("open a new incident", NEW)]

    def _sync_controls(self) -> None:
        if self._controls:
            self._syncing = True
            self._controls["incident"].options = self._options()
            self._controls["incident"].value = self.incident_id
            self._syncing = False

    _syncing = False

    def widget(self) -> Any:
        """The controls as JupyterLab shows them."""
        if not self._controls:
            import ipywidgets

            style = {"description_width": "initial"}
            sources = [("all", ""), *((plain(label, 60), each) for label, each in self.choices.data_sources)]
            windows = list(WINDOWS.items())
            if self.window not in WINDOWS.values():
                windows.append((f"since {plain(self.window, 40)}", self.window))
            made = {
                "incident": ipywidgets.Dropdown(
                    options=self._options(),
                    value=self.incident_id,
                    description="Incident",
                    style=style,
                    layout={"width": "34em"},
                ),
                "source": ipywidgets.Dropdown(
                    options=sources, value="", description="Connector", style=style
                ),
                "window": ipywidgets.Dropdown(
                    options=windows, value=self.window, description="Window", style=style
                ),
                "button": ipywidgets.Button(
                    description="Observe",
                    icon="refresh",
                    button_style="primary",
                    tooltip="Ask AWS now, write down what it says, and draw every section again",
                ),
                "said": ipywidgets.HTML(value=self.said.markup),
            }
            made["incident"].observe(self._chosen("incident_id"), names="value")
            made["source"].observe(self._chosen("data_source_id"), names="value")
            made["window"].observe(self._chosen("window"), names="value")
            made["button"].on_click(lambda _: self.observe())
            self._controls = made
        parts = [self._controls[each] for each in ("incident", "source", "window", "button")]
        row = ipywidgets_box("HBox", parts, flex_flow="row wrap", align_items="center")
        return ipywidgets_box("VBox", [row, self._controls["said"]])

    def _chosen(self, what: str) -> Callable[[Any], None]:
        def changed(change: Any) -> None:
            if not self._syncing:
                self.choose(**{what: change["new"]})

        return changed

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        still = self.still()
        return {**self.widget()._repr_mimebundle_(), "text/html": still.html.markup, "text/plain": still.text}

    def still(self) -> Panel:
        """The choice as a table: what a record shows instead of the controls."""
        if not self.listed:
            return waiting()
        columns = [Column("incident", name), Column("what"), Column("", lambda one: chip(one) if one else "")]
        rows = [
            (each, label, "chosen" if each == self.incident_id else "") for label, each in self.listed[:20]
        ]
        since = self.sight.since if self.sight is not None else None
        window = tag("div", "Window: since ", short(since), " UTC") if since else Html("")
        text = "\n".join(f"{'*' if mark else ' '} {plain(label, 120)}" for _, label, mark in rows)
        return Panel(join([table(columns, rows), window]), text)


def ipywidgets_box(kind: str, children: Sequence[Any], **layout: str) -> Any:
    """A row or a column of widgets."""
    import ipywidgets

    return getattr(ipywidgets, kind)(children, layout=layout)


def _cut(seen: Observation, since: datetime, data_source_id: str) -> Observation:
    """An observation within the window and the connector; as it is where neither applies."""
    import pandas as pd

    column = TIMED.get(seen.name)
    if not seen.available or (column is None and not data_source_id):
        return seen
    frame = seen.frame
    if column is not None:
        frame = frame[frame[column].isna() | (frame[column] >= pd.Timestamp(since))]
    if data_source_id and "data_source_id" in frame:
        frame = frame[frame["data_source_id"] == data_source_id]
    return replace(seen, frame=frame)
