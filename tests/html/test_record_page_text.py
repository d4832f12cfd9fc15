"""The page of a record, read as text: what is on it, what is folded, what is left out."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

from vmqlib.errors import BadInput, StorageError
from vmqlib.record._exporter import POLICY
from vmqlib.record.notebook import RECORD_MIME

PNG = base64.b64encode(b"\x89PNG not really").decode()
RUN = {
    "status": "failed", "what": "Code cell 1 of 2 failed with <b>.", "when": "Stopped now.", "counts": "0 of 2.",
    "hint": "Mend it.", "cell_id": "c1", "section": "", "kit": "0.1.0",
    "cells": {"completed": 0, "failed": 1, "pending": 1},
    "started_at": "2026-11-23T09:00:00Z", "ended_at": "2026-11-23T09:00:02.5Z",
}  # fmt: skip


def shown(*outputs: Any, **metadata: Any) -> Any:
    return new_code_cell("the_code()", outputs=list(outputs), metadata=metadata)


def test_the_page_has_the_policy_before_anything_else_and_no_script(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    page = page_of(save(new_markdown_cell("# T")))
    head = page[: page.index("<style>")]
    assert re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', head)
    assert POLICY.replace("'", "&#39;") in head
    assert "<script" not in page
    assert len(page) < 30_000


def test_contents_lead_to_every_section(save: Callable[..., Path], page_of: Callable[..., str]) -> None:
    page = page_of(
        save(
            new_markdown_cell("# Record\n\n## Sync history\n\ntext [back](#Sync-history)"),
            new_markdown_cell("## Sync history\n\n### Each run\n\n```\n## no heading\n```\n\n#### deep"),
            new_markdown_cell("## A <b>&</b> `B`"),
        )
    )
    contents = re.search(r"<nav.*?</nav>", page, re.DOTALL)
    assert contents
    links = re.findall(r'href="#([^"]+)">([^<]*)<', contents[0])
    assert [text for _, text in links] == ["Sync history", "Sync history", "Each run", "A &amp; B"]
    for target, _ in links:
        assert page.count(f'id="{target}"') == 1
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_code_is_folded_and_hidden_where_the_template_says(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    page = page_of(
        save(
            new_code_cell("a = '<b>'", metadata={"tags": ["hide-input"]}),
            new_code_cell("hidden_code()", metadata={"tags": ["remove-input"]}),
            new_code_cell("gone()", metadata={"tags": ["remove-cell"]}),
            new_code_cell("x = 1", metadata={"tags": ["injected-parameters"]}),
        )
    )
    assert page.count('<details class="rec-code">') == 2
    assert "<details open" not in page
    assert "&lt;b&gt;" in page
    assert "hidden_code" not in page
    assert "gone" not in page
    assert "Parameters of this run" in page


def test_pictures_keep_their_words_and_their_place(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    with_alt = new_output(
        "display_data",
        {"image/png": PNG, "text/plain": "t"},
        metadata={"image/png": {"alt": 'three "failed" <runs>'}},
    )
    without = new_output(
        "display_data", {"image/png": PNG, "text/plain": "<Figure size 640x480 with 1 Axes>"}
    )
    page = page_of(save(shown(with_alt, without)))
    assert 'alt="three &#34;failed&#34; &lt;runs&gt;"' in page
    assert 'alt="No description of this picture was given"' in page


def test_what_cannot_be_shown_safely_is_shown_as_its_text(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    script = new_output("display_data", {"application/javascript": "alert(1)", "text/plain": "a script"})
    widget = new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Dropdown()"}
    )
    program = new_output(
        "display_data", {"application/vnd.vmq.record+json": {"id": 1}, "text/plain": "for programs"}
    )
    alone = new_output("display_data", {"application/javascript": "alert(2)"})
    page = page_of(save(shown(script, widget, program, alone)))
    assert "a script" in page
    assert "Dropdown()" in page
    assert "for programs" in page
    assert "alert(" not in page


def test_printed_text_and_tracebacks_keep_their_colours_and_their_angle_brackets(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    page = page_of(
        save(
            shown(
                new_output("stream", name="stdout", text="\x1b[31m<red>\x1b[0m plain"),
                new_output("stream", name="stderr", text="warned"),
                new_output("error", ename="E", evalue="<v>", traceback=["\x1b[31mE\x1b[39m: <v>"]),
            ),
            new_raw_cell("<script>raw</script>"),
        )
    )
    assert '<span class="ansi-red-fg">&lt;red&gt;</span> plain' in page
    assert "rec-stderr" in page
    assert "&lt;v&gt;" in page
    assert "&lt;script&gt;raw" in page


def test_very_long_prints_are_cut_and_say_so(save: Callable[..., Path], page_of: Callable[..., str]) -> None:
    page = page_of(save(shown(new_output("stream", name="stdout", text="x" * 1_000_000))))
    assert "800,000 more characters are in the notebook" in page
    assert len(page) < 300_000


def test_a_failed_run_is_told_at_the_top(save: Callable[..., Path], page_of: Callable[..., str]) -> None:
    banner = new_markdown_cell("<div>the notebook's own banner</div>")
    failed = shown(papermill={"status": "failed"})
    pending = shown(papermill={"status": "pending"})
    path = save(new_markdown_cell("# Record"), failed, pending, banner, vmq={"run": RUN})
    import json

    nb = json.loads(path.read_text("utf-8"))
    nb["cells"][3]["id"] = "vmq-run-banner"
    path.write_text(json.dumps(nb), "utf-8")
    page = page_of(path)
    assert "This record is incomplete." in page
    assert "failed with &lt;b&gt;. Stopped now." in page
    assert 'href="#cell-c1"' in page
    assert 'id="cell-c1"' in page
    assert "Incomplete: a cell failed" in page
    assert page.count("Did not run") == 1
    assert "the notebook's own banner" not in page
    assert "took 2.5 s; 0 of 2 code cells" in page


def test_the_strip_at_the_top_names_the_incident(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    told = {"id": "INC-20261123-001", "severity": "SEV1", "phase": "closed", "title": "<Sync> fails"}
    record = new_output("display_data", {RECORD_MIME: told, "text/plain": "INC-20261123-001"})
    page = page_of(save(new_markdown_cell("# Incident record"), shown(record)))
    assert "<title>INC-20261123-001: &lt;Sync&gt; fails</title>" in page
    strip = page[page.index("<header") : page.index("</header>")]
    assert all(word in strip for word in ("INC-20261123-001", "SEV1", "closed"))
    cut_short = page_of(
        save(new_markdown_cell("# T"), papermill={"parameters": {"incident_id": "INC-20261123-002"}})
    )
    assert "<title>INC-20261123-002</title>" in cut_short


@pytest.mark.parametrize(
    ("unavailable", "words"),
    [({"alarms": "Denied."}, "1 of 3 sources not seen"), ({}, ""), (7, "")],
)
def test_what_was_not_seen_stands_beside_how_the_run_went(
    save: Callable[..., Path], page_of: Callable[..., str], unavailable: object, words: str
) -> None:
    told = {"id": "INC-20261123-001", "unavailable": unavailable, "evidence": {"metrics": {}, "versions": {}}}
    record = new_output("display_data", {RECORD_MIME: told, "text/plain": "INC-20261123-001"})
    page = page_of(save(shown(record), vmq={"run": {"status": "completed"}}))
    assert "Run complete</span>" in page
    chip = f'<span class="rec-chip rec-run rec-warn">{words}</span>'
    assert (chip in page) if words else ("not seen" not in page)


def test_a_notebook_without_a_heading_gets_a_title(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    page = page_of(save(new_markdown_cell("text"), name="INC-1"), title="<Title>")
    assert "<title>&lt;Title&gt;</title>" in page
    assert "<h1>&lt;Title&gt;</h1>" in page
    assert "<title>INC-1</title>" in page_of(save(new_markdown_cell("text"), name="INC-1"))


def test_the_same_notebook_gives_the_same_page(
    save: Callable[..., Path], page_of: Callable[..., str]
) -> None:
    path = save(new_markdown_cell("# A\n\n## B"), shown(new_output("stream", name="stdout", text="x")))
    assert page_of(path) == page_of(path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": []}', '{"nbformat": 4}', "\x00\xff"])
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: str) -> None:
    from vmqlib.record.html import export

    path = tmp_path / "x.ipynb"
    path.write_text(content, "latin-1")
    with pytest.raises(BadInput, match=r"x\.ipynb"):
        export(path, tmp_path / "x.html")
    with pytest.raises(BadInput, match=r"none\.ipynb"):
        export(tmp_path / "none.ipynb", tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_page_that_cannot_be_written_is_said(save: Callable[..., Path], tmp_path: Path) -> None:
    from vmqlib.record.html import export

    with pytest.raises(StorageError):
        export(save(new_markdown_cell("# T")), tmp_path / "nowhere" / "x.html")
