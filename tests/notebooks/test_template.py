"""The incident template: thin, explained, and rerunnable; its sections stand on their own."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vmqlib.record import notebook

SECTIONS = [
    "title", "parameters", "begin", "glance", "verdicts", "affected", "changes", "changes-table", "ranking", "trigger",
    "syncs", "users", "dashboard", "failing", "logs", "versions", "suspects", "index", "plan", "rollback",
    "verification", "targeted", "proof", "actions", "communication", "validation", "next", "timeline", "provenance",
    "record",
]  # fmt: skip


@pytest.fixture(scope="module")
def template(project: Path) -> Path:
    return project / "templates" / "incident.ipynb"


@pytest.fixture(scope="module")
def cells(template: Path) -> list[nbformat.NotebookNode]:
    made = nbformat.read(template, as_version=4)
    nbformat.validate(made)
    return made.cells


def test_its_cells_keep_their_ids(cells):
    """Journals and banners name cells by id: renaming one breaks links into old records."""
    assert [cell.id for cell in cells if not cell.id.endswith("-title")] == SECTIONS


def test_it_holds_no_outputs(cells):
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_every_parameter_is_explained(template):
    parameters = notebook.parameters_of(template)
    assert [p.name for p in parameters] == [
        "incident_id", "trigger", "severity", "title", "data_source_id", "since", "logs_since", "incidents", "offline",
        "approve",
    ]  # fmt: skip
    assert all(p.help for p in parameters)
    help_text = subprocess.run(
        [sys.executable, "-m", "papermill", "--help-notebook", str(template)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for p in parameters:
        assert (
            f"  {p.name}: {p.type} (default {json.dumps(p.default) if p.type == 'str' else p.default})"
            in help_text
        )
        assert " ".join(p.help.split()) in " ".join(help_text.split())


def test_begin_takes_what_the_parameters_offer(template):
    import inspect

    from vmqlib.runbook.opening import begin

    offered = {p.name: p.default for p in notebook.parameters_of(template)}
    taken = {name: p.default for name, p in inspect.signature(begin).parameters.items() if name != "clock"}
    assert taken.pop("approve") == ()
    assert offered["approve"] == [], "JSON knows no tuples"
    assert {name: offered[name] for name in taken} == taken


def test_each_section_is_one_call_under_a_heading_and_a_sentence(cells):
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and cell.id not in ("parameters", "begin"):
            heading, _, text = before.source.partition("\n\n")
            assert heading.startswith("## ")
            assert text.endswith(".")
            (only,) = ast.parse(cell.source).body
            assert isinstance(only, ast.Expr)
            assert "hide-input" in cell.metadata.tags


def test_offline_no_aws_and_no_pyplot_is_imported(cells, project):
    """What a kernel imports is time that somebody with a page waits for."""
    (name,) = (one.name for one in (project / "notebooks" / "examples").glob("INC-*") if one.is_dir())
    values = {"incident_id": name, "incidents": ".", "offline": True}
    code = [c.source for c in cells if c.cell_type == "code"]
    heavy = ("boto3", "botocore", "matplotlib.pyplot", "ipywidgets", "papermill", "moto")
    program = [
        code[0],
        *(f"{name} = {value!r}" for name, value in values.items()),
        code[1],
        *(f"shown = ({source})" for source in code[2:]),
        f"import sys; print([name for name in {heavy} if name in sys.modules])",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(program)],
        cwd=project / "notebooks" / "examples",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.notebooks
def test_plain_papermill_opens_an_incident_by_itself(template, sync_failed_aws, point_at, tmp_path):
    point_at(sync_failed_aws)
    out, incidents = tmp_path / "out.ipynb", tmp_path / "incidents"
    command = [
        "papermill",
        str(template),
        str(out),
        "-p",
        "severity",
        "SEV1",
        "-p",
        "incidents",
        str(incidents),
    ]
    subprocess.run(
        [sys.executable, "-m", *command, "--no-progress-bar"], check=True, capture_output=True, timeout=280
    )
    record = notebook.read_record(out)
    assert record["severity"] == "SEV1"
    assert record["sync"]["newest_status"] in ("FAILED", "INCOMPLETE")
    assert record["unavailable"] == {}
    assert (incidents / record["id"] / "journal.jsonl").is_file()
    assert not [
        o for c in nbformat.read(out, 4).cells for o in c.get("outputs", ()) if o.output_type == "error"
    ]


@pytest.mark.slow
@pytest.mark.notebooks
def test_plain_papermill_rolls_back_when_approved(template, start_local_aws, point_at, tmp_path):
    point_at(start_local_aws("sync-failed"))
    out, incidents = tmp_path / "out.ipynb", tmp_path / "incidents"
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(template),
        str(out),
        "--no-progress-bar",
        "-p",
        "incidents",
    ]
    command += [str(incidents), "-p", "approve", "rollback"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    texts = {
        cell.id: "".join(str(o.get("data", {}).get("text/plain", "")) for o in cell.outputs)
        for cell in nbformat.read(out, 4).cells
        if cell.cell_type == "code"
    }
    assert texts["rollback"].startswith("Restored: 128 objects.")
    assert "128 objects as planned" in texts["verification"]


@pytest.mark.slow
@pytest.mark.notebooks
def test_a_denied_permission_costs_its_own_section_alone(start_local_aws, point_at, tmp_path):
    from vmqlib.runbook.opening import page_to_record
    from vmqlib.settings import Settings

    aws = start_local_aws("sync-failed")
    point_at(aws)
    aws.faults.add("logs", status=400, code="AccessDeniedException", message="not authorized")
    record = page_to_record(Settings.load(incidents=tmp_path / "incidents"), trigger="sync-failed")
    assert record.run.status == "completed"
    texts = {
        cell.id: "".join(str(o.get("data", {}).get("text/plain", "")) for o in cell.outputs)
        for cell in nbformat.read(record.run.path, 4).cells
        if cell.cell_type == "code"
    }
    assert "evidence unavailable" in texts["logs"]
    assert "logs:" in texts["logs"]
    assert "runs; the last" in texts["syncs"]
    assert "evidence unavailable" not in texts["versions"] + texts["syncs"] + texts["trigger"]
    assert set(notebook.read_record(record.run.path)["unavailable"]) == {"connector-log", "document-report"}
