"""Somebody else's Markdown as :class:`Html`: headings, emphasis, lists, tables, code, links; everything else as text.

markdown-it-py reads it (CommonMark, and tables, as CloudWatch's text widgets have them). What it would write as HTML is
not used: each element is built here, so that markup in the text, images and addresses of other schemes than http and
https stay text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vmqlib.view.base import Html, join, plain, tag

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

__all__ = ["markdown", "markdown_words"]

_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_BLOCK = "margin:0.2em 0"
_CELL = "padding:0.1em 0.6em 0.1em 0;text-align:left"
_STYLES = {
    "paragraph": _BLOCK,
    "blockquote": f"{_BLOCK};padding-left:0.8em;border-left:2px solid #ccc",
}
_ELEMENTS = {
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "strong": "strong",
    "em": "em",
    "tbody": "tbody",
    "thead": "thead",
    "tr": "tr",
    "td": "td",
    "th": "th",
    "table": "table",
}


def markdown(text: str, limit: int) -> Html:
    """``text`` as a browser shows it.

    Parameters
    ----------
    limit:
        Characters that are shown at most.
    """
    return join(_built(child) for child in _tree(plain(text, limit)).children)


def markdown_words(text: str, limit: int) -> str:
    """The same on one line, without the marks, for a terminal."""
    words = " ".join(_words(_tree(plain(text, limit))).split())
    return plain(words, limit)


def _tree(text: str) -> SyntaxTreeNode:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    # Without `html` angle brackets are text.
    return SyntaxTreeNode(MarkdownIt("commonmark", {"html": False}).enable("table").parse(text))


def _built(node: SyntaxTreeNode) -> Html:
    match node.type:
        case "text":
            return join([node.content])
        case "softbreak":
            return join(["\n"])
        case "hardbreak":
            return tag("br")
        case "code_inline":
            return tag("code", node.content)
        case "fence" | "code_block":
            return tag("div", tag("code", node.content.rstrip(), style="white-space:pre-wrap"), style=_BLOCK)
        case "hr":
            return tag("div", style="border-top:1px solid #ccc;margin:0.4em 0")
        case "image":
            return join([_words(node)])
        case "link":
            return _link(node)
        case "heading":
            # No heading of its own: the record's outline is the kit's.
            return tag("div", tag("strong", *_inside(node)), style=_BLOCK)
    if node.type in _STYLES:
        return tag("div", *_inside(node), style=_STYLES[node.type])
    if node.type in _ELEMENTS:
        return tag(_ELEMENTS[node.type], *_inside(node), style=_CELL if node.type in ("td", "th") else None)
    return join(_inside(node)) if node.children else join([_content(node)])


def _inside(node: SyntaxTreeNode) -> list[Html]:
    return [_built(child) for child in node.children]


def _link(node: SyntaxTreeNode) -> Html:
    address = _address(node)
    said = join(_inside(node))
    if not address:
        return said
    made = tag("a", said, href=address, rel="noopener noreferrer nofollow")
    host = urlsplit(address).hostname or ""
    # Where it leads is said: the words may name another place.
    return made if _words(node).strip() == address else join([made, f" ({host})"])


def _address(node: SyntaxTreeNode) -> str:
    """Where a link leads; empty where that is not a place on the web."""
    address = str(node.attrs.get("href", ""))
    try:
        parts = urlsplit(address)
        fine = (
            parts.scheme in ("http", "https")
            and _HOST.fullmatch(parts.hostname or "") is not None
            and "@" not in parts.netloc
        )
    except ValueError:
        return ""
    return address if fine else ""


def _words(node: SyntaxTreeNode) -> str:
    if node.type in ("softbreak", "hardbreak"):
        return " "
    if not node.children:
        return _content(node)
    said = "".join(_words(child) for child in node.children)
    if node.type == "link" and (address := _address(node)) and said.strip() != address:
        said += f" ({address})"
    # Blocks are told apart; what is inside a line is not.
    return f"{said} " if node.is_nested and node.type not in ("link", "strong", "em") else said


def _content(node: SyntaxTreeNode) -> str:
    return "" if node.is_root else node.content
