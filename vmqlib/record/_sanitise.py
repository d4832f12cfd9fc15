"""HTML in, harmless HTML out, with the few things added that a page of the record needs.

Cell outputs are built by :mod:`vmqlib.view`, which escapes; Markdown is the template's. This is the second
line: what reaches the page is written anew from a short list of elements and attributes, every text
escaped, so that nothing that slipped through can run, load, navigate, submit, restyle the page or pose as a
part of it. The page's Content-Security-Policy is the third.

While it writes, it gives headings their ids and collects them for the table of contents, wraps tables so
that they scroll, and marks cells that hold a number.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Heading", "Page"]

_ELEMENTS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "wbr",
    ]
)
_VOID = frozenset(("br", "col", "hr", "img", "wbr"))
_SWALLOWED = frozenset(
    [
        "applet",
        "audio",
        "button",
        "canvas",
        "embed",
        "frame",
        "frameset",
        "iframe",
        "math",
        "noembed",
        "noframes",
        "noscript",
        "object",
        "plaintext",
        "script",
        "select",
        "style",
        "svg",
        "template",
        "textarea",
        "title",
        "video",
        "xmp",
    ]
)
"""Elements that go with all they hold: their content is not text."""

_ATTRIBUTES = frozenset(
    [
        "align",
        "alt",
        "aria-hidden",
        "aria-label",
        "class",
        "colspan",
        "datetime",
        "dir",
        "height",
        "href",
        "lang",
        "open",
        "role",
        "rowspan",
        "scope",
        "src",
        "span",
        "start",
        "style",
        "title",
        "valign",
        "width",
    ]
)
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"'\\]+|#[^\s<>\"'\\]*", re.IGNORECASE)
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
_CLASS = re.compile(r"(?!rec-)[A-Za-z][\w-]{0,40}")
_ROLES = frozenset(("alert", "note", "img", "list", "listitem", "presentation", "region", "status", "table"))
_STYLES = re.compile(
    r"(?:color|background|background-color|opacity|border(?:-[a-z-]+)?|padding(?:-[a-z]+)?|margin(?:-[a-z]+)?|"
    r"(?:min-|max-)?(?:width|height)|box-sizing|text-[a-z-]+|vertical-align|white-space|word-break|overflow(?:-[a-z]+)?|"
    r"font(?:-[a-z-]+)?|line-height|letter-spacing|list-style(?:-[a-z]+)?|display|flex(?:-[a-z]+)?|grid-[a-z-]+|gap|"
    r"(?:row|column)-gap|align-[a-z]+|justify-[a-z]+|float|clear|table-layout)"
)
_VALUE = re.compile(
    r"(?:[\w\s.,#%+\-'\"]|(?:rgb|rgba|hsl|hsla|calc|minmax|repeat)\([\w\s.,%+\-*/]*\))+(?:!important)?"
)
_NUMBER = re.compile(
    r"[-+−]?(?:\d{1,3}(?:[, ]\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?\s?(?:%|s|ms|h|min|d|[kMGT]i?B|B)?"
)
_WIDE = 4  # columns: fewer fit on a phone
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?UTC|Z|[+-]\d\d:\d\d)?)?")
_SKIPPED_IN_IDS = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Heading:
    """A heading of the page.

    Parameters
    ----------
    level:
        1 to 6.
    text:
        Its text.
    id:
        Its id, unlike every other on the page.
    """

    level: int
    text: str
    id: str


class Page:
    """Sanitises the pieces of one page, in the page's order, so that its ids are unique.

    Parameters
    ----------
    taken:
        Ids that the page's own parts have.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.headings: list[Heading] = []
        self._taken = set(taken)

    def clean(self, markup: str, *, headings: bool = False) -> str:
        """``markup``, harmless.

        Parameters
        ----------
        markup:
            HTML of any kind.
        headings:
            Whether its headings belong into the table of contents.
        """
        writer = _Writer(self, headings)
        writer.feed(markup)
        writer.close()
        return writer.finish()

    def note(self, level: int, text: str, *, listed: bool) -> str:
        """An id for a heading; by Jupyter's convention its text with dashes for spaces, so that links to it work."""
        stem = _SKIPPED_IN_IDS.sub("-", text).strip("-")[:60] or "section"
        name, number = stem, 2
        while name in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name)
        if listed:
            self.headings.append(Heading(level, text, name))
        return name


class _Writer(HTMLParser):
    def __init__(self, page: Page, headings: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._page = page
        self._listed = headings
        self._out: list[str] = []
        self._open: list[str] = []
        self._swallowing: list[str] = []
        self._marks: list[tuple[str, int]] = []
        self._tables: list[_Columns] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._swallowing:
            if tag in _SWALLOWED:
                self._swallowing.append(tag)
            return
        if tag in _SWALLOWED:
            if tag not in ("embed", "frame"):
                self._swallowing.append(tag)
            return
        if tag not in _ELEMENTS:
            return
        if tag == "table" and "table" not in self._open:
            self._out.append('<div class="rec-scroll" role="region" aria-label="Table" tabindex="0">')
        given = _attributes(tag, attrs)
        self._place(tag, given)
        if tag == "img" and "src" not in given:
            self._out.append(
                f'<span class="rec-noimage">{html.escape(given.get("alt", "image left out"))}</span>'
            )
            return
        if tag in ("td", "th", "h1", "h2", "h3", "h4", "h5", "h6"):
            self._marks.append((tag, len(self._out)))
        self._out.append(_start(tag, given))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._swallowing:
            if tag in self._swallowing:
                while self._swallowing.pop() != tag:
                    pass
            return
        if tag in self._open and tag in _ELEMENTS:
            while self._close_one() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._swallowing:
            self._out.append(html.escape(data, quote=False))

    def finish(self) -> str:
        while self._open:
            self._close_one()
        return "".join(self._out)

    def _close_one(self) -> str:
        tag = self._open.pop()
        if self._marks and self._marks[-1][0] == tag:
            self._finish_marked(tag, self._marks.pop()[1])
        self._out.append(f"</{tag}>")
        if tag == "table" and self._tables:
            self._tables.pop()
        if tag == "table" and "table" not in self._open:
            self._out.append("</div>")
        return tag

    def _place(self, tag: str, given: dict[str, str]) -> None:
        """Keeps count of a table's columns, and names a cell's: on a phone it stands below the one before it."""
        if tag == "table":
            self._tables.append(_Columns())
        if not self._tables:
            return
        table = self._tables[-1]
        if tag == "tr":
            table.at = 0
        elif tag in ("td", "th"):
            spans = given.keys() & {"colspan", "rowspan"}
            if tag == "td" and not spans and (name := table.name()):
                given["data-column"] = name
            table.at += int(given.get("colspan", "1").rstrip("%"))
            table.plain = table.plain and not (spans if "thead" in self._open else spans & {"rowspan"})

    def _finish_marked(self, tag: str, at: int) -> None:
        text = html.unescape(re.sub(r"<[^>]*>", "", "".join(self._out[at + 1 :])))
        text = " ".join(text.split())
        if tag == "th":
            if self._tables and "thead" in self._open:
                self._tables[-1].heads.append(text)
            return
        if tag == "td":
            self._out[at] = _marked_cell(self._out[at], text)
            return
        listed = self._listed and bool(text)
        name = self._page.note(int(tag[1]), text, listed=listed)
        self._out[at] = f'<{tag} id="{html.escape(name)}"{self._out[at][3:]}'


@dataclass
class _Columns:
    """A table's columns, as far as it was read: their names, how many of this row came before, and whether each name
    and each row stands for itself."""

    heads: list[str] = field(default_factory=list)
    at: int = 0
    plain: bool = True

    def name(self) -> str:
        """The next cell's column; empty in a table that is narrow, or of which that is not certain."""
        wide = self.plain and len(self.heads) >= _WIDE
        return self.heads[self.at] if wide and self.at < len(self.heads) else ""


def _marked_cell(start: str, text: str) -> str:
    """The start of a table's cell, with a class when it holds a number, a time or one short word."""
    kind = "rec-number" if _NUMBER.fullmatch(text) else "rec-time" if _TIME.fullmatch(text) else ""
    kind = kind or ("rec-short" if 0 < len(text) <= 22 and " " not in text else "")
    if kind == "rec-number" and "text-align" in start:
        kind = "rec-short"
    if not kind or "class=" in start:
        return start
    return f'<td class="{kind}"{start[3:]}'


def _start(tag: str, attributes: dict[str, str]) -> str:
    return "<" + tag + "".join(f' {k}="{html.escape(v)}"' for k, v in attributes.items()) + ">"


def _attributes(tag: str, attrs: list[tuple[str, str | None]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in attrs:
        if name in _ATTRIBUTES and name not in given:
            kept = _value(tag, name, value or "")
            if kept is not None:
                given[name] = kept
    if tag == "a" and given.get("href", "#")[:1] != "#":
        given |= {"rel": "noopener noreferrer", "target": "_blank"}
    if tag == "img":
        given.setdefault("alt", "No description of this picture was given")
    return given


def _value(tag: str, name: str, value: str) -> str | None:
    match name:
        case "href":
            return value if tag == "a" and _LINK.fullmatch(value.strip()) else None
        case "src":
            return value if tag == "img" and _IMAGE.fullmatch(value) else None
        case "class":
            return " ".join(part for part in value.split() if _CLASS.fullmatch(part)) or None
        case "style":
            return _style(value)
        case "role":
            return value if value in _ROLES else None
        case "width" | "height" | "colspan" | "rowspan" | "span" | "start":
            return value if re.fullmatch(r"\d{1,5}%?", value) else None
    return value


def _style(value: str) -> str | None:
    kept = []
    for declaration in value.split(";"):
        name, _, given = (part.strip() for part in declaration.partition(":"))
        if _STYLES.fullmatch(name.lower()) and _VALUE.fullmatch(given):
            kept.append(f"{name}:{given}")
    return ";".join(kept) or None
