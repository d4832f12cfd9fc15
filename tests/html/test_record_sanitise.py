"""Nothing but harmless elements gets through, whatever is put in."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.record._sanitise import Page

PIECES = st.sampled_from(
    [
        "<script>", "</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "</svg>", "<style>",
        "</style>", "<iframe src=//evil>", "<a href='javascript:alert(1)'>", "</a>", "<b>", "</b>", "<table>",
        "<tr><td>1,234", "</table>", "<!--", "-->", "<![CDATA[", "]]>", "<div style='x:expression(1)'>", "</div>",
        "&lt;script&gt;", "&#x3c;img&#62;", "\x00", "<p id=top>", "<math><mi>", "<template>", "</template>", "<h2>a",
        "</h2>", "<a href=\"#x\">", "<noscript>", "<title>", "</title>", "<textarea>", "<plaintext>", "<", ">", "'",
        '"', "=", "text", "<base href=//evil>", "<meta http-equiv=refresh content=0;url=//evil>", "<form action=//e>",
    ]
)  # fmt: skip


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br", "hr", "col", "wbr"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack
        assert self.stack.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment got through: {data!r}")

    handle_decl = handle_pi = handle_comment


def seen(markup: str) -> Seen:
    found = Seen()
    found.feed(markup)
    found.close()
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=14).map("".join))
def test_what_comes_out_is_balanced_and_harmless(markup: str) -> None:
    found = seen(Page().clean(markup))
    assert found.stack == []
    for tag, attributes in found.tags:
        assert tag not in {
            "script",
            "style",
            "iframe",
            "svg",
            "math",
            "object",
            "form",
            "meta",
            "base",
            "template",
        }
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"srcset", "formaction", "action", "srcdoc", "ping", "background"}
            if name == "href":
                assert re.match(r"(https?://|mailto:|#)", value or "", re.IGNORECASE)
            if name == "src":
                assert (value or "").startswith("data:image/")


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_escaped_text_stays_the_same_text(text: str) -> None:
    import html

    shown = Page().clean(f"<p>{html.escape(text)}</p>")
    read: list[str] = []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_data = read.append  # type: ignore[method-assign]
    parser.feed(shown)
    parser.close()
    assert "".join(read) == html.unescape(html.escape(text))


def test_headings_get_ids_by_jupyters_convention_and_each_its_own() -> None:
    page = Page(taken=["Sync-history"])
    markup = (
        "<h2 id='evil'>Sync history</h2><h2>Sync history</h2><h3>It’s <b>on</b> &lt;fire&gt;</h3><h2></h2>"
    )
    shown = page.clean(markup, headings=True)
    assert [heading.id for heading in page.headings] == ["Sync-history-2", "Sync-history-3", "It-s-on-fire"]
    assert "evil" not in shown
    ids = re.findall(r'id="([^"]*)"', shown)
    assert len(ids) == len(set(ids)) == 4


def test_styles_that_decorate_stay_and_those_that_load_or_cover_go() -> None:
    given = (
        "color:#fff;background:url(http://evil/x);position:fixed;border-left:8px solid #D55E00;width:expression(1);"
        "top:0;z-index:9;background-image:url(x);font-weight:bold;behavior:url(x);max-width:calc(100% - 2em)"
    )
    shown = Page().clean(f"<div style='{given}'>x</div>")
    assert (
        'style="color:#fff;border-left:8px solid #D55E00;font-weight:bold;max-width:calc(100% - 2em)"'
        in shown
    )


def test_an_output_cannot_pose_as_a_part_of_the_page() -> None:
    shown = Page().clean('</div></main><div class="rec-banner ok" role="navigation" id="record">x</div>')
    assert shown == '<div class="ok">x</div>'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1,234", "number"), ("-0.5", "number"), ("12 %", "number"), ("3.1 MiB", "number"), ("7e-3", "number"),
        ("2026-11-23 09:12:05 UTC", "time"), ("2026-11-23", "time"), ("FAILED", "short"), ("a b", ""),
        ("handbook/a-long-name-of-a-document.md", ""), ("", ""),
    ],
)  # fmt: skip
def test_cells_of_tables_are_set_by_what_they_hold(text: str, kind: str) -> None:
    shown = Page().clean(f"<table><tr><td>{text}</td><td style='text-align:left'>1</td></tr></table>")
    assert (f'<td class="rec-{kind}">' in shown) if kind else (f"<td>{text}</td>" in shown)
    assert '<td class="rec-short" style="text-align:left">' in shown


def test_tables_are_wrapped_once_so_that_they_scroll() -> None:
    nested = "<table><tr><td><table><tr><td>1</td></tr></table></td></tr></table>"
    assert Page().clean(nested).count("rec-scroll") == 1


def test_links_to_elsewhere_tell_nobody_where_they_were() -> None:
    shown = Page().clean(
        '<a href="https://eu-west-1.console.aws.amazon.com/x?a=1&amp;b=2">x</a><a href="#top">t</a>'
    )
    assert shown.count('rel="noopener noreferrer"') == 1
    assert 'href="#top">' in shown


def test_a_picture_without_words_says_that_it_has_none() -> None:
    shown = Page().clean('<img src="data:image/png;base64,AAAA"><img src="http://evil/x.png" alt="<b>">')
    assert 'alt="No description of this picture was given"' in shown
    assert "evil" not in shown
    assert "&lt;b&gt;" in shown


@pytest.mark.timeout(30)
def test_half_a_megabyte_of_table_is_no_matter() -> None:
    markup = "<table>" + "<tr><td>handbook/x.md</td><td>1,234</td></tr>" * 10_000 + "</table>"
    assert Page().clean(markup).count("<tr>") == 10_000


HEAD = '<thead><tr><th>at</th><th>what</th><th>a &amp; "b"</th><th>happened</th></tr></thead>'


def test_a_cell_of_a_wide_table_has_its_columns_name_for_a_narrow_screen() -> None:
    row = "<tr><td>1</td><td>x</td><td>y</td><td>z<table><tr><td>inner</td></tr></table></td></tr>"
    more = '<tr><td colspan="2">both</td><td>y</td><td>z</td></tr>'
    shown = Page().clean(f"<table>{HEAD}<tbody>{row}{more}</tbody></table>")
    assert '<td class="rec-short" data-column="a &amp; &quot;b&quot;">y' in shown
    assert shown.count('data-column="happened"') == 2, "a cell of two columns moves the next ones on"
    assert shown.count("data-column") == 6, "neither a cell of two columns nor a table within has one"


@pytest.mark.parametrize(
    "table",
    [
        "<thead><tr><th>a</th><th>b</th><th>c</th></tr></thead><tbody><tr><td>1</td></tr></tbody>",
        "<tbody><tr><td>1</td><td>2</td><td>3</td><td>4</td></tr></tbody>",
        HEAD.replace("<th>at", '<th colspan="2">at') + "<tbody><tr><td>1</td></tr></tbody>",
        HEAD + '<tbody><tr><td rowspan="2">1</td><td>2</td></tr></tbody>',
        HEAD + '<tbody><tr><td colspan="50%">1</td><td>2</td></tr></tbody>',
    ],
)
def test_where_a_column_is_not_certain_or_few_are_there_a_cell_has_no_name(table: str) -> None:
    assert "data-column" not in Page().clean(f"<table>{table}</table>")


def test_what_a_cell_says_its_column_is_does_not_count() -> None:
    assert "mine" not in Page().clean('<table><tr><td data-column="mine">1</td></tr></table>')
