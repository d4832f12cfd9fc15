"""One object's versions, chosen by hand in JupyterLab: its history, and two of its versions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmqlib.view.base import Panel, failed, join
from vmqlib.view.picker import ipywidgets_box, waiting
from vmqlib.view.version_diff import version_diff
from vmqlib.view.version_history import version_history

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.view.picker import Picker, Sight

__all__ = ["Comparison"]

MOST_KEYS = 50


class Comparison:
    """A field for an object's key, which offers the incident's suspects, and a button. AWS is asked when it is pressed:
    contents are no evidence. Follows the picker's choice of an incident.

    Parameters
    ----------
    picker:
        What the incident is chosen with.
    key:
        Chosen first; by default the first suspect.
    """

    def __init__(self, picker: Picker, key: str = "") -> None:
        self._picker = picker
        self.keys: tuple[str, ...] = ()
        self.key = key
        self.shown: Panel = waiting()
        self._controls: dict[str, Any] = {}
        picker.sections["Comparison"] = self
        self.update(picker.sight)

    def update(self, sight: Sight | None) -> None:
        """Another incident was chosen, or looked at again."""
        if sight is None:
            self.keys, self.shown = (), waiting()
        else:
            self._offer(sight.incident)
        self._redraw()

    def _offer(self, incident: Incident) -> None:
        from vmqlib.runbook.suspects import suspects

        try:
            found = suspects(incident, limit=MOST_KEYS)
        except Exception as error:  # noqa: BLE001 - told in place of the section
            self.keys, self.shown = (), failed("suspects", error)
            return
        self.keys = tuple(one.change.key for one in found.found)
        if self.key not in self.keys:
            self.key = next(iter(self.keys), self.key)
        words = "Choose an object and press “Compare”: its versions, and the current one beside the last good one."
        self.shown = Panel(join([found.problem or words]), found.problem or words)

    def compare(self, key: str = "", before: str = "last-good", after: str = "current") -> None:
        """Asks AWS for the history of ``key``, and for two of its versions.

        Parameters
        ----------
        key:
            By default the one that is chosen.
        before, after:
            ``current``, ``previous``, ``last-good``, ``@`` and a time, or a version id.
        """
        from vmqlib.runbook import history

        self.key = key or self.key
        sight, live = self._picker.sight, self._picker.choices.live
        if sight is None:
            self.shown = waiting()
        else:
            incident = live(sight.incident.id) if live is not None else sight.incident
            parts = [
                version_history(lambda: history.key_history(incident, self.key)),
                version_diff(lambda: history.diff(incident, self.key, before, after)),
            ]
            self.shown = Panel(join([one.html for one in parts]), "\n".join(one.text for one in parts))
        self._redraw()

    # -- how it looks

    def _redraw(self) -> None:
        if self._controls:
            self._controls["key"].options = self.keys
            self._controls["key"].value = self.key
            self._controls["shown"].value = self.shown.html.markup

    def widget(self) -> Any:
        """The controls as JupyterLab shows them."""
        if not self._controls:
            import ipywidgets

            made: dict[str, Any] = {
                "key": ipywidgets.Combobox(
                    options=self.keys, value=self.key, description="Object", layout={"width": "34em"}
                ),
                "button": ipywidgets.Button(
                    description="Compare", icon="columns", tooltip="Ask AWS for its versions; changes nothing"
                ),
                "shown": ipywidgets.HTML(value=self.shown.html.markup),
            }
            made["shown"].add_class("jp-RenderedHTMLCommon")
            made["shown"].layout.width = "100%"
            made["key"].observe(self._typed, names="value")
            made["button"].on_click(lambda _: self.compare())
            self._controls = made
        row = ipywidgets_box("HBox", [self._controls["key"], self._controls["button"]], flex_flow="row wrap")
        return ipywidgets_box("VBox", [row, self._controls["shown"]])

    def _typed(self, change: Any) -> None:
        self.key = change["new"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        still = {"text/html": self.shown.html.markup, "text/plain": self.shown.text}
        return {**self.widget()._repr_mimebundle_(), **still}
