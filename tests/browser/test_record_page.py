"""The page of a record in Chromium: nothing runs, nothing is asked for, everything can be read."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from vmqlib.record.html import export

if TYPE_CHECKING:
    from playwright.sync_api import Page

MARK = "document.documentElement.dataset.ran='1'"

CORPUS = [
    f"<script>{MARK}</script>",
    f"<img src=x onerror=\"{MARK}\">",
    f"<svg onload=\"{MARK}\"><script>{MARK}</script></svg>",
    f"<svg><animate onbegin=\"{MARK}\" attributeName=x></svg>",
    f"<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror={MARK}&gt;\">",
    f"<iframe srcdoc=\"<script>parent.{MARK}</script>\"></iframe>",
    f"<iframe src=\"javascript:parent.{MARK}\"></iframe>",
    f"<a href=\"javascript:{MARK}\" id=bait>click</a>",
    f"<a href=\"&#106;avascript:{MARK}\">click</a>",
    f"<details open ontoggle=\"{MARK}\">x</details>",
    f"<body onload=\"{MARK}\">",
    f"<input autofocus onfocus=\"{MARK}\">",
    f"<object data=\"data:text/html,<script>{MARK}</script>\"></object>",
    f"<noscript><p title=\"</noscript><img src=x onerror={MARK}>\"></noscript>",
    f"<textarea></textarea><script>{MARK}</script>",
    f"</div></main></body></html><script>{MARK}</script>",
    f"<x onclick=\"{MARK}\" style=\"position:fixed;inset:0\">cover</x>",
    "<meta http-equiv=\"refresh\" content=\"0;url=http://evil.example/\">",
    "<base href=\"http://evil.example/\"><link rel=stylesheet href=\"http://evil.example/x.css\">",
    "<link rel=preload as=image href=\"http://evil.example/p.png\"><link rel=dns-prefetch href=\"//evil.example\">",
    "<img src=\"http://evil.example/track.png\"><img srcset=\"http://evil.example/2.png 2x\">",
    "<div style=\"background:url(http://evil.example/bg.png)\">x</div>",
    "<style>@import url(http://evil.example/i.css); body{background:url(http://evil.example/b.png)}</style>",
    "<video src=\"http://evil.example/v\" poster=\"http://evil.example/p\"></video>",
    "<form action=\"http://evil.example/\"><button id=send>Sign in</button></form>",
    "<table background=\"http://evil.example/t.png\"><tr><td>1</td></tr></table>",
]  # fmt: skip


def figure() -> str:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.5, 3))
    drawn.subplots().plot([1, 3, 2])
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    def make(*cells: Any) -> Path:
        source = tmp_path / "record.ipynb"
        for number, cell in enumerate(cells):
            cell["id"] = f"c{number}"
        source.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=list(cells))), "utf-8")
        return export(source, tmp_path / "record.html")

    return make


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Every address that the page asked for, its own excepted."""
    seen: list[str] = []
    page.context.on(
        "request", lambda r: seen.append(r.url) if not r.url.startswith(("file://", "data:")) else None
    )
    return seen


def test_nothing_that_a_cell_put_out_or_wrote_runs_or_leaves(
    record: Callable[..., Path], page: Page, asked: list[str]
) -> None:
    mermaid = f'```mermaid\ngraph TD; A["<img src=x onerror={MARK}>"]\n```'
    cells = [new_markdown_cell("# Corpus"), new_markdown_cell(mermaid)]
    for piece in CORPUS:
        cells.append(new_markdown_cell(f"before\n\n{piece}\n\nafter"))
        bundles: list[dict[str, Any]] = [
            {"text/html": piece},
            {"text/markdown": piece},
            {"text/plain": piece},
            {"text/latex": piece},
            {"application/javascript": MARK, "text/plain": "a script"},
            {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'><script>{MARK}</script></svg>"},
        ]
        outputs = [new_output("display_data", bundle) for bundle in bundles]
        outputs.append(new_output("stream", name="stdout", text=piece))
        outputs.append(new_output("error", ename=piece, evalue=piece, traceback=[piece]))
        cells.append(new_code_cell(piece, outputs=outputs))
    path = record(*cells)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    for link in page.get_by_text("click", exact=True).all():
        link.click()
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.dataset.ran") is None
    assert page.url == path.as_uri()
    assert asked == []
    assert dialogs == []
    assert len(page.context.pages) == 1
    assert page.locator("script, iframe, object, form, input, button, video, style ~ style").count() == 0
    assert page.locator("main.rec-main .rec-cell").count() == len(CORPUS)
    # What was text is there as text.
    assert page.get_by_text(f"<script>{MARK}</script>", exact=True).count() >= 3


def test_even_a_script_that_got_into_the_file_would_not_run(
    record: Callable[..., Path], page: Page, asked: list[str]
) -> None:
    path = record(new_markdown_cell("# T"))
    smuggled = f"<script>{MARK}</script><img src='http://evil.example/x.png' onerror=\"{MARK}\">"
    path.write_text(path.read_text("utf-8").replace("<main", smuggled + "<main"), "utf-8")
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.dataset.ran") is None
    assert any("Content Security Policy" in text for text in blocked)


@pytest.fixture
def ordinary(record: Callable[..., Path]) -> Path:
    picture = {"image/png": figure(), "text/plain": "three points"}
    alt = {"image/png": {"alt": "Two of three runs failed."}}
    wide = "<table><tr>" + "<td>handbook/a-long-name-of-a-document.md</td>" * 12 + "</tr></table>"
    cells = [new_markdown_cell("# INC-20261123-001\n\nText.")]
    for name in ("Sync history", "Failing documents", "Log summary", "Next steps"):
        cells.append(new_markdown_cell(f"## {name}\n\ntext"))
        outputs = [
            new_output("display_data", picture, metadata=alt),
            new_output("display_data", {"text/html": wide}),
        ]
        outputs.append(new_output("stream", name="stdout", text="line\n" * 10))
        cells.append(new_code_cell("print('the code')", outputs=outputs))
    return record(*cells)


def test_the_contents_lead_there_and_code_unfolds_without_scripts(
    ordinary: Path, page: Page, asked: list[str]
) -> None:
    page.goto(ordinary.as_uri())
    assert page.title() == "INC-20261123-001"
    for link in page.locator("nav a").all():
        link.click()
        target = page.locator(":target")
        assert target.inner_text() == link.inner_text()
        assert target.evaluate("e => e.getBoundingClientRect().top") < 900
    code = page.locator("details.rec-code pre").first
    assert not code.is_visible()
    page.locator("details.rec-code summary").first.click()
    assert code.is_visible()
    assert [image.get_attribute("alt") for image in page.locator("img").all()] == [
        "Two of three runs failed."
    ] * 4
    assert all(page.locator("img").evaluate_all("all => all.map(i => i.naturalWidth > 0)"))
    assert asked == []
    assert ordinary.stat().st_size < 600_000


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_the_page_fits_every_screen(ordinary: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(ordinary.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contents = page.locator("nav.rec-toc").bounding_box()
    assert contents
    if width >= 1024:  # beside the text, and it stays there
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(100)
        stayed = page.locator("nav.rec-toc").bounding_box()
        assert stayed
        assert stayed["y"] >= 0
        assert contents["width"] < 300


def test_the_page_prints_on_a4_without_its_code(ordinary: Path, page: Page) -> None:
    page.goto(ordinary.as_uri())
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    assert page.locator("details.rec-code:visible").count() == 0
    assert page.locator("nav.rec-toc").is_visible()
    assert (
        page.evaluate("document.documentElement.scrollWidth") <= 720
    )  # wide tables break instead of being cut off
    pdf = page.pdf(prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
    assert pdf.startswith(b"%PDF")
    boxes = set(__import__("re").findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf))
    assert {tuple(round(float(n)) for n in box.split()) for box in boxes} == {(0, 0, 595, 842)}


# Where a line of a key ends within a name, and not after what separates names.
_BROKEN = """() => [...document.querySelectorAll('td code')].flatMap(code => {
    const found = [], range = document.createRange();
    let before = null;
    for (const text of code.childNodes) for (let i = 0; i < (text.length || 0); i++) {
        range.setStart(text, i); range.setEnd(text, i + 1);
        const top = range.getBoundingClientRect().top;
        if (before && top > before.top + 4 && /[A-Za-z0-9]/.test(before.letter)) found.push(code.textContent);
        before = {top, letter: text.data[i]};
    }
    return found;
})"""


def test_a_key_is_broken_between_its_names_alone(record: Callable[..., Path], page: Page) -> None:
    """A wide table squeezes its columns: "backup.md" stays whole, and no column falls out of the page."""
    from vmqlib.view.base import Html, join, tag
    from vmqlib.view.layout import Column, name, place, short, stacked, table

    def both(key: str) -> Html:
        return join([tag("div", name(key)), tag("div", place(f"s3://kb/{key}"))])

    keys = ["policies/backup.md", "services/watchtower/overview.md", "policies/change-management.md"]
    columns = [
        Column("error"), Column("documents", right=True), Column("failures", right=True),
        Column("first and last seen (UTC)", stacked), Column("examples", both),
    ]  # fmt: skip
    times = [short("2026-11-28T04:18:44Z")] * 2
    rows = [["The document could not be parsed. " * 6, "73", "219", times, key] for key in keys]
    shown = table(columns, rows).markup
    made = record(
        new_markdown_cell("# INC-20261123-001\n\nText."),
        new_markdown_cell("## Failing documents\n\ntext"),
        new_code_cell("x", outputs=[new_output("display_data", {"text/html": shown})]),
    )
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(made.as_uri())
    assert page.evaluate(_BROKEN) == []
    assert page.locator("td code").all_inner_texts() == [key for key in keys for _ in range(2)]
    widths = "() => [...document.querySelectorAll('.rec-scroll')].map(e => [e.scrollWidth, e.clientWidth])"
    assert all(needed <= there + 1 for needed, there in page.evaluate(widths))
