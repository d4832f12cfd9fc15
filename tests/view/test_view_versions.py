"""Versions in a notebook: a key's history, an incident's suspects, two versions side by side."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from vmqlib import view
from vmqlib.errors import BadInput
from vmqlib.record._sanitise import Page
from vmqlib.runbook.contents import Content
from vmqlib.runbook.keychanges import KeyChange, Since
from vmqlib.runbook.keyhistory import KeyHistory, Version
from vmqlib.runbook.promoters import Promoters
from vmqlib.runbook.suspects import Suspect, Suspects
from vmqlib.runbook.versiondiff import compare_contents
from vmqlib.view.version_diff import LONGEST_LINE, MOST_LINES


def text_of(markup: str) -> str:
    """What a reader sees of a piece of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", " ", markup))


def known(story: Any, number: int = 3, **more: Any) -> KeyHistory:
    """A key's history: a good version a day, then a bad one during the promotion."""
    days = [
        Version(f"good{n:02d}-0123456789", story.day(n), size=2000 + n, etag=f"e{n}") for n in range(number)
    ]
    bad = Version(
        "bad-0123456789", story.promoted, is_current=True, size=120, etag="x", storage_class="STANDARD"
    )
    made = KeyHistory("kb", "guides/a.md", (bad, *days[::-1]), story.now, "versions-1.jsonl.gz", **more)
    rows = story.rows["promotions"]()
    return made.promoted_by(Promoters.of_rows(rows, more.get("problem", "")))


def sides(before: str, after: str) -> Any:
    contents = [
        Content(
            "text",
            f"version {name}",
            Version(name, at=None, size=len(text), etag=name),  # type: ignore[arg-type]
            "text/markdown",
            "UTF-8 text",
            text,
            "LF",
            text,
        )
        for name, text in (("v1", before), ("v2", after))
    ]
    return compare_contents("kb", "guides/a.md", *contents)


class TestHistory:
    def test_it_tells_age_size_and_promotion(self, story: Any) -> None:
        shown = view.version_history(known(story))
        assert shown.ok
        for said in (
            "bad-012345…",
            "during the promotion of 9c1f2ab4 by ci-deploy",
            "120 B",
            "current",
            "4 versions",
        ):
            assert said in text_of(shown.html.markup)
        assert "bad-0123456789" in shown.text
        assert "S3 does not keep who wrote a version" in shown.html.markup

    def test_only_the_newest_are_shown_and_it_says_so(self, story: Any) -> None:
        shown = view.version_history(known(story, 80))
        assert "… 31 more" in shown.text
        assert "… 31 more" in text_of(shown.html.markup)

    def test_what_is_not_known_is_said(self, story: Any) -> None:
        shown = view.version_history(
            known(story, problem="Access denied: s3:ListBucket.", incomplete="it stopped")
        )
        assert "Who promoted what is not known: Access denied" in shown.html.markup
        assert "The listing is incomplete: it stopped" in shown.html.markup

    def test_what_the_kit_refuses_stands_in_its_place(self) -> None:
        def refuse() -> KeyHistory:
            raise BadInput("There is no key 'x' in kb, and never was.", hint="Did you mean 'y'?")

        shown = view.version_history(refuse)
        assert not shown.ok
        assert "What to do" in shown.html.markup
        assert "Did you mean 'y'?" in shown.text

    def test_markers_and_another_storage_class_are_words(self, story: Any) -> None:
        marker = Version("m", story.day(5), True, True)
        cold = Version("c", story.day(1), size=1, etag="e", storage_class="GLACIER", same_as="older-version")
        shown = text_of(view.version_history(KeyHistory("kb", "k", (marker, cold), story.now)).html.markup)
        for word in ("deleted", "GLACIER", "same as older-vers…", "1 version and 1 delete marker"):
            assert word in shown


class TestSuspects:
    def suspects(self, story: Any, number: int = 3) -> Suspects:
        history = known(story, number)
        bad, good = history.versions[0], history.versions[1]
        # As planned from the listing, without the promotion: it is the same version all the same.
        change = KeyChange(
            "guides/a.md",
            "rewritten",
            bad.at,
            1,
            4,
            0,
            replace(good, promoted=None),
            bad,
            promoted=bad.promoted,
        )
        one = Suspect(change, history, "InvalidEncoding: The document <name> could not be parsed.")
        return Suspects((one,), Since(story.day(15), "good"), story.now, 128, 109, "versions-1.jsonl.gz")

    def test_each_has_its_newest_versions_down_to_the_good_one(self, story: Any) -> None:
        shown = view.suspect_versions(self.suspects(story))
        seen = text_of(shown.html.markup)
        for said in (
            "128 objects had changed",
            "109 of them failed in a sync since",
            "rewritten",
            "InvalidEncoding",
            "last good",
            "… 2 more",
        ):
            assert said in seen
        assert "vmq versions --key guides/a.md --diff last-good current" in shown.text

    def test_the_good_one_is_shown_however_far_down_it_is(self, story: Any) -> None:
        found = self.suspects(story, 12)
        (one,) = found.found
        deep = replace(one, change=replace(one.change, then=one.history.versions[10]))
        shown = view.suspect_versions(replace(found, found=(deep,)))
        assert one.history.versions[10].version_id in shown.text
        assert shown.text.count("good") < 12

    def test_none_and_unknown(self) -> None:
        unknown = view.suspect_versions(Suspects(problem="Nobody has looked yet.", hint="Run it."))
        assert not unknown.ok
        assert unknown.text == "Versions of suspects: not known: Nobody has looked yet. Run it."
        assert "nothing had changed" in view.suspect_versions(Suspects()).text


class TestDiff:
    def test_signs_say_what_colours_say(self) -> None:
        shown = view.version_diff(sides("same\nold word\ngone\n", "same\nnew word\n"))
        markup = shown.html.markup
        assert "2 −" in text_of(markup)
        assert "2 +" in text_of(markup)
        assert re.search(r"<del [^>]*>old</del>", markup)
        assert re.search(r"<ins [^>]*>new</ins>", markup)
        assert "-old word\n-gone\n+new word" in shown.text

    def test_equal_lines_are_left_out_and_counted(self) -> None:
        lines = [f"line {n}\n" for n in range(50)]
        shown = view.version_diff(sides("".join(lines), "".join(lines) + "more\n"))
        assert "⋯ 47 equal lines ⋯" in shown.html.markup
        assert "line 46" not in shown.html.markup

    def test_many_changes_are_capped_and_the_rest_is_said(self) -> None:
        before = "".join(f"old {n}\n" for n in range(500))
        shown = view.version_diff(sides(before, before.replace("old", "new")))
        assert shown.html.markup.count("<tr>") == MOST_LINES + 1
        assert (
            f"{500 - MOST_LINES} added lines and {500 - MOST_LINES} removed lines more" in shown.html.markup
        )
        assert "vmq versions --key guides/a.md --diff v1 v2" in shown.html.markup
        assert "All of it" in shown.text

    def test_a_long_line_is_shown_around_its_change(self) -> None:
        before = "a " * 50_000 + "old" + " b" * 50_000
        shown = view.version_diff(sides(before, before.replace("old", "new")))
        seen = text_of(shown.html.markup)
        assert "old" in seen
        assert "new" in seen
        assert "more characters" in seen
        assert len(seen) < 4 * LONGEST_LINE
        assert max(map(len, shown.text.splitlines())) <= LONGEST_LINE

    def test_markup_and_escapes_in_a_text_stay_text(self) -> None:
        shown = view.version_diff(sides("<script>x</script>\n", "<script>y</script>\x1b[31m\u202e\n"))
        assert "<script" not in shown.html.markup
        assert "␛[31m<U+202E>" in re.sub(r" +", "", text_of(shown.html.markup))
        assert "\x1b" not in shown.text

    def test_the_page_of_a_record_keeps_all_of_it(self) -> None:
        shown = view.version_diff(sides("same\nold word\n", "same\nnew word\nmore\n"))
        cleaned = Page().clean(shown.html.markup)
        assert text_of(cleaned).split() == text_of(shown.html.markup).split()
        for kept in (
            "<del",
            "<ins",
            "<colgroup",
            "white-space:pre-wrap",
            "table-layout:fixed",
            "text-decoration",
        ):
            assert kept in cleaned

    @pytest.mark.parametrize("state", ["binary", "too large"])
    def test_without_lines_both_sides_are_described(self, story: Any, state: Any) -> None:
        contents = [
            Content(
                state,
                f"v{n}",
                Version(f"v{n}", story.day(n), size=n * 1000, etag=f"e{n}"),
                "image/png",
                "PNG picture",
            )
            for n in (1, 2)
        ]
        seen = text_of(view.version_diff(compare_contents("kb", "a.png", *contents)).html.markup)
        for said in ("1,000 bytes of PNG picture", "changed by +1,000 bytes", "image/png", "e1", "e2"):
            assert said in seen

    def test_what_cannot_be_read_is_said_and_not_ok(self, story: Any) -> None:
        sealed = Content(
            "unreadable",
            "v1",
            Version("v1", story.day(1), size=1),
            problem="it is archived",
            hint="Ask.",
            code="archived",
        )
        gone = Content("not there", "v2", problem="it was deleted", code="deleted")
        shown = view.version_diff(compare_contents("kb", "a", sealed, gone))
        assert not shown.ok
        assert "it is archived" in shown.text
        assert "Before: Ask." in shown.text

    def test_the_same_texts_say_so(self) -> None:
        shown = view.version_diff(sides("a\n", "a\n"))
        assert "the same, byte by byte" in shown.text


def test_ages_are_told_from_the_moment_of_the_look(story: Any) -> None:
    made = known(story)
    later = replace(made, as_of=made.as_of + timedelta(days=30))
    assert view.version_history(made).html != view.version_history(later).html
