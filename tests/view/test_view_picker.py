"""The picker: what it shows, how sections follow it, and what stays where there are no widgets."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from vmqlib import view
from vmqlib.errors import AccessDenied
from vmqlib.view.picker import Choices, Picker


@pytest.fixture
def bench(story, looks):
    """A picker over two made-up incidents; ``asked`` collects what its button asked for."""
    asked: list[tuple[str, str, str]] = []
    known = {"INC-2": "second", "INC-1": "first"}

    def load(chosen):
        return SimpleNamespace(
            id=chosen, as_of=story.now, observations=lambda: looks, observed=looks.__getitem__,
            summary=lambda: story.summary(id=chosen, title=known[chosen]),
            state=SimpleNamespace(opened_at=story.now), identity=SimpleNamespace(data_source_id=story.data_source),
            marks=lambda: pd.DataFrame(story.marks).assign(at=lambda f: pd.to_datetime(f["at"], utc=True)),
        )  # fmt: skip

    def observe(chosen, data_source, window):
        asked.append((chosen, data_source, window))
        if data_source == "denied":
            raise AccessDenied("No <b>permission</b>.", hint="Grant it.")
        known["INC-3"] = "third"
        return chosen or "INC-3"

    choices = Choices(
        lambda: [(f"{i}: {t}", i) for i, t in known.items()], load, observe, [("s3", story.data_source)]
    )
    return SimpleNamespace(make=lambda **more: Picker(choices, **more), asked=asked, known=known)


def title(now):
    return view.Panel(
        view.header(now.incident.summary()).html, f"{now.incident.id} {len(now.seen['sync-jobs'].frame)}"
    )


class TestChoosing:
    def test_the_newest_incident_comes_first(self, bench):
        assert bench.make().incident_id == "INC-2"
        assert bench.make(incident_id="INC-1").incident_id == "INC-1"
        assert bench.make(incident_id="INC-9").incident_id == "INC-2"

    def test_sections_follow_the_choice(self, bench):
        picker = bench.make()
        section = picker.section(title)
        assert section.shown.text == "INC-2 21"
        picker.choose(incident_id="INC-1")
        assert section.shown.text == "INC-1 21"
        picker.choose(window="3d")
        assert section.shown.text == "INC-1 3"

    def test_the_widgets_are_the_choice(self, bench):
        picker = bench.make()
        section = picker.section(title)
        picker.widget()
        picker._controls["incident"].value = "INC-1"
        picker._controls["window"].value = "24h"
        assert section.shown.text == "INC-1 1"
        assert section.widget().value == section.shown.html.markup

    def test_running_a_cell_again_replaces_its_section(self, bench):
        picker = bench.make()
        for _ in range(3):
            picker.section(title, "Header")
        assert len(picker.sections) == 1

    def test_without_an_incident_everything_waits(self, bench):
        bench.known.clear()
        picker = bench.make()
        section = picker.section(title)
        assert "No incident is chosen." in section.shown.text
        assert "No incident is chosen." in picker.still().text


class TestObserving:
    def test_looks_again_at_what_is_chosen(self, bench):
        picker = bench.make()
        picker.widget()
        picker._controls["button"].click()
        assert bench.asked == [("INC-2", "", "21d")]
        assert "everything was looked at" in picker._controls["said"].value

    def test_opens_a_new_one_and_chooses_it(self, bench):
        picker = bench.make()
        picker.widget()
        section = picker.section(title)
        picker.choose(incident_id="")
        assert "No incident is chosen." in section.shown.text
        picker.observe()
        assert (picker.incident_id, section.shown.text) == ("INC-3", "INC-3 21")
        assert picker._controls["incident"].value == "INC-3"

    def test_a_refusal_is_said_and_what_was_there_stays(self, bench):
        picker = bench.make()
        section = picker.section(title)
        picker.choose(data_source_id="denied")
        picker.observe()
        assert "No &lt;b&gt;permission&lt;/b&gt;." in picker.said.markup
        assert "Grant it." in picker.said.markup
        assert section.shown.text.startswith("INC-2")


class TestWithoutWidgets:
    def test_the_picker_is_a_table(self, bench):
        data = bench.make()._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in data
        assert "INC-2" in data["text/html"]
        assert "* INC-2: second" in data["text/plain"]

    def test_a_section_is_what_it_showed_last(self, bench):
        data = bench.make().section(title)._repr_mimebundle_()
        assert data["text/plain"] == "INC-2 21"
        assert "second" in data["text/html"]

    def test_a_plot_keeps_its_words(self, bench):
        section = bench.make().section(lambda now: view.sync_history(now.seen["sync-jobs"]))
        assert (
            'alt="Sync history: 21 runs; the last 5 did not succeed'
            in section._repr_mimebundle_()["text/html"]
        )

    def test_a_section_that_fails_says_so(self, bench):
        section = bench.make().section(lambda now: 1 / 0, "Mine")
        assert "Mine: this section could not be drawn: ZeroDivisionError" in section.shown.text
