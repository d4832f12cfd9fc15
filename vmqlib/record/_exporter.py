"""The nbconvert exporter of a record: prepares what the template ``incident`` shows."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from markupsafe import Markup
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer
from traitlets.config import Config

from vmqlib.record._outcome import BANNER_ID, incident_of
from vmqlib.record._sanitise import Heading, Page
from vmqlib.record.notebook import RECORD_MIME
from vmqlib.times import duration, parse_iso, show_time

__all__ = ["POLICY", "RecordExporter"]

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""The page's Content-Security-Policy."""

_OWN_IDS = ("top", "contents", "run-banner")
_REMOVED = frozenset(("remove-cell", "remove_cell"))
_NO_CODE = frozenset(("remove-input", "remove_input"))
_NO_OUTPUT = frozenset(("remove-output", "remove_output"))
_RECORD = "incident record"
_LONGEST_TEXT = 200_000
"""Characters of one printed output that are shown; the notebook has the whole."""

_STATES = {
    "": ("plain", "Run state unknown"),
    "completed": ("good", "Run complete"),
    "running": ("warn", "Not finished"),
    "failed": ("bad", "Incomplete: a cell failed"),
    "exited": ("bad", "Incomplete: a cell ended the run"),
    "timed-out": ("bad", "Incomplete: out of time"),
    "kernel-died": ("bad", "Incomplete: the kernel died"),
    "interrupted": ("bad", "Incomplete: interrupted"),
}


class RecordExporter(TemplateExporter):
    """Makes the page of a record.

    Parameters
    ----------
    templates:
        The folder that holds the template's folder ``incident``.
    """

    export_from_notebook = "Incident record"
    output_mimetype = "text/html"

    def __init__(self, templates: Path, **options: Any) -> None:
        config = Config()
        config.RecordExporter.extra_template_basedirs = [str(templates)]
        config.RecordExporter.default_preprocessors = []
        super().__init__(  # type: ignore[no-untyped-call]
            config=config, file_extension=".html", template_name="incident", **options
        )

    def prepare(self) -> None:
        """Reads the template, with every value escaped that is not said to be markup."""
        self.environment.autoescape = True
        self.template  # noqa: B018 - read for its effect
        _python()
        _markdown("", {})

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: Any = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of ``nb``. ``resources`` may hold a ``title``."""
        self.prepare()
        cells = [
            c for c in nb.cells if c.get("id") != BANNER_ID and not _REMOVED & set(c.metadata.get("tags", ()))
        ]
        anchors = {f"cell-{cell.get('id', number)}" for number, cell in enumerate(cells)}
        page = Page(taken=(*_OWN_IDS, *anchors))
        shown = [_shown(cell, f"cell-{cell.get('id', number)}", page) for number, cell in enumerate(cells)]
        about = dict(resources or {})
        incident = _incident(nb)
        first = next((heading for heading in page.headings if heading.level == 1), None)
        about |= {
            "policy": POLICY,
            "cells": shown,
            "toc": _contents(page.headings),
            "run": _run(nb),
            "heading": first,
            "incident": incident,
            "kind": _kind(nb),
        }
        heading = first.text if first else about.get("metadata", {}).get("name", "")
        named = ": ".join(incident[part] for part in ("id", "title") if incident[part])
        named = f"{named} · {about['kind']}" if named and about["kind"] != _RECORD else named
        about["title"] = about.get("title") or named or heading
        bare = type(nb)(cells=[], metadata={}, nbformat=nb.nbformat, nbformat_minor=nb.nbformat_minor)
        body, found = super().from_notebook_node(bare, about, **options)
        return str(body), found


def _kind(nb: Any) -> str:
    """What the page is: the template says so, in plain words, where it is not the record itself."""
    kind = str(nb.metadata.get("vmq_page", ""))
    return kind if re.fullmatch(r"[a-z][a-z -]{0,40}", kind) else _RECORD


def _incident(nb: Any) -> dict[str, str]:
    """What the record says of its incident, for the strip at the top; a record that was cut short has its id alone."""
    outputs = (output for cell in nb.cells for output in cell.get("outputs", ()))
    records = [output.data[RECORD_MIME] for output in outputs if RECORD_MIME in output.get("data", {})]
    told = records[-1] if records and isinstance(records[-1], Mapping) else {}
    found = {name: str(told.get(name) or "") for name in ("id", "title", "severity", "phase")}
    found["unseen"] = _unseen(told)
    return found | {"id": found["id"] or incident_of(nb.metadata)}


def _unseen(told: Mapping[str, Any]) -> str:
    """How many sources were not seen: a run that went through may still have had little to show."""
    given = (told.get(name) for name in ("unavailable", "evidence"))
    lost, kept = (one if isinstance(one, Mapping) else {} for one in given)
    total = len({*lost, *kept})
    return f"{len(lost)} of {total} source{'' if total == 1 else 's'} not seen" if lost else ""


def _run(nb: Any) -> dict[str, Any]:
    """How the run went, for the chip at the top, the banner and the last line."""
    run = (nb.metadata.get("vmq") or {}).get("run") or {}
    status = str(run.get("status", ""))
    kind, label = _STATES.get(status, ("plain", status))
    shown: dict[str, Any] = {"status": status, "kind": kind, "label": label, "took": "", "when": ""}
    if status not in ("", "completed"):
        shown["sentences"] = [
            f"{run.get('what', '')} {run.get('when', '')}".strip(),
            run.get("counts"),
            run.get("hint"),
        ]
        shown["cell"] = f"cell-{run['cell_id']}" if run.get("cell_id") else ""
    if run.get("started_at"):
        began = parse_iso(str(run["started_at"]))
        shown["when"] = show_time(began)
        if run.get("ended_at"):
            took = parse_iso(str(run["ended_at"])) - began
            short = took < timedelta(seconds=10)
            shown["took"] = f"{took.total_seconds():.1f} s" if short else duration(took)
    cells = run.get("cells") or {}
    shown["cells"] = f"{cells.get('completed', 0)} of {sum(cells.values())}" if cells else ""
    shown["kit"] = str(run.get("kit", ""))
    return shown


def _contents(headings: list[Heading]) -> list[dict[str, Any]]:
    """Entries of the table of contents, two levels deep; the title is not one of them."""
    levels = sorted({heading.level for heading in headings if heading.level > 1})[:2]
    entries: list[dict[str, Any]] = []
    for heading in headings:
        if heading.level not in levels:
            continue
        entry = {"id": heading.id, "text": heading.text, "inner": []}
        if heading.level == levels[0] or not entries:
            entries.append(entry)
        else:
            entries[-1]["inner"].append(entry)
    return entries


def _shown(cell: Any, anchor: str, page: Page) -> dict[str, Any]:
    tags = set(cell.metadata.get("tags", ()))
    status = str((cell.metadata.get("papermill") or {}).get("status", ""))
    shown: dict[str, Any] = {
        "kind": cell.cell_type,
        "anchor": anchor,
        "status": status,
        "code": "",
        "outputs": [],
    }
    if cell.cell_type == "markdown":
        shown["html"] = Markup(page.clean(_markdown(cell.source, cell.get("attachments", {})), headings=True))
    elif cell.cell_type == "code":
        if not _NO_CODE & tags and cell.source.strip():
            shown["code"] = Markup(highlight(cell.source, _python(), HtmlFormatter(nowrap=True)))
            shown["label"] = _label(tags)
        if not _NO_OUTPUT & tags:
            shown["outputs"] = [out for output in cell.outputs if (out := _output(output, page)) is not None]
    elif cell.source.strip():
        shown["outputs"] = [_text(cell.source, "raw")]
    return shown


def _label(tags: set[str]) -> str:
    if "injected-parameters" in tags:
        return "Parameters of this run"
    return "Parameters and their defaults" if "parameters" in tags else "Code"


def _output(output: Any, page: Page) -> dict[str, Any] | None:
    """One output as the page shows it; None for one that has nothing to show."""
    match output.output_type:
        case "stream":
            return _text(output.text, "stderr" if output.name == "stderr" else "stdout")
        case "error":
            return _text("\n".join(output.traceback) or f"{output.ename}: {output.evalue}", "error")
        case "display_data" | "execute_result":
            return _bundle(output.data, output.get("metadata", {}), page)
    return None


def _bundle(data: Mapping[str, Any], metadata: Mapping[str, Any], page: Page) -> dict[str, Any] | None:
    """The richest harmless form that there is. JavaScript and widgets are not: their plain text stands in for them."""
    if "text/html" in data:
        return {"kind": "html", "html": Markup(page.clean(_joined(data["text/html"])))}
    if "text/markdown" in data:
        return {"kind": "html", "html": Markup(page.clean(_markdown(_joined(data["text/markdown"]), {})))}
    for kind in ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"):
        if kind in data:
            return _picture(kind, _joined(data[kind]), {**metadata, **(metadata.get(kind) or {})}, data)
    text = _joined(data.get("text/plain") or data.get("text/latex") or "")
    return _text(text, "plain") if text.strip() else None


def _picture(kind: str, content: str, about: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "image/svg+xml":
        content = base64.b64encode(content.encode("utf-8")).decode("ascii")
    alt = about.get("alt") or _joined(data.get("text/plain", ""))
    alt = "No description of this picture was given" if not alt or alt.startswith("<Figure size") else alt
    return {"kind": "picture", "source": f"data:{kind};base64,{''.join(content.split())}", "alt": alt} | {
        side: int(about[side]) for side in ("width", "height") if isinstance(about.get(side), (int, float))
    }


def _text(text: str, kind: str) -> dict[str, Any]:
    coloured: Any = ansi2html  # escapes the text
    shown = Markup(coloured(text[:_LONGEST_TEXT].rstrip("\n")))
    return {"kind": kind, "html": shown, "left_out": max(0, len(text) - _LONGEST_TEXT)}


def _joined(value: Any) -> str:
    return value if isinstance(value, str) else "".join(value)


def _markdown(source: str, attachments: Mapping[str, Any]) -> str:
    known = {name: found for name, found in attachments.items() if f"attachment:{name}" in source}
    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True, attachments=known)
    try:
        return str(MarkdownWithMath(renderer=renderer).render(source))
    except Exception:  # noqa: BLE001 - a page must come out of any text, a missing attachment included
        return f"<pre>{Markup.escape(source)}</pre>"


@functools.cache
def _python() -> PythonLexer:
    return PythonLexer()
