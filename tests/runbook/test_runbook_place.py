"""An entry in somebody else's file: once, in order, and not a byte of the rest is touched."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vmqlib.errors import BadInput
from vmqlib.runbook.runbookplace import place

MARKS = re.compile(r"<!-- vmq:incident (\S+) begin.*?-->(?:.*?)<!-- vmq:incident \1 end -->", re.DOTALL)

LINES = st.sampled_from(
    [
        "# Operations", "## Incidents", "##  incidents ##", "Incidents\n---------", "### INC by hand", "## Contacts",
        "text", "- item", "  ", "", "```", "```\n## Incidents\n```", "<!-- note -->", "    ## Incidents",
        "> ## Incidents", "| a | b |", "<div>", "~~~", "\u2028odd\x0bline\x85", "é🜚",
    ]
)  # fmt: skip
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A Markdown file as people leave it: any line ends, a BOM or none, a last line end or none."""
    parts = draw(st.lists(st.tuples(st.one_of(LINES, st.text(max_size=12)), ENDS), max_size=12))
    text = "".join(line.replace("\n", end) + end for line, end in parts)
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return (bom + text).encode("utf-8", "ignore")


IDS = st.builds(lambda day, n: f"INC-202611{day:02}-{n:03}", st.integers(1, 28), st.integers(1, 1200))
WORDS = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)


def entry(incident_id: str, words: str = "") -> list[str]:
    return [f"### {incident_id}: title", "", f"- **Impact:** {words.replace('<', '&lt;')}"]


def placed(document: bytes, incident_id: str, words: str = "") -> bytes:
    try:
        return place(document, incident_id, entry(incident_id, words))
    except BadInput as error:
        if error.hint:
            assume(False)
        raise


def added(before: bytes, after: bytes) -> bytes:
    """What was put in, which must be one piece; all the rest is there, in its order."""
    start = 0
    while start < len(before) and before[start] == after[start]:
        start += 1
    end = len(before) - start
    while end and after[-end:] != before[-end:]:
        start, end = start - 1, end + 1
        assert start >= 0, "bytes of the document were lost"
    assert after[:start] + after[len(after) - end :] == before
    return after[start : len(after) - end]


def ids_in(document: bytes) -> list[str]:
    return [found[1] for found in MARKS.finditer(document.decode())]


@given(documents(), IDS, WORDS)
@example(b"", "INC-20261101-001", "")
@example(b"# a\r\n\r\n## Incidents\r\n", "INC-20261101-001", "")
@example(b"text", "INC-20261101-001", "")
@example(b"Incidents\n---------\n", "INC-20261101-001", "")
def test_everything_else_stays_byte_for_byte(document: bytes, incident_id: str, words: str) -> None:
    after = placed(document, incident_id, words)
    piece = added(document, after)
    assert piece.count(incident_id.encode()) == 3, "begin, heading, end"
    assert place(after, incident_id, entry(incident_id, words)) == after, "the same again changes nothing"
    if document.strip(b"\xef\xbb\xbf"):
        assert (after[-1:] in b"\r\n") == (document[-1:] in b"\r\n"), "the last line end, or its absence"
    ends = set(re.findall(rb"\r\n|\n|\r", piece))
    assert ends <= (set(re.findall(rb"\r\n|\n|\r", document)) or {b"\n"}), "no line end of another kind"


@given(documents(), IDS, st.lists(WORDS, min_size=1, max_size=3))
def test_changed_words_replace_the_entry_alone(document: bytes, incident_id: str, several: list[str]) -> None:
    first = placed(document, incident_id, "first words")
    last = first
    for words in several:
        last = place(last, incident_id, entry(incident_id, words))
    assert place(last, incident_id, entry(incident_id, "first words")) == first
    assert ids_in(last) == [incident_id]


@given(documents(), st.lists(IDS, min_size=1, max_size=6, unique=True))
def test_the_newest_comes_first_whatever_the_order_of_entering(document: bytes, ids: list[str]) -> None:
    after = document
    for incident_id in ids:
        after = placed(after, incident_id)
    assert ids_in(after) == sorted(ids, key=lambda one: (one[4:12], int(one[13:])), reverse=True)
    again = after
    for incident_id in ids:
        again = place(again, incident_id, entry(incident_id))
    assert again == after


@given(documents(), IDS)
def test_a_reader_sees_it_below_its_heading(document: bytes, incident_id: str) -> None:
    tokens = MarkdownIt("commonmark").parse(placed(document, incident_id).decode("utf-8-sig"))
    headings = [
        (token.tag, tokens[number + 1].content)
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    at = headings.index(("h3", f"{incident_id}: title"))
    above = [name for tag, name in headings[:at] if tag in ("h1", "h2")]
    assert above[-1].casefold() == "incidents"


@given(st.binary(max_size=60), IDS)
def test_any_bytes_are_added_to_or_refused(document: bytes, incident_id: str) -> None:
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        with pytest.raises(BadInput, match="UTF-8"):
            place(document, incident_id, entry(incident_id))
        return
    added(document, placed(document, incident_id))


def test_a_file_is_made() -> None:
    made = place(None, "INC-20261101-001", ["### INC-20261101-001: x"]).decode()
    assert made.startswith("# Operations runbook\n\n## Incidents\n\n<!-- vmq:incident INC-20261101-001 begin")
    assert made.endswith("<!-- vmq:incident INC-20261101-001 end -->\n")


def test_it_goes_above_what_was_entered_by_hand_and_below_what_introduces_it() -> None:
    document = (
        b"## Incidents\n\nEverything that went wrong.\n\n### Old outage\n\ntext\n\n## Contacts\n\nnobody\n"
    )
    after = place(document, "INC-20261101-001", ["### INC-20261101-001: x"]).decode()
    order = [
        after.index(words) for words in ("went wrong", "INC-20261101-001: x", "Old outage", "## Contacts")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("tail", ["```\nnever closed", "<!-- never closed", "<pre>\nopen"])
def test_a_file_that_ends_inside_something_is_refused(tail: str) -> None:
    with pytest.raises(BadInput, match="never closed"):
        place(f"# a\n\n{tail}\n".encode(), "INC-20261101-001", ["### INC-20261101-001: x"])


ONE = place(None, "INC-20261101-001", ["### INC-20261101-001: x"]).decode()
END = "<!-- vmq:incident INC-20261101-001 end -->\n"


@pytest.mark.parametrize("broken", [ONE.replace(END, ""), ONE + END, ONE + ONE, END + ONE.replace(END, "")])
@pytest.mark.parametrize("incident_id", ["INC-20261101-001", "INC-20261102-001"])
def test_damaged_marks_are_refused(broken: str, incident_id: str) -> None:
    with pytest.raises(BadInput, match=r"damaged or doubled: line \d+ \(INC-20261101-001"):
        place(broken.encode(), incident_id, [f"### {incident_id}: x"])
