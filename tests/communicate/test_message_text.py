"""What messages say, in each form: whatever stands in an incident, nobody is paged and no limit is passed."""

from __future__ import annotations

import html
import html.parser
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.errors import BadInput, SettingsError
from vmqlib.record.redaction import Redactor
from vmqlib.runbook.communicate import message as messages
from vmqlib.runbook.communicate.blocks import LONGEST_TEXT, blocks, fallback_text
from vmqlib.runbook.communicate.brief import Brief
from vmqlib.runbook.communicate.documents import Document, Part, clean, parse, source
from vmqlib.runbook.communicate.message import KINDS, build, rewrite
from vmqlib.runbook.nextsteps import NextStep
from vmqlib.simulator.slackblocks import check_blocks, mentioned, shown

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PAGING = "<!channel> <!here> <@U0ABCDEF> <!subteam^S012> <https://evil.example|click> & *bold* `code` :fire:"
KNOWN = Brief(
    id="INC-20261123-001", title="Syncs fail", trigger="SyncFailed", severity="SEV2", opened_at=AT,
    channel="#ops-escalations", acknowledged_by="dana", acknowledged_at=AT, conditions=("99 documents failed.",),
    needs=(NextStep("3 Rollback", "Restore them.", "vmq rollback plan INC-20261123-001"),), next_update_at=AT,
    impact=("Answers may be missing.",), knowledge_ops="knowledge-ops@vaultmesh.io",
)  # fmt: skip

parts = st.lists(
    st.builds(
        Part, st.sampled_from(("heading", "paragraph", "item", "command")), st.text(min_size=1, max_size=5000)
    ),
    max_size=80,
)


def same(value: str) -> str:
    return value


def hostile(words: str) -> Brief:
    return replace(
        KNOWN, title=words, acknowledged_by=words, conditions=(words,), impact=(words,), content=(words,),
        not_seen=(words,), actions=(words,), done=(words,), waiting=(words,), needs=(NextStep("1", words, words),),
        say=words, severity_reason=words, closing_impact=words, closing_cause=words, closing_remediation=words,
        closing_outcome=words, closed_by=words, closed_at=AT, record_url=words, connector=words,
    )  # fmt: skip


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.add(tag)


@pytest.mark.parametrize("kind", KINDS)
class TestEveryMessage:
    def test_has_a_subject_with_the_incident_and_says_something(self, kind) -> None:
        made = build(kind, KNOWN, same)
        assert "INC-20261123-001" in made.subject
        assert len(made.text) > 100
        assert made.subject in html.unescape(made.html)
        assert check_blocks(made.slack("the record has it")["blocks"]) == ("", "")

    @pytest.mark.parametrize(
        "words",
        [
            PAGING,
            "<script>alert(1)</script><img src=x onerror=y>",
            "a\n## Fake\n- forged\n    rm -rf /\nSubject: x",
        ],
    )
    def test_lets_nothing_from_outside_become_markup_or_page_anybody(self, kind, words) -> None:
        made = build(kind, hostile(words), same)
        sent = made.slack("the record has it")
        assert mentioned(sent["text"], sent["blocks"]) == ()
        assert check_blocks(sent["blocks"]) == ("", "")
        assert Tags(made.html).names <= {
            "html", "head", "meta", "title", "body", "h1", "h2", "ul", "li", "p", "pre"
        }  # fmt: skip
        plain = build(kind, KNOWN, same).document
        assert {one.text for one in made.document.parts if one.kind == "heading"} <= {
            one.text for one in plain.parts if one.kind == "heading"
        } | {"Next update", "Next", "When"}
        assert "\n" not in made.subject

    def test_masks_secrets_and_keeps_contacts(self, kind) -> None:
        secret = "the key is AKIAIOSFODNN7EXAMPLE, jane@example.com saw it, password=hunter2hunter2"
        made = build(kind, hostile(secret), Redactor(("knowledge-ops@vaultmesh.io",)).text)
        for form in (made.subject, made.text, made.html, json.dumps(made.slack("x"))):
            assert "AKIAIOSFODNN7EXAMPLE" not in form
            assert "jane@example.com" not in form
            assert "hunter2" not in form
        if kind == "stakeholders":
            assert "knowledge-ops@vaultmesh.io" in made.text


def test_a_command_can_be_copied_from_slack_as_it_is() -> None:
    command = "aws s3 rm 's3://kb/_staging/*a & <b>*.md' --region eu-west-1"
    made = build("update", replace(KNOWN, needs=(NextStep("2", "Remove it.", command),)), same)
    (pre,) = [
        part for block in made.slack("x")["blocks"] if block["type"] == "rich_text"
        for part in block["elements"] if part["type"] == "rich_text_preformatted"
    ]  # fmt: skip
    assert pre["elements"][0]["text"] == command


@settings(max_examples=40)
@given(parts, st.text(max_size=400))
def test_no_document_passes_slacks_limits(given_parts, subject) -> None:
    document = Document(
        clean(subject).strip() or "s", tuple(Part(p.kind, clean(p.text) or "x") for p in given_parts)
    )
    made = blocks(document, "footer", "the whole of it is in the record.")
    assert check_blocks(made) == ("", "")
    text = fallback_text(document, "the whole of it is in the record.")
    assert len(text) <= LONGEST_TEXT
    assert mentioned(text, made) == ()
    whole = sum(len(part.text) for part in document.parts)
    if whole > 10_000 or any(len(part.text) > 3_000 for part in document.parts):
        assert any("the whole of it is in the record." in line for line in shown(made))


def test_a_text_that_is_cut_ends_with_whole_entities_and_says_where_the_rest_is() -> None:
    document = Document("s", tuple(Part("item", "&" * 2_000) for _ in range(20)))
    text = fallback_text(document, "see the record")
    assert len(text) <= LONGEST_TEXT
    assert text.endswith("see the record")
    assert "&" not in text.replace("&amp;", "")


written = st.builds(
    Part,
    st.sampled_from(("heading", "paragraph", "item")),
    st.from_regex(r"\A[A-Za-z][A-Za-z .,]{0,40}[a-z]\Z"),
)


@given(st.lists(written, min_size=1, max_size=8))
def test_what_a_person_edits_reads_back_as_it_was(given_parts) -> None:
    document = Document("A subject", (*given_parts, Part("command", "vmq show"), Part("item", "two\nlines")))
    assert parse(source(document)) == document


class TestEditing:
    made = build("update", KNOWN, same)

    def test_keeps_the_subject_where_none_is_written(self) -> None:
        new = rewrite(self.made, "All is well.\n- almost", same)
        assert new.subject == self.made.subject
        assert new.document.parts == (Part("paragraph", "All is well."), Part("item", "almost"))

    def test_takes_a_new_subject_and_masks_what_was_written(self) -> None:
        new = rewrite(
            self.made, "Subject: jane@example.com asks\ntoken AKIAIOSFODNN7EXAMPLE", Redactor().text
        )
        assert "jane" not in new.subject
        assert "AKIAIOSFODNN7EXAMPLE" not in new.text
        assert new.basis != self.made.basis

    @pytest.mark.parametrize("written", ["", "   \n", "Subject: x\n", "Subject:\nbody"])
    def test_refuses_what_says_nothing(self, written) -> None:
        with pytest.raises(BadInput):
            rewrite(self.made, written, same)


def test_the_digest_does_not_depend_on_when_the_next_update_is() -> None:
    later = replace(KNOWN, next_update_at=datetime(2026, 11, 23, 10, tzinfo=UTC))
    assert build("update", KNOWN, same).basis == build("update", later, same).basis
    assert build("update", KNOWN, same).basis != build("update", replace(KNOWN, say="more"), same).basis


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Subject: {{ nowhere }}\nx", "nowhere"),
        ("Subject: x\n{% if %}", "line 2"),
        ("no subject", "has no subject"),
        ("Subject: x\n{{ id.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_is_wrong_is_named(monkeypatch, tmp_path: Path, written, said) -> None:
    (tmp_path / "update.j2").write_text(written)
    monkeypatch.setattr(messages, "_folder", lambda: tmp_path)
    messages._environment.cache_clear()
    try:
        with pytest.raises(SettingsError, match=r"update\.j2") as caught:
            build("update", KNOWN, same)
        assert said in str(caught.value)
    finally:
        messages._environment.cache_clear()


def test_an_unknown_message_names_those_there_are() -> None:
    with pytest.raises(BadInput, match="no message") as caught:
        build("../../etc/passwd", KNOWN, same)
    assert "stakeholders" in caught.value.hint
