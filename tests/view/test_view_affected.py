"""The panel says who is hit in a few lines, says in place what was not seen, and escapes what comes from AWS."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.looks import NOW, chat, document, failed_look, job, look

from vmqlib.runbook.affected import affected as told
from vmqlib.settings import Settings
from vmqlib.view.affected import affected

BAD = NOW - timedelta(hours=2)
HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e&amp;"


def observations(name: str = "docs") -> dict:
    return {
        "resources": look(
            "resources",
            [
                {"kind": "index", "id": "i", "name": name, "status": "ACTIVE"},
                {"kind": "web-experience", "id": "w", "name": name, "status": "ACTIVE"},
            ],
        ),
        "sync-jobs": look("sync-jobs", [job("SUCCEEDED", BAD - timedelta(hours=9)), job("FAILED", BAD)]),
        "documents": look("documents", [document(f"{name}/1.md", "FAILED"), document("b/2.md")]),
        "versions": failed_look("versions"),
        "metrics": look("metrics", [*chat(BAD - timedelta(days=2), BAD, asked=8), *chat(BAD, NOW, asked=8, blocked=7)]),
    }  # fmt: skip


def test_the_lead_says_what_is_hit_with_its_figures() -> None:
    view = affected(told(observations(), Settings.load(), NOW))
    assert view.ok
    lead, *rest = view.text.splitlines()
    assert lead == (
        "1 connector affected; 1 of 2 documents fail; 0% of 16 questions had no answer, 88% were blocked."
    )
    text = "\n".join(rest)
    assert "SEV1" in text
    assert "last sync FAILED" in text
    assert "16 asked, 8.0 an hour" in text
    assert "questions before: 32 asked, 8.0 an hour" in text
    assert "docs is ACTIVE" in text
    assert "prefix docs/ | 1 documents | 1 failing | not seen changed" in text
    assert "not seen: Object versions: AccessDenied." in text
    for part in ("SEV1", "docs", "8.0 an hour", "not seen"):
        assert part in view.html.markup


@pytest.mark.parametrize("gone", ["resources", "sync-jobs", "documents", "metrics"])
def test_a_source_that_was_not_seen_is_said_in_its_place(gone) -> None:
    there = observations() | {gone: failed_look(gone)}
    view = affected(told(there, Settings.load(), NOW))
    assert view.ok
    places = {
        "resources": "web experience: not seen", "sync-jobs": "whether it is affected is not known",
        "documents": "documents: failing: not seen", "metrics": "questions since the first bad sign: not seen",
    }  # fmt: skip
    place = "connector: not seen" if gone == "sync-jobs" else places[gone]
    assert place in view.text


def test_nothing_seen_at_all_claims_nothing() -> None:
    view = affected(told({}, Settings.load(), NOW))
    assert view.text.startswith("Who is affected is not known from what was seen.")
    assert "SEV2. Whether customers are hit is not known" in view.text


def test_all_well_says_so() -> None:
    there = observations() | {
        "sync-jobs": look("sync-jobs", [job("SUCCEEDED", BAD)]),
        "documents": look("documents", [document("a/1.md")]),
        "versions": look("versions", []),
        "metrics": look("metrics", chat(NOW - timedelta(days=3), NOW, asked=8)),
    }
    view = affected(told(there, Settings.load(), NOW))
    assert view.text.startswith("Nothing that was seen is affected.")
    assert "well: 1 connector" in view.text


def test_text_from_aws_is_escaped() -> None:
    view = affected(told(observations(HOSTILE), Settings.load(), NOW))
    assert view.ok
    assert "<script>" not in view.html.markup
    assert "&lt;script&gt;" in view.html.markup
    assert not {"\x1b", "\u202e"} & set(view.html.markup + view.text)


def test_a_broken_finding_costs_its_own_section_alone() -> None:
    broken = replace(told(observations(), Settings.load(), NOW), prefixes=None)
    assert not affected(broken).ok
