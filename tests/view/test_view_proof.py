"""The section *Proof*: what was proved, what was not, and that nothing was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vmqlib import view
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.proof import Proof
from vmqlib.runbook.proof.concluding import frame_of

AT = datetime(2026, 11, 23, 9, 12, 5, tzinfo=UTC)
INCIDENT = "INC-20261123-001"


def row(key: str, verdict: str, ok: bool | None, finding: str = "Seen.") -> dict[str, Any]:
    return {
        "key": key,
        "want": "restored",
        "verdict": verdict,
        "ok": ok,
        "finding": finding,
        "stuck": verdict == "failed",
    }


def made(*rows: dict[str, Any], **more: Any) -> Proof:
    checks = (
        CheckResult(
            "No document failed", not any(one["stuck"] for one in rows), "One failed.", mend="Mend it."
        ),
        CheckResult("A sync has taken place", True, "It SUCCEEDED."),
    )
    given: dict[str, Any] = {"incident": INCIDENT, "data_source_id": "ds", "bucket": "b", "at": AT} | more
    return Proof(executions=("exec-1",), rollback=True, keys=frame_of(rows), checks=checks, **given)


def test_nothing_was_proved_yet() -> None:
    shown = view.proof(None, INCIDENT)
    assert "Nothing was proved yet" in shown.text
    assert f"vmq sync verify --incident {INCIDENT}" in shown.text
    assert f"vmq sync verify --incident {INCIDENT}" in str(shown.html)


def test_what_failed_is_there_with_what_to_do() -> None:
    shown = view.proof(
        made(row("a.md", "failed", False, "It failed: EmptyDocument"), row("b.md", "indexed", True))
    )
    for words in (
        "Not proved",
        "a.md",
        "EmptyDocument",
        "b.md",
        "indexed",
        "Mend it.",
        f"vmq sync touch {INCIDENT} --failed",
    ):
        assert words in shown.text
        assert words in str(shown.html)


def test_a_proof_that_is_older_than_the_last_change_says_so() -> None:
    shown = view.proof(made(row("b.md", "indexed", True), stale="After it: Touched: 1 object."))
    assert "This proof is older: look again." in shown.text


def test_many_keys_are_cut_and_counted() -> None:
    shown = view.proof(made(*(row(f"doc-{number:03}.md", "indexed", True) for number in range(60))))
    assert "52 more keys" in shown.text
    assert "60 indexed" in shown.text
    assert "doc-059.md" not in shown.text
    wrong = view.proof(made(*(row(f"doc-{number:03}.md", "not seen", False) for number in range(60))))
    assert "35 more keys" in wrong.text


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script><img src=x onerror=alert(2)>.md",
        "\x1b[31mred\x1b[0m \x1b]0;title\x07 abc\u202egnp.exe\x00.md",
        "x" * 10_000,
    ],
    ids=["markup", "invisible", "long"],
)
def test_what_comes_from_outside_is_data(hostile: str) -> None:
    """Of the proof, and of the checks that it shows."""
    one = CheckResult(hostile, False, hostile, hostile, hostile)
    proof = made(row(hostile, "failed", False, hostile), stale=hostile)
    for shown in (view.checks([one]), view.proof(replace(proof, checks=(one,)))):
        markup = str(shown.html)
        assert not any(bad in markup for bad in ("<script", "<img"))
        assert not any(bad in part for bad in ("\x1b", "\u202e", "\x00") for part in (markup, shown.text))
        assert len(markup) < 40_000


@pytest.mark.parametrize("error", [ValueError("broken"), KeyError("x")])
def test_where_it_cannot_be_read_the_section_says_so(error: Exception) -> None:
    def fails() -> Proof:
        raise error

    assert view.proof(fails).ok is False  # type: ignore[union-attr]
