"""The review's template: thin and explained; run offline it leaves notebook and page, and the record as it was."""

from __future__ import annotations

import ast
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support.reviewed import History

from vmqlib.cli.main import run, vmq
from vmqlib.record import notebook
from vmqlib.record.incident import Incident

SYNCS = [("02:45", "02:47", "SUCCEEDED"), ("07:10", "07:14", "FAILED"), ("12:05", "12:31", "SUCCEEDED")]
SECTIONS = [
    "title", "parameters", "begin", "summary", "gantt", "events", "times", "updates", "words", "witnesses", "remarks",
    "actions", "provenance", "record",
]  # fmt: skip


@pytest.fixture(scope="module")
def cells(project: Path) -> list[nbformat.NotebookNode]:
    made = nbformat.read(project / "templates" / "retro.ipynb", as_version=4)
    nbformat.validate(made)
    return list(made.cells)


def test_its_cells_keep_their_ids_and_hold_no_outputs(cells: list[nbformat.NotebookNode]) -> None:
    assert [cell.id for cell in cells if not cell.id.endswith("-title")] == SECTIONS
    assert all(
        cell.outputs == [] and cell.execution_count is None for cell in cells if cell.cell_type == "code"
    )


def test_every_parameter_is_explained(project: Path) -> None:
    parameters = notebook.parameters_of(project / "templates" / "retro.ipynb")
    assert [one.name for one in parameters] == ["incident_id", "incidents", "offline"]
    assert all(one.help for one in parameters)


def test_each_section_is_one_call_under_a_heading_and_a_sentence(cells: list[nbformat.NotebookNode]) -> None:
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and cell.id not in ("parameters", "begin"):
            heading, _, text = before.source.partition("\n\n")
            assert heading.startswith("## ")
            assert text.endswith(".")
            (only,) = ast.parse(cell.source).body
            assert isinstance(only, ast.Expr)


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Incident:
    history = History(tmp_path / "incidents", syncs=SYNCS)
    history.to("09:03").acknowledge()
    history.to("12:40").close(impact="No <answers>", cause="A promotion")
    monkeypatch.setenv("VMQ_INCIDENTS", str(tmp_path / "incidents"))
    return history.incident


@pytest.mark.slow
@pytest.mark.notebooks
def test_a_review_is_written_and_the_closed_record_stays_whole(closed: Incident, capsys: Any) -> None:
    def said(*words: str) -> str:
        capsys.readouterr()
        assert run(vmq, [*words]) == 0
        return str(capsys.readouterr().out)

    journal = closed.journal.path.read_bytes()
    document = json.loads(said("retro", closed.id, "--json"))
    assert document["id"] == closed.id
    assert [one["took"] for one in document["measures"]] == [6360.0, None, 180.0, None, 13200.0, None]
    page = Path(document["html"])
    assert page == (closed.dir / "retro.html").resolve()
    assert closed.journal.path.read_bytes() == journal, "a review writes nothing into the journal"
    assert closed.verify().findings == ()
    made = notebook.read_record(Path(document["notebook"]))
    assert made["measures"] == document["measures"]

    text = page.read_text()
    assert "Q Business · post-incident review" in text
    assert "default-src &#39;none&#39;" in text
    assert "<script" not in text
    assert "No &lt;answers&gt;" in text
    errors = [out for cell in nbformat.read(document["notebook"], 4).cells for out in cell.get("outputs", ())
              if out.output_type == "error"]  # fmt: skip
    assert errors == []

    # What people say comes from the journal: it is there after rendering again, however the files were edited.
    page.write_text("edited by hand")
    assert not closed.verify().ok
    assert "Noted" not in said("note", closed.id, "--retro", "lucky", "Dana looked by chance.")
    due = f"{datetime.now(UTC) + timedelta(days=6):%Y-%m-%d}"
    said("note", closed.id, "--action", "Alarm on it", "--owner", "dana", "--due", due)
    for _ in range(2):
        said("retro", closed.id)
        text = page.read_text()
        assert "Dana looked by chance." in text
        assert due in text
    assert closed.verify().findings == ()
    assert "time to detect" in said("retro", closed.id)


@pytest.mark.slow
@pytest.mark.notebooks
def test_a_review_does_not_seal_what_others_changed(closed: Incident) -> None:
    (closed.dir / "incident.json").write_bytes((closed.dir / "incident.json").read_bytes() + b"\n")
    assert run(vmq, ["retro", closed.id]) == 0
    assert {found.path for found in closed.verify().findings} == {"incident.json"}


@pytest.mark.parametrize(
    "words",
    [
        ["note", "ID"],
        ["note", "ID", "text", "--action", "more"],
        ["note", "ID", "--action", "a", "--retro", "well"],
        ["note", "ID", "text", "--owner", "dana"],
        ["note", "ID", "--action", "a", "--due", "tomorrow"],
        ["note", "ID", "--action", "a", "--due", "2026-11-22"],
        ["note", "ID", "text", "--retro", "meh"],
        ["entry", "INC-20200101-001"],
        ["retro", "INC-20200101-001"],
    ],
)
def test_bad_input(closed: Incident, words: list[str], capsys: Any) -> None:
    before = closed.journal.path.read_bytes()
    assert run(vmq, [closed.id if word == "ID" else word for word in words]) == 2
    assert "Error: " in capsys.readouterr().err
    assert closed.journal.path.read_bytes() == before


def test_entering_on_the_command_line(closed: Incident, capsys: Any) -> None:
    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert run(vmq, [*words]) == code
        return str(capsys.readouterr().out)

    runbook = Path.cwd() / "OPERATIONS-RUNBOOK.md"
    assert f"+### {closed.id}: Sync &lt;fails&gt;" in said("entry", closed.id, "--preview").splitlines()
    assert json.loads(said("entry", closed.id, "--preview", "--json"))["changes"] is True
    assert not runbook.exists()
    said("entry", closed.id, code=2)
    assert not runbook.exists(), "nobody was asked"
    made = json.loads(said("entry", closed.id, "--yes", "--json"))
    assert (made["path"], made["changed"]) == (str(runbook), True)
    assert "already" in said("entry", closed.id)
    assert closed.verify().findings == ()
    runbook.write_bytes(b"\xff")
    said("entry", closed.id, "--yes", code=2)
