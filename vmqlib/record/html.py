"""The record as a page: one file that opens anywhere, asks for nothing and runs nothing.

nbconvert fills the template ``incident`` (``templates/html/incident``). Its stock templates load scripts
from public servers and let what a cell put out run its own. Here every piece of HTML is written anew from a
list of harmless elements (:mod:`vmqlib.record._sanitise`), the page's Content-Security-Policy forbids
everything but its own pictures and styles, and there is no script on it: the table of contents and the
folded code are plain HTML.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.record._quick import quick_imports
from vmqlib.record._saving import notebook_json
from vmqlib.record.notebook import templates_dir
from vmqlib.record.storage import write_atomically

if TYPE_CHECKING:
    from vmqlib.record._exporter import RecordExporter

__all__ = ["export", "preload"]


def export(notebook_path: Path, html_path: Path, *, title: str = "") -> Path:
    """Writes the notebook at ``notebook_path`` as a self-contained page to ``html_path``, atomically.

    The same notebook gives the same page.

    Parameters
    ----------
    notebook_path:
        An executed notebook. One whose run did not end well gets a banner that says so.
    html_path:
        Where the page goes.
    title:
        The page's title; by default the notebook's first heading, or its name.

    Raises
    ------
    BadInput
        When there is no notebook at ``notebook_path``.
    StorageError
        When the page cannot be written.
    """
    exporter = _exporter()
    nb = _load(notebook_path)
    body, _ = exporter.from_notebook_node(nb, {"metadata": {"name": notebook_path.stem}, "title": title})
    write_atomically(html_path, body.encode("utf-8", errors="replace"))
    return html_path


def preload() -> None:
    """Imports what :func:`export` needs and reads the template, while a kernel works and we only wait."""
    _exporter().prepare()


@functools.cache
def _exporter() -> RecordExporter:
    with quick_imports():
        from vmqlib.record._exporter import RecordExporter

    return RecordExporter(templates_dir() / "html")


def _load(path: Path) -> Any:
    import nbformat

    notebook_json(path)  # says in words what is wrong
    read: Any = nbformat.reads
    try:
        return read(path.read_text("utf-8"), as_version=4)
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError) as error:
        raise BadInput(f"{path} is not a whole notebook.", hint="Open and save it in JupyterLab.") from error
