"""The example record: executed, whole, small, and made from today's template. nbval runs it again in ``make test``."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from vmqlib.record import notebook
from vmqlib.record.checks import verify_folder


@pytest.fixture(scope="module")
def example(project: Path) -> Path:
    (found,) = (project / "notebooks" / "examples").glob("INC-*.ipynb")
    return found


@pytest.fixture(scope="module")
def record(example):
    made = nbformat.read(example, as_version=4)
    nbformat.validate(made)
    return made


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def test_its_run_is_complete(record, example):
    assert notebook.run_status(example) == "completed"
    assert record.metadata.papermill.exception is None
    assert all(cell.metadata.papermill.status == "completed" for cell in code(record.cells))


def test_no_cell_ended_in_an_error(record):
    outputs = [output for cell in code(record.cells) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type in ("error", "stream")]
    assert "could not be drawn" not in json.dumps(outputs)


def test_it_is_made_from_the_template_of_today(record, project):
    template = nbformat.read(project / "templates" / "incident.ipynb", as_version=4)
    here = {
        cell.id: cell.source
        for cell in record.cells
        if "injected-parameters" not in cell.metadata.get("tags", ())
    }
    assert here == {cell.id: cell.source for cell in template.cells}, "run scripts/make_example.py --render"


def test_every_picture_has_words(record):
    pictures = [o for cell in code(record.cells) for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 5
    assert all(o.metadata["image/png"]["alt"] == o.data["text/plain"] for o in pictures)


def test_most_of_its_cells_are_compared_by_nbval(record):
    compared = [cell.id for cell in code(record.cells) if "nbval-check-output" in cell.metadata.tags]
    assert len(compared) >= 10


def test_its_evidence_is_untouched(example):
    report = verify_folder(example.with_suffix(""))
    assert report.ok, report


def test_it_is_small_and_names_no_machine(example):
    folder = example.with_suffix("")
    assert example.stat().st_size < 600_000
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 600_000
    text = example.read_text("utf-8")
    assert "/tmp/" not in text
    assert "/home/" not in text
