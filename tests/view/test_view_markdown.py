"""Somebody else's Markdown: what it may be, and that nothing else comes of it."""

from __future__ import annotations

import html.parser
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.view.markdown import markdown, markdown_words

ALLOWED = {
    "a": {"href", "rel"},
    "div": {"style"},
    "code": {"style"},
    "td": {"style"},
    "th": {"style"},
    **dict.fromkeys(
        ("strong", "em", "ul", "ol", "li", "br", "table", "thead", "tbody", "tr"), frozenset[str]()
    ),
}
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](//evil.example)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "[x](/relative)",
    "[x](https://vaultmesh.example@evil.example)",
    "[x](https://[)",
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    '[x](https://good.example "t\\" onmouseover=\\"alert(1)")',
    '[x](https://good.example/" onmouseover="alert(1))',
    '# <b onclick=x>\n\n**<i>**\n\n`</code><script>`\n\n```"><script>\n</code><script>\n```',
    "|<script>|b|\n|--|--|\n|<script>|[x](javascript:y)|",
    "> " * 200 + "deep",
    "[" * 500 + "](https://a.example)" * 500,
    "\x1b[31mred\u202e\x00",
]


class Elements(html.parser.HTMLParser):
    """Checks each element as it comes, and that all that is opened is closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        assert {key for key, _ in attrs} <= ALLOWED[name]
        given = dict(attrs)
        if name == "a":
            self.links.append(str(given["href"]))
            assert urlsplit(self.links[-1]).scheme in ("http", "https")
            assert given["rel"] == "noopener noreferrer nofollow"
        if name != "br":
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def test_what_it_may_say() -> None:
    text = (
        "# Sync *health*\n\nAsk in **#ops** `vmq detect`, see [the runbook](https://wiki.example/q?a=1&b=2).\n\n"
        "- one\n- two\n\n1. first\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\na < b\n```\n\n---\n<https://x.example>\n"
    )
    made = markdown(text, 1500).markup
    assert Elements(made).links == ["https://wiki.example/q?a=1&b=2", "https://x.example"]
    for part in (
        "<strong>Sync <em>health</em></strong>",
        "<strong>#ops</strong> <code>vmq detect</code>",
        ">the runbook</a> (wiki.example)",
        "<ul><li>",
        "<ol><li>",
        "<table><thead><tr>",
        "a &lt; b",
    ):
        assert part in made
    assert not {"#  ", "**", "|--", "```"} & {made[n : n + 3] for n in range(len(made))}
    words = markdown_words(text, 1500)
    assert words.startswith(
        "Sync health Ask in #ops vmq detect, see the runbook (https://wiki.example/q?a=1&b=2)."
    )
    assert "one two first a b 1 2 a < b https://x.example" in words


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_hostile_stays_text(text: str) -> None:
    links = Elements(markdown(text, 5000).markup).links
    assert all(urlsplit(link).hostname in {"good.example", "a.example"} for link in links)
    words = markdown_words(text, 5000)
    assert "\n" not in words
    assert not {"\x1b", "\u202e", "\x00"} & set(words)


@given(st.text(alphabet="<>[]()!*_`#|-\n\"'&;:/ahtps.", max_size=200))
def test_whatever_it_says(text: str) -> None:
    Elements(markdown(text, 300).markup)
    assert len(markdown_words(text, 60)) <= 60
