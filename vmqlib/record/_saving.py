"""A notebook as text, so that saving it often costs little; and tidying up after a save that was killed."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vmqlib.errors import BadInput
from vmqlib.record.kernel import runs

__all__ = ["NotebookText", "node", "notebook_json", "sweep"]


def node(value: Mapping[str, Any]) -> Any:
    """``value`` as nbformat has it: a mapping whose keys are attributes, too."""
    import nbformat

    make: Any = nbformat.from_dict
    return make(value)


def sweep(path: Path) -> None:
    """Removes what processes that are gone left half-written beside ``path``.

    :func:`vmqlib.record.storage.write_atomically` writes under a passing name that holds its process's id.
    """
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)-[0-9a-f]+\.tmp")
    with suppress(OSError):
        for entry in path.parent.iterdir():
            found = pattern.fullmatch(entry.name)
            if found and not runs(int(found[1])):
                with suppress(OSError):
                    entry.unlink()


def notebook_json(path: Path) -> dict[str, Any]:
    """The notebook at ``path`` as the JSON that it is.

    Raises
    ------
    BadInput
        When there is none, or it is none.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise BadInput(
            f"{path} cannot be read as a notebook: {reason}.", hint="Give the path of an .ipynb file."
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list) or found.get("nbformat") != 4:
        raise BadInput(f"{path} is not a notebook of format 4.", hint="Open and save it in JupyterLab.")
    return found


class NotebookText:
    """A notebook as the text of its file, where only what changed since the last time is made into text
    again.

    It is byte for byte what ``nbformat.writes`` makes, which copies and encodes every output of every cell
    each time: once per cell, that is quadratic in the size of the record. Here a cell that is done is
    encoded once.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def forget(self, cell: Any) -> None:
        """Says that ``cell`` has changed."""
        self._known.pop(cell["id"], None)

    def text(self, nb: Any, before: Sequence[Any] = ()) -> str:
        """The file's text.

        Parameters
        ----------
        nb:
            The notebook, of format 4.5 or later, every cell with an id of its own.
        before:
            Cells to put at the top, that are not in the notebook.
        """
        cells = [self._cell(cell) for cell in (*before, *nb.cells)]
        body = ",\n".join(cells)
        metadata = {
            k: v
            for k, v in nb.metadata.items()
            if k not in ("orig_nbformat", "orig_nbformat_minor", "signature")
        }
        rest = _json({"metadata": metadata, "nbformat": nb.nbformat, "nbformat_minor": nb.nbformat_minor})
        opening = f' "cells": [\n{body}\n ],' if cells else ' "cells": [],'
        return "{\n" + opening + rest[1:] + "\n"

    def _cell(self, cell: Any) -> str:
        text = self._known.get(cell["id"])
        if text is None:
            text = self._known[cell["id"]] = _indented(_json(_split(cell)))
        return text


def _split(cell: Any) -> Any:
    """A copy of ``cell`` with its text as lists of lines, as the file format has it."""
    from nbformat.v4 import rwbase

    only = node({"cells": [copy.deepcopy(cell)], "metadata": {}})
    lines: Any = rwbase
    return lines.strip_transient(lines.split_lines(only)).cells[0]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))


def _indented(text: str) -> str:
    # Every newline in it is between values: those within a string are written as \n.
    return "  " + text.replace("\n", "\n  ")
