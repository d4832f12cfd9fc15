"""How a record is saved: byte for byte as nbformat would, only what changed, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.errors import CorruptRecord, StorageError
from vmqlib.record import notebook as records
from vmqlib.record._saving import NotebookText
from vmqlib.record.notebook import RECORD_MIME, read_record, render

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
OUTPUT = st.one_of(
    st.builds(lambda t: nbformat.v4.new_output("stream", name="stdout", text=t), TEXT),
    st.builds(
        lambda t: nbformat.v4.new_output("display_data", {"text/html": t, "application/x+json": {"a": t}}),
        TEXT,
    ),
    st.builds(lambda t: nbformat.v4.new_output("error", ename="E", evalue=t, traceback=t.split("\n")), TEXT),
)
CELL = st.one_of(
    st.builds(nbformat.v4.new_markdown_cell, TEXT),
    st.builds(
        lambda source, outputs: nbformat.v4.new_code_cell(source, outputs=outputs),
        TEXT,
        st.lists(OUTPUT, max_size=2),
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(CELL, max_size=4), TEXT)
def test_the_text_is_what_nbformat_writes(cells: list[Any], title: str) -> None:
    for number, cell in enumerate(cells):
        cell.id = f"c{number}"
    nb = nbformat.v4.new_notebook(cells=cells, metadata={"title": title, "signature": "x"})
    expected = nbformat.v4.writes(nb) + "\n"
    text = NotebookText()
    assert text.text(nb) == expected
    assert text.text(nb) == expected


def test_a_changed_cell_is_encoded_anew_once_it_is_said() -> None:
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="a")])
    text = NotebookText()
    text.text(nb)
    nb.cells[0].source = "2"
    text.forget(nb.cells[0])
    assert json.loads(text.text(nb))["cells"][0]["source"] == ["2"]


@pytest.mark.notebooks
def test_a_run_saves_once_for_each_code_cell(
    notebook: Callable[..., Path], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vmqlib.record import _keeper

    saves: list[int] = []
    write = _keeper.write_atomically
    monkeypatch.setattr(_keeper, "write_atomically", lambda *a, **k: (saves.append(1), write(*a, **k))[1])
    run(notebook("# Record", "1", "## Text", "2", "3"))
    assert len(saves) == 5  # before the first, before each, after the last


@pytest.mark.notebooks
def test_a_disk_that_fills_up_ends_the_run_and_keeps_the_last_whole_record(
    notebook: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[..., Any]
) -> None:
    from vmqlib.record import _keeper
    from vmqlib.record.kernel import start_kernel

    write, output = _keeper.write_atomically, tmp_path / "record.ipynb"

    def fills_up(path: Path, content: bytes, **options: bool) -> None:
        if b'"late' in content:
            raise StorageError("The disk is full.", hint="Free some space.")
        write(path, content, **options)

    monkeypatch.setattr(_keeper, "write_atomically", fills_up)
    kernel = start_kernel(warm=())
    with pytest.raises(StorageError):
        records.run(notebook('print("early")', 'print("lat" + "e")', "1"), output, {}, kernel=kernel)
    assert not kernel.alive
    record = read(output)
    assert record.states == ["completed", "running", "pending"]
    assert "not finished" in record.banner


@pytest.mark.notebooks
def test_a_folder_that_is_not_there_is_said_before_anything_runs(
    notebook: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        records.run(notebook("1"), tmp_path / "nowhere" / "record.ipynb", {})


@pytest.mark.notebooks
def test_what_the_record_says_for_programs_is_read_back(
    notebook: Callable[..., Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    bundle = {RECORD_MIME: {"id": "INC-1", "severity": "SEV2"}, "text/plain": "INC-1"}
    says = f"display({bundle!r}, raw=True)"
    record = run(notebook("# Record", says))
    assert read_record(record.path) == {"id": "INC-1", "severity": "SEV2"}
    with pytest.raises(CorruptRecord, match="holds no record"):
        read_record(notebook("1", name="other"))


RENDERED = 'incident_id: str = ""  # which incident\noffline: bool = False  # from evidence alone'


@pytest.mark.notebooks
def test_rendering_is_offline_and_out_of_reach_of_aws(
    notebook: Callable[..., Path], tmp_path: Path, read: Any
) -> None:
    template = notebook(RENDERED, 'import os\nprint(offline, os.environ["AWS_ENDPOINT_URL"])')
    output = tmp_path / "record.ipynb"
    render(template, output, {})
    assert read(output).printed(2) == "True http://127.0.0.1:9\n"


@pytest.mark.notebooks
def test_a_finished_record_is_only_replaced_by_a_finished_one(
    notebook: Callable[..., Path], tmp_path: Path, read: Any
) -> None:
    from vmqlib.errors import RunFailed

    output, page = tmp_path / "record.ipynb", tmp_path / "record.html"
    good = notebook(RENDERED, "print('good')")
    render(good, output, {}, html=page)
    before = output.read_bytes(), page.read_bytes()
    with pytest.raises(RunFailed, match=r"record\.unfinished\.ipynb"):
        render(notebook(RENDERED, "1 / 0", name="bad"), output, {}, html=page)
    assert (output.read_bytes(), page.read_bytes()) == before
    assert read(tmp_path / "record.unfinished.ipynb").run["status"] == "failed"
    result = render(good, output, {}, html=page)
    assert result.path == output
    assert not (tmp_path / "record.unfinished.ipynb").exists()


@pytest.mark.notebooks
def test_two_runs_give_the_same_notebook_but_for_times(
    notebook: Callable[..., Path], run: Callable[..., Any]
) -> None:
    from vmqlib.times import FixedClock, parse_iso

    template = notebook(RENDERED, "# Text", "x = 1", "x")
    clock = FixedClock(parse_iso("2026-11-23T09:00:00Z"))
    first = run(template, {"incident_id": "INC-1"}, clock=clock).path.read_bytes()
    assert run(template, {"incident_id": "INC-1"}, clock=clock).path.read_bytes() == first
