"""The investigation notebook has the template's sections, and becomes a plain record where there are no widgets."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from vmqlib.record import html, notebook


@pytest.fixture(scope="module")
def investigate(project: Path) -> Path:
    return project / "notebooks" / "investigate.ipynb"


def test_it_holds_no_outputs(investigate):
    made = nbformat.read(investigate, as_version=4)
    nbformat.validate(made)
    assert all(not cell.outputs for cell in made.cells if cell.cell_type == "code")


def test_it_has_the_templates_sections(investigate, project):
    live = nbformat.read(investigate, as_version=4).cells
    template = nbformat.read(project / "templates" / "incident.ipynb", as_version=4).cells
    wanted = {cell.id for cell in template} - {"parameters", "begin", "record", "record-title"}
    assert wanted <= {cell.id for cell in live}


def test_its_sections_have_names_of_their_own(investigate):
    sources = [
        c.source for c in nbformat.read(investigate, as_version=4).cells if "picker.section" in c.source
    ]
    names = [re.findall(r'"([^"]+)",?\n?\)$', source)[-1] for source in sources]
    assert len(set(names)) == len(names) == len(sources)


@pytest.mark.slow
@pytest.mark.notebooks
def test_without_widgets_it_is_a_record(investigate, project, tmp_path, monkeypatch):
    example = next(one for one in (project / "notebooks" / "examples").glob("INC-*") if one.is_dir())
    shutil.copytree(example, tmp_path / "incidents" / example.name)
    monkeypatch.setenv("VMQ_INCIDENTS", str(tmp_path / "incidents"))
    out = tmp_path / "out.ipynb"
    notebook.run(investigate, out, {})
    outputs = {c.id: c.outputs[0] for c in nbformat.read(out, 4).cells if c.cell_type == "code" and c.outputs}
    assert example.name in outputs["picker"].data["text/html"]
    assert all("text/html" in output.data for output in outputs.values())
    page = html.export(out, tmp_path / "out.html").read_text("utf-8")
    assert "widget-view" not in page
    assert 'alt="Sync history' in page
    assert "could not be drawn" not in page
    assert "No incident is chosen" not in page
