"""The section *Targeted resync*: what was run and uploaded, how it ended, the way back; hostile output is text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from vmqlib import view
from vmqlib.errors import CorruptRecord
from vmqlib.record.events import EvidenceRef
from vmqlib.runbook.resyncstory import ResyncStory, ScriptRun, Upload

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\x1b[31m\u202eline"


def script(**more: Any) -> ScriptRun:
    ref = EvidenceRef(
        name="script-output", file="script-output-abc.jsonl.gz", sha256="a" * 64, rows=100, bytes=1, at=AT,
        complete=more.get("complete", True), stopped="" if more.get("complete", True) else "12 lines were not kept",
    )  # fmt: skip
    known: dict[str, Any] = {
        "connector": "docs", "script": "/ops/scripts/sync.sh", "digest": "ab" * 32, "at": AT, "by": "on-call",
        "ending": "succeeded", "status": 0, "seconds": 3.0, "sentence": "sync.sh ended with exit status 0.",
        "lines": 100, "tail": ({"at": AT, "stream": "stdout", "text": EVIL},), "evidence": ref,
    }  # fmt: skip
    return ScriptRun(**{**known, **more})


def upload(**more: Any) -> Upload:
    known: dict[str, Any] = {
        "digest": "cd" * 32, "at": AT, "by": "on-call", "where": "s3://bucket/docs/", "planned": {"ADD": 2},
        "ending": "applied", "sentence": "Documents: 2 done.", "results": {"done": 2}, "verified": True,
        "undo": "vmq rollback plan INC-20261123-001 --to 2026-11-23T11:59:59Z",
    }  # fmt: skip
    return Upload(**{**known, **more})


def test_nothing_was_done() -> None:
    assert "No script was run" in str(view.targeted_resync(ResyncStory()).text)


def test_says_how_it_ended_and_how_to_go_back() -> None:
    shown = view.targeted_resync(ResyncStory((script(),), (upload(),)))
    assert shown.text.startswith("1 upload of documents; 1 script run.")
    assert "vmq rollback plan INC-20261123-001" in shown.html.markup
    assert "99 earlier lines are in evidence file script-output-abc.jsonl.gz" in shown.html.markup


def test_what_was_not_well_is_counted_and_named() -> None:
    trouble = {"key": "a.md", "action": "UPDATE", "result": "changed", "problem": "by somebody else"}
    story = ResyncStory(
        (
            script(ending="timed out", status=-15),
            script(ending="unknown", status=None, evidence=None, tail=()),
        ),
        (upload(ending="changed", troubles=(trouble,)), upload(verified=None)),
    )
    shown = view.targeted_resync(lambda: story)
    assert shown.text.startswith(
        "2 uploads of documents, 2 not wholly as planned; 2 scripts run, 2 without success."
    )
    assert "by somebody else" in shown.html.markup
    assert "timed out" in shown.html.markup


def test_output_that_was_not_kept_whole_is_said() -> None:
    assert (
        "12 lines were not kept" in view.targeted_resync(ResyncStory((script(complete=False),))).html.markup
    )


def test_hostile_output_is_text() -> None:
    shown = view.targeted_resync(
        ResyncStory((script(sentence=EVIL, script=EVIL),), (upload(where=EVIL, undo=EVIL),))
    )
    for made in (shown.html.markup, shown.text):
        assert "\x1b" not in made
        assert "\u202e" not in made
    assert "<script" not in shown.html.markup
    assert "&lt;script&gt;" in shown.html.markup


def test_a_record_that_cannot_be_read_costs_this_section_alone() -> None:
    def broken() -> ResyncStory:
        raise CorruptRecord("torn")

    assert "torn" in view.targeted_resync(broken).text


@pytest.mark.parametrize("lines", [0, 1])
def test_few_lines(lines: int) -> None:
    shown = view.targeted_resync(ResyncStory((script(lines=lines, tail=()),)))
    assert "evidence file" in shown.html.markup
